"""What would leave the machine, and what is private in it: `condense`, `redact`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from sessiontrackd import readers
from sessiontrackd.cli._command import command, existing, json_option, path_type
from sessiontrackd.cli._screen import print_json
from sessiontrackd.condense import Condenser, parts, render
from sessiontrackd.contracts import OpenSession
from sessiontrackd.errors import NotAConversation, UsageError
from sessiontrackd.model import InsightLevel
from sessiontrackd.privacy import Redactor, redact_lines

LEVELS = [level.value for level in InsightLevel]


@command("condense", example="sessiontrackd condense talk.jsonl --level minimal")
@click.argument("path", type=path_type)
@click.option("--level", type=click.Choice(LEVELS), default=InsightLevel.STANDARD.value, show_default=True)
@json_option
def condense(path: Path, level: str, as_json: bool) -> None:
    """Print exactly the text that an engine would receive: condensed and redacted."""
    transcript = readers.read(existing(path))
    if not transcript.is_conversation:
        raise NotAConversation(f"{path} is not a conversation, so there is nothing to condense.")
    sessions = (_condensed(opened, InsightLevel(level)) for opened in transcript.sessions)
    if as_json:
        shown = os.fsencode(path).decode("utf-8", "replace")
        print_json({"path": shown, "format": transcript.format, "level": level, "sessions": list(sessions)})
        return
    for session in sessions:
        for part in session["parts"]:
            sys.stdout.buffer.write(part.encode() + b"\n")


def _condensed(opened: OpenSession, level: InsightLevel) -> dict[str, Any]:
    """Return what would be sent of a session: a text a request."""
    redactor = Redactor(personal=True)
    condenser = Condenser(level, redactor)
    for message in opened:
        condenser.take(message)
    session = opened.close()
    texts = [render(part).encode("utf-8", "replace").decode() for part in parts(condenser.finish(session))]
    return {"session_id": session.session_id, "parts": texts, "redactions": redactor.count}


@command("redact", example="sessiontrackd redact < talk.md\nsessiontrackd redact --jsonl < texts.jsonl")
@click.option("--jsonl", is_flag=True, help='Read {"id","text"} per line; print {"id","text","spans"}.')
@click.option("--secrets-only", is_flag=True, help="Leave personal data as it is.")
def redact(jsonl: bool, secrets_only: bool) -> None:
    """Print stdin with secrets and personal data replaced, by the same rules as for notes and requests."""
    given, out = sys.stdin.buffer, sys.stdout.buffer
    redactor = Redactor(personal=not secrets_only)
    if not jsonl:
        text = given.read().decode("utf-8", "surrogateescape")
        out.write(redactor.redact(text).encode("utf-8", "surrogateescape"))
        return
    try:
        for line in redact_lines(given, redactor):
            out.write(line.encode("utf-8") + b"\n")
    except ValueError as error:
        raise UsageError(f"stdin is not valid input for --jsonl: {error}") from None
