"""Programs of the user's are run, and nothing that they or their children do holds us up."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiontrackd import programs
from sessiontrackd.programs import Ended, SaidTooMuch

MOST_BYTES = 1_000_000
LONG_S = 30.0  # far more than any of these takes
HOLDER = f"""
import os, subprocess, sys, time
held = subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(120)"], start_new_session=True)
open("pid", "w").write(str(held.pid))
"""


def run(
    folder: Path, script: str, given: bytes = b"", *, timeout_s: float = LONG_S, listens_to: int = programs.STDOUT
) -> Ended:
    """Run a program that is written in Python, in a folder of its own."""
    words = [sys.executable, "-c", script]
    return asyncio.run(
        programs.run(words, given, timeout_s=timeout_s, most_bytes=MOST_BYTES, listens_to=listens_to, folder=folder)
    )


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder; the process whose number stands in its file `pid` is ended with the test."""
    yield tmp_path
    if (tmp_path / "pid").exists():
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_program_reads_what_it_is_given_and_is_heard_to_its_end(folder: Path) -> None:
    """More than a pipe holds, in both directions at once."""
    given = bytes(range(256)) * 2_000
    assert run(folder, "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); sys.exit(3)", given) == (3, given)


def test_either_output_can_be_listened_to(folder: Path) -> None:
    """The other is nobody's."""
    script = "import sys; print('out'); print('err', file=sys.stderr)"
    assert run(folder, script).said == b"out\n"
    assert run(folder, script, listens_to=programs.STDERR).said == b"err\n"


def test_a_program_need_not_read(folder: Path) -> None:
    """A pipe that is closed, or full, is no error."""
    given = b"x" * 1_000_000
    assert run(folder, "import os; os.close(0); print('well')", given) == (0, b"well\n")
    assert run(folder, "print('well')", given) == (0, b"well\n")


def test_a_signal_is_a_status_below_zero(folder: Path) -> None:
    """As elsewhere in Python."""
    assert run(folder, "import os; os.kill(os.getpid(), 15)").status == -signal.SIGTERM


def test_what_it_leaves_behind_is_not_waited_for(folder: Path) -> None:
    """A process of another session holds all its pipes, and has not read what was given."""
    began_s = time.monotonic()
    assert run(folder, HOLDER + "print('well')", b"x" * 1_000_000) == (0, b"well\n")
    assert time.monotonic() - began_s < LONG_S


def test_one_that_hangs_is_ended_though_its_pipes_are_held(folder: Path) -> None:
    """`asyncio` would wait for the end of the output, which nobody of ours can bring about."""
    began_s = time.monotonic()
    with pytest.raises(TimeoutError):
        run(folder, HOLDER + "time.sleep(120)", b"x" * 1_000_000, timeout_s=2.0)
    assert time.monotonic() - began_s < LONG_S


def test_one_that_says_too_much_is_ended(folder: Path) -> None:
    """However fast it writes."""
    with pytest.raises(SaidTooMuch, match="1,000,000 bytes"):
        run(folder, "import os\nwhile True: os.write(1, b'x' * 100_000)")


def test_cancelling_ends_it(folder: Path) -> None:
    """As when the daemon stops."""

    async def cancelled() -> None:
        words = [sys.executable, "-c", "import time; time.sleep(120)"]
        running = asyncio.create_task(programs.run(words, b"", timeout_s=LONG_S, most_bytes=9, folder=folder))
        done, _ = await asyncio.wait({running}, timeout=0.2)
        assert not done
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()

    began_s = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - began_s < LONG_S


def test_one_that_cannot_be_started_is_an_error_of_the_system(folder: Path) -> None:
    """With its name in it."""
    with pytest.raises(FileNotFoundError, match="no-such"):
        asyncio.run(programs.run(["/no-such"], b"", timeout_s=1.0, most_bytes=1, folder=folder))
