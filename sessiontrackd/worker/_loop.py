"""The loop: start what waits, as many at once as may wait for the network; see to the rest when nothing does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import UTC, date, datetime

from sessiontrackd import channels
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.model import Job
from sessiontrackd.pipeline import SAMPLE, Rooms, move_batches, preview, process_job, write_due_digests, write_indexes
from sessiontrackd.records import pack
from sessiontrackd.worker._job import Outcome, Process, do, teller_of

log = logging.getLogger(__name__)

SOON_S = 5.0  # an idle worker stays for a job that is due by then
UNTOLD_IDLES = 5  # an idle worker stays so much longer for a notification that is told again by then
LOOK_S = 5.0  # how often the queue is looked at without being told


def warm_up(rooms: Rooms) -> None:
    """Do what the first job would have to wait for, while its file still rests: make a note, and write it nowhere."""
    for level in {folder.level for folder in rooms.settings.folders}:
        with contextlib.suppress(SessiontrackdError):
            preview(SAMPLE, level, rooms.settings.zone, rooms.home.templates_dir)
    pack(b"")  # search keeps the texts of a session so


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
            log.info("stopping when requests in flight are answered: %d", self._rooms.calls.in_flight)
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
                await asyncio.to_thread(warm_up, self._rooms)
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
            log.error("today's backup of the database was not made: %s", error)

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
        """With nothing else to do, announce new reports; return whether none is left to announce."""
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
