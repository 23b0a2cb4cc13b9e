"""Sessions that go on: when their note is made again, and when an engine is asked about them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from sessiontrackd import config, watch, worker
from sessiontrackd.budget import SCHEMA, Limit, TokenManager
from sessiontrackd.config import Home, Settings
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.insights import AIInsightGenerator, open_messages, read_session, session_of
from sessiontrackd.model import Insight, InsightLevel, Job, JobState
from sessiontrackd.pipeline import Rooms, open_rooms
from sessiontrackd.pipeline._growth import Past, pause
from sessiontrackd.queue import Queue
from sessiontrackd.store import open_store
from tests.counterpart import Counterpart
from tests.test_insights import KEY, TALK, answer

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
    return structs.replace(rooms, queue=Queue(rooms.store, now=lambda: datetime.now(UTC) + timedelta(minutes=1)))


def note(rooms: Rooms) -> str:
    return (rooms.settings.folders[0].path / "talk.jsonl.insights.md").read_text()


def test_a_session_that_goes_on_has_a_local_note_and_is_asked_about_when_it_rests(
    opened: Opened, server: Counterpart
) -> None:
    """The job waits for its time, in the queue and with its reason."""
    rooms = opened()
    job = seen(rooms, 1, datetime.now(UTC))

    assert (job.state, server.requests) == (JobState.WAITING, [])
    assert "quiet for 30 min" in (job.reason or "")
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


FILLER = " It has many tables, and each of them is read by the devices in the field and by the office at night." * 6
DECIDED = {"kind": "decision", "text": "SQLite it is.", "quote": "Take SQLite with a nightly export", "messages": [2]}
TO_DO = {"kind": "todo", "text": "Measure the sync.", "quote": "We still have to measure the sync", "messages": [3]}


def grown(turns: int, first: str = "Take SQLite with a nightly export.") -> list[dict[str, str]]:
    """Return a talk of so many messages, each long enough to be worth not sending again."""
    texts = ["Which database should we take?", first, "Good. We still have to measure the sync."]
    texts += [f"Turn {number}: the sync took {number} seconds." for number in range(4, turns + 1)]
    return [{"role": ("user", "assistant")[n % 2], "content": text + FILLER} for n, text in enumerate(texts[:turns])]


class Asked:
    """A generator and its server, asked about a talk again and again."""

    def __init__(self, server: Counterpart) -> None:
        """Start without an insight."""
        self.server = server
        self.prior: Insight | None = None
        self.money = TokenManager(store=open_store(None, SCHEMA), timezone="UTC")
        self.money.set_limits(Limit(10**12))

    def about(self, talk: list[dict[str, str]], *findings: dict[str, Any], outdated: Sequence[int] = ()) -> Insight:
        """Return the insight of a talk, for which the model answers so."""
        self.server.answer = lambda _: answer(*findings, outdated=list(outdated))

        async def once() -> Insight:
            engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=self.server.base_url)
            generator = AIInsightGenerator(self.money, engine=engine, consent=lambda folder, provider: None)
            reading = read_session(open_messages(session_of(talk)), InsightLevel.STANDARD)
            async with contextlib.aclosing(generator):
                return await generator.insight(reading, InsightLevel.STANDARD, prior=self.prior)

        self.prior = asyncio.run(once())
        return self.prior

    @property
    def sent(self) -> str:
        """The last request."""
        return str(json.loads(self.server.requests[-1])["messages"][0]["content"])


def model_said(insight: Insight) -> list[str]:
    return [finding.text for finding in insight.findings if finding.origin == "model" and finding.kind != "outcome"]


def test_a_grown_session_is_asked_about_with_what_is_new(server: Counterpart) -> None:
    """The insight before stands in for the turns it was made of; what no longer holds goes, and the receipt says so."""
    asked = Asked(server)
    whole = asked.about(grown(8), DECIDED, TO_DO)
    assert "Turn 8" in asked.sent
    new = {"kind": "decision", "text": "The sync is fast.", "quote": "the sync took 10 seconds", "messages": [10]}
    patched = asked.about(grown(10), new, outdated=[2])

    assert "Turn 9" in asked.sent
    assert "Turn 8" not in asked.sent
    assert '"number": 1, "kind": "decision", "text": "SQLite it is."' in asked.sent
    assert (model_said(whole), model_said(patched)) == (
        ["SQLite it is.", "Measure the sync."],
        ["SQLite it is.", "The sync is fast."],
    )
    assert patched.provenance["note"] == "from the insight before and 2 new messages"
    assert patched.cost_picousd < whole.cost_picousd
    assert asked.money.status().spent_picousd == server.billed_picousd
    assert server.invalid == []


def test_every_eighth_time_the_whole_is_asked_about(server: Counterpart) -> None:
    """So that small errors do not add up."""
    asked = Asked(server)
    counts = [asked.about(grown(turns), DECIDED).provenance.get("patches", 0) for turns in range(10, 20)]

    assert counts == [0, 1, 2, 3, 4, 5, 6, 7, 0, 1]


def test_a_rewritten_session_is_asked_about_as_a_whole(server: Counterpart) -> None:
    """Where a quote of the insight before stands no more, nothing of it is kept."""
    asked = Asked(server)
    asked.about(grown(8), DECIDED)
    rewritten = asked.about(grown(10, "Take a server with a nightly dump."), DECIDED)

    assert "patches" not in rewritten.provenance
    assert model_said(rewritten) == []


def test_a_short_session_is_asked_about_as_a_whole(server: Counterpart) -> None:
    """Where the insight before is no shorter than what it was made of."""
    asked = Asked(server)
    asked.about(TALK[:2], DECIDED)

    assert "patches" not in asked.about(TALK, DECIDED).provenance


def test_a_session_that_its_tool_ended_waits_for_nothing(opened: Opened, server: Counterpart) -> None:
    """Neither its note nor the engine; what is done and unchanged is not done again."""
    rooms = opened()
    path = rooms.settings.folders[0].path / "talk.jsonl"
    assert seen(rooms, 2, datetime.now(UTC)).state is JobState.WAITING
    name, now = os.fsencode(path), watch.fingerprint(os.fsencode(path))
    assert now is not None

    assert rooms.queue.offer(name, str(path), now, str(path.parent), ended=True)
    asyncio.run(worker.Worker(rooms, 0.0).run())

    assert rooms.queue.jobs()[0].state is JobState.DONE
    assert len(server.requests) == 1
    assert not rooms.queue.jobs()[0].ended
    assert not rooms.queue.offer(name, str(path), now, str(path.parent), ended=True)
