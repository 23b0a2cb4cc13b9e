"""The records of Codex CLI as they stand in a line, and what single ones mean."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Raw, Struct

from sessiontrackd.records import blocks_text, decode_raw

BARE_ITEMS = ("message", "reasoning", "function_call", "function_call_output")
_EXIT = re.compile(r"(?:Process exited with code|^Exit code:) (-?\d+)", re.MULTILINE)
_NOTHING = Raw(b"")


class Payload(Struct, gc=False):
    """What a record carries; all kinds in one."""

    type: Any = None
    role: Any = None
    id: Any = None
    cwd: Any = None
    name: Any = None
    arguments: Any = None
    input: Any = None
    call_id: Any = None
    message: Any = None
    turn_id: Any = None
    model: Any = None
    parent_thread_id: Any = None
    forked_from_id: Any = None
    source: Any = None
    thread_name: Any = None
    cli_version: Any = None
    info: Any = None
    content: Raw = _NOTHING
    output: Raw = _NOTHING
    action: Raw = _NOTHING


class Line(Payload, gc=False):
    """One line; before version 0.32 it is its own payload."""

    timestamp: Any = None
    instructions: Any = None
    payload: Payload | None = None


def kind_of(line: Line) -> tuple[str, Payload]:
    """Return the kind of a record and what it carries, bare lines included."""
    if line.payload is not None:
        return str(line.type), line.payload
    if line.type in BARE_ITEMS:
        return "response_item", line
    if line.type is None and (line.instructions is not None or (line.id is not None and line.timestamp is not None)):
        return "session_meta", line
    return str(line.type), line


def content_text(content: Raw) -> str:
    """Return the text of a message's content."""
    return blocks_text(decode_raw(content)) if content else ""


def arguments_of(item: Payload) -> dict[str, Any]:
    given = item.arguments if item.arguments is not None else item.input
    if isinstance(given, str):
        value = decode_raw(given.encode("utf-8", "replace")) if given.lstrip().startswith("{") else None
        return value if isinstance(value, dict) else {"input": given}
    if isinstance(given, dict):
        return given
    action = decode_raw(item.action) if item.action else None
    return action if isinstance(action, dict) else {}


def answer_of(output: Raw) -> tuple[str, bool]:
    """Return the text of a tool's output and whether the tool failed."""
    value = decode_raw(output) if output else ""
    if isinstance(value, str) and value.startswith('{"output"'):
        value = decode_raw(value.encode("utf-8", "replace")) or value
    failed = False
    if isinstance(value, dict):
        about = value.get("metadata")
        failed = value.get("success") is False or (isinstance(about, dict) and about.get("exit_code") not in (0, None))
        value = value.get("output", value.get("content", ""))
    text = blocks_text(value)
    exits = _EXIT.search(text[:2000])
    return text, failed or (exits is not None and exits[1] != "0")
