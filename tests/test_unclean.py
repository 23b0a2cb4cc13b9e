"""A daemon that ended unexpectedly is told of by the next one; an orderly end and a start of the machine alarm nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sessiontrackd import channels, config, kernel
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.store import open_store
from tests.test_daemon import Daemons, daemons, eventually  # noqa: F401 - the fixture


def told(home: Home) -> list[str]:
    """Return what was told of daemons, the newest first."""
    with open_store(home.db_path, channels.SCHEMA) as store:
        return [each.text for each in channels.Notices(store).last() if each.kind == "daemon"]


def test_a_killed_daemon_is_told_of_by_the_next(daemons: Daemons) -> None:  # noqa: F811
    """With the time it was heard last; an orderly stop leaves no word of which the next start could tell."""
    word = daemons.home.state_dir / "daemon.json"
    first = daemons.start()
    eventually(word.exists)
    first.kill()
    first.wait()
    assert word.exists()

    second = daemons.start()
    eventually(lambda: told(daemons.home))
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    assert not word.exists()

    (text,) = told(daemons.home)
    assert "ended unexpectedly after 20" in text
    assert "killed or crashed" in text


def test_a_start_of_the_machine_alarms_nobody(home: Path) -> None:
    """Power that went leaves the same word, but of another run of the machine."""
    here = Home.find(home)
    config.tell(here, {"boot": "16bc", "defect": "ValueError: 3"})

    assert config.unclean_end(here, "16bd") is None
    assert config.unclean_end(here, None) is None
    ended = config.unclean_end(here, "16bc")
    assert ended is not None
    assert ended.reason == "ValueError: 3"
    config.tell(here, None)
    assert config.unclean_end(here, "16bc") is None


def test_a_defect_is_the_reason(home: Path) -> None:
    """What went wrong is left for the next daemon, without the group that asyncio packs it in."""
    here = Home.find(home)
    broken = "import sys\nfrom sessiontrackd import daemon\nfrom sessiontrackd.config import Home\n"
    broken += "daemon.Daemon._turn = lambda *_: 1 / 0\ndaemon.run(Home.find(sys.argv[1]))"
    assert subprocess.run([sys.executable, "-c", broken, home], capture_output=True, check=False).returncode == 1

    ended = config.unclean_end(here, kernel.boot())
    assert ended is not None
    assert ended.reason == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(("manager", "times"), [("io.sessiontrackd.daemon", 1), ("", 0)])
def test_what_launchd_starts_in_vain_is_told_once(home: Path, manager: str, times: int) -> None:
    """It starts it again every half minute; who types `run` reads the reason there."""
    here = Home.find(home)
    here.config_path.write_text("colour = 1\n")
    run = [sys.executable, "-m", "sessiontrackd", "--home", str(home), "run"]
    for _ in range(2):
        done = subprocess.run(run, env=os.environ | {"XPC_SERVICE_NAME": manager}, capture_output=True, check=False)
        assert done.returncode == 1

    assert len([text for text in told(here) if "cannot work" in text and "line 1" in text]) == times


def test_what_is_no_word_is_no_alarm(home: Path) -> None:
    """A torn file, and another shape."""
    here = Home.find(home)
    for text in ("", json.dumps([1])):
        (here.state_dir / "daemon.json").write_text(text)
        assert config.unclean_end(here, "16bc") is None


def test_it_is_told_too_where_the_database_takes_nothing(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """That may be why the daemon stopped."""
    Home.find(home).db_path.write_bytes(b"no database at all, " * 500)

    assert main(["service", "failed"]) == 0
    assert "The daemon stopped" in capfd.readouterr().err
