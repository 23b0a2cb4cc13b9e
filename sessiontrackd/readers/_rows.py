"""Rows of a file that may be JSON lines, an array, or a single object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Raw

from sessiontrackd.readers._transcript import Notes
from sessiontrackd.records import Document, Lines, Source, decode_raw

T = TypeVar("T")


def rows(source: Source, shape: type[T], notes: Notes) -> Iterator[T]:
    """Yield the rows as Structs of one type; one that is no object is left out with a warning."""
    if source.shape.kind == "lines":
        lines = Lines(source, shape)
        for _, row in lines:
            yield row
        notes.of_lines(lines)
        return
    document = Document(source)
    for number, raw in enumerate(_raws(source, document), 1):
        row = decode_raw(raw, shape)
        if row is None:
            notes.warnings.append(f"row {number} is no object and was left out")
        else:
            yield row
    notes.of_document(document)


def _raws(source: Source, document: Document) -> Iterator[Raw]:
    if source.shape.kind == "array":
        yield from document.elements()
    else:
        yield Raw(msgspec.json.encode(dict(document.members(()))))
