"""Cues of subtitles: what WebVTT and SRT share."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from msgspec import Struct

from sessiontrackd.model import Origin, Role
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._speakers import turn_of
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps
from sessiontrackd.records import Source

ARROW = "-->"
VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]+)>")
_TAG = re.compile(r"</?[^>]*>")
_COMMENTS = ("NOTE", "STYLE", "REGION", "WEBVTT")
LONGEST_TURN_CHARS = 4_000


class Block(Struct):
    """The lines between two blank ones."""

    lines: list[str]
    number: int


def steps(source: Source, notes: Notes, name: str) -> Steps:
    """Read the cues; what one voice says in a row is one message."""
    figures, timeline, speakers = Figures(), Timeline(is_mute=source.only_figures), dict[str, None]()
    notes.details.update(cues=0, speakers=[], utf8=source.is_wholly_utf8())
    if not notes.details["utf8"]:
        notes.warnings.append("the text is not all UTF-8; its encoding was guessed")
    for block in _blocks(source.text_lines()):
        notes.details["cues"] += sum(ARROW in line for line in block.lines)
        if name == "webvtt":
            speakers.update(dict.fromkeys(voice.strip() for line in block.lines for voice in VOICE.findall(line)))
        _say(block, timeline, figures)
        yield from timeline.ready()
    yield from timeline.rest()
    notes.details["speakers"] = list(speakers)
    return figures.session(source.own_id, name)


def _blocks(lines: Iterator[str]) -> Iterator[Block]:
    block = Block([], 1)
    for number, line in enumerate(lines, 1):
        if line.strip():
            block.lines.append(line)
        else:
            if block.lines:
                yield block
            block = Block([], number + 1)
    if block.lines:
        yield block


def _say(block: Block, timeline: Timeline, figures: Figures) -> None:
    timing = next((place for place, line in enumerate(block.lines) if ARROW in line), None)
    if timing is None or block.lines[0].startswith(_COMMENTS):
        return
    spoken = block.lines[timing + 1 :]
    voice = next((found[1].strip() for line in spoken if (found := VOICE.search(line))), None)
    text = html.unescape(_TAG.sub("", " ".join(spoken))).strip()
    turn = turn_of(text) if voice is None else None
    speaker = turn.speaker if turn is not None else voice
    shown = turn.text if turn is not None else text
    last = timeline.last()
    if not shown:
        return
    if last is not None and last.speaker == speaker and len(last.texts[0]) < LONGEST_TURN_CHARS:
        last.texts[0] += f" {shown}"
    else:
        figures.human_turns += 1
        timeline.say(Role.USER, Origin.HUMAN, shown, speaker=speaker, line=block.number)
