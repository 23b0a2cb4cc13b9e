"""`alerts list` and `alerts snooze`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessiontrackd import channels
from sessiontrackd.channels import Notices
from sessiontrackd.cli.main import main
from sessiontrackd.store import open_store


def test_what_was_told_is_listed_and_what_was_missed_stands_in_status(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason why nobody saw it."""
    assert main(["alerts", "list"]) == 0
    with open_store(home / "state.db", channels.SCHEMA) as store:
        Notices(store).keep("budget", "50 % is used", None)
        Notices(store).keep("circuit", "The server answered 401", "no desktop")
    capsys.readouterr()

    assert main(["alerts", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(each["kind"], each["missed"]) for each in listed["alerts"]] == [
        ("circuit", "no desktop"),
        ("budget", None),
    ]
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert "The server answered 401" in out
    assert "50 %" not in out


def test_silence_is_asked_for_and_ended(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For hours or days."""
    assert main(["alerts", "snooze", "8h"]) == 0
    capsys.readouterr()
    assert main(["alerts", "list"]) == 0
    assert "Silent until" in capsys.readouterr().out
    assert main(["alerts", "snooze", "off"]) == 0
    assert main(["alerts", "list"]) == 0
    assert "Silent" not in capsys.readouterr().out


@pytest.mark.parametrize("span", ["0d", "99d", "soon", "-1d"])
def test_a_span_that_means_nothing_is_wrong_usage(span: str, home: Path) -> None:
    """Nothing is written."""
    assert main(["alerts", "snooze", "--", span]) == 2

    assert not (home / "state.db").exists()
