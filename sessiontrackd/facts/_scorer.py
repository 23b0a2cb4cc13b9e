"""A linear scorer over counted features with hand-set weights: which units of a text best stand for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop
from itertools import islice, pairwise
from math import log, sqrt

from msgspec import Struct

from sessiontrackd.facts._words import NO_TERM, stem, terms, tokens

CUE_WORDS = (
    "decide", "agree", "let's", "we'll", "i'll", "need to", "have to", "should", "going to", "want to", "plan", "because", "so that",
    "problem", "issue", "important", "conclusion", "propose", "suggest", "recommend", "must", "deadline", "tomorrow", "next",
)  # fmt: skip


OVERLAP = 0.3
"""How much the largest overlap with what is picked already takes off."""


class Unit(Struct, frozen=True):
    """A turn or a sentence that may be picked."""

    text: str
    turn: int
    speaker: str


class _Document:
    """What all units together say: how rare each term is, and where the centre lies."""

    def __init__(self, bags: Sequence[Counter[str]]) -> None:
        self.df: Counter[str] = Counter()
        whole: Counter[str] = Counter()
        for bag in bags:
            self.df.update(bag.keys())
            whole.update(bag)
        self.idf = {term: log(1 + len(bags) / count) for term, count in self.df.items()}
        self.centre = {term: count * self.idf[term] for term, count in whole.items()}
        self.length = sqrt(sum(value * value for value in self.centre.values())) or 1.0

    def centrality(self, bag: Counter[str]) -> tuple[float, float]:
        """Return the cosine with the centre, and how much of the unit is said elsewhere too."""
        dot = norm = repeated = 0.0
        for term in bag:
            weight = self.idf[term]
            dot += weight * self.centre[term]
            norm += weight * weight
            count = self.df[term]
            if count > 1:
                repeated += log(count)
        return (dot / (sqrt(norm) * self.length) if norm else 0.0), min(repeated, 12.0) / 12


def scores(units: Sequence[Unit]) -> tuple[list[float], list[frozenset[str]]]:
    """Return the score of each unit, scaled to 0..1, and its distinct terms.

    Source: features and weights were fitted on dialogues elsewhere and rounded by hand.
    """
    found = [tokens(unit.text) for unit in units]
    bags = [Counter(terms(words)) for words in found]
    document = _Document(bags)
    last = units[-1].turn if units else 0
    raw = []
    for unit, words, bag in zip(units, found, bags, strict=True):
        cosine, repeated = document.centrality(bag)
        value = 1.5 * cosine + repeated + _surface(unit.text, len(words), len(bag)) + _position(unit.turn, last)
        raw.append(value + 0.05 * (unit.speaker == units[0].speaker))
    return _scaled(raw), [frozenset(bag) for bag in bags]


def _surface(text: str, words: int, distinct: int) -> float:
    lowered = text.lower().replace("’", "'")
    cue = any(cue in lowered for cue in CUE_WORDS)
    return 0.5 * log(1 + words) - 0.8 * min(words, 40) / 40 + 0.15 * cue - 0.4 * distinct / (1 + words)


def _position(turn: int, last: int) -> float:
    place = turn / last if last else 0.0
    return place * place - place + 0.1 * (turn == 0) - 0.25 * (last > 2 and turn > last - 2)


def _scaled(raw: list[float]) -> list[float]:
    if not raw:
        return []
    low, high = min(raw), max(raw)
    return [(value - low) / (high - low) if high > low else 1.0 for value in raw]


def ranked(values: Sequence[float], bags: Sequence[frozenset[str]]) -> Iterator[int]:
    """Yield the places of the units, the best first, each unlike those before it; ties go to the earlier."""
    left = dict(enumerate(values))
    while left:
        best = max(left, key=lambda at: (left[at], -at))
        yield best
        del left[best]
        chosen = bags[best]
        for at, value in left.items():
            shared = len(chosen & bags[at])
            if shared:
                left[at] = min(value, values[at] - OVERLAP * shared / sqrt(len(chosen) * len(bags[at])))


def select(values: Sequence[float], bags: Sequence[frozenset[str]], count: int) -> list[int]:
    """Return the places of the best units, unlike each other, in source order."""
    return sorted(islice(ranked(values, bags), count))


PHRASE_TIMES = 3
"""Two words that stand together less often are no subject."""


def phrase(texts: Iterable[str]) -> str:
    """Return the two words that most often stand together; empty where none do often."""
    counts: Counter[tuple[str, str]] = Counter()
    shown: dict[tuple[str, str], str] = {}
    for text in texts:
        words = tokens(text)
        for one, two in pairwise(words):
            if len(one) > 2 and len(two) > 2 and one not in NO_TERM and two not in NO_TERM and one != two:
                key = stem(one), stem(two)
                counts[key] += 1
                shown.setdefault(key, f"{one} {two}")
    best = max(counts, key=lambda key: (counts[key], key), default=None)
    return shown[best] if best and counts[best] >= PHRASE_TIMES else ""


def keywords(counts: Mapping[str, int], spread: Mapping[str, int], units: int) -> Iterator[str]:
    """Yield terms by tf-idf, the best first: often said, but not everywhere."""
    left = [(-count * log(1 + units / spread[term]), term) for term, count in counts.items()]
    heapify(left)  # few of many are wanted
    while left:
        yield heappop(left)[1]
