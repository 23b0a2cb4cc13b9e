"""What a worker is told by others: by the daemon through a pipe, and by SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import time
from types import FrameType

from sessiontrackd.insights import Calls
from sessiontrackd.worker._loop import Worker

GRACE_S = 1.2  # what a job gets to end in after SIGTERM; then it is put back
CALL_GRACE_S = 20.0  # what a request that may be billed gets to be answered in; the job's GRACE_S begins after it
ALARM_S = 0.1  # how often a worker that is to end looks whether it must
KILLED = 128 + signal.SIGTERM


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
