"""Requests that go as one batch: half the price, settled one by one, found again after a restart."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from sessiontrackd import config, engines, watch
from sessiontrackd.batches import Batches
from sessiontrackd.config import Home
from sessiontrackd.errors import Busy, Held
from sessiontrackd.model import JobState
from sessiontrackd.pipeline import Rooms, forget, memory_of, move_batches, open_rooms
from sessiontrackd.worker import Worker, do, process_path
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

    def gather(self, name: str = "talk0.json") -> None:
        """Let a worker gather the requests of one transcript, and not send them yet."""
        job = self.rooms.queue.take(self.rooms.store.owner, path=os.fsencode(self.folder / name))
        assert job is not None
        asyncio.run(do(self.rooms, job))

    def named(self, **asked: Any) -> dict[str, Any]:
        """Let a person name a transcript, in a process of its own."""
        rooms = self.opened()
        try:
            return asyncio.run(process_path(rooms, self.folder / "talk0.json", **asked))
        finally:
            rooms.close()

    def opened(self) -> Rooms:
        rooms = open_rooms(self.home)
        return structs.replace(rooms, batches=Batches(rooms.store, now=lambda: self.at))

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


def test_a_batch_whose_engine_cannot_be_made_costs_nothing(
    office: Office, server: Counterpart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was set aside is free again, and the worker goes on."""
    make = engines.make_engine

    def gone(name: str, home: Home, settings: config.Settings, model: str) -> Any:
        if not model:  # the batch's own
            raise Held("its package is gone")
        return make(name, home, settings, model)

    monkeypatch.setattr(engines, "make_engine", gone)
    office.work()

    status = office.rooms.budget.status()
    assert (status.reserved_picousd, status.spent_picousd) == (0, 0)
    assert server.batches == {}
    assert office.states == [JobState.WAITING] * 3


def test_what_a_person_names_leaves_the_batch_that_is_not_sent_yet(office: Office, server: Counterpart) -> None:
    """Another process asks at once; the worker sends the batch without it, and it is paid for once."""
    office.gather()
    office.gather("talk1.json")
    assert office.named()["state"] == "done"
    asyncio.run(move_batches(office.rooms))

    assert len(server.requests) == 1
    assert [len(batch) for batch in server.batches.values()] == [1]
    office.work(later=LATER)
    office.work(later=LATER)  # the third, which was in neither
    assert len(server.bill) == 3
    status = office.rooms.budget.status()
    assert (status.spent_picousd, status.reserved_picousd) == (server.billed_picousd, 0)


def test_what_a_person_names_waits_for_the_batch_that_it_is_in(office: Office, server: Counterpart) -> None:
    """It says so, and takes the batch's answer instead of paying again; personal data comes back all the same."""
    server.batch_looks = 1
    office.work()
    result = office.named()
    assert (result["state"], server.requests) == ("waiting", [])
    assert "in a batch at half the price since" in result["reason"]

    office.work(later=LATER)
    office.work(later=LATER)

    assert office.states == [JobState.DONE] * 3
    assert (len(server.bill), server.requests) == (3, [])
    assert "ada0@example.org" in office.notes[0]
    assert office.rooms.budget.status().spent_picousd == server.billed_picousd


def test_a_folder_that_no_longer_sends_batches_takes_the_answers_it_paid_for(
    office: Office, server: Counterpart
) -> None:
    """Whatever the settings say by then."""
    office.work()
    written = office.home.config_path.read_text()
    office.home.config_path.write_text(written.replace('mode = "batch"', 'mode = "now"'))
    office.restart()
    assert office.rooms.settings.folders[0].mode == "now"
    office.work(later=LATER)

    assert office.states == [JobState.DONE] * 3
    assert (len(server.bill), server.requests) == (3, [])


@pytest.mark.parametrize("by_name", [True, False])
def test_asked_anew_while_a_batch_is_out_nothing_is_lost_of_it(
    office: Office, server: Counterpart, by_name: bool
) -> None:
    """`process --again FILE` pays at once, as it was told to; with a folder it waits. The batch is settled in any case."""
    office.work()
    assert office.named(again=True, by_name=by_name)["state"] == ("done" if by_name else "waiting")
    office.work(later=LATER)

    assert office.states == [JobState.DONE] * 3
    assert len(server.requests) == (1 if by_name else 0)
    status = office.rooms.budget.status()
    assert (status.spent_picousd, status.reserved_picousd) == (server.billed_picousd, 0)


def test_consent_that_is_revoked_holds_for_what_is_gathered(office: Office, server: Counterpart) -> None:
    """So does the AI switch: what is not sent yet is not sent."""
    office.gather()
    office.rooms.consents.revoke(str(office.folder), f"127.0.0.1:{server.port}")
    asyncio.run(move_batches(office.rooms))
    office.rooms.consents.grant(str(office.folder), f"127.0.0.1:{server.port}")
    office.gather("talk1.json")
    office.rooms.queue.turn("ai", on=False)
    asyncio.run(move_batches(office.rooms))

    assert server.batches == {}
    assert office.rooms.budget.status().reserved_picousd == 0


def test_a_worker_that_is_to_end_sends_no_batch(office: Office, server: Counterpart) -> None:
    """And one that is being sent counts as a call on its way, which is waited for."""
    seen: list[int] = []
    office.gather()
    submit = engines.engine_class("claude").submit  # type: ignore[attr-defined]

    async def watched(engine: Any, asks: Any) -> str:
        seen.append(office.rooms.calls.in_flight)
        return str(await submit(engine, asks))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines.engine_class("claude"), "submit", watched)
        asyncio.run(move_batches(office.rooms))
    assert (seen, len(server.batches)) == ([1], 1)

    office.gather("talk1.json")
    office.rooms.calls.end()
    asyncio.run(move_batches(office.rooms))
    assert len(server.batches) == 1


@pytest.mark.parametrize(("status", "state"), [(401, JobState.HELD), (400, JobState.FAILED), (413, JobState.FAILED)])
def test_a_batch_that_is_refused_for_good_is_not_sent_again_and_again(
    office: Office, server: Counterpart, status: int, state: JobState
) -> None:
    """A key that is gone stops the engine; what the server will never take fails, with its reason. Nothing was billed."""
    server.script.extend([Fault("status", status)] * 3)
    for _ in range(3):
        office.work(later=LATER)

    assert office.states == [state] * 3
    assert len(server.script) == 2
    assert all(str(status) in str(job.reason) for job in office.rooms.queue.jobs())
    assert office.rooms.budget.status().spent_picousd == 0


def test_what_came_back_and_was_not_used_is_forgotten_with_its_transcript(office: Office) -> None:
    """It neither stays nor keeps a person from forgetting."""
    office.work()
    talk = office.folder / "talk0.json"
    talk.write_text(json.dumps({"messages": [*TALK, {"role": "user", "content": "And one more thing."}]}))
    seen = watch.fingerprint(os.fsencode(talk))
    assert seen is not None
    office.rooms.queue.offer(os.fsencode(talk), talk.name, seen, str(office.folder))
    with pytest.raises(Busy):
        forget(
            office.home,
            office.rooms.settings,
            office.rooms.store,
            memory_of(office.rooms.store, office.rooms.settings, str(talk)),
        )
    office.work(later=LATER)
    office.work(later=LATER)
    assert office.rooms.batches.knows(os.fsencode(talk))

    forget(
        office.home,
        office.rooms.settings,
        office.rooms.store,
        memory_of(office.rooms.store, office.rooms.settings, str(talk)),
    )
    assert not office.rooms.batches.knows(os.fsencode(talk))


def test_copies_go_into_a_batch_once(office: Office, server: Counterpart) -> None:
    """All of them take the answer; one that a person names while it is out waits for it too."""
    first = office.folder / "talk0.json"
    for number in (1, 2):
        copy = office.folder / f"talk{number}.json"
        copy.write_bytes(first.read_bytes())
        seen = watch.fingerprint(os.fsencode(copy))
        assert seen is not None
        office.rooms.queue.offer(os.fsencode(copy), copy.name, seen, str(office.folder))
    server.batch_looks = 1
    office.work()
    assert [len(batch) for batch in server.batches.values()] == [1]
    another = office.folder.parent / "talk9.json"
    another.write_bytes(first.read_bytes())
    office.rooms.consents.grant(str(another.parent), f"127.0.0.1:{server.port}")
    result = asyncio.run(process_path(office.rooms, another, engine="claude"))
    assert (result["state"], server.requests) == ("waiting", [])

    for _ in range(3):
        office.work(later=LATER)
    assert (len(server.bill), server.requests) == (1, [])
    assert office.states == [JobState.DONE] * 4
    assert all("SQLite it is." in note for note in office.notes)
    status = office.rooms.budget.status()
    assert (status.spent_picousd, status.reserved_picousd) == (server.billed_picousd, 0)
