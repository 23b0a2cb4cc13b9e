"""capture_session, as the design writes it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sessiontrackd import AIInsightGenerator, TokenManager, capture_session, key_messages
from sessiontrackd.capture import CapturedSession
from tests.test_insights import TALK


def test_the_example_of_the_design_runs_as_written(home: Path) -> None:
    """It makes an insight without a key, a network or a cost."""
    conversation_messages = TALK

    async def example() -> CapturedSession:
        token_manager = TokenManager(monthly_budget=50.00)
        insight_generator = AIInsightGenerator(token_manager)
        assert insight_generator.token_manager is token_manager
        return await capture_session(messages=conversation_messages, insight_level="standard")

    session = asyncio.run(example())
    assert session.insight["level"] == "standard"
    assert session.insight["engine"] == "local"
    assert session.cost_usd == 0
    assert session.report_path is None
    assert any("SQLite" in finding["text"] for finding in session.insight["findings"])


def test_with_a_folder_the_note_is_written(tmp_path: Path) -> None:
    """Once, under a name for people; the same messages change no byte of it."""
    first = asyncio.run(capture_session(TALK, folder=tmp_path))
    assert first.report_path is not None
    before = first.report_path.read_bytes()

    again = asyncio.run(capture_session(TALK, folder=tmp_path))

    assert b"SQLite" in before
    assert again.report_path == first.report_path
    assert len(list(tmp_path.rglob("*.md"))) == 1


def test_what_is_no_conversation_is_refused() -> None:
    """A TypeError for a wrong type, a ValueError for a wrong level."""
    with pytest.raises(TypeError, match="a conversation is"):
        asyncio.run(capture_session([1, 2]))  # type: ignore[list-item]
    with pytest.raises(ValueError, match="minimal, standard, comprehensive"):
        asyncio.run(capture_session(TALK, "deep"))


def test_key_messages_stand_for_a_conversation() -> None:
    """The messages themselves, in source order, of plain messages, of a session's and of people by name."""
    people = [{"speaker": "Ana", "text": "We need the new pump by Friday."}, {"speaker": "Bo", "text": "Okay."}]

    found = key_messages(people, 1)

    assert [(message.speaker, message.text) for message in found] == [("Ana", "We need the new pump by Friday.")]
    assert key_messages(found, 3) == found
    assert [message.index for message in key_messages(TALK, 2)] == sorted(m.index for m in key_messages(TALK, 2))
