"""What would leave the machine, and what is private in it: `condense`, `redact`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sessiontrackd import readers
from sessiontrackd.cli._command import command, existing, path_type
from sessiontrackd.condense import Condenser, parts, render
from sessiontrackd.errors import NotAConversation, UsageError
from sessiontrackd.model import InsightLevel
from sessiontrackd.privacy import Redactor, redact_lines

LEVELS = [level.value for level in InsightLevel]


@command("condense", example="sessiontrackd condense talk.jsonl --level minimal")
@click.argument("path", type=path_type)
@click.option("--level", type=click.Choice(LEVELS), default=InsightLevel.STANDARD.value, show_default=True)
def condense(path: Path, level: str) -> None:
    """Print exactly the text that an engine would receive: condensed and redacted."""
    transcript = readers.read(existing(path))
    if not transcript.is_conversation:
        raise NotAConversation(f"{path} is not a conversation, so there is nothing to condense.")
    out = sys.stdout.buffer
    for opened in transcript.sessions:
        condenser = Condenser(InsightLevel(level), Redactor(personal=True))
        for message in opened:
            condenser.take(message)
        for part in parts(condenser.finish(opened.close())):
            out.write(render(part).encode("utf-8", "replace") + b"\n")


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
