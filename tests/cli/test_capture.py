"""`capture install|remove|status`, and the daemon that takes a hint up."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from importlib import resources
from pathlib import Path

import pytest

from sessiontrackd import config, hook
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))


def test_a_tool_calls_us_from_then_on_and_no_more(home: Path, person: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its folder is watched too, from now on; a moved program is noticed."""
    (person / ".claude/projects").mkdir(parents=True)
    assert main(["capture", "install", "claude-code"]) == 0
    (folder,) = config.load(Home.find(home)).folders
    assert (folder.preset, folder.since is not None) == ("claude-code", True)

    settings = person / ".claude/settings.json"
    settings.write_text(settings.read_text().replace(sys.executable, "/old/python"))
    capsys.readouterr()
    assert main(["capture", "status", "--json"]) == 0
    (claude, codex) = json.loads(capsys.readouterr().out)["hooks"]
    assert claude["installed"]
    assert "moved" in claude["problem"]
    assert (codex["installed"], codex["problem"]) == (False, None)

    assert main(["capture", "install", "claude-code"]) == 0
    assert sys.executable in settings.read_text()
    assert main(["capture", "remove", "claude-code"]) == 0
    assert not settings.exists()  # there was none before


def test_stdin_is_taken_where_a_person_pipes_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`capture < hook.json` does what the tool's call does."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"session_id": "a", "transcript_path": "/t/a"}')))

    assert main(["capture"]) == 0

    assert config.take_hints(Home.find(home), ()) == [(Path("/t/a"), False)]


def test_the_daemon_looks_where_a_hint_says(home: Path, tmp_path: Path) -> None:
    """A hint for a place that is not watched harms nobody."""
    talks = tmp_path / "talks"
    talks.mkdir()
    assert main(["watch", "add", str(talks), "--yes"]) == 0
    shutil.copyfile(SAMPLE, talks / "a.jsonl")
    os.utime(talks / "a.jsonl", (1_700_000_000, 1_700_000_000))
    hook.leave(str(home), "a", str(talks / "a.jsonl"))
    hook.leave(str(home), "b", "/elsewhere/b.jsonl")

    assert main(["run", "--until-idle"]) == 0

    assert (talks / "a.jsonl.insights.md").exists()
    assert list((home / "hints").iterdir()) == []
