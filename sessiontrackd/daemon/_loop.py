"""The loop: look where something changed, offer it to the queue, see to the worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from datetime import UTC, date, datetime
from pathlib import Path

from sessiontrackd import circuit, queue, watch
from sessiontrackd.config import (
    POKE,
    Home,
    Settings,
    condition,
    digests_due,
    key_path,
    load,
    notify,
    notify_reloading,
    tell,
    watchdog_s,
)
from sessiontrackd.daemon._folders import Folders
from sessiontrackd.daemon._process import RESPAWN_FIRST_S, WorkerProcess
from sessiontrackd.daemon._status import Status
from sessiontrackd.errors import Busy, SettingsError, StoreError
from sessiontrackd.model import Folder, JobState
from sessiontrackd.store import Store

log = logging.getLogger(__name__)

TICK_S = 5.0  # how often settings and queue are looked at without being told
SETTLE_S = 0.05  # how often `run --until-idle` asks whether all is done
PATIENCE_S = 10.0  # what is due later than this, `run --until-idle` leaves to the next run
LEAD_S = 3.0  # the worker starts so long before a job is due, so that its start hides in the file's rest


class Daemon:
    """The loop: look where something changed, offer it to the queue, see to the worker.

    Args:
        home: whose daemon; its lock is held by the caller.
        settings: as loaded.
        store: opened with the queue's tables.
        until_idle: handle what is there and end.
        boot: this run of the machine, as the kernel names it.
    """

    def __init__(
        self, home: Home, settings: Settings, store: Store, *, until_idle: bool = False, boot: str | None = None
    ) -> None:
        """Keep the parts."""
        self._home = home
        self._settings = settings
        self._queue = queue.Queue(store)
        self._circuits = circuit.Circuits(store, lambda: condition(home, self._settings))
        self._until_idle = until_idle
        self._wake = asyncio.Event()
        self._stopping = False
        self._reload = False
        self._has_terminal = os.isatty(0)
        self._worker = WorkerProcess(home, self._wake)
        self._status = Status(home, boot)
        self._folders = Folders(home, settings, store, self._status, self._on_news, at_once=until_idle)
        self._watchers: dict[Folder, asyncio.Task[None]] = {}
        self._settings_mark = self._mark()
        self._period = ""
        self._digest_day: date | None = None
        self._watchdog_s = watchdog_s()

    async def run(self) -> None:
        """Work until told to stop, or with `until_idle` until nothing is left to do."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        loop.add_signal_handler(POKE, self._look_again)
        async with asyncio.TaskGroup() as tasks:
            self._queue.recover()
            self._ask_again()
            self._status.tell()
            while not self._stopping:
                await self._turn(tasks)
            notify("STOPPING=1", "STATUS=stopping")
            for watcher in self._watchers.values():
                watcher.cancel()
            await self._worker.stop()
        tell(self._home, None)
        if self._until_idle and self._status.problem is not None:
            raise StoreError(self._status.problem)
        self._queue.recover()

    def stop(self) -> None:
        """End soon: no new job starts."""
        self._stopping = True
        self._folders.end()
        self._wake.set()

    def _on_hangup(self) -> None:
        """A service manager asks to look again; of a terminal it says that it was closed, and its programs with it."""
        if self._has_terminal and not os.isatty(0):
            self.stop()
        else:
            self._look_again()

    def _look_again(self) -> None:
        self._reload = True
        self._wake.set()

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        """Do what is due, then wait for more."""
        try:
            self._take_up_settings(tasks)
            self._turn_the_month()
            await self._folders.look_around()
            await self._see_to_the_worker()
            self._status.set_problem(None)
            self._status.say_ready(self._settings, self._queue.counts()[JobState.WAITING])
        except (StoreError, Busy) as error:  # a full disk, a locked database: go on by ourselves when it is over
            self._status.set_problem(str(error))
            self._folders.scan_all_soon()
        if self._until_idle and (self._status.problem is not None or self._is_idle()):
            self.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s()):
                await self._wake.wait()
        self._wake.clear()

    def _take_up_settings(self, tasks: asyncio.TaskGroup) -> None:
        mark = self._mark()
        if mark != self._settings_mark or self._reload:
            self._settings_mark, self._reload = mark, False
            notify_reloading()
            self._reread()
            self._ask_again()
            notify("READY=1")
        wanted = set() if self._until_idle else {folder for folder in self._settings.folders if folder.enabled}
        for folder in self._watchers.keys() - wanted:
            self._watchers.pop(folder).cancel()
        for folder in wanted - self._watchers.keys():
            self._watchers[folder] = tasks.create_task(self._follow(folder))

    def _turn_the_month(self) -> None:
        """When a new month begins, let what its budget was too full for be done after all."""
        period = f"{datetime.now(self._settings.zone):%Y-%m}"
        if period != self._period:
            again = self._queue.upgrade(before=period, held_only=not self._settings.upgrade_at_turn)
            if again:
                log.info("a new month has a new budget: %d transcripts are processed again", again)
            self._period = period

    def _reread(self) -> None:
        try:
            settings = load(self._home)
        except SettingsError as error:
            log.error("%s The previous settings stay in force.", error)
            self._status.are_settings_wrong = True
            return
        self._status.are_settings_wrong = False
        if settings != self._settings:
            log.info("reloaded the settings: %d folders", len(settings.folders))
            self._settings = settings
            logging.getLogger().setLevel(settings.log_level.upper())
            self._worker.retire()
            self._folders.take_up(settings)

    def _ask_again(self) -> None:
        """Let what an engine was refused for wait again, where key or settings are others by now."""
        for reason in self._circuits.close(only_mended=True):
            self._queue.release(reason)

    def _mark(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_stamp(path) for path in (self._home.config_path, key_path(self._home)))

    async def _follow(self, folder: Folder) -> None:
        def hear(hint: watch.Hint) -> None:
            self._folders.hint(folder.path, hint)
            self._wake.set()

        await watch.hints(folder, hear, step_ms=self._settings.watch_step_ms, avoid=self._folders.avoid(folder))

    async def _on_news(self) -> None:
        await self._see_to_the_worker()
        self._worker.poke()

    async def _see_to_the_worker(self) -> None:
        if not self._worker.is_running:
            self._queue.recover()
            if (self._due_s() <= LEAD_S or self._is_digest_due()) and not self._stopping:
                await self._worker.ensure()

    def _is_digest_due(self) -> bool:
        """Say, once a day, whether the worker has a digest to write."""
        today = datetime.now(self._settings.zone).date()
        if self._digest_day == today or self._until_idle or not self._status.is_ready:
            return False
        self._digest_day = today
        return bool(digests_due(self._home, self._settings.digest_every, today))

    def _due_s(self) -> float:
        due_at = self._queue.next_due()
        return float("inf") if due_at is None else (due_at - datetime.now(UTC)).total_seconds()

    def _is_idle(self) -> bool:
        """Say whether nothing runs and nothing is due soon."""
        return not self._queue.counts()[JobState.RUNNING] and self._due_s() > PATIENCE_S

    def _pause_s(self) -> float:
        """Return how long to wait for something to happen: never longer than half of the watchdog's patience."""
        return min(self._wanted_pause_s(), self._watchdog_s / 2 if self._watchdog_s else TICK_S)

    def _wanted_pause_s(self) -> float:
        if self._until_idle:
            return SETTLE_S
        if self._status.problem is not None:
            return TICK_S
        pause_s = min(TICK_S, max(self._folders.next_scan_s() - time.monotonic(), 0.0))
        if not self._worker.is_running:
            pause_s = min(pause_s, max(self._due_s() - LEAD_S, RESPAWN_FIRST_S))
        return pause_s


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
