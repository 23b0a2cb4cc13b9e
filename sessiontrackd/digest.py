"""One note across all tools and folders: what was worked on, what was decided, what is still open, time and money."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

from sessiontrackd import report
from sessiontrackd.config import Span
from sessiontrackd.history import History, Told
from sessiontrackd.model import Finding

LOOK_BACK = timedelta(days=90)  # older items were given up, whatever was said about them
SESSIONS_MOST = 7  # of a project; the rest is folded
DECISIONS_MOST, DECISIONS_EACH = 5, 2  # of a project, of a session
CLOSED_BY_SHARE, CLOSED_BY_WORDS = 0.6, 3  # so many of an item's words in a later commit or finished item close it
ALIKE_CHARS = 60
CENTS_FROM_PICOUSD = 10**11
NO_PROJECT = "No project"
_WORD = re.compile(r"[^\W\d_]{3,}")


class Item(Struct, frozen=True):
    """Something that is still to be done or answered, since when, and where it was said last."""

    finding: Finding
    project: str
    since_at: datetime
    told: Told


class _Frame(NamedTuple):
    """A period as it is told: its bounds, whose days it holds, and the folder that its links start from."""

    start: datetime
    end: datetime
    zone: tzinfo
    base: Path | None

    def day(self, at: datetime) -> str:
        """Return a day no later than its last: of a session that went on behind it, the period tells no more."""
        return f"{min(at, self.end - datetime.resolution).astimezone(self.zone):%Y-%m-%d}"


def compose(
    history: History,
    span: Span,
    zone: tzinfo,
    *,
    ours_picousd: int | None,
    note_path: Path | None = None,
    user_dir: Path | None = None,
    mistakes: list[str] | None = None,
) -> str | None:
    """Return the digest of a period; None where nothing was worked on. The clock has no say in it.

    Args:
        history: what was read.
        span: the period.
        zone: whose days it holds.
        ours_picousd: what our own insights cost in it; None where that is unknown.
        note_path: where it will stand, for its links.
        user_dir: the folder of the user's own templates.
        mistakes: gets what is wrong with the user's template.
    """
    start, end = span.bounds(zone)
    told = history.told(start - LOOK_BACK, end)
    inside = [each for each in told if each.ended_at >= start]
    if not inside:
        return None
    items = still_open(told)
    frame = _Frame(start, end, zone, note_path.parent if note_path else None)
    projects = [_project(name, group, frame) for name, group in _by_project(inside)]
    values = {
        "title": _title(span),
        "figures": _figures(inside, start, end),
        "projects": [each for each in projects if each["sessions"] or each["decisions"]],
        "open": [_shown(item, frame) for item in items if item.told.ended_at >= start],
        "older": [_shown(item, frame) for item in items if item.told.ended_at < start],
        "money": _money(history, start, end, ours_picousd),
    }
    last = span.after - timedelta(1)
    about = {"digest_period": span.key, "digest_from": span.first, "digest_until": last, "sessions": len(inside)}
    return report.render_digest(values, about, user_dir, mistakes)


def still_open(told: Sequence[Told]) -> list[Item]:
    """Return what is still to be done, the latest first, each once.

    An item is closed by its tick in the note, by a deleted note, or in a later session of the same project: by an item
    like it that is done there, or by a commit that speaks of it.
    """
    items: dict[tuple[str, str], Item] = {}
    for each in sorted(told, key=lambda one: (one.ended_at, one.session_id)):
        project = each.project or NO_PROJECT
        closing = [_words(found.quote or found.text) for found in each.insight.findings if _closes(found)]
        for key, item in list(items.items()):
            if item.project == project and any(_speaks_of(item, words) for words in closing):
                del items[key]
        if each.is_deleted:
            continue
        done = report.ticked(each.note) if each.note else []
        for finding in each.insight.findings:
            key = (project, report.letters(finding.quote or finding.text)[:ALIKE_CHARS])
            if report.open_items([finding], done):
                known = items.get(key)
                items[key] = Item(finding, project, known.since_at if known else each.ended_at, each)
            elif finding.kind in report.OPEN_KINDS:
                items.pop(key, None)
    return sorted(items.values(), key=lambda item: (item.told.ended_at, item.told.session_id), reverse=True)


def _closes(finding: Finding) -> bool:
    return finding.kind == "commit" or (finding.kind == "todo" and bool(finding.details.get("done")))


def _speaks_of(item: Item, words: frozenset[str]) -> bool:
    wanted = _words(item.finding.quote or item.finding.text)
    shared = len(wanted & words)
    return shared >= CLOSED_BY_WORDS and shared >= CLOSED_BY_SHARE * min(len(wanted), len(words))


def _words(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in _WORD.findall(text))


def _by_project(told: Iterable[Told]) -> list[tuple[str, list[Told]]]:
    """Return the sessions of each project, the latest first; the project worked on last comes first."""
    groups: dict[str, list[Told]] = {}
    for each in sorted(told, key=lambda one: (one.ended_at, one.session_id), reverse=True):
        groups.setdefault(each.project or NO_PROJECT, []).append(each)
    return list(groups.items())


def _project(name: str, told: Sequence[Told], frame: _Frame) -> dict[str, Any]:
    decisions = [
        {
            **_link(each, frame),
            "text": found.quote or found.text,
            "is_quote": found.quote is not None,
            "answer": next((part.quote or part.text for part in found.parts if part.kind == "answer"), ""),
            "messages": list(found.messages),
        }
        for each in told
        for found in [one for one in each.insight.findings if one.kind == "decision"][:DECISIONS_EACH]
    ]
    lines = [_link(each, frame) for each in told if each.insight.title or each.insight.summary]
    return {
        "name": name,
        "figures": _done(told, frame.start, frame.end),
        "sessions": lines[:SESSIONS_MOST],
        "more": lines[SESSIONS_MOST:],
        "decisions": decisions[:DECISIONS_MOST],
    }


def _link(each: Told, frame: _Frame) -> dict[str, Any]:
    """Return a session's line: its day, title, note, how it ended, and with which tool."""
    return {
        "day": frame.day(each.ended_at),
        "title": each.insight.title or "Untitled",
        "target": report.address(each.note, frame.base) if each.note else None,
        "summary": each.insight.summary,
        "tool": each.format.replace("_", " "),
    }


def _shown(item: Item, frame: _Frame) -> dict[str, Any]:
    return {
        **_link(item.told, frame),
        "text": item.finding.quote or item.finding.text,
        "is_quote": item.finding.quote is not None,
        "answer": "",
        "is_question": item.finding.kind == "question",
        "is_offer": bool(item.finding.details.get("offer")),
        "messages": list(item.finding.messages),
        "since": frame.day(item.since_at),
        "project": item.project,
    }


def _title(span: Span) -> str:
    if span.period == "day":
        return f"{span.first:%A}, {span.first.isoformat()}"
    if span.period == "week":
        return f"Week {span.first.isocalendar()[1]} of {span.first.isocalendar()[0]}: {span.first} to {span.after - timedelta(1)}"
    return f"{span.first:%B %Y}"


def _figures(told: Sequence[Told], start: datetime, end: datetime) -> list[str]:
    """Return how much was worked: sessions, projects, tools, and the time that the sessions cover."""
    projects, tools = {each.project for each in told}, {each.format for each in told}
    counts = (report.counted(len(told), "session"), report.counted(len(projects), "project"))
    return [*counts, report.counted(len(tools), "tool"), *_took(told, start, end)]


def _done(told: Sequence[Told], start: datetime, end: datetime) -> list[str]:
    """Return how much was done in a project: its time, commits, and lines."""
    found = [finding.details for each in told for finding in each.insight.findings if finding.kind == "figures"]
    commits, added, removed = (
        sum(int(each.get(name, 0)) for each in found) for name in ("commits", "added", "removed")
    )
    lines = report.signed(added, removed)
    return [
        report.counted(len(told), "session"),
        *_took(told, start, end),
        *([report.counted(commits, "commit")] if commits else []),
        *([f"{lines} lines"] if lines else []),
    ]


def _took(told: Sequence[Told], start: datetime, end: datetime) -> list[str]:
    covered = _covered([(max(each.started_at, start), min(each.ended_at, end)) for each in told])
    took = report.duration(start, start + covered)
    return [took] if took else []


def _covered(spans: Sequence[tuple[datetime, datetime]]) -> timedelta:
    """Return how much time spans cover together; where they overlap it counts once."""
    total, until = timedelta(), None
    for start, end in sorted(spans):
        begins = start if until is None else max(start, until)
        total += max(end - begins, timedelta())
        until = end if until is None else max(until, end)
    return total


def _money(history: History, start: datetime, end: datetime, ours_picousd: int | None) -> dict[str, Any]:
    """Return our own spending and what the transcripts record; two figures that are never added."""
    recorded = history.recorded_since(start, end)
    return {
        "ours": None if ours_picousd is None else _rounded(ours_picousd),
        "recorded": _rounded(recorded.cost_picousd) if recorded.tokens > recorded.unpriced_tokens else None,
        "is_recorded": recorded.tokens > 0,
        "unpriced": f"{recorded.unpriced_tokens:,}" if recorded.unpriced_tokens else None,
    }


def _rounded(picousd: int) -> str:
    """Return money in cents; less than ten of them keep their digits."""
    return report.dollars(round(picousd, -10) if picousd >= CENTS_FROM_PICOUSD else picousd)
