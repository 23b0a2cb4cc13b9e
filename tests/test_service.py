"""The service: its files, its commands, and its whole life under a real systemd user manager."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sessiontrackd import service as services
from sessiontrackd.config import Home, notify
from sessiontrackd.errors import Failed, SessiontrackdError
from sessiontrackd.service import AGENT_KEYS, Agent, Answer, Unit, read_agent

WITHOUT_SYSTEMD = shutil.which("systemd-analyze") is None or os.geteuid() != 0
SAMPLE = Path(services.__file__).parent / "samples" / "harbour-meeting.md"
MOST_EXPOSED = 3.8  # of 10, as systemd-analyze counts


class Recorded:
    """Answers as the platform did, and remembers what it was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, words: Sequence[str]) -> Answer:
        self.asked.append(" ".join(words))
        return next((answer for part, answer in self.answers.items() if part in self.asked[-1]), Answer(0, ""))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home, and a HOME whose service files may be written."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return Home.find(tmp_path / "a home")


def test_a_unit_is_installed_once_and_removed_without_a_trace(own: Home, tmp_path: Path) -> None:
    """The second time nothing changes; the paths are absolute, and quoted where they need it."""
    runner = Recorded()
    unit = Unit(own, runner)

    assert services.install(unit)
    assert not services.install(unit)
    text = unit.path.read_text()
    assert f'ExecStart={sys.executable} -P -m sessiontrackd --home "{own.root}" run\n' in text
    assert "ExecReload=/bin/kill -HUP $MAINPID" in text
    assert services.uninstall(unit)
    assert not services.uninstall(unit)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert "systemctl --user disable --now sessiontrackd.service" in runner.asked


def test_a_moved_program_is_noticed(own: Home) -> None:
    """The status names the line to type."""
    unit = Unit(own, Recorded(show=Answer(0, "ActiveState=active\nStatusText=watching 2 folders")))
    services.install(unit)
    assert services.standing(unit)["state"] == "active: watching 2 folders"
    assert services.standing(unit)["problem"] is None
    unit.path.write_text(unit.path.read_text().replace(sys.executable, "/old/python"))

    assert "service install" in services.standing(unit)["problem"]


def test_a_refusal_of_the_platform_is_told(own: Home) -> None:
    """With its words, and no file stays behind; and a machine without systemctl says so."""
    unit = Unit(own, Recorded(systemctl=Answer(1, "Failed to connect to bus")))
    with pytest.raises(Failed, match="Failed to connect to bus"):
        services.install(unit)
    assert not unit.path.exists()
    with pytest.raises(Failed, match="no such-a-command on this machine"):
        services.run(["such-a-command"])


def test_an_agent_is_a_sound_property_list(own: Home) -> None:
    """Each key has its type; what was written is read back; a path with & and < survives."""
    home = Home.find(own.state_dir.parent / "a & <b>")
    agent = Agent(home, Recorded())
    found = plistlib.loads(agent.text())

    assert {key: type(value) for key, value in found.items()} == AGENT_KEYS
    assert found["ProgramArguments"][-2:] == [str(home.root), "run"]
    assert found["Umask"] == 0o077
    with pytest.raises(SessiontrackdError, match="cannot be read"):
        read_agent(agent.text().replace(b"</dict>", b"", 1))
    with pytest.raises(SessiontrackdError, match="Nice"):
        read_agent(plistlib.dumps(found | {"Nice": "10"}))


def test_an_agent_is_loaded_and_forgotten(own: Home) -> None:
    """The platform's commands, in their order."""
    runner = Recorded(print=Answer(0, "x = {\n\tstate = running\n}"))
    agent = Agent(own, runner)
    services.install(agent)
    assert services.standing(agent)["state"] == "running"
    services.uninstall(agent)

    assert [line.split()[1] for line in runner.asked] == ["bootout", "bootstrap", "print", "bootout"]
    assert not agent.path.exists()


def test_words_reach_the_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a datagram; without a socket nothing is said, and one that is gone harms nobody."""
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert notify("READY=1", "STATUS=fine")
        assert manager.recv(100) == b"READY=1\nSTATUS=fine"
    os.unlink(address)
    assert not notify("READY=1")


@pytest.mark.skipif(WITHOUT_SYSTEMD, reason="needs root and systemd")
def test_the_unit_is_valid_and_little_exposed(own: Home, tmp_path: Path) -> None:
    """systemd-analyze has nothing to complain about."""
    path = tmp_path / services.UNIT
    path.write_bytes(Unit(own, Recorded()).text())
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--user", path], capture_output=True, text=True, env=environ, check=False
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", path],
        capture_output=True,
        text=True,
        env=environ,
        check=False,
    )
    exposure = re.search(r"Overall exposure level.*: ([0-9.]+)", rated.stdout)
    assert exposure
    assert float(exposure[1]) <= MOST_EXPOSED


LIFE = r"""
set -eu
export SESSIONTRACKD_HOME=$HOME/st
st() { "$PYTHON" -P -m sessiontrackd "$@"; }
ask() { systemctl --user show sessiontrackd.service -p"$1" --value; }
until_() { for _ in $(seq 200); do "$@" && return 0; sleep 0.1; done; echo "never: $*"; return 1; }
mkdir -p "$HOME/talks"
cp "$SAMPLE" "$HOME/talks/a.md"
st watch add "$HOME/talks" --yes >/dev/null
st service install
[ "$(ask ActiveState)" = active ]
case "$(ask StatusText)" in "watching 1 folders"*) ;; *) echo "status: $(ask StatusText)"; exit 1;; esac
until_ test -e "$HOME/talks/a.md.insights.md"
st service install | grep -q already
mkdir -p ~/.config/systemd/user/sessiontrackd.service.d
printf '[Service]\nWatchdogSec=2\nRestartSec=0\n' > ~/.config/systemd/user/sessiontrackd.service.d/t.conf
systemctl --user daemon-reload
systemctl --user restart sessiontrackd.service
sleep 3
[ "$(ask NRestarts)" = 0 ]
kill -STOP "$(ask MainPID)"
restarted() { [ "$(ask NRestarts)" -ge 1 ] && [ "$(ask ActiveState)" = active ]; }
until_ restarted
mkdir -p "$HOME/more"
st watch add "$HOME/more" --yes >/dev/null
systemctl --user reload sessiontrackd.service
two() { case "$(ask StatusText)" in "watching 2 folders"*) true;; *) false;; esac; }
until_ two
start=$(date +%s%N)
st service stop
took=$(( ($(date +%s%N) - start) / 1000000 ))
echo "stopped in $took ms"
[ "$took" -lt 4000 ]
rm -r ~/.config/systemd/user/sessiontrackd.service.d
st service uninstall
[ ! -e ~/.config/systemd/user/sessiontrackd.service ]
[ -z "$(ls -A ~/.config/systemd/user/default.target.wants 2>/dev/null)" ]
echo whole
"""


@pytest.mark.skipif(WITHOUT_SYSTEMD, reason="needs root and systemd")
def test_its_whole_life_under_a_real_manager(shared: Path) -> None:
    """Installed, ready after the first scan, killed by its watchdog and back, reloaded, stopped, gone."""
    tool = shared / "tools" / "with-user-systemd"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SESSIONTRACKD"))}
    done = subprocess.run(
        [tool, "bash", "-c", LIFE], capture_output=True, text=True, timeout=120, check=False,
        env=environ | {"PYTHON": sys.executable, "SAMPLE": str(SAMPLE)},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("whole")
