"""A linear scorer over counted features with hand-set weights: which units of a text best stand for it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

STOP_WORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "again",
        "all",
        "also",
        "am",
        "an",
        "and",
        "any",
        "are",
        "as",
        "at",
        "be",
        "because",
        "been",
        "before",
        "being",
        "but",
        "by",
        "can",
        "could",
        "did",
        "do",
        "does",
        "doing",
        "don't",
        "down",
        "each",
        "even",
        "few",
        "for",
        "from",
        "further",
        "get",
        "go",
        "going",
        "got",
        "had",
        "has",
        "have",
        "having",
        "he",
        "her",
        "here",
        "hers",
        "him",
        "his",
        "how",
        "i",
        "i'm",
        "if",
        "in",
        "into",
        "is",
        "it",
        "it's",
        "its",
        "just",
        "know",
        "let",
        "like",
        "me",
        "more",
        "most",
        "my",
        "no",
        "nor",
        "not",
        "now",
        "of",
        "off",
        "ok",
        "okay",
        "on",
        "one",
        "only",
        "or",
        "other",
        "our",
        "out",
        "over",
        "own",
        "really",
        "right",
        "same",
        "see",
        "she",
        "should",
        "so",
        "some",
        "such",
        "than",
        "that",
        "that's",
        "the",
        "their",
        "them",
        "then",
        "there",
        "these",
        "they",
        "thing",
        "think",
        "this",
        "those",
        "through",
        "to",
        "too",
        "uh",
        "um",
        "under",
        "until",
        "up",
        "us",
        "very",
        "want",
        "was",
        "we",
        "well",
        "were",
        "what",
        "when",
        "where",
        "which",
        "while",
        "who",
        "whom",
        "why",
        "will",
        "with",
        "would",
        "yeah",
        "yes",
        "you",
        "your",
    ]
)
CUE_WORDS = (
    "decide", "agree", "let's", "we'll", "i'll", "need to", "have to", "should", "going to", "want to", "plan", "because", "so that",
    "problem", "issue", "important", "conclusion", "propose", "suggest", "recommend", "must", "deadline", "tomorrow", "next",
)  # fmt: skip
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_WIDE_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]+")
_ENDINGS = ("ing", "ies", "ed", "es", "ly", "s")


@dataclass(frozen=True, slots=True)
class Unit:
    """A turn or a sentence that may be picked."""

    text: str
    turn: int
    speaker: str


def stem(word: str) -> str:
    """Cut a common English ending where enough is left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def tokens(text: str) -> list[str]:
    """Return the lower-case words; a run of a script without spaces gives its pairs of characters."""
    found = _TOKEN.findall(text.lower().replace("’", "'"))
    if text.isascii():
        return found
    spread: list[str] = []
    for word in found:
        if _WIDE_RUN.search(word):
            spread += _pairs(word)
        else:
            spread.append(word)
    return spread


def _pairs(word: str) -> list[str]:
    return [word[at : at + 2] for at in range(len(word) - 1)] or [word]


def terms(words: Sequence[str]) -> list[str]:
    """Return the words that carry meaning, without their endings."""
    return [stem(word) for word in words if word not in STOP_WORDS and (len(word) > 1 or not word.isascii())]


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


def select(values: Sequence[float], bags: Sequence[frozenset[str]], count: int) -> list[int]:
    """Return the places of the best units, unlike each other, in source order; ties go to the earlier."""
    overlap = [0.0] * len(values)
    left = list(range(len(values)))
    taken: list[int] = []
    while left and len(taken) < count:
        best = max(left, key=lambda at: (values[at] - 0.3 * overlap[at], -at))
        taken.append(best)
        left.remove(best)
        chosen = bags[best]
        for at in left:
            shared = len(chosen & bags[at])
            if shared:
                overlap[at] = max(overlap[at], shared / sqrt(len(chosen) * len(bags[at])))
    return sorted(taken)


def keywords(counts: Counter[str], spread: Counter[str], units: int) -> list[str]:
    """Rank terms by tf-idf: often said, but not everywhere."""
    ranked = ((count * log(1 + units / spread[term]), term) for term, count in counts.items())
    return [term for _, term in sorted(ranked, key=lambda pair: (-pair[0], pair[1]))]
