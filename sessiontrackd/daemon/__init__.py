"""Watches, keeps the worker running while there is work, stops cleanly. Stays thin: it never reads a transcript."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import subprocess
import threading
from datetime import datetime
from functools import partial

from sessiontrackd import circuit, kernel, queue
from sessiontrackd.config import POKE, Home, Settings, hold, load, start_logging, tell, unclean_end, under_launchd
from sessiontrackd.daemon._loop import Daemon
from sessiontrackd.daemon._process import WORKER_END_S, WorkerProcess
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.store import open_store

__all__ = ["WORKER_END_S", "Daemon", "run"]

log = logging.getLogger(__name__)

SAY_S = 60.0  # telling the person takes at most so long
COLLECT_AFTER = 700  # new objects, as Python does: what is good for a command that ends soon would pile up in months


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
    gc.set_threshold(COLLECT_AFTER)
    home.prepare()
    signal.signal(POKE, signal.SIG_IGN)  # until the loop hears it; it looks around then anyway
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
        await WorkerProcess(home, asyncio.Event()).prepare()
    with open_store(home.db_path, queue.SCHEMA, circuit.SCHEMA) as store:
        log.info("watched folders: %d", sum(folder.enabled for folder in settings.folders))
        await Daemon(home, settings, store, until_idle=until_idle, boot=boot).run()
