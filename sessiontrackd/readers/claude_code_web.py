"""Claude Code on the web: one JSON object with `loglines`, whose elements are the records of Claude Code."""

from __future__ import annotations

from sessiontrackd.model import Transcript
from sessiontrackd.readers._claude import Conversation
from sessiontrackd.readers._claude_records import Record
from sessiontrackd.readers._transcript import Notes, Steps, one_session
from sessiontrackd.records import Document, Source, decode_raw

NAME = "claude_code_web"
RECORDS = "loglines"


def recognises(source: Source) -> bool:
    """Say whether it holds loglines."""
    return source.shape.kind == "object" and RECORDS in source.shape.keys


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


def _steps(source: Source, notes: Notes) -> Steps:
    conversation = Conversation(only_figures=source.only_figures)
    document = Document(source)
    number = 0
    for key, raw in document.members((RECORDS,)):
        record = decode_raw(raw, Record) if key == RECORDS else None
        if record is not None:
            number += 1
            yield from conversation.take(record, number)
    yield from conversation.timeline.rest()
    notes.of_document(document)
    notes.details.update(conversation.details())
    return conversation.session(NAME, source.stem)
