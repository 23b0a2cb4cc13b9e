"""A condensed session as text, in parts that fit a request."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import structs

from sessiontrackd.model import Message, Session
from sessiontrackd.tokens import sized

MOST_TOKENS = 93_000
"""The most text of a request by its upper bound, so that the whole of it stays at 95,000 with what stands around the text: one token above
100,000 makes all of them five times dearer."""

_HEADING = re.compile(r"^\[m(?=\d+\])", re.MULTILINE)


def render(session: Session) -> str:
    """Return the text of a condensed session; `[m12]` is what an answer cites."""
    return "\n".join(text_of(message) for message in session.messages)


def text_of(message: Message) -> str:
    """Return one message; its text cannot pass for the heading of another."""
    who = message.speaker or message.role.value
    lines = [f"[m{message.index}] {_inert(who)}:", _inert(message.text)] if message.text else [f"[m{message.index}]"]
    for call in message.tool_calls:
        said = " ".join(str(value) for value in call.arguments.values())
        lines.append(f"- {call.name}{' (failed)' if call.failed else ''}: {said}".rstrip(": "))
        if call.result:
            lines.append("  " + call.result.replace("\n", "\n  "))
    return "\n".join(lines) + "\n"


def _inert(text: str) -> str:
    return _HEADING.sub("[ m", text)


def parts(session: Session, most_tokens: int = MOST_TOKENS) -> tuple[Session, ...]:
    """Split a condensed session so that the upper bound of each part's text is at most `most_tokens`."""
    base = sized("").most
    found: list[list[Message]] = [[]]
    used = base
    for message in session.messages:
        for piece in _fitting(message, most_tokens - base):
            weight = _weight(piece)
            if found[-1] and used + weight > most_tokens:
                found.append([])
                used = base
            found[-1].append(piece)
            used += weight
    return tuple(structs.replace(session, messages=tuple(messages)) for messages in found)


def _weight(message: Message) -> int:
    """Return what a message adds to the upper bound of a text."""
    return sized(text_of(message) + "\n").most - sized("").most + 1


def _fitting(message: Message, most: int) -> Iterator[Message]:
    """Yield a message in as many pieces as are needed; all of them keep its number."""
    if _weight(message) <= most or len(message.text) + len(message.tool_calls) < 2:
        yield message
        return
    calls, half = message.tool_calls, len(message.text) // 2
    if not calls:
        pieces = [
            structs.replace(message, text=message.text[:half]),
            structs.replace(message, text=message.text[half:]),
        ]
    elif message.text:
        pieces = [structs.replace(message, tool_calls=()), structs.replace(message, text="")]
    else:
        middle = len(calls) // 2
        pieces = [
            structs.replace(message, tool_calls=calls[:middle]),
            structs.replace(message, tool_calls=calls[middle:]),
        ]
    for piece in pieces:
        yield from _fitting(piece, most)
