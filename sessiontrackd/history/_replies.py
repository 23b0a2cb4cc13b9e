"""What a session records of the agent's own usage, as rows of the table: one a reply, else one a model."""

from __future__ import annotations

from sessiontrackd.history._moments import to_ms
from sessiontrackd.model import Session, Usage

Origin = tuple[str, bytes, str | None, str | None]  # session id, transcript, watched folder, project
Row = tuple[object, ...]  # as NOTE_USAGE takes it


def origin(session: Session, source: bytes, folder: str | None, project: str | None) -> Origin:
    """Return where usage was recorded; the project is the folder's setting, else named like the working directory."""
    return session.session_id, source, folder, project or session.project_name


def rows_of_replies(session: Session, about: Origin, now_ms: int) -> list[Row]:
    """Return a row a reply, in order; a reply without an id is known by its request, else by its place among such."""
    nameless, session_id, end_ms = 0, session.session_id, _end_ms(session)
    rows: list[Row] = []
    for message_id, request_id, model, at, usage, is_sidechain in session.usage_records:
        nameless += message_id is None
        key = message_id or f"{session_id}#{request_id or nameless}"
        at_ms = to_ms(at) if at else end_ms
        rows.append((key, *about, model, at_ms, is_sidechain, False, *_buckets(usage), now_ms))
    return rows


def rows_of_sums(session: Session, about: Origin, now_ms: int) -> list[Row]:
    """Return a row a model where a session records sums only."""
    sums = dict(session.usage_by_model)
    if not sums and session.usage is not None:
        sums = {session.models[0] if len(session.models) == 1 else "": session.usage}
    at = _end_ms(session)
    return [
        (f"{session.session_id}#sum#{model}", *about, model or None, at, False, True, *_buckets(usage), now_ms)
        for model, usage in sums.items()
    ]


def _buckets(usage: Usage) -> Row:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.total_tokens,
        usage.complete,
    )


def _end_ms(session: Session) -> int | None:
    """Return when a session was last heard of, for what has no time of its own."""
    end = session.ended_at or session.started_at
    return None if end is None else to_ms(end)
