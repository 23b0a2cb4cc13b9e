"""What `inspect --json` prints about one transcript."""

from __future__ import annotations

from typing import Any

from sessiontrackd.model import Session, Transcript, Usage
from sessiontrackd.records import Source, iso


def document(source: Source, transcript: Transcript) -> dict[str, Any]:
    """Read the transcript to its end and return the document; ids are made unique in the file."""
    sessions: list[dict[str, Any]] = []
    seen: set[str] = set()
    for opened in transcript.sessions:
        printed = _session(opened.close())
        if printed["session_id"] in seen:
            printed["session_id"] = f"{printed['session_id']}~{len(seen)}"
        seen.add(printed["session_id"])
        sessions.append(printed)
    return {
        "path": str(source.path),
        "format": transcript.format if transcript.is_conversation else None,
        "is_conversation": transcript.is_conversation,
        "sessions": sessions,
        "warnings": transcript.warnings,
        "details": transcript.details,
    }


def _session(session: Session) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "parent_id": session.parent_id,
        "title": session.title,
        "project": session.project,
        "started_at": iso(session.started_at),
        "ended_at": iso(session.ended_at),
        "human_turns": session.human_turns,
        "assistant_turns": session.assistant_turns,
        "tool_calls": session.tool_calls,
        "models": list(session.models),
        "usage": _usage(session.usage),
        "details": dict(session.details),
    }


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "complete": usage.complete,
    }
