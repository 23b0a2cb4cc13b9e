"""Requests that go as one batch: half the price, settled one by one, found again after a restart."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sessiontrackd import config, watch
from sessiontrackd.batches import Batches
from sessiontrackd.config import Home
from sessiontrackd.model import JobState
from sessiontrackd.pipeline import Rooms, open_rooms
from sessiontrackd.worker import Worker, process_path
from tests.counterpart import Counterpart, Fault
from tests.test_insights import KEY, TALK, answer

FOUNDED = {"kind": "decision", "text": "SQLite it is.", "quote": "Take SQLite with a nightly export", "messages": [2]}
LATER = timedelta(hours=1)


@pytest.fixture
def server() -> Iterator[Counterpart]:
    with Counterpart(lambda _: answer(FOUNDED)) as running:
        yield running


class Office:
    """A home whose one folder sends batches, with a clock of its own for them."""

    def __init__(self, root: Path, server: Counterpart, *, mode: str = "batch", talks: int = 3) -> None:
        self.home, self.folder, self.at = Home.find(root / "home"), root / "talks", datetime.now(UTC)
        self.folder.mkdir()
        for number in range(talks):
            said = [*TALK, {"role": "user", "content": f"Write to ada{number}@example.org when it runs."}]
            (self.folder / f"talk{number}.json").write_text(json.dumps({"messages": said}))
        config.keep_key(self.home, KEY)
        config.set_value(self.home, "claude.base_url", server.base_url)
        config.set_value(self.home, "budget.monthly", "5usd")
        config.add_folder(self.home, self.folder, engine="claude", mode=mode)
        self.rooms = self.opened()
        self.rooms.consents.grant(str(self.folder), f"127.0.0.1:{server.port}")
        for path in sorted(self.folder.glob("*.json")):
            raw, seen = os.fsencode(path), watch.fingerprint(os.fsencode(path))
            assert seen is not None
            self.rooms.queue.offer(raw, path.name, seen, str(self.folder))

    def opened(self) -> Rooms:
        rooms = open_rooms(self.home)
        return dataclasses.replace(rooms, batches=Batches(rooms.store, now=lambda: self.at))

    def restart(self) -> None:
        self.rooms.close()
        self.rooms = self.opened()

    def work(self, *, later: timedelta = timedelta()) -> None:
        """Let a worker do what is due, after so much time."""
        self.at += later
        self.rooms.queue.hasten([job.path for job in self.rooms.queue.jobs()] if later else [])
        asyncio.run(Worker(self.rooms, 0.0).run())

    @property
    def states(self) -> list[JobState]:
        return [job.state for job in self.rooms.queue.jobs()]

    @property
    def notes(self) -> list[str]:
        return [path.read_text() for path in sorted(self.folder.glob("*.md"))]


@pytest.fixture
def office(tmp_path: Path, server: Counterpart) -> Iterator[Office]:
    made = Office(tmp_path, server)
    yield made
    made.rooms.close()


def test_a_folder_goes_as_one_batch_at_half_the_price(office: Office, server: Counterpart) -> None:
    """Until it ends the local notes stand; then the model's, with what personal data it named put back."""
    office.work()

    assert [len(batch) for batch in server.batches.values()] == [3]
    assert server.requests == []
    assert office.states == [JobState.WAITING] * 3
    assert all("not by claude: it waits in a batch" in note for note in office.notes)
    assert office.rooms.budget.status().reserved_picousd > 0
    assert "ada1@example.org" not in json.dumps(server.batches)

    office.work(later=LATER)

    assert office.states == [JobState.DONE] * 3
    assert all("SQLite it is." in note for note in office.notes)
    assert "ada1@example.org" in office.notes[1]
    status = office.rooms.budget.status()
    assert (status.spent_picousd, status.reserved_picousd) == (server.billed_picousd, 0)
    assert office.rooms.store.read("SELECT reply FROM batch_request") == []


def test_while_a_batch_is_worked_on_nothing_is_read_or_sent_again(office: Office, server: Counterpart) -> None:
    """Its transcripts wait, and `queue` says since when."""
    server.batch_looks = 1
    office.work()
    office.work(later=LATER)

    assert len(server.batches) == 1
    assert office.states == [JobState.WAITING] * 3
    assert all("in a batch at half the price since" in str(job.reason) for job in office.rooms.queue.jobs())
    assert [each["requests"] for each in office.rooms.batches.progress()] == [3]

    office.work(later=LATER)
    assert office.states == [JobState.DONE] * 3


def test_a_batch_is_found_again_after_a_restart(office: Office, server: Counterpart) -> None:
    """Its money stays set aside, nothing is sent twice, and the bill is the ledger."""
    office.work()
    set_aside = office.rooms.budget.status().reserved_picousd
    office.restart()

    assert office.rooms.budget.status().reserved_picousd == set_aside
    office.work(later=LATER)
    assert office.states == [JobState.DONE] * 3
    assert len(server.batches) == 1
    assert office.rooms.budget.status().spent_picousd == server.billed_picousd


def test_each_request_of_a_batch_ends_for_itself(office: Office, server: Counterpart) -> None:
    """What expired is released and goes into the next one; what the server refuses fails alone."""
    server.batch_outcomes = {0: "expired", 1: "errored"}
    office.work()
    office.work(later=LATER)

    assert sorted(office.states) == [JobState.DONE, JobState.FAILED, JobState.WAITING]
    assert [len(batch) for batch in server.batches.values()] == [3, 1]
    assert office.rooms.budget.status().spent_picousd == server.billed_picousd

    server.batch_outcomes = {}
    office.work(later=LATER)
    assert sorted(office.states) == [JobState.DONE, JobState.DONE, JobState.FAILED]
    assert office.rooms.budget.status().reserved_picousd == 0
    assert office.rooms.budget.status().spent_picousd == server.billed_picousd


@pytest.mark.parametrize(("fault", "spent"), [(Fault("status", 429), False), (Fault("reset"), True)])
def test_a_batch_that_cannot_be_sent_is_free_or_counts_as_spent(
    office: Office, server: Counterpart, fault: Fault, spent: bool
) -> None:
    """A refusal frees everything that was set aside; an unknown outcome spends it."""
    server.script.append(fault)
    office.work()
    status = office.rooms.budget.status()

    assert status.reserved_picousd == 0
    assert (status.assumed_picousd > 0) == spent
    assert office.states == [JobState.WAITING] * 3
    assert len(office.notes) == 3


def test_what_a_person_names_does_not_wait_for_a_batch(office: Office, server: Counterpart) -> None:
    """`process` asks at once, at the full price."""
    result = asyncio.run(process_path(office.rooms, office.folder / "talk0.json"))

    assert result["state"] == "done"
    assert (len(server.requests), server.batches) == (1, {})


def test_a_backlog_goes_as_a_batch_and_what_is_fresh_at_once(tmp_path: Path, server: Counterpart) -> None:
    """What had rested for a day when it was found waits; today's talk does not."""
    office = Office(tmp_path, server, mode="backlog")
    old = office.folder / "talk0.json"
    os.utime(old, (office.at.timestamp() - 2 * 86_400,) * 2)
    seen = watch.fingerprint(os.fsencode(old))
    assert seen is not None
    office.rooms.queue.offer(os.fsencode(old), old.name, seen, str(office.folder))
    office.work()

    assert len(server.requests) == 2
    assert [len(batch) for batch in server.batches.values()] == [1]
    office.rooms.close()
