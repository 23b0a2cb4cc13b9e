"""Claude Code: JSON lines below ~/.claude/projects, main sessions and the files of sub-agents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sessiontrackd.model import Session, Trail, Transcript
from sessiontrackd.readers._claude import Conversation, lasting_mark
from sessiontrackd.readers._claude_count import count_all
from sessiontrackd.readers._claude_records import Record
from sessiontrackd.readers._transcript import Notes, Steps, Trailing, one_session, take_later
from sessiontrackd.records import Lines, Source

NAME = "claude_code"
TYPES = {
    "user", "assistant", "summary", "system", "file-history-snapshot", "file-history-delta", "queue-operation",
    "attachment", "progress", "permission-mode", "mode", "ai-title", "custom-title", "last-prompt", "agent-name",
    "bridge-session", "pr-link", "frame-link",
}  # fmt: skip
ROLES = ("user", "assistant")
LINKS = ("sessionId", "leafUuid", "parentUuid")


def recognises(source: Source) -> bool:
    """Say whether one of the first records is of Claude Code."""
    return source.shape.kind in ("lines", "object") and any(map(_is_record, source.shape.objects))


def _is_record(record: dict[str, Any]) -> bool:
    if not any(link in record for link in LINKS):
        return "messageId" in record and "snapshot" in record and record.get("type") == "file-history-snapshot"
    kind = record.get("type")
    if kind is None:
        message = record.get("message")
        return isinstance(message, dict) and (message.get("role") in ROLES or "usage" in message)
    return isinstance(kind, str) and kind in TYPES


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


def subagent_paths(source: Source, _: Session) -> Iterator[Path]:
    """Yield where sub-agents of a session may stand: beside it (2.0), or in a folder of the same name.

    One beside it may be of another session; what it records of its parent decides.
    """
    yield from sorted(source.path.with_suffix("").glob("subagents/**/agent-*.jsonl"))
    yield from sorted(source.path.parent.glob("agent-*.jsonl"))


def _steps(source: Source, notes: Notes) -> Steps:
    lines, trail = Lines(source, Record), None
    conversation = Conversation(only_figures=source.only_figures)
    if not source.only_figures or not count_all(conversation, lines):
        lines = Lines(source, Record)
        conversation = Conversation(only_figures=source.only_figures, mark=lasting_mark)
        trailing = Trailing(lines, conversation)
        yield from trailing.messages()
        yield from conversation.timeline.rest()
        trail = trailing.trail() if source.is_plain and not source.only_figures else None
    notes.of_lines(lines)
    notes.details.update(conversation.details())
    return conversation.session(NAME, source.stem, trail)


def follow(source: Source, trail: Trail) -> Session:
    """Return what stands behind a place up to which a plain file was read: of its figures the usage alone is whole."""
    conversation = Conversation.resumed(trail)
    return conversation.session(NAME, source.stem, take_later(source, trail, Record, conversation))
