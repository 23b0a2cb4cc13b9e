"""The daemon as a user meets it: real processes, real folders."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessiontrackd import budget, config, hook, privacy, queue
from sessiontrackd.config import Home
from sessiontrackd.model import Degraded, InsightLevel, Job, JobState
from sessiontrackd.store import open_store
from tests.busy import within_s
from tests.counterpart import Counterpart, Fault

SOON_S = 60.0  # far more than anything here takes, on a busy machine too
RUN = """
import sys
from sessiontrackd import daemon
from sessiontrackd.config import Home
from sessiontrackd.errors import SessiontrackdError
try:
    daemon.run(Home.find(sys.argv[1]), until_idle=sys.argv[2:] == ["--until-idle"])
except SessiontrackdError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_status)
"""


def talk(number: int, *asks: str) -> str:
    """Return the lines of a session of its own."""
    lines = []
    for place, ask in enumerate(asks or (f"What is a lease, question {number}?", "And a lock?")):
        for role, text in (("user", ask), ("assistant", f"Answer {place}.")):
            record: dict[str, object] = {
                "type": role,
                "sessionId": f"s{number}",
                "uuid": f"{number}-{place}-{role}",
                "parentUuid": None,
            }
            record |= {"cwd": "/p", "isSidechain": False, "timestamp": f"2026-03-14T09:00:{place:02}Z"}
            lines.append(json.dumps({**record, "message": {"role": role, "content": text}}) + "\n")
    return "".join(lines)


class Daemons:
    """Starts real daemons on one home and ends them."""

    def __init__(self, home: Home, folder: Path) -> None:
        """Watch one folder."""
        self.home = home
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        config.add_folder(home, folder, stable_s=0.2)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start one; its lines are read in the background."""
        command = [sys.executable, "-c", RUN, str(self.home.root), *words]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self._started.append(process)
        return process

    def run_until_idle(self) -> str:
        """Let one handle what is there; return what it said."""
        process = self.start("--until-idle")
        said = process.communicate(timeout=60)[1]
        assert process.returncode == 0, said
        return said

    def ask(self, server: Counterpart) -> None:
        """Let the folder be worked on by a server."""
        config.keep_key(self.home, "a-key")
        for name, value in (("claude.base_url", server.base_url), ("budget.monthly", "5usd")):
            config.set_value(self.home, name, value)
        config.set_value(self.home, "engine", "claude", self.folder)
        with open_store(self.home.db_path, privacy.SCHEMA) as store:
            privacy.Consents(store).grant(str(self.folder), f"127.0.0.1:{server.port}")

    def end(self) -> None:
        """End them all, their workers with them."""
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.communicate(timeout=SOON_S)

    def talk(self, name: str, number: int = 1) -> Path:
        """Write a transcript that has rested."""
        path = self.folder / name
        path.write_text(talk(number), encoding="utf-8")
        os.utime(path, (1_700_000_000 + number,) * 2)
        return path

    def jobs(self) -> dict[str, Job]:
        """Return the jobs by the end of their path."""
        with open_store(self.home.db_path, queue.SCHEMA) as store:
            return {job.display.rpartition("/")[2]: job for job in queue.Queue(store).jobs()}


@pytest.fixture
def daemons(home: Path, tmp_path: Path) -> Iterator[Daemons]:
    folder = tmp_path / "talks"
    folder.mkdir()
    daemons = Daemons(Home.find(home), folder)
    yield daemons
    daemons.end()


def eventually(is_so: Callable[[], object]) -> None:
    """Wait for other processes."""
    deadline = time.monotonic() + SOON_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.01)


def test_a_transcript_that_went_is_noticed_once(daemons: Daemons) -> None:
    """Its note says so; the next scan has nothing to do."""
    path = daemons.talk("a.jsonl")
    daemons.run_until_idle()
    path.unlink()
    daemons.run_until_idle()

    job = daemons.jobs()["a.jsonl"]
    assert (job.state, "no longer there" in str(job.reason)) == (JobState.SKIPPED, True)
    assert "source_gone: true" in (daemons.folder / "a.jsonl.insights.md").read_text()
    daemons.run_until_idle()
    assert daemons.jobs()["a.jsonl"] == job


def test_until_idle_handles_what_is_there_and_ends(daemons: Daemons) -> None:
    """Good transcripts get their note, everything else one reason; a second run has nothing to do."""
    for number in range(3):
        daemons.talk(f"{number}.jsonl", number)
    (daemons.folder / "empty.jsonl").write_bytes(b"")
    (daemons.folder / "binary.json").write_bytes(bytes(range(256)) * 50)
    (daemons.folder / "prose.txt").write_text("Nothing was said here.\n")
    Path(os.fsdecode(os.fsencode(daemons.folder) + b"/\xff.txt")).write_text("Nothing here either.\n")
    (daemons.folder / ("x" * 251 + ".txt")).write_text("A long name.\n")
    os.mkfifo(daemons.folder / "pipe.jsonl")
    (daemons.folder / "out.md").symlink_to("/etc/hostname")
    daemons.run_until_idle()

    jobs = daemons.jobs()
    notes = {path.name: path.stat() for path in daemons.folder.glob("*.insights.md")}
    assert set(notes) == {f"{number}.jsonl.insights.md" for number in range(3)}
    assert len(jobs) == 10
    for name, job in jobs.items():
        if name in ("0.jsonl", "1.jsonl", "2.jsonl"):
            assert (job.state, job.reason) == (JobState.DONE, None)
        else:
            assert job.state in (JobState.SKIPPED, JobState.FAILED), name
            assert job.reason, name
    daemons.run_until_idle()
    assert daemons.jobs() == jobs
    assert {path.name: path.stat() for path in daemons.folder.glob("*.insights.md")} == notes


def test_what_is_dropped_gets_its_note_and_growth_another(daemons: Daemons) -> None:
    """In a folder that is watched, and in one below it that was not there before."""
    daemons.start()
    eventually(lambda: (config.heard(daemons.home) or {"folders": {}})["folders"])
    path = daemons.folder / "new" / "talk.jsonl"
    path.parent.mkdir()
    path.write_text(talk(1))
    note = daemons.folder / "new" / "talk.jsonl.insights.md"
    eventually(note.exists)
    before = note.read_bytes()
    with path.open("a") as file:
        file.write(talk(1, "a", "b", "And what of this third thing?").splitlines(True)[-2])

    eventually(lambda: note.read_bytes() != before)


def test_a_second_daemon_says_which_is_the_first(daemons: Daemons) -> None:
    """Exit 75; the lock decides, and a number left by a dead one does not count."""
    daemons.home.prepare()
    daemons.home.lock_path.write_text("1\n")
    first = daemons.start()
    eventually(lambda: config.daemon_pid(daemons.home))
    second = daemons.start()
    said = second.communicate(timeout=SOON_S)[1]

    assert second.returncode == 75
    assert str(first.pid) in said
    assert config.daemon_pid(daemons.home) == first.pid


def test_sigterm_ends_daemon_and_worker_within_two_seconds(daemons: Daemons) -> None:
    """Nothing of it stays: no process, no word, no lock."""
    daemons.talk("a.jsonl")
    process = daemons.start()
    eventually((daemons.folder / "a.jsonl.insights.md").exists)
    most_s = within_s(2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)

    assert process.wait(SOON_S) == 0
    assert time.monotonic() - began_s < most_s
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert config.heard(daemons.home) is None


@pytest.mark.parametrize("total", [20, pytest.param(50, marks=pytest.mark.prove)])
def test_a_killed_daemon_loses_nothing(daemons: Daemons, total: int) -> None:
    """Kill -9 of the daemon and of its worker; the next run makes each note once, and books each session once."""
    for number in range(total):
        daemons.talk(f"{number:02}.jsonl", number)
    process = daemons.start()
    eventually(lambda: any(daemons.folder.glob("*.insights.md")))
    worker = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    for pid in worker:
        os.kill(int(pid), signal.SIGKILL)
    process.communicate()
    daemons.run_until_idle()

    assert {job.state for job in daemons.jobs().values()} == {JobState.DONE}
    assert len(list(daemons.folder.glob("*.md"))) == total
    with open_store(daemons.home.db_path, budget.SCHEMA) as store:
        assert budget.TokenManager(store=store).usage(by="level")["total"]["sessions"] == total


def test_changed_settings_are_taken_up_and_wrong_ones_are_not(daemons: Daemons, tmp_path: Path) -> None:
    """A folder that is added is watched at once; a mistake leaves in force what was."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.jsonl").write_text(talk(2))
    daemons.start()
    eventually(lambda: (config.heard(daemons.home) or {"folders": {}})["folders"])
    config.add_folder(daemons.home, other, stable_s=0.2)
    assert config.poke(daemons.home)
    eventually((other / "b.jsonl.insights.md").exists)
    daemons.home.config_path.write_text("[[folder]]\n")
    config.poke(daemons.home)
    daemons.talk("a.jsonl")

    eventually(lambda: "a.jsonl" in daemons.jobs())


def test_a_refused_key_costs_one_request_and_another_key_takes_the_work_up_again(daemons: Daemons) -> None:
    """Everybody has a local note until then."""
    with Counterpart() as server:
        daemons.ask(server)
        config.set_value(daemons.home, "daemon.calls_at_once", 1)
        for number in range(3):
            daemons.talk(f"{number}.jsonl", number)
        server.script.append(Fault("status", status=401))
        daemons.run_until_idle()

        assert {job.state for job in daemons.jobs().values()} == {JobState.HELD}
        assert len({job.reason for job in daemons.jobs().values()}) == 1
        assert len(list(daemons.folder.glob("*.insights.md"))) == 3
        assert len(server.requests) == 1

        daemons.run_until_idle()
        assert len(server.requests) == 1  # nothing was mended
        config.keep_key(daemons.home, "another-key")
        daemons.run_until_idle()
        assert {job.state for job in daemons.jobs().values()} == {JobState.DONE}
        assert len(server.requests) == 4


@pytest.mark.prove
def test_sigterm_lets_a_request_in_flight_be_answered_and_booked(daemons: Daemons) -> None:
    """Nothing is assumed, and the note is the model's."""
    with Counterpart() as server:
        daemons.ask(server)
        daemons.talk("a.jsonl")
        server.script.append(Fault(delay_s=4))
        process = daemons.start()
        eventually(lambda: server.requests)
        process.terminate()

        assert process.wait(20) == 0
        with open_store(daemons.home.db_path, budget.SCHEMA) as store:
            status = budget.TokenManager(store=store, timezone="UTC").status()
        assert (status.spent_picousd, status.assumed_picousd) == (server.billed_picousd, 0)
    assert "engine: claude" in (daemons.folder / "a.jsonl.insights.md").read_text()


def test_a_folder_that_is_not_there_is_offline(daemons: Daemons) -> None:
    """What is known of it stays, and it is taken up when it comes back."""
    daemons.talk("a.jsonl")
    daemons.run_until_idle()
    away = daemons.folder.rename(daemons.folder.with_name("away"))
    daemons.start()
    eventually(lambda: "offline" in str((config.heard(daemons.home) or {}).get("folders")))
    assert daemons.jobs()["a.jsonl"].state is JobState.DONE
    away.rename(daemons.folder)
    daemons.talk("b.jsonl")

    eventually((daemons.folder / "b.jsonl.insights.md").exists)


def test_paused_work_waits(daemons: Daemons) -> None:
    """`run --until-idle` then has nothing to do; what waits is done after `resume`."""
    daemons.talk("a.jsonl")
    with open_store(daemons.home.db_path, queue.SCHEMA) as store:
        queue.Queue(store).turn("paused", True)
        daemons.run_until_idle()
        assert daemons.jobs()["a.jsonl"].state is JobState.WAITING
        queue.Queue(store).turn("paused", False)
    daemons.run_until_idle()

    assert daemons.jobs()["a.jsonl"].state is JobState.DONE


def test_an_idle_daemon_carries_nothing_heavy(daemons: Daemons) -> None:
    """The modules that its start brings in."""
    code = "import sys, sessiontrackd.daemon; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}

    assert not loaded & {
        "anthropic",
        "jinja2",
        "sqlite_utils",
        "tiktoken",
        "pydantic",
        "click",
        "tomlkit",
        "watchfiles",
    }


def test_a_new_month_makes_again_what_the_old_one_had_no_room_for(daemons: Daemons) -> None:
    """Where the user wants that; what is held until then goes on in any case."""
    config.set_value(daemons.home, "budget.upgrade_at_turn", True)
    daemons.talk("less.jsonl")
    daemons.run_until_idle()
    job = daemons.jobs()["less.jsonl"]
    with open_store(daemons.home.db_path, queue.SCHEMA) as store:
        less = Degraded(InsightLevel.COMPREHENSIVE, "claude", "local", "2026-03")
        queue.Queue(store).degrade(job, less)

    assert "1 transcripts are processed again" in daemons.run_until_idle()
    with open_store(daemons.home.db_path, queue.SCHEMA) as store:
        assert queue.Queue(store).degraded() == []


def test_the_manager_hears_how_it_stands_and_why_settings_were_not_taken_up(
    daemons: Daemons, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders, what waits, the month's money; wrong settings leave those before them in force."""
    config.set_value(daemons.home, "budget.monthly", "50usd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(SOON_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
        process = daemons.start()

        def hear(word: str) -> None:
            while word not in manager.recv(4096).decode():
                pass

        hear("READY=1\nSTATUS=watching 1 folder, 0 waiting, $0 of $50\n")
        daemons.home.config_path.write_text(daemons.home.config_path.read_text() + "colour = 1\n")
        process.send_signal(signal.SIGHUP)
        hear("RELOADING=1")
        hear(
            "STATUS=watching 1 folder, 0 waiting, $0 of $50; the changed settings are invalid, the previous ones stay in force"
        )
        process.send_signal(signal.SIGTERM)
        hear("STOPPING=1")


def test_the_note_of_a_session_that_its_tool_ended_is_made_at_once(daemons: Daemons) -> None:
    """Though it was made a moment ago, and although the last message is new."""
    path, now = daemons.folder / "a.jsonl", time.strftime("%Y-%m-%dT%H:%M:", time.gmtime())
    path.write_text(talk(1).replace("2026-03-14T09:00:", now), encoding="utf-8")
    daemons.start()
    note = daemons.folder / "a.jsonl.insights.md"
    eventually(note.exists)
    path.write_text(talk(1, "What is a lease?", "And a lock?", "Is that all?").replace("2026-03-14T09:00:", now))
    eventually(lambda: daemons.jobs()["a.jsonl"].state is JobState.WAITING and daemons.jobs()["a.jsonl"].reason)
    assert "Is that all" not in note.read_text()

    hook.leave(str(daemons.home.state_dir), "s1", str(path), ended=True)

    eventually(lambda: daemons.jobs()["a.jsonl"].state is JobState.DONE)
    assert "Is that all" in note.read_text()


def test_a_terminal_that_is_closed_ends_its_daemon(daemons: Daemons) -> None:
    """In order: else it would go on unseen, and the next `run` find the home taken."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", RUN, str(daemons.home.root)])
    word = daemons.home.state_dir / "daemon.json"
    eventually(word.exists)
    config.poke(daemons.home)
    os.close(terminal)

    assert os.waitpid(pid, 0)[1] == 0
    assert not word.exists()
