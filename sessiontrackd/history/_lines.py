"""The lines of the index notes, and which index notes are out of date."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from msgspec import Struct

from sessiontrackd.history._moments import from_ms, to_ms
from sessiontrackd.store import Store


class Line(Struct, frozen=True):
    """A session in an index note. Paths are what the kernel takes; `note` is None where it has a line only."""

    root: bytes
    session_id: str
    folder: bytes
    source: bytes
    title: str
    started_at: datetime | None
    summary: str
    open_items: int
    note: bytes | None
    mode: int


class Lines:
    """The lines in the store, which is opened with the history's schema."""

    def __init__(self, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Keep the parts."""
        self._store = store
        self._now = now

    def keep(self, lines: Iterable[Line]) -> None:
        """Store lines; the index notes that hold them are due, be it only that their template changed."""
        for line in lines:
            before = self._store.one(
                "SELECT * FROM line WHERE (root, session_id) = (?, ?)", (line.root, line.session_id)
            )
            values = _row(line)
            if before is not None and tuple(before) == values:
                self._is_due(line.folder)
                continue
            with self._store.immediate() as connection:
                connection.execute("INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
                if before is not None:
                    self._is_due(before["folder"])
                self._is_due(line.folder)

    def of(self, folder: bytes) -> list[Line]:
        """Return the lines of one index note."""
        return [_line(row) for row in self._store.read("SELECT * FROM line WHERE folder = ?", (folder,))]

    def indexes(self) -> list[tuple[bytes, bool]]:
        """Return the folders that have an index note, each with whether it is a project's in a vault."""
        return [
            tuple(row) for row in self._store.read("SELECT DISTINCT folder, root != folder FROM line ORDER BY folder")
        ]

    def due(self, for_at_least_s: float = 0.0) -> list[bytes]:
        """Return the folders whose index note has been out of date for at least so many seconds."""
        latest = to_ms(self._now()) - round(for_at_least_s * 1000)
        return [
            row[0]
            for row in self._store.read("SELECT folder FROM index_note WHERE due_at <= ? ORDER BY folder", (latest,))
        ]

    def written(self, folder: bytes) -> None:
        """Remember that an index note says what its lines say."""
        with self._store.immediate() as connection:
            connection.execute("DELETE FROM index_note WHERE folder = ?", (folder,))

    def forget(self, session_ids: Iterable[str], sources: Iterable[bytes]) -> None:
        """Remove the lines of sessions and of transcripts; their index notes are due."""
        named = (*(("session_id", one) for one in session_ids), *(("source", one) for one in sources))
        with self._store.immediate() as connection:
            for column, value in named:
                for row in self._store.read(f"SELECT DISTINCT folder FROM line WHERE {column} = ?", (value,)):
                    self._is_due(row[0])
                connection.execute(f"DELETE FROM line WHERE {column} = ?", (value,))

    def _is_due(self, folder: bytes) -> None:
        if self._store.one("SELECT 1 FROM index_note WHERE folder = ?", (folder,)) is not None:
            return
        with self._store.immediate() as connection:
            connection.execute("INSERT OR IGNORE INTO index_note VALUES (?, ?)", (folder, to_ms(self._now())))


def _row(line: Line) -> tuple[object, ...]:
    started_at = None if line.started_at is None else to_ms(line.started_at)
    return (
        line.root, line.session_id, line.folder, line.source, line.title, started_at, line.summary, line.open_items,
        line.note, line.mode,
    )  # fmt: skip


def _line(row: object) -> Line:
    values = list(row)  # type: ignore[call-overload]
    values[5] = None if values[5] is None else from_ms(values[5])
    return Line(*values)
