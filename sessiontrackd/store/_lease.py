"""Leases: which process works on what; a lease is held as long as its process lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path

from sessiontrackd.store._private import private_folder


class Lease:
    """Proof that a process lives: a locked file, which the kernel unlocks however the process ends."""

    def __init__(self, folder: Path) -> None:
        """Make and lock the file."""
        private_folder(folder)
        _sweep(folder)
        self.owner = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._path = folder / self.owner
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
        self._descriptor: int | None = os.open(self._path, flags, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Unlock and remove the file."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Lease:
        """Release at the end of a with block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release."""
        self.release()


def is_held(path: Path) -> bool:
    """Say whether a living process holds the lease at this path."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sweep(folder: Path) -> None:
    """Remove the leases of the dead. One that is being made just now is locked a moment after it appears."""
    for path in folder.iterdir():
        with contextlib.suppress(ValueError, OSError):
            if not _runs(int(path.name.partition("-")[0])) and not is_held(path):
                path.unlink()


def _runs(pid: int) -> bool:
    """Say whether some process has this number; only the lock says that it is the right one."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
