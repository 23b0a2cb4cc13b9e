"""Alerts other than the budget's: new reports, collected; alerts that were not delivered; snoozing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from sessiontrackd.store import Schema, Store

GATHER_S = 300.0  # reports are told at most so often
KEPT = 50  # notices that are remembered
SHOWN_DAYS = 7  # what nobody was told is shown for so long

SCHEMA = Schema(
    "notices",
    (
        """
CREATE TABLE notice (                  -- what was said, or could not be
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,                -- budget, circuit, daemon
    text TEXT NOT NULL,
    at INTEGER NOT NULL,               -- milliseconds since 1970
    missed TEXT                        -- why no channel took it; NULL where one did
) STRICT;
CREATE TABLE ready (                   -- reports that nobody was told of yet
    path BLOB PRIMARY KEY,
    at INTEGER NOT NULL                -- milliseconds since 1970
) STRICT, WITHOUT ROWID;
CREATE TABLE clock (                   -- moments
    name TEXT PRIMARY KEY,             -- told: when reports were told of last; snoozed: until when nothing is shown
    at INTEGER NOT NULL                -- milliseconds since 1970
) STRICT, WITHOUT ROWID;
""",
    ),
)
TOLD, SNOOZED = "told", "snoozed"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Notice(NamedTuple):
    """Something that was said, or could not be."""

    at: datetime
    kind: str
    text: str
    missed: str | None

    @property
    def document(self) -> dict[str, str | None]:
        """The notice as JSON has it."""
        return self._asdict() | {"at": self.at.isoformat(timespec="seconds")}


class Notices:
    """The notices in the store.

    Args:
        store: opened with SCHEMA.
        now: the clock.
    """

    def __init__(self, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Keep the parts."""
        self._store = store
        self._now = now

    def keep(self, kind: str, text: str, missed: str | None) -> None:
        """Remember what was said, and whether anybody heard it."""
        with self._store.immediate() as connection:
            values = (kind, text, _ms(self._now()), missed)
            connection.execute("DELETE FROM notice WHERE text = ? AND missed IS NOT NULL", (text,))  # told anew
            connection.execute("INSERT INTO notice (kind, text, at, missed) VALUES (?, ?, ?, ?)", values)
            connection.execute("DELETE FROM notice WHERE id <= (SELECT max(id) FROM notice) - ?", (KEPT,))

    def last(self, limit: int = 20) -> list[Notice]:
        """Return what was said last, the newest first."""
        return [_notice(row) for row in self._store.read("SELECT * FROM notice ORDER BY id DESC LIMIT ?", (limit,))]

    def missed(self) -> list[Notice]:
        """Return the alerts of the last days that were not delivered, the newest first."""
        since = _ms(self._now() - timedelta(days=SHOWN_DAYS))
        query = "SELECT * FROM notice WHERE missed IS NOT NULL AND at >= ? ORDER BY id DESC LIMIT 5"
        return [_notice(row) for row in self._store.read(query, (since,))]

    def was_said_lately(self, kind: str, text: str) -> bool:
        """Say whether the same was said within a day, but for its numbers: what happens again and again is told once."""
        since = _ms(self._now() - timedelta(days=1))
        rows = self._store.read("SELECT text FROM notice WHERE kind = ? AND at >= ?", (kind, since))
        return _unnumbered(text) in {_unnumbered(row["text"]) for row in rows}

    def snooze(self, until: datetime | None) -> None:
        """Show nothing until then; None: show again."""
        with self._store.immediate() as connection:
            at = 0 if until is None else _ms(until)
            connection.execute("INSERT OR REPLACE INTO clock VALUES (?, ?)", (SNOOZED, at))

    def snoozed_until(self) -> datetime | None:
        """Return until when nothing is shown; None where everything is."""
        at = self._at(SNOOZED)
        return None if at <= _ms(self._now()) else _EPOCH + timedelta(milliseconds=at)

    def ready(self, path: Path) -> None:
        """Note that a report is ready; one that is written again meanwhile counts once."""
        with self._store.immediate() as connection:
            values = (os.fsencode(path), _ms(self._now()))
            connection.execute("INSERT OR REPLACE INTO ready VALUES (?, ?)", values)

    def due_s(self) -> float:
        """Return in how many seconds new reports may be announced; infinite if there are none."""
        if self._store.one("SELECT 1 FROM ready LIMIT 1") is None:
            return float("inf")
        return max(0.0, GATHER_S - (_ms(self._now()) - self._at(TOLD)) / 1000)

    def gathered(self) -> list[Path]:
        """Return the reports to announce now, the newest first, and count them as announced."""
        with self._store.immediate() as connection:
            if self.due_s() > 0:
                return []
            rows = connection.execute("SELECT path FROM ready ORDER BY at DESC").fetchall()
            connection.execute("DELETE FROM ready")
            connection.execute("INSERT OR REPLACE INTO clock VALUES (?, ?)", (TOLD, _ms(self._now())))
        return [Path(os.fsdecode(row["path"])) for row in rows]

    def _at(self, name: str) -> int:
        row = self._store.one("SELECT at FROM clock WHERE name = ?", (name,))
        return 0 if row is None else int(row["at"])


def _notice(row: Any) -> Notice:
    return Notice(_EPOCH + timedelta(milliseconds=row["at"]), row["kind"], row["text"], row["missed"])


def _unnumbered(text: str) -> str:
    return re.sub(r"\d+", "", text)


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)
