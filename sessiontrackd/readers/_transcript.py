"""A Transcript around a reader's generators."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from sessiontrackd.contracts import OpenSession
from sessiontrackd.model import Message, Session, Transcript
from sessiontrackd.records import Document, Lines, Source

Steps = Generator[Message, None, Session]


@dataclass(slots=True)
class Notes:
    """What a reader says about the whole file; complete when its sessions are exhausted."""

    warnings: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def of_lines(self, lines: Lines[Any]) -> None:
        """Take over the counts of JSON lines."""
        self.warnings += lines.warnings()
        self.details.update(bad_lines=lines.bad_lines, glued_lines=lines.glued_lines, lines=lines.lines)

    def of_document(self, document: Document) -> None:
        """Take over what was repaired in a document."""
        if document.repaired:
            self.warnings.append(f"tolerant decoding was needed in {document.repaired} places")


def one_session(source: Source, name: str, steps: Callable[[Source, Notes], Steps]) -> Transcript:
    """Return a transcript that holds one session."""
    return many_sessions(source, name, lambda source, notes: iter((steps(source, notes),)))


def many_sessions(source: Source, name: str, parts: Callable[[Source, Notes], Iterator[Steps]]) -> Transcript:
    """Return a transcript whose sessions are read one after another from one stream."""
    notes = Notes()
    return Transcript(source.path, name, True, _in_turn(parts(source, notes)), notes.warnings, notes.details)


def _in_turn(parts: Iterator[Steps]) -> Iterator[OpenSession]:
    for steps in parts:
        session = OpenSession(steps)
        yield session
        session.close()
