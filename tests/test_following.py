"""Recorded usage read on from a cursor: always what a cold read gives."""

import gzip
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrackd import readers
from sessiontrackd.following import begin, follow, follow_all
from sessiontrackd.history import SCHEMA, History
from sessiontrackd.records import open_source
from sessiontrackd.store import open_store


@contextmanager
def opened(path: Path) -> Iterator[History]:
    """Open a history of its own."""
    with open_store(path, SCHEMA) as store:
        yield History(store)


def cold(history: History, path: Path) -> None:
    """Read a transcript whole, as a job does."""
    source = open_source(path)
    for one in readers.read(source).sessions:
        session = one.close()
        history.record_session(session, os.fsencode(path), folder="/talks")
        begin(history, source, session, "/talks", None)


def rows(history: History) -> list[tuple[Any, ...]]:
    """Return what is recorded, but for when it was noted."""
    found = history._store.read("SELECT * FROM recorded ORDER BY key")
    return [tuple(row[name] for name in row.keys() if name != "noted_at") for row in found]  # noqa: SIM118


def record(nth: int, reply: int, output: int, **more: Any) -> dict[str, Any]:
    """Return a record of Claude Code: every third one asks."""
    said: dict[str, Any] = {"role": "user", "content": f"ask {nth}"}
    if nth % 3:
        usage = {"input_tokens": 3, "output_tokens": output, "cache_read_input_tokens": reply}
        said = {"role": "assistant", "id": f"msg_{reply}", "model": f"model-{nth % 2}", "content": [], "usage": usage}
    return {
        "type": said["role"],
        "sessionId": "s1",
        "uuid": f"u{nth}",
        "timestamp": f"2026-05-01T08:{nth % 60:02}:00.000Z",
        "cwd": "/w",
        "version": "2.1.101",
        "requestId": f"req_{reply % 2}",
        "isSidechain": False,
        "message": said,
    } | more


def claude_records() -> st.SearchStrategy[dict[str, Any]]:
    """Return records that repeat, change their session, and lose their times."""
    made = st.builds(record, st.integers(0, 40), st.integers(0, 6), st.integers(0, 4))
    return made.flatmap(lambda one: CHANGES.map(lambda changes: one | changes))


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "isSidechain": st.booleans(),
        "uuid": st.sampled_from(["u0", "u1", "u4", "x"]),
        "requestId": st.sampled_from(["req_0", "req_9", None]),
        "sessionId": st.sampled_from(["s1", "s2"]),
        "cwd": st.sampled_from(["/w", "/other"]),
        "version": st.sampled_from(["2.1.20", "2.1.101"]),
        "timestamp": st.sampled_from(["2026-05-01T07:00:00Z", "never"]),
    },
)
STAMPS = st.integers(0, 12).map(lambda nth: f"2026-05-01T08:{nth:02}:00.000Z" if nth else "never")
MODELS = st.sampled_from(["model-0", "model-1", None])


def codex_records() -> st.SearchStrategy[dict[str, Any]]:
    """Return records of Codex: totals that rise, repeat and fall back."""
    meta = st.fixed_dictionaries({"id": st.just("s1"), "cwd": st.sampled_from(["/w", "/v"])})
    totals = st.integers(1, 5).map(
        lambda nth: dict.fromkeys(("input_tokens", "output_tokens", "total_tokens"), nth * 7)
    )
    info = st.one_of(st.none(), totals.map(lambda one: {"total_token_usage": one, "last_token_usage": one}))
    payloads = st.one_of(
        meta.map(lambda one: ("session_meta", one)),
        st.tuples(st.just("turn_context"), st.builds(dict, model=MODELS, turn_id=st.sampled_from(["r", "t"]))),
        *[info.map(lambda one: ("event_msg", {"type": "token_count", "info": one}))] * 3,
        st.just(("response_item", {"type": "message", "role": "user", "content": "ask"})),
    )
    return st.builds(lambda at, one: {"timestamp": at, "type": one[0], "payload": one[1]}, STAMPS, payloads)


def pi_records() -> st.SearchStrategy[dict[str, Any]]:
    """Return records of pi: replies with ids and without, aborted ones too."""
    header: st.SearchStrategy[dict[str, Any]] = st.builds(
        dict, id=st.sampled_from(["s1", "s2", None]), cwd=st.sampled_from(["/w", "/v"])
    )
    usage = st.integers(0, 4).map(lambda nth: {"input": nth, "output": nth * 2})
    said: st.SearchStrategy[dict[str, Any]] = st.builds(
        dict, role=st.sampled_from(["user", "assistant", "assistant"]), usage=usage, model=MODELS
    )
    known = st.sampled_from([None, None, "m1", "m2"])
    return st.builds(
        lambda at, one: one | {"timestamp": at},
        STAMPS,
        header.map(lambda one: one | {"type": "session"})
        | st.builds(lambda one, id_: {"type": "message", "id": id_, "message": one}, said, known),
    )


def copilot_records() -> st.SearchStrategy[dict[str, Any]]:
    """Return events of the Copilot CLI, which tells of tokens at a shutdown only."""
    told = {"modelMetrics": {"model-0": {"usage": {"inputTokens": 7, "outputTokens": 3}}}}
    data = st.sampled_from(
        [
            ("session.start", {"sessionId": "s1", "context": {"cwd": "/w"}}),
            ("session.start", {"sessionId": "s1", "context": {"cwd": "/v"}}),
            *[("assistant.message", {"content": "done", "outputTokens": 3})] * 4,
            ("session.shutdown", told),
            ("session.shutdown", {"modelMetrics": {}}),
        ]
    )
    return st.builds(lambda at, one: {"timestamp": at, "type": one[0], "data": one[1]}, STAMPS, data)


FORMATS = {
    "claude_code": claude_records(),
    "codex": codex_records(),
    "pi": pi_records(),
    "copilot_cli": copilot_records(),
}
ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "", "\n\n", "\n{broken\n"])


def empty(history: History) -> None:
    """Forget everything."""
    with history._store.immediate() as connection:
        for table in ("recorded", "cursor", "session"):
            connection.execute(f"DELETE FROM {table}")


def compare(grown: History, whole: History, path: Path, content: bytes, ends: list[int]) -> None:
    """Let a file grow to these places, following it, and read it once whole."""
    empty(grown)
    empty(whole)
    path.unlink(missing_ok=True)
    for begin_at, end in itertools.pairwise([0, *ends]):
        with path.open("ab") as file:
            file.write(content[begin_at:end])
        if not follow(grown, os.fsencode(path)):
            cold(grown, path)
    cold(whole, path)

    assert rows(grown) == rows(whole)


def test_every_format_that_can_be_read_on_is_tried() -> None:
    """A reader that reads on is one of those that are compared with a cold read."""
    assert {one.NAME for one in readers.all_readers() if hasattr(one, "follow")} == set(FORMATS)


@pytest.mark.parametrize("examples", [60, pytest.param(2_000, marks=pytest.mark.prove)])
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_followed_equals_a_cold_read(tmp_path: Path, name: str, examples: int) -> None:
    """Wherever writing paused, inside a line too, and whatever the lines repeat, the rows are those of one reading."""
    with opened(tmp_path / "grown.db") as grown, opened(tmp_path / "whole.db") as whole:

        @given(st.lists(st.tuples(FORMATS[name], ENDS), min_size=1, max_size=14), st.lists(st.floats(0, 1), max_size=4))
        @settings(deadline=None, max_examples=examples)
        def one(parts: list[tuple[dict[str, Any], str]], cuts: list[float]) -> None:
            content = "".join(json.dumps(one) + end for one, end in parts).encode()
            ends = sorted({max(1, round(len(content) * cut)) for cut in cuts} | {len(content)})
            compare(grown, whole, tmp_path / "s1.jsonl", content, ends)

        one()


FOREIGN = {"type": "session_meta", "payload": {"id": "s0", "cwd": "/w"}}
ZEROS = {"type": "event_msg", "payload": {"type": "token_count", "info": {"total_token_usage": {"total_tokens": 0}}}}


@pytest.mark.parametrize("later", [FOREIGN, ZEROS])
def test_a_rollout_that_turns_out_to_be_another_is_read_again_whole(tmp_path: Path, later: dict[str, Any]) -> None:
    """What stands before a copied beginning may be its parent's; counts of zero are no usage of a reply."""
    path, at = tmp_path / "s1.jsonl", {"timestamp": "2026-05-01T08:00:00Z"}
    with opened(tmp_path / "state.db") as history:
        append(path, FOREIGN | at | {"payload": {"id": "s1", "cwd": "/w"}})
        cold(history, path)
        append(path, FOREIGN | at | {"payload": {"id": "s1", "cwd": "/w"}})
        assert follow(history, os.fsencode(path))
        append(path, later | at)

        assert not follow(history, os.fsencode(path))


def append(path: Path, line: dict[str, Any]) -> None:
    """Append a line to a transcript."""
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def test_replies_without_an_id_belong_to_their_session(tmp_path: Path) -> None:
    """Those on the same line of two files are two, and one that records zeros is incomplete."""
    said = {"role": "assistant", "model": "model-0", "usage": {"input": 5, "output": 2}}
    with opened(tmp_path / "state.db") as history:
        for name in ("s1", "s2"):
            lines: list[dict[str, Any]] = [{"type": "session", "id": name, "cwd": "/w"}]
            lines.append({"type": "message", "message": said})
            lines.append({"type": "message", "message": said | {"usage": {"input": 0, "output": 0}}})
            path = tmp_path / f"{name}.jsonl"
            path.write_text("".join(json.dumps(one | {"timestamp": "2026-05-01T08:00:00Z"}) + "\n" for one in lines))
            cold(history, path)

        total = history.recorded()["total"]
        assert (total["input_tokens"], total["output_tokens"]) == (10, 4)
        assert [row[-1] for row in rows(history)] == [1, 0, 1, 0]


def grown_file(path: Path, *numbers: int) -> None:
    """Append records to a transcript."""
    with path.open("a") as file:
        file.writelines(json.dumps(record(nth, nth, nth)) + "\n" for nth in numbers)


def test_only_what_was_appended_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of usage behind the cursor is enough; what stands before it is not read again."""
    path = tmp_path / "s1.jsonl"
    grown_file(path, *range(1, 8))
    with opened(tmp_path / "state.db") as history:
        cold(history, path)
        monkeypatch.setattr(readers, "read", None)
        grown_file(path, 8)
        follow_all(history)

        assert history.recorded()["total"]["output_tokens"] == 1 + 2 + 4 + 5 + 7 + 8
        assert follow(history, os.fsencode(path))
        cursor = history.cursors.of(os.fsencode(path))
        assert cursor is not None
        assert cursor.trail.offset_bytes == path.stat().st_size


@pytest.mark.parametrize("change", ["cut", "rewritten", "replaced", "gone", "renamed session", "packed"])
def test_anything_else_is_read_again_whole(tmp_path: Path, change: str) -> None:
    """A cursor holds for the same file with the same beginning and the same session only."""
    path = tmp_path / "s1.jsonl"
    grown_file(path, *range(1, 8))
    if change == "packed":
        path.write_bytes(gzip.compress(path.read_bytes()))
    with opened(tmp_path / "state.db") as history:
        cold(history, path)
        content = path.read_text(errors="replace")
        if change == "cut":
            path.write_text(content[: len(content) // 2])
        elif change == "rewritten":
            path.write_text(content.replace("ask 3", "ask 0") + content)
        elif change == "replaced":
            other = tmp_path / "other"
            other.write_text(content)
            other.replace(path)
        elif change == "gone":
            path.unlink()
        elif change == "renamed session":
            path.write_text(content.replace('"isSidechain": false', '"isSidechain": true '))
            cold(history, path)
            grown_file(path, 8)

        assert not follow(history, os.fsencode(path))
