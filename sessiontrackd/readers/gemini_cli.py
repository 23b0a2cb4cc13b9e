"""Gemini CLI: one JSON document, rewritten each turn, or JSON lines that are replayed; told apart by content."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from sessiontrackd.model import Origin, Role, Session, Transcript, Usage, UsageRecord
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, one_session
from sessiontrackd.records import Document, Lines, Source, as_text, count, decode_raw, iso, parse_time

NAME = "gemini_cli"
NO_PROMPT = ("/", "?", "<session_context>", "<hook_context>")
BUCKETS = ("input", "output", "cached", "thoughts", "tool", "total")
REPLY = re.compile(rb'"type"\s*:\s*"gemini"')
Place = tuple[int, int]
"""The record of a line, and the number of a message in its list."""
ID = re.compile(r"[0-9a-f-]{8,64}")
FACTS = ("sessionId", "projectHash", "startTime", "lastUpdated", "kind", "summary")
_NOTHING = Raw(b"")


class Said(Struct, gc=False, rename="camel"):
    """One message."""

    id: Any = None
    timestamp: Any = None
    type: Any = None
    model: Any = None
    tokens: Any = None
    content: Raw = _NOTHING
    tool_calls: Raw = _NOTHING


class Line(Said, gc=False, rename="camel"):
    """One line of the newer shape: a message, the session's facts, or a change of what was written before."""

    session_id: Any = None
    project_hash: Any = None
    start_time: Any = None
    last_updated: Any = None
    kind: Any = None
    summary: Any = None
    messages: Raw = _NOTHING
    changes: Raw = msgspec.field(name="$set", default=_NOTHING)
    rewind_to: Any = msgspec.field(name="$rewindTo", default=None)


class Changes(Struct, gc=False, rename="camel"):
    """What a `$set` changes."""

    session_id: Any = msgspec.UNSET
    project_hash: Any = msgspec.UNSET
    start_time: Any = msgspec.UNSET
    last_updated: Any = msgspec.UNSET
    kind: Any = msgspec.UNSET
    summary: Any = msgspec.UNSET
    messages: Raw = _NOTHING


CHANGED = tuple(
    zip(FACTS, ("session_id", "project_hash", "start_time", "last_updated", "kind", "summary"), strict=True)
)


def recognises(source: Source) -> bool:
    """Say whether a Gemini session's facts stand in it, or a document's messages are of its types."""
    shape = source.shape
    if shape.kind == "object" and "messages" in shape.keys:
        if "sessionId" in shape.keys and ("projectHash" in shape.keys or {"startTime", "lastUpdated"} <= shape.keys):
            return True
        return REPLY.search(source.head) is not None and "info" not in shape.keys
    objects = shape.objects if shape.kind in ("lines", "object") else ()
    return any(
        ("projectHash" in one and "sessionId" in one)
        or "$rewindTo" in one
        or (one.get("type") == "gemini" and "timestamp" in one and "content" in one)
        for one in objects
    )


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


def subagent_paths(source: Source, session: Session) -> Iterator[Path]:
    """Yield what stands in the folder that is called like the session."""
    if ID.fullmatch(session.session_id):
        yield from sorted((source.path.parent / session.session_id).glob("*.json*"))


def _parent_id(source: Source, facts: dict[str, Any]) -> str | None:
    """Return whose sub-agent it is: the folder is called like the parent."""
    name = source.path.absolute().parent.name
    return name if facts.get("kind") == "subagent" and ID.fullmatch(name) else None


def _steps(source: Source, notes: Notes) -> Steps:
    shape = source.shape
    is_document = shape.kind == "object" and "messages" in shape.keys
    figures, timeline = Figures(), Timeline(is_mute=source.only_figures)
    facts: dict[str, Any] = {}
    messages = _of_document(source, facts, notes) if is_document else _of_lines(source, facts, notes)
    sums = dict.fromkeys(BUCKETS, 0)
    times = Figures()
    notes.details.update(shape="json" if is_document else "jsonl", user_messages=0)
    for number, said in enumerate(messages):
        times.saw(parse_time(said.timestamp))
        _count(said, number, figures, sums, notes)
        _tell(said, timeline)
        yield from timeline.ready()
    yield from timeline.rest()
    figures.title = as_text(facts.get("summary"))
    figures.started_at, figures.ended_at = parse_time(facts.get("startTime")), parse_time(facts.get("lastUpdated"))
    notes.details.update(usage_raw=sums, first_message_at=iso(times.started_at), last_message_at=iso(times.ended_at))
    if "kind" in facts:
        notes.details["kind"] = facts["kind"]
    session_id = as_text(facts.get("sessionId")) or source.stem
    parent_id = _parent_id(source, facts)
    if parent_id in (None, session_id):
        return figures.session(session_id, NAME)
    return figures.session(session_id, NAME, parent_id=parent_id, details={"subagent": True})


def _of_document(source: Source, facts: dict[str, Any], notes: Notes) -> Iterator[Said]:
    document = Document(source)
    for key, raw in document.members(("messages",)):
        if key == "messages":
            said = decode_raw(raw, Said)
            if said is not None:
                yield said
        elif key in FACTS:
            facts[key] = decode_raw(raw)
    notes.of_document(document)


def _of_lines(source: Source, facts: dict[str, Any], notes: Notes) -> Iterator[Said]:
    """Replay the lines; what a later one replaces or takes back is not kept."""
    lines = Lines(source, Line)
    places: dict[str, Place] = {}
    for nth, (_, line) in enumerate(lines):
        if line.changes:
            _change(line.changes, nth, facts, places)
        elif line.rewind_to is not None:
            _rewind(places, str(line.rewind_to))
        elif line.type is not None:
            places[as_text(line.id) or f"line {nth}"] = (nth, 0)
        else:
            given = (line.session_id, line.project_hash, line.start_time, line.last_updated, line.kind, line.summary)
            facts.update({name: value for name, value in zip(FACTS, given, strict=True) if value is not None})
            if line.messages:
                _replace(_listed(line.messages), nth, places)
    notes.of_lines(lines)
    yield from _at(source, list(places.values()))


def _at(source: Source, places: list[Place]) -> Iterator[Said]:
    """Read again what stands at these places, and yield it in their order: few come before their turn."""
    lasting, wanted = {nth for nth, _ in places}, set(places)
    early: dict[Place, Said] = {}
    turn = 0
    for nth, (_, line) in enumerate(Lines(source, Line)):
        if nth not in lasting:
            continue
        for number, said in enumerate([line] if line.type is not None else _in_bulk(line)):
            if (nth, number) in wanted:
                early[nth, number] = said
        while turn < len(places) and places[turn] in early:
            yield early.pop(places[turn])
            turn += 1


def _in_bulk(line: Line) -> list[Said]:
    if line.changes:
        changes = decode_raw(line.changes, Changes)
        return _listed(changes.messages) if changes is not None else []
    return _listed(line.messages)


def _listed(messages: Raw) -> list[Said]:
    return (decode_raw(messages, list[Said]) if messages else None) or []


def _change(raw: Raw, nth: int, facts: dict[str, Any], places: dict[str, Place]) -> None:
    changes = decode_raw(raw, Changes)
    if changes is None:
        return
    facts.update({name: getattr(changes, attribute) for name, attribute in CHANGED if _is_given(changes, attribute)})
    if bytes(memoryview(changes.messages)[:1]) == b"[":
        _replace(_listed(changes.messages), nth, places)


def _is_given(changes: Changes, attribute: str) -> bool:
    return getattr(changes, attribute) is not msgspec.UNSET


def _replace(said: list[Said], nth: int, places: dict[str, Place]) -> None:
    places.clear()
    places.update({as_text(one.id) or f"set {number}": (nth, number) for number, one in enumerate(said)})


def _rewind(places: dict[str, Place], name: str) -> None:
    """Drop a message and all after it; all, if it is unknown."""
    names = list(places)
    for one in names[names.index(name) if name in places else 0 :]:
        del places[one]


def _count(said: Said, number: int, figures: Figures, sums: dict[str, int], notes: Notes) -> None:
    if said.type == "user":
        notes.details["user_messages"] += 1
        figures.human_turns += is_prompt(text_of(said.content))
    if said.type != "gemini":
        return
    figures.assistant_turns += 1
    figures.used(said.model)
    calls = decode_raw(said.tool_calls) if said.tool_calls else None
    figures.tool_calls += len(calls) if isinstance(calls, list) else 0
    tokens = said.tokens if isinstance(said.tokens, dict) else {}
    for name in BUCKETS:
        sums[name] += count(tokens.get(name))
    usage = usage_of(tokens)
    figures.incomplete |= not usage.complete
    if any(type(tokens.get(name)) is int for name in BUCKETS):
        known, at = as_text(said.id), parse_time(said.timestamp)
        place = None if known else f"message {number}"
        figures.usage_records.append(UsageRecord(known, place, as_text(said.model), at, usage))


def usage_of(tokens: dict[str, Any]) -> Usage:
    """Map what is recorded to buckets that never overlap."""
    cached = count(tokens.get("cached"))
    given = max(0, count(tokens.get("input")) - cached) + count(tokens.get("tool"))
    output = count(tokens.get("output")) + count(tokens.get("thoughts"))
    return Usage(given, output, cached, complete=bool(given or output or cached))


def is_prompt(text: str) -> bool:
    """Say whether a person asked something, rather than called a command."""
    start = text.strip()
    return bool(start) and not start.startswith(NO_PROMPT)


def text_of(content: Raw) -> str:
    """Return the text of a message: text, or parts."""
    value = decode_raw(content) if content else None
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    texts = [part if isinstance(part, str) else part.get("text") for part in parts if isinstance(part, str | dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _tell(said: Said, timeline: Timeline) -> None:
    text, at = text_of(said.content), parse_time(said.timestamp)
    known = as_text(said.id)
    if said.type == "user":
        origin = Origin.HUMAN if is_prompt(text) else Origin.INJECTED
        timeline.say(Role.USER, origin, text, at=at, message_id=known)
    elif said.type == "gemini":
        tokens = said.tokens if isinstance(said.tokens, dict) else None
        draft = timeline.say(Role.ASSISTANT, Origin.MODEL, text, at=at, message_id=known, model=as_text(said.model))
        draft.usage = usage_of(tokens) if tokens else None
        calls = decode_raw(said.tool_calls) if said.tool_calls else None
        for number, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict):
                _call(call, f"{draft.index}.{number}", timeline)
    elif text.strip():
        timeline.say(Role.SYSTEM, Origin.META, text, at=at, message_id=known)


def _call(call: dict[str, Any], place: str, timeline: Timeline) -> None:
    draft = timeline.last()
    assert draft is not None
    call_id = as_text(call.get("id")) or place
    arguments = call.get("args")
    timeline.call(draft, str(call.get("name")), arguments if isinstance(arguments, dict) else {}, call_id)
    failed = call.get("status") in ("error", "cancelled")
    timeline.result(call_id, _result(call), failed=failed)


def _result(call: dict[str, Any]) -> str:
    texts = []
    for part in call["result"] if isinstance(call.get("result"), list) else []:
        called = part.get("functionResponse") if isinstance(part, dict) else None
        answer = called.get("response") if isinstance(called, dict) else None
        shown = answer.get("output", answer.get("error")) if isinstance(answer, dict) else None
        texts += [shown] if isinstance(shown, str) else []
    display = call.get("resultDisplay")
    return "\n".join(texts) or (display if isinstance(display, str) else "")
