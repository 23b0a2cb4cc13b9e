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
from sessiontrackd.facts._text import fences
from sessiontrackd.insights import AIInsightGenerator, read_session
from sessiontrackd.model import InsightLevel
from sessiontrackd.privacy import Redactor
from sessiontrackd.readers._speakers import turn_of
from tests import written
from tests.written import Call, Turn

CHARS = 200_000
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
