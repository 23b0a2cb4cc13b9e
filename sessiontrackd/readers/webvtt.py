"""WebVTT subtitles, as meeting tools export them."""

from __future__ import annotations

from sessiontrackd.model import Transcript
from sessiontrackd.readers._cues import steps
from sessiontrackd.readers._transcript import one_session
from sessiontrackd.records import Source

NAME = "webvtt"


def recognises(source: Source) -> bool:
    """Say whether it begins with WEBVTT."""
    start = source.head.lstrip()[:7]
    return source.shape.kind == "text" and start[:6] == b"WEBVTT" and start[6:] in (b"", b" ", b"\t", b"\n", b"\r")


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, lambda source, notes: steps(source, notes, NAME))
