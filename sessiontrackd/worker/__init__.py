"""Takes jobs from the queue through the pipeline; ends when idle. Killing it loses nothing."""

from __future__ import annotations

import logging
import signal
import sys

from sessiontrackd.config import Home, start_logging
from sessiontrackd.errors import LedgerDamaged
from sessiontrackd.pipeline import open_rooms
from sessiontrackd.worker._job import Outcome, Process, do
from sessiontrackd.worker._loop import Worker
from sessiontrackd.worker._path import process_path
from sessiontrackd.worker._signals import CALL_GRACE_S, GRACE_S, KILLED, heed_signals, listen
from sessiontrackd.worker._stuck import STUCK_S, ended_when_stuck

__all__ = ["CALL_GRACE_S", "GRACE_S", "KILLED", "STUCK_S", "Outcome", "Process", "Worker", "do", "process_path", "work"]

log = logging.getLogger(__name__)


async def work(home: Home, idle_s: float | None = None, stuck_s: float = STUCK_S) -> None:
    """Be the worker of a home.

    Args:
        home: whose transcripts it works on.
        idle_s: how long it stays without work, instead of the setting.
        stuck_s: how long one step of its work may take.
    """
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
        with ended_when_stuck(stuck_s):
            await worker.run()
        signal.setitimer(signal.ITIMER_REAL, 0)  # an alarm in the interpreter's own end would look like a crash
    finally:
        rooms.close()
