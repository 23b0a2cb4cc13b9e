"""Messengers: a chat of Telegram as JSON, a chat of WhatsApp as text."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Draft, Timeline
from sessiontrackd.readers._transcript import Notes, Steps, one_session
from sessiontrackd.records import Document, Source, as_text, decode_raw, parse_time

NAME = "messenger_export"
TELEGRAM = {"name", "type", "id", "messages"}
FEWEST_LINES = 3
_STAMP = r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4},? \d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\u202f][AaPp]\.?[Mm]\.?)?"
LINE = re.compile(rf"^\u200e?(?:\[{_STAMP}\] ?|{_STAMP} ?[-–] )(?P<rest>.*)$")


class Said(Struct):
    """One message of Telegram."""

    id: Any = None
    type: Any = None
    date: Any = None
    date_unixtime: Any = None
    sender: Any = msgspec.field(name="from", default=None)
    text: Any = None


def recognises(source: Source) -> bool:
    """Say whether a chat's name and messages stand in it, or lines with stamps and names."""
    shape = source.shape
    if shape.kind == "object":
        return shape.keys >= TELEGRAM and (b'"date_unixtime"' in source.head or b'"from_id"' in source.head)
    if shape.kind != "text":
        return False
    lines = source.head.decode("utf-8", "replace").splitlines()[:60]
    found = [match["rest"] for line in lines if (match := LINE.match(line))]
    named = sum(": " in rest for rest in found)
    return len(found) >= FEWEST_LINES and bool(LINE.match(lines[0])) and named * 2 >= len(found)


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _telegram if source.shape.kind == "object" else _whatsapp)


def _telegram(source: Source, notes: Notes) -> Steps:
    figures, timeline, facts = Figures(), Timeline(), dict[str, Any]()
    notes.details["messages"] = 0
    document = Document(source)
    for key, raw in document.members(("messages",)):
        if key != "messages":
            facts[key] = decode_raw(raw)
            continue
        said = decode_raw(raw, Said)
        notes.details["messages"] += 1
        text = _text(said.text) if said is not None else ""
        if said is not None and said.type == "message":
            at = parse_time(_seconds(said.date_unixtime) or said.date)
            figures.saw(at)
            figures.human_turns += 1
            timeline.say(Role.USER, Origin.HUMAN, text, at=at, speaker=as_text(said.sender))
            yield from timeline.ready()
    yield from timeline.rest()
    notes.of_document(document)
    figures.title = as_text(facts.get("name"))
    return figures.session(str(facts.get("id") or source.own_id), NAME)


def _text(value: object) -> str:
    """Return the text: text, or a list of text and of objects with text."""
    parts = value if isinstance(value, list) else [value]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def _seconds(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isdigit() and len(value) < 15 else None


def _whatsapp(source: Source, notes: Notes) -> Steps:
    figures, timeline, further = Figures(), Timeline(), list[str]()
    notes.details["lines"] = 0
    for number, line in enumerate(source.text_lines(), 1):
        notes.details["lines"] += bool(line.strip())
        found = LINE.match(line)
        if found is None:
            further += [line] if line.strip() else []
            continue
        _go_on(timeline.last(), further)
        yield from timeline.ready()
        name, colon, text = found["rest"].partition(": ")
        figures.human_turns += bool(colon)
        if colon:
            timeline.say(Role.USER, Origin.HUMAN, text, speaker=name, line=number)
        else:
            timeline.say(Role.SYSTEM, Origin.META, found["rest"], line=number)
    _go_on(timeline.last(), further)
    yield from timeline.rest()
    return figures.session(source.own_id, NAME)


def _go_on(draft: Draft | None, further: list[str]) -> None:
    """Add the further lines of a message to its first; those before any message belong to none."""
    if draft is not None and further:
        draft.texts[-1:] = ["\n".join([*(draft.texts[-1:] or [""]), *further])]
    further.clear()
