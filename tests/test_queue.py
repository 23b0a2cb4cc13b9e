"""Which transcripts wait, run, are done, held or failed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sessiontrackd.model import Fingerprint, Job, JobState
from sessiontrackd.queue import SCHEMA, Queue
from sessiontrackd.store import Store, open_store

FIRST = Fingerprint(1, 2**64 - 1, 100, 1_700_000_000_000_000_000)
GROWN = Fingerprint(1, 2**64 - 1, 200, 1_700_000_001_000_000_000)


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state.db", SCHEMA) as opened:
        yield opened


@pytest.fixture
def queue(store: Store, clock: Clock) -> Queue:
    return Queue(store, now=clock)


def taken(queue: Queue, owner: str = "me") -> Job:
    job = queue.take(owner)
    assert job is not None
    return job


def test_a_new_transcript_waits_and_is_taken_once(queue: Queue) -> None:
    """A job goes from waiting to running, and to one worker only."""
    assert queue.offer(b"/a\xff", "/a\\xff", FIRST, "/f")

    job = taken(queue)
    assert (job.path, job.display, job.fingerprint, job.folder) == (b"/a\xff", "/a\\xff", FIRST, "/f")
    assert (job.state, job.attempts) == (JobState.RUNNING, 1)
    assert queue.take("other") is None


@pytest.mark.parametrize("state", [JobState.DONE, JobState.SKIPPED, JobState.FAILED, JobState.HELD])
def test_an_unchanged_transcript_stays_where_it_is(queue: Queue, state: JobState) -> None:
    """Seeing the same file again changes nothing; growth brings it back."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    queue.finish(taken(queue), state, "why")

    assert not queue.offer(b"/a", "/a", FIRST, "/f")
    assert queue.counts()[state] == 1
    assert queue.offer(b"/a", "/a", GROWN, "/f")
    assert taken(queue).fingerprint == GROWN


def test_a_person_may_ask_for_a_finished_one(queue: Queue, clock: Clock) -> None:
    """A named path goes first, with the level that was asked for, and only this time."""
    for path in (b"/a", b"/b"):
        queue.offer(path, "x", FIRST, "/f")
    queue.finish(taken(queue), JobState.DONE)
    assert queue.offer(b"/a", "/a", FIRST, "/f", level="minimal", named=True)

    job = taken(queue)
    assert (job.path, job.level, job.named) == (b"/a", "minimal", True)
    queue.finish(job, JobState.DONE)
    clock.pass_s(1)
    queue.offer(b"/a", "/a", GROWN, "/f")
    assert taken(queue).path == b"/b"
    later = taken(queue)
    assert (later.level, later.named) == (None, False)


def test_growth_while_running_is_worked_on_afterwards(queue: Queue) -> None:
    """A change during the work is not lost."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    job = taken(queue)
    queue.offer(b"/a", "/a", GROWN, "/f")

    assert queue.take("other") is None
    assert queue.finish(job, JobState.DONE) is JobState.WAITING
    assert taken(queue).fingerprint == GROWN


def test_growth_that_was_already_read_is_not_worked_on_again(queue: Queue) -> None:
    """The watcher may be later than the reader."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    job = taken(queue)
    queue.offer(b"/a", "/a", GROWN, "/f")

    assert queue.finish(job, JobState.DONE, read=GROWN) is JobState.DONE


def test_growth_before_the_scan_is_remembered_from_the_reader(queue: Queue) -> None:
    """What was read counts as seen."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    queue.finish(taken(queue), JobState.DONE, read=GROWN, content_sha256="ab")

    assert not queue.offer(b"/a", "/a", GROWN, "/f")
    assert queue.content_sha256(b"/a") == "ab"
    assert queue.fingerprints("/f") == {b"/a": GROWN}


def test_a_job_put_off_waits_its_time(queue: Queue, clock: Clock) -> None:
    """A waiting job is not given out before it is due, and keeps its attempts."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    queue.finish(taken(queue), JobState.WAITING, "still written", 5)

    assert queue.take("me") is None
    assert queue.next_due() == clock() + timedelta(seconds=5)
    queue.offer(b"/a", "/a", GROWN, "/f")
    assert queue.take("me") is None
    clock.pass_s(5)
    queue.finish(taken(queue), JobState.WAITING, "still written", 5)
    clock.pass_s(5)
    assert taken(queue).attempts == 2


def test_a_pause_holds_all_but_what_a_person_names(queue: Queue) -> None:
    """Paused work stays in the queue."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    assert queue.turn("paused", True) is False

    assert (queue.take("me"), queue.next_due()) == (None, None)
    queue.offer(b"/b", "/b", FIRST, None, named=True)
    assert taken(queue).path == b"/b"
    assert queue.turn("paused", False) is True
    assert taken(queue).path == b"/a"


def test_switches_have_a_state_on_a_new_machine(queue: Queue) -> None:
    """Work runs and engines may be used until someone says otherwise."""
    assert (queue.is_on("paused"), queue.is_on("ai")) == (False, True)


def test_retry_brings_back_failed_and_held(queue: Queue) -> None:
    """All of them, or the one that is named."""
    for path, state in ((b"/a", JobState.FAILED), (b"/b", JobState.HELD), (b"/c", JobState.DONE)):
        queue.offer(path, "x", FIRST, "/f")
        queue.finish(taken(queue), state, "why")

    assert queue.retry(b"/c") == 0
    assert queue.retry(b"/b") == 1
    assert queue.retry() == 1
    assert [taken(queue).path for _ in range(2)] == [b"/b", b"/a"]


def test_forgotten_transcripts_are_new_again(queue: Queue) -> None:
    """Nothing of the path stays in the queue."""
    queue.offer(b"/a", "/a", FIRST, "/f")

    assert queue.forget(b"/a")
    assert (queue.jobs(), queue.forget(b"/a")) == ([], False)


def in_child(work: Callable[[], None]) -> int:
    """Start a child process that ends by SIGKILL; return its number once it is dead."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return child


def take_and_hold(queue: Queue) -> None:
    queue.take(queue.lease().owner)


def test_the_jobs_of_a_killed_worker_are_given_back(queue: Queue) -> None:
    """Killing a worker loses nothing, and leaves the work of the living alone."""
    for path in (b"/a", b"/b"):
        queue.offer(path, "x", FIRST, "/f")
    with queue.lease() as lease:
        mine = taken(queue, lease.owner)
        in_child(lambda: take_and_hold(queue))

        assert queue.counts()[JobState.RUNNING] == 2
        assert queue.recover() == 1
        assert taken(queue, lease.owner).path != mine.path
        assert queue.recover() == 0


def test_a_transcript_that_kills_its_workers_fails(queue: Queue) -> None:
    """The third death is the last; then a person decides."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    for _ in range(3):
        taken(queue, "nobody")
        queue.recover()

    assert [(job.state, "3 workers ended" in (job.reason or "")) for job in queue.jobs()] == [(JobState.FAILED, True)]
    queue.retry()
    assert taken(queue).path == b"/a"


def test_work_that_was_given_back_cannot_be_finished(queue: Queue) -> None:
    """A worker that was taken for dead does not end the job of its successor."""
    queue.offer(b"/a", "/a", FIRST, "/f")
    first = taken(queue, "nobody")
    queue.recover()
    second = taken(queue)

    queue.finish(first, JobState.FAILED, "late")
    assert queue.counts()[JobState.RUNNING] == 1
    assert queue.finish(second, JobState.DONE) is JobState.DONE


class Machine(RuleBasedStateMachine):
    """Several workers, growing files and deaths: each content that was last seen is read in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = open_store(None, SCHEMA)
        self.queue = Queue(self.store, now=self.clock)
        self.size = dict.fromkeys((b"/a", b"/b"), 0)
        self.read: dict[bytes, int] = {}
        self.running: list[Job] = []

    @rule(path=st.sampled_from([b"/a", b"/b"]), named=st.booleans())
    def grow(self, path: bytes, named: bool) -> None:
        self.size[path] += 1
        self.queue.offer(path, "x", Fingerprint(1, 1, self.size[path], 1), None, named=named)

    @rule(path=st.sampled_from([b"/a", b"/b"]))
    def see(self, path: bytes) -> None:
        if self.size[path]:
            self.queue.offer(path, "x", Fingerprint(1, 1, self.size[path], 1), None)

    @rule()
    def take(self) -> None:
        job = self.queue.take("nobody")
        if job:
            assert job.path not in {other.path for other in self.running}
            self.running.append(job)

    @rule(state=st.sampled_from([JobState.DONE, JobState.FAILED, JobState.WAITING]), honest=st.booleans())
    def finish(self, state: JobState, honest: bool) -> None:
        if self.running:
            job = self.running.pop(0)
            size = job.fingerprint.size_bytes
            self.queue.finish(job, state, delay_s=1, read=job.fingerprint if honest else None)
            if state is not JobState.WAITING:
                self.read[job.path] = size

    @rule()
    def die(self) -> None:
        self.running.clear()
        self.queue.recover()

    @rule()
    def wait(self) -> None:
        self.clock.pass_s(2)

    @invariant()
    def nothing_is_lost(self) -> None:
        pending = {job.path for job in self.queue.jobs([JobState.WAITING, JobState.RUNNING])}
        given_up = {job.path for job in self.queue.jobs([JobState.FAILED])}
        for path, size in self.size.items():
            assert size == 0 or path in pending or path in given_up or self.read.get(path) == size

    def teardown(self) -> None:
        self.store.close()


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)
TestMachine = Machine.TestCase
