"""Whatever happens to one transcript ends in a state with a reason; the others go on."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from sessiontrackd import config, daemon, watch, worker
from sessiontrackd.budget import Limit, backups
from sessiontrackd.errors import (
    Busy,
    CircuitOpen,
    Held,
    JobError,
    NotAConversation,
    SessiontrackdError,
    StoreFull,
    Waiting,
)
from sessiontrackd.model import Insight, InsightLevel, Job, JobState, Session, Usage
from sessiontrackd.pipeline import Note, Rooms, open_rooms, process_job
from tests.busy import within_s
from tests.desktop import StartDesktop

TALK = "".join(
    json.dumps(
        {"type": role, "sessionId": "s1", "uuid": str(number), "parentUuid": None, "cwd": "/p", "isSidechain": False}
        | {"timestamp": f"2026-03-14T09:00:0{number}Z", "message": {"role": role, "content": f"words {number}"}}
    )
    + "\n"
    for number, role in enumerate(("user", "assistant", "user", "assistant"))
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    return folder


@pytest.fixture
def rooms(home: Path, folder: Path) -> Iterator[Rooms]:
    place = config.Home.find(home)
    config.add_folder(place, folder, stable_s=0.2)
    rooms = open_rooms(place)
    yield rooms
    rooms.close()


def offer(rooms: Rooms, path: Path, *, named: bool = False, delay_s: float = 0.0) -> None:
    name = os.fsencode(path)
    seen = watch.fingerprint(name)
    assert seen is not None
    rooms.queue.offer(name, watch.display(name), seen, os.fspath(path.parent), named=named, delay_s=delay_s)


def talk(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(TALK, encoding="utf-8")
    os.utime(path, (1_700_000_000,) * 2)
    return path


def raising(error: BaseException) -> worker.Process:
    async def process(rooms: Rooms, job: Job) -> list[Note]:
        raise error

    return process


async def succeed(rooms: Rooms, job: Job) -> list[Note]:
    return []


def state_of(rooms: Rooms, path: Path) -> tuple[JobState, str | None]:
    job = rooms.queue.job(os.fsencode(path))
    assert job is not None
    return job.state, job.reason


def work(rooms: Rooms, process: worker.Process, idle_s: float = 0.0) -> None:
    asyncio.run(worker.Worker(rooms, idle_s, process).run())


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NotAConversation("no conversation"), JobState.SKIPPED),
        (JobError("broken"), JobState.FAILED),
        (Held("over budget"), JobState.HELD),
        (Waiting("later", 60.0), JobState.WAITING),
        (SessiontrackdError("who knows"), JobState.FAILED),
        (StoreFull("the disk is full"), JobState.WAITING),
        (Busy("locked"), JobState.WAITING),
    ],
)
def test_the_class_of_an_error_is_the_state(
    rooms: Rooms, folder: Path, error: SessiontrackdError, state: JobState
) -> None:
    """And its text is the reason that people read."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    work(rooms, raising(error))

    assert state_of(rooms, path) == (state, str(error))


@pytest.mark.parametrize("error", [ValueError("the text of a message"), MemoryError(), RecursionError("deep")])
def test_a_fault_of_ours_ends_one_job_and_quotes_nothing(
    rooms: Rooms, folder: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says kind and place; the error's own text may be the transcript's."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    work(rooms, raising(error))

    state, reason = state_of(rooms, path)
    assert state is JobState.FAILED
    assert reason is not None
    assert type(error).__name__ in reason
    assert type(error).__name__ in caplog.text
    assert "test_worker.py" in caplog.text
    assert "the text of a message" not in caplog.text + reason


def test_a_line_is_logged_for_each_transcript(rooms: Rooms, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its name and where it went; a name cannot break the line."""
    offer(rooms, talk(folder, "a\nb.md"))
    with caplog.at_level(logging.INFO, "sessiontrackd"):
        work(rooms, succeed)

    assert f"{folder}/a\\nb.md: done in " in caplog.text


def test_a_threshold_that_a_job_passes_is_told_once(rooms: Rooms, folder: Path, start_desktop: StartDesktop) -> None:
    """After the job that spent the money, with amount and limit; jobs that spend nothing say nothing."""

    async def spend(rooms: Rooms, job: Job) -> list[Note]:
        if b"dear" in job.path:
            reservation = rooms.budget.reserve(Usage(10, 10), cost_picousd=6 * 10**12)
            rooms.budget.send(reservation)
            rooms.budget.assume(reservation)
        return []

    there = start_desktop()
    rooms.budget.set_limits(Limit(10 * 10**12))
    for name in ("a.jsonl", "dear.jsonl", "z.jsonl"):
        offer(rooms, talk(folder, name))
    work(rooms, spend)

    (shown,) = there.shown()
    assert shown["body"].startswith("50 % of the budget for ")
    assert "$6.00 of $10.00" in shown["body"]


def test_reports_that_are_ready_are_told_in_one(rooms: Rooms, folder: Path, tmp_path: Path) -> None:
    """When nothing else is to be done; who named a transcript sees its report anyway."""
    said = tmp_path / "said"
    tells = structs.replace(
        rooms.settings,
        alerts_reports=True,
        alerts_desktop=False,
        alerts_command=("/bin/sh", "-c", f"cat >> {said}; echo >> {said}"),
    )
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        offer(rooms, talk(folder, name), named=name == "c.jsonl")
    work(structs.replace(rooms, settings=tells), process_job)

    (line,) = said.read_text().splitlines()
    assert "2 reports are ready" in json.loads(line)["text"]
    assert json.loads(line)["report"].endswith(".insights.md")


def test_an_engine_that_refuses_everything_is_told_of_once(
    rooms: Rooms, folder: Path, start_desktop: StartDesktop
) -> None:
    """Whatever number of transcripts wait for it; `retry` puts them back."""

    async def refused(rooms: Rooms, job: Job) -> list[Note]:
        raise CircuitOpen(rooms.circuits.open("claude anthropic m", "The server answered 401."))

    there = start_desktop()
    for name in ("a.jsonl", "b.jsonl", "c.jsonl"):
        offer(rooms, talk(folder, name))
    work(rooms, refused)

    (shown,) = there.shown()
    assert shown["body"].startswith("The server answered 401. Until then")
    assert rooms.queue.release("The server answered 401.") == 3


def test_the_limits_of_the_settings_are_in_force_where_work_is_done(rooms: Rooms) -> None:
    """Those that were edited by hand too."""
    config.set_value(rooms.home, "budget.monthly", "3usd")

    again = open_rooms(rooms.home)
    again.close()

    assert rooms.budget.limit() == Limit(3 * 10**12)


def test_a_file_that_grew_since_it_was_offered_rests_first(rooms: Rooms, folder: Path) -> None:
    """It is read only when it has stood still for the folder's stable time."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    path.write_text(TALK * 2)
    read: list[float] = []

    async def process(rooms: Rooms, job: Job) -> list[Note]:
        read.append(time.time() - path.stat().st_mtime)
        return []

    work(rooms, process)
    assert state_of(rooms, path) == (JobState.DONE, None)
    assert 0.2 <= read[0] < 2.0


def test_what_a_person_named_is_read_at_once(rooms: Rooms, folder: Path) -> None:
    """Who types the path knows that it is whole."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path, named=True)
    path.write_text(TALK * 2)
    job = rooms.queue.take(rooms.store.owner)
    assert job is not None

    outcome = asyncio.run(worker.do(rooms, job, succeed))
    assert outcome == worker.Outcome(JobState.DONE)


def test_a_change_during_the_work_is_worked_on_again(rooms: Rooms, folder: Path) -> None:
    """The daemon sees it and offers it; the job waits again as soon as it is done."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    seen: list[int] = []

    async def process(rooms: Rooms, job: Job) -> list[Note]:
        seen.append(path.stat().st_size)
        if len(seen) == 1:
            path.write_text(TALK * 2)
            offer(rooms, path)
        return []

    work(rooms, process)
    assert seen == [len(TALK), 2 * len(TALK)]
    assert state_of(rooms, path) == (JobState.DONE, None)


def test_it_stays_for_a_job_that_is_due_soon(rooms: Rooms, folder: Path) -> None:
    """However short its idle time: the file's rest is nearly over."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path, delay_s=0.1)
    work(rooms, succeed)

    assert state_of(rooms, path)[0] is JobState.DONE


def test_it_ends_when_idle_and_leaves_what_is_due_later(rooms: Rooms, folder: Path) -> None:
    """The daemon starts the next one in time."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path, delay_s=3600)
    work(rooms, succeed)

    assert state_of(rooms, path)[0] is JobState.WAITING


def test_when_idle_it_writes_the_digest_of_the_period_that_ended(rooms: Rooms, tmp_path: Path) -> None:
    """Of what was read in it; a folder that is still looked through has its time."""
    config.set_value(rooms.home, "digest.every", "day")
    config.set_value(rooms.home, "digest.folder", str(tmp_path / "out"))
    rooms = structs.replace(rooms, settings=config.load(rooms.home))
    at = datetime.now(UTC) - timedelta(1)
    session = Session("s1", "codex", started_at=at, ended_at=at, human_turns=2)
    rooms.history.record_session(session, b"/s1")
    rooms.history.keep_insight("s1", "1", Insight(InsightLevel.MINIMAL, "Then", "", (), "local", made_at=at))
    work(rooms, succeed)

    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{at:%Y-%m-%d}.md"]


def test_told_to_end_it_starts_no_new_job(rooms: Rooms, folder: Path) -> None:
    """What has begun is finished."""
    paths = [talk(folder, f"{number}.jsonl") for number in range(3)]
    for path in paths:
        offer(rooms, path)
    made: list[worker.Worker] = []

    async def process(rooms: Rooms, job: Job) -> list[Note]:
        made[0].end()
        return []

    async def run() -> None:
        made.append(worker.Worker(rooms, 60.0, process))
        await made[0].run()

    asyncio.run(run())
    assert [state_of(rooms, path)[0] for path in paths] == [JobState.DONE, JobState.WAITING, JobState.WAITING]


class Network:
    """A pipeline whose jobs wait for an answer until `most` of them do, or the last was taken."""

    def __init__(self, most: int, jobs: int) -> None:
        """Count from nothing."""
        self.most, self.left = most, jobs
        self.in_flight: list[bytes] = []
        self.seen: list[tuple[bytes, ...]] = []
        self.answered = asyncio.Event()

    async def __call__(self, rooms: Rooms, job: Job) -> list[Note]:
        """Wait with the others."""
        self.in_flight.append(job.path)
        self.left -= 1
        self.seen.append(tuple(self.in_flight))
        if len(self.in_flight) == self.most or not self.left:
            self.answered.set()
        await self.answered.wait()
        self.in_flight.remove(job.path)
        return []


def test_as_many_jobs_as_are_allowed_wait_for_the_network_at_once(rooms: Rooms, folder: Path) -> None:
    """And none more, however many there are."""
    paths = [talk(folder, f"{number}.jsonl") for number in range(9)]
    for path in paths:
        offer(rooms, path)
    network = Network(rooms.settings.calls_at_once, len(paths))
    work(rooms, network)

    assert max(map(len, network.seen)) == rooms.settings.calls_at_once == 4
    assert {state_of(rooms, path)[0] for path in paths} == {JobState.DONE}


def test_jobs_that_wait_for_nothing_are_done_one_after_the_other(rooms: Rooms, folder: Path) -> None:
    """The local engine's: a second one in memory would gain nothing, and would fall with the first."""
    seen = []

    async def process(rooms: Rooms, job: Job) -> list[Note]:
        seen.append(len(rooms.queue.jobs((JobState.RUNNING,))))
        return []

    for number in range(3):
        offer(rooms, talk(folder, f"{number}.jsonl"))
    work(rooms, process)

    assert seen == [1, 1, 1]


def test_what_a_worker_died_over_works_alone(rooms: Rooms, folder: Path) -> None:
    """Requests in flight beside it do not fall with it a second time."""
    paths = [talk(folder, f"{number}.jsonl") for number in range(4)]
    for path in paths:
        offer(rooms, path)
    dead = rooms.queue.take("a process that is gone", path=os.fsencode(paths[2]))
    assert dead is not None
    rooms.queue.recover()
    network = Network(2, len(paths))
    work(rooms, network)

    assert (os.fsencode(paths[2]),) in network.seen
    assert all(os.fsencode(paths[2]) not in together or len(together) == 1 for together in network.seen)


def test_a_cancelled_job_waits_again(rooms: Rooms, folder: Path) -> None:
    """Whoever comes next takes it up."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    job = rooms.queue.take(rooms.store.owner)
    assert job is not None

    with pytest.raises(SystemExit):
        asyncio.run(worker.do(rooms, job, raising(SystemExit(143))))
    assert state_of(rooms, path) == (JobState.WAITING, None)


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start real workers, and end them whatever happens."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *words: str, code: str = "import sys; from sessiontrackd.worker.__main__ import main; sys.exit(main())"
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", code, "--home", str(home), *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:  # waits, and closes the pipes
            pass


def test_a_real_worker_does_what_waits_and_heeds_its_daemons_end(
    rooms: Rooms, folder: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """It ends when the pipe to the daemon does, for nobody would tell it of new work."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    process = start("--idle-s", "60")
    assert process.stderr is not None
    assert process.stdin is not None
    line = process.stderr.readline()
    process.stdin.close()

    assert b"a.jsonl: done" in line
    assert process.wait(10) == 0
    assert (folder / "a.jsonl.insights.md").exists()


BUSY = """
import asyncio, sys, time
from sessiontrackd import worker
from sessiontrackd.worker.__main__ import main
async def process(rooms, job):
    print("begun", file=sys.stderr, flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        {pause}
worker.Worker.__init__.__defaults__ = (process,)
sys.exit(main())
"""


@pytest.mark.parametrize("pause", ["pass", "await asyncio.sleep(0.01)"])
def test_sigterm_ends_it_within_two_seconds_even_in_the_middle_of_a_job(
    rooms: Rooms, folder: Path, start: Callable[..., subprocess.Popen[bytes]], pause: str
) -> None:
    """A job that does not end in time is put back, whether it computes or waits."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    process = start(code=BUSY.format(pause=pause))
    assert process.stderr is not None
    assert process.stderr.readline() == b"begun\n"
    most_s, began_s = within_s(2), time.monotonic()
    process.send_signal(signal.SIGTERM)

    assert process.wait(60) == worker.KILLED
    assert time.monotonic() - began_s < most_s
    assert state_of(rooms, path) == (JobState.WAITING, None)


STUCK = """
import sys, time
from sessiontrackd import worker
from sessiontrackd.pipeline import process_job
from sessiontrackd.worker.__main__ import main
async def process(rooms, job):
    if job.path.endswith(b"a.jsonl"):
        time.sleep(60)
    return await process_job(rooms, job)
worker.Worker.__init__.__defaults__ = (process,)
sys.exit(main())
"""


def test_a_stuck_worker_ends_itself_and_the_next_does_the_other_work_first(
    rooms: Rooms, folder: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Nothing that a transcript or a file system does holds the others up for ever; where it stood is on stderr."""
    stuck, other = talk(folder, "a.jsonl"), talk(folder, "b.jsonl")
    offer(rooms, stuck)
    offer(rooms, other)
    process = start("--stuck-s", str(within_s(1)), code=STUCK)
    _, said = process.communicate(timeout=50)

    assert process.returncode == 1
    assert b"in process" in said
    assert (rooms.queue.recover(), state_of(rooms, other)[0]) == (1, JobState.WAITING)
    first = rooms.queue.take(rooms.store.owner)
    assert first is not None and first.path == os.fsencode(other)


CALLING = """
import asyncio, sys
from sessiontrackd import worker
from sessiontrackd.errors import Waiting
from sessiontrackd.worker import _signals
from sessiontrackd.worker.__main__ import main
async def process(rooms, job):
    with rooms.calls.counted():
        print("begun", file=sys.stderr, flush=True)
        await asyncio.sleep({answered_s})
    try:
        rooms.calls.check()
    except Waiting:
        print("none starts", file=sys.stderr, flush=True)
    return []
_signals.CALL_GRACE_S = {grace_s}
worker.Worker.__init__.__defaults__ = (process,)
sys.exit(main())
"""


@pytest.mark.parametrize(("answered_s", "status"), [(1.6, 0), (60, worker.KILLED)])
def test_a_request_in_flight_is_answered_before_the_end_within_limits(
    rooms: Rooms, folder: Path, start: Callable[..., subprocess.Popen[bytes]], answered_s: float, status: int
) -> None:
    """It may be billed; no other one starts after SIGTERM, and it is not waited for without end."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    process = start(code=CALLING.format(answered_s=answered_s, grace_s=2.5))
    assert process.stderr is not None
    assert process.stderr.readline() == b"begun\n"
    for _ in range(2):  # of the service manager, and of the daemon
        process.send_signal(signal.SIGTERM)

    assert process.wait(10) == status
    assert (b"none starts" in process.stderr.read()) == (status == 0)
    assert state_of(rooms, path)[0] == (JobState.DONE if status == 0 else JobState.WAITING)


def test_service_managers_wait_longer_than_the_daemon_and_the_daemon_longer_than_its_worker() -> None:
    """A paid request gets its 20 s."""
    checkout = Path(__file__).parents[1]
    unit = (checkout / "systemd" / "sessiontrackd.service").read_text(encoding="utf-8")
    (plist,) = (checkout / "launchd").glob("*.plist")

    assert worker.CALL_GRACE_S >= 20
    assert worker.CALL_GRACE_S + 2 * worker.GRACE_S < daemon.WORKER_END_S < 30
    assert "TimeoutStopSec=30\n" in unit
    assert "<key>ExitTimeOut</key><integer>30</integer>" in plist.read_text(encoding="utf-8")


def test_settings_that_cannot_be_read_are_one_line(home: Path, start: Callable[..., subprocess.Popen[bytes]]) -> None:
    """No traceback for a user's mistake."""
    (home / "config.toml").write_text("[[folder]]\n")
    process = start()
    assert process.stderr is not None
    said = process.stderr.read().decode()

    assert process.wait(10) == 1
    assert said.count("\n") == 1
    assert "config.toml, line 1" in said


def test_an_idle_worker_keeps_a_copy_a_day(rooms: Rooms, caplog: pytest.LogCaptureFixture) -> None:
    """One a day; of a damaged ledger none, and the log says why."""
    worker_ = worker.Worker(rooms, 0.0)
    rooms.budget.record_token_usage(10, 10)
    asyncio.run(worker_.run())
    (copy,) = backups(rooms.home.db_path)

    copy.unlink()
    with rooms.store.immediate() as connection:
        connection.execute("UPDATE ledger SET picousd = picousd + 1")
    asyncio.run(worker.Worker(rooms, 0.0).run())
    assert backups(rooms.home.db_path) == []
    assert "backup of the database was not made" in caplog.text


def test_who_waits_for_a_process_that_dies_takes_over(rooms: Rooms, folder: Path) -> None:
    """A named transcript on which another process works is worked on by this one when that one is gone."""
    path = talk(folder, "a.jsonl")
    offer(rooms, path)
    lease = rooms.queue.lease()
    assert rooms.queue.take(lease.owner, path=os.fsencode(path))

    async def waiting() -> dict[str, Any]:
        result = asyncio.create_task(worker.process_path(rooms, path))
        await asyncio.sleep(0)
        assert state_of(rooms, path)[0] is JobState.RUNNING
        lease.release()
        return await asyncio.wait_for(result, within_s(10))

    assert asyncio.run(waiting())["state"] == "done"


FIRST_JOB = """
import asyncio, pathlib, sys
from sessiontrackd import templates, worker
from sessiontrackd.config import Home
from sessiontrackd.pipeline import open_rooms
from sessiontrackd.worker._loop import warm_up

home, path = sys.argv[1:]
rooms = open_rooms(Home.find(home))
warm_up(rooms)
before, compiled = set(sys.modules), len(templates.environment(rooms.home.templates_dir).cache)
result = asyncio.run(worker.process_path(rooms, pathlib.Path(path)))
late = {name for name in sys.modules if name not in before and not name.startswith("encodings.")}
print(result["state"], late, compiled, len(templates.environment(rooms.home.templates_dir).cache) - compiled)
rooms.close()
"""


def test_the_first_job_finds_everything_imported_and_compiled(rooms: Rooms, home: Path, folder: Path) -> None:
    """While a file rests, the worker has made a note of a sample, which stands nowhere."""
    words = [sys.executable, "-c", FIRST_JOB, os.fspath(home), os.fspath(talk(folder, "a.jsonl"))]
    said = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()

    assert said[:2] == ["done", "set()"]
    assert int(said[2]) > 0
    assert said[3] == "0"
    assert [path.name for path in folder.glob("*.md")] == ["a.jsonl.insights.md"]
