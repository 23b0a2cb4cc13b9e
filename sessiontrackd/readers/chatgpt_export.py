"""ChatGPT's data export: conversations.json, its shards, or the zip that holds them; trees, of which one path counts."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import msgspec
from msgspec import Raw, Struct

from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions
from sessiontrackd.records import Document, Source, as_text, decode_raw, parse_time

NAME = "chatgpt_export"
MEMBER = re.compile(r"conversations(-\d+)?\.json")
SPOKEN = ("text", "multimodal_text", None)
UNSPOKEN = ("thoughts", "reasoning_recap", "user_editable_context", "model_editable_context")
TO_ALL = (None, "all")
_NOTHING = Raw(b"")
_PLAIN = re.compile(rb'\[\s*"[!#-\[\]-~]')  # text first, and it does not begin with a blank or an escape


class Author(Struct, gc=False):
    """Who wrote a message."""

    role: Any = None
    name: Any = None


class Content(Struct, gc=False):
    """What a message holds."""

    content_type: Any = None
    parts: Raw = _NOTHING
    text: Any = None


class Marks(Struct, gc=False):
    """The part of a message's metadata that decides whether it counts."""

    model_slug: Any = None
    is_visually_hidden_from_conversation: Any = None
    is_user_system_message: Any = None


class Said(Struct, gc=False):
    """The message of a node."""

    id: Any = None
    author: Author | None = None
    create_time: Any = None
    content: Content | None = None
    recipient: Any = None
    metadata: Marks | None = None


class Node(Struct, gc=False):
    """One node of the tree."""

    message: Said | None = None
    parent: Any = None
    children: Any = None


class Conversation(Struct, gc=False):
    """One element of the export."""

    title: Any = None
    create_time: Any = None
    update_time: Any = None
    current_node: Any = None
    conversation_id: Any = None
    id: Any = None
    mapping: dict[str, Node] | None = None


def recognises(source: Source) -> bool:
    """Say whether conversations with a mapping stand in it."""
    members = _members(source)
    inner = source.of_member(members[0]) if members else source
    return inner.shape.holds("mapping") and not inner.shape.holds("chat_messages")


def _members(source: Source) -> list[str]:
    return [name for name in source.members if MEMBER.fullmatch(PurePosixPath(name).name)] if not source.member else []


def read(source: Source) -> Transcript:
    """Return the transcript: a session for each conversation, in file order."""
    return many_sessions(source, NAME, _sessions)


def _sessions(source: Source, notes: Notes) -> Iterator[Steps]:
    members = _members(source)
    if source.container == "zip" and members:
        notes.details["members"] = members
    seen: set[str] = set()
    for part in [source.of_member(name) for name in members] or [source]:
        document = Document(part)
        for raw in _conversations(part, document):
            conversation = decode_raw(raw, Conversation)
            if conversation is None or conversation.mapping is None:
                notes.warnings.append("a conversation without messages was left out")
                continue
            session_id = _session_id(conversation, raw)
            if session_id in seen:
                notes.warnings.append(f"conversation {session_id} stands there twice; the first one was read")
                continue
            seen.add(session_id)
            yield _steps(conversation, conversation.mapping, session_id, only_figures=source.only_figures)
        notes.of_document(document)


def _conversations(part: Source, document: Document) -> Iterator[Raw]:
    if part.shape.kind == "array":
        yield from document.elements()
        return
    whole = dict(document.members(()))
    yield Raw(msgspec.json.encode(whole))


def _session_id(conversation: Conversation, raw: Raw) -> str:
    recorded = as_text(conversation.conversation_id) or as_text(conversation.id)
    return recorded or hashlib.sha256(bytes(raw)).hexdigest()[:32]


def _steps(conversation: Conversation, mapping: dict[str, Node], session_id: str, *, only_figures: bool) -> Steps:
    figures, timeline = Figures(title=as_text(conversation.title)), Timeline()
    path = _path(mapping, conversation.current_node)
    for node in path:
        if node.message is not None:
            _count(node.message, figures)
            if not only_figures:
                _tell(node.message, timeline)
                yield from timeline.ready()
    yield from timeline.rest()
    figures.started_at = parse_time(conversation.create_time)
    figures.ended_at = parse_time(conversation.update_time)
    return figures.session(session_id, NAME, details={**_details(mapping), "path_nodes": len(path)})


def _path(mapping: dict[str, Node], current: object) -> list[Node]:
    """Return the active path, root first."""
    name = current if isinstance(current, str) and current in mapping else _newest_leaf(mapping)
    path: list[Node] = []
    seen: set[str] = set()
    while isinstance(name, str) and name in mapping and name not in seen:
        seen.add(name)
        path.append(mapping[name])
        name = mapping[name].parent
    return path[::-1]


def _newest_leaf(mapping: dict[str, Node]) -> str | None:
    parents = {node.parent for node in mapping.values() if isinstance(node.parent, str)}
    newest, newest_s = None, float("-inf")
    for name, node in mapping.items():
        moment = parse_time(node.message.create_time) if node.message is not None else None
        made_s = moment.timestamp() if moment is not None else float("-inf")
        if name not in parents and made_s >= newest_s:
            newest, newest_s = name, made_s
    return newest


def _details(mapping: dict[str, Node]) -> dict[str, int]:
    branches = [len(node.children) for node in mapping.values() if isinstance(node.children, list)]
    if not branches:
        branches = list(Counter(node.parent for node in mapping.values() if isinstance(node.parent, str)).values())
    return {
        "nodes": len(mapping),
        "messages_all": sum(node.message is not None for node in mapping.values()),
        "branch_points": sum(number > 1 for number in branches),
    }


def _parts(said: Said) -> list[Any]:
    parts = decode_raw(said.content.parts) if said.content is not None and said.content.parts else None
    return parts if isinstance(parts, list) else []


def _holds_something(content: Content | None) -> bool:
    """Say whether a message has a part that is no blank text."""
    if content is None or not content.parts:
        return False
    if _PLAIN.match(content.parts):
        return True
    parts = decode_raw(content.parts)
    return isinstance(parts, list) and any(
        part.strip() if isinstance(part, str) else isinstance(part, dict) for part in parts
    )


def _role(said: Said) -> object:
    return said.author.role if said.author is not None else None


def _is_hidden(said: Said) -> bool:
    return said.metadata is not None and bool(said.metadata.is_visually_hidden_from_conversation)


def _is_human(said: Said) -> bool:
    if _role(said) != "user" or _is_hidden(said):
        return False
    if said.metadata is not None and said.metadata.is_user_system_message:
        return False
    if said.content is not None and said.content.content_type == "user_editable_context":
        return False
    return _holds_something(said.content)


def _is_reply(said: Said) -> bool:
    if _role(said) != "assistant" or said.recipient not in TO_ALL or _is_hidden(said):
        return False
    if said.content is not None and said.content.content_type not in SPOKEN:
        return False
    return _holds_something(said.content)


def _count(said: Said, figures: Figures) -> None:
    role = _role(said)
    if role == "user":
        figures.human_turns += _is_human(said)
    elif role == "assistant":
        figures.assistant_turns += _is_reply(said)
        figures.tool_calls += said.recipient not in TO_ALL
    if said.metadata is not None and said.metadata.model_slug:
        figures.used(said.metadata.model_slug)


def _text(said: Said) -> str:
    content = said.content
    if content is None or content.content_type in UNSPOKEN:
        return ""
    parts = _parts(said)
    texts = [part for part in parts if isinstance(part, str)]
    texts += [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "\n".join(texts) or (content.text if isinstance(content.text, str) else "")


def _tell(said: Said, timeline: Timeline) -> None:
    role, text = _role(said), _text(said)
    at = parse_time(said.create_time)
    if role == "assistant" and said.recipient not in TO_ALL:
        draft = timeline.say(Role.ASSISTANT, Origin.MODEL, at=at, message_id=as_text(said.id), model=_model(said))
        call_id = f"call-{draft.index}"
        timeline.call(draft, str(said.recipient), _arguments(text), call_id)
        timeline.open_call = call_id
    elif role == "tool" and timeline.open_call:
        timeline.result(timeline.open_call, text)
        timeline.open_call = None
    elif text.strip() or _is_human(said):
        origin = Origin.HUMAN if _is_human(said) else Origin.MODEL if _is_reply(said) else Origin.META
        origin = Origin.TOOL if role == "tool" else origin
        speaker = {"user": Role.USER, "assistant": Role.ASSISTANT}.get(str(role), Role.SYSTEM)
        timeline.say(speaker, origin, text, at=at, message_id=as_text(said.id), model=_model(said))


def _model(said: Said) -> str | None:
    return as_text(said.metadata.model_slug) if said.metadata is not None else None


def _arguments(text: str) -> dict[str, Any]:
    value = decode_raw(text.encode("utf-8", "replace")) if text.lstrip().startswith("{") else None
    return value if isinstance(value, dict) else {"input": text}
