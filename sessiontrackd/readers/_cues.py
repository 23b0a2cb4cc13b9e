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
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t]+([^\s<>][^<>]*)>")
_TAG = re.compile(r"</?[^<>]*>")
_WORD_TIME = re.compile(r"<\d\d:\d\d(?::\d\d)?\.\d{3}>")
"""Before a word, as in captions that roll: there each cue begins with the line of the one before it."""
_COMMENTS = ("NOTE", "STYLE", "REGION", "WEBVTT")
LONGEST_TURN_CHARS = 4_000


class Block(Struct):
    """The lines between two blank ones."""

    lines: list[str]
    number: int


class Rolling:
    """Leave out the lines that captions which roll up show once more."""

    def __init__(self) -> None:
        """Start with captions that do not roll."""
        self._rolls = False
        self._last = ""

    def new(self, lines: list[str]) -> str:
        """Return what the lines of a cue say that was not said before, without tags."""
        self._rolls = self._rolls or any(_WORD_TIME.search(line) for line in lines)
        said: list[str] = []
        for line in lines:
            text = html.unescape(_TAG.sub("", line)).strip()
            if not (self._rolls and text == self._last):
                said.append(text)
            self._last = text or self._last
        return " ".join(said).strip()


def steps(source: Source, notes: Notes, name: str) -> Steps:
    """Read the cues; what one voice says in a row is one message."""
    figures, timeline, speakers = Figures(), Timeline(is_mute=source.only_figures), dict[str, None]()
    notes.details.update(cues=0, speakers=[], utf8=source.is_wholly_utf8())
    if not notes.details["utf8"]:
        notes.warnings.append("the text is not all UTF-8; its encoding was guessed")
    rolling = Rolling()
    for block in _blocks(source.text_lines()):
        notes.details["cues"] += sum(ARROW in line for line in block.lines)
        if name == "webvtt":
            speakers.update(dict.fromkeys(voice.strip() for line in block.lines for voice in VOICE.findall(line)))
        _say(block, rolling, timeline, figures)
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


def _say(block: Block, rolling: Rolling, timeline: Timeline, figures: Figures) -> None:
    timing = next((place for place, line in enumerate(block.lines) if ARROW in line), None)
    if timing is None or block.lines[0].startswith(_COMMENTS):
        return
    spoken = block.lines[timing + 1 :]
    voice = next((found[1].strip() for line in spoken if (found := VOICE.search(line))), None)
    text = rolling.new(spoken)
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
