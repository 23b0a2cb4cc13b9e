"""SubRip subtitles."""

from __future__ import annotations

import re

from sessiontrackd.model import Transcript
from sessiontrackd.readers._cues import steps
from sessiontrackd.readers._transcript import one_session
from sessiontrackd.records import Source

NAME = "srt"
TIMING = re.compile(rb"^\s*(?:\d+\s*\r?\n\s*)?\d{1,2}:\d{2}:\d{2}[,.]\d{1,3}\s*-->\s*\d{1,2}:\d{2}:\d{2}[,.]\d{1,3}")


def recognises(source: Source) -> bool:
    """Say whether it begins with a numbered timing line."""
    return source.shape.kind == "text" and TIMING.match(source.head.lstrip()) is not None


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, lambda source, notes: steps(source, notes, NAME))
