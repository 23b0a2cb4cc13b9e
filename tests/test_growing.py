"""Sessions that go on: when their note is made again, and when an engine is asked about them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sessiontrackd import config, watch, worker
from sessiontrackd.config import Home, Settings
from sessiontrackd.model import Job, JobState
from sessiontrackd.pipeline import Rooms, open_rooms
from sessiontrackd.pipeline._growth import Past, pause
from sessiontrackd.queue import Queue
from tests.counterpart import Counterpart
from tests.test_insights import KEY, answer

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ASKS = ("Which database should we take for the field app?", "And what about the sync?", "Is it measured now?")


def ago(minutes: float | None) -> datetime | None:
    return None if minutes is None else NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("ended", "noted", "wait_min"),
    [
        (0, None, None),  # it has no note yet
        (0, 3, 7),
        (9, 3, 7),  # the last one, after its end
        (0, 10, None),
        (20, 3, None),  # it rests: what is new may be an older copy
        (None, 3, None),  # a transcript without times
    ],
)
def test_a_local_note_is_made_at_most_every_ten_minutes(
    ended: float | None, noted: float | None, wait_min: float | None
) -> None:
    """And once at the end; what is dropped or has no times is not kept waiting."""
    found = pause(Past(ago(ended), ago(noted)), Settings(), NOW, elsewhere=False)

    assert (found.delay_s / 60 if found else None) == wait_min
    assert found is None or found.keeps_note


@pytest.mark.parametrize(
    ("ended", "noted", "asked", "wait_min", "keeps"),
    [
        (5, None, None, 25, False),  # a local note at once
        (5, 3, None, 7, True),  # which is fresh
        (5, 12, None, 25, False),
        (30, 3, None, None, False),
        (None, None, None, None, False),
        (5, 40, 40, 80, True),  # the engine's own note stays until it is asked again
        (5, 119, 119, 25, True),
        (31, 121, 121, None, False),
        (None, 40, 40, 80, True),  # grown without times: still once in two hours
    ],
)
def test_an_engine_elsewhere_is_asked_when_it_is_quiet_and_once_in_two_hours(
    ended: float | None, noted: float | None, asked: float | None, wait_min: float | None, keeps: bool
) -> None:
    """Waiting saves as much as asking about the new turns only."""
    found = pause(Past(ago(ended), ago(noted), ago(asked)), Settings(), NOW, elsewhere=True)

    assert (round(found.delay_s / 60, 6) if found else None) == wait_min
    assert (found.keeps_note if found else False) is keeps


def talk(path: Path, asks: int, ended_at: datetime) -> None:
    """Write a session of so many asks, the last one answered just then."""
    lines = []
    for number in range(asks * 2):
        at = ended_at - timedelta(seconds=asks * 2 - 1 - number)
        text = ASKS[number // 2] if number % 2 == 0 else f"Take SQLite with a nightly export, answer {number}."
        record: dict[str, object] = {"type": ("user", "assistant")[number % 2], "sessionId": "s1", "uuid": str(number)}
        record |= {"parentUuid": None, "cwd": "/p", "isSidechain": False, "timestamp": at.isoformat()}
        message: dict[str, object] = {"role": record["type"], "content": text}
        if number % 2:
            message |= {"id": f"msg{number}", "model": "claude-haiku-5-5", "usage": {"output_tokens": 1000}}
        lines.append(json.dumps(record | {"message": message}))
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (ended_at.timestamp(),) * 2)


@pytest.fixture
def server() -> Iterator[Counterpart]:
    with Counterpart(lambda _: answer()) as running:
        yield running


Opened = Callable[..., Rooms]


@pytest.fixture
def opened(tmp_path: Path, server: Counterpart) -> Iterator[Opened]:
    """Return what opens a home with one folder, for Claude or the local engine."""
    home, folder, rooms = Home.find(tmp_path / "home"), tmp_path / "talks", list[Rooms]()
    folder.mkdir()

    def with_settings(engine: str = "claude", **chosen: object) -> Rooms:
        config.keep_key(home, KEY)
        values: dict[str, object] = {"claude.base_url": server.base_url, "budget.monthly": "5usd"}
        for name, value in (values | chosen).items():
            config.set_value(home, name, value)
        if not config.load(home).folders:
            config.add_folder(home, folder, engine=engine, stable_s=0)
        rooms.append(open_rooms(home))
        rooms[-1].consents.grant(str(folder), f"127.0.0.1:{server.port}")
        return rooms[-1]

    yield with_settings
    for each in rooms:
        each.close()


def seen(rooms: Rooms, asks: int, ended_at: datetime) -> Job:
    """Let the transcript be so long, offer it as the daemon does, and work."""
    path = rooms.settings.folders[0].path / "talk.jsonl"
    talk(path, asks, ended_at)
    name = os.fsencode(path)
    fingerprint = watch.fingerprint(name)
    assert fingerprint is not None
    rooms.queue.offer(name, str(path), fingerprint, str(path.parent))
    asyncio.run(worker.Worker(rooms, 0.0).run())
    job = rooms.queue.job(name)
    assert job is not None
    return job


def later(rooms: Rooms) -> Rooms:
    """Return them with a queue whose clock is a minute ahead: what is looked at again in 20 s is due."""
    return replace(rooms, queue=Queue(rooms.store, now=lambda: datetime.now(UTC) + timedelta(minutes=1)))


def note(rooms: Rooms) -> str:
    return (rooms.settings.folders[0].path / "talk.jsonl.insights.md").read_text()


def test_a_session_that_goes_on_has_a_local_note_and_is_asked_about_when_it_rests(
    opened: Opened, server: Counterpart
) -> None:
    """The job waits for its time, in the queue and with its reason."""
    rooms = opened()
    job = seen(rooms, 1, datetime.now(UTC))

    assert (job.state, server.requests) == (JobState.WAITING, [])
    assert "rested for 30 min" in (job.reason or "")
    assert job.not_before_at is not None
    assert timedelta(minutes=29) < job.not_before_at - datetime.now(UTC) <= timedelta(minutes=30)
    assert "not by claude: the session goes on" in note(rooms)
    assert seen(rooms, 2, datetime.now(UTC) - timedelta(hours=1)).state is JobState.WAITING
    assert seen(later(rooms), 2, datetime.now(UTC) - timedelta(hours=1)).state is JobState.DONE
    assert len(server.requests) == 1


def test_a_session_that_has_rested_is_asked_about_at_once(opened: Opened, server: Counterpart) -> None:
    """What is dropped into a folder does not wait."""
    rooms = opened()

    assert seen(rooms, 2, datetime.now(UTC) - timedelta(hours=1)).state is JobState.DONE
    assert len(server.requests) == 1


def test_what_a_session_that_goes_on_records_is_read_while_its_note_waits(opened: Opened) -> None:
    """So that the agents' spending is known within a minute; the note stays as it is for ten."""
    rooms = opened("local")
    began_at = datetime.now(UTC)
    assert seen(rooms, 1, began_at).state is JobState.DONE
    before = note(rooms)
    job = seen(rooms, 2, began_at + timedelta(seconds=1))

    assert job.state is JobState.WAITING
    assert note(rooms) == before
    assert rooms.history.recorded_since(began_at - timedelta(hours=1)).tokens == 2000
    assert job.not_before_at is not None
    again_at = job.not_before_at
    seen(rooms, 3, began_at + timedelta(seconds=2))
    job = rooms.queue.jobs()[0]
    assert job.not_before_at is not None
    assert job.not_before_at < again_at - timedelta(minutes=5)  # looked at again soon


def test_an_insight_of_the_engine_stays_until_it_is_asked_again(opened: Opened, server: Counterpart) -> None:
    """A local note never takes its place."""
    rooms = opened()
    rested_at = datetime.now(UTC) - timedelta(hours=1)
    seen(rooms, 1, rested_at)
    before = note(rooms)
    job = seen(rooms, 2, rested_at + timedelta(minutes=1))

    assert (job.state, note(rooms), len(server.requests)) == (JobState.WAITING, before, 1)
    assert "at most every 120 min" in (job.reason or "")
    rooms = opened(**{"growing.ask_every_min": 0})
    assert seen(later(rooms), 3, rested_at + timedelta(minutes=2)).state is JobState.DONE
    assert len(server.requests) == 2
