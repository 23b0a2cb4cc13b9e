"""The local engine: it chooses by level, pays nothing and never asks anyone."""

from __future__ import annotations

import asyncio

from sessiontrackd import engines
from sessiontrackd.engines.local import LocalEngine
from sessiontrackd.model import Ask, Finding, InsightLevel, Reply, Session, Usage


def finding(kind: str, text: str, **details: str | int | bool) -> Finding:
    return Finding(kind, text, text, (1,), "quoted", (), details)


FACTS = (
    finding("goal", "Fix the login"),
    *(finding("ask", f"ask {number}", number=number) for number in range(20)),
    finding("outcome", "It works again."),
    finding("decision", "Keep the key in the token"),
    Finding("file", "/home/me/app/login.py", None, (4,), "computed", (), {"added": 1, "removed": 0}),
    finding("question", "Anything else?", offer=True),
    finding("segment", "ask 1"),
    finding("link", "https://docs.python.org"),
)


def reply(level: InsightLevel) -> Reply:
    ask = Ask(Session("s", "claude_code", project="/home/me/app"), level, FACTS, title="Fix the login")
    return asyncio.run(LocalEngine().attempt(ask))


def kinds(level: InsightLevel) -> set[str]:
    return {one.kind for one in reply(level).findings}


def test_each_level_adds_kinds() -> None:
    """Minimal is goal, outcome, files and open items; standard adds decisions; comprehensive the timeline and links."""
    assert kinds(InsightLevel.MINIMAL) == {"goal", "outcome", "file"}
    assert kinds(InsightLevel.STANDARD) - kinds(InsightLevel.MINIMAL) == {"ask", "decision", "question"}
    assert kinds(InsightLevel.COMPREHENSIVE) - kinds(InsightLevel.STANDARD) == {"segment", "link"}


def test_a_section_has_at_most_seven_items() -> None:
    """Of many asks the first, the last and the fullest are shown."""
    asks = [one.text for one in reply(InsightLevel.STANDARD).findings if one.kind == "ask"]

    assert len(asks) == 7
    assert asks[0] == "ask 0"
    assert asks[-2:] == ["ask 18", "ask 19"]


def test_files_are_shown_as_the_project_sees_them() -> None:
    """The project's own folder is left out of a path."""
    assert [one.text for one in reply(InsightLevel.MINIMAL).findings if one.kind == "file"] == ["login.py"]


def test_nothing_is_paid() -> None:
    """No tokens, no model, no price."""
    found = reply(InsightLevel.STANDARD)

    assert found.usage == Usage()
    assert found.model is None
    assert found.summary == "It works again."
    assert not LocalEngine.leaves_machine


def test_the_register_finds_the_local_engine() -> None:
    """Engines are found by name and imported when asked for."""
    assert engines.engine_class("local") is LocalEngine
