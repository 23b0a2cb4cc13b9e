"""What transcripts would cost: read, condensed and counted as for a request; nothing is sent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from sessiontrackd import condense, readers
from sessiontrackd.contracts import OpenSession
from sessiontrackd.errors import JobError, Unpriced
from sessiontrackd.facts import edits
from sessiontrackd.insights import LEVELS, manner, sent_around
from sessiontrackd.model import InsightLevel, Session, Usage
from sessiontrackd.pricing import FLAT_RATE, Prices, Tariff
from sessiontrackd.privacy import Redactor
from sessiontrackd.records import open_source
from sessiontrackd.tokens import sized

__all__ = ["SAMPLE", "Estimates", "Planned", "Range", "Total"]

SAMPLE = 200  # transcripts that are read of a larger number
LEAST_ASKS = 2  # an archived session with fewer, and no edit, is a line in the index


class Range(NamedTuple):
    """The least, the expected and the most of something."""

    low: int = 0
    expected: int = 0
    most: int = 0


class Planned(NamedTuple):
    """A transcript and what would be asked about it; `named` says that a person named this path."""

    path: Path
    size_bytes: int
    level: InsightLevel
    model: str
    provider: str | None = None
    named: bool = False


class _Needs(NamedTuple):
    """What the sessions of one transcript need. No sessions: nothing would be made of it."""

    sessions: int
    input_tokens: Range
    cost_picousd: Range


class Total(Struct, frozen=True):
    """What all of them need. Only `read` of `files` were read; the rest is scaled from those by size."""

    transcripts: int
    sessions: int
    input_tokens: Range
    cost_picousd: Range
    files: int
    read: int
    is_flat_rate: bool = False  # a plan of the user's covers all of it: its cost is neither known nor nothing


_NOTHING = _Needs(0, Range(), Range())


class Estimates:
    """Estimates that share what was read already.

    Args:
        prices: what tokens cost.
        at: the day whose prices hold.
        step: called with the name of each transcript that was read.
    """

    def __init__(self, prices: Prices, at: datetime, step: Callable[[str], None] = lambda _name: None) -> None:
        """Keep the parts."""
        self._prices, self._at, self._step = prices, at, step
        self._known: dict[Planned, _Needs] = {}

    def total(self, planned: Sequence[Planned], sample: int = SAMPLE) -> Total:
        """Return what these transcripts need; of more than `sample` only so many are read, spread over their sizes.

        Raises:
            JobError: a transcript that a person named cannot be read.
            Unpriced: the price of a model is unknown.
        """
        groups = _groups(sorted(planned, key=lambda each: (each.size_bytes, each.path)), sample)
        transcripts = sessions = 0
        parts: list[tuple[Range, Range]] = []
        for group in groups:
            one = group[len(group) // 2]
            needs = self._needs(one)
            factor = sum(each.size_bytes for each in group) / one.size_bytes if one.size_bytes else len(group)
            transcripts += len(group) * (needs.sessions > 0)
            sessions += len(group) * needs.sessions
            parts.append((_times(needs.input_tokens, factor), _times(needs.cost_picousd, factor)))
        is_sample = len(groups) < len(planned)
        tokens = _sum([part[0] for part in parts], is_sample=is_sample)
        cost = _sum([part[1] for part in parts], is_sample=is_sample)
        flat = bool(planned) and all(self._tariff(one) is FLAT_RATE for one in planned)
        return Total(transcripts, sessions, tokens, cost, len(planned), len(groups), flat)

    def _tariff(self, one: Planned) -> Tariff:
        return self._prices.tariff(one.model, self._at, provider=one.provider)

    def _needs(self, one: Planned) -> _Needs:
        if one not in self._known:
            try:
                self._known[one] = self._read(one)
            except JobError as problem:
                if one.named or isinstance(problem, Unpriced):  # an unknown price is no zero
                    raise
                self._known[one] = _NOTHING
            self._step(one.path.name)
        return self._known[one]

    def _read(self, one: Planned) -> _Needs:
        source = open_source(one.path)
        if not one.named and readers.is_data_set(source):
            return _NOTHING
        found: list[tuple[_Needs, bool]] = []
        for opened in readers.read(source).sessions:
            session, is_thin = _condensed(opened, one.level)
            if one.named or not session.details.get("subagent"):
                found.append((self._of(session, one), is_thin))
        counted = [needs for needs, is_thin in found if not is_thin or len(found) == 1]
        return _Needs(
            len(counted),
            _sum([needs.input_tokens for needs in counted]),
            _sum([needs.cost_picousd for needs in counted]),
        )

    def _of(self, session: Session, one: Planned) -> _Needs:
        """Return what the requests of a session take."""
        level, tariff = LEVELS[one.level], self._tariff(one)
        tokens, costs = [], []
        for part in condense.parts(session):
            low, expected, most, _ = sized(sent_around(one.level) + condense.render(part), one.model)
            tokens.append(Range(low, expected, most))
            usual = level.usual_output_tokens
            costs.append(
                Range(
                    tariff.rates(low).cost_picousd(Usage(low, usual // 2)),
                    tariff.rates(expected).cost_picousd(Usage(expected, usual)),
                    tariff.dearest(most).cost_picousd(Usage(most, manner(one.level, one.model).max_output_tokens)),
                )
            )
        return _Needs(1, _sum(tokens), _sum(costs))


def _condensed(opened: OpenSession, level: InsightLevel) -> tuple[Session, bool]:
    """Return a session as it would be sent, and whether it is too thin for a note where an archive holds it."""
    condenser, edited = condense.Condenser(level, Redactor(personal=True)), False
    for message in opened:
        condenser.take(message)
        edited = edited or any(True for call in message.tool_calls for _ in edits(call))
    session = condenser.finish(opened.close())
    return session, session.human_turns < LEAST_ASKS and not edited


def _groups(ordered: Sequence[Planned], most: int) -> list[Sequence[Planned]]:
    """Split what is sorted by size into at most so many runs of equal length."""
    count = min(len(ordered), most)
    return [ordered[at * len(ordered) // count : (at + 1) * len(ordered) // count] for at in range(count)]


def _times(value: Range, factor: float) -> Range:
    return Range(*(round(part * factor) for part in value))


def _sum(parts: Sequence[Range], *, is_sample: bool = False) -> Range:
    """Add up; a sample widens the range by twice its error, which neighbours in size tell by how they differ."""
    low, expected, most = (sum(part[at] for part in parts) for at in range(3))
    if not is_sample:
        return Range(low, expected, most)
    pairs = zip(parts[::2], parts[1::2], strict=False)
    error = 2 * math.isqrt(sum((a.expected - b.expected) ** 2 for a, b in pairs))
    return Range(max(0, low - error), expected, most + error)
