"""Measure the redactor: recall per source, what it costs on clean text, and its speed.

    python bench/redaction.py [--set FILE] [--clean FILE] [--missed N] [--json]

FILE is JSON lines, gzip or not, in the shape that `shared/redaction/README.md` describes; the figures are those of its score.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import Any

from sessiontrackd.privacy import Redactor

ROUNDS = 3  # the fastest counts: another process slows a CPU second down
SHARED = Path(__file__).resolve().parents[2] / "shared" / "redaction"


def load_score(path: Path) -> Any:
    """Import score.py, whose definitions these figures follow."""
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(
    score: Any, labelled: list[dict[str, Any]], clean: list[dict[str, Any]], *, personal: bool
) -> dict[str, Any]:
    """Return score.py's figures, and MB of UTF-8 per CPU second over both files."""
    Redactor(personal).spans("token = none")  # compile first: loading is not scanning
    found, rows, took_s = {}, [*labelled, *clean], float("inf")
    for _ in range(ROUNDS):
        started = time.process_time()
        for row in rows:
            spans = Redactor(personal).spans(row["text"])
            found[row["id"]] = [{"start": span.start, "end": span.end, "kind": span.kind} for span in spans]
        took_s = min(took_s, time.process_time() - started)
    figures: dict[str, Any] = score.score({name: score.merged(spans) for name, spans in found.items()}, labelled, clean)
    size_bytes = sum(len(row["text"].encode("utf-8", "replace")) for row in rows)
    figures["mb_per_cpu_second"] = {"all": size_bytes / 1e6 / took_s}
    return figures


def made_personal(random: Random) -> list[tuple[str, str, str]]:
    """Return made-up personal data as (kind, value, the text it stands in), in the forms people write it."""

    def digits(count: int) -> str:
        return "".join(random.choice("0123456789") for _ in range(count))

    def checked_card(first: str, size: int) -> str:
        body = first + digits(size - len(first) - 1)
        total = sum((2 * int(d) - 9 * (int(d) > 4)) if i % 2 == 0 else int(d) for i, d in enumerate(reversed(body)))
        return body + str(-total % 10)

    def checked_iban(country: str, body: str) -> str:
        turned = "".join(str(int(letter, 36)) for letter in body + country + "00")
        return f"{country}{98 - int(turned) % 97:02d}{body}"

    def grouped(value: str) -> str:
        return " ".join(value[i : i + 4] for i in range(0, len(value), 4))

    name, host = (
        random.choice(["ada.lovelace", "bob_k", "m.mueller+news", "x9", "j-doe"]),
        random.choice(["acme.example", "mail.corp.co.uk", "uni-bonn.de"]),
    )
    area, line = f"{random.randint(2, 9)}{digits(2)}", f"{random.randint(2, 9)}{digits(2)}"
    v6 = ":".join(f"{random.randint(1, 65535):x}" for _ in range(8))
    card, iban = checked_card("4", 16), checked_iban("DE", digits(18))
    ssn = f"{random.randint(100, 665)}-{random.randint(10, 99)}-{random.randint(1000, 9999)}"
    made = [
        ("email", f"{name}@{host}"),
        ("ip", f"10.{random.randint(1, 255)}.{random.randint(1, 255)}.7"),
        ("ip", v6),
        ("ip", f"2001:db8::{random.randint(16, 65535):x}:1"),
    ]
    made += [
        ("phone", value)
        for value in (
            f"+49 {random.randint(151, 179)} {digits(8)}",
            f"+1 ({area}) {line}-{digits(4)}",
            f"({area}) {line}-{digits(4)}",
            f"{area}-{line}-{digits(4)}",
            f"+44 20 {digits(4)} {digits(4)}",
            f"0{random.randint(151, 179)} {digits(7)}",
            f"+33 6 12 {digits(2)} {digits(2)} {digits(2)}",
            f"+1{area}{line}{digits(4)}",
        )
    ]
    made += [("card", value) for value in (card, grouped(card), checked_card("37", 15), checked_card("55", 16))]
    made += [
        ("iban", value)
        for value in (iban, grouped(iban), checked_iban("GB", "NWBK" + digits(14)), checked_iban("FR", digits(23)))
    ]
    made += [
        ("ssn", ssn),
        ("username", f"/home/{name.split('.')[0].split('+')[0]}/src"),
        ("username", "C:\\Users\\" + name.split("+")[0] + "\\x"),
    ]
    frames = [
        "{}",
        "Please use {} for this.",
        '{{"value": "{}"}}',
        "contact: {}\nthanks",
        "| a | {} | b |",
        "<{}>",
        "see {}, or ({})",
    ]
    return [(kind, value, random.choice(frames).format(value, value)) for kind, value in made]


def measure_personal(rounds: int = 40) -> dict[str, float]:
    """Return recall per kind on made-up personal data; a hit covers 90 % of the value, of a path its user name."""
    random = Random(1)
    hits: dict[str, int] = defaultdict(int)
    seen: dict[str, int] = defaultdict(int)
    for _ in range(rounds):
        for kind, value, text in made_personal(random):
            spans = [span for span in Redactor(personal=True).spans(text) if span.kind == kind]
            covered = sum(span.end - span.start for span in spans) / text.count(value)
            seen[kind] += 1
            hits[kind] += bool(spans) if kind == "username" else covered >= 0.9 * len(value)
    recall = {kind: hits[kind] / seen[kind] for kind in seen}
    return recall | {"all": sum(hits.values()) / sum(seen.values())}


def main() -> int:
    """Parse the command line, print the figures."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--set", type=Path, default=SHARED / "visible.jsonl.gz")
    ask.add_argument("--clean", type=Path, default=SHARED / "clean.jsonl.gz")
    ask.add_argument("--score", type=Path, default=SHARED / "score.py")
    ask.add_argument("--missed", type=int, default=0, metavar="N", help="show the N most often missed rules")
    ask.add_argument(
        "--secrets-only", action="store_true", help="leave personal data out, as in a folder that redacts secrets only"
    )
    ask.add_argument("--json", action="store_true", help="print one JSON document")
    args = ask.parse_args()
    score = load_score(args.score)
    figures = measure(score, list(score.rows(args.set)), list(score.rows(args.clean)), personal=not args.secrets_only)
    figures["personal_recall"] = measure_personal()
    if args.json:
        print(json.dumps(figures, indent=1))
        return 0
    missed = list(figures.pop("missed").items())
    for name, value in figures.items():
        shown = "  ".join(f"{k} {v:.3f}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:32}{shown}")
    for rule, count in missed[: args.missed]:
        print(f"  missed {count:3d} x {rule}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
