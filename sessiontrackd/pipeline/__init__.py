"""The path of one file: read it, make the insights of its sessions, keep them, write the notes."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from sessiontrackd import config, notes
from sessiontrackd.errors import Skipped
from sessiontrackd.model import Job
from sessiontrackd.pipeline._batches import Post, take_back
from sessiontrackd.pipeline._digests import composed, write_digest, write_late
from sessiontrackd.pipeline._forget import Forgotten, Memory, forget, memory_of
from sessiontrackd.pipeline._insight import insight_of, pause_of
from sessiontrackd.pipeline._plan import Work, deserves_note, generator_of, plan, shelf_of
from sessiontrackd.pipeline._preview import SAMPLE, mistakes_in, preview
from sessiontrackd.pipeline._result import Note, as_result
from sessiontrackd.pipeline._rooms import Rooms, open_rooms
from sessiontrackd.pipeline._sessions import agents_of, keep_words, readings, skip_what_was_read
from sessiontrackd.pipeline._words import cited

__all__ = [
    "SAMPLE", "Forgotten", "Memory", "Note", "Rooms", "Work", "as_result", "composed", "forget", "generator_of", "gone", "memory_of",
    "mistakes_in", "move_batches", "open_rooms", "plan", "preview", "process_job", "write_digest", "write_due_digests", "write_indexes",
]  # fmt: skip

INDEX_DELAY_S = 60.0  # while work goes on, an index note is written once in so long


async def process_job(rooms: Rooms, job: Job) -> list[Note]:
    """Take one transcript from its file to its notes.

    Raises:
        JobError: it ends otherwise; the class says in which state.
    """
    if gone(rooms, job.path):
        raise Skipped("it is no longer there; its notes stay and are marked as such")
    work = plan(rooms.settings, job)
    skip_what_was_read(rooms, work)
    if work.named:
        take_back(rooms, work)
    if not (work.again and work.named):
        rooms.batches.require_ended(work.path)
    done: list[Note] = []
    async with contextlib.aclosing(generator_of(rooms, work)) as generator:
        for reading, heard, is_one_of_many in readings(rooms, work, generator.condense_for(work.level)):
            shelf = shelf_of(rooms, work, is_one_of_many)
            title = reading.shown(reading.title)
            if not deserves_note(work, reading, is_one_of_many):
                notes.write_note(rooms.history, shelf, notes.Content(reading.session, title))
                keep_words(rooms, work, reading, heard)
                done.append(Note(reading, None, None))
                continue
            growing = None if is_one_of_many else pause_of(rooms, work, generator, reading)
            if growing is not None and growing.keeps_note:
                raise growing
            insight, shortfall, less = await insight_of(rooms, work, generator, reading, growing)
            agents = agents_of(rooms, work, reading.session)
            content = notes.Content(reading.session, title, insight, agents, cited(heard, insight, work.folder))
            path = notes.write_note(rooms.history, shelf, content)
            keep_words(rooms, work, reading, heard, insight)
            done.append(Note(reading, insight, path, shortfall, less, next(iter(shelf.mistakes), None)))
    return done


def gone(rooms: Rooms, path: bytes) -> bool:
    """Say whether a transcript is no longer there; its notes stay and say so, or tell of another one that holds the same."""
    if os.path.lexists(path):
        return False
    notes.say_gone(rooms.history, path)
    for other in filter(os.path.lexists, rooms.history.notes.held_elsewhere(path)):
        rooms.queue.look_again(other)
    return True


def write_indexes(rooms: Rooms) -> None:
    """Write the index notes that are due: all of them when no work is left, else those that are due for a while."""
    due_at = rooms.queue.next_due()
    is_busy = due_at is not None and due_at <= datetime.now(UTC)
    notes.write_indexes(
        rooms.history,
        rooms.settings.zone,
        due_for_s=INDEX_DELAY_S if is_busy else 0.0,
        templates_dir=rooms.home.templates_dir,
    )


async def move_batches(rooms: Rooms) -> bool:
    """Send what is gathered for a batch, and collect what came back. Return whether transcripts can go on."""
    return await Post(rooms).run()


def write_due_digests(rooms: Rooms) -> list[Path]:
    """Write the digests of the periods that ended since the last one, and again those for which more was read; return them."""
    now, every = datetime.now(rooms.settings.zone), rooms.settings.digest_every
    written = write_late(rooms.home, rooms.history, rooms.budget, rooms.settings, now)
    for span in config.digests_due(rooms.home, every, now.date()):
        path = write_digest(rooms.home, rooms.history, rooms.budget, rooms.settings, span)
        if path is not None:  # else its transcripts may be read later
            config.digest_done(rooms.home, span.key, now)
            written.append(path)
    return written
