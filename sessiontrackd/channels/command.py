"""Alerts through a program of the user's, which gets them as JSON on its stdin."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from sessiontrackd import programs
from sessiontrackd.model import Alert
from sessiontrackd.pricing import usd_text

if TYPE_CHECKING:
    from sessiontrackd.config import Home, Settings

TIMEOUT_S = 8.0  # less than the register allows a channel, so that the program is ended in order
LONGEST_REASON = 200  # characters
MOST_REASON_BYTES = 1_000_000  # of stderr; a program that says more has run wild


class CommandFailed(Exception):
    """The user's program did not take the alert."""


class CommandChannel:
    """Run a program for each alert.

    Args:
        words: the program and its arguments; nothing is run through a shell.
    """

    NAME = "command"

    def __init__(self, words: Sequence[str] = ()) -> None:
        """Keep the words."""
        self._words = words

    @classmethod
    def of(cls, settings: Settings, _: Home | None) -> Self | None:
        """Return the channel of a home; None where its settings name no program."""
        program, *rest = settings.alerts_command or ("",)
        return cls([os.path.expanduser(program), *rest]) if program else None

    async def send(self, alert: Alert) -> None:
        """Hand the alert over.

        Raises:
            CommandFailed: the program cannot be run, hangs, or ends with a failure.
        """
        program = self._words[0]
        given = json.dumps(as_document(alert)).encode()
        try:
            ended = await programs.run(
                self._words, given, timeout_s=TIMEOUT_S, most_bytes=MOST_REASON_BYTES, listens_to=programs.STDERR
            )
        except TimeoutError:
            raise CommandFailed(f"{program} did not end within {TIMEOUT_S:g} s") from None
        except OSError as error:
            raise CommandFailed(f"{program} cannot be run ({error.strerror})") from error
        except programs.SaidTooMuch as error:
            raise CommandFailed(f"{program} was ended: {error}") from None
        if ended.status:
            why = ended.said.decode("utf-8", "replace").strip().partition("\n")[0][:LONGEST_REASON]
            raise CommandFailed(f"{program} ended with {ended.status}{f': {why}' if why else ''}")


def as_document(alert: Alert) -> dict[str, Any]:
    """Return the alert as JSON has it; money is a text in USD."""
    status = alert.status
    left = status.remaining_picousd
    return {
        "kind": alert.kind.value,
        "text": alert.text,
        "threshold": alert.threshold or None,
        "period": status.period,
        "limit_usd": None if status.limit_picousd is None else usd_text(status.limit_picousd),
        "spent_usd": usd_text(status.spent_picousd),
        "reserved_usd": usd_text(status.reserved_picousd),
        "remaining_usd": None if left is None else usd_text(left),
        "report": None if alert.report_path is None else str(alert.report_path),
    }
