"""Claude.ai's data export: conversations.json, the zip that holds it, or one conversation as its web API gives it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import msgspec
from msgspec import Raw, Struct

from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions
from sessiontrackd.records import Document, Source, as_text, blocks_text, decode_raw, parse_time

NAME = "claude_ai_export"
MEMBER = "conversations.json"
MESSAGES = "chat_messages"
_NOTHING = Raw(b"")


class Block(Struct):
    """One block of a message."""

    type: Any = None
    text: Any = None
    id: Any = None
    name: Any = None
    tool_use_id: Any = None
    is_error: Any = None
    input: Raw = _NOTHING
    content: Raw = _NOTHING


class Said(Struct):
    """One message."""

    uuid: Any = None
    sender: Any = None
    text: Any = None
    created_at: Any = None
    content: list[Block] | None = None
    attachments: Any = None


class Conversation(Struct):
    """One element of the export."""

    uuid: Any = None
    name: Any = None
    model: Any = None
    created_at: Any = None
    updated_at: Any = None
    chat_messages: list[Said] | None = None


def recognises(source: Source) -> bool:
    """Say whether conversations with chat_messages stand in it."""
    members = _members(source)
    inner = source.of_member(members[0]) if members else source
    if inner.shape.holds(MESSAGES):
        return True
    return inner.shape.kind == "array" and inner.shape.holds("uuid", "created_at") and b'"chat_messages"' in inner.head


def _members(source: Source) -> list[str]:
    return [name for name in source.members if PurePosixPath(name).name == MEMBER]


def read(source: Source) -> Transcript:
    """Return the transcript: a session for each conversation, in file order."""
    return many_sessions(source, NAME, _sessions)


def _sessions(source: Source, notes: Notes) -> Iterator[Steps]:
    members = _members(source)
    broken: list[int] = []
    notes.details["broken"] = broken
    seen: set[str] = set()
    index = 0
    for part in [source.of_member(name) for name in members] or [source]:
        document = Document(part)
        for raw in _conversations(part, document):
            conversation = decode_raw(raw, Conversation)
            if conversation is None or conversation.chat_messages is None:
                broken.append(index)
                notes.warnings.append(f"element {index} holds no messages and was left out")
            else:
                session_id = as_text(conversation.uuid) or hashlib.sha256(bytes(raw)).hexdigest()[:32]
                if session_id in seen:
                    notes.warnings.append(f"conversation {session_id} stands there twice; the first one was read")
                else:
                    seen.add(session_id)
                    yield _steps(conversation, conversation.chat_messages, session_id, only_figures=source.only_figures)
            index += 1
        notes.of_document(document)


def _conversations(part: Source, document: Document) -> Iterator[Raw]:
    if part.shape.kind == "array":
        yield from document.elements()
    else:
        yield Raw(msgspec.json.encode(dict(document.members(()))))


def _steps(conversation: Conversation, messages: list[Said], session_id: str, *, only_figures: bool) -> Steps:
    figures, timeline = Figures(title=as_text(conversation.name)), Timeline()
    figures.used(conversation.model)
    for said in messages:
        _count(said, figures)
        if not only_figures:
            _tell(said, timeline, as_text(conversation.model))
            yield from timeline.ready()
    yield from timeline.rest()
    figures.started_at = parse_time(conversation.created_at)
    figures.ended_at = parse_time(conversation.updated_at)
    return figures.session(session_id, NAME)


def _count(said: Said, figures: Figures) -> None:
    figures.tool_calls += sum(block.type == "tool_use" for block in said.content or [])
    figures.human_turns += said.sender == "human"
    figures.assistant_turns += said.sender == "assistant"


def _tell(said: Said, timeline: Timeline, model: str | None) -> None:
    facts: dict[str, Any] = {"at": parse_time(said.created_at), "message_id": as_text(said.uuid)}
    if said.sender == "human":
        timeline.say(Role.USER, Origin.HUMAN, _text(said), **facts)
    elif said.sender == "assistant":
        timeline.say(Role.ASSISTANT, Origin.MODEL, _text(said), model=model, **facts)
        for block in said.content or []:
            _tool(block, timeline)


def _text(said: Said) -> str:
    texts = [block.text for block in said.content or [] if block.type == "text" and isinstance(block.text, str)]
    shown = "\n\n".join(text for text in texts if text) or (said.text if isinstance(said.text, str) else "")
    files = said.attachments if isinstance(said.attachments, list) else []
    names = [one["file_name"] for one in files if isinstance(one, dict) and isinstance(one.get("file_name"), str)]
    return "\n\n".join([shown, *(f"[attached: {name}]" for name in names)] if names else [shown])


def _tool(block: Block, timeline: Timeline) -> None:
    draft = timeline.last()
    assert draft is not None
    if block.type == "tool_use":
        arguments = decode_raw(block.input) if block.input else None
        call_id = as_text(block.id) or f"{draft.index}.{len(draft.calls)}"
        timeline.call(draft, str(block.name), arguments if isinstance(arguments, dict) else {}, call_id)
        timeline.open_call = call_id
    elif block.type == "tool_result":
        call_id = as_text(block.tool_use_id) or timeline.open_call or ""
        timeline.result(call_id, _result(block.content), failed=block.is_error is True)


def _result(content: Raw) -> str:
    return blocks_text(decode_raw(content)) if content else ""
