"""Removing what was read from a transcript or session; the amounts stay, without a name."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from sqlite3 import Connection

from sessiontrackd.history._lines import Lines
from sessiontrackd.store import Store

NOBODY = "forgotten"
# Keys that hold the session's id get another name; message ids stay, so that no reply is counted again.
_UNNAME = """
UPDATE recorded SET source = x'', project = NULL, session_id = :nobody,
    key = CASE WHEN substr(key, 1, length(:start)) = :start THEN :mark || substr(key, length(:start) + 1) ELSE key END
WHERE session_id = :session_id
"""


def sessions_of(store: Store, source: bytes) -> set[str]:
    """Return the sessions that were read from a transcript."""
    return {
        row[0]
        for table in ("session", "report")
        for row in store.read(f"SELECT session_id FROM {table} WHERE source = ? AND session_id != ''", (source,))
    }


def forget(store: Store, sessions: Collection[str], sources: Collection[bytes]) -> int:
    """Remove insights, notes' places, names and index lines; return how many insights and notes were removed."""
    removed = 0
    with store.immediate() as connection:
        Lines(store).forget(sessions, sources)
        for one in sessions:
            for table in ("insight", "report"):
                removed += connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (one,)).rowcount
            for table in ("session", "cursor"):
                connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (one,))
            names = {"nobody": NOBODY, "session_id": one, "start": f"{one}#", "mark": _mark(one)}
            connection.execute(_UNNAME, names)
        for source in sources:
            removed += connection.execute("DELETE FROM report WHERE source = ?", (source,)).rowcount
            connection.execute("DELETE FROM cursor WHERE source = ?", (source,))
    return removed


def take_back(connection: Connection, session_id: str) -> None:
    """Drop the unnamed sums of a session that is read again, so that they are not counted twice."""
    mark = _mark(session_id)
    connection.execute("DELETE FROM recorded WHERE key >= ? AND key < ?", (mark, f"{mark[:-1]}$"))  # $ follows #


def _mark(session_id: str) -> str:
    return f"{NOBODY}:{hashlib.sha256(session_id.encode('utf-8', 'replace')).hexdigest()[:24]}#"
