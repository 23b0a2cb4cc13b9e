"""A text that is one thing repeated is read like any other: however long it is, it takes no longer a character."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import readers, report
from sessiontrackd.facts import recorded_title
from sessiontrackd.facts._cues import conclusion, human_decision_weight, is_pleasantry
from sessiontrackd.facts._text import fences
from sessiontrackd.insights import AIInsightGenerator, read_session
from sessiontrackd.model import InsightLevel
from sessiontrackd.privacy import Redactor
from sessiontrackd.readers._speakers import turn_of
from tests import written
from tests.written import Call, Turn

CHARS = 100_000
REPEATED = (
    "<<<<<<< HEAD\n",
    " --a",
    " ",
    "\n",
    "\n ",
    "Mr. ",
    "(a) ",
    "[a",
    "[a](",
    "passwd,\n",
    "kind: secret\ndata:\n a: bbbb\n",
)
"""What took seconds to hours where a search goes back to its beginning each time."""


def talk(text: str) -> tuple[Turn, ...]:
    """Return a talk that says a text wherever one can stand."""
    calls = (
        Call("Bash", {"command": f"npm{text}x"}, f"E  ValueError\n{text}\n1 failed", True),
        Call("Edit", {"file_path": f"/home/p{text}", "old_string": text, "new_string": f"{text}a"}, text),
    )
    return (
        Turn("user", f"the tide import stops at the third file{text}can you mend it"),
        Turn("assistant", f"Let me run it.{text}I'll keep the times in UTC.", calls),
        Turn("user", text),
        Turn("assistant", f"All 41 tests pass now.\n\nNext steps:\n-{text}\n\n{text}"),
    )


def records(text: str) -> Iterator[dict[str, Any]]:
    """Yield the talk as Claude Code records it, with a title."""
    yield {"type": "ai-title", "sessionId": written.SESSION, "aiTitle": f"New chat{text}!"}
    yield from written.claude_records()


@pytest.mark.parametrize("text", REPEATED, ids=repr)
def test_a_long_text_of_one_thing_repeated_is_read_condensed_and_written(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it stands: it was said, run, shown by a tool, or is a name."""
    long = text * (CHARS // len(text))
    monkeypatch.setattr(written, "TALK", talk(long))
    source = tmp_path / "talk.jsonl"
    source.write_text("".join(f"{json.dumps(record)}\n" for record in records(long)), "utf-8")

    (reading,) = [read_session(opened, InsightLevel.STANDARD) for opened in readers.read(source).sessions]
    insight = asyncio.run(AIInsightGenerator().insight(reading, InsightLevel.COMPREHENSIVE))

    assert "the tide import stops" in report.render(
        reading.session, insight, source=source, source_sha256="0" * 64, zone=UTC
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chatgpt_export", '"'),
        ("gemini_cli", '"'),
        ("webvtt", "<v "),
        ("webvtt", "<v.a"),
        ("slack_export", "<@A|"),
        ("slack_export", "<http:a"),
    ],
)
def test_an_export_of_one_thing_repeated_is_told_and_read(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its beginning ends in the midst of a text, too."""
    long = text * (CHARS // len(text))
    monkeypatch.setattr(written, "TALK", talk(long))
    monkeypatch.setattr(written, "MEETING", [("Anna", "Shall we start?"), ("Ben", long), ("Anna", "We decided to.")])
    file, make = written.WRITTEN[name]
    source, content = tmp_path / file, make()
    source.write_bytes(content.encode() if isinstance(content, str) else content)

    assert [read_session(opened).session.format for opened in readers.read(source).sessions] == [name]


def test_a_text_of_a_number_and_empty_lines_is_no_subtitles(tmp_path: Path) -> None:
    """However many they are."""
    source = tmp_path / "talk.srt"
    source.write_text("1" + "\n" * CHARS, "utf-8")

    assert not list(readers.read(source).sessions)


@pytest.mark.parametrize(
    ("text", "settles"),
    [(f"sorry for {'a' * 400}: x y!", 0), (f"so let's do it {'.' * CHARS} x", 1), (f"{'- ' * CHARS}x", 0)],
    ids=["no apology", "no mere assent", "no word"],
)
def test_what_a_sentence_says_shows_however_long_its_end_is(text: str, settles: float) -> None:
    """It is no pleasantry where more follows."""
    assert not is_pleasantry(text)
    assert human_decision_weight(text, 6) == settles


@pytest.mark.parametrize(
    ("line", "speaker"),
    [
        ("0:00,0am From a to" + " " * CHARS, None),
        ("0:00 From " + "a to " * CHARS, None),
        ("0:00" + " " * CHARS + "!", None),
        ("10:02:03 From Anna Berg to Everyone:" + " " * CHARS + "hello", "Anna Berg"),
    ],
    ids=["spaces after to", "many a to", "spaces after the time", "spaces before the words"],
)
def test_a_long_line_tells_who_speaks_by_its_beginning(line: str, speaker: str | None) -> None:
    """However many spaces follow."""
    turn = turn_of(line)

    assert (turn and turn.speaker) == speaker


def test_a_heading_with_more_behind_it_heads_no_conclusion() -> None:
    """However far behind."""
    text = f"# Conclusion{' ' * CHARS}x"

    assert conclusion(text, (0, len(text))) is None


def test_a_title_of_nothing_but_space_and_a_mark_says_nothing() -> None:
    """Even one that goes on for long."""
    assert recorded_title("New chat" + "\n " * CHARS + "- 10:02") == ""


@pytest.mark.parametrize("mark", ["-----BEGIN PRIVATE KEY-----\n", "PuTTY-User-Key-File-2:"])
def test_of_many_beginnings_of_a_key_the_last_has_its_end(mark: str) -> None:
    """What stands between it and its end is the key, and is replaced."""
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"

    found = Redactor(personal=False).redact(f"{mark * (CHARS // len(mark))}{key} and on")

    assert "MIIEvQ" not in found
    assert "END PRIVATE" not in found
    assert found.endswith(" and on")


def test_a_block_to_replace_ends_at_its_end_whatever_else_begins_in_it() -> None:
    """A program that writes such blocks holds their beginnings itself; a beginning without an end is text."""
    block = "<<<<<<< SEARCH\nhead\n<<<<<<< SEARCH\n=======\ntail\n>>>>>>> REPLACE"

    assert fences(f"See:\n{block}\nDone.\n<<<<<<< HEAD\nis left") == [(5, 5 + len(block))]


def test_a_message_of_many_lines_in_a_chat_is_read_whole(tmp_path: Path) -> None:
    """Its empty lines are left out."""
    source = tmp_path / "WhatsApp Chat with Ben.txt"
    lines = ["a"] * CHARS
    first = ["3/14/26, 09:00 - Anna: hi", "3/14/26, 09:01 - Ben: ", "b", "3/14/26, 09:02 - Anna: hello"]
    talk = [*first, *lines, "", "3/14/26, 09:03 - Ben: bye", "c"]
    source.write_text("\n".join(talk), "utf-8")

    said = [message.text for opened in readers.read(source).sessions for message in opened]

    assert said == ["hi", "\nb", "\n".join(["hello", *lines]), "bye\nc"]
