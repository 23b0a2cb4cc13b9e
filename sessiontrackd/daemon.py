"""Watches, keeps the worker running while there is work, stops cleanly. Stays thin: it never reads a transcript."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from sessiontrackd import budget, circuit, kernel, queue, watch
from sessiontrackd.config import (
    Home,
    Settings,
    condition,
    digest_due,
    hold,
    key_path,
    load,
    lowered,
    notify,
    notify_reloading,
    start_logging,
    take_hints,
    tell,
    unclean_end,
    under_launchd,
    watchdog_s,
)
from sessiontrackd.errors import Busy, SessiontrackdError, SettingsError, StoreError
from sessiontrackd.model import Folder, JobState
from sessiontrackd.pricing import usd
from sessiontrackd.store import Store, open_store

log = logging.getLogger(__name__)

TICK_S = 5.0  # how often settings and queue are looked at without being told
SETTLE_S = 0.05  # how often `run --until-idle` asks whether all is done
PATIENCE_S = 10.0  # what is due later than this, `run --until-idle` leaves to the next run
LEAD_S = 3.0  # the worker starts so long before a job is due, so that its start hides in the file's rest
MARGIN_S = 0.002  # the queue counts whole milliseconds
BATCH = 100  # files offered in one transaction
BREATH = 500  # files looked at before others get their turn
REPORT_EVERY_S = 1.0  # between two words on how far a scan is
ARM_S = 2.0  # a new folder is scanned at the latest then, although its watch may not stand yet
SCAN_SHARE = 20  # scanning takes at most a twentieth of the time
CLOCK_JUMP_S = 60.0  # the wall clock ran on so much more than ours: the machine slept, events may be lost
SAY_S = 60.0  # telling the person takes at most so long
WORKER_END_S = 25.0  # SIGTERM to SIGKILL: it ends in 2 s by itself, in 22 where a request is in flight; units allow 30
RESPAWN_FIRST_S, RESPAWN_MOST_S = 1.0, 60.0


class _WorkerProcess:
    """The one worker: started when there is work, poked when there is more, started again when it dies."""

    def __init__(self, home: Home, ended: asyncio.Event) -> None:
        self._home = home
        self._ended = ended
        self._process: asyncio.subprocess.Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._not_before_s = 0.0
        self._backoff_s = RESPAWN_FIRST_S
        self._is_told_to_end = False

    @property
    def is_running(self) -> bool:
        return self._process is not None

    async def ensure(self) -> None:
        """Start it, unless it runs or died a moment ago."""
        if self._process is None and time.monotonic() >= self._not_before_s:
            self._process = await self._spawn()
            self._watching = asyncio.create_task(self._see_it_end(self._process))

    async def prepare(self) -> None:
        """Have the database made by another process: what that takes stays in memory for ever."""
        await (await self._spawn("--prepare")).wait()

    def poke(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(b"\n")

    def retire(self) -> None:
        """Let it end after its present job; the next one starts with new settings."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def stop(self) -> None:
        """End it: in order if it can within WORKER_END_S."""
        if self._process is None or self._watching is None:
            return
        self._is_told_to_end = True
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
            await asyncio.wait({self._watching}, timeout=WORKER_END_S)
            if self._process is not None:
                self._process.kill()
        await self._watching

    async def _spawn(self, *words: str) -> asyncio.subprocess.Process:
        # -P: what lies in the present folder must not be taken for a module of ours
        command = [sys.executable, "-P", "-m", "sessiontrackd.worker", *words]
        if self._home.root is not None:
            command += ["--home", os.fspath(self._home.root)]
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=nothing)

    async def _see_it_end(self, process: asyncio.subprocess.Process) -> None:
        began_s = time.monotonic()
        status = await process.wait()
        self._process = None
        if status == 0 or time.monotonic() - began_s > RESPAWN_MOST_S:
            self._backoff_s = RESPAWN_FIRST_S
        if status != 0 and not self._is_told_to_end:
            log.warning("the worker ended with %d; the next one starts in %g s", status, self._backoff_s)
            self._not_before_s = time.monotonic() + self._backoff_s
            self._backoff_s = min(self._backoff_s * 2, RESPAWN_MOST_S)
        self._ended.set()


@dataclass(slots=True)
class _Seen:
    """What is known of one folder."""

    next_scan_s: float  # on the monotonic clock
    state: str = "new"
    files: int = 0


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
        self._store = store
        self._queue = queue.Queue(store)
        self._circuits = circuit.Circuits(store, lambda: condition(home, self._settings))
        self._until_idle = until_idle
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._wake = asyncio.Event()
        self._stopping = False
        self._reload = False
        self._worker = _WorkerProcess(home, self._wake)
        self._hinted: dict[Path, set[bytes]] = {}
        self._ended: set[bytes] = set()  # transcripts of which a tool said that their session does not go on
        self._seen: dict[Path, _Seen] = {}
        self._watchers: dict[Folder, asyncio.Task[None]] = {}
        self._settings_mark = self._mark()
        self._problem: str | None = None
        self._mistake = ""
        self._boot = boot
        self._budget: budget.TokenManager | None = None
        self._period = ""
        self._told_s = 0.0
        self._is_ready = False
        self._digest_day: date | None = None
        self._watchdog_s = watchdog_s()
        self._drift_s = time.time() - time.monotonic()

    async def run(self) -> None:
        """Work until told to stop, or with `until_idle` until nothing is left to do."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        async with asyncio.TaskGroup() as tasks:
            self._queue.recover()
            self._ask_again()
            self._tell()
            while not self._stopping:
                await self._turn(tasks)
            notify("STOPPING=1", "STATUS=ending")
            for watcher in self._watchers.values():
                watcher.cancel()
            await self._worker.stop()
        tell(self._home, None)
        if self._until_idle and self._problem is not None:
            raise StoreError(self._problem)
        self._queue.recover()

    def stop(self) -> None:
        """End soon: no new job starts."""
        self._stopping = True
        self._wake.set()

    def _on_hangup(self) -> None:
        self._reload = True
        self._wake.set()

    async def _turn(self, tasks: asyncio.TaskGroup) -> None:
        """Do what is to be done now, then wait for more."""
        try:
            self._take_up_settings(tasks)
            self._turn_the_month()
            await self._look_around()
            await self._see_to_the_worker()
            self._set_problem(None)
            self._say_ready()
        except (StoreError, Busy) as error:  # a full disk, a locked database: go on by ourselves when it is over
            self._set_problem(str(error))
            self._scan_all_soon()
        if self._until_idle and (self._problem is not None or self._is_idle()):
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
                log.info("a new month has a new budget: %d transcripts are made again", again)
            self._period = period

    def _reread(self) -> None:
        try:
            settings = load(self._home)
        except SettingsError as error:
            log.error("%s The settings before it stay in force.", error)
            self._mistake = "; the changed settings are wrong, those before them hold"
            return
        self._mistake = ""
        if settings != self._settings:
            log.info("took up changed settings: %d folders", len(settings.folders))
            self._settings = settings
            logging.getLogger().setLevel(settings.log_level.upper())
            self._worker.retire()
            self._seen = {
                each.path: self._seen[each.path]
                for each in settings.folders
                if each.enabled and each.path in self._seen
            }
            self._scan_all_soon()

    def _ask_again(self) -> None:
        """Let what an engine was refused for wait again, where key or settings are others by now."""
        for reason in self._circuits.close(only_mended=True):
            self._queue.release(reason)

    def _mark(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_stamp(path) for path in (self._home.config_path, key_path(self._home)))

    async def _follow(self, folder: Folder) -> None:
        def hear(hint: watch.Hint) -> None:
            self._hinted.setdefault(folder.path, set()).update(hint)
            self._wake.set()

        await watch.hints(folder, hear, step_ms=self._settings.watch_step_ms, avoid=self._avoid(folder))

    def _avoid(self, folder: Folder) -> Collection[Path]:
        """Return what lies below a folder and is not its own: other folders, our notes, our state."""
        others = [each.path for each in self._settings.folders if each.path != folder.path]
        vaults = [
            Path(each.output.removeprefix("vault:"))
            for each in self._settings.folders
            if each.output.startswith("vault:")
        ]
        return (*others, *vaults, self._home.state_dir)

    async def _look_around(self) -> None:
        """Scan what it is time for, else where something was said to have changed."""
        drift_s = time.time() - time.monotonic()
        if abs(drift_s - self._drift_s) > CLOCK_JUMP_S:
            self._drift_s = drift_s
            self._scan_all_soon()
        for told in take_hints(self._home, self._settings.folders):
            if holding := self._settings.folder_of(told.path):
                self._hinted.setdefault(holding.path, set()).add(os.fsencode(told.path))
                if told.has_ended:
                    self._ended.add(os.fsencode(told.path))
        hinted, self._hinted = self._hinted, {}
        for folder in self._settings.folders:
            if not folder.enabled or self._stopping:
                continue
            places = hinted.get(folder.path, set())
            if time.monotonic() >= self._of(folder).next_scan_s or b"" in places:
                await self._look_through(folder)
            else:
                for place in places:
                    await self._look(folder, place)
        self._ended.clear()

    def _of(self, folder: Folder) -> _Seen:
        """Return what is known of a folder; a new one is scanned when its watch stands, so that once is enough."""
        return self._seen.setdefault(folder.path, _Seen(0.0 if self._until_idle else time.monotonic() + ARM_S))

    def _scan_all_soon(self) -> None:
        for seen in self._seen.values():
            seen.next_scan_s = 0.0

    async def _look_through(self, folder: Folder) -> None:
        """Scan a whole folder and note how it is."""
        began_s, seen = time.monotonic(), self._of(folder)
        seen.files = await self._look(folder)
        state = "watched" if watch.is_online(folder) else "offline"
        if state == "offline" and seen.state != "offline":
            log.warning("%s is not there; what is known of it stays", watch.display(os.fsencode(folder.path)))
        took_s = time.monotonic() - began_s
        seen.state = state
        seen.next_scan_s = time.monotonic() + max(self._settings.scan_interval_s, SCAN_SHARE * took_s)
        self._tell()

    async def _look(self, folder: Folder, below: bytes | None = None) -> int:
        """Offer what is new or has changed in a folder, or below a place in it; return how many files are there."""
        files, new, batch, there = 0, 0, list[watch.Found](), set[bytes]()
        for found in watch.scan(folder, below, self._avoid(folder)):
            files += 1
            there.add(found.path)
            known = self._queue.job(found.path)
            new += known is None
            is_news = known is None or known.fingerprint != found.fingerprint or found.path in self._ended
            if is_news and lowered(folder, found.path).left_alone is None:
                batch.append(found)
            if len(batch) >= BATCH or files % BREATH == 0:
                await self._offer(folder, batch)
                batch.clear()
                self._tell_progress(folder, files)
            if self._stopping:
                break
        await self._offer(folder, batch)
        if below is None and not self._stopping and watch.is_online(folder):
            await self._offer(folder, [watch.Found(path, watch.GONE) for path in self._gone(folder, there)])
        if below is not None and new:
            self._of(folder).files += new
            self._tell()
        return files

    def _gone(self, folder: Folder, there: Collection[bytes]) -> list[bytes]:
        """Return the known transcripts of a folder that are no longer there, each once: their notes are to say so.

        What stood on another disk than the folder now does may be unmounted.
        """
        device, known = folder.path.stat().st_dev, self._queue.fingerprints(os.fspath(folder.path))
        missing = (path for path, seen in known.items() if path not in there and seen.device == device)
        return [path for path in missing if not os.path.lexists(path)]

    async def _offer(self, folder: Folder, batch: Collection[watch.Found]) -> None:
        """Let files wait until they have rested; the worker is started meanwhile."""
        await asyncio.sleep(0)  # others get their turn
        if not batch or self._stopping:
            return
        now, news = datetime.now(UTC), 0
        with self._store.immediate():
            for found in batch:
                rest_s = watch.rest_s(found.fingerprint, now, folder.stable_s)
                news += self._queue.offer(
                    found.path,
                    watch.display(found.path),
                    found.fingerprint,
                    os.fspath(folder.path),
                    delay_s=rest_s + MARGIN_S if rest_s else 0.0,
                    ended=found.path in self._ended,
                )
        if news:
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
        if self._digest_day == today or self._until_idle or not self._is_ready:
            return False
        self._digest_day = today
        return digest_due(self._home, self._settings.digest_every, today) is not None

    def _due_s(self) -> float:
        due_at = self._queue.next_due()
        return float("inf") if due_at is None else (due_at - datetime.now(UTC)).total_seconds()

    def _is_idle(self) -> bool:
        """Say whether nothing runs and nothing is due soon."""
        return not self._queue.counts()[JobState.RUNNING] and self._due_s() > PATIENCE_S

    def _say_ready(self) -> None:
        """Tell the service manager how things stand: ready once every folder was looked through."""
        folders = [folder for folder in self._settings.folders if folder.enabled]
        self._is_ready = self._is_ready or all(self._of(folder).state != "new" for folder in folders)
        waiting = self._queue.counts()[JobState.WAITING]
        watched = f"{len(folders)} folder{'' if len(folders) == 1 else 's'}"
        words = [f"STATUS=watching {watched}, {waiting} waiting{self._money()}{self._mistake}", "WATCHDOG=1"]
        notify(*(["READY=1"] if self._is_ready else []), *words)

    def _money(self) -> str:
        """Return `, $3.10 of $50`; nothing where no budget is set."""
        limit = self._settings.monthly_budget_picousd
        if limit is None:
            return ""
        try:
            if self._budget is None:
                store = open_store(self._home.db_path, budget.SCHEMA)
                self._budget = budget.TokenManager(store=store, timezone=self._settings.timezone)
            status = self._budget.status()
        except SessiontrackdError:  # `doctor` says what is wrong with it
            return ""
        spent = status.spent_picousd + status.reserved_picousd
        return f", {_dollars(spent)} of {_dollars(limit)}"

    def _pause_s(self) -> float:
        """Return how long to wait for something to happen: never longer than half of the watchdog's patience."""
        return min(self._wanted_pause_s(), self._watchdog_s / 2 if self._watchdog_s else TICK_S)

    def _wanted_pause_s(self) -> float:
        if self._until_idle:
            return SETTLE_S
        if self._problem is not None:
            return TICK_S
        next_scan_s = min((seen.next_scan_s for seen in self._seen.values()), default=float("inf"))
        pause_s = min(TICK_S, max(next_scan_s - time.monotonic(), 0.0))
        if not self._worker.is_running:
            pause_s = min(pause_s, max(self._due_s() - LEAD_S, RESPAWN_FIRST_S))
        return pause_s

    def _set_problem(self, problem: str | None) -> None:
        if problem != self._problem:
            if problem:
                log.error("%s", problem)
            self._problem = problem
            self._tell()

    def _tell_progress(self, folder: Folder, files: int) -> None:
        if time.monotonic() - self._told_s >= REPORT_EVERY_S:
            self._tell({"folder": os.fspath(folder.path), "seen": files})
            notify("WATCHDOG=1", f"STATUS=looking through {files} files")

    def _tell(self, scanning: dict[str, str | int] | None = None) -> None:
        """Leave word for `status`."""
        self._told_s = time.monotonic()
        folders = {os.fspath(path): {"state": seen.state, "seen": seen.files} for path, seen in self._seen.items()}
        what = {"pid": os.getpid(), "since": self._since, "folders": folders, "problem": self._problem}
        what["boot"] = self._boot
        with contextlib.suppress(OSError):  # a full disk must not end the daemon over a word
            tell(self._home, {**what, "scanning": scanning})


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _dollars(picousd: int) -> str:
    return f"${usd(picousd):.2f}".removesuffix(".00")


def run(home: Home, *, until_idle: bool = False) -> None:
    """Be the daemon of a home.

    Args:
        home: whose settings, state and lock.
        until_idle: handle what is there and end.

    Raises:
        Busy: another process is the daemon of this home.
        SettingsError: the settings cannot be used.
        StoreError: nor can the database.
    """
    home.prepare()
    with hold(home):
        boot = kernel.boot()
        try:
            settings = load(home)
            start_logging(settings.log_level, home)
            if ended := unclean_end(home, boot):
                _say_it_failed(home, heard_at=ended.heard_at, reason=ended.reason)
            asyncio.run(_run(home, settings, until_idle, boot))
        except SessiontrackdError as error:
            tell(home, None)  # who started it reads why; launchd would start it again without a word
            if under_launchd():
                _say_it_failed(home, reason=str(error)).join(SAY_S)
            raise
        except Exception as error:  # a defect: the next one tells of it
            tell(home, {"boot": boot, "defect": _innermost(error)})
            raise


def _say_it_failed(home: Home, *, heard_at: datetime | None = None, reason: str | None = None) -> threading.Thread:
    """Have another process tell the person, for that takes seconds and memory."""
    words = ["--heard", f"{heard_at:%Y-%m-%dT%H:%M:%S%z}"] if heard_at else []
    words += ["--reason", reason] if reason else []
    quiet = partial(subprocess.run, check=False, stdin=subprocess.DEVNULL)
    speaker = threading.Thread(target=quiet, args=[home.words("service", "failed", *words)], daemon=True)
    speaker.start()
    return speaker


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def _run(home: Home, settings: Settings, until_idle: bool, boot: str | None) -> None:
    if not home.db_path.exists():
        await _WorkerProcess(home, asyncio.Event()).prepare()
    with open_store(home.db_path, queue.SCHEMA, circuit.SCHEMA) as store:
        log.info("watched folders: %d", sum(folder.enabled for folder in settings.folders))
        await Daemon(home, settings, store, until_idle=until_idle, boot=boot).run()
