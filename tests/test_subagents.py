"""Sub-agents: no note of their own, one line and all their tokens in their parent's."""

import asyncio
import json
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from sessiontrackd import config, readers, watch, worker
from sessiontrackd.contracts import OpenSession
from sessiontrackd.model import Job, JobState, Message, Origin, Role, Session, Transcript
from sessiontrackd.pipeline import Note, Rooms, open_rooms, process_job
from sessiontrackd.records import Source
from sessiontrackd.subagents import read_agent

PLACES = ("agent-a1.jsonl", "s1/subagents/agent-a1.jsonl", "s1/subagents/workflows/w/agent-a1.jsonl")
RESULT = "The token is set in settings.py, and it is read once at the start."


def line(role: str, number: int, content: object, *, session: str = "s1", **more: object) -> str:
    message: dict[str, object] = {"role": role, "content": content}
    if role == "assistant":
        usage: object = {"input_tokens": 1000, "output_tokens": 10 * number}
        message |= {"id": f"m{session}{more.get('agentId', '')}{number}", "model": "claude-sonnet-4-5-20250929"}
        message |= {"usage": usage}
    record: dict[str, object] = {
        "type": role,
        "sessionId": session,
        "uuid": f"{more.get('agentId')}{number}",
        "parentUuid": None,
    }
    record |= {"timestamp": f"2026-03-14T09:00:0{number}Z", "version": "2.1.101", "message": message}
    return json.dumps(record | {"isSidechain": False, "cwd": "/p"} | more) + "\n"


def side(session: str = "s1") -> str:
    about = {"isSidechain": True, "agentId": "a1", "session": session}
    return line("user", 1, "Find where the token is set, in all of the settings files", **about) + line(  # type: ignore[arg-type]
        "assistant",
        2,
        [{"type": "text", "text": RESULT}],
        **about,  # type: ignore[arg-type]
    )


def main() -> str:
    call = {"description": "Find the token", "prompt": "Find where", "subagent_type": "Explore"}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": RESULT}]}
    return (
        line("user", 1, "Why is the token never refreshed? Please have a look.")
        + line("assistant", 2, [{"type": "tool_use", "id": "t1", "name": "Task", "input": call}])
        + line("user", 3, [result])
        + line("assistant", 4, [{"type": "text", "text": "It is read once at the start, so it never changes."}])
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "talks"
    folder.mkdir()
    return folder


@pytest.fixture
def rooms(home: Path, folder: Path) -> Iterator[Rooms]:
    place = config.Home.find(home)
    config.add_folder(place, folder, stable_s=0.1)
    rooms = open_rooms(place)
    yield rooms
    rooms.close()


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (1_700_000_000,) * 2)
    return path


def worked(rooms: Rooms, path: Path, *, named: bool = False) -> tuple[JobState, str | None, list[Note]]:
    """Work on one file; return where it went and its notes."""
    notes: list[Note] = []

    async def process(rooms: Rooms, job: Job) -> list[Note]:
        notes.extend(await process_job(rooms, job))
        return notes

    seen = watch.fingerprint(os.fsencode(path))
    assert seen is not None
    rooms.queue.offer(os.fsencode(path), path.name, seen, os.fspath(path.parent), named=named)
    asyncio.run(worker.Worker(rooms, 0.0, process).run())
    job = rooms.queue.job(os.fsencode(path))
    assert job is not None
    return job.state, job.reason, notes


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("agent_first", [True, False])
def test_a_sub_agent_is_one_line_in_its_parents_note(rooms: Rooms, folder: Path, place: str, agent_first: bool) -> None:
    """Task, tokens and result, wherever its file stands and whichever is read first; its file gets no note."""
    agent, parent = written(folder, place, side()), written(folder, "s1.jsonl", main())
    if agent_first:
        assert worked(rooms, agent)[0] is JobState.SKIPPED
    state, reason, notes = worked(rooms, parent)
    assert (state, reason) == (JobState.DONE, None)
    assert notes[0].report_path is not None
    text = notes[0].report_path.read_text("utf-8")
    if not agent_first:
        state, reason, _ = worked(rooms, agent)
        assert state is JobState.SKIPPED
        assert "s1" in str(reason)

    told = [one for one in text.splitlines() if "1,020 tokens" in one]
    assert len(told) == 1
    assert "Find the token" in told[0]
    assert "The token is set in" in told[0]
    assert text.count("Find the token") == 1
    assert [path.name for path in folder.rglob("*.md")] == [notes[0].report_path.name]
    assert rooms.history.recorded()["total"]["calls"] == 3


@pytest.mark.parametrize("grows", [True, False])
def test_what_was_read_for_the_parent_is_not_read_again(
    rooms: Rooms, folder: Path, monkeypatch: pytest.MonkeyPatch, grows: bool
) -> None:
    """Its own job only says where it counts, and its usage can be followed; one that changed meanwhile is read."""
    agent, parent = written(folder, PLACES[1], side()), written(folder, "s1.jsonl", main())
    worked(rooms, parent)
    assert rooms.history.cursors.of(os.fsencode(agent)) is not None
    if grows:
        with agent.open("a", encoding="utf-8") as stream:
            stream.write(line("assistant", 3, [], isSidechain=True, agentId="a1"))
        os.utime(agent, (1_700_000_001,) * 2)
    opened: list[Path] = []
    monkeypatch.setattr("sessiontrackd.readers.read", _noting(opened))
    state, reason, _ = worked(rooms, agent)
    assert (state, reason) == (JobState.SKIPPED, "a sub-agent's transcript: it counts under session s1")
    assert opened == ([agent] if grows else [])
    assert rooms.history.recorded()["total"]["calls"] == 3 + grows


def _noting(opened: list[Path]) -> Callable[[Source], Transcript]:
    def read(source: Source) -> Transcript:
        opened.append(source.path)
        return real(source)

    real = readers.read
    return read


TASK = "Find where the token is set, in all of the settings files"
PARENT, AGENT = "0199aaaa-0000-7000-8000-000000000004", "0199aaaa-0000-7000-8000-000000000104"


def codex(session_id: str, ask: str, answer: str, **meta: object) -> str:
    """Return a rollout of Codex with 1,020 tokens."""
    about = {"id": session_id, "cwd": "/p", "source": "cli"} | meta
    total = {"input_tokens": 1000, "output_tokens": 20, "total_tokens": 1020}
    records: list[tuple[str, dict[str, object]]] = [
        ("session_meta", about),
        ("event_msg", {"type": "user_message", "message": ask}),
        (
            "response_item",
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]},
        ),
        ("event_msg", {"type": "token_count", "info": {"total_token_usage": total}}),
    ]
    lines = ({"timestamp": "2026-03-14T09:00:00Z", "type": kind, "payload": payload} for kind, payload in records)
    return "".join(json.dumps(one) + "\n" for one in lines)


def gemini(session_id: str, ask: str, answer: str, **more: object) -> str:
    """Return a session of Gemini CLI with 1,020 tokens."""
    at = "2026-03-14T09:00:00Z"
    tokens = {"input": 1000, "output": 20}
    reply = {"id": f"{session_id}-2", "timestamp": at, "type": "gemini", "content": answer, "tokens": tokens}
    head = {"sessionId": session_id, "projectHash": "p", "startTime": at, "lastUpdated": at} | more
    records = (head, {"id": "1", "timestamp": at, "type": "user", "content": ask}, reply)
    return "".join(json.dumps(one) + "\n" for one in records)


def opencode(session_id: str, ask: str, answer: str, **more: object) -> str:
    """Return an export of OpenCode with 1,020 tokens."""
    info = {"id": session_id, "directory": "/p", "time": {"created": 1, "updated": 2}} | more
    spent = {"input": 1000, "output": 20}
    messages = [
        {"info": {"id": f"{session_id}1", "role": "user"}, "parts": [{"type": "text", "text": ask}]},
        {
            "info": {"id": f"{session_id}2", "role": "assistant", "tokens": spent},
            "parts": [{"type": "text", "text": answer}],
        },
    ]
    return json.dumps({"info": info, "messages": messages}, indent=1)


SPAWNED = {"subagent": {"thread_spawn": {"parent_thread_id": PARENT, "depth": 1}}}
FAMILIES = {
    "codex": (
        f"2026/03/14/rollout-2026-03-14T23-00-00-{PARENT}.jsonl",
        codex(PARENT, "Why is the token never refreshed?", "It is read once at the start."),
        f"2026/03/15/rollout-2026-03-15T00-10-00-{AGENT}.jsonl",
        codex(AGENT, TASK, RESULT, source=SPAWNED),
    ),
    "gemini": (
        "chats/session-2026-03-14T09-00-0199aaaa.jsonl",
        gemini(PARENT, "Why is the token never refreshed?", "It is read once at the start."),
        f"chats/{PARENT}/{AGENT}.jsonl",
        gemini(AGENT, TASK, RESULT, kind="subagent"),
    ),
    "opencode": (
        "parent.json",
        opencode("ses_parent", "Why is the token never refreshed?", "It is read once at the start."),
        "agent.json",
        opencode("ses_agent", TASK, RESULT, parentID="ses_parent"),
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_sub_agents_of_other_tools_count_under_their_parents(rooms: Rooms, folder: Path, name: str) -> None:
    """Where a file records its parent, or stands in its folder, it has a line there and no note of its own."""
    parent_name, parent, agent_name, agent = FAMILIES[name]
    agent_path, parent_path = written(folder, agent_name, agent), written(folder, parent_name, parent)
    state, reason, _ = worked(rooms, agent_path)
    notes = worked(rooms, parent_path)[2]

    assert state is JobState.SKIPPED
    assert "it counts under session" in str(reason)
    assert notes[0].report_path is not None
    text = notes[0].report_path.read_text("utf-8")
    assert [one for one in text.splitlines() if "Find where the token is set" in one and "1,020 tokens" in one]
    assert "session_input_tokens: 2000\n" in text
    assert [path.name for path in folder.rglob("*.md")] == [notes[0].report_path.name]


def test_a_fork_is_no_sub_agent(rooms: Rooms, folder: Path) -> None:
    """A rollout that goes on from another one is a session of its own, with a note of its own."""
    parent_name, parent, agent_name, _ = FAMILIES["codex"]
    fork = codex(AGENT, "And now with a cache.", "Done.", forked_from_id=PARENT)
    fork_path, parent_path = written(folder, agent_name, fork), written(folder, parent_name, parent)

    notes = worked(rooms, parent_path)[2]

    assert notes[0].report_path is not None
    assert "session_input_tokens: 1000\n" in notes[0].report_path.read_text("utf-8")
    assert worked(rooms, fork_path)[0] is JobState.DONE


def test_the_front_matter_counts_and_prices_the_whole_family(rooms: Rooms, folder: Path) -> None:
    """3 replies of 1,000 tokens in, 20 + 40 + 20 out, at 3 and 15 USD a million."""
    written(folder, PLACES[1], side())
    note = worked(rooms, written(folder, "s1.jsonl", main()))[2][0]

    assert note.report_path is not None
    front = note.report_path.read_text("utf-8").split("---")[1]
    assert "session_input_tokens: 3000\n" in front
    assert "session_output_tokens: 80\n" in front
    assert "session_cost_usd: 0.0102\n" in front
    assert "session_cost_complete: true\n" in front


def test_what_is_not_known_of_the_cost_is_shown_as_such(rooms: Rooms, folder: Path) -> None:
    """A model without a price leaves no amount; an output count that is too low leaves a lower bound."""
    unpriced = main().replace("claude-sonnet-4-5-20250929", "nobodys-model")
    low = main().replace("2.1.101", "2.1.30").replace("s1", "s2")
    fronts = []
    for name, text in {"s1.jsonl": unpriced, "s2.jsonl": low}.items():
        note = worked(rooms, written(folder, name, text))[2][0]
        assert note.report_path is not None
        fronts.append(note.report_path.read_text("utf-8").split("---")[1])

    assert "session_cost_usd" not in fronts[0]
    assert "session_cost_usd: 0.0069\n" in fronts[1]
    assert all("session_cost_complete: false\n" in front for front in fronts)


def test_another_sessions_sub_agent_is_not_ours(rooms: Rooms, folder: Path) -> None:
    """A file beside it that belongs to another session adds no line and no tokens."""
    written(folder, PLACES[0], side("other"))
    note = worked(rooms, written(folder, "s1.jsonl", main()))[2][0]

    assert note.report_path is not None
    text = note.report_path.read_text("utf-8")
    assert "tokens)" not in text
    assert "session_input_tokens: 2000\n" in text


def test_a_sub_agent_that_is_named_gets_a_note(rooms: Rooms, folder: Path) -> None:
    """A person who asks for it by name has it."""
    state, _, notes = worked(rooms, written(folder, PLACES[0], side()), named=True)

    assert state is JobState.DONE
    assert notes[0].report_path is not None


@pytest.mark.parametrize("rows", [99, 100])
def test_a_data_set_is_held_until_it_is_named(rooms: Rooms, folder: Path, rows: int) -> None:
    """Hundreds of rows in one file are nobody's conversations; fewer may be somebody's."""
    row = {"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]}
    path = written(folder, "set.jsonl", f"{json.dumps(row)}\n" * rows)

    state, reason, notes = worked(rooms, path)

    assert state is (JobState.HELD if rows == 100 else JobState.DONE)
    assert ("sessiontrackd process" in str(reason)) == (rows == 100)
    assert len(notes) == (0 if rows == 100 else 99)
    assert worked(rooms, path, named=True)[0] is JobState.DONE


def test_personal_data_of_a_sub_agent_stays_out_where_that_is_wished() -> None:
    """Its task and its result pass the same redactor as the session's own text."""

    def steps() -> Generator[Message, None, Session]:
        yield Message(1, Role.USER, Origin.SIDECHAIN, "Write to ada.lovelace@mail.test about it")
        return Session("a1", "claude_code", title="Use ghp_16C7e42F292c6912E7710c838347Ae178B4a")

    assert read_agent(OpenSession(steps())).session.title == "Use ⟦github-token-1⟧"
    assert "ada.lovelace" not in read_agent(OpenSession(steps()), personal=True).task
    assert "ada.lovelace" in read_agent(OpenSession(steps())).task


def test_a_sub_agent_that_is_left_alone_is_not_read(rooms: Rooms, folder: Path) -> None:
    """Names that a folder ignores are ignored here, too."""
    written(folder, PLACES[0], side())
    (folder / ".sessiontrackd.toml").write_text('ignore = ["agent-*"]\n', encoding="utf-8")
    note = worked(rooms, written(folder, "s1.jsonl", main()))[2][0]

    assert note.report_path is not None
    assert "tokens)" not in note.report_path.read_text("utf-8")
