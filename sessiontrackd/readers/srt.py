"""SubRip subtitles."""

from __future__ import annotations

import re
from itertools import islice

from sessiontrackd.model import Transcript
from sessiontrackd.readers._cues import steps
from sessiontrackd.readers._speakers import turn_of
from sessiontrackd.readers._transcript import one_session
from sessiontrackd.records import Source

NAME = "srt"
PLAIN = (".txt", ".md", ".rst")
SAMPLE_LINES = 200
TIMING = re.compile(rb"^\s*(?:\d+[^\S\n]*\n\s*)?\d{1,2}:\d{2}:\d{2}[,.]\d{1,3}\s*-->\s*\d{1,2}:\d{2}:\d{2}[,.]\d{1,3}")


def recognises(source: Source) -> bool:
    """Say whether it begins with a numbered timing line.

    Under the name of a plain text somebody must speak by name in it: sample subtitles of software end so.
    """
    if source.shape.kind != "text" or TIMING.match(source.head.lstrip()) is None:
        return False
    return not source.name.endswith(PLAIN) or any(turn_of(line) for line in islice(source.text_lines(), SAMPLE_LINES))


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, lambda source, notes: steps(source, notes, NAME))
