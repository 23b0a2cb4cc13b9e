"""One note across sessions: what was worked on, decided and left open; nothing that is done, nothing twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt

from sessiontrackd import config, digest, history, report
from sessiontrackd.config import Home, Span
from sessiontrackd.history import History
from sessiontrackd.model import Finding, Insight, InsightLevel, Session, Usage, UsageRecord
from sessiontrackd.pipeline import open_rooms, write_due_digests
from sessiontrackd.store import open_store

WEEK = Span.of("week", date(2026, 3, 14))  # from the 9th to the 15th
TODO = Finding("todo", "the docs still tell people to tag by hand", "the docs still tell people to tag by hand", (9,))
DECISION = Finding("decision", "x", "SQLite, because the phones are offline", (4,))


@pytest.fixture
def known() -> Iterator[History]:
    with open_store(None, history.SCHEMA) as store:
        yield History(store)


def told(
    known: History, session_id: str, day: int, *findings: Finding, title: str = "", month: int = 3, **chosen: Any
) -> None:
    """Keep a session of a day in March, its insight and its note."""
    at = datetime(chosen.get("year", 2026), month, day, 9, tzinfo=UTC)
    tool, project = chosen.get("tool", "claude_code"), chosen.get("project", "tide")
    session = Session(
        session_id, tool, project=f"/p/{project}", started_at=at, ended_at=at + timedelta(hours=1), human_turns=2,
        usage_records=chosen.get("records", ()),
    )  # fmt: skip
    insight = Insight(
        InsightLevel.STANDARD, title or f"About {session_id}", f"Ended {session_id}.", findings, "local", made_at=at
    )
    known.record_session(session, f"/{session_id}".encode())
    known.keep_insight(session_id, session_id, insight)
    if note := chosen.get("note"):
        if note.parent.is_dir():
            text = report.render(session, insight, source=Path(f"/{session_id}"), source_sha256="0" * 64)
            report.write(note, text)
        known.notes.keep(b"/s", session_id, str(note).encode(), level="standard", engine="local", title="t")


def composed(known: History, span: Span = WEEK, **chosen: Any) -> str:
    text = digest.compose(known, span, UTC, ours_picousd=chosen.pop("ours_picousd", 0), **chosen)
    assert text is not None
    return text


def test_a_period_is_told_by_project(known: History, tmp_path: Path) -> None:
    """Across tools; decisions with their session, links to the notes, the hours they cover, and no other period."""
    told(known, "a", 10, DECISION, note=tmp_path / "tide" / "A note.md")
    told(known, "b", 10, tool="codex", project="other")
    told(known, "c", 20)

    text = composed(known, note_path=tmp_path / "Digests" / "2026-W11.md")
    assert "# Week 11 of 2026: 2026-03-09 to 2026-03-15\n" in text
    assert "> [!info] 2 sessions · 2 projects · 2 tools · 1 h\n" in text
    assert "digest_period: 2026-W11\ndigest_from: 2026-03-09\ndigest_until: 2026-03-15\nsessions: 2\n" in text
    assert "## tide\n1 session · 1 h\n\n- 2026-03-10 About a – Ended a. (claude code)\n" in text
    assert '- "SQLite, because the phones are offline" [m4] – About a\n' in text
    assert "## other\n1 session · 1 h\n\n- 2026-03-10 About b" in text
    assert "About c" not in text

    (tmp_path / "tide").mkdir()
    told(known, "a", 10, DECISION, note=tmp_path / "tide" / "A note.md")
    assert "[About a](../tide/A%20note.md)" in composed(known, note_path=tmp_path / "Digests" / "2026-W11.md")


def test_what_is_open_stays_until_it_is_closed(known: History) -> None:
    """It keeps its first day; what is older than the period is told apart."""
    told(known, "a", 1, TODO)
    assert "since 2026-03-01" in composed(known, Span.of("week", date(2026, 3, 1)))

    told(known, "b", 10, TODO)
    text = composed(known)
    assert text.count("tag by hand") == 1
    assert "since 2026-03-01, tide: About b" in text

    told(known, "c", 20)
    assert "> [!info]- 1 from earlier\n" in composed(known, Span.of("week", date(2026, 3, 20)))


@pytest.mark.parametrize(
    "closing",
    [
        Finding("todo", TODO.text, TODO.quote, (2,), details={"done": True}),
        Finding("todo", "Docs: no longer tell people to tag by hand", None, (2,), details={"done": True}),
        Finding("commit", "Stop telling people in the docs to tag by hand", None, (2,), details={"sha": "ab12cd3"}),
    ],
)
def test_a_later_session_closes_an_item(known: History, closing: Finding) -> None:
    """In the same project only, and only later."""
    told(known, "a", 10, TODO)
    told(known, "z", 9, closing)
    told(known, "y", 11, closing, project="other")
    assert "## Still open" in composed(known)

    told(known, "b", 11, closing)
    assert "## Still open" not in composed(known)


@pytest.mark.parametrize("how", ["ticked", "deleted"])
def test_a_reader_closes_an_item(known: History, tmp_path: Path, how: str) -> None:
    """By ticking its box, or by deleting the note."""
    note = tmp_path / "a.md"
    told(known, "a", 10, TODO, note=note)
    assert "## Still open" in composed(known)

    note.write_text(note.read_text().replace("- [ ]", "- [x]")) if how == "ticked" else note.unlink()
    assert "## Still open" not in composed(known)


def test_our_cost_and_theirs_stand_apart(known: History) -> None:
    """Never added; what has no price is told in tokens, and a damaged account is unknown, not zero."""
    at = datetime(2026, 3, 10, 9, tzinfo=UTC)
    priced = UsageRecord("m1", None, "claude-haiku-5-5", at, Usage(1_000_000))
    odd = UsageRecord("m2", None, "no-such-model", at, Usage(70))
    told(known, "a", 10, records=(priced, odd))

    line = next(each for each in composed(known, ours_picousd=123_450_000_000).splitlines() if "Insights cost" in each)
    assert re.fullmatch(
        r"> Insights cost \$0\.12\. The sessions themselves record \$[\d.]+ and 70 tokens without a price\.", line
    )
    assert "Insights cost an unknown amount." in composed(known, ours_picousd=None)


def test_the_same_history_gives_the_same_bytes(known: History) -> None:
    """In whatever order it was read; and an empty period has no digest."""
    for name in ("a", "b", "c"):
        told(known, name, 10, TODO, DECISION)
    first = composed(known)
    for name in ("c", "b", "a"):
        told(known, name, 10, TODO, DECISION)

    assert composed(known) == first
    assert digest.compose(known, WEEK.before, UTC, ours_picousd=0) is None


def test_long_lists_are_folded(known: History) -> None:
    """A busy week is read in one screen: seven of each, the rest behind a fold."""
    for number in range(9):
        told(known, f"s{number}", 10, Finding("todo", f"number {number} of the list", None, (1,)))

    text = composed(known)
    assert text.count("\n- ") == 14
    assert text.count("> [!info]- 2 more\n") == 2


def test_hostile_text_is_inert(known: History, shared: Path) -> None:
    """As title, summary, item, decision and project it makes no tag that a plain word does not make."""
    lines = (shared / "hostile" / "injection.jsonl").read_text("utf-8").splitlines()
    texts = [text for line in lines[::12] if (text := str(json.loads(line)["text"])).strip()]
    render = MarkdownIt("gfm-like").render

    def tags(text: str) -> list[str]:
        findings = (
            Finding("todo", text, text, (1,)),
            Finding("decision", text, text, (2,)),
            Finding("question", text, None, (3,)),
        )
        told(known, "a", 10, *findings, title=text, project=re.sub(r"[/\\\0]", "", text).strip() or "p")
        page = render(composed(known).partition("---\n\n")[2])
        return [tag for tag in re.findall(r"<(/?\w+)", page) if tag not in ("code", "/code")]

    plain = tags("word")
    assert [text for text in texts if tags(text) != plain] == []


@pytest.mark.parametrize(
    ("period", "day", "key", "days"),
    [
        ("day", date(2026, 3, 14), "2026-03-14", 1),
        ("week", date(2027, 1, 1), "2026-W53", 7),
        ("month", date(2026, 2, 28), "2026-02", 28),
        ("month", date(2026, 12, 31), "2026-12", 31),
    ],
)
def test_a_span_knows_its_days(period: str, day: date, key: str, days: int) -> None:
    """A week has the number that ISO 8601 gives it."""
    span = Span.of(period, day)

    assert (span.key, (span.after - span.first).days) == (key, days)
    assert span.first <= day < span.after
    assert span.before.after == span.first


def test_a_digest_is_written_once(tmp_path: Path) -> None:
    """For the period that ended, and again when more of it was read; not when it is off, nor when the reader deleted it."""
    home = Home.find(tmp_path / "home")
    config.set_value(home, "digest.every", "day")
    config.set_value(home, "digest.folder", str(tmp_path / "out"))
    rooms = open_rooms(home)
    yesterday = datetime.now(UTC).date() - timedelta(1)
    told(rooms.history, "a", yesterday.day, month=yesterday.month, title="Then", year=yesterday.year)

    path = tmp_path / "out" / f"{yesterday}.md"
    assert write_due_digests(rooms) == [path]
    assert "Then" in path.read_text()

    assert write_due_digests(rooms) == []
    told(rooms.history, "b", yesterday.day, month=yesterday.month, title="Read later", year=yesterday.year)
    assert write_due_digests(rooms) == [path]
    assert "Read later" in path.read_text()
    assert write_due_digests(rooms) == []

    path.unlink()
    told(rooms.history, "c", yesterday.day, month=yesterday.month, title="Later still", year=yesterday.year)
    assert write_due_digests(rooms) == []
    assert config.digests_due(home, "off", datetime.now(UTC).date()) == []
    rooms.close()


def test_periods_that_were_missed_get_their_digests(tmp_path: Path) -> None:
    """A daemon that did not run for some days makes up for them, but not for the time before its first digest."""
    home, today = Home.find(tmp_path / "home"), datetime.now(UTC).date()
    config.set_value(home, "digest.every", "day")
    config.set_value(home, "digest.folder", str(tmp_path))
    config.set_value(home, "timezone", "UTC")
    rooms = open_rooms(home)
    for ago in (2, 4, 6):
        day = today - timedelta(ago)
        told(rooms.history, str(ago), day.day, month=day.month, year=day.year)
    assert write_due_digests(rooms) == []

    config.digest_done(home, str(today - timedelta(6)), datetime.now(UTC))
    assert write_due_digests(rooms) == [tmp_path / f"{today - timedelta(ago)}.md" for ago in (4, 2)]
    assert write_due_digests(rooms) == []
    rooms.close()


def test_a_session_that_goes_on_is_told_as_far_as_the_period_goes(known: History) -> None:
    """No day of a digest is behind its end, and the day on which the clocks change has 23 hours."""
    session = Session(
        "a", "claude_code", project="/p/tide", human_turns=2,
        started_at=datetime(2026, 3, 28, 9, tzinfo=UTC), ended_at=datetime(2026, 3, 31, 9, tzinfo=UTC),
    )  # fmt: skip
    known.record_session(session, b"/a")
    known.keep_insight("a", "a", Insight(InsightLevel.STANDARD, "Long", "Ended.", (TODO,), "local"))

    note = digest.compose(known, Span.of("day", date(2026, 3, 29)), ZoneInfo("Europe/Berlin"), ours_picousd=0)
    assert note is not None
    assert "## tide\n1 session · 23 h\n\n- 2026-03-29 Long" in note
    assert "since 2026-03-29, tide" in note


def test_an_offer_is_called_one_as_in_its_note(known: History) -> None:
    """A question that the agent ends with is another thing than one that waits for an answer."""
    offer = Finding("question", "Shall I push it?", "Shall I push it?", (8,), details={"offer": True})
    told(known, "a", 10, offer, Finding("question", "Who pays?", "Who pays?", (9,)))

    text = composed(known)
    assert '- Offered: "Shall I push it?" [m8] – since' in text
    assert '- Unanswered: "Who pays?" [m9] – since' in text


def test_a_decision_that_was_a_question_says_its_answer(known: History) -> None:
    """What was asked alone is no decision; what was done in a project stands under its name."""
    answer = Finding("answer", "Standalone copy", "Standalone copy", (12,))
    asked = Finding("decision", "Shared or copied?", "Shared or copied?", (12,), parts=(answer,))
    figures = Finding("figures", "", None, (), "computed", (), {"commits": 2, "added": 1240, "removed": 19})
    told(known, "a", 10, asked, figures)
    told(known, "b", 10, title=" ", project="ebb")

    note = composed(known)
    assert '- "Shared or copied?" → "Standalone copy" [m12] – ' in note
    assert "## tide\n1 session · 1 h · 2 commits · +1,240 −19 lines\n" in note
