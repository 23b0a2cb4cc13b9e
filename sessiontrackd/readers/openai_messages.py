"""OpenAI's messages: {"messages": [{"role", "content"}]}, alone, in an array, one a line, or a bare array of messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._rows import rows
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions
from sessiontrackd.records import Source, as_text, decode_raw

NAME = "openai_messages"
ROLES = ("user", "assistant", "system", "developer", "tool", "function")
TELLING = re.compile(rb'"role"\s*:\s*"(?:user|assistant|system|developer|tool|function)"')


class Said(Struct):
    """One message."""

    role: Any = None
    content: Any = None
    name: Any = None
    tool_calls: Any = None
    tool_call_id: Any = None


class Row(Struct):
    """One conversation."""

    id: Any = None
    messages: list[Said] | None = None


def recognises(source: Source) -> bool:
    """Say whether messages with a role and a content stand in it."""
    shape = source.shape
    if shape.kind == "lines" or shape.objects:
        return all(map(_is_row, shape.objects)) and any(one["messages"] for one in shape.objects)
    if shape.kind not in ("array", "object") or not TELLING.search(source.head):
        return False
    if _is_bare(source):
        return True
    return "messages" in shape.keys and b'"content"' in source.head


def _is_row(row: dict[str, Any]) -> bool:
    messages = row.get("messages")
    if not isinstance(messages, list):
        return False
    spoken = sum(isinstance(one, dict) and one.get("role") in ROLES for one in messages)
    return spoken * 2 >= len(messages)


def _is_bare(source: Source) -> bool:
    return source.shape.kind == "array" and {"role", "content"} <= source.shape.keys


def read(source: Source) -> Transcript:
    """Return the transcript: a session for each object with messages, in file order."""
    return many_sessions(source, NAME, _sessions)


def _sessions(source: Source, notes: Notes) -> Iterator[Steps]:
    notes.details["roles"] = {}
    if _is_bare(source):
        yield _steps(source.own_id, rows(source, Said, notes), notes)
        return
    for number, row in enumerate(rows(source, Row, notes), 1):
        if row.messages is None:
            notes.warnings.append(f"row {number} holds no messages and was left out")
        else:
            yield _steps(as_text(row.id) or f"{source.own_id}-{number}", iter(row.messages), notes)


def _steps(session_id: str, messages: Iterator[Said], notes: Notes) -> Steps:
    figures, timeline = Figures(), Timeline()
    roles = Counter[str](notes.details["roles"])
    for said in messages:
        roles[str(said.role)] += 1
        _take(said, figures, timeline)
        yield from timeline.ready()
    yield from timeline.rest()
    notes.details["roles"] = dict(roles)
    return figures.session(session_id, NAME)


def _take(said: Said, figures: Figures, timeline: Timeline) -> None:
    text = _text(said.content)
    calls = said.tool_calls if isinstance(said.tool_calls, list) else []
    blocks = [one for one in said.content if isinstance(one, dict)] if isinstance(said.content, list) else []
    called = [one for one in blocks if one.get("type") == "tool_call"]
    figures.tool_calls += len(calls) + len(called)
    if said.role == "user":
        figures.human_turns += 1
        timeline.say(Role.USER, Origin.HUMAN, text)
    elif said.role == "assistant":
        figures.assistant_turns += 1
        draft = timeline.say(Role.ASSISTANT, Origin.MODEL, text)
        for call in (*calls, *called):
            name, arguments, call_id = _call(call)
            timeline.call(draft, name, arguments, call_id)
    elif said.role in ("tool", "function"):
        timeline.result(as_text(said.tool_call_id), text)
    else:
        timeline.say(Role.SYSTEM, Origin.META, text)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    blocks = [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
    texts = [one.get("text", one.get("value")) for one in blocks if one.get("type") in ("text", "input_text", None)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _call(call: object) -> tuple[str, dict[str, Any], str | None]:
    facts = call if isinstance(call, dict) else {}
    function = facts.get("function") if isinstance(facts.get("function"), dict) else facts
    given = function.get("arguments", function.get("value")) if isinstance(function, dict) else None
    value = decode_raw(given.encode("utf-8", "replace")) if isinstance(given, str) else given
    arguments = value if isinstance(value, dict) else {"input": given} if isinstance(given, str) else {}
    name = function.get("name") if isinstance(function, dict) else None
    return str(name or "tool"), arguments, as_text(facts.get("id"))
