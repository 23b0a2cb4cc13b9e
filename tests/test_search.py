"""What was read is found again: redacted, bounded, and gone when it is forgotten."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sessiontrackd import search
from sessiontrackd.insights import open_messages
from sessiontrackd.model import Finding, Insight, InsightLevel, Message, Origin, Role, Session, ToolCall
from sessiontrackd.privacy import Redactor
from sessiontrackd.search import Heard, Search
from sessiontrackd.store import Schema, open_store

AT = datetime(2026, 3, 14, 9, tzinfo=UTC)
SECRET = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"


def session(*texts: str, session_id: str = "s1", calls: Sequence[ToolCall] = ()) -> Session:
    """Return a session of asks and answers in turn; the last message has the calls."""
    roles = ((Role.USER, Origin.HUMAN), (Role.ASSISTANT, Origin.MODEL))
    messages = [Message(number + 1, *roles[number % 2], text) for number, text in enumerate(texts)]
    if calls:
        messages.append(Message(len(texts) + 1, *roles[1], "", tool_calls=tuple(calls)))
    return Session(session_id, "claude_code", started_at=AT, messages=tuple(messages))


def heard(of: Session) -> Heard:
    """Return what is kept of it while it is read."""
    kept = Heard()
    kept.listening(open_messages(of)).close()
    return kept


@pytest.fixture
def words(tmp_path: Path) -> Iterator[Search]:
    found = Search.open(tmp_path)
    yield found
    found.close()


def keep(words: Search, of: Session, source: bytes = b"/a.jsonl", *, key: str = "1", title: str = "A talk") -> bool:
    return words.keep(of, source, heard(of), None, key=key, title=title, project="tide", personal=False)


def numbers(words: Search, *looked_for: str) -> list[tuple[str, list[int]]]:
    """Return which messages of which sessions hold the words."""
    return [(hit.session_id, [match.message for match in hit.matches]) for hit in words.find(looked_for)]


def test_messages_are_found_by_their_words(words: Search) -> None:
    """All words must be there, in one message first; a phrase in its order, a beginning, another case, no accent."""
    keep(words, session("mend the tide import", "Der Fehler ist in Zürich, the import runs"))
    keep(words, session("the import of tides", "fine", session_id="s2"))

    assert numbers(words, "tide", "import") == [("s1", [1, 2])]
    assert [(each, sorted(found)) for each, found in numbers(words, "fine", "tides")] == [("s2", [1, 2])]
    assert numbers(words, "tide import") == [("s1", [1])]
    assert {each for each, _ in numbers(words, "TID*")} == {"s1", "s2"}
    assert numbers(words, "zurich") == [("s1", [2])]
    assert numbers(words, "import", "nowhere") == []


def test_scripts_without_spaces_are_found(words: Search) -> None:
    """A word inside a sentence of them too."""
    keep(words, session("潮汐导入慢了一小时", "好"))

    assert numbers(words, "导入") == [("s1", [1])]
    assert words.find(["导入"])[0].matches[0].snippet == "潮汐导入慢了一小时"
    assert numbers(words, "入导") == []


@pytest.mark.parametrize(
    "word", ['"', "AND", "a OR b", "text:x", "(", "NEAR(a b)", "^a", "-a", "*", "'; DROP TABLE heard", "a\0b"]
)
def test_no_word_is_a_command(words: Search, word: str) -> None:
    """What FTS5 gives a meaning is a word like any other."""
    keep(words, session("nothing of that kind"))

    words.find([word])
    assert numbers(words, "nothing") == [("s1", [1])]


def test_commands_are_found_and_findings_of_a_model(words: Search) -> None:
    """The first line of a tool's argument, and what a model wrote."""
    said = session("go", calls=[ToolCall("Bash", {"command": "alembic upgrade head\nsecond line"})])
    insight = Insight(
        InsightLevel.STANDARD,
        "Migration",
        "It ran.",
        (Finding("lesson", "Back up beforehand.", origin="model"),),
        "claude",
    )
    words.keep(said, b"/a", heard(said), insight, key="1", title="Migration", project=None, personal=False)

    assert numbers(words, "alembic") == [("s1", [2])]
    assert numbers(words, "second") == []
    assert numbers(words, "beforehand") == [("s1", [search.TITLE])]


@pytest.mark.parametrize(
    "text",
    [
        f"my token is {SECRET} keep it",
        "x" * (search.KEPT_CHARS[Role.USER] - 10) + f" {SECRET}",
        "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 400,
    ],
)
def test_no_secret_stands_in_the_file(words: Search, tmp_path: Path, text: str) -> None:
    """Not in the middle of a message, not where it is cut, not in a command."""
    keep(words, session(text, calls=[ToolCall("Bash", {"command": f"curl -H 'Authorization: Bearer {SECRET}'"})]))
    said = [match.snippet for hit in words.find(["curl"]) for match in hit.matches]
    words.close()

    assert said
    assert SECRET[:12] not in "".join(said)
    raw = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert SECRET.encode() not in raw
    assert SECRET[5:30].casefold().encode() not in raw.lower()
    assert b"miievqibad" not in raw.lower()


def test_the_same_content_is_kept_once(words: Search) -> None:
    """A changed one takes its place, and a shorter copy elsewhere does not."""
    assert keep(words, session("one", "two"))
    assert not keep(words, session("one", "two"))
    assert keep(words, session("one", "two", "three"), key="2")
    assert not keep(words, session("one"), b"/copy.jsonl", key="3")

    assert numbers(words, "three") == [("s1", [3])]
    assert words.find(["one"])[0].source == b"/a.jsonl"


def test_a_session_takes_a_bounded_place(words: Search) -> None:
    """Of a long message the beginning is kept, of a long session the first part."""
    keep(words, session("start " + "x " * 5_000 + "end", "y"))
    long = session(*("z " * 2_000 for _ in range(600)), session_id="s2")

    assert (numbers(words, "start"), numbers(words, "end")) == ([("s1", [1])], [])
    assert heard(long).chars < search.SESSION_CHARS + search.KEPT_CHARS[Role.USER]


def test_what_is_forgotten_stands_nowhere(words: Search, tmp_path: Path) -> None:
    """Not in the index, not in a free page of the file."""
    keep(words, session("the password of my zzyzx account", "noted"))
    keep(words, session("another one", "yes", session_id="s2"), b"/b.jsonl")

    assert words.forget(source=b"/a.jsonl") == 1
    assert (numbers(words, "zzyzx"), numbers(words, "another")) == ([], [("s2", [1])])
    words.close()
    assert b"zzyzx" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    """It holds nothing that could not be read again."""
    (tmp_path / search.FILE).write_bytes(b"no database at all" * 100)

    words = Search.open(tmp_path)
    assert keep(words, session("one", "two"))
    words.close()


def test_words_stay_where_they_are_while_sessions_come(words: Search) -> None:
    """Many sessions are put together at once and not a few at a time, and before and after it all of them are found."""
    pieces = []
    for number in range(70):
        keep(words, session("mend the tide", f"word{number}", session_id=f"s{number}"), b"/%d.jsonl" % number)
        pieces.append(len(words._store.read("SELECT DISTINCT segid FROM said_idx")))

    assert max(pieces) == 63
    assert pieces[-1] < 10
    assert [numbers(words, f"word{number}") for number in (0, 69)] == [[("s0", [2])], [("s69", [2])]]


def test_a_file_of_an_older_version_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it holds, deflated, is still found, grows and goes."""
    older = Search(open_store(tmp_path / search.FILE, Schema("search", search.SCHEMA.migrations[:1])))
    with monkeypatch.context() as then:
        then.setattr(search, "pack", zlib.compress)
        keep(older, session("mend the tide import"))
    older.close()

    words = Search.open(tmp_path)
    keep(words, session("mend the tide tables", session_id="s2"), b"/b.jsonl")
    assert numbers(words, "import") == [("s1", [1])]
    assert words.forget(session_ids=["s1"]) == 1
    assert numbers(words, "tide") == [("s2", [1])]
    words.close()


def test_cited_messages_are_redacted() -> None:
    """Those that a finding or a part of it rests on, in their order."""
    kept = heard(session("zero", f"with {SECRET}", "two", "three"))
    parts = (Finding("fix", "x", messages=(2,)),)
    insight = Insight(
        InsightLevel.COMPREHENSIVE, "t", "", (Finding("problem", "x", messages=(4,), parts=parts),), "local"
    )

    cited = kept.cited(insight, Redactor(), 9)
    assert [each.index for each in cited] == [2, 4]
    assert SECRET not in cited[0].text
    assert [each.index for each in kept.cited(insight, Redactor(), 1)] == [2]
