"""A Transcript around a reader's generators."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from sessiontrackd.contracts import OpenSession
from sessiontrackd.model import Message, Session, Trail, Transcript
from sessiontrackd.records import Document, Lines, Source

Steps = Generator[Message, None, Session]
T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Taker(Protocol[T_contra]):
    """Takes the records of an append-only file in order, and can say what it must know to go on later."""

    def take(self, record: T_contra, number: int) -> Iterable[Message]:
        """Take one record; return the messages that are complete by now."""
        ...

    def state(self, whole_lines: int) -> msgspec.Struct:
        """Return what must be known of the records before this place: so many lines of those given to it."""
        ...


class Trailing(Generic[T]):
    """Lines on their way to a taker; knows at their end from where the file can be read on."""

    def __init__(self, lines: Lines[T], taker: Taker[T]) -> None:
        """Read nothing yet."""
        self._lines = lines
        self._taker = taker
        self._trail: Trail | None = None

    def messages(self) -> Iterator[Message]:
        """Let the taker take all records."""
        for number, record in self._lines:
            if self._lines.at_tail and self._trail is None:
                self._trail = self._here()
            yield from self._taker.take(record, number)

    def trail(self) -> Trail:
        """Return the place behind the last whole line: what stands behind it is read again."""
        return self._trail or self._here()

    def _here(self) -> Trail:
        state = self._taker.state(self._lines.whole_lines)
        return Trail(self._lines.whole_bytes, msgspec.msgpack.encode(state))


def take_later(source: Source, trail: Trail, shape: type[T], taker: Taker[T]) -> Trail:
    """Let a resumed taker take what stands behind a place; return the place up to which that was."""
    later = Trailing(Lines(source, shape, trail.offset_bytes), taker)
    for _ in later.messages():
        pass
    return later.trail()


class Notes(Struct):
    """What a reader says about the whole file; complete when its sessions are exhausted."""

    warnings: list[str] = []
    details: dict[str, Any] = {}

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
