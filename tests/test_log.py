"""Where log lines go."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sessiontrackd.config import Home, _log, start_logging

SPEAK = (
    "import logging, os, sys; from sessiontrackd.config import Home, start_logging;"
    "status = os.fstat(2); os.environ['JOURNAL_STREAM'] = {stream};"
    "start_logging('info', Home.find(sys.argv[1])); logging.info('one\\ntwo'); logging.error('bad %s', 'luck')"
)


def spoken(home: Path, stream: str, **environ: str) -> list[str]:
    """Let another process log, and return the lines of its stderr."""
    words = [sys.executable, "-c", SPEAK.format(stream=stream), str(home)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ | environ)
    return done.stderr.splitlines()


def test_the_journal_gets_priorities_and_no_times(home: Path) -> None:
    """It adds the rest itself; each line keeps its priority; no file is written."""
    assert spoken(home, "f'{status.st_dev}:{status.st_ino}'") == ["<6>one", "<6>  two", "<3>bad luck"]
    assert not (home / "log").exists()


def test_a_journal_that_stderr_does_not_lead_to_is_none(home: Path) -> None:
    """The variable is inherited by what writes elsewhere; then a file is kept, private."""
    lines = spoken(home, "'1:2'")

    assert lines[-1].endswith(" ERROR: bad luck")
    path = home / "log" / "daemon.log"
    assert path.read_text().splitlines()[-1] == lines[-1]
    assert path.stat().st_mode & 0o777 == 0o600


def test_launchd_never_gets_lines_twice(home: Path) -> None:
    """It would write stderr to a file that nobody cuts."""
    assert spoken(home, "''", XPC_SERVICE_NAME="io.sessiontrackd.daemon") == []
    assert "bad luck" in (home / "log" / "daemon.log").read_text()


def test_the_file_is_rotated(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few older ones are kept, all of them private."""
    monkeypatch.setattr(_log, "LARGEST_BYTES", 2_000)
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    try:
        start_logging("info", Home.find(home), "worker")
        for number in range(500):
            logging.info("%d: a transcript was done", number)
    finally:
        for handler in root.handlers[:]:
            handler.close()
            root.removeHandler(handler)
        root.setLevel(level)
        for handler in kept:
            root.addHandler(handler)

    found = sorted((home / "log").iterdir())
    assert [path.name for path in found] == ["worker.log", "worker.log.1", "worker.log.2", "worker.log.3"]
    assert all(path.stat().st_mode & 0o777 == 0o600 and path.stat().st_size <= 2_100 for path in found)
    assert "499: " in found[0].read_text()
