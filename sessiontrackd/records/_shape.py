"""What kind of content it is, from its first bytes: JSON lines, one JSON document, or text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    rb'\[[\s\0]*(?:[]{["]|true|false|null|NaN|-?Inf|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?[\s\0]*(?:[,\]]|\Z)|\Z)'
)  # not a text that begins with [10:03], nor with [14.03.26, 10:03]
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}:,]', re.DOTALL)


class Objects(Sequence[dict[str, Any]]):
    """The objects of lines, decoded as far as they are asked for: most formats show in the first one."""

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        """Keep the lines."""
        self._found: list[dict[str, Any]] = []
        self._coming = (value for line in lines for value in _values(line))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield one after the other."""
        at = 0
        while self.has(at):
            yield self._found[at]
            at += 1

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """Say whether there is one."""
        return self.has(0)

    def __getitem__(self, at: Any) -> Any:
        """Return the one at a place."""
        return self._found[at] if isinstance(at, int) and self.has(at) else list(self)[at]

    def has(self, at: int) -> bool:
        """Say whether there is one at this place, counted from 0."""
        while len(self._found) <= at:
            if (value := next(self._coming, None)) is None:
                return False
            self._found.append(value)
        return True


class Shape(Struct, frozen=True):
    """The kind of content and what stands at its top.

    `kind` is lines, array, object, text, binary, zip or sqlite. `objects` are the first objects of JSON lines, or the
    one object of a small document; `top` the keys that stand at the top otherwise.
    """

    kind: str
    top: frozenset[str] = frozenset()
    objects: Sequence[dict[str, Any]] = ()

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the object, of the first element of an array, or of all `objects`."""
        return self.top.union(*self.objects)

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
    objects = Objects(_first_lines(opener) if _later_object(start) else ())
    return Shape("lines", objects=objects) if objects else Shape("text")


def _later_object(start: bytes) -> bool:
    """Say whether a line that is not the first begins an object of records: the first one may be torn."""
    return b'\n{"' in start


def _shape_of_braces(start: bytes, opener: Callable[[], BinaryIO]) -> Shape:
    line = start.partition(b"\n")[0]
    rest = _after_first_value(start)
    if rest is not None and not rest.strip(PADDING):
        document = _object(start.strip(PADDING))
        return Shape("object", objects=(document,) if document is not None else ())
    if rest is not None and not rest.startswith(b"{") and _object(line) is None:
        return Shape("object", _keys(start, 1))
    objects = Objects(_first_lines(opener))
    if objects and (rest is not None or objects.has(1) or _object(line) is not None):
        return Shape("lines" if rest or objects.has(1) else "object", objects=objects)
    return Shape("object", _keys(start, 1))


def _after_first_value(start: bytes) -> bytes | None:
    """Return what stands behind the first whole value; None if it is not whole here."""
    try:
        msgspec.json.decode(start, type=msgspec.Raw)
    except BROKEN as error:
        end = value_end(error)
        return start[end:] if end is not None else None
    return b""


def _first_lines(opener: Callable[[], BinaryIO]) -> list[bytes]:
    """Return those of the first lines that begin an object; whole lines only."""
    seen_bytes, found = 0, list[bytes]()
    with opener() as file:
        for number, line in enumerate(iter(partial(file.readline, SAMPLE_BYTES), b"")):
            seen_bytes += len(line)
            if line.lstrip(PADDING)[:1] == b"{":
                found.append(line)
            if number >= SAMPLE_LINES or seen_bytes > SAMPLE_BYTES:
                break
    return found


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
