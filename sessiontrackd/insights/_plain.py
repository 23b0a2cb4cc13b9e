"""Plain values at the edge of the Python API: messages in, a dict out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sessiontrackd.model import Finding, Insight, Message, Origin, Role, Session
from sessiontrackd.pricing import PICOUSD_PER_USD

FORMAT = "messages"


def session_of(conversation: str | Sequence[Mapping[str, Any]] | Session) -> Session:
    """Return a session of a text, of messages with `role` and `content`, or the one that was given.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(conversation, Session):
        return conversation
    if isinstance(conversation, str):
        return session_of([{"role": "user", "content": conversation}])
    messages = tuple(_message(number, one) for number, one in enumerate(conversation, 1))
    content = json.dumps([[message.role, message.text] for message in messages])
    times = [message.at for message in messages if message.at is not None]
    return Session(
        session_id=hashlib.sha256(content.encode()).hexdigest()[:32],
        format=FORMAT,
        started_at=min(times, default=None),
        ended_at=max(times, default=None),
        messages=messages,
        human_turns=sum(message.origin is Origin.HUMAN for message in messages),
        assistant_turns=sum(message.role is Role.ASSISTANT for message in messages),
    )


def _message(number: int, one: object) -> Message:
    if not isinstance(one, Mapping):
        raise TypeError("a conversation is a text, a list of messages with role and content, or a Session")
    role = {"user": Role.USER, "assistant": Role.ASSISTANT}.get(str(one.get("role", "user")), Role.SYSTEM)
    origin = {Role.USER: Origin.HUMAN, Role.ASSISTANT: Origin.MODEL}.get(role, Origin.META)
    at, name = one.get("timestamp"), one.get("name") or one.get("speaker")
    return Message(
        number,
        role,
        origin,
        _text(one.get("content", one.get("text"))),
        at=at if isinstance(at, datetime) and at.tzinfo else None,
        speaker=name if isinstance(name, str) else None,
    )


def _text(content: object) -> str:
    """Return the text of a message's content: a string, or a list of blocks."""
    if isinstance(content, str):
        return content
    blocks: Iterable[object] = content if isinstance(content, Sequence) else ()
    texts = [block.get("text") if isinstance(block, Mapping) else block for block in blocks]
    return "\n\n".join(text for text in texts if isinstance(text, str))


def as_dict(insight: Insight) -> dict[str, Any]:
    """Return an insight as the Python API gives it; money is a float of USD."""
    usage = insight.usage
    return {
        "level": insight.level.value,
        "title": insight.title,
        "summary": insight.summary,
        "findings": [_finding(finding) for finding in insight.findings],
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "cost_usd": None if insight.is_flat_rate else insight.cost_picousd / PICOUSD_PER_USD,
        "engine": insight.engine,
        "model": insight.model,
        "provenance": dict(insight.provenance),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "text": finding.text,
        "quote": finding.quote,
        "messages": list(finding.messages),
        "origin": finding.origin,
    }
