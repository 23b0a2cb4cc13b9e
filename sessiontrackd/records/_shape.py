"""What kind of content it is, from its first bytes: JSON lines, one JSON document, or text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO

import msgspec
from msgspec import Struct

from sessiontrackd.records._values import BROKEN, decoder_of, tolerant_values, value_end

SAMPLE_LINES = 20
SAMPLE_BYTES = 8 * 1024 * 1024
BINARY_NULS = 0.3  # this share of NUL bytes in the head means that it is no text
PADDING = b" \t\r\n\0"
_ARRAY = re.compile(
    rb'\[[\s\0]*(?:[]{["]|true|false|null|NaN|-?Inf|-?\d[\d.eE+-]*[\s\0]*(?:[,\]]|\Z)|\Z)'
)  # not a text that begins with [10:03]
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}:,]', re.DOTALL)


class Shape(Struct, frozen=True):
    """The kind of content and what stands at its top.

    `kind` is lines, array, object, text, binary, zip or sqlite. `objects` are the first objects of JSON lines, or the
    one object of a small document; `keys` the keys of the object, of the first element of an array, or of all
    `objects`.
    """

    kind: str
    keys: frozenset[str] = frozenset()
    objects: tuple[dict[str, Any], ...] = ()

    def holds(self, *keys: str) -> bool:
        """Say whether all of these keys stand at the top of a document."""
        return self.kind in ("array", "object") and self.keys.issuperset(keys)


def shape_of(head: bytes, opener: Callable[[], BinaryIO]) -> Shape:
    """Look at the head, and at some more lines where it begins like JSON lines."""
    start = head.lstrip(PADDING)
    if _ARRAY.match(start):
        return Shape("array", _keys(start, 2))
    if start[:1] == b"{":
        return _shape_of_braces(start, opener)
    if head.count(0) > len(head) * BINARY_NULS:
        return Shape("binary")
    objects = tuple(_objects(opener)) if _later_object(start) else ()
    return _lines(objects) if objects else Shape("text")


def _later_object(start: bytes) -> bool:
    """Say whether a line that is not the first begins an object of records: the first one may be torn."""
    return b'\n{"' in start


def _shape_of_braces(start: bytes, opener: Callable[[], BinaryIO]) -> Shape:
    line = start.partition(b"\n")[0]
    rest = _after_first_value(start)
    if rest is not None and not rest.strip(PADDING):
        document = _object(start.strip(PADDING))
        return Shape("object", frozenset(document or ()), (document,) if document is not None else ())
    if rest is not None and not rest.startswith(b"{") and _object(line) is None:
        return Shape("object", _keys(start, 1))
    objects = tuple(_objects(opener))
    if objects and (rest is not None or len(objects) > 1 or _object(line) is not None):
        return _lines(objects) if len(objects) > 1 or rest else Shape("object", frozenset(objects[0]), objects)
    return Shape("object", _keys(start, 1))


def _lines(objects: tuple[dict[str, Any], ...]) -> Shape:
    return Shape("lines", frozenset().union(*objects), objects)


def _after_first_value(start: bytes) -> bytes | None:
    """Return what stands behind the first whole value; None if it is not whole here."""
    try:
        msgspec.json.decode(start, type=msgspec.Raw)
    except BROKEN as error:
        end = value_end(error)
        return start[end:] if end is not None else None
    return b""


def _objects(opener: Callable[[], BinaryIO]) -> Iterator[dict[str, Any]]:
    """Yield the objects of the first lines; whole lines only."""
    seen_bytes = 0
    with opener() as file:
        for number, line in enumerate(iter(partial(file.readline, SAMPLE_BYTES), b"")):
            seen_bytes += len(line)
            if line.lstrip(PADDING)[:1] == b"{":
                yield from _values(line)
            if number >= SAMPLE_LINES or seen_bytes > SAMPLE_BYTES:
                return


def _values(line: bytes) -> list[dict[str, Any]]:
    try:
        values = [decoder_of(dict[str, Any]).decode(line)]
    except BROKEN:
        found = tolerant_values(line.strip(PADDING))
        values = found[0] if found is not None else []
    return [value for value in values if isinstance(value, dict)]


def _object(data: bytes) -> dict[str, Any] | None:
    found = tolerant_values(data) if data else None
    value = found[0][0] if found and found[0] else None
    return value if isinstance(value, dict) else None


def _keys(start: bytes, wanted_depth: int) -> frozenset[str]:
    """Return the keys at a depth of the first object, as far as the head shows it."""
    keys: set[str] = set()
    depth, last = 0, b""
    for token in _TOKENS.finditer(start):
        kind = token[0]
        if kind in (b"{", b"["):
            depth += 1
        elif kind in (b"}", b"]"):
            depth -= 1
            if depth < wanted_depth:
                break
        elif kind == b":" and depth == wanted_depth and last:
            keys.add(last[1:-1].decode("utf-8", "replace"))
        last = kind if kind[:1] == b'"' else b""
    return frozenset(keys)
