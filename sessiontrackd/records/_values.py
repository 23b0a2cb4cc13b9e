"""Single values: times, counts and text as they really occur in transcripts, and tolerant decoding."""

from __future__ import annotations

import functools
import json
import math
import re
import types
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar, cast, get_args, get_origin

import msgspec

T = TypeVar("T")

LARGEST_COUNT = 2**63 - 1  # what SQLite can store
DEEPEST_NESTING = 200
MILLISECONDS_ABOVE = 1e11  # a larger epoch number counts milliseconds
RESULT_HEAD_CHARS = 16_000
RESULT_TAIL_CHARS = 16_000
_SURROGATE = re.compile("[\ud800-\udfff]")
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises about bytes that are not quite JSON."""


class TooDeep(ValueError):
    """The value is nested deeper than any real transcript."""


def parse_time(value: object) -> datetime | None:
    """Read an ISO 8601 time (local if it names no zone) or epoch seconds or milliseconds; None if it is neither."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) > MILLISECONDS_ABOVE else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def iso(moment: datetime | None) -> str | None:
    """Write a time as ISO 8601 in UTC with milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def count(value: object) -> int:
    """Return a number of tokens or the like; 0 for anything that cannot be one."""
    if type(value) is int and 0 < value <= LARGEST_COUNT:
        return value
    if type(value) is float and value.is_integer() and 0 < value <= LARGEST_COUNT:
        return int(value)
    return 0


def clean_text(text: str) -> str:
    """Return the text with halves of surrogate pairs replaced, so that it can be encoded everywhere."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def as_text(value: object) -> str | None:
    """Return the value if it is text that is not empty."""
    return value if isinstance(value, str) and value else None


def blocks_text(value: object) -> str:
    """Return a value that is text, or the texts of a list of blocks, a line each; nothing of anything else."""
    if isinstance(value, str):
        return value
    blocks = value if isinstance(value, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def cut_result(text: str) -> tuple[str, int | None]:
    """Keep head and tail of a long tool result; the second value is where the middle was left out."""
    if len(text) <= RESULT_HEAD_CHARS + RESULT_TAIL_CHARS:
        return text, None
    return text[:RESULT_HEAD_CHARS] + text[-RESULT_TAIL_CHARS:], RESULT_HEAD_CHARS


def scrub(value: Any, depth: int = 0) -> Any:
    """Return a decoded value without what JSON, UTF-8 or SQLite cannot hold.

    Raises:
        TooDeep: the value is nested deeper than DEEPEST_NESTING.
    """
    if depth > DEEPEST_NESTING:
        raise TooDeep
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): scrub(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [scrub(one, depth + 1) for one in value]
    return value


def _whole_number(digits: str) -> int | None:
    value = int(digits) if len(digits) <= len(str(LARGEST_COUNT)) + 1 else None
    return value if value is not None and abs(value) <= LARGEST_COUNT else None


def _number(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


_FORGIVING = json.JSONDecoder(strict=False, parse_constant=lambda _: None, parse_int=_whole_number, parse_float=_number)


def tolerant_values(data: bytes) -> tuple[list[Any], bool] | None:
    """Decode one or several JSON values that stand side by side.

    Returns: the values, and whether bytes that are no UTF-8 were replaced; None where anything else stands there.
    """
    text = data.decode("utf-8", "replace")
    values, at = [], 0
    try:
        while at < len(text):
            value, at = _FORGIVING.raw_decode(text, at)
            values.append(scrub(value))
            while at < len(text) and text[at] in " \t\r\n\0":
                at += 1
    except (ValueError, RecursionError):
        return None
    return values, not _is_utf8(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def coerce(value: Mapping[str, Any], shape: type[T]) -> T:
    """Build a msgspec Struct from a decoded object; a field of the wrong type keeps its default."""
    fields: dict[str, Any] = {}
    for name, key, kind in _fields(cast("Hashable", shape)):
        if key in value:
            fits, given = fit(value[key], kind)
            if fits:
                fields[name] = given
    return shape(**fields)


def fit(value: Any, kind: Any) -> tuple[bool, Any]:
    """Change a decoded value into a type; elements of the wrong type are left out. The first value: whether it fits."""
    if kind is Any:
        return True, value
    if kind is msgspec.Raw:
        return True, msgspec.Raw(msgspec.json.encode(value))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list:
        return isinstance(value, list), _fitting(value, arguments[0]) if isinstance(value, list) else None
    if origin is dict:
        return isinstance(value, dict), _fitting_values(value, arguments[1]) if isinstance(value, dict) else None
    if origin is types.UnionType:
        fits = [fit(value, one) for one in arguments if one is not types.NoneType] if value is not None else []
        return next((one for one in fits if one[0]), (True, None))
    if issubclass(kind, msgspec.Struct):
        return isinstance(value, dict), coerce(value, kind) if isinstance(value, dict) else None
    return isinstance(value, kind), value


def _fitting(values: list[Any], kind: Any) -> list[Any]:
    return [given for fits, given in (fit(one, kind) for one in values) if fits]


def _fitting_values(values: dict[str, Any], kind: Any) -> dict[str, Any]:
    fitting = ((key, fit(one, kind)) for key, one in values.items())
    return {key: given for key, (fits, given) in fitting if fits}


@functools.cache
def _fields(shape: Any) -> tuple[tuple[str, str, Any], ...]:
    return tuple((one.name, one.encode_name, one.type) for one in msgspec.structs.fields(shape))


@functools.cache
def decoder_of(shape: Hashable) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type, made once."""
    return msgspec.json.Decoder(shape)


def decode_raw(raw: msgspec.Raw | bytes, shape: Any = Any) -> Any:
    """Decode a part that was left raw into a type, forgivingly.

    Args:
        raw: the bytes of one value.
        shape: a Struct, `list[Struct]`, or Any.

    Returns: None where the bytes are no JSON, or nothing of that type.
    """
    try:
        value = decoder_of(shape).decode(raw)
    except BROKEN:
        return _decode_tolerantly(bytes(raw), shape)
    return value


def _decode_tolerantly(data: bytes, shape: Any) -> Any:
    found = tolerant_values(data)
    if found is None or len(found[0]) != 1:
        return None
    fits, value = fit(found[0][0], shape)
    return value if fits else None


def value_end(error: Exception) -> int | None:
    """Return where the first value ended and something else began, as msgspec's error tells it."""
    found = _TRAILING.search(str(error))
    return int(found[1]) - 1 if found else None


def is_cut(error: Exception) -> bool:
    """Say whether the value goes on behind the data and is JSON as far as it stands there, as msgspec's error tells it."""
    return "truncated" in str(error)
