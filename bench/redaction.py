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
from pathlib import Path
from typing import Any

from sessiontrackd.privacy import Redactor

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
    found, rows = {}, [*labelled, *clean]
    started = time.process_time()
    for row in rows:
        spans = Redactor(personal).spans(row["text"])
        found[row["id"]] = [{"start": span.start, "end": span.end, "kind": span.kind} for span in spans]
    took_s = time.process_time() - started
    figures: dict[str, Any] = score.score({name: score.merged(spans) for name, spans in found.items()}, labelled, clean)
    size_bytes = sum(len(row["text"].encode("utf-8", "replace")) for row in rows)
    figures["mb_per_cpu_second"] = {"all": size_bytes / 1e6 / took_s}
    return figures


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
