"""Cursor: the Markdown that "Export chat" writes."""

from __future__ import annotations

import re

from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, one_session
from sessiontrackd.records import Source

NAME = "cursor"
EXPORTED = re.compile(r"^_.*\bCursor \(\d+(?:\.\d+)*\)_\s*$", re.MULTILINE)
MARKS = {"**User**": Role.USER, "**Cursor**": Role.ASSISTANT}


def recognises(source: Source) -> bool:
    """Say whether Cursor says that it exported it; the date is in the person's own language."""
    head = source.head[:4096].decode("utf-8", "replace")
    return source.shape.kind == "text" and EXPORTED.search(head) is not None and any(mark in head for mark in MARKS)


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


def _steps(source: Source, notes: Notes) -> Steps:
    figures, timeline = Figures(), Timeline()
    lines: list[str] = []
    was_rule = True
    for number, line in enumerate(source.text_lines(), 1):
        role = MARKS.get(line.strip()) if was_rule else None
        if role is not None:
            _end(timeline, lines)
            yield from timeline.ready()
            figures.human_turns += role is Role.USER
            figures.assistant_turns += role is Role.ASSISTANT
            timeline.say(role, Origin.HUMAN if role is Role.USER else Origin.MODEL, line=number)
        elif figures.title is None and line.startswith("# "):
            figures.title = line[2:].strip()
        else:
            lines.append(line)
        was_rule = line.strip() == "---" or (was_rule and not line.strip())
    _end(timeline, lines)
    yield from timeline.rest()
    notes.details["messages"] = figures.human_turns + figures.assistant_turns
    return figures.session(source.own_id, NAME)


def _end(timeline: Timeline, lines: list[str]) -> None:
    draft = timeline.last()
    text = "\n".join(lines).strip("\n").removesuffix("---").strip("\n")
    if draft is not None and text:
        draft.texts.append(text)
    lines.clear()
