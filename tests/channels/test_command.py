"""The user's own program gets each alert."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from sessiontrackd import channels
from sessiontrackd.channels import command
from sessiontrackd.channels.command import CommandChannel, CommandFailed
from sessiontrackd.config import Settings
from sessiontrackd.model import Alert, BudgetStatus

ALERT = Alert(80, BudgetStatus("2026-11", 5 * 10**12, 4 * 10**12, 0), "80 % of the budget; $(touch no) 'x'")


def test_it_gets_json_on_stdin(tmp_path: Path) -> None:
    """Money is a text; nothing goes through a shell."""
    got = tmp_path / "got"
    settings = Settings(alerts_desktop=False, alerts_command=("/bin/sh", "-c", f"cat > {got}"))

    assert asyncio.run(channels.tell(ALERT, settings)) == {"command": None}
    assert json.loads(got.read_text()) == {
        "kind": "budget", "text": ALERT.text, "threshold": 80, "period": "2026-11", "limit_usd": "5.000000",
        "spent_usd": "4.000000", "reserved_usd": "0.000000", "remaining_usd": "1.000000", "report": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["/no/such"], "cannot be run"),
        (["sh", "-c", "echo why >&2; exit 3"], "ended with 3: why"),
        (["sh", "-c", "exec sleep 60"], "did not end"),
    ],
)
def test_a_program_that_fails_is_told_of(words: list[str], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first line of what it said; one that hangs is ended."""
    monkeypatch.setattr(command, "TIMEOUT_S", 0.3)
    began_s = time.monotonic()

    with pytest.raises(CommandFailed, match=reason):
        asyncio.run(CommandChannel(words).send(ALERT))

    assert time.monotonic() - began_s < 10
