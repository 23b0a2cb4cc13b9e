"""What transcripts record since a moment, kept up to date: asked after every job, it must not price a month each time."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from sessiontrackd.store import Store

OVERLAP_MS = 60_000  # another process may commit a row so long after its time was taken
HOUR_MS = 3_600_000
_REACHED = """
SELECT (SELECT data_version FROM pragma_data_version), (SELECT max(rowid) FROM recorded), (SELECT max(noted_at) FROM recorded)
"""


class Spent(NamedTuple):
    """What was used: its cost, all its tokens, and those of them that have no price."""

    cost_picousd: int
    tokens: int
    unpriced_tokens: int


class _Reply(NamedTuple):
    at: int
    tokens: int
    cost_picousd: int | None


class RunningSum:
    """The cost of every recorded reply since a moment.

    Args:
        store: opened with the history's tables.
        from_ms: the moment.
        cost: of one row in pico-USD; None where it is unknown.
    """

    def __init__(self, store: Store, from_ms: int, cost: Callable[[sqlite3.Row], int | None]) -> None:
        """Keep the parts; nothing is read yet."""
        self.from_ms = from_ms
        self._store = store
        self._cost = cost
        self._replies: dict[str, _Reply] = {}  # by key
        self._hours: defaultdict[int, dict[str, _Reply]] = defaultdict(dict)  # the same, by hour
        self._sums: dict[int, Spent] = {}  # of whole hours
        self._noted_ms = self._row = 0
        self._others = -1  # another number when another process has written

    def between(self, from_ms: int, until_ms: int | None = None) -> Spent:
        """Take in what was noted since the last look, and sum up what is not older than this, nor later."""
        for row in self._noted():
            known = self._replies.get(row["key"])
            if known is None or known[:2] != (row["at"], row["total_tokens"]):
                self._take(row["key"], _Reply(row["at"], row["total_tokens"], self._cost(row)), known)
        ends_ms = float("inf") if until_ms is None else until_ms
        return _total(self._of(hour, from_ms, ends_ms) for hour in self._hours)

    def _noted(self) -> list[sqlite3.Row]:
        """Return what was noted since the last look: rows of this process have later times, those of others may not."""
        others, row, noted_ms = self._store.read(_REACHED)[0]
        since_ms = self._noted_ms if others == self._others else self._noted_ms - OVERLAP_MS
        before, self._others, self._row, self._noted_ms = self._row, others, row or 0, noted_ms or 0
        return self._store.read(
            "SELECT * FROM recorded WHERE (noted_at >= ? OR rowid > ?) AND +at >= ?", (since_ms, before, self.from_ms)
        )

    def _take(self, key: str, reply: _Reply, known: _Reply | None) -> None:
        for each in filter(None, (known, reply)):
            self._hours[each.at // HOUR_MS].pop(key, None)
            self._sums.pop(each.at // HOUR_MS, None)
        self._replies[key] = self._hours[reply.at // HOUR_MS][key] = reply

    def _of(self, hour: int, from_ms: int, until_ms: float) -> Spent:
        """Sum up what an hour has between two moments; a whole one is summed up once."""
        replies = self._hours[hour].values()
        if not (from_ms <= hour * HOUR_MS and (hour + 1) * HOUR_MS <= until_ms):
            return _spent(reply for reply in replies if from_ms <= reply.at < until_ms)
        if hour not in self._sums:
            self._sums[hour] = _spent(replies)
        return self._sums[hour]


def _spent(replies: Iterable[_Reply]) -> Spent:
    return _total(Spent(0, tokens, tokens) if cost is None else Spent(cost, tokens, 0) for _, tokens, cost in replies)


def _total(parts: Iterable[Spent]) -> Spent:
    cost_picousd = tokens = unpriced_tokens = 0
    for part in parts:
        cost_picousd += part.cost_picousd
        tokens += part.tokens
        unpriced_tokens += part.unpriced_tokens
    return Spent(cost_picousd, tokens, unpriced_tokens)
