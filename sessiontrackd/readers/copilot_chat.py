"""GitHub Copilot Chat in VS Code: an exported chat.json, a chatSessions document, or its log of operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from sessiontrackd.errors import NotReadYet
from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, one_session
from sessiontrackd.records import Document, Lines, Source, as_text, decode_raw, parse_time

NAME = "copilot_chat"
REQUESTS = "requests"
TELLING = ("responderUsername", "requesterUsername", "initialLocation", "creationDate")
LARGEST_LOG_BYTES = 64 * 1024 * 1024  # a log of operations is replayed in memory
SNAPSHOT, SET, PUSH, DELETE = range(4)


class Request(Struct, rename="camel"):
    """One question and its answer."""

    request_id: Any = None
    message: Any = None
    response: Any = None
    timestamp: Any = None
    model_id: Any = None


class Operation(Struct):
    """One line of the log: a snapshot, or a change at a path."""

    kind: Any = None
    k: Any = None
    v: Any = None
    i: Any = None


def recognises(source: Source) -> bool:
    """Say whether requests and who answered them stand in it, or a log that begins with such a snapshot."""
    shape = source.shape
    if shape.kind == "object" and REQUESTS in shape.keys and any(key in shape.keys for key in TELLING):
        return True
    return _is_log(source)


def _is_log(source: Source) -> bool:
    first = source.shape.objects[0] if source.shape.kind in ("lines", "object") and source.shape.objects else {}
    value = first.get("v")
    return first.get("kind") == SNAPSHOT and isinstance(value, dict) and REQUESTS in value


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    if _is_log(source) and source.fingerprint.size_bytes > LARGEST_LOG_BYTES:
        raise NotReadYet(f"{source.display}: a chat log of more than {LARGEST_LOG_BYTES // 2**20} MB is not read yet.")
    return one_session(source, NAME, _steps)


def _steps(source: Source, notes: Notes) -> Steps:
    figures, timeline, calls = Figures(), Timeline(is_mute=source.only_figures), set[str]()
    facts: dict[str, Any] = {}
    first_id: str | None = None
    for key, raw in _replayed(source, notes) if _is_log(source) else _document(source, notes):
        if key != REQUESTS:
            facts[key] = decode_raw(raw) if key in ("sessionId", "customTitle") else None
            continue
        request = decode_raw(raw, Request)
        if request is not None:
            first_id = first_id or as_text(request.request_id)
            _take(request, figures, timeline, calls)
            yield from timeline.ready()
    yield from timeline.rest()
    figures.title = as_text(facts.get("customTitle"))
    return figures.session(as_text(facts.get("sessionId")) or first_id or source.stem, NAME)


def _document(source: Source, notes: Notes) -> Iterator[tuple[str, Raw]]:
    document = Document(source)
    yield from document.members((REQUESTS,))
    notes.of_document(document)


def _replayed(source: Source, notes: Notes) -> Iterator[tuple[str, Raw]]:
    state: dict[str, Any] = {}
    lines = Lines(source, Operation)
    for _, operation in lines:
        if operation.kind == SNAPSHOT and isinstance(operation.v, dict):
            state = operation.v
        elif isinstance(operation.k, list) and not _apply(state, operation):
            notes.warnings.append("an operation of the chat log could not be applied")
    notes.of_lines(lines)
    for key, value in state.items():
        if key == REQUESTS and isinstance(value, list):
            for request in value:
                yield key, Raw(msgspec.json.encode(request))
        else:
            yield key, Raw(msgspec.json.encode(value))


def _apply(state: Any, operation: Operation) -> bool:
    """Change the state at the operation's path; say whether that was possible."""
    path = operation.k
    place = state
    try:
        for step in path[:-1]:
            place = place[step]
        last = path[-1]
        if operation.kind == SET:
            if isinstance(place, list) and last == len(place):
                place.append(operation.v)
            else:
                place[last] = operation.v
        elif operation.kind == PUSH:
            _push(place, last, operation)
        elif operation.kind == DELETE:
            del place[last]
    except (KeyError, IndexError, TypeError):
        return False
    return operation.kind in (SET, PUSH, DELETE)


def _push(place: Any, last: Any, operation: Operation) -> None:
    """Append values to an array; with `i` it is cut to that length first."""
    if isinstance(place, dict):
        place.setdefault(last, [])
    array = place[last]
    if type(operation.i) is int:
        del array[operation.i :]
    array.extend(operation.v if isinstance(operation.v, list) else [])


def _take(request: Request, figures: Figures, timeline: Timeline, calls: set[str]) -> None:
    at = parse_time(request.timestamp)
    figures.saw(at)
    figures.used(request.model_id)
    text = _question(request.message)
    figures.human_turns += bool(text.strip())
    parts = [part for part in request.response if isinstance(part, dict)] if isinstance(request.response, list) else []
    if text.strip():
        timeline.say(Role.USER, Origin.HUMAN, text, at=at, message_id=as_text(request.request_id))
    if isinstance(request.response, list) and request.response:
        figures.assistant_turns += 1
        draft = timeline.say(Role.ASSISTANT, Origin.MODEL, _answer(parts), at=at, model=as_text(request.model_id))
        for part in parts:
            if part.get("kind") == "toolInvocationSerialized":
                call_id = as_text(part.get("toolCallId"))
                figures.tool_calls += call_id is None or call_id not in calls
                calls.update((call_id,) if call_id else ())
                name, shown = (
                    part.get("toolId"),
                    _markdown(part.get("pastTenseMessage") or part.get("invocationMessage")),
                )
                timeline.call(draft, str(name or "tool"), {"message": shown} if shown else {}, None)


def _question(message: object) -> str:
    text = message.get("text") if isinstance(message, dict) else message
    return text if isinstance(text, str) else ""


def _markdown(value: object) -> str:
    text = value.get("value") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _answer(parts: list[dict[str, Any]]) -> str:
    texts = [_markdown(part) for part in parts if part.get("kind") in (None, "markdownContent")]
    return "".join(texts)
