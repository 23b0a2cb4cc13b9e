"""pi: JSON lines below ~/.pi/agent/sessions."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import Any

from msgspec import Raw, Struct

from sessiontrackd.model import Origin, Role, Transcript, Usage, UsageRecord
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, one_session
from sessiontrackd.records import Lines, Source, as_text, count, decode_raw, parse_time

NAME = "pi"
BUCKETS = ("input", "output", "cacheRead", "cacheWrite")
OWN_ROLES = ("toolResult", "bashExecution")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOTHING = Raw(b"")


class Said(Struct, gc=False, rename="camel"):
    """The message of a record."""

    role: Any = None
    model: Any = None
    usage: Any = None
    tool_call_id: Any = None
    is_error: Any = None
    command: Any = None
    output: Any = None
    content: Raw = _NOTHING


class Record(Struct, gc=False, rename="camel"):
    """One line."""

    type: Any = None
    id: Any = None
    timestamp: Any = None
    cwd: Any = None
    summary: Any = None
    branched_from: Any = None
    message: Said | None = None


def recognises(source: Source) -> bool:
    """Say whether a session record stands among the first, or messages in pi's own words."""
    objects = source.shape.objects if source.shape.kind in ("lines", "object") else ()
    return any(_is_header(one) or _is_own(one) for one in objects)


def _is_header(record: dict[str, Any]) -> bool:
    return record.get("type") == "session" and "id" in record and "cwd" in record and "timestamp" in record


def _is_own(record: dict[str, Any]) -> bool:
    """Say whether it is a message as only pi writes it: the header of a file may be lost."""
    said = record.get("message")
    if record.get("type") != "message" or not isinstance(said, dict):
        return False
    usage = said.get("usage")
    return said.get("role") in OWN_ROLES or (isinstance(usage, dict) and "cacheRead" in usage)


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


def _steps(source: Source, notes: Notes) -> Steps:
    figures, timeline, types = Figures(), Timeline(is_mute=source.only_figures), Counter[str]()
    header: Record | None = None
    lines = Lines(source, Record)
    for number, record in lines:
        at = parse_time(record.timestamp)
        figures.saw(at)
        types[str(record.type)] += 1
        if record.type == "session" and header is None:
            header = record
            figures.project = as_text(record.cwd)
        elif record.type == "message" and record.message is not None:
            types[f"role:{record.message.role}"] += 1
            _take(record, record.message, at, number, into=(figures, timeline))
        elif record.type == "compaction" and as_text(record.summary):
            timeline.say(Role.USER, Origin.INJECTED, record.summary, at=at, line=number)
        yield from timeline.ready()
    yield from timeline.rest()
    notes.of_lines(lines)
    notes.details.update(tool_results=types["role:toolResult"], compactions=types["compaction"], types=dict(types))
    session_id = (as_text(header.id) if header is not None else None) or source.stem
    return figures.session(session_id, NAME, parent_id=_parent_id(header, session_id))


def _parent_id(header: Record | None, session_id: str) -> str | None:
    branched = header.branched_from if header is not None and isinstance(header.branched_from, str) else ""
    found = _UUID.findall(branched)
    return found[-1] if found and found[-1] != session_id else None


def _take(record: Record, said: Said, at: datetime | None, number: int, *, into: tuple[Figures, Timeline]) -> None:
    figures, timeline = into
    if said.role == "user":
        figures.human_turns += 1
        timeline.say(Role.USER, Origin.HUMAN, _text(said.content), at=at, line=number)
    elif said.role == "assistant":
        figures.assistant_turns += 1
        figures.used(said.model)
        place = as_text(record.id) or f"line {number}"
        usage = _usage(said)
        figures.incomplete |= usage is None or not usage.total_tokens
        if usage is not None:
            figures.usage_records.append(UsageRecord(place, None, as_text(said.model), at, usage))
        facts = {"model": as_text(said.model), "usage": usage, "message_id": as_text(record.id)}
        draft = timeline.say(Role.ASSISTANT, Origin.MODEL, _text(said.content), at=at, line=number, **facts)
        for block in _blocks(said.content):
            if block.get("type") == "toolCall":
                figures.tool_calls += 1
                given = block.get("arguments")
                arguments = given if isinstance(given, dict) else {}
                timeline.call(draft, str(block.get("name")), arguments, as_text(block.get("id")))
    elif said.role == "toolResult":
        timeline.result(as_text(said.tool_call_id), _text(said.content), failed=said.is_error is True)
    elif said.role == "bashExecution":
        shown = f"$ {said.command}\n{said.output}"
        timeline.say(Role.USER, Origin.INJECTED, shown, at=at, line=number)


def _usage(said: Said) -> Usage | None:
    given = said.usage
    if not isinstance(given, dict) or not any(type(given.get(name)) is int for name in BUCKETS):
        return None
    counts = [count(given.get(name)) for name in BUCKETS]
    return Usage(counts[0], counts[1], counts[2], counts[3])


def _blocks(content: Raw) -> list[dict[str, Any]]:
    value = decode_raw(content) if content else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(content: Raw) -> str:
    value = decode_raw(content) if content else None
    if isinstance(value, str):
        return value
    texts = [block.get("text") for block in _blocks(content) if block.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))
