"""One job, from the queue to a state: whatever goes wrong ends in one."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct, structs

from sessiontrackd import archive, channels, following, watch
from sessiontrackd.errors import Busy, Growing, JobError, SessiontrackdError, StoreError, Waiting
from sessiontrackd.model import Degraded, Fingerprint, Job, JobState
from sessiontrackd.pipeline import Note, Rooms, process_job

log = logging.getLogger(__name__)

Process = Callable[[Rooms, Job], Awaitable[list[Note]]]

STORE_RETRY_S = 60.0  # after a full disk or a locked database
DEFAULT_STABLE_S = 2.0  # for a path outside the watched folders


class Outcome(Struct, frozen=True):
    """How one job ended."""

    state: JobState
    reason: str | None = None
    notes: tuple[Note, ...] = ()
    grows: bool = False


async def do(rooms: Rooms, job: Job, process: Process = process_job) -> Outcome:
    """Take one job through the pipeline and write down how it ended; whatever goes wrong ends in a state.

    Args:
        rooms: what the process works with.
        job: as the queue gave it.
        process: the pipeline.
    """
    began_s = time.monotonic()
    read = watch.fingerprint(job.path)
    try:
        outcome, delay_s = await _outcome(rooms, job, read, process)
    except BaseException:  # told to end: the job waits for the next worker
        rooms.queue.finish(job, JobState.WAITING)
        raise
    with rooms.store.immediate():
        state = rooms.queue.finish(job, outcome.state, outcome.reason, delay_s, read=read, grows=outcome.grows)
        if outcome.notes:
            rooms.queue.degrade(job, _degraded(outcome.notes))
    log.info("%s: %s in %.2f s%s", job.display, state, time.monotonic() - began_s, _because(outcome.reason))
    keep_copy(rooms, job, state)
    tell = teller_of(rooms)
    await channels.tell_due(rooms.budget, rooms.alerts, rooms.settings, tell)
    await channels.tell_recorded(rooms.history, rooms.alerts, rooms.settings, tell)
    await channels.tell_open(rooms.circuits, rooms.budget, rooms.alerts, tell)
    for note in outcome.notes:
        if note.report_path is not None and not job.named:  # who names a transcript sees its report
            tell.ready(note.report_path)
    return outcome


def keep_copy(rooms: Rooms, job: Job, state: JobState) -> None:
    """Keep a copy of a transcript whose folder asks for that; without room for it work goes on."""
    path = Path(os.fsdecode(job.path))
    folder = rooms.settings.folder_of(job.path)
    if folder is None or not folder.archive or state not in (JobState.DONE, JobState.HELD):
        return
    try:
        archive.keep(rooms.home, folder, path)
    except OSError as error:
        log.warning("%s was not archived: %s", job.display, error.strerror)


def teller_of(rooms: Rooms) -> channels.Teller:
    """Return who tells what this home has to tell."""
    return channels.Teller(rooms.settings, rooms.home, channels.Notices(rooms.store))


async def _outcome(rooms: Rooms, job: Job, seen: Fingerprint | None, process: Process) -> tuple[Outcome, float]:
    rest_s = 0.0 if job.named else _rest_s(rooms, job, seen)
    if rest_s:
        following.follow(rooms.history, job.path)
        return Outcome(JobState.WAITING, "it is still being written"), rest_s
    try:
        notes = tuple(await process(rooms, job))
        if shortfall := next((note.shortfall for note in notes if note.shortfall), None):
            grows = isinstance(shortfall, Growing)
            return Outcome(shortfall.state, str(shortfall), notes, grows), _delay_s(shortfall)
        mistake = next((f"made by our own template: {note.mistake}" for note in notes if note.mistake), None)
        return Outcome(JobState.DONE, mistake, notes), 0.0
    except JobError as error:
        return Outcome(error.state, str(error), grows=isinstance(error, Growing)), _delay_s(error)
    except (StoreError, Busy) as error:
        return Outcome(JobState.WAITING, str(error)), STORE_RETRY_S
    except SessiontrackdError as error:
        return Outcome(JobState.FAILED, str(error)), 0.0
    except Exception as error:  # noqa: BLE001 - a fault of ours in one transcript must not stop the others
        # The error's own text may quote the transcript, so the log gets its kind and its place only.
        log.error("%s: %s at\n%s", job.display, type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
        return Outcome(JobState.FAILED, f"an internal error ({type(error).__name__}); see the log"), 0.0


def _degraded(notes: Iterable[Note]) -> Degraded | None:
    """Return what the sessions of a transcript got less than was asked for, in one."""
    found = [note.degraded for note in notes if note.degraded]
    if not found:
        return None
    costs = [each.cost_picousd for each in found]
    total = sum(cost or 0 for cost in costs)
    worst = next((each for each in found if each.given in ("hold", "local")), found[0])
    return structs.replace(worst, sessions=len(found), cost_picousd=None if None in costs else total)


def _rest_s(rooms: Rooms, job: Job, seen: Fingerprint | None) -> float:
    """Return how long the file must still rest, where it is no longer the one that was offered."""
    if seen is None or seen == job.fingerprint:
        return 0.0
    folder = rooms.settings.folder_of(job.path)
    return watch.rest_s(seen, datetime.now(UTC), folder.stable_s if folder else DEFAULT_STABLE_S)


def _delay_s(error: JobError) -> float:
    return error.delay_s if isinstance(error, Waiting) else 0.0


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
