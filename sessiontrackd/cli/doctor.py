"""What is wrong and what to do about it: `doctor`."""

from __future__ import annotations

import logging
from typing import Any

import click

from sessiontrackd import service as services
from sessiontrackd.cli._command import command, current_home, json_option
from sessiontrackd.cli._screen import between_words, print_json, safe, terminal_width
from sessiontrackd.doctor import FAILURE, OK, WARNING, Check, examine
from sessiontrackd.errors import SessiontrackdError

NAME_CELLS = 8 + 1 + 13 + 1  # the state and the name before a text
COLOURS = {OK: "green", WARNING: "yellow", FAILURE: "red"}


@command("doctor", example="sessiontrackd doctor\nsessiontrackd doctor --no-notify --json")
@click.option("--notify/--no-notify", default=True, help="Also show a test notification.")
@json_option
@click.pass_context
def doctor(context: click.Context, notify: bool, as_json: bool) -> None:
    """Check everything that could go wrong, a line per check, with the remedy. Exits with 1 if a check fails."""
    logging.getLogger("sessiontrackd").addHandler(logging.NullHandler())  # what it says stands in the checks
    checks = []
    try:
        service: dict[str, Any] | None = services.standing(services.service_of(current_home()))
    except SessiontrackdError:  # no manager at hand, or settings that cannot be read: their own check tells
        service = None
    for check in examine(current_home(), notify=notify, service=service):
        checks.append(check)
        if not as_json:
            _print(check)
    worst = next((state for state in (FAILURE, WARNING) if state in [check.state for check in checks]), OK)
    if as_json:
        print_json({"state": worst, "checks": [check._asdict() for check in checks]})
    if worst == FAILURE:
        context.exit(1)


def _print(check: Check) -> None:
    mark = click.style(f"{check.state:8}", fg=COLOURS[check.state])
    remedy = f" → {safe(check.remedy)}" if check.remedy else ""
    width = terminal_width() - NAME_CELLS  # on a terminal a long line is broken between words, under its own beginning
    lines = between_words(f"{safe(check.text)}{remedy}", width)
    click.echo(f"{mark} {check.name:13} " + f"\n{' ' * NAME_CELLS}".join(lines))
