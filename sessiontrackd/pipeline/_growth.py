"""A session that is still going on: how long its note, and a paid engine, wait for it to be quiet."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from sessiontrackd.config import Settings
from sessiontrackd.errors import Growing


class Past(Struct, frozen=True):
    """What is known of a session so far.

    Attributes:
        ended_at: of its last message; None where the transcript has no times, which tells nothing of going on, and where
            a tool said that the session is over.
        noted_at: when its note was last made.
        asked_at: when the engine that is asked elsewhere last made its insight; None for the local engine.
    """

    ended_at: datetime | None
    noted_at: datetime | None = None
    asked_at: datetime | None = None


def pause(past: Past, settings: Settings, now: datetime, *, elsewhere: bool) -> Growing | None:
    """Return why a session's insight has to wait; None where it may be made now.

    A note is written at most once in a while, and once at the end. An engine elsewhere is asked when the session has rested,
    and at most once in a longer while; until then a session that has no note from it gets a local one.

    Args:
        past: of the session.
        settings: how long each of them is.
        now: the time.
        elsewhere: its engine is not the local one.
    """
    rested_s = float("inf") if past.ended_at is None else max(0.0, (now - past.ended_at).total_seconds())
    note_s = _left(past.noted_at, settings.note_every_min * 60, now) if rested_s < settings.note_every_min * 60 else 0.0
    if not elsewhere:
        return Growing("the session is still going on; its note was made a moment ago", note_s) if note_s > 0 else None
    quiet_s = settings.quiet_min * 60 - rested_s
    asked_s = _left(past.asked_at, settings.ask_every_min * 60, now)
    if max(quiet_s, asked_s) <= 0:
        return None
    if past.asked_at is not None:
        text = f"the session is still going on; the engine is asked again at most every {settings.ask_every_min:g} min"
        return Growing(text, max(quiet_s, asked_s))
    text = f"the session is still going on; the engine is asked once it has been quiet for {settings.quiet_min:g} min"
    return Growing(text, min(quiet_s, note_s) if note_s > 0 else quiet_s, keeps_note=note_s > 0)


def _left(since: datetime | None, every_s: float, now: datetime) -> float:
    return 0.0 if since is None else every_s - (now - since).total_seconds()
