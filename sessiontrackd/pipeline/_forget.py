"""Forgetting a transcript or a session: its notes, insights, words and names, in the copies of the database too."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from sessiontrackd import archive, batches, budget, history, notes, queue, report
from sessiontrackd.config import Home, Settings
from sessiontrackd.errors import Busy, UsageError
from sessiontrackd.history import History
from sessiontrackd.model import JobState
from sessiontrackd.queue import Queue
from sessiontrackd.search import FILE, Search
from sessiontrackd.store import Store, open_store

LEAST_ID_CHARS = 4
REASON = "forgotten; it is read again when you name it with `process`, or when it changes"


class Memory(Struct, frozen=True):
    """What is known of transcripts and sessions.

    Attributes:
        sources: transcripts that are forgotten whole.
        session_ids: the sessions.
        notes: every version of their notes that stands.
        own_words: those of the notes that a person edited or wrote into.
    """

    sources: tuple[bytes, ...]
    session_ids: tuple[str, ...]
    notes: tuple[Path, ...]
    own_words: tuple[Path, ...]


class Forgotten(Struct, frozen=True):
    """What was removed: notes, rows of insights and notes, sessions that `search` knew, copies of the database changed."""

    notes: int
    insights: int
    words: int
    copies: int


def memory_of(store: Store, settings: Settings, what: str) -> Memory:
    """Return what is known of a transcript, a folder of them, a note, or a session by the beginning of its id.

    Raises:
        UsageError: nothing, or several sessions are called so.
    """
    for each in settings.folders:
        if report.is_vault(each.output):
            notes.follow_moved(History(store), report.vault_root(each.output))
    path = Path(os.path.abspath(Path(what).expanduser()))
    sources = _sources(store, os.fsencode(path))
    sessions = {one for source in sources for one in history.sessions_of(store, source)}
    if not sources and (about := report.session_at(path) if path.is_file() else None):
        sessions = {about}
    if not sources and not sessions:
        sessions = _called(store, what)
    if not sources and not sessions:
        raise UsageError(
            f"Nothing is known about {what}. Name a transcript, a note, or a session's id as `search --json` has it."
        )
    standing = tuple(dict.fromkeys(path for one in sorted(sessions) for path in _versions(store, one)))
    own_words = tuple(path for path in standing if report.has_own_words(path))
    return Memory(tuple(sources), tuple(sorted(sessions)), standing, own_words)


def _sources(store: Store, path: bytes) -> list[bytes]:
    """Return the known transcripts at a path or below it."""
    rows = store.read(
        "SELECT path FROM job WHERE path = :path OR substr(path, 1, length(:below)) = :below "
        "UNION SELECT source FROM session WHERE source = :path OR substr(source, 1, length(:below)) = :below",
        {"path": path, "below": path.rstrip(b"/") + b"/"},
    )
    return [row[0] for row in rows]


def _called(store: Store, what: str) -> set[str]:
    if len(what) < LEAST_ID_CHARS:
        return set()
    rows = store.read(
        "SELECT DISTINCT session_id FROM session WHERE substr(session_id, 1, length(:id)) = :id "
        "UNION SELECT session_id FROM insight WHERE substr(session_id, 1, length(:id)) = :id",
        {"id": what},
    )
    found = {row[0] for row in rows}
    if what in found:
        return {what}
    if len(found) > 1:
        raise UsageError(f"{len(found)} sessions are called {what}…: write more of the id.")
    return found


def _versions(store: Store, session_id: str) -> list[Path]:
    """Return every version of a session's notes that stands."""
    found = []
    for known in History(store).notes.of(session_id):
        path = Path(os.fsdecode(known.path))
        numbers = (report.numbered(path, number) for number in range(1, report.MAX_VERSIONS + 1))
        found += [each for each in numbers if report.session_at(each) == report.display(session_id)]
    return found


def forget(home: Home, settings: Settings, store: Store, memory: Memory) -> Forgotten:
    """Remove all of it; what was spent and recorded stays as an amount without a name.

    Raises:
        Busy: it is being worked on just now, or a batch with it is on its way.
    """
    _require_rest(store, memory)
    notes.leave_chain(History(store), memory.notes)
    for path in memory.notes:
        path.unlink(missing_ok=True)
    for source in memory.sources:
        if folder := settings.folder_of(source):
            archive.forget(home, folder, Path(os.fsdecode(source)))
    insights = _forget_rows(store, memory)
    notes.write_indexes(History(store), settings.zone, templates_dir=home.templates_dir)
    for source in memory.sources:
        _leave(store, source)
    store.scrub()
    return Forgotten(len(memory.notes), insights, _forget_words(home, memory), _forget_in_copies(home, memory))


def _require_rest(store: Store, memory: Memory) -> None:
    for source in memory.sources:
        job = Queue(store).job(source)
        if job is not None and job.state is JobState.RUNNING:
            raise Busy(f"{job.display} is being worked on just now. Try again in a moment.")
        if batches.Batches(store).is_out(source):
            raise Busy("A batch with it is on its way, and its bill with it. Try again when the batch has ended.")


def _forget_rows(store: Store, memory: Memory) -> int:
    known, money, removed = History(store), budget.TokenManager(store=store), 0
    with store.immediate():
        removed += known.forget(memory.session_ids, memory.sources)
        for source in memory.sources:
            money.forget(source=source)
            batches.Batches(store).forget_path(source)
        for session_id in memory.session_ids:
            money.forget(session_id=session_id)
    return removed


def _leave(store: Store, source: bytes) -> None:
    """Let a transcript that still stands be left alone until it changes; drop the job of one that does not."""
    jobs = Queue(store)
    if os.path.lexists(source):
        jobs.leave(source, REASON)
    else:
        jobs.forget(source)


def _forget_words(home: Home, memory: Memory) -> int:
    if not (home.state_dir / FILE).exists():
        return 0
    words = Search.open(home.state_dir)
    try:
        return sum(words.forget(source=source) for source in memory.sources) + words.forget(
            session_ids=memory.session_ids
        )
    finally:
        words.close()


def _forget_in_copies(home: Home, memory: Memory) -> int:
    """Remove it from the daily copies of the database."""
    changed = 0
    for copy in budget.backups(home.db_path):
        with open_store(copy, queue.SCHEMA, history.SCHEMA, budget.SCHEMA, batches.SCHEMA) as store:
            changed += bool(_forget_rows(store, memory))
            for source in memory.sources:
                Queue(store).forget(source)
            for folder in History(store).lines.due():  # a copy writes no index notes
                History(store).lines.written(folder)
            store.scrub()
    return changed
