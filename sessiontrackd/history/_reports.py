"""The notes that were written, where they are now, and which of them the user deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from msgspec import Struct

from sessiontrackd.history._moments import from_ms, to_ms
from sessiontrackd.store import Store

_COLUMNS = "path, source, session_id, level, engine, title, body_sha256, at, is_deleted"


NEAR_MOST, SEEN_MOST = 8, 200  # notes that may be gone without a word, and sessions looked at, until none is found


class Report(Struct, frozen=True):
    """A note that was written. Paths are what the kernel takes."""

    path: bytes
    source: bytes
    session_id: str
    level: str
    engine: str
    title: str
    body_sha256: str
    at: datetime
    is_deleted: bool = False


class Reports:
    """The notes in the store, which is opened with the history's schema."""

    def __init__(self, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Keep the parts."""
        self._store = store
        self._now = now

    def keep(
        self,
        source: bytes,
        session_id: str,
        path: bytes,
        *,
        level: str,
        engine: str,
        title: str,
        body_sha256: str = "",
        at: datetime | None = None,
    ) -> None:
        """Remember a note that was written.

        Args:
            source: the transcript.
            session_id: the session; '' for an index.
            path: the note.
            level: of its insight.
            engine: of its insight.
            title: as it stands in the note.
            body_sha256: of what was written, to notice edits.
            at: when; now.
        """
        values = (path, source, session_id, str(level), engine, title, body_sha256, to_ms(at or self._now()), False)
        with self._store.immediate() as connection:
            connection.execute(f"INSERT OR REPLACE INTO report ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)

    def newest(self, limit: int = 20) -> list[Report]:
        """Return the newest notes."""
        return self._found("ORDER BY at DESC, rowid DESC LIMIT ?", limit)

    def of(self, session_id: str, source: bytes | None = None) -> list[Report]:
        """Return the notes of a session, from one transcript or from any; the newest first."""
        where = "WHERE session_id = ? AND (? IS NULL OR source = ?) ORDER BY at DESC, rowid DESC"
        return self._found(where, session_id, source, source)

    def of_source(self, source: bytes) -> list[Report]:
        """Return the notes of a transcript, in the order in which they were first written."""
        return self._found("WHERE source = ? ORDER BY rowid", source)

    def held_elsewhere(self, source: bytes) -> list[bytes]:
        """Return the transcripts that hold sessions of this one's notes, and have no note of these themselves."""
        rows = self._store.read(
            "SELECT DISTINCT other.source FROM report JOIN session AS other USING (session_id) "
            "WHERE report.source = ? AND NOT report.is_deleted AND other.source != report.source AND NOT EXISTS "
            "(SELECT 1 FROM report AS own WHERE (own.session_id, own.source) = (other.session_id, other.source))",
            (source,),
        )
        return [row[0] for row in rows]

    def at(self, path: bytes) -> Report | None:
        """Return the note at this place."""
        return next(iter(self._found("WHERE path = ?", path)), None)

    def near(self, session_id: str, source: bytes, below: bytes, *, later: bool = False) -> list[Report]:
        """Return notes of sessions of the same project that began before this one, or after it; the nearest first.

        Args:
            session_id: the session, which was recorded.
            source: its transcript.
            below: the folder that holds the notes, with what lies in it.
            later: those after it.
        """
        sign, order = (">", "") if later else ("<", "DESC")
        columns = ", ".join(f"report.{name}" for name in _COLUMNS.split(", "))
        return [
            _report(row)
            for row in self._store.read(
                f"""
SELECT {columns} FROM (
    SELECT other.session_id, other.source, other.started_at FROM session AS one JOIN session AS other
    ON other.project IS one.project AND (other.started_at, other.session_id) {sign} (one.started_at, one.session_id)
    WHERE (one.session_id, one.source) = (?, ?) AND other.session_id != one.session_id
    ORDER BY other.started_at {order}, other.session_id {order} LIMIT {SEEN_MOST}
) AS other JOIN report ON (report.session_id, report.source) = (other.session_id, other.source)
WHERE NOT report.is_deleted AND substr(report.path, 1, length(?)) = ?
ORDER BY other.started_at {order}, other.session_id {order}, report.at LIMIT {NEAR_MOST}""",
                (session_id, source, below, below),
            )
        ]

    def is_any_below(self, folder: bytes) -> bool:
        """Say whether there is a note below a folder that the user did not delete."""
        return bool(self._found("WHERE NOT is_deleted AND substr(path, 1, length(?)) = ? LIMIT 1", folder, folder))

    def versions(self) -> list[Report]:
        """Return the notes that were written beside one that a person edited: `….insights.2.md`, `… (5f0c).3.md`."""
        return self._found(
            "WHERE CAST(path AS TEXT) GLOB '*.[0-9].md' OR CAST(path AS TEXT) GLOB '*.[0-9][0-9].md' ORDER BY path"
        )

    def move(self, before: bytes, after: bytes) -> None:
        """Remember that a note stands elsewhere now."""
        with self._store.immediate() as connection:
            connection.execute("UPDATE OR REPLACE report SET path = ?, is_deleted = 0 WHERE path = ?", (after, before))

    def is_gone(self, path: bytes, is_deleted: bool) -> None:
        """Remember that the user deleted a note, or that it is there again."""
        with self._store.immediate() as connection:
            connection.execute("UPDATE report SET is_deleted = ? WHERE path = ?", (is_deleted, path))

    def adopt(self, root: bytes, found: Callable[[], Iterable[tuple[str, bytes]]]) -> None:
        """Look once for the notes that an earlier home left below a root: what stands there is found again.

        Args:
            root: the folder.
            found: looks for them: pairs of session id and path.
        """
        if self._store.one("SELECT 1 FROM vault WHERE root = ?", (root,)):
            return
        with self._store.immediate() as connection:
            connection.execute("INSERT OR IGNORE INTO vault VALUES (?)", (root,))
            for session_id, path in found():
                connection.execute(
                    f"INSERT OR IGNORE INTO report ({_COLUMNS}) VALUES (?, x'', ?, '', '', '', '', 0, 0)",
                    (path, session_id),
                )

    def _found(self, rest: str, *values: object) -> list[Report]:
        return [_report(row) for row in self._store.read(f"SELECT {_COLUMNS} FROM report {rest}", values)]


def _report(row: sqlite3.Row) -> Report:
    return Report(
        path=row["path"],
        source=row["source"],
        session_id=row["session_id"],
        level=row["level"],
        engine=row["engine"],
        title=row["title"],
        body_sha256=row["body_sha256"],
        at=from_ms(row["at"]),
        is_deleted=bool(row["is_deleted"]),
    )
