"""The front matter of a note: YAML that Obsidian and Dataview read, and whose blocks can be carried over as they stand."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sessiontrackd.patterns import lazy_regex

GENERATOR = "sessiontrackd"
READABLE_KEYS = (
    "source",
    "source_gone",
    "session_id",
    "format",
    "kind",
    "project",
    "started_at",
    "ended_at",
    "level",
    "engine",
    "model",
    "tags",
    "keywords",
    "digest_period",
    "digest_from",
    "digest_until",
    "sessions",
    "session_input_tokens",
    "session_output_tokens",
    "session_cost_usd",
    "session_cost_complete",
)
RECEIPT_KEYS = (
    "generator",
    "body_sha256",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "reserved_usd",
    "priced_at",
    "redactions",
    "source_sha256",
)
OUR_KEYS = frozenset((*READABLE_KEYS, *RECEIPT_KEYS))
_ALWAYS_QUOTED = frozenset(("source", "session_id", "body_sha256", "source_sha256"))
_PICOUSD_PER_USD = Decimal(10**12)
_BLOCK = lazy_regex(
    r"^(?:(?P<plain>[^\s#'\"\[\]{}:,&*!|>%@`-][^:\n]*?)|\"(?P<double>[^\"\n]*)\"|'(?P<single>[^'\n]*)')[ \t]*:(?=[ \t]|$)"
)
_COMMENTS = lazy_regex(r"(?:^#.*(?:\n|\Z))+\Z", re.MULTILINE)
_GENERATED = lazy_regex(rf"^generator[ \t]*:[ \t]*[\"']?{GENERATOR}[\"']?[ \t]*$", re.MULTILINE)
_SHA = lazy_regex(r"^body_sha256[ \t]*:[ \t]*[\"']?([0-9a-f]{64})[\"']?[ \t]*$", re.MULTILINE)
_SESSION = lazy_regex(r"^session_id[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_ANCHOR = lazy_regex(r"[:\-\[,][ \t]*[&*]\w")
_ODD_NUMBER = lazy_regex(r"[-+.]?\d[\d_.:eExXoOa-fA-F+-]*")
"""What some YAML reader takes for a number: 12e5, 0x1f, 1_000, 12:30."""


def usd(picousd: int) -> Decimal:
    """Return money as a plain number that keeps every digit it needs."""
    return Decimal(picousd) / _PICOUSD_PER_USD


def dumped(values: Mapping[str, Any]) -> str:
    """Return front matter between its two lines; keys whose value is None are left out."""
    import yaml

    known = {key: value for key, value in values.items() if value is not None}
    text = yaml.dump(
        known, Dumper=_dumper(), sort_keys=False, allow_unicode=True, default_flow_style=False, width=10**6
    )
    return f"---\n{text}---\n"


@lru_cache(maxsize=1)
def _dumper() -> Any:
    """Return the dumper: times as ISO 8601, money without exponents, short lists in one line, our strings in quotes."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def represent_mapping(self, *arguments: Any, **options: Any) -> Any:
            node = super().represent_mapping(*arguments, **options)
            for key, value in node.value:
                for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    is_text = each.tag == "tag:yaml.org,2002:str"
                    if is_text and (key.value in _ALWAYS_QUOTED or _ODD_NUMBER.fullmatch(each.value)):
                        each.style = '"'
            return node

    def a_time(dumper: Any, value: datetime) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:timestamp", value.isoformat())

    def a_number(dumper: Any, value: Decimal) -> Any:
        text = f"{value:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in text else 'int'}", text)

    def a_list(dumper: Any, value: list[Any]) -> Any:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)

    Dumper.add_representer(datetime, a_time)
    Dumper.add_representer(Decimal, a_number)
    Dumper.add_representer(list, a_list)
    return Dumper


def split(text: str) -> tuple[str, str] | None:
    """Split a note into front matter (without its two lines) and body; None where it has none."""
    text = text.removeprefix("\ufeff")
    if not re.match(r"---[ \t]*\n", text):
        return None
    start = text.index("\n") + 1
    end = re.compile(r"^---[ \t]*(?:\n|\Z)", re.MULTILINE).search(text, start)
    return None if end is None else (text[start : end.start()], text[end.end() :])


def blocks(front: str) -> list[tuple[str | None, str]]:
    """Return the front matter's entries as written, each with its key; comments between them, and what precedes them, have None."""
    found: list[tuple[str | None, str]] = []
    for line in front.splitlines(keepends=True):
        match = _BLOCK.match(line)
        if match:
            found += _without_comments(found)
            found.append((match["plain"] or match["double"] or match["single"], line))
        elif found:
            found[-1] = (found[-1][0], found[-1][1] + line)
        else:
            found.append((None, line))
    return [*found, *_without_comments(found)]


def _without_comments(found: list[tuple[str | None, str]]) -> list[tuple[str | None, str]]:
    """Take the comments off the end of the last entry, and return them: they are about the next one."""
    key, text = found[-1] if found else (None, "")
    comments = _COMMENTS.search(text) if key is not None else None
    if comments is None:
        return []
    found[-1] = (key, text[: comments.start()])
    return [(None, comments[0])]


def loaded(front: str) -> dict[str, Any] | None:
    """Return the values of front matter; None where it is no YAML or plays with anchors."""
    import yaml

    if _ANCHOR.search(front):
        return None
    try:
        values = yaml.load(front, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def is_generated(front: str) -> bool:
    """Tell whether front matter says that this program wrote it."""
    return _GENERATED.search(front) is not None


def recorded_sha256(front: str) -> str | None:
    """Return the digest of the body as this program wrote it."""
    found = _SHA.search(front)
    return found[1] if found else None


def recorded_session_id(front: str) -> str | None:
    """Return the session that a note is about."""
    found = _SESSION.search(front)
    if found is None:
        return None
    values = loaded(f"session_id: {found[1]}\n")
    return str(values["session_id"]) if values else None


def digest(body: str) -> str:
    """Return the sha256 of a body, in hexadecimal."""
    return hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
