"""Recorded usage of growing transcripts, read on from where the last reading ended."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sessiontrackd import readers
from sessiontrackd.errors import Busy, JobError, StoreError
from sessiontrackd.history import Cursor, History
from sessiontrackd.model import Session
from sessiontrackd.records import Source, open_source


def begin(history: History, source: Source, session: Session, folder: str | None, project: str | None) -> None:
    """Remember how far a session's transcript was read, where its format can be read on.

    Args:
        history: where the session was recorded.
        source: its transcript.
        session: read to its end.
        folder: the watched folder.
        project: the folder's setting.
    """
    path, trail = os.fsencode(source.path), session.trail
    is_sum = session.usage is not None and not session.usage_records  # what is recorded is no row a reply
    if trail is None or is_sum or not _is_timed(session):
        if history.cursors.of(path) is not None:
            history.cursors.drop(path)
        return
    about = (path, session.format, session.session_id, session.project, folder, project)
    history.cursors.keep(Cursor(*about, source.fingerprint, source.sha256_before(trail.offset_bytes), trail))


def follow(history: History, path: bytes) -> bool:
    """Bring the recorded usage of a transcript up to date from its cursor on.

    Returns:
        Whether that was possible: not without a cursor, nor where the file is another one, was cut or rewritten, or
        its session is called otherwise now. Then it is to be read again whole.
    """
    with contextlib.suppress(JobError, StoreError, Busy, OSError):  # then it is brought up to date another time
        cursor = history.cursors.of(path)
        if cursor is None:
            return False
        source = open_source(Path(os.fsdecode(path)))
        if not _goes_on(source, cursor):
            return False
        session = readers.follow(source, cursor.trail, cursor.format)
        if session is None or session.trail is None or not (cursor.is_of(session) and _is_timed(session)):
            return False
        before = source.sha256_before(session.trail.offset_bytes)
        history.record_growth(session, cursor.moved(source.fingerprint, before, session.trail))
        return True
    return False


def follow_all(history: History) -> None:
    """Bring the recorded usage of every transcript up to date that has grown since it was read."""
    for path, seen in history.cursors.seen():
        with contextlib.suppress(OSError):
            found = os.stat(path)
            if (found.st_size, found.st_mtime_ns) != (seen.size_bytes, seen.mtime_ns):
                follow(history, path)


def _is_timed(session: Session) -> bool:
    """Say whether all replies have a time: one without has that of the session's end, which moves as it grows."""
    return all(record.at is not None for record in session.usage_records)


def _goes_on(source: Source, cursor: Cursor) -> bool:
    """Say whether what was read still stands at the beginning of the file."""
    seen, found, offset_bytes = cursor.fingerprint, source.fingerprint, cursor.trail.offset_bytes
    is_same = (seen.device, seen.inode) == (found.device, found.inode) and found.size_bytes >= seen.size_bytes
    return is_same and source.is_plain and source.sha256_before(offset_bytes) == cursor.sha256_before
