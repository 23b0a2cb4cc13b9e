"""What transcripts record since a moment, kept up to date: asked after every job, it must not price a month each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from sessiontrackd.store import Store

OVERLAP_MS = 60_000  # a row may be committed so long after its time was taken


class Spent(NamedTuple):
    """What was used: its cost, all its tokens, and those of them that have no price."""

    cost_picousd: int
    tokens: int
    unpriced_tokens: int


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
        self._replies: dict[str, tuple[int, int, int | None]] = {}  # by key: when, tokens, cost
        self._noted_ms = 0

    def between(self, from_ms: int, until_ms: int | None = None) -> Spent:
        """Take in what was noted since the last look, and sum up what is not older than this, nor later."""
        rows = self._store.read(
            "SELECT * FROM recorded WHERE noted_at >= ? AND +at >= ?", (self._noted_ms - OVERLAP_MS, self.from_ms)
        )
        for row in rows:
            known = self._replies.get(row["key"])
            if known is None or known[:2] != (row["at"], row["total_tokens"]):
                self._replies[row["key"]] = (row["at"], row["total_tokens"], self._cost(row))
            self._noted_ms = max(self._noted_ms, row["noted_at"])
        found = [
            reply
            for reply in self._replies.values()
            if from_ms <= reply[0] and (until_ms is None or reply[0] < until_ms)
        ]
        return Spent(
            sum(cost for _, _, cost in found if cost is not None),
            sum(tokens for _, tokens, _ in found),
            sum(tokens for _, tokens, cost in found if cost is None),
        )
