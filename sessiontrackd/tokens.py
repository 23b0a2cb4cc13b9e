"""The number of tokens in a text, with its uncertainty."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, field

from sessiontrackd.store import Schema, Store

if TYPE_CHECKING:
    import tiktoken

__all__ = [
    "CLASSES",
    "SCHEMA",
    "Counts",
    "Estimator",
    "byte_classes",
    "cl100k_tokens",
    "expected_tokens",
    "family",
    "hard_bound",
    "sized",
]

SCHEMA = Schema(
    "tokens",
    (
        """
CREATE TABLE token_level (             -- what real usage taught about counting for a provider's model
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    calls INTEGER NOT NULL,
    level REAL NOT NULL,               -- mean of ln(actual / estimate), the latest counting most
    residuals TEXT NOT NULL,           -- JSON: how far the last calls were off that level, in ln
    PRIMARY KEY (provider, model)
) STRICT;
""",
    ),
)

# Lower case, upper case, digits, space, other control characters, other ASCII, then lead bytes: symbols and dashes (E2),
# CJK with kana and hangul (E3 to ED), every other script; last the continuation bytes.
CLASSES = 10
_LATIN = (0, 1)
_CJK = 7
_FOREIGN = (_CJK, 8)
_REST = 5  # other ASCII: what is no other class
_ALL_KINDS = tuple(kind for kind in range(CLASSES) if kind != _REST)
_ASCII_KINDS = tuple(kind for kind in range(_REST))


def _table() -> bytes:
    """Return the class of each of the 256 bytes."""
    ranges = (
        (0, 0x20, 4), (0x20, 0x21, 3), (0x21, 0x80, 5), (0x30, 0x3A, 2), (0x41, 0x5B, 1), (0x61, 0x7B, 0),
        (0x80, 0xC0, 9), (0xC0, 0x100, 8), (0xE2, 0xE3, 6), (0xE3, 0xEE, _CJK),
    )  # fmt: skip
    table = bytearray(256)
    for start, end, kind in ranges:
        table[start:end] = bytes([kind]) * (end - start)
    return bytes(table)


_TABLE = _table()


class _Weights(NamedTuple):
    """Tokens a byte of each class, a token of cl100k, and a block: a message or a tool result."""

    classes: tuple[float, ...]
    cl100k: float
    block: float


# Non-negative least squares on 5,457 (new) and 1,074 (old) tool results of real sessions; the three classes of lead bytes
# are careful guesses, because those sessions were English (2026-11).
_BYTES = {
    "new": _Weights((0.360, 0.959, 0.720, 0.048, 0.321, 0.978, 1.5, 1.3, 1.52, 0.0), 0.0, 5.2),
    "old": _Weights((0.261, 0.624, 0.936, 0.027, 0.550, 0.540, 1.55, 1.3, 0.9, 0.0), 0.0, 12.6),
}
# The same with cl100k's count beside the bytes, on the 3,765 of those results whose counts are known.
_COMBINED = {
    "new": _Weights((0.145, 0.690, 0.061, 0.0, 0.033, 0.483, 0.0, 0.0, 0.0, 0.0), 0.971, 2.2),
    "old": _Weights((0.054, 0.038, 0.046, 0.0, 0.269, 0.157, 0.0, 0.0, 0.0, 0.0), 0.943, 12.5),
}
_OLD_FAMILY = re.compile(r"claude-(?:[23]\b|instant|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?!\d|-[7-9]\b|-\d\d\b))")

_SPREAD = 1.30  # what is not calibrated yet is at most this × the estimate and
_COLD_TOKENS = 300  # this many tokens more: 99.89 % of 930 prompts
_WARM_TOKENS = 200
_CJK_EXTRA = 2.0 - 1.3 * _SPREAD  # a CJK character is bounded by 2 tokens, though 1.3 are expected
_HARD_TOKENS = 500  # a tokenizer of bytes never makes more tokens than bytes; this is for what wraps a message

_KEPT = 250  # residuals
_ALPHA = 0.01  # of the calls may pass the bound
_PRIOR = 60  # made residuals to begin with
_PRIOR_SIGMA = 0.10
_PRIOR_CALLS = 120  # after these they have faded out
_GAIN_START, _GAIN_LEAST, _GAIN_MISS = 8, 0.03, 0.5

LEAST_ROOM = 4  # what was learned never makes the parts of a long session smaller than such a part of the usual

_CL100K_PATTERN = (  # as OpenAI publishes it
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)


class Counts(NamedTuple):
    """Tokens of a text: the least and most it probably has, and what is expected.

    `factor` is what was learned of the model and is part of the three: `Estimator.learn` wants it back.
    """

    low: int
    expected: int
    most: int
    factor: float = 1.0


def family(model: str | None) -> str:
    """Return which tokenizer a model has by its name, `old` or `new`; a stranger counts as new, which is more."""
    return "old" if model and _OLD_FAMILY.search(model) else "new"


def byte_classes(text: str) -> tuple[int, ...]:
    """Count the UTF-8 bytes of each class."""
    kinds = text.encode("utf-8", "surrogatepass").translate(_TABLE)
    known = _ASCII_KINDS if len(kinds) == len(text) else _ALL_KINDS  # each count is a pass over the text
    counts = [0] * CLASSES
    for kind in known:
        counts[kind] = kinds.count(kind)
    counts[_REST] = len(kinds) - sum(counts)
    return tuple(counts)


def expected_tokens(classes: Sequence[int], model_family: str, *, cl100k: int | None = None, blocks: int = 1) -> float:
    """Return the tokens of a text by its byte classes, and by its count in cl100k where that is known."""
    by_bytes = _weighed(_BYTES[model_family], classes, 0, blocks)
    if cl100k is None:
        return by_bytes
    combined = _weighed(_COMBINED[model_family], classes, cl100k, blocks)
    is_foreign = sum(classes[kind] for kind in _FOREIGN) > sum(classes[kind] for kind in _LATIN)
    return max(combined, by_bytes) if is_foreign else combined  # nothing was fitted on other scripts


def cl100k_tokens(text: str) -> int:
    """Count the tokens of cl100k, whose ranks are packaged: nothing is downloaded. The first call takes 0.3 s."""
    return len(_encoding().encode_ordinary(text))


@cache
def _encoding() -> tiktoken.Encoding:
    """Build cl100k from `ranks/cl100k.xz`: its tokens by rank, each behind a byte with its length."""
    import lzma

    import tiktoken

    packed = lzma.decompress(files("sessiontrackd").joinpath("ranks", "cl100k.xz").read_bytes())
    ranks: dict[bytes, int] = {}
    at = 0
    while at < len(packed):
        end = at + 1 + packed[at]
        ranks[packed[at + 1 : end]] = len(ranks)
        at = end
    return tiktoken.Encoding("cl100k", pat_str=_CL100K_PATTERN, mergeable_ranks=ranks, special_tokens={})


def sized(text: str, model: str | None = None) -> Counts:
    """Count by byte classes alone: fast, nothing is loaded; for folders and the order of a queue."""
    classes = byte_classes(text)
    return _cold(expected_tokens(classes, family(model)), classes)


def hard_bound(text: str) -> int:
    """Return what the tokens of a prompt never pass, about twice what they are."""
    return len(text.encode("utf-8", "surrogatepass")) + _HARD_TOKENS


def _weighed(weights: _Weights, classes: Sequence[int], cl100k: int, blocks: int) -> float:
    by_class = sum(weight * count for weight, count in zip(weights.classes, classes, strict=True))
    return by_class + weights.cl100k * cl100k + weights.block * blocks


def _cold(tokens: float, classes: Sequence[int]) -> Counts:
    """Return the counts where nothing was learned yet."""
    most = tokens * _SPREAD + _COLD_TOKENS + _CJK_EXTRA * classes[_CJK]
    return Counts(int(tokens / _SPREAD), round(tokens), math.ceil(most))


class Calibration(Struct, frozen=True):
    """What real usage taught of one model: an online mean of ln(actual / estimate) and what deviates from it."""

    calls: int = 0
    level: float = 0.0
    residuals: tuple[float, ...] = field(default=())

    @property
    def reach(self) -> float:
        """How far above the level the bound lies, in ln: a conformal quantile of what deviated before."""
        made = round(_PRIOR * max(0.0, 1 - self.calls / _PRIOR_CALLS))
        pool = sorted((*self.residuals, *_normal(made)))
        rank = min(math.ceil((1 - _ALPHA) * (len(pool) + 1)), len(pool))
        return max(0.0, pool[rank - 1])

    def counts(self, tokens: float, classes: Sequence[int]) -> Counts:
        """Return the counts of a text whose plain estimate is `tokens`."""
        if not self.calls:
            return _cold(tokens, classes)
        expected, spread = tokens * math.exp(self.level), math.exp(self.reach)
        most = expected * spread + _WARM_TOKENS + _CJK_EXTRA * classes[_CJK]
        return Counts(int(expected / spread), round(expected), math.ceil(most), math.exp(self.level))

    def after(self, tokens: float, actual: int) -> Calibration:
        """Return what is known after one more call; one that passed the bound moves the level by half at once."""
        off = math.log(actual / tokens) - self.level
        missed = actual > self.counts(tokens, (0,) * CLASSES).most
        gain = max(1 / (self.calls + _GAIN_START), _GAIN_MISS if missed else _GAIN_LEAST)
        return Calibration(self.calls + 1, self.level + gain * off, (*self.residuals, off)[-_KEPT:])


@cache
def _normal(count: int) -> tuple[float, ...]:
    """Return evenly spaced quantiles of what residuals are likely to be."""
    normal = NormalDist(0, _PRIOR_SIGMA)
    return tuple(normal.inv_cdf((at + 0.5) / count) for at in range(count))


class Estimator:
    """Counts the tokens of prompts and learns, by provider and model, from what was billed.

    Args:
        store: opened with SCHEMA; None learns for this object alone.
    """

    def __init__(self, store: Store | None = None) -> None:
        """Keep the store."""
        self._store = store
        self._own: dict[tuple[str, str], Calibration] = {}

    def estimate(self, text: str, *, provider: str, model: str | None) -> Counts:
        """Count the prompt that will really be sent."""
        classes = byte_classes(text)
        tokens = expected_tokens(classes, family(model), cl100k=cl100k_tokens(text))
        return self._known(provider, model or "").counts(tokens, classes)

    def room(self, most: int, *, provider: str, model: str | None) -> int:
        """Return how many tokens a text may have by `sized`, so that by what was learned it has at most so many.

        It is never more than `most`, and never less than a quarter: no tokenizer makes so many more, but a server that errs
        could cut a session into a hundred paid requests.
        """
        first = (most - _COLD_TOKENS) / _SPREAD
        learned = self._known(provider, model or "").counts(first, (0,) * CLASSES).most
        return max(min(most, most * most // learned), most // LEAST_ROOM)

    def learn(
        self, *, provider: str, model: str | None, expected: int, actual: int, factor: float | None = None
    ) -> None:
        """Take in what a prompt was billed with.

        Args:
            provider: who counted.
            model: that was asked for.
            expected: of the counts that `estimate` gave for it.
            actual: all its input tokens, cached ones included.
            factor: of the same counts; without it, today's is taken, which is wrong where another call was learned between.
        """
        if expected <= 0 or actual <= 0:
            return
        if self._store is None:
            self._own[provider, model or ""] = self._next(provider, model or "", expected, actual, factor)
            return
        with self._store.immediate() as connection:
            new = self._next(provider, model or "", expected, actual, factor)
            row = (provider, model or "", new.calls, new.level, json.dumps([round(off, 5) for off in new.residuals]))
            connection.execute("INSERT OR REPLACE INTO token_level VALUES (?, ?, ?, ?, ?)", row)

    def _next(self, provider: str, model: str, expected: int, actual: int, factor: float | None) -> Calibration:
        known = self._known(provider, model)
        return known.after(expected / (factor or math.exp(known.level)), actual)

    def _known(self, provider: str, model: str) -> Calibration:
        if self._store is None:
            return self._own.get((provider, model), Calibration())
        row = self._store.one(
            "SELECT calls, level, residuals FROM token_level WHERE (provider, model) = (?, ?)", (provider, model)
        )
        return Calibration(row["calls"], row["level"], tuple(json.loads(row["residuals"]))) if row else Calibration()
