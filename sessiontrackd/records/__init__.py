"""Bytes become records: containers, byte-order marks, lines, limits and tolerant decoding, shared by all readers."""

from sessiontrackd.records._document import Document
from sessiontrackd.records._lines import Lines
from sessiontrackd.records._packed import pack, unpack
from sessiontrackd.records._shape import Shape
from sessiontrackd.records._source import Source, open_source
from sessiontrackd.records._values import (
    BROKEN,
    LARGEST_COUNT,
    as_text,
    blocks_text,
    clean_text,
    count,
    cut_result,
    decode_raw,
    decoder_of,
    iso,
    parse_time,
)

__all__ = [
    "BROKEN",
    "LARGEST_COUNT",
    "Document",
    "Lines",
    "Shape",
    "Source",
    "as_text",
    "blocks_text",
    "clean_text",
    "count",
    "cut_result",
    "decode_raw",
    "decoder_of",
    "iso",
    "open_source",
    "pack",
    "parse_time",
    "unpack",
]
