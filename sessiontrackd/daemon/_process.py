"""The worker process, seen from the daemon: started when there is work, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time

from sessiontrackd.config import Home

log = logging.getLogger(__name__)

WORKER_END_S = 25.0  # SIGTERM to SIGKILL: it ends in 2 s by itself, in 22 where a request is in flight; units allow 30
RESPAWN_FIRST_S, RESPAWN_MOST_S = 1.0, 60.0


class WorkerProcess:
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
            log.warning("the worker exited with %d; the next one starts in %g s", status, self._backoff_s)
            self._not_before_s = time.monotonic() + self._backoff_s
            self._backoff_s = min(self._backoff_s * 2, RESPAWN_MOST_S)
        self._ended.set()
