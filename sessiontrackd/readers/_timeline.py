"""Messages in the making: results find their calls, and a message leaves when nothing more can belong to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from sessiontrackd.model import Message, Origin, Role, ToolCall, Usage
from sessiontrackd.records import cut_result

HELD_MESSAGES = 200  # so many may wait for the result of an earlier call
HELD_CHARS = 8_000_000


class Draft(Struct):
    """A message that may still grow."""

    index: int
    role: Role
    origin: Origin
    texts: list[str] = []
    at: datetime | None = None
    model: str | None = None
    usage: Usage | None = None
    message_id: str | None = None
    request_id: str | None = None
    line: int | None = None
    speaker: str | None = None
    calls: list[ToolCall] = []
    waiting: set[str] = set()
    held_chars: int = 0

    def finished(self) -> Message:
        """Return the message as it stands now."""
        return Message(
            self.index, self.role, self.origin, "\n\n".join(filter(None, self.texts)), self.at, self.model, self.usage,
            self.message_id, self.request_id, tuple(self.calls), self.line, self.speaker,
        )  # fmt: skip


class Timeline:
    """The messages of one session in order; each is held back until its tools have answered, within bounds."""

    def __init__(self, *, is_mute: bool = False) -> None:
        """Start with no message; where nobody wants any, the newest is all that is held."""
        self._is_mute = is_mute
        self._drafts: deque[Draft] = deque()
        self._callers: dict[str, Draft] = {}
        self._next_index = 1
        self._chars = 0
        self.open_call: str | None = None  # where a format names no call with its result: the newest one without

    def say(self, role: Role, origin: Origin, *texts: str, **facts: Any) -> Draft:
        """Add a message; `facts` are fields of Draft."""
        draft = Draft(self._next_index, role, origin, [*filter(None, texts)], **facts)
        self._next_index += 1
        self._hold(draft, sum(map(len, texts)))
        if self._is_mute:
            self._drafts.clear()
        self._drafts.append(draft)
        return draft

    def _hold(self, draft: Draft, chars: int) -> None:
        draft.held_chars += chars
        self._chars += chars

    def last(self) -> Draft | None:
        """Return the newest message that is still held."""
        return self._drafts[-1] if self._drafts else None

    def recent(self, message_id: str, sidechain: bool = False) -> Draft | None:
        """Return the held message of that id, if it is one of the newest."""
        for draft in reversed(self._drafts):
            if draft.message_id == message_id and (draft.origin is Origin.SIDECHAIN) is sidechain:
                return draft
        return None

    def call(self, draft: Draft, name: str, arguments: Mapping[str, Any], call_id: str | None) -> None:
        """Add a tool call to a message, which then waits for the result."""
        if self._is_mute:
            return
        draft.calls.append(ToolCall(name=name, arguments=arguments, call_id=call_id))
        if call_id:
            draft.waiting.add(call_id)
            self._callers[call_id] = draft

    def result(self, call_id: str | None, text: str, *, failed: bool = False) -> None:
        """Attach a result to its call; one whose message is gone is dropped."""
        draft = self._callers.pop(call_id, None) if call_id else None
        if draft is None or call_id is None:
            return
        for place, call in enumerate(draft.calls):
            if call.call_id == call_id:
                draft.calls[place] = answered(call, text, failed=failed)
                self._hold(draft, min(len(text), 32_000))
        draft.waiting.discard(call_id)

    def ready(self) -> Iterable[Message]:
        """Return the messages that are complete: all but the newest, and those that wait for a result."""
        drafts = self._drafts
        ready: tuple[Message, ...] = ()
        while len(drafts) > 1 and (not drafts[0].waiting or len(drafts) > HELD_MESSAGES or self._chars > HELD_CHARS):
            ready += (self._leave(),)
        return ready

    def rest(self) -> Iterator[Message]:
        """Yield what is left, at the end."""
        while self._drafts:
            yield self._leave()

    def _leave(self) -> Message:
        draft = self._drafts.popleft()
        for call_id in draft.waiting:
            self._callers.pop(call_id, None)
            if call_id == self.open_call:
                self.open_call = None
        self._chars -= draft.held_chars
        return draft.finished()


def answered(call: ToolCall, text: str, *, failed: bool = False) -> ToolCall:
    """Return the call with its result, of which a long one keeps head and tail."""
    kept, cut_at = cut_result(text)
    uncut_bytes = None if cut_at is None else len(text.encode("utf-8", "replace"))
    return ToolCall(call.name, call.arguments, kept, uncut_bytes, cut_at, failed, call.call_id)
