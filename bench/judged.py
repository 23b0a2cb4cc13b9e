"""How many items of notes a person found good: titles, outcomes, decisions, open items, and errors with their fix.

python bench/judged.py CORPUS            the share of good ones among those that were judged, a line a kind
python bench/judged.py CORPUS --new      the items that nobody judged yet, each with its key, for bench/judged.tsv

A judgement is a line of bench/judged.tsv: kind, key, + or -. The key is a hash: nothing of a transcript is kept here.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from sessiontrackd import readers
from sessiontrackd.insights import AIInsightGenerator, read_session
from sessiontrackd.model import Insight, InsightLevel

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"  # beside the checkout, where it is

JUDGEMENTS = Path(__file__).with_suffix(".tsv")
WANTED = {"title": 0.90, "outcome": 0.90, "decision": 0.80, "open": 0.85, "fix": 0.90}
"""The share of good items that is aimed at."""
EVERY = {"aider": 3, "openai_messages": 24}
"""Of the files with hundreds of sessions every so manieth is judged."""
LEFT_OUT = frozenset(("negative", "derived", "licences", "sharegpt"))


def items_of(corpus: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, key, text) of what standard notes of a corpus say."""
    for path in sorted(path for path in corpus.glob("*/*") if path.parent.name not in LEFT_OUT):
        transcript = readers.read(path)
        for number, opened in enumerate(transcript.sessions if transcript.is_conversation else ()):
            if number % EVERY.get(path.parent.name, 1):
                for _ in opened:
                    pass
                opened.close()
                continue
            reading = read_session(opened, level=InsightLevel.STANDARD)
            insight = asyncio.run(AIInsightGenerator().insight(reading, InsightLevel.STANDARD))
            for kind, text in told(insight):
                named = f"{path.relative_to(corpus)} {number} {kind} {' '.join(text.split())}"
                yield kind, hashlib.sha256(named.encode()).hexdigest()[:16], f"{path.name}.{number}: {text}"


def told(insight: Insight) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of what is judged in an insight."""
    if insight.title:
        yield "title", insight.title
    for finding in insight.findings:
        if finding.kind in {"outcome", "decision"}:
            yield finding.kind, finding.text
        elif finding.kind in {"todo", "question"}:
            yield "open", finding.text
        elif finding.kind == "problem":
            fix = next((part for part in finding.parts if part.kind == "fix"), None)
            if fix is not None:
                yield "fix", f"{finding.text} -> {fix.text} {fix.messages}"


def judgements() -> dict[tuple[str, str], bool]:
    """Return what was judged: (kind, key) to whether it was found good."""
    rows = (
        line.split("\t") for line in JUDGEMENTS.read_text("utf-8").splitlines() if line and not line.startswith("#")
    )
    return {(kind, key): mark == "+" for kind, key, mark in rows}


def shares(corpus: Path) -> dict[str, tuple[int, int, int]]:
    """Return for each kind how many items are good, how many were judged, and how many there are."""
    known = judgements()
    good, judged, there = Counter[str](), Counter[str](), Counter[str]()
    for kind, key, _ in items_of(corpus):
        there[kind] += 1
        judged[kind] += (kind, key) in known
        good[kind] += known.get((kind, key), False)
    return {kind: (good[kind], judged[kind], there[kind]) for kind in WANTED}


def main() -> int:
    """Print the shares, or what is still to be judged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?", default=SHARED / "corpus")
    parser.add_argument("--new", action="store_true", help="print what nobody judged yet")
    chosen = parser.parse_args()
    if chosen.new:
        known = judgements()
        for kind, key, text in items_of(chosen.corpus):
            if (kind, key) not in known:
                print(f"{kind}\t{key}\t{' '.join(text.split())}")
        return 0
    found = shares(chosen.corpus)
    for kind, (good, judged, there) in found.items():
        print(f"{kind:9} {good} of {judged} good, {good / max(judged, 1):.2f} (aim {WANTED[kind]:.2f}); {there} there")
    return 0 if all(good >= WANTED[kind] * judged for kind, (good, judged, _) in found.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
