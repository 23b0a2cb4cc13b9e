"""One JSON document, walked key by key and element by element without ever holding the whole of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import BinaryIO

import msgspec

from sessiontrackd.errors import Unreadable
from sessiontrackd.records._source import Source
from sessiontrackd.records._values import BROKEN, decoder_of, is_cut, tolerant_values, value_end

WINDOW_BYTES = 1024 * 1024
LONGEST_VALUE_BYTES = 64 * 1024 * 1024
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_SCALAR_END = re.compile(rb"[\s,\]}]")
_BLANK = re.compile(rb"[\s\0]*")
_RAW = decoder_of(msgspec.Raw)


class Document:
    """A cursor over a JSON document in a bounded window."""

    def __init__(self, source: Source) -> None:
        """Read nothing yet."""
        self._source = source
        self._window = b""
        self._at = 0
        self._ended = False
        self.repaired = 0  # values that only tolerant decoding could read

    def elements(self) -> Iterator[msgspec.Raw]:
        """Yield the elements of the array that the document is."""
        with self._source.open() as self._file:
            self._expect(b"[")
            yield from self._elements()

    def members(self, arrays: Collection[str]) -> Iterator[tuple[str, msgspec.Raw]]:
        """Yield key and value of the object that the document is; an array named in `arrays` an element at a time."""
        with self._source.open() as self._file:
            self._expect(b"{")
            while self._next() == b'"':
                key = _name(self._value())
                self._expect(b":")
                if key in arrays and self._next() == b"[":
                    self._at += 1
                    for element in self._elements():
                        yield key, element
                else:
                    yield key, self._value()
                if self._next() == b",":
                    self._at += 1
            self._expect(b"}")

    _file: BinaryIO

    def _elements(self) -> Iterator[msgspec.Raw]:
        while self._next() != b"]":
            yield self._value()
            if self._next() == b",":
                self._at += 1
            elif self._next() != b"]":
                raise Unreadable(self._broken())
        self._at += 1

    def _next(self) -> bytes:
        """Return the next byte that is not blank, without taking it; empty at the end."""
        while True:
            found = _BLANK.match(self._window, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._window) or not self._more():
                return self._window[self._at : self._at + 1]

    def _expect(self, wanted: bytes) -> None:
        if self._next() != wanted:
            raise Unreadable(self._broken())
        self._at += 1

    def _more(self) -> bool:
        """Let the window grow at its end, and drop what was taken at its beginning."""
        kept = self._window[self._at :]
        part = b"" if self._ended else self._file.read(max(WINDOW_BYTES, len(kept)))
        self._ended = not part
        self._window, self._at = kept + part, 0
        return bool(part)

    def _value(self) -> msgspec.Raw:
        """Take one whole value."""
        while self._next():
            value = self._try_value()
            if value is not None:
                return value
            if len(self._window) - self._at > LONGEST_VALUE_BYTES:
                raise Unreadable(f"a single value of more than {LONGEST_VALUE_BYTES // 2**20} MB in it is not read")
            if not self._more():
                break
        raise Unreadable(self._broken("it ends in the middle"))

    def _try_value(self) -> msgspec.Raw | None:
        """Take the value at the cursor if all of it stands in the window."""
        view = memoryview(self._window)[self._at :]
        try:
            _RAW.decode(view)
        except BROKEN as error:
            length = value_end(error)
            if length is None:
                return None if is_cut(error) and not self._ended else self._scanned()
        else:
            if not self._ended and bytes(view[:1]) not in (b"{", b"[", b'"'):
                return None  # a number may go on
            length = len(view)
        data = bytes(view[:length])
        self._at += length
        return msgspec.Raw(data)

    def _scanned(self) -> msgspec.Raw | None:
        end = _end_of_value(self._window, self._at, ended=self._ended)
        if end is None:
            return None
        data = self._window[self._at : end]
        self._at = end
        try:
            _RAW.decode(data)
        except BROKEN:
            pass
        else:
            return msgspec.Raw(data)
        found = tolerant_values(data)
        if found is None or len(found[0]) != 1:
            raise Unreadable(self._broken())
        self.repaired += 1
        return msgspec.Raw(msgspec.json.encode(found[0][0]))

    def _broken(self, state: str = "") -> str:
        is_at_its_end = self._ended and self._at >= len(self._window)
        state = state or ("it ends in the middle" if is_at_its_end else "it is broken")
        return f"{self._source.display} is no whole JSON document: {state}. Export or copy it again."


def _name(raw: msgspec.Raw) -> str:
    try:
        name = msgspec.json.decode(raw)
    except BROKEN:
        name = None
    return name if isinstance(name, str) else ""


def _end_of_value(data: bytes, start: int, *, ended: bool) -> int | None:
    """Return where the value that begins at `start` ends; None if it goes on behind the data."""
    if data[start : start + 1] not in (b"{", b"[", b'"'):
        found = _SCALAR_END.search(data, start + 1)
        return found.start() if found else (len(data) if ended else None)
    depth = 0
    for token in _TOKENS.finditer(data, start):
        kind = data[token.start() : token.start() + 1]
        if kind == b'"':
            if token.end() - token.start() == 1:
                return None
        else:
            depth += 1 if kind in b"{[" else -1
        if depth <= 0:
            return token.end()
    return None
