"""What a tool calls: quick, bounded, and gone again from the tool's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from datetime import datetime
from pathlib import Path

import pytest

from sessiontrackd import config, hook
from sessiontrackd.config import HOOKS, Home
from sessiontrackd.errors import SettingsError
from sessiontrackd.model import Folder

MOST_S = 0.1  # what a tool may have to wait
ENDED = {"session_id": "5f0c", "transcript_path": "/t/5f0c.jsonl", "hook_event_name": "SessionEnd", "reason": "exit"}
TURN = {"type": "agent-turn-complete", "thread-id": "01980a4e-5c00-7000-8000-000000000000", "cwd": "/p"}


def call(words: list[str], stdin: str = "") -> tuple[int, float]:
    """Run what a tool runs; return its exit status and the processor time it took, the quickest of three runs.

    It waits for nothing, so on a machine that is not busy that is the time that a tool waits.
    """
    took_s = []
    for _ in range(3):
        before = os.times()
        done = subprocess.run(words, input=stdin.encode(), capture_output=True, check=False)
        after = os.times()
        took_s.append(sum(after[2:4]) - sum(before[2:4]))
    return done.returncode, min(took_s)


@pytest.mark.parametrize(
    "words", [["-I", "-S", hook.FILE], ["-m", "sessiontrackd", "capture"]], ids=["as installed", "typed"]
)
def test_it_leaves_a_hint_in_a_tenth_of_a_second(words: list[str], home: Path) -> None:
    """Claude Code hands JSON to stdin; neither way loads the command line."""
    status, took_s = call([sys.executable, *words, "--home", str(home)], json.dumps(ENDED))

    assert (status, took_s < MOST_S) == (0, True), took_s
    assert config.take_hints(Home.find(home), ()) == [(Path("/t/5f0c.jsonl"), True)]
    assert config.take_hints(Home.find(home), ()) == []


def test_codex_gives_its_json_as_a_word_and_whom_it_called_before_is_still_called(home: Path, tmp_path: Path) -> None:
    """The session's id tells in which day's folder it lies."""
    other = tmp_path / "other"
    other.write_text(f'#!/bin/sh\nprintf "%s" "$2" > {tmp_path}/got\n')
    other.chmod(0o755)
    words = [sys.executable, "-I", "-S", hook.FILE, "--state", str(home), "--then", str(other), "-x", json.dumps(TURN)]

    assert call(words)[0] == 0

    day = datetime.fromtimestamp(0x01980A4E5C00 / 1000).strftime("%Y/%m/%d")  # noqa: DTZ006 - as Codex does
    folders = (Folder(Path("/c/sessions"), preset="codex"), Folder(Path("/d")))
    assert config.take_hints(Home.find(home), folders) == [(Path("/c/sessions") / day, False)]
    assert json.loads((tmp_path / "got").read_text()) == TURN


@pytest.mark.parametrize(
    "said", ["", "[]", "{", '{"a": 1}', '{"session_id": 7}', '{"session_id": "s", "transcript_path": 7}', "[" * 90000]
)
def test_what_is_no_word_of_a_session_leaves_nothing(said: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, status 1: the tool goes on."""
    assert hook._take(said, str(home)) == 1

    assert capsys.readouterr().err.startswith("sessiontrackd: ")
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "a" * 4000, "\n\0", "ä"])
def test_a_sessions_name_is_no_path(name: str, home: Path) -> None:
    """Whatever it is called, its hint lies among the hints; a broken hint is forgotten."""
    hook.leave(str(home), name, "/t/x.jsonl")
    (home / "hints" / "broken").write_text("{")

    assert [path.parent for path in home.rglob("*") if path.is_file()] == [home / "hints"] * 2
    assert config.take_hints(Home.find(home), ()) == [(Path("/t/x.jsonl"), False)]


@pytest.mark.parametrize("chosen", [None, "/h"])
@pytest.mark.parametrize(
    "environ", [{}, {"XDG_STATE_HOME": "/s"}, {"XDG_STATE_HOME": "rel"}, {"SESSIONTRACKD_HOME": "/e"}]
)
def test_it_knows_the_place_that_the_program_knows(chosen: str | None, environ: dict[str, str]) -> None:
    """With the same option and the same environment."""
    assert hook.state_dir(chosen, environ) == str(Home.find(chosen, environ).state_dir)


CLAUDE = """{
    "model": "opus",
    "hooks": {
        "SessionEnd": [
            {"matcher": "", "hooks": [{"type": "command", "command": "echo bye"}]}
        ],
        "Stop": []
    },
    "note": "ä"
}
"""
CODEX = '# mine\nmodel = "gpt-5" # good\nnotify = ["say", "-v", "x y"] # loud\n\n[tui]\nnotifications = true\n'


@pytest.mark.parametrize(
    ("tool", "text"),
    [("claude-code", CLAUDE), ("claude-code", ""), ("codex", CODEX), ("codex", "[tui]\na = 1\n"), ("codex", "")],
)
def test_an_entry_comes_and_goes_and_the_rest_stays(tool: str, text: str, home: Path) -> None:
    """Twice changes nothing; after its removal the settings say what they said."""
    entry, read = HOOKS[tool], json.loads if tool == "claude-code" else tomllib.loads
    path = entry.path()
    path.parent.mkdir(parents=True, exist_ok=True)
    if text:
        path.write_text(text)
        path.chmod(0o640)

    assert entry.put(Home.find(home))
    written = path.read_text()
    assert not entry.put(Home.find(home))
    assert entry.problem(Home.find(home)) is None
    assert entry.is_there()
    assert str(home) in written
    if tool == "codex" and "mine" in text:
        assert tomllib.loads(written)["notify"][-4:] == ["--then", "say", "-v", "x y"]
        assert "# mine" in written
        assert "# good" in written
    assert "sessiontrackd" not in text
    assert entry.problem(Home.find(home / "another"))  # for another home it would be wrong
    assert entry.take()
    assert not entry.take()

    assert path.exists() == bool(text)
    if text:
        assert read(path.read_text()) == read(text)
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("text", ["// mine\n{}", "[]", '{"hooks": []}', '{"hooks": {"SessionEnd": 7}}'])
def test_settings_of_an_unexpected_shape_are_left_alone(text: str, home: Path) -> None:
    """Whatever the tool makes of them, we do not guess."""
    path = HOOKS["claude-code"].path()
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(SettingsError, match="nothing was changed"):
        HOOKS["claude-code"].put(Home.find(home))

    assert path.read_text() == text
