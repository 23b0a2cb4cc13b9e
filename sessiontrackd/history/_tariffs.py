"""What recorded replies cost, kept: importing the price package takes longer than all else that a note needs."""

from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime

import msgspec

from sessiontrackd.errors import Busy, StoreError, Unpriced
from sessiontrackd.pricing import Prices, Tariff, package
from sessiontrackd.store import Store


class Tariffs:
    """The tariffs of what is recorded already; before money is spent the package itself is asked.

    Args:
        store: opened with the history's tables.
        prices: the user's own and the package's.
    """

    def __init__(self, store: Store, prices: Prices) -> None:
        """Keep the parts."""
        self._store = store
        self._prices = prices
        self._found: dict[tuple[str, date], Tariff | None] = {}  # by model and day (UTC)

    def of(self, model: str, at: datetime) -> Tariff | None:
        """Return what a model cost on a day (UTC); None where that is unknown."""
        key = model, at.astimezone(UTC).date()
        if key not in self._found:
            self._found[key] = self._prices.at_hand(model, at) or self._packaged(model, at)
        return self._found[key]

    def _packaged(self, model: str, at: datetime) -> Tariff | None:
        key = package(), model, at.date().isoformat()
        row = self._store.one("SELECT body FROM tariff WHERE (package, model, day) = (?, ?, ?)", key)
        if row is not None:
            return msgspec.json.decode(row["body"], type=Tariff | None)
        found = None
        with contextlib.suppress(Unpriced):
            found = self._prices.tariff(model, at)
        with contextlib.suppress(StoreError, Busy), self._store.immediate() as connection:  # it is only asked again
            connection.execute("DELETE FROM tariff WHERE package <> ?", key[:1])
            connection.execute("INSERT OR REPLACE INTO tariff VALUES (?, ?, ?, ?)", (*key, msgspec.json.encode(found)))
        return found
