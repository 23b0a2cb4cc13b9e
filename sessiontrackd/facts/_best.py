"""A bounded choice: the best candidates of a stream, given back in the order they came."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")


class Best(Generic[T]):
    """Keep at most `limit` candidates, those of greatest weight; of equals the earlier."""

    def __init__(self, limit: int) -> None:
        """Start empty."""
        self._limit = limit
        self._heap: list[tuple[float, int, T]] = []
        self.offered = 0

    def offer(self, weight: float, item: T) -> None:
        """Keep the candidate if it is among the best so far."""
        self.offered += 1
        entry = (weight, -self.offered, item)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        elif entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    def all(self) -> list[T]:
        """Return what was kept, in order of arrival."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: -entry[1])]

    def top(self, count: int) -> list[T]:
        """Return the `count` best in order of arrival."""
        best = heapq.nlargest(count, self._heap)
        return [item for _, _, item in sorted(best, key=lambda entry: -entry[1])]
