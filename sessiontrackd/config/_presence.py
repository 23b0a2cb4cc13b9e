"""Whether a daemon is running for a home, and the state it reports."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sessiontrackd.config._home import Home
from sessiontrackd.errors import Busy

POKE = signal.SIGUSR1  # not SIGHUP, which also says that a terminal is gone
PID_WAIT_S = 0.5  # between taking the lock and writing its number a daemon needs microseconds


@contextmanager
def hold(home: Home) -> Iterator[None]:
    """Be the one daemon of this home; the kernel lets go of the lock however the process ends.

    Raises:
        Busy: another process is the daemon of this home; the text names it.
    """
    handle = os.open(home.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"A daemon works on {home.state_dir} already (process {_pid_soon(handle) or 'unknown'}). "
                "Stop that one first, or use another --home."
            ) from None
        os.truncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        yield
        os.truncate(handle, 0)
    finally:
        os.close(handle)


def _pid_soon(handle: int) -> int | None:
    deadline = time.monotonic() + PID_WAIT_S
    while (pid := _pid(handle)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return pid


def _pid(handle: int) -> int | None:
    text = os.pread(handle, 32, 0).strip()
    return int(text) if text.isdigit() else None


def daemon_pid(home: Home) -> int | None:
    """Return the process that is the daemon of this home; None where none is at work."""
    try:
        handle = os.open(home.lock_path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid_soon(handle)
    finally:
        os.close(handle)
    return None


def poke(home: Home) -> bool:
    """Let the daemon of this home look at its settings and its queue now; False where none is at work."""
    pid = daemon_pid(home)
    if pid is None:
        return False
    try:
        os.kill(pid, POKE)
    except ProcessLookupError:
        return False
    return True


def tell(home: Home, what: dict[str, Any] | None) -> None:
    """Leave word of what the daemon does, for `heard`; None takes it away."""
    path = _word_path(home)
    if what is None:
        path.unlink(missing_ok=True)
        return
    partial = path.with_suffix(".tmp")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(what, file)
    partial.replace(path)


def heard(home: Home) -> dict[str, Any] | None:
    """Return what the daemon of this home said last; None where none is at work.

    Returns:
        `pid`, `since`, `scanning` (None, or the `folder` that is being looked through and how many files were
        `seen` there), `folders` (for each path its `state`: new, watched or offline, and the files `seen` at its
        last scan) and `problem` (None, or why work stands still).
    """
    pid = daemon_pid(home)
    if pid is None:
        return None
    try:
        said = json.loads(_word_path(home).read_bytes())
    except (OSError, ValueError):
        said = {}
    if not isinstance(said, dict) or said.get("pid") != pid:
        said = {"since": None, "scanning": None, "folders": {}, "problem": None}
    return {**said, "pid": pid}


class UncleanEnd(NamedTuple):
    """How a daemon ended that took no word back: killed, crashed, or by a defect."""

    heard_at: datetime  # when it last left word
    reason: str | None  # None: it was given no time to say why


def unclean_end(home: Home, boot: str | None) -> UncleanEnd | None:
    """Return how the daemon before this one ended; None where it ended in order, or with the machine itself.

    Args:
        home: whose daemon.
        boot: this run of the machine, as the words have it; None: unknown, then nobody is alarmed.
    """
    path = _word_path(home)
    try:
        said, heard_s = json.loads(path.read_bytes()), path.stat().st_mtime
    except (OSError, ValueError):
        return None
    if boot is None or not isinstance(said, dict) or said.get("boot") != boot:
        return None
    return UncleanEnd(datetime.fromtimestamp(heard_s, UTC), said.get("defect"))


def _word_path(home: Home) -> Path:
    return home.state_dir / "daemon.json"
