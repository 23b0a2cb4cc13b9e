"""A session of several parts: what is paid for stays, what is left is listed, and goes on where it stopped."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessiontrackd import condense, config, watch, worker
from sessiontrackd.budget import TokenManager
from sessiontrackd.config import Home
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.insights import AIInsightGenerator, open_messages, read_session, session_of
from sessiontrackd.model import InsightLevel, JobState
from sessiontrackd.pipeline import Rooms, open_rooms
from sessiontrackd.tokens import Estimator
from tests.counterpart import Counterpart, Fault
from tests.test_insights import FOUNDED, KEY, TALK, USD, agreed, answer

LONG = [*TALK, *({"role": "user", "content": f"Part {n}. " + "many words of text, " * 40} for n in range(40))]
LATE = {"kind": "todo", "text": "The last part.", "quote": "Part 39. many words", "messages": [43]}
ROOM_FOR_ONE = "0.002usd"
BUSY = Fault("status", status=529, headers={"retry-after": "3600"})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Divide a session that is not too long for a quick test."""
    if "demands" not in request.node.name:
        monkeypatch.setattr("sessiontrackd.insights._requests.MOST_TOKENS", 4_000)


@pytest.fixture
def server() -> Iterator[Counterpart]:
    """A server that finds a decision in the first part and something to do in the last."""
    with Counterpart(lambda asked: answer(FOUNDED if "Take SQLite" in json.dumps(asked) else LATE)) as running:
        running.counts = False
        yield running


Place = Callable[..., Rooms]


@pytest.fixture
def place(tmp_path: Path, server: Counterpart) -> Iterator[Place]:
    """Return what opens a home with one long transcript, and such a budget."""
    home, folder, opened = Home.find(tmp_path / "home"), tmp_path / "talks", list[Rooms]()
    folder.mkdir()
    (folder / "long.json").write_text(json.dumps({"messages": LONG}))

    def open_with(budget: str, **chosen: object) -> Rooms:
        config.keep_key(home, KEY)
        for name, value in ({"claude.base_url": server.base_url, "budget.monthly": budget} | chosen).items():
            config.set_value(home, name, value)
        if not config.load(home).folders:
            config.add_folder(home, folder, engine="claude", level="standard", stable_s=0)
        opened.append(open_rooms(home))
        opened[-1].consents.grant(str(folder), f"127.0.0.1:{server.port}")
        return opened[-1]

    yield open_with
    for rooms in opened:
        rooms.close()


def work(rooms: Rooms) -> str:
    """Offer the transcript as the daemon does, work until nothing is left to do, and return its note."""
    folder = rooms.settings.folders[0]
    for found in watch.scan(folder):
        rooms.queue.offer(found.path, watch.display(found.path), found.fingerprint, str(folder.path))
    rooms.queue.hasten([os.fsencode(folder.path / "long.json")])
    asyncio.run(worker.Worker(rooms, 0.0).run())
    return next(folder.path.glob("*.md")).read_text()


def test_a_part_that_has_no_room_is_listed_and_made_when_there_is(place: Place, server: Counterpart) -> None:
    """In the note, the queue and with its price; with more room only what is left is asked about, and paid."""
    rooms = place(ROOM_FOR_ONE)
    note = work(rooms)

    parts = len(server.bill)
    assert parts >= 1
    [(job, less)] = rooms.queue.degraded()
    assert (job.state, less.given, less.engine) == (JobState.DONE, "part", "claude")
    assert 0 < (less.cost_picousd or 0) < USD
    assert f"Only asked in {parts} of " in note
    assert "had no room for the rest, which may cost up to $" in note
    assert "SQLite it is." in note
    assert "The last part." not in note

    rooms = place("5usd")
    assert rooms.queue.upgrade() == 1
    note = work(rooms)

    total = len(server.bill)
    assert total > parts
    assert sum("Take SQLite" in json.dumps(json.loads(body)) for body in server.requests) == 1
    assert rooms.queue.degraded() == []
    assert "Only asked in" not in note
    assert f"asked in {total} of {total} parts" in note
    assert "SQLite it is." in note
    assert "The last part." in note
    status = rooms.budget.status()
    assert (status.spent_picousd, status.reserved_picousd) == (server.billed_picousd, 0)


def test_hold_keeps_the_part_that_was_paid_for(place: Place, server: Counterpart) -> None:
    """The transcript is held with what it has so far."""
    rooms = place(ROOM_FOR_ONE, **{"budget.degrade": "hold"})
    note = work(rooms)

    assert rooms.queue.counts()[JobState.HELD] == 1
    assert "SQLite it is." in note
    assert "engine: claude" in note


def test_a_server_that_is_busy_in_the_middle_is_asked_for_the_rest_later(place: Place, server: Counterpart) -> None:
    """Nothing of it is done until then, and nothing is paid twice."""
    rooms = place("5usd")
    server.script.extend([Fault(), BUSY])
    note = work(rooms)
    assert rooms.queue.counts()[JobState.WAITING] == 1
    assert len(server.bill) == 1
    assert "SQLite it is." in note

    note = work(rooms)
    assert rooms.queue.counts()[JobState.DONE] == 1
    assert "SQLite it is." in note
    assert "The last part." in note
    assert sum("Take SQLite" in json.dumps(json.loads(body)) for body in server.requests) == 1
    assert rooms.budget.status().spent_picousd == server.billed_picousd


def test_parts_are_as_small_as_what_was_learned_of_the_model_demands(server: Counterpart) -> None:
    """A tokenizer that makes half as many tokens again still stays below the step that is five times dearer."""
    money, estimator = TokenManager(10), Estimator(None)
    engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=server.base_url)
    generator = AIInsightGenerator(money, engine=engine, consent=agreed, estimator=estimator)
    said = [f"Part {n}. " + "many words of text, " * 100 for n in range(130)]
    session = session_of([{"role": "user", "content": each} for each in said])
    reading = read_session(open_messages(session), InsightLevel.COMPREHENSIVE)
    assert reading.condensed is not None
    who = {"provider": engine.provider, "model": "claude-haiku-5-5"}

    def most() -> tuple[int, int]:
        asks = generator._asks(reading, InsightLevel.COMPREHENSIVE)
        return len(asks), max(estimator.estimate(ask.text, **who).most for ask in asks)

    usual, _ = most()
    for _ in range(40):
        estimator.learn(expected=10_000, actual=16_000, factor=1.0, **who)
    assert most()[0] > usual
    assert most()[1] <= 95_000
    for _ in range(400):
        estimator.learn(expected=10, actual=1_000_000, factor=1.0, **who)
    assert most()[0] <= 4 * usual + 4  # a server that errs does not cut a session into a hundred requests
    assert condense.parts(reading.condensed, estimator.room(condense.MOST_TOKENS, **who))
