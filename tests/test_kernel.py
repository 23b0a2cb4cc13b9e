"""What the kernel says of a machine, read from recorded files."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sessiontrackd import kernel
from sessiontrackd.kernel import Watches

MOUNTS = """\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 21 0:25 / /home rw - ext4 /dev/sdb1 rw
31 30 0:40 / /home/x/far\\040away rw - nfs4 host:/export rw
32 21 0:41 / /mnt/c rw - 9p drvfs rw
33 21 0:42 / /mnt/usb rw - fuseblk /dev/sdc1 rw
34 30 0:43 / /home rw - btrfs /dev/sdd1 rw
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Return a recorded /proc."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").write_text(MOUNTS)
    (tmp_path / "sys" / "fs" / "inotify").mkdir(parents=True)
    (tmp_path / "sys" / "fs" / "inotify" / "max_user_watches").write_text("8192\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "kind", "is_heard"),
    [
        ("/var/log", "ext4", True),
        ("/home/x", "btrfs", True),  # mounted over the other one
        ("/home/x/far away/talks", "nfs4", False),
        ("/home/x/far awayside", "btrfs", True),
        ("/mnt/c/Users", "9p", False),
        ("/mnt/usb/a", "fuseblk", True),
    ],
)
def test_a_folder_lies_on_the_innermost_mount(path: str, kind: str, is_heard: bool, proc: Path) -> None:
    """Names with spaces, a mount over another, and those on which changes from elsewhere are not heard."""
    assert kernel.file_system(Path(path), proc) == kind
    assert kernel.gives_all_events(kind) is is_heard


def test_folders_are_counted_against_the_limit(proc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are hidden are not watched; what takes too long is cut short and says so."""
    for name in ("t/a/b", "t/c", "t/.git/objects"):
        (tmp_path / name).mkdir(parents=True)

    assert kernel.watches([tmp_path / "t"], proc) == Watches(4, 8192)
    assert Watches(6553, 8192).fit
    assert not Watches(6554, 8192).fit
    assert "max_user_watches=524288" in kernel.raise_line(6554)
    monkeypatch.setattr(kernel, "COUNT_S", -1.0)
    assert kernel.watches([tmp_path / "t"], proc).is_exact is False


def test_another_kernel_says_nothing(tmp_path: Path) -> None:
    """As on macOS: no guess is made."""
    assert kernel.file_system(tmp_path, tmp_path) is None
    assert kernel.watches([tmp_path], tmp_path).fit


def test_a_run_of_the_machine_has_a_name(proc: Path) -> None:
    """By a file on Linux, by a command on macOS; by the minute in which it began where a sandbox hides that."""
    hidden = kernel.boot(proc, "linux")
    assert hidden == kernel.boot(proc, "linux")
    assert (hidden is not None) == hasattr(time, "CLOCK_BOOTTIME")
    (proc / "sys" / "kernel" / "random").mkdir(parents=True)
    (proc / "sys" / "kernel" / "random" / "boot_id").write_text("16bc\n")
    assert kernel.boot(proc, "linux") == "16bc"

    assert kernel.boot(platform="darwin", runner=lambda command: f"{command[-1]}\n") == "kern.bootsessionuuid"
    assert kernel.boot(platform="darwin", runner=lambda _: "") is None
