"""What is private in a text: `redact`."""

from __future__ import annotations

import sys

import click

from sessiontrackd.cli._command import command
from sessiontrackd.errors import UsageError
from sessiontrackd.privacy import Redactor, redact_lines


@command("redact", example="sessiontrackd redact < talk.md\nsessiontrackd redact --jsonl < texts.jsonl")
@click.option("--jsonl", is_flag=True, help='Read {"id","text"} a line; print {"id","text","spans"}.')
@click.option("--personal", is_flag=True, help="Replace personal data too, not only credentials.")
def redact(jsonl: bool, personal: bool) -> None:
    """Print stdin with its private parts replaced: the same rules as for notes and requests."""
    given, out = sys.stdin.buffer, sys.stdout.buffer
    redactor = Redactor(personal=personal)
    if not jsonl:
        text = given.read().decode("utf-8", "surrogateescape")
        out.write(redactor.redact(text).encode("utf-8", "surrogateescape"))
        return
    try:
        for line in redact_lines(given, redactor):
            out.write(line.encode("utf-8") + b"\n")
    except ValueError as error:
        raise UsageError(f"stdin is not what --jsonl reads: {error}") from error
