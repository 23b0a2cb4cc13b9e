"""Which engines are not asked until a person has fixed something: the key, the credit, the permission or the model."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sessiontrackd.errors import CircuitOpen
from sessiontrackd.store import Schema, Store

SCHEMA = Schema(
    "circuit",
    (
        """
CREATE TABLE circuit (                 -- an engine that no request can succeed with at present
    name TEXT PRIMARY KEY,             -- engine, provider and model
    reason TEXT NOT NULL,              -- the words that its held jobs carry too
    salt TEXT NOT NULL,
    mark TEXT NOT NULL,                -- a salted digest of the key and the settings it was opened under
    opened_at INTEGER NOT NULL,        -- milliseconds since 1970
    told INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
""",
    ),
)


class Circuits:
    """The open circuits of a home.

    Args:
        store: opened with SCHEMA.
        condition: tells what a person may have mended, key and settings, in words that change with them.
        now: the clock.
    """

    def __init__(
        self, store: Store, condition: Callable[[], str], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Keep the parts."""
        self._store = store
        self._condition = condition
        self._now = now

    def reason(self, name: str) -> str | None:
        """Return why this engine is not asked; None where it may be, or was refused under another key or settings."""
        row = self._store.one("SELECT reason, salt, mark FROM circuit WHERE name = ?", (name,))
        return row["reason"] if row and row["mark"] == self._mark(row["salt"]) else None

    def open(self, name: str, reason: str) -> str:
        """Ask this engine no more; return the reason that holds, the first one where several came at once."""
        with self._store.immediate() as connection:
            if (known := self.reason(name)) is not None:
                return known
            salt = secrets.token_hex(8)
            told = self._store.one("SELECT 1 FROM circuit WHERE reason = ? AND told", (reason,)) is not None
            at = (self._now() - _EPOCH) // timedelta(milliseconds=1)
            values = (name, reason, salt, self._mark(salt), at, int(told))
            connection.execute("INSERT OR REPLACE INTO circuit VALUES (?, ?, ?, ?, ?, ?)", values)
        return reason

    def close(self, name: str | None = None, *, only_mended: bool = False) -> list[str]:
        """Ask again: this engine, or all of them.

        Args:
            name: None for all.
            only_mended: leave those that were opened under the present key and settings.

        Returns:
            The reasons that no longer hold; jobs that are held for them may go on.
        """
        with self._store.immediate() as connection:
            rows = self._store.read("SELECT * FROM circuit WHERE :name IS NULL OR name = :name", {"name": name})
            over = [row for row in rows if not (only_mended and row["mark"] == self._mark(row["salt"]))]
            connection.executemany("DELETE FROM circuit WHERE name = ?", [(row["name"],) for row in over])
        return list(dict.fromkeys(row["reason"] for row in over))

    def untold(self) -> list[str]:
        """Return the reasons that were not announced yet, and count them as announced."""
        if self._store.one("SELECT 1 FROM circuit WHERE NOT told") is None:
            return []
        with self._store.immediate() as connection:
            rows = self._store.read("SELECT reason FROM circuit WHERE NOT told ORDER BY opened_at")
            connection.execute("UPDATE circuit SET told = 1")
        return list(dict.fromkeys(row["reason"] for row in rows))

    def _mark(self, salt: str) -> str:
        return hashlib.sha256(f"{salt}\n{self._condition()}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Circuit:
    """The circuit of one engine.

    Args:
        circuits: of the home.
        name: engine, provider and model.
        is_heeded: a person who names a transcript is not kept from trying.
        mended: hears a reason that no longer holds.
    """

    def __init__(
        self, circuits: Circuits, name: str, *, is_heeded: bool = True, mended: Callable[[str], object] = lambda _: None
    ) -> None:
        """Keep the parts."""
        self._circuits = circuits
        self._name = name
        self._is_heeded = is_heeded
        self._mended = mended

    def require(self) -> None:
        """Return if the engine may be asked.

        Raises:
            CircuitOpen: it may not; nothing was sent.
        """
        if self._is_heeded and (reason := self._circuits.reason(self._name)) is not None:
            raise CircuitOpen(reason)

    def trip(self, reason: str) -> CircuitOpen:
        """Ask this engine no more; return the error that says so."""
        return CircuitOpen(self._circuits.open(self._name, reason))

    def mend(self) -> None:
        """Note that it answered."""
        if self._circuits.reason(self._name) is not None:
            for reason in self._circuits.close(self._name):
                self._mended(reason)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
