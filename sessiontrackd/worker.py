"""Takes jobs from the queue through the pipeline; ends when idle. Killing it loses nothing."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import stat
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from sessiontrackd import archive, channels, following, readers, templates, watch
from sessiontrackd.config import Home, start_logging
from sessiontrackd.errors import Busy, Growing, JobError, LedgerDamaged, SessiontrackdError, StoreError, Waiting
from sessiontrackd.insights import Calls
from sessiontrackd.model import Degraded, Fingerprint, Job, JobState
from sessiontrackd.pipeline import (
    Note,
    Rooms,
    as_result,
    gone,
    move_batches,
    open_rooms,
    process_job,
    write_due_digests,
    write_indexes,
)
from sessiontrackd.privacy import Redactor

log = logging.getLogger(__name__)

Process = Callable[[Rooms, Job], Awaitable[list[Note]]]

GRACE_S = 1.2  # what a job gets to end in after SIGTERM; then it is put back
CALL_GRACE_S = 20.0  # what a request that may be billed gets to be answered in; the job's GRACE_S begins after it
ALARM_S = 0.1  # how often a worker that is to end looks whether it must
SOON_S = 5.0  # an idle worker stays for a job that is due by then
UNTOLD_IDLES = 5  # an idle worker stays so much longer for a notification that is told again by then
LOOK_S = 5.0  # how often the queue is looked at without being told
STORE_RETRY_S = 60.0  # after a full disk or a locked database
DEFAULT_STABLE_S = 2.0  # for a path outside the watched folders
OTHERS_S = 0.1  # how often a transcript that another process works on is looked at
KILLED = 128 + signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Outcome:
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
        log.warning("no copy of %s was kept: %s", job.display, error.strerror)


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
        return Outcome(JobState.FAILED, f"a fault of sessiontrackd ({type(error).__name__}); its log says where"), 0.0


def _degraded(notes: Iterable[Note]) -> Degraded | None:
    """Return what the sessions of a transcript got less than was asked for, in one."""
    found = [note.degraded for note in notes if note.degraded]
    if not found:
        return None
    costs = [each.cost_picousd for each in found]
    total = sum(cost or 0 for cost in costs)
    worst = next((each for each in found if each.given in ("hold", "local")), found[0])
    return replace(worst, sessions=len(found), cost_picousd=None if None in costs else total)


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


async def process_path(
    rooms: Rooms,
    path: Path,
    *,
    level: str | None = None,
    engine: str | None = None,
    again: bool = False,
    by_name: bool = True,
) -> dict[str, Any]:
    """Take one transcript through the queue now, in this process, and return what became of it.

    Where another process works on it just now, wait for that one.

    Args:
        rooms: what the process works with.
        path: the transcript.
        level: instead of the folder's.
        engine: instead of the folder's.
        again: make the insight anew.
        by_name: a person named this path, not only its folder.

    Returns:
        {"path", "state", "reason", "sessions"}, the shape of `process --json`.
    """
    raw, seen = os.fsencode(path), watch.fingerprint(os.fsencode(path))
    if seen is None:
        gone(rooms, raw)
        return _result(path, Outcome(JobState.FAILED, _absence(path)))
    folder = rooms.settings.folder_of(raw)
    name = str(folder.path) if folder else None
    rooms.queue.recover()
    rooms.queue.offer(raw, watch.display(raw), seen, name, level=level, engine=engine, again=again, named=by_name)
    while (job := rooms.queue.take(rooms.store.owner, path=raw)) is None:
        standing = rooms.queue.job(raw)
        if standing is None or standing.state not in (JobState.RUNNING, JobState.WAITING):
            return _result(
                path, Outcome(standing.state if standing else JobState.FAILED, standing.reason if standing else None)
            )
        await asyncio.sleep(OTHERS_S)
    return _result(path, await do(rooms, job))


def _absence(path: Path) -> str:
    return "there is no such file" if not os.path.lexists(path) else "it is no regular file"


def _result(path: Path, outcome: Outcome) -> dict[str, Any]:
    sessions = [as_result(note) for note in outcome.notes]
    return {
        "path": os.fsencode(path).decode("utf-8", "replace"),
        "state": outcome.state.value,
        "reason": outcome.reason,
        "sessions": sessions,
    }


def warm_up() -> None:
    """Do what the first job would have to wait for, while its file still rests: compile rules and templates."""
    Redactor().redact("a word")
    readers.all_readers()
    templates.environment()


class Worker:
    """Works until nothing is left to do for a while, or until told to stop.

    Args:
        rooms: what it works with.
        idle_s: how long it stays without work.
        process: the pipeline.
    """

    def __init__(self, rooms: Rooms, idle_s: float, process: Process = process_job) -> None:
        """Keep the parts."""
        self._rooms = rooms
        self._idle_s = idle_s
        self._process = process
        self._is_ending = False
        self._poked = asyncio.Event()
        self._in_flight: set[asyncio.Task[Outcome]] = set()
        self._copied_on: date | None = None
        self._told_on: date | None = None

    def poke(self) -> None:
        """Look at the queue now."""
        self._poked.set()

    def end(self) -> None:
        """Start no new job."""
        if self._rooms.calls.in_flight and not self._is_ending:
            log.info("ending when requests in flight are answered: %d", self._rooms.calls.in_flight)
        self._is_ending = True
        self._poked.set()

    async def run(self) -> None:
        """Work; as many jobs at once as may wait for the network."""
        try:
            async with asyncio.TaskGroup() as jobs:
                await self._run(jobs)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _run(self, jobs: asyncio.TaskGroup) -> None:
        clock = asyncio.get_running_loop().time
        idle_since_s, is_warm = clock(), False
        while not self._is_ending:
            write_indexes(self._rooms)
            if (job := self._next()) is not None:
                await self._start(jobs, job)
                idle_since_s, is_warm, self._told_on = clock(), True, None
                continue
            if not is_warm:
                is_warm = True
                warm_up()
                continue
            await self._keep_a_copy()
            self._write_digest(clock() - idle_since_s)
            if self._in_flight:
                idle_since_s = clock()
            elif await move_batches(self._rooms):
                continue
            due_s = LOOK_S if self._is_full else self._due_s()
            left_s = self._idle_s - (clock() - idle_since_s)
            await channels.tell_again(self._rooms.budget, self._rooms.alerts, teller_of(self._rooms))
            is_told = not self._is_to_tell() and await self._gather()
            if left_s <= 0 and due_s > SOON_S and not self._in_flight and is_told:
                return
            await self._rest(min(due_s, LOOK_S, left_s if left_s > 0 else LOOK_S))
        write_indexes(self._rooms)

    async def _keep_a_copy(self) -> None:
        """Copy the database, once a day and when nothing else is to be done; a damaged ledger is not copied."""
        today = datetime.now(self._rooms.settings.zone).date()
        if self._copied_on == today:
            return
        self._copied_on = today
        try:
            await asyncio.to_thread(self._rooms.budget.back_up)
        except SessiontrackdError as error:
            log.error("today's copy of the database was not made: %s", error)

    def _write_digest(self, idle_s: float) -> None:
        """Write the digests that are due, once a day and after work, when nothing was to be done for a while."""
        today = datetime.now(self._rooms.settings.zone).date()
        is_early = idle_s < min(LOOK_S, self._idle_s / 2)  # the daemon may still be looking through its folders
        if self._told_on == today or self._in_flight or is_early or self._due_s() <= SOON_S:
            return
        self._told_on = today
        try:
            for path in write_due_digests(self._rooms):
                log.info("%s: a digest was written", path)
        except SessiontrackdError as error:
            log.error("the digest was not written: %s", error)

    def _is_to_tell(self) -> bool:
        """Say whether something that could not be told is told again soon; the rest waits for the next worker."""
        again_at = self._rooms.alerts.next_untold()
        return again_at is not None and (again_at - datetime.now(UTC)).total_seconds() < UNTOLD_IDLES * self._idle_s

    async def _gather(self) -> bool:
        """With nothing else to do, tell of reports that are ready; return whether nobody is left to be told of."""
        tell = teller_of(self._rooms)
        with contextlib.suppress(SessiontrackdError):  # a damaged ledger, a full disk: later
            if not self._in_flight and tell.due_s() <= 0:
                await tell.gather(self._rooms.budget.status())
            return tell.due_s() == float("inf")
        return True

    @property
    def _is_full(self) -> bool:
        return len(self._in_flight) >= self._rooms.settings.calls_at_once

    def _next(self) -> Job | None:
        return None if self._is_full else self._rooms.queue.take(self._rooms.store.owner)

    async def _start(self, jobs: asyncio.TaskGroup, job: Job) -> None:
        """Start a job and go on as soon as it waits for the network; one of the local engine has ended by then.

        What a worker has died over works alone, lest it takes requests in flight with it again.
        """
        if job.crashes and self._in_flight:
            await asyncio.wait(self._in_flight)
        task = jobs.create_task(do(self._rooms, job, self._process))
        self._in_flight.add(task)
        task.add_done_callback(self._land)
        await (asyncio.wait({task}) if job.crashes else asyncio.sleep(0))

    def _land(self, task: asyncio.Task[Outcome]) -> None:
        self._in_flight.discard(task)
        self._poked.set()

    def _due_s(self) -> float:
        due_at = self._rooms.queue.next_due()
        return float("inf") if due_at is None else (due_at - datetime.now(UTC)).total_seconds()

    async def _rest(self, for_s: float) -> None:
        """Wait to be poked; a little in any case, for a job that is due may be another worker's."""
        self._poked.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(for_s, 0.001)):
                await self._poked.wait()


def listen(worker: Worker, descriptor: int) -> None:
    """Heed the daemon at the other end of a pipe: a line means work, the end of the pipe means that it is gone."""
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return
    os.set_blocking(descriptor, False)
    loop = asyncio.get_running_loop()

    def heed() -> None:
        try:
            said = os.read(descriptor, 4096)
        except BlockingIOError:
            return
        if said:
            worker.poke()
        else:
            loop.remove_reader(descriptor)
            worker.end()

    loop.add_reader(descriptor, heed)


def heed_signals(worker: Worker, calls: Calls) -> None:
    """On SIGTERM start no job and no request, and put back what does not end in time.

    Plain handlers, not the loop's own: a job may keep the loop busy for longer than that.
    """
    loop = asyncio.get_running_loop()
    last_s = quiet_s = 0.0  # until when requests in flight are waited for, and since when there are none

    def on_term(_signal: int, _frame: FrameType | None) -> None:
        nonlocal last_s, quiet_s
        if not last_s:  # the service manager and the daemon both tell
            quiet_s = time.monotonic()
            last_s = quiet_s + CALL_GRACE_S
            calls.end()
            signal.setitimer(signal.ITIMER_REAL, ALARM_S, ALARM_S)
            loop.call_soon_threadsafe(worker.end)

    def on_alarm(_signal: int, _frame: FrameType | None) -> None:
        nonlocal quiet_s
        now_s = time.monotonic()
        if calls.in_flight and now_s < last_s:
            quiet_s = now_s
        elif now_s - quiet_s >= GRACE_S:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise SystemExit(KILLED)

    signal.signal(signal.SIGTERM, on_term)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the daemon, which ends us in order


async def work(home: Home, idle_s: float | None) -> None:
    """Be the worker of a home."""
    rooms = open_rooms(home)
    try:
        start_logging(rooms.settings.log_level, home, "worker")
        try:
            rooms.budget.verify()
        except LedgerDamaged as error:  # nothing more is spent; notes go on
            log.error("%s", error)
        worker = Worker(rooms, rooms.settings.worker_idle_s if idle_s is None else idle_s)
        heed_signals(worker, rooms.calls)
        listen(worker, sys.stdin.fileno())
        await worker.run()
        signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm in the interpreter's own end would look like a crash
    finally:
        rooms.close()


def main(words: Sequence[str] | None = None) -> int:
    """Run as `python -m sessiontrackd.worker`."""
    parser = argparse.ArgumentParser(prog="sessiontrackd.worker", description="The daemon starts this; no person need.")
    parser.add_argument("--home")
    parser.add_argument("--idle-s", type=float, help="instead of the setting")
    parser.add_argument("--prepare", action="store_true", help="bring the database up to date and end")
    chosen = parser.parse_args(words)
    try:
        home = Home.find(chosen.home)
        if chosen.prepare:
            open_rooms(home).close()
        else:
            asyncio.run(work(home, chosen.idle_s))
    except SessiontrackdError as error:
        print(f"sessiontrackd: {error}", file=sys.stderr)  # noqa: T201 - logging may not have begun
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
