"""A shorter session for an engine: what was said, head and tail of long messages, redacted before it is cut."""

from __future__ import annotations

from dataclasses import replace

from sessiontrackd.model import InsightLevel, Message, Origin, Session
from sessiontrackd.privacy import Redactor

# Characters of a message's head and tail that are kept.
KEPT = {
    InsightLevel.MINIMAL: (400, 200),
    InsightLevel.STANDARD: (1800, 400),
    InsightLevel.COMPREHENSIVE: (3000, 1000),
}


class Condenser:
    """Takes the messages of one session as they stream past, and keeps what an engine may be given."""

    def __init__(self, level: InsightLevel, redactor: Redactor) -> None:
        """Start empty."""
        self._head, self._tail = KEPT[level]
        self._redactor = redactor
        self._kept: list[Message] = []

    def take(self, message: Message) -> None:
        """Keep what a person or the model said."""
        if message.origin in (Origin.HUMAN, Origin.MODEL) and message.text.strip():
            self._kept.append(replace(message, text=self._cut(message.text), tool_calls=()))

    def finish(self, session: Session) -> Session:
        """Return the session with the shortened messages."""
        return replace(session, messages=tuple(self._kept))

    def _cut(self, text: str) -> str:
        if len(text) <= self._head + self._tail:
            return self._redactor.redact(text)
        left = len(text) - self._head - self._tail
        tail = self._redactor.cut(text, len(text) - self._tail, len(text))
        return f"{self._redactor.cut(text, 0, self._head)}…[{left} chars]…{tail}"


def render(session: Session) -> str:
    """Return the text of a condensed session, each message under its number."""
    return "\n\n".join(
        f"[m{message.index}] {message.speaker or message.role.value}: {message.text}" for message in session.messages
    )
