"""How far growing transcripts have been read, so that reading their recorded usage continues there."""

from __future__ import annotations

import sqlite3

from msgspec import Struct

from sessiontrackd.model import Fingerprint, Session, Trail
from sessiontrackd.store import Store


class Cursor(Struct, frozen=True):
    """The place up to which a transcript was read, and what tells that it is still the same file."""

    source: bytes
    format: str
    session_id: str
    working_directory: str | None
    folder: str | None
    project: str | None
    fingerprint: Fingerprint
    sha256_before: bytes
    trail: Trail

    def moved(self, fingerprint: Fingerprint, sha256_before: bytes, trail: Trail) -> Cursor:
        """Return the cursor at a later place."""
        about = (self.source, self.format, self.session_id, self.working_directory, self.folder, self.project)
        return Cursor(*about, fingerprint, sha256_before, trail)

    def is_of(self, session: Session) -> bool:
        """Say whether a session is still called what it was, so that its rows keep their names."""
        return (session.session_id, session.project) == (self.session_id, self.working_directory)


class Cursors:
    """The cursors in the store, which is opened with the history's schema."""

    def __init__(self, store: Store) -> None:
        """Keep the store."""
        self._store = store

    def keep(self, cursor: Cursor) -> None:
        """Store a cursor in place of the transcript's former one."""
        seen = cursor.fingerprint
        values = (
            cursor.source, cursor.format, cursor.session_id, cursor.working_directory, cursor.folder, cursor.project,
            str(seen.device), str(seen.inode), seen.size_bytes, seen.mtime_ns, cursor.trail.offset_bytes,
            cursor.sha256_before, cursor.trail.state,
        )  # fmt: skip
        with self._store.immediate() as connection:
            connection.execute(f"INSERT OR REPLACE INTO cursor VALUES ({', '.join('?' * len(values))})", values)

    def of(self, source: bytes) -> Cursor | None:
        """Return a transcript's cursor."""
        row = self._store.one("SELECT * FROM cursor WHERE source = ?", (source,))
        return _cursor(row) if row else None

    def seen(self) -> list[tuple[bytes, Fingerprint]]:
        """Return every transcript that has a cursor, and what was seen of it."""
        rows = self._store.read("SELECT source, device, inode, size_bytes, mtime_ns FROM cursor")
        return [(row["source"], _fingerprint(row)) for row in rows]

    def drop(self, source: bytes) -> None:
        """Forget how far a transcript was read."""
        with self._store.immediate() as connection:
            connection.execute("DELETE FROM cursor WHERE source = ?", (source,))


def _fingerprint(row: sqlite3.Row) -> Fingerprint:
    return Fingerprint(int(row["device"]), int(row["inode"]), row["size_bytes"], row["mtime_ns"])


def _cursor(row: sqlite3.Row) -> Cursor:
    return Cursor(
        row["source"],
        row["format"],
        row["session_id"],
        row["working_directory"],
        row["folder"],
        row["project"],
        _fingerprint(row),
        row["sha256_before"],
        Trail(row["offset_bytes"], row["state"]),
    )
