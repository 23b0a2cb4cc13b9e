"""Facts about this machine from the kernel: the file system of a folder, the watch limits, the boot."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")
SILENT = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "drvfs",
    "vboxsf",
    "vmhgfs",
    "prl_fs",
    "fuse",
    "ceph",
    "glusterfs",
    "afs",
    "virtiofs",
)
"""File systems on which a change by another machine, or by the host, gives no event here: by the start of their names."""
LOCAL_FUSE = ("fuseblk",)  # such as an NTFS disk: changed from here alone
COUNT_S = 3.0  # folders are counted for so long
ANSWER_S = 5.0  # a command of the system is waited for so long
ROOM = 0.8  # of the limit: others watch too


class Watches(Struct, frozen=True):
    """How many folders are to be watched, and how many may be by all programs of this person together."""

    folders: int
    limit: int | None
    is_exact: bool = True

    @property
    def fit(self) -> bool:
        """Whether there is room for them, with some left for others."""
        return self.limit is None or self.folders <= self.limit * ROOM


def _said(command: list[str]) -> str:
    """Return what a command of the system prints; nothing where it cannot be run."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def file_system(path: Path, proc: Path = PROC) -> str | None:
    """Return the kind of file system that a path lies on, such as `ext4`; None where the kernel does not say."""
    try:
        lines = (proc / "self" / "mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    found, longest = None, -1
    real = os.path.realpath(path)
    for line in lines:
        place, _, rest = line.partition(" - ")
        mount, kind = _unescaped(place.split()[4]), rest.split()[0]
        if (real + "/").startswith(mount.rstrip("/") + "/") and len(
            mount
        ) >= longest:  # of several the last lies on top
            found, longest = kind, len(mount)
    return found


def boot(proc: Path = PROC, platform: str = sys.platform, runner: Callable[[list[str]], str] = _said) -> str | None:
    """Return the name of this run of the machine, another one after each start; None where the system gives none."""
    if platform == "darwin":
        return runner(["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]).strip() or None
    try:
        return (proc / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:  # hidden by a sandbox: then by the minute in which it began
        clock = getattr(time, "CLOCK_BOOTTIME", None)
        return None if clock is None else f"{(time.time() - time.clock_gettime(clock)) / 60:.0f}"


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def gives_all_events(kind: str | None) -> bool:
    """Say whether every change on such a file system gives an event on this machine."""
    return kind is None or kind in LOCAL_FUSE or not kind.startswith(SILENT)


def watches(folders: list[Path], proc: Path = PROC) -> Watches:
    """Count the folders that are to be watched, for a bounded time; the limit is the person's, for all programs."""
    number, is_exact, until_s = 0, True, time.monotonic() + COUNT_S
    for folder in folders:
        for _, below, _ in os.walk(folder):
            number += 1
            below[:] = [name for name in below if not name.startswith(".")]
            if time.monotonic() > until_s:
                is_exact = False
                break
    return Watches(number, limit_of("max_user_watches", proc), is_exact)


def limit_of(name: str, proc: Path = PROC) -> int | None:
    """Return a limit of inotify; None where this kernel has none."""
    try:
        return int((proc / "sys" / "fs" / "inotify" / name).read_text())
    except (OSError, ValueError):
        return None


def raise_line(wanted: int) -> str:
    """Return the line that raises the limit now and at each start."""
    setting = f"fs.inotify.max_user_watches={max(524_288, 2 * wanted)}"
    return f"echo {setting} | sudo tee /etc/sysctl.d/60-sessiontrackd.conf && sudo sysctl --system"
