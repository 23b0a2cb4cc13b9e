"""An insight as plain values for the templates: every list in the order of the insight, nothing escaped yet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import Struct

from sessiontrackd.model import FLAT_RATE, Finding, Insight, Message, Session
from sessiontrackd.report import _front
from sessiontrackd.report._cited import cited
from sessiontrackd.report._place import FOLDER_SUFFIX

LISTS = {
    "asks": "ask",
    "decisions": "decision",
    "causes": "cause",
    "problems": "problem",
    "files": "file",
    "commands": "command",
    "commits": "commit",
    "pull_requests": "pull_request",
    "tests": "test",
    "todos": "todo",
    "questions": "question",
    "links": "link",
    "segments": "segment",
    "points": "point",
    "subagents": "subagent",
    "alternatives": "alternative",
    "lessons": "lesson",
    "prompts": "next_prompt",
}
"""The name of a list in a template → the kind of finding in it."""
ONES = {"goal": "goal", "outcome": "outcome"}
_KNOWN = frozenset((*LISTS.values(), *ONES.values(), "figures"))
_NO_DETAILS: Mapping[str, str | int | bool] = {
    **dict.fromkeys(("sha", "command", "by", "who"), ""),
    **dict.fromkeys(("added", "removed", "failures", "failed_at", "passes_at"), 0),
    **dict.fromkeys(("new", "done", "fixed", "unfinished", "offer"), False),
}
"""Defaults of the details that a template may use of every finding."""
SHOWN_FILES, LEAST_FILES, LEAST_ROOT_CHARS = 7, 3, 9
BRIEF_CHARS = 260
"""A reader decides in five seconds: so much of the outcome comes first."""
_MINUTE_S = 60


class Extra(Struct, frozen=True):
    """What a note tells besides the insight."""

    source: Path
    subagents: Sequence[Finding] = ()
    cited: Sequence[Message] = ()
    note_path: Path | None = None
    zone: tzinfo | None = None


def view(session: Session, insight: Insight, extra: Extra) -> dict[str, Any]:
    """Return the values of one note."""
    findings = [*insight.findings, *extra.subagents]
    of = {kind: [each for each in findings if each.kind == kind] for kind in {each.kind for each in findings}}
    lists = {name: [_item(each) for each in of.get(kind, ())] for name, kind in LISTS.items()}
    ones = {name: _item(of[kind][0]) if kind in of else None for name, kind in ONES.items()}
    title = insight.title.strip() or (session.title or "").strip() or display(extra.source.name)
    told = next((each for each in lists["points"] if each["text"] == insight.summary), None)
    if told is not None:
        lists["points"].remove(told)
    totals = next((each.details for each in findings if each.kind == "figures"), {})
    if ones["goal"] is not None:
        ones["goal"]["is_title"] = _same(ones["goal"]["quote"] or ones["goal"]["text"], title)
    if (outcome := ones["outcome"]) is not None:
        outcome["more"] = [part for part in outcome["parts"] if part["text"]]
        outcome["whole"] = _brief([str(each["quote"] or each["text"]) for each in (outcome, *outcome["more"])])
    _once(lists, ones["outcome"])
    is_empty = not insight.summary and all(each.kind == "figures" for each in findings)
    nothing = [{"text": "Nothing to sum up"}] if is_empty else []
    base = extra.note_path.parent if extra.note_path else extra.source.parent
    return {
        **lists,
        **ones,
        "level": insight.level.value,
        "title": title,
        "summary": insight.summary,
        "told": told,
        "files_total": max(int(totals.get("files", 0)), len(lists["files"])),
        "files_root": _root([str(each["text"]) for each in lists["files"][:SHOWN_FILES]]),
        "others": [_item(each) for each in findings if each.kind not in _KNOWN],
        "is_open": bool(lists["todos"] or lists["questions"]),
        "went_wrong": _went_wrong(lists["tests"], ones["outcome"]),
        "asks_total": max(int(totals.get("asks", 0)), len(lists["asks"])),
        "figures": [*nothing, *_figures(session, lists, totals)],
        "instead": insight.provenance.get("instead", ""),
        "receipt": _receipt(session, insight, extra.zone),
        "source": {"name": display(extra.source.name), "target": target(extra.source, base)},
        "cited": list(cited(extra.cited, findings)),
        "written_by": insight.model if any(each.origin == "model" for each in findings) else None,
    }


def _root(paths: Sequence[str]) -> str:
    """Return the folder that several files have in common, with its slash, where naming it once is shorter."""
    if len(paths) < LEAST_FILES or any("/" not in path for path in paths):
        return ""
    root = (
        os.path.commonpath([path.rpartition("/")[0] + "/" for path in paths]) + "/"
        if len({*map(os.path.isabs, paths)}) == 1
        else ""
    )
    return root if len(root) >= LEAST_ROOT_CHARS else ""


def _brief(pieces: Sequence[str]) -> str:
    """Join the first pieces of a reply while they stay short."""
    brief = pieces[0]
    for piece in pieces[1:]:
        if len(brief) + len(piece) > BRIEF_CHARS:
            break
        brief = f"{brief} … {piece}"
    return brief


def _once(lists: Mapping[str, list[dict[str, Any]]], outcome: Mapping[str, Any] | None) -> None:
    """Leave out the decisions and main points that were quoted for the outcome already, and points that are decisions."""
    ending = outcome["whole"] if outcome and outcome["origin"] != "model" else ""
    said: set[str] = set()
    for name in ("decisions", "points"):
        lists[name][:] = [
            each
            for each in lists[name]
            if each["origin"] != "quoted" or each["parts"] or not (each["quote"] in said or each["quote"] in ending)
        ]
        said |= {each["quote"] for each in lists[name]}


def _item(finding: Finding) -> dict[str, Any]:
    """Return one finding as plain values."""
    added, removed = int(finding.details.get("added", 0)), int(finding.details.get("removed", 0))
    return {
        "kind": finding.kind,
        "text": finding.text,
        "quote": finding.quote,
        "messages": list(finding.messages),
        "origin": finding.origin,
        "parts": [_item(part) for part in finding.parts],
        "details": {**_NO_DETAILS, **finding.details, "lines": signed(added, removed)},
        "lead": _lead(finding),
        "failed": has_failed(finding),
        "causes": sum(part.kind == "cause" for part in finding.parts),
        "fixes": sum(part.kind == "fix" for part in finding.parts),
    }


def _same(one: str, other: str) -> bool:
    """Tell whether two texts say the same, one perhaps cut short."""
    first, second = (" ".join(text.lower().split()).rstrip("….!? ") for text in (one, other))
    return first == second or (len(second) > 20 and first.startswith(second) and len(first) - len(second) < 20)


def _lead(finding: Finding) -> str:
    """Return the text where it says something that the quote does not."""
    text = finding.text.strip().rstrip("…. ")
    return "" if finding.quote is None or text in finding.quote or finding.quote in text else finding.text


def _went_wrong(tests: Sequence[Mapping[str, Any]], outcome: Mapping[str, Any] | None) -> bool:
    """Tell whether the session ended badly, as far as its facts say."""
    return bool(outcome and outcome["failed"]) or bool(tests and tests[-1]["failed"])


def has_failed(finding: Finding) -> bool:
    """Tell whether a command, a test or an outcome is marked as failed."""
    details = finding.details
    if "failed" in details:
        return bool(details["failed"])
    if "passed" in details:
        return details["passed"] is False
    return bool(details.get("exit_status"))


def _figures(
    session: Session, lists: Mapping[str, Sequence[Mapping[str, Any]]], totals: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the facts of the line under the outcome: each a text, perhaps with code, and its messages."""
    asks = int(totals.get("asks", 0)) or len(lists["asks"]) or session.human_turns
    texts = (
        duration(session.started_at, session.ended_at),
        *_said(asks, totals),
        _changes(lists["files"], totals),
    )
    made: list[dict[str, Any]] = [{"text": text} for text in texts if text]
    commits = int(totals.get("commits", 0)) or len(lists["commits"])
    if lists["commits"]:
        last = lists["commits"][-1]
        sha = str(last["details"].get("sha") or "") or last["text"]
        made.append(
            {
                "text": "commit" if commits == 1 else f"{commits} commits, last",
                "code": sha,
                "messages": last["messages"],
            }
        )
    elif commits:
        made.append({"text": counted(commits, "commit")})
    if lists["tests"]:
        last = lists["tests"][-1]
        made.append({"text": "tests fail" if last["failed"] else "tests pass", "messages": last["messages"]})
    return made


def _said(asks: int, totals: Mapping[str, Any]) -> list[str]:
    """Return how much was said: asks of a person, or turns of people among themselves."""
    if asks and totals.get("replies", 1):
        return [counted(asks, "ask")]
    speakers = int(totals.get("speakers", 0))
    return [counted(asks, "turn"), *([counted(speakers, "speaker")] if speakers > 1 else [])] if asks > 1 else []


def _changes(files: Sequence[Mapping[str, Any]], totals: Mapping[str, Any]) -> str | None:
    """Return how many files changed, and by how many lines; all of them, where the insight shows only some."""
    count = int(totals.get("files", 0)) or len(files)
    if not count:
        return None
    added, removed = (
        int(totals.get(key, 0)) or sum(int(each["details"][key]) for each in files) for key in ("added", "removed")
    )
    return ", ".join(part for part in (counted(count, "file"), signed(added, removed)) if part)


def _receipt(session: Session, insight: Insight, zone: tzinfo | None) -> list[str]:
    """Return the parts of the line that says who made the note, from what, and what it cost."""
    facts = insight.provenance
    parts = _who(insight, facts)
    lines = facts.get("lines_read") or session.details.get("lines")
    secrets = f"{counted(insight.redactions, 'secret')} redacted"
    parts.append(f"{counted(int(lines), 'line')} read, {secrets}" if lines else secrets)
    if (checked := facts.get("quotes_checked")) is not None:
        parts.append(f"quotes checked: {int(facts.get('quotes_kept', checked))} of {int(checked)}")
    if replaced := facts.get("replaced"):
        parts.append(f"its {' and '.join(map(str, replaced))} left out: not founded in the transcript")
    if note := facts.get("note"):
        parts.append(str(note))
    if insight.made_at is not None:
        parts.append(f"{local(insight.made_at, zone):%Y-%m-%d %H:%M}")
    return parts


def _who(insight: Insight, facts: Mapping[str, Any]) -> list[str]:
    """Return who thought, and the money."""
    if insight.engine == "local":
        return ["local engine, nothing left this machine"]
    usage = insight.usage
    sent = usage.total_tokens - usage.output_tokens
    parts = [insight.model or f"{insight.engine} engine", f"{sent:,} in, {usage.output_tokens:,} out"]
    if insight.is_flat_rate:
        return [parts[0], parts[1] if usage.complete else f"about {parts[1]}", FLAT_RATE]
    if insight.reserved_picousd:
        parts.append(f"{dollars(insight.cost_picousd)} of {dollars(insight.reserved_picousd)} reserved")
    else:
        parts.append(dollars(insight.cost_picousd))
    if priced := facts.get("priced_at"):
        age = facts.get("prices_age_days")
        parts.append(f"priced {priced}" + (f" ({age} days old)" if age else ""))
    return parts


def counted(number: int, noun: str) -> str:
    """Return `1 file`, `1,184 lines`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def signed(added: int, removed: int) -> str:
    """Return the lines added and removed, with a real minus."""
    return " ".join(part for part in (f"+{added:,}" if added else "", f"−{removed:,}" if removed else "") if part)


def dollars(picousd: int) -> str:
    """Return money with at least two decimals and as many as it needs."""
    text = f"{_front.usd(picousd):f}"
    whole, _, decimals = text.partition(".")
    return f"${int(whole):,}.{decimals.rstrip('0').ljust(2, '0')}"


def duration(start: datetime | None, end: datetime | None) -> str | None:
    """Return `2 h 35 min`, `3 days 4 h`; None where it is unknown or under a minute."""
    if start is None or end is None:
        return None
    minutes = int((end - start).total_seconds()) // _MINUTE_S
    hours, rest = divmod(minutes, 60)
    days, odd_hours = divmod(hours, 24)
    if minutes < 1:
        return None
    if days:
        return f"{counted(days, 'day')} {odd_hours} h" if odd_hours else counted(days, "day")
    return " ".join(part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest else "") if part)


def local(at: datetime, zone: tzinfo | None) -> datetime:
    """Return a time in the reader's zone, or as it was recorded."""
    return at.astimezone(zone) if zone else at


def display(name: str) -> str:
    """Return a file name for people: bytes that are no text and control characters by their numbers."""
    raw = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if raw.isprintable():
        return raw
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in raw)


def target(path: Path, base: Path) -> str:
    """Return how a note in `base` reaches a file: by its path where it is near, else by a `file:` address."""
    if path.parent == base.parent and base.name.endswith(FOLDER_SUFFIX):  # an archive, beside the folder of its notes
        return f"../{path.name}"
    try:
        return str(path.relative_to(base))
    except ValueError:
        return path.absolute().as_uri()


def relative(path: Path, base: Path) -> str:
    """Return how a note in `base` reaches another note, which may stand in another folder of the vault."""
    return os.path.relpath(path, base)


def tokens_in(session: Session) -> int | None:
    """Return every token that went into the session's model; None where unknown."""
    return session.usage.total_tokens - session.usage.output_tokens if session.usage else None


def money(recorded_cost: tuple[int | None, bool] | None) -> tuple[Decimal | None, bool | None]:
    """Return what the session itself cost, and whether that is all of it."""
    if recorded_cost is None:
        return None, None
    picousd, is_complete = recorded_cost
    return (None if picousd is None else _front.usd(picousd)), is_complete


def unique(texts: Iterable[str]) -> list[str]:
    """Return texts once each, in order."""
    return list(dict.fromkeys(texts))
