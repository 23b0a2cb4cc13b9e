"""`doctor`: a line a check, and 1 where something fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main
from tests.desktop import StartDesktop


def test_each_check_is_a_line_with_its_remedy(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """State first, then what, then what to do; warnings are no failure."""
    assert main(["doctor", "--no-notify"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "warning"}
    assert any(line.startswith("warning  daemon") and line.endswith("→ Start it: sessiontrackd run") for line in lines)
    assert not any("notification" in line for line in lines)


def test_a_failure_ends_with_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the document says which."""
    (home / "config.toml").write_text("colour = 1\n")

    assert main(["doctor", "--no-notify", "--json"]) == 1

    document = json.loads(capsys.readouterr().out)
    assert document["state"] == "failure"
    assert [check["name"] for check in document["checks"] if check["state"] == "failure"] == ["settings"]
    assert set(document["checks"][0]) == {"name", "state", "text", "remedy"}


def test_a_notification_is_sent_unless_told_otherwise(
    home: Path, start_desktop: StartDesktop, capfd: pytest.CaptureFixture[str]
) -> None:
    """One, and nothing of it on stderr."""
    there = start_desktop()
    capfd.readouterr()  # the bus has something to say of its own

    assert main(["doctor"]) == 0
    assert len(there.shown()) == 1
    assert main(["doctor", "--no-notify"]) == 0
    assert there.shown() == []
    assert capfd.readouterr().err == ""
