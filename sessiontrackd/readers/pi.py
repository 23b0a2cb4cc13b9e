"""pi: JSON lines below ~/.pi/agent/sessions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from sessiontrackd.model import Message, Origin, Role, Session, Trail, Transcript, Usage, UsageRecord
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, Trailing, one_session, take_later
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


class Kind(Struct, gc=False):
    """What counting needs of a block."""

    type: Any = None


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
    talk = Talk(only_figures=source.only_figures)
    lines = Lines(source, Record)
    trailing = Trailing(lines, talk)
    yield from trailing.messages()
    yield from talk.timeline.rest()
    notes.of_lines(lines)
    types = talk.types
    notes.details.update(tool_results=types["role:toolResult"], compactions=types["compaction"], types=dict(types))
    return talk.session(source.stem, trailing.trail() if source.is_plain and not source.only_figures else None)


def follow(source: Source, trail: Trail) -> Session:
    """Return the usage behind a place up to which a plain file was read."""
    talk = Talk.resumed(trail)
    return talk.session(source.stem, take_later(source, trail, Record, talk))


class State(Struct, array_like=True):
    """What a talk must know of the records before a place."""

    lines: int
    has_header: bool
    session_id: str | None
    project: str | None


class Talk:
    """Takes the records of one file in order."""

    def __init__(self, *, only_figures: bool) -> None:
        """Start before the first record."""
        self.figures = Figures()
        self.timeline = Timeline()
        self.types: Counter[str] = Counter()
        self._header: Record | None = None
        self._only_figures = only_figures
        self._lines_before = 0

    def take(self, record: Record, number: int) -> Iterable[Message]:
        """Take one record; return the messages that are complete by now."""
        at, kind, number = parse_time(record.timestamp), record.type, number + self._lines_before
        self.figures.saw(at)
        self.types[str(kind)] += 1
        if kind == "session" and self._header is None:
            self._header = record
            self.figures.project = as_text(record.cwd)
        elif kind == "message" and record.message is not None:
            self.types[f"role:{record.message.role}"] += 1
            self._count(record, record.message, at, number)
            if not self._only_figures:
                self._tell(record, record.message, {"at": at, "line": number})
        elif kind == "compaction" and as_text(record.summary) and not self._only_figures:
            self.timeline.say(Role.USER, Origin.INJECTED, record.summary, at=at, line=number)
        return () if self._only_figures else self.timeline.ready()

    def _count(self, record: Record, said: Said, at: datetime | None, number: int) -> None:
        figures = self.figures
        if said.role == "user":
            figures.human_turns += 1
        elif said.role == "assistant":
            figures.assistant_turns += 1
            figures.used(said.model)
            usage = usage_of(said)
            figures.incomplete |= usage is None or not usage.complete
            if usage is not None:
                known = as_text(record.id)
                place = None if known else f"line {number}"  # the first versions gave no ids
                figures.usage_records.append(UsageRecord(known, place, as_text(said.model), at, usage))
            blocks = decode_raw(said.content, list[Kind]) if _is_list(said.content) else None
            figures.tool_calls += sum(block.type == "toolCall" for block in blocks or ())

    def _tell(self, record: Record, said: Said, facts: dict[str, Any]) -> None:
        if said.role == "user":
            self.timeline.say(Role.USER, Origin.HUMAN, _text(said.content), **facts)
        elif said.role == "assistant":
            facts |= {"model": as_text(said.model), "usage": usage_of(said), "message_id": as_text(record.id)}
            draft = self.timeline.say(Role.ASSISTANT, Origin.MODEL, _text(said.content), **facts)
            for block in _blocks(said.content):
                if block.get("type") == "toolCall":
                    given = block.get("arguments")
                    arguments = given if isinstance(given, dict) else {}
                    self.timeline.call(draft, str(block.get("name")), arguments, as_text(block.get("id")))
        elif said.role == "toolResult":
            call_id = as_text(said.tool_call_id)
            self.timeline.result(call_id, _text(said.content), failed=said.is_error is True)
        elif said.role == "bashExecution":
            self.timeline.say(Role.USER, Origin.INJECTED, f"$ {said.command}\n{said.output}", **facts)

    def state(self, whole_lines: int) -> State:
        """Return what must be known to take later records."""
        session_id = as_text(self._header.id) if self._header is not None else None
        lines = self._lines_before + whole_lines
        return State(lines, self._header is not None, session_id, self.figures.project)

    @classmethod
    def resumed(cls, trail: Trail) -> Talk:
        """Return a talk that has taken what stands before the trail's place; of that it has no figures."""
        state = msgspec.msgpack.decode(trail.state, type=State)
        talk = cls(only_figures=True)
        talk._lines_before, talk.figures.project = state.lines, state.project
        talk._header = Record(id=state.session_id) if state.has_header else None
        return talk

    def session(self, stem: str, trail: Trail | None) -> Session:
        """Return the session with its final figures."""
        session_id = (as_text(self._header.id) if self._header is not None else None) or stem
        return self.figures.session(session_id, NAME, parent_id=_parent_id(self._header, session_id), trail=trail)


def _parent_id(header: Record | None, session_id: str) -> str | None:
    branched = header.branched_from if header is not None and isinstance(header.branched_from, str) else ""
    found = _UUID.findall(branched)
    return found[-1] if found and found[-1] != session_id else None


def usage_of(said: Said) -> Usage | None:
    """Map what is recorded to buckets that never overlap; all zeros were written where a request was aborted."""
    given = said.usage
    if not isinstance(given, dict) or not any(type(given.get(name)) is int for name in BUCKETS):
        return None
    counts = [count(given.get(name)) for name in BUCKETS]
    return Usage(counts[0], counts[1], counts[2], counts[3], complete=any(counts))


def _is_list(content: Raw) -> bool:
    return bytes(memoryview(content)[:1]) == b"["


def _blocks(content: Raw) -> list[dict[str, Any]]:
    value = decode_raw(content) if content else None
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _text(content: Raw) -> str:
    value = decode_raw(content) if content else None
    if isinstance(value, str):
        return value
    texts = [block.get("text") for block in _blocks(content) if block.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))
