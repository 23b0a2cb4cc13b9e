"""How near the counted tokens are to billed ones, how often the bound holds, and how fast counting is.

python bench/tokens.py [--rows FILE]

The rows are JSON lines, gzipped or not, as in usage.jsonl.gz: tokens, classes, cl100k, chars, family, model, session, seq, side.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sessiontrackd.tokens import CLASSES, Calibration, byte_classes, cl100k_tokens, expected_tokens, sized

ROWS = Path(__file__).resolve().parent.parent.parent / "shared" / "tokens" / "usage.jsonl.gz"
PROMPTS = (500, 2_000, 8_000, 20_000)  # cl100k tokens from which on rows make a prompt
WARM = 50  # calls
JUMP = 1.35
METHODS = ("bytes", "combined")


class Prompt(NamedTuple):
    """Rows of one session, summed up."""

    model: str
    estimates: dict[str, float]
    classes: tuple[int, ...]
    actual: int


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows that are a valid test of the estimator, in order of time."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [json.loads(line) for line in content.decode().splitlines() if line.strip()]
    return [
        row
        for row in rows
        if row.get("side", "input") == "input"
        and row["chars"] >= 150
        and row["tokens"] > 20
        and 0.1 < row["tokens"] / row["chars"] < 1.6
    ]


def estimates(row: dict[str, Any], kind: str) -> dict[str, float]:
    """Return what each method expects of a row."""
    return {
        "bytes": expected_tokens(row["classes"], kind),
        "combined": expected_tokens(row["classes"], kind, cl100k=row["cl100k"]),
    }


def prompts(rows: list[dict[str, Any]], kind: str, least: int) -> Iterator[Prompt]:
    """Add up the rows of each session and model until they are `least` tokens of cl100k, again and again."""
    sums: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        key = row.get("session", 0), row["model"]
        sums[key].append(row)
        if sum(one["cl100k"] for one in sums[key]) >= least:
            taken = sums.pop(key)
            each = [estimates(one, kind) for one in taken]
            yield Prompt(
                row["model"],
                {method: sum(one[method] for one in each) for method in METHODS},
                tuple(sum(one["classes"][at] for one in taken) for at in range(CLASSES)),
                sum(one["tokens"] for one in taken),
            )


def mean(values: list[float]) -> float:
    """Return the mean; nan of nothing."""
    return sum(values) / len(values) if values else float("nan")


def under(ratios: list[float], share: float) -> float:
    """Return the quantile of how far the estimates fall short, in per cent."""
    worst = sorted(1 / ratio - 1 for ratio in ratios)
    return 100 * worst[min(len(worst) - 1, int(share * len(worst)))] if worst else float("nan")


def show_items(rows: list[dict[str, Any]], kind: str) -> None:
    """Print the accuracy on single rows."""
    for method in METHODS:
        ratios = [estimates(row, kind)[method] / row["tokens"] for row in rows]
        off = 100 * mean([abs(ratio - 1) for ratio in ratios])
        print(f"{kind} items {method:9} n {len(rows):5}  MAPE {off:5.2f} %  P99 under {under(ratios, 0.99):5.1f} %")


def replay(found: list[Prompt], method: str, jump_at: int | None = None) -> dict[str, float]:
    """Calibrate online in order of time, per model; from `jump_at` on everything is billed 1.35 ×."""
    known: dict[str, Calibration] = defaultdict(Calibration)
    cold: list[float] = []
    warm: list[float] = []
    reserves: list[float] = []
    missed: list[bool] = []
    first: list[bool] = []
    for at, prompt in enumerate(found):
        actual = round(prompt.actual * (JUMP if jump_at is not None and at >= jump_at else 1))
        counts = known[prompt.model].counts(prompt.estimates[method], prompt.classes)
        cold.append(abs(prompt.estimates[method] / actual - 1))
        first.append(Calibration().counts(prompt.estimates[method], prompt.classes).most < actual)
        if known[prompt.model].calls >= WARM or jump_at is not None:
            warm.append(abs(counts.expected / actual - 1))
            reserves.append(counts.most / actual)
            missed.append(counts.most < actual)
        known[prompt.model] = known[prompt.model].after(prompt.estimates[method], actual)
    return {
        "cold": 100 * mean(cold),
        "warm": 100 * mean(warm),
        "n": len(missed),
        "coverage": 100 * (1 - mean([float(miss) for miss in missed])),
        "reserve": mean(reserves),
        "cold_coverage": 100 * (1 - mean([float(miss) for miss in first])),
        "missed_after": float(sum(missed[jump_at:])) if jump_at is not None else 0.0,
    }


def show_prompts(rows: list[dict[str, Any]], kind: str) -> None:
    """Print the accuracy and the bound on whole prompts, and how fast a jump is learned."""
    for least in PROMPTS:
        found = list(prompts(rows, kind, least))
        for method in METHODS:
            got = replay(found, method)
            print(
                f"{kind} prompts ≥ {least:5} {method:9} n {len(found):4}  MAPE cold {got['cold']:5.2f} %  after {WARM} calls "
                f"{got['warm']:5.2f} %  bound holds {got['coverage']:6.2f} % of {got['n']:.0f} (cold {got['cold_coverage']:6.2f} %) "
                f"at {got['reserve']:.3f} ×"
            )
    one = list(prompts(rows, kind, 2_000))
    busiest = max(
        {prompt.model for prompt in one}, key=lambda model: sum(prompt.model == model for prompt in one), default=""
    )
    one = [prompt for prompt in one if prompt.model == busiest]
    for method in METHODS:
        got = replay(one, method, jump_at=len(one) // 2)
        print(
            f"{kind} jump × {JUMP} {method:9} missed {got['missed_after']:.0f} of {len(one) - len(one) // 2} calls after it"
        )


def seconds_of(work: Any, texts: list[str]) -> float:
    """Return the best of five CPU times."""
    times = []
    for _ in range(5):
        begun = time.process_time()
        for text in texts:
            work(text)
        times.append(time.process_time() - begun)
    return min(times)


def show_speed(sample: Path) -> None:
    """Print MB per CPU second of both counts."""
    if sample.exists():
        texts = [json.loads(line)["text"] for line in gzip.decompress(sample.read_bytes()).decode().splitlines()]
    else:
        texts = [Path(__file__).read_text() for _ in range(100)]
    joined = ["\n".join(texts[at : at + 20]) for at in range(0, len(texts), 20)]
    size = sum(len(text.encode()) for text in joined) / 1e6
    cl100k_tokens("")
    fast, slow = seconds_of(byte_classes, joined), seconds_of(cl100k_tokens, joined)
    print(f"byte classes {size / fast:.0f} MB/s, cl100k {size / slow:.1f} MB/s: {slow / fast:.0f} ×")
    for length in (100_000, 200_000):
        print(
            f"{length} equal characters: {seconds_of(cl100k_tokens, ['a' * length]) * 1000:.0f} ms, sized {sized('a' * length).most}"
        )


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=ROWS)
    path = parser.parse_args().rows
    if path.exists():
        rows = read(path)
        for kind in ("new", "old"):
            of_kind = [row for row in rows if row["family"] == kind]
            if of_kind:
                show_items(of_kind, kind)
                show_prompts(of_kind, kind)
    else:
        print(f"no rows at {path}")
    show_speed(path.with_name("usage_text_sample.jsonl.gz"))


if __name__ == "__main__":
    main()
