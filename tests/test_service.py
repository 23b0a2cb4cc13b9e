"""The service: its files, its commands, and its whole life under a real systemd user manager."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sessiontrackd import config
from sessiontrackd import service as services
from sessiontrackd.config import Home, notify
from sessiontrackd.errors import Failed, SessiontrackdError
from sessiontrackd.service import AGENT_KEYS, Agent, Answer, Unit, _sandbox, read_agent

WITHOUT_SYSTEMD = shutil.which("systemd-analyze") is None or os.geteuid() != 0
SAMPLE = Path(services.__file__).parent.parent / "samples" / "harbour-meeting.md"
AS_ROOT = {"fchown"} if os.geteuid() == 0 else set()  # of SQLite; refused without harm
MOST_EXPOSED, MOST_EXPOSED_HARDENED = 3.8, 1.7  # of 10, as systemd-analyze counts


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


@pytest.mark.parametrize(
    ("answers", "given"),
    [
        ({}, False),
        ({"show-environment": Answer(0, "PATH=/bin\nANTHROPIC_API_KEY=x\n")}, True),
        ({"show-environment": Answer(0, "MY_ANTHROPIC_API_KEY=x\n")}, False),
        ({"LoadCredential": Answer(0, "LoadCredential=anthropic-api-key:/etc/key")}, True),
    ],
)
def test_it_is_known_whether_the_service_is_given_a_key(own: Home, answers: dict[str, Answer], given: bool) -> None:
    """By the manager's environment, or a credential of the unit."""
    assert Unit(own, Recorded(**answers)).is_given_a_key() is given


def test_a_refusal_of_the_platform_is_told(own: Home) -> None:
    """With its words, and no file stays behind; and a machine without systemctl says so."""
    unit = Unit(own, Recorded(systemctl=Answer(1, "Failed to connect to bus")))
    with pytest.raises(Failed, match=r"Failed to connect to bus\. Nobody is logged in here.*sessiontrackd run"):
        services.install(unit)
    assert not unit.path.exists()
    with pytest.raises(Failed, match="no such-a-command on this machine"):
        services.run(["such-a-command"])


def test_an_agent_is_a_sound_property_list(own: Home) -> None:
    """Each key has its type; what was written is read back; a path with & and < survives."""
    home = Home.find(own.state_dir.parent / "a & <b>")
    agent = Agent(home, Recorded())
    written = agent.files()[agent.path]
    assert written is not None
    found = plistlib.loads(written)

    assert {key: type(value) for key, value in found.items()} == AGENT_KEYS
    assert found["ProgramArguments"][-2:] == [str(home.root), "run"]
    assert found["Umask"] == 0o077
    with pytest.raises(SessiontrackdError, match="cannot be read"):
        read_agent(written.replace(b"</dict>", b"", 1))
    with pytest.raises(SessiontrackdError, match="Nice"):
        read_agent(plistlib.dumps(found | {"Nice": "10"}))


def test_an_agent_is_loaded_and_forgotten(own: Home) -> None:
    """The platform's commands, in their order."""
    runner = Recorded(print=Answer(0, "x = {\n\tstate = running\n}"))
    agent = Agent(own, runner)
    services.install(agent)
    assert services.standing(agent)["state"] == "running"
    services.uninstall(agent)

    assert [line.split()[1] for line in runner.asked] == ["bootout", "bootstrap", "print", "getenv", "bootout"]
    assert not agent.path.exists()


def test_an_agent_waits_until_the_one_before_has_ended(own: Home) -> None:
    """`launchctl bootout` returns early, and `bootstrap` then answers 5 or 37; what else it answers is told at once."""
    answers = [Answer(5, "Bootstrap failed: 5: Input/output error"), Answer(37, "in progress"), Answer(0, "")]
    pauses = list[float]()
    services.install(Agent(own, lambda words: answers.pop(0) if "bootstrap" in words else Answer(3, ""), pauses.append))
    assert (answers, len(pauses)) == ([], 2)

    for status, seconds in ((5, 40), (119, 40)):
        agent = Agent(own, Recorded(bootstrap=Answer(status, "Bootstrap failed")), pauses.append)
        with pytest.raises(Failed, match="Bootstrap failed"):
            agent.load()
        assert sum(pauses) == seconds + 1


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


def hardened(home: Home, runner: Recorded) -> Unit:
    """Return a unit that is to be hardened."""
    return Unit(home, runner, hardened=True)


def test_the_sandbox_names_what_may_be_written(own: Home, tmp_path: Path) -> None:
    """The watched folder, the vault, our own; with what the manager can do, and no line that it refuses."""
    talks, vault = tmp_path / "my talks", tmp_path / "vault"
    talks.mkdir()
    config.add_folder(own, talks)
    config.add_folder(own, tmp_path / "tool", preset="codex", output=f"vault:{vault}")
    runner = Recorded(ProtectKernelLogs=Answer(1, "226/NAMESPACE"))

    assert not vault.exists()  # looking makes nothing
    assert services.standing(hardened(own, runner))["installed"] is False
    assert services.install(hardened(own, runner))

    text = hardened(own, runner).drop_in_path.read_text()
    assert f'ReadWritePaths="-{talks}"\n' in text
    assert f"ReadWritePaths=-{vault}\n" in text
    assert f"{tmp_path}/tool\n" not in text  # nothing is ever written there
    assert vault.is_dir()
    assert "ProtectSystem=strict\n" in text
    assert f"InaccessiblePaths=-{tmp_path}/.ssh -{tmp_path}/.gnupg" in text
    assert "\nProtectKernelLogs" not in text
    assert "Left out, because this machine's manager refuses it: ProtectKernelLogs=yes" in text
    assert not services.install(Unit(own, Recorded()))  # it stays as it is installed, and nothing is asked again
    assert services.standing(Unit(own, Recorded()))["problem"] is None
    assert services.install(Unit(own, Recorded(), hardened=False))
    assert not Unit(own, runner).drop_in_path.exists()


def test_a_machine_without_the_sandbox_says_so_and_changes_nothing(own: Home, tmp_path: Path) -> None:
    """User namespaces may be forbidden."""
    with pytest.raises(Failed, match="user namespaces"):
        services.install(hardened(own, Recorded(**{"systemd-run": Answer(1, "")})))

    assert list(tmp_path.rglob("*.service")) == []
    with pytest.raises(Failed, match="launchd"):
        services.service_of(own, hardened=True, platform="darwin")


def test_a_new_folder_starts_the_hardened_service_anew(own: Home, tmp_path: Path) -> None:
    """Its sandbox is written again; the plain one needs nothing of that."""
    runner = Recorded()
    services.install(Unit(own, runner))
    config.add_folder(own, tmp_path / "a")
    assert not services.refresh(Unit(own, runner))

    services.install(hardened(own, runner))
    assert not services.refresh(Unit(own, runner))
    config.add_folder(own, tmp_path / "b")
    runner.asked.clear()
    assert services.refresh(Unit(own, runner))
    assert f"ReadWritePaths=-{tmp_path}/b\n" in Unit(own, runner).drop_in_path.read_text()
    assert runner.asked[0] == "systemctl --user daemon-reload"
    assert runner.asked[1].endswith("systemctl --user restart sessiontrackd.service")
    assert not services.refresh(Unit(Home.find(tmp_path / "another"), runner))


def test_all_of_it_is_removed(own: Home, tmp_path: Path) -> None:
    """The sandbox, its folder, and the unit that tells of a failure; another drop-in is the person's own."""
    unit = hardened(own, Recorded())
    services.install(unit)
    mine = unit.drop_in_path.with_name("mine.conf")
    mine.touch()

    assert services.uninstall(Unit(own, Recorded()))

    assert [path for path in unit.path.parent.rglob("*") if path.is_file()] == [mine]


def test_what_hides_the_program_is_left_out() -> None:
    """PrivateTmp would hide a folder below /tmp."""
    assert "PrivateTmp=yes" in _sandbox.wanted([Path("/home/x")]) or Path(sys.prefix).is_relative_to("/tmp")
    assert "PrivateTmp=yes" not in _sandbox.wanted([Path("/tmp/x")])


def exposure(path: Path, tmp_path: Path) -> float:
    """Return how systemd-analyze rates a unit file."""
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    words = ["systemd-analyze", "security", "--offline=true", str(path)]
    rated = subprocess.run(words, capture_output=True, text=True, env=environ, check=False)
    found = re.search(r"Overall exposure level.*: ([0-9.]+)", rated.stdout)
    assert found
    return float(found[1])


@pytest.mark.skipif(WITHOUT_SYSTEMD, reason="needs root and systemd")
def test_the_units_are_valid_and_little_exposed(own: Home, tmp_path: Path) -> None:
    """systemd-analyze has nothing to complain about; the hardened unit is rated as its two files together."""
    unit = hardened(own, Recorded())
    folder = tmp_path / "units"
    folder.mkdir()
    written = {path.name: text for path, text in unit.files().items() if text is not None}
    for name in (services.UNIT, services.FAILED_UNIT):
        (folder / name).write_bytes(written[name])
    environ = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--user", folder / services.UNIT, folder / services.FAILED_UNIT],
        capture_output=True, text=True, env=environ, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert exposure(folder / services.UNIT, tmp_path) <= MOST_EXPOSED
    both = tmp_path / services.UNIT
    both.write_bytes(written[services.UNIT] + b"\n" + written["hardened.conf"])
    assert exposure(both, tmp_path) <= MOST_EXPOSED_HARDENED


def allowed() -> set[str]:
    """Return the system calls that the unit's filter lets through."""
    groups: dict[str, set[str]] = {}
    said = subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout
    name = ""
    for line in said.splitlines():
        if line.startswith("@"):
            name = line.strip()
            groups[name] = set()
        elif name and line.strip() and not line.strip().startswith("#"):
            groups[name].add(line.strip())

    def of(group: str) -> set[str]:
        return {call for each in groups[group] for call in (of(each) if each.startswith("@") else {each})}

    return of("@system-service") - of("@privileged") - of("@resources")


def recorded_calls() -> set[str]:
    """Return the system calls that were seen in a real run."""
    return set((Path(__file__).parent / "syscalls.txt").read_text().split())


@pytest.mark.skipif(WITHOUT_SYSTEMD, reason="needs systemd-analyze")
def test_the_calls_of_a_real_run_lie_inside_the_filter() -> None:
    """The list is what the proof below has seen, on x86-64 and as root."""
    assert recorded_calls() - allowed() == set()
    assert len(recorded_calls()) > 50


@pytest.mark.prove
@pytest.mark.skipif(WITHOUT_SYSTEMD or shutil.which("strace") is None, reason="needs strace and systemd-analyze")
def test_the_calls_of_this_run_lie_inside_the_filter(home: Path, tmp_path: Path) -> None:
    """Watching, a note, a vacuum, a notification that fails, another program, and the end. CALLS=FILE adds what was seen."""
    talks = tmp_path / "talks"
    talks.mkdir()
    shutil.copyfile(SAMPLE, talks / "a.md")
    config.add_folder(Home.find(home), talks)
    config.set_value(Home.find(home), "alerts.command", ["true"])
    trace = tmp_path / "trace"
    python = [sys.executable, "-P", "-m", "sessiontrackd"]
    daemon = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, *python, "run"], stderr=subprocess.DEVNULL)
    try:
        until((talks / "a.md.insights.md").exists)
        shutil.copyfile(SAMPLE, talks / "b.md")
        (talks / "b.md").write_text((talks / "b.md").read_text() + "\nAda: One more thing.\n")
        until((talks / "b.md.insights.md").exists)
        os.kill(int((home / "daemon.lock").read_text()), signal.SIGHUP)
        time.sleep(1)
    finally:
        os.kill(int((home / "daemon.lock").read_text()), signal.SIGTERM)
        daemon.wait(30)
    subprocess.run(["strace", "-f", "-qq", "-A", "-o", trace, *python, "service", "failed"], check=True)
    seen = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", trace.read_text(), re.MULTILINE)) - AS_ROOT

    if place := os.environ.get("CALLS"):
        Path(place).write_text("\n".join(sorted(seen | recorded_calls())) + "\n")
    assert seen - allowed() == set()
    assert len(seen & recorded_calls()) > 50


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


BEGINNING = r"""
set -eu
export SESSIONTRACKD_HOME=$HOME/st
st() { "$PYTHON" -P -m sessiontrackd "$@"; }
ask() { systemctl --user show sessiontrackd.service -p"$1" --value; }
until_() { for _ in $(seq 200); do "$@" && return 0; sleep 0.1; done; echo "never: $*"; return 1; }
stopped_in() {
  start=$(date +%s%N); systemctl --user stop sessiontrackd.service
  took=$(( ($(date +%s%N) - start) / 1000000 )); echo "stopped in $took ms"; [ "$took" -lt 2000 ]
}
gone() {
  [ -z "$(find ~/.config/systemd -name 'sessiontrackd*')" ]
  [ -z "$(ls -A ~/.config/systemd/user/default.target.wants 2>/dev/null)" ]
  echo whole
}
"""
PLAIN = r"""
mkdir -p "$HOME/talks"
cp "$SAMPLE" "$HOME/talks/a.md"
st watch add "$HOME/talks" --yes >/dev/null
st service install
[ "$(ask ActiveState)" = active ]
case "$(ask StatusText)" in "watching 1 folder,"*) ;; *) echo "status: $(ask StatusText)"; exit 1;; esac
until_ test -e "$HOME/talks/a.md.insights.md"
st service install | grep -qi already
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
stopped_in
rm -r ~/.config/systemd/user/sessiontrackd.service.d
st service uninstall
gone
"""
HARDENED = r"""
mkdir -p "$HOME/more"
st watch add "$HOME/more" --yes >/dev/null
# hardened: a new folder is not writable until the sandbox is written anew
st service install --hardened
grep -q "ReadWritePaths=-$HOME/more" ~/.config/systemd/user/sessiontrackd.service.d/hardened.conf
cp "$SAMPLE" "$HOME/more/h.md"
until_ test -e "$HOME/more/h.md.insights.md"
mkdir -p "$HOME/third"
st watch add "$HOME/third" --yes | grep -q "restarts"
two() { case "$(ask StatusText)" in "watching 2 folders"*) true;; *) false;; esac; }
until_ two
printf '[[folder]]\npath = "%s/fourth"\n' "$HOME" >> "$SESSIONTRACKD_HOME/config.toml"
mkdir -p "$HOME/fourth"
systemctl --user reload sessiontrackd.service
sandboxed() { grep -q "$HOME/fourth" ~/.config/systemd/user/sessiontrackd.service.d/hardened.conf; }
until_ sandboxed
three() { case "$(ask StatusText)" in "watching 3 folders"*) true;; *) false;; esac; }
until_ three
cp "$SAMPLE" "$HOME/fourth/i.md"
until_ test -e "$HOME/fourth/i.md.insights.md"
st service status | grep -q problem && exit 1
stopped_in

# it dies for good: that is told
printf '[Service]\nRestartSec=0\n' > ~/.config/systemd/user/sessiontrackd.service.d/t.conf
systemctl --user daemon-reload
cp "$SESSIONTRACKD_HOME/config.toml" "$HOME/kept"
echo 'nonsense' >> "$SESSIONTRACKD_HOME/config.toml"
systemctl --user start sessiontrackd.service || true
told() { st alerts list --json | grep -q "The daemon stopped"; }
until_ told
mv "$HOME/kept" "$SESSIONTRACKD_HOME/config.toml"
rm ~/.config/systemd/user/sessiontrackd.service.d/t.conf
st service uninstall
gone
"""


def live(shared: Path, script: str) -> None:
    """Run a script under a real systemd user manager."""
    tool = shared / "tools" / "with-user-systemd"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "SESSIONTRACKD"))}
    done = subprocess.run(
        [tool, "bash", "-c", BEGINNING + script], capture_output=True, text=True, timeout=240, check=False,
        env=environ | {"PYTHON": sys.executable, "SAMPLE": str(SAMPLE)},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("whole")


@pytest.mark.skipif(WITHOUT_SYSTEMD, reason="needs root and systemd")
def test_its_whole_life_under_a_real_manager(shared: Path) -> None:
    """Installed, ready after the first scan, killed by its watchdog and back, reloaded, stopped within 2 s, gone."""
    live(shared, PLAIN)


@pytest.mark.prove
@pytest.mark.skipif(WITHOUT_SYSTEMD, reason="needs root and systemd")
def test_the_hardened_one_takes_folders_and_tells_when_it_dies(shared: Path) -> None:
    """A new folder, added or written into the settings, gives a new sandbox; a daemon that cannot start is told of."""
    live(shared, HARDENED)
