"""The design's promise: the budget holds, and every transcript has its note."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from sessiontrackd import config, watch, worker
from sessiontrackd.budget import TokenManager
from sessiontrackd.config import Home
from sessiontrackd.insights import LEVELS
from sessiontrackd.model import InsightLevel, JobState
from sessiontrackd.pipeline import Rooms, open_rooms
from tests.counterpart import RATES, Counterpart, Fault
from tests.test_insights import KEY, TALK, answer

MODEL = "claude-haiku-5-5"
RATE_IN, RATE_OUT = RATES[MODEL]
MOST_OUT = LEVELS[InsightLevel.COMPREHENSIVE].max_output_tokens
PROMPT_BYTES_MOST = 7_000  # of the talks below, with their instructions
SESSION_PICOUSD = MOST_OUT * RATE_OUT + PROMPT_BYTES_MOST * RATE_IN  # as the hard bound reserves it


@pytest.fixture
def server() -> Iterator[Counterpart]:
    """A server whose every answer is as long, and so as dear, as it may be."""
    with Counterpart(lambda _: answer(summary="They take SQLite. " * (MOST_OUT // 5))) as running:
        yield running


Place = Callable[..., Rooms]


@pytest.fixture
def place(tmp_path: Path, server: Counterpart) -> Place:
    """Return what opens a home with ten transcripts in a folder at the level comprehensive, and such a budget."""
    home, folder = Home.find(tmp_path / "home"), tmp_path / "talks"
    folder.mkdir()
    for number in range(10):
        talk = [*TALK, {"role": "user", "content": f"And what about field {number}?"}]
        (folder / f"{number}.json").write_text(json.dumps({"messages": talk}))

    def opened(sessions: float, **chosen: object) -> Rooms:
        config.keep_key(home, KEY)
        values: dict[str, object] = {"claude.base_url": server.base_url, "claude.model": MODEL}
        values |= {"daemon.calls_at_once": 8, "budget.monthly": f"{sessions * SESSION_PICOUSD / 1e12:.9f}usd"}
        for name, value in (values | chosen).items():
            config.set_value(home, name, value)
        if not config.load(home).folders:
            config.add_folder(home, folder, engine="claude", level="comprehensive", stable_s=0)
        rooms = open_rooms(home)
        rooms.consents.grant(str(folder), f"127.0.0.1:{server.port}")
        return rooms

    return opened


def drop(rooms: Rooms) -> None:
    """Offer the ten as the daemon does, and work until nothing is left to do."""
    folder = rooms.settings.folders[0]
    for found in watch.scan(folder):
        rooms.queue.offer(found.path, watch.display(found.path), found.fingerprint, str(folder.path))
    asyncio.run(worker.Worker(rooms, 0.0).run())


def notes(rooms: Rooms) -> list[str]:
    return [path.read_text() for path in sorted(rooms.settings.folders[0].path.glob("*.insights.md"))]


def test_a_budget_for_three_sessions_gives_three_and_seven_notes_of_less(place: Place, server: Counterpart) -> None:
    """Ten dropped at once, eight in flight: ten notes, three by the model, the bill within the budget."""
    rooms = place(3)
    server.script.extend(Fault(delay_s=0.05) for _ in range(10))
    drop(rooms)

    status = rooms.budget.status()
    assert sum("engine: claude" in note for note in notes(rooms)) == len(server.bill) == 3
    assert sum("Made by the local engine: the budget of" in note for note in notes(rooms)) == 7
    assert rooms.queue.counts()[JobState.DONE] == 10
    assert server.billed_picousd == status.spent_picousd <= (status.limit_picousd or 0)
    kinds = [row["kind"] for row in rooms.store.read("SELECT kind FROM ledger ORDER BY id")]
    assert kinds.index("settle") > max(place for place, kind in enumerate(kinds) if kind == "send")  # all at once
    rooms.close()


def test_what_was_degraded_is_listed_with_its_price_and_made_again(place: Place, server: Counterpart) -> None:
    """With room in the budget the model writes what the local engine wrote in its place, and the list is empty."""
    rooms = place(3)
    drop(rooms)
    listed = [less for _, less in rooms.queue.degraded()]
    assert {(less.engine, less.level, less.given) for less in listed} == {("claude", "comprehensive", "local")}
    assert all(MOST_OUT * RATE_OUT < (less.cost_picousd or 0) < SESSION_PICOUSD for less in listed)
    rooms.close()

    rooms = place(20)
    assert rooms.queue.upgrade() == 7
    drop(rooms)

    assert rooms.queue.degraded() == []
    assert all("engine: claude" in note and "Made by" not in note for note in notes(rooms))
    assert rooms.budget.status().spent_picousd == server.billed_picousd
    rooms.close()


def test_requests_in_flight_that_fill_the_budget_are_waited_for(place: Place, server: Counterpart) -> None:
    """Most are billed far below what was set aside for them; that room is not lost to those that came at once."""
    server.answer = lambda _: answer()
    rooms = place(3)
    drop(rooms)

    assert len(server.bill) == 10
    assert rooms.queue.degraded() == []
    rooms.close()


def test_a_lower_level_comes_before_the_local_engine(place: Place, server: Counterpart) -> None:
    """Where the user wants that; what fits neither is the local engine's."""
    rooms = place(1.5, **{"budget.degrade": "lower"})
    drop(rooms)

    given = sorted(less.given for _, less in rooms.queue.degraded())
    levels = [next(line for line in note.splitlines() if line.startswith("level:")) for note in notes(rooms)]
    assert given[-1] == "standard"
    assert given[0] == "local"
    assert levels.count("level: standard") == given.count("standard")
    assert sum("Made at the level" in note for note in notes(rooms)) == len(given) - given.count("local")
    assert rooms.budget.status().spent_picousd == server.billed_picousd
    rooms.close()


def test_a_lower_level_that_cannot_be_asked_just_now_leaves_a_local_note(place: Place, server: Counterpart) -> None:
    """Every transcript has its note, also while a busy server is waited for."""
    rooms = place(0.5, **{"budget.degrade": "lower"})
    server.script.extend(Fault("status", status=529, headers={"retry-after": "3600"}) for _ in range(10))
    drop(rooms)

    assert rooms.queue.counts()[JobState.WAITING] == len(notes(rooms)) == len(server.requests) == 10
    assert rooms.budget.status().spent_picousd == 0
    rooms.close()


def test_hold_waits_with_a_local_note_until_the_month_turns(place: Place) -> None:
    """The folder's word goes before that for all; a new month lets what is held go on, and only that."""
    rooms = place(0.5, **{"budget.degrade": "hold"})
    drop(rooms)
    month = f"{datetime.now(UTC):%Y-%m}"

    assert rooms.queue.counts()[JobState.HELD] == len(notes(rooms)) == 10
    assert rooms.queue.degraded() == []
    assert rooms.queue.upgrade(before=month, held_only=True) == 0
    assert rooms.queue.upgrade(before="9999-01", held_only=True) == 10
    rooms.close()


def test_spending_that_runs_ahead_of_the_month_is_held_back(place: Place, server: Counterpart) -> None:
    """On the third of the month a tenth has passed; with 5 % ahead allowed, the local engine goes on from there."""
    rooms = place(40, **{"budget.may_run_ahead": 5})
    third = datetime(2026, 11, 3, 23, tzinfo=UTC)
    early = TokenManager(store=rooms.store, timezone="UTC", now=lambda: third)
    early.hold_to(rooms.settings)
    rooms = structs.replace(rooms, budget=early)
    drop(rooms)

    pace = early.pace()
    assert pace is not None
    assert 9 < pace.passed_percent < 11
    assert 4 < len(server.bill) < 10  # each takes a fortieth at the most
    assert pace.ahead_percent > 0
    assert len(rooms.queue.degraded()) == 10 - len(server.bill)
    rooms.close()


def test_copies_that_are_dropped_at_once_are_paid_for_once(place: Place, server: Counterpart) -> None:
    """Eight would be asked about at once; the others wait for what the first one is answered."""
    rooms = place(40)
    folder = rooms.settings.folders[0].path
    for number in range(1, 10):
        (folder / f"{number}.json").write_bytes((folder / "0.json").read_bytes())
    server.script.extend(Fault(delay_s=0.05) for _ in range(10))
    drop(rooms)

    assert len(server.bill) == 1
    assert rooms.queue.counts()[JobState.DONE] == 10
    assert all("engine: claude" in note for note in notes(rooms))
    rooms.close()
