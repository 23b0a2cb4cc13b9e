"""JSON lines: split on LF only, typed decoding, then a tolerant second try; glued, torn and unfinished lines."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial
from typing import BinaryIO, Generic, TypeVar, cast

from sessiontrackd.records._source import Source
from sessiontrackd.records._values import BROKEN, coerce, decoder_of, tolerant_values

T = TypeVar("T")

LONGEST_LINE_BYTES = 128 * 1024 * 1024
PADDING = b" \t\r\n\0"
LF = 10


class Lines(Generic[T]):
    """The records of a JSON lines file, as msgspec Structs of one type.

    Iterate once; the counts are complete at the end. Each item is the line's number, from 1, and one record.
    """

    def __init__(self, source: Source, shape: type[T], start_bytes: int = 0) -> None:
        """Read nothing yet; a plain file may be read from the beginning of a later line on."""
        self._source = source
        self._shape = shape
        self._start_bytes = start_bytes
        self.whole_bytes = start_bytes  # up to the end of the last line that ends with LF; known to who iterates
        self.whole_lines = 0  # so many end there
        self.at_tail = False  # in a last line without LF
        self.lines = 0
        self.bad_lines = 0
        self.glued_lines = 0
        self.unfinished = False
        self._replaced = 0
        self._untyped = 0
        self._too_long = 0

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Yield line numbers and records."""
        decode = decoder_of(cast("Hashable", self._shape)).decode
        for number, line in self.physical():
            if line[-1] == LF:
                self.whole_bytes += len(line)
                self.whole_lines = number
            else:
                self.at_tail = True
            try:
                record = decode(line)
            except BROKEN:
                for other in self._repaired(line, self._file):
                    yield number, other
            else:
                self.lines += 1
                yield number, record

    def physical(self) -> Iterator[tuple[int, bytes]]:
        """Yield line numbers and lines as they stand; `records_of` says what is in one."""
        with self._source.open() as self._file:
            if self._start_bytes:
                self._file.seek(self._start_bytes)
            yield from enumerate(iter(partial(self._file.readline, LONGEST_LINE_BYTES), b""), 1)

    def records_of(self, line: bytes) -> Iterator[T]:
        """Yield the records of a line."""
        try:
            record: T = decoder_of(cast("Hashable", self._shape)).decode(line)
        except BROKEN:
            yield from self._repaired(line, self._file)
        else:
            self.lines += 1
            yield record

    _file: BinaryIO

    def warnings(self) -> list[str]:
        """Say what was dropped, repaired or held back."""
        return [
            *_sentence(self.bad_lines, "line was dropped: not a JSON object", "lines were dropped: no JSON objects"),
            *_sentence(self.glued_lines, "line held several objects", "lines held several objects"),
            *_sentence(self._replaced, "line had bytes that are no UTF-8", "lines had bytes that are no UTF-8"),
            *_sentence(self._untyped, "line needed tolerant decoding", "lines needed tolerant decoding"),
            *_sentence(self._too_long, "line was too long to read", "lines were too long to read"),
            *(["the last line is still being written and was left for later"] if self.unfinished else []),
        ]

    def _repaired(self, line: bytes, file: BinaryIO) -> Iterator[T]:
        finished = line.endswith(b"\n")
        if not finished and len(line) >= LONGEST_LINE_BYTES:
            self._skip_rest(file)
            return
        data = line.strip(PADDING)
        if not data:
            return
        found = tolerant_values(data)
        if found is None and not finished:
            self.unfinished = True
            return
        self.lines += 1
        if found is None or not all(isinstance(value, dict) for value in found[0]):
            self.bad_lines += 1
            return
        values, replaced = found
        self.glued_lines += len(values) > 1
        self._replaced += replaced
        self._untyped += len(values) == 1 and not replaced and len(data) == len(line.strip())
        for value in values:
            yield coerce(value, self._shape)

    def _skip_rest(self, file: BinaryIO) -> None:
        self.lines += 1
        self.bad_lines += 1
        self._too_long += 1
        for part in iter(partial(file.readline, LONGEST_LINE_BYTES), b""):
            if part.endswith(b"\n"):
                return


def _sentence(number: int, one: str, many: str) -> list[str]:
    return [f"{number} {one if number == 1 else many}"] if number else []
