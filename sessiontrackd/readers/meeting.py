"""Conversations between people: Markdown or plain text with speakers, and meetings as JSON (QMSum)."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct

from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._roles import is_answerer, is_role_chat, role_turn
from sessiontrackd.readers._speakers import LONGEST_MESSAGE_CHARS, Turn, is_dialogue, is_model, turn_of
from sessiontrackd.readers._stamped import is_stamped_talk, stamped_turn
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions, one_session
from sessiontrackd.records import Document, Lines, Source, as_text, decode_raw, parse_time

NAME = "meeting"
TURNS = "meeting_transcripts"
QUERIES = {"topic_list", "general_query_list", "specific_query_list"}
FRONT_MATTER_LINES = 200
TELLING = re.compile(r"^(transcript_by|speakers?|participants|attendees|transcript)\s*:", re.IGNORECASE)
MENTION = re.compile(r"^\s*type\s*:\s*['\"]?(meeting|transcript|interview|conversation|chat)\b", re.IGNORECASE)
SAMPLE_LINES = 400
LONGEST_TITLE_CHARS = 100


class Entry(Struct):
    """One turn of a JSON meeting."""

    speaker: Any = None
    content: Any = None


class Meeting(Struct):
    """One line of JSON lines."""

    meeting_transcripts: Any = None


def recognises(source: Source) -> bool:
    """Say whether people speak in it."""
    shape = source.shape
    if shape.kind == "lines":
        return bool(shape.objects) and all(isinstance(one.get(TURNS), list) for one in shape.objects)
    if shape.kind in ("array", "object"):
        return TURNS in shape.keys or shape.keys >= QUERIES
    return shape.kind == "text" and is_transcript(source)


def is_transcript(source: Source) -> bool:
    """Say whether a text has speakers who answer each other, or says of itself that it is a transcript."""
    if not source.is_utf8:
        return False
    lines = list(itertools.islice(source.text_lines(), SAMPLE_LINES))
    front, rest = split_front_matter(lines)
    if any(TELLING.match(line) or MENTION.match(line) for line in front):
        return True
    return is_role_chat(rest) or is_dialogue(rest) or is_stamped_talk(rest)


def split_front_matter(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines of YAML front matter and those behind it."""
    if not lines or lines[0].rstrip() != "---":
        return [], lines
    for number, line in enumerate(lines[1:FRONT_MATTER_LINES], 1):
        if line.rstrip() in ("---", "..."):
            return lines[1:number], lines[number + 1 :]
    return [], lines


def read(source: Source) -> Transcript:
    """Return the transcript: one session a text, one a meeting of JSON."""
    if source.shape.kind == "text":
        return one_session(source, NAME, _text_steps)
    return many_sessions(source, NAME, _meetings)


# JSON


def _meetings(source: Source, notes: Notes) -> Iterator[Steps]:
    notes.details.update(turns=0, speakers=[], n_speakers=[])
    if source.shape.kind == "object":
        document = Document(source)
        turns = (decode_raw(raw, Entry) for key, raw in document.members((TURNS,)) if key == TURNS)
        yield _meeting_steps(source.own_id, turns, notes)
        notes.of_document(document)
        return
    for number, meeting in enumerate(_each_meeting(source), 1):
        entries = meeting.get(TURNS)
        yield _meeting_steps(f"{source.own_id}-{number}", _entries(entries), notes)


def _each_meeting(source: Source) -> Iterator[dict[str, Any]]:
    if source.shape.kind == "array":
        values: Iterator[Any] = map(decode_raw, Document(source).elements())
    else:
        values = ({TURNS: meeting.meeting_transcripts} for _, meeting in Lines(source, Meeting))
    return (value for value in values if isinstance(value, dict))


def _entries(values: object) -> Iterator[Entry]:
    for one in values if isinstance(values, list) else []:
        if isinstance(one, dict):
            yield Entry(one.get("speaker"), one.get("content"))


def _meeting_steps(session_id: str, entries: Iterator[Entry | None], notes: Notes) -> Steps:
    figures, timeline, speakers = Figures(), Timeline(), Counter[str]()
    for entry in entries:
        if entry is None:
            continue
        notes.details["turns"] += 1
        speaker = as_text(entry.speaker)
        speakers[speaker or ""] += speaker is not None
        text = entry.content if isinstance(entry.content, str) else ""
        figures.human_turns += 1
        timeline.say(Role.USER, Origin.HUMAN, text, speaker=speaker)
        yield from timeline.ready()
    yield from timeline.rest()
    names = sorted(name for name in speakers if name)
    notes.details["n_speakers"].append(len(names))
    notes.details["speakers"] = sorted({*notes.details["speakers"], *names})
    return figures.session(session_id, NAME)


# text


def _text_steps(source: Source, notes: Notes) -> Steps:
    front, rest = split_front_matter(list(itertools.islice(source.text_lines(), SAMPLE_LINES)))
    facts = _front_matter(front)
    begins = role_turn if is_role_chat(rest) else stamped_turn if is_stamped_talk(rest) else turn_of
    figures, timeline = Figures(title=as_text(facts.get("title")) or _heading(rest, begins)), Timeline()
    figures.saw(parse_time(_moment(facts.get("date"))))
    skipped = len(front) + 2 if front else 0
    lines = itertools.islice(source.text_lines(), skipped, None)
    has_speakers = any(begins(line, 0) is not None for line in rest)
    names: dict[str, None] = {}
    for turn in _turns(lines, skipped + 1, begins):
        if turn.speaker:
            names[turn.speaker] = None
        if turn.speaker is None and has_speakers:
            figures.title = figures.title or _title(turn.text, begins)
            timeline.say(Role.SYSTEM, Origin.META, turn.text.strip("\n "), line=turn.line)
        else:
            _say(turn, timeline, figures)
        yield from timeline.ready()
    yield from timeline.rest()
    notes.details.update(front_matter=bool(front), turns=figures.human_turns + figures.assistant_turns)
    notes.details["speakers"] = list(names)
    return figures.session(source.own_id, NAME)


def _heading(lines: list[str], begins: Callable[[str, int], Turn | None]) -> str | None:
    """Return the heading that a text begins with; None where it begins with what somebody says."""
    first = next((line.strip() for line in lines if line.strip()), "")
    return first[2:].strip() or None if first.startswith("# ") and begins(first, 1) is None else None


def _title(text: str, begins: Callable[[str, int], Turn | None]) -> str | None:
    """Return the first line of what stands before a talk with times: such exports begin with their name."""
    first = text.strip().partition("\n")[0].lstrip("# ").strip()
    return first if begins is stamped_turn and len(first) <= LONGEST_TITLE_CHARS else None


def _front_matter(lines: list[str]) -> dict[str, Any]:
    if not lines:
        return {}
    import yaml

    try:
        facts = yaml.safe_load("\n".join(lines))
    except (yaml.YAMLError, ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):  # a colon in a title is enough to break it
        found = (re.match(r"title\s*:\s*(.+)", line) for line in lines)
        return next(({"title": one[1].strip().strip("'\"")} for one in found if one), {})
    return {str(key): str(value) if key == "title" else value for key, value in facts.items() if value is not None}


def _moment(value: object) -> str | None:
    return value.isoformat() if isinstance(value, datetime) or hasattr(value, "isoformat") else None


def _turns(lines: Iterator[str], number: int, begins: Callable[[str, int], Turn | None]) -> Iterator[Turn]:
    """Gather lines to turns: what follows a speaker's line belongs to the speaker."""
    turn = Turn(None, "", number)
    for at, line in enumerate(lines, number):
        begun = begins(line, at)
        if begun is not None or len(turn.text) > LONGEST_MESSAGE_CHARS:
            if turn.text.strip():
                yield turn
            turn = begun or Turn(turn.speaker, line, at)
        else:
            turn.text += f"\n{line}"
    if turn.text.strip():
        yield turn


def _say(turn: Turn, timeline: Timeline, figures: Figures) -> None:
    text = turn.text.strip("\n ")
    if turn.speaker is not None and (is_model(turn.speaker) or is_answerer(turn.speaker)):
        figures.assistant_turns += 1
        timeline.say(Role.ASSISTANT, Origin.MODEL, text, speaker=turn.speaker, line=turn.line)
    else:
        figures.human_turns += 1
        timeline.say(Role.USER, Origin.HUMAN, text, speaker=turn.speaker, line=turn.line)
