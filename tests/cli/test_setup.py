"""`setup`: what is found, asked, and done."""

from __future__ import annotations

import json
import os
import pty
import shutil
import sys
import time
from importlib import resources
from pathlib import Path

import pytest

from sessiontrackd import channels, config
from sessiontrackd import service as services
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.errors import Failed

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))


@pytest.fixture(autouse=True)
def tools(person: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the person two tools, one of them with a transcript, and a vault; no service and no desktop."""
    (person / ".codex/sessions").mkdir(parents=True)
    (person / ".claude/projects/-p").mkdir(parents=True)
    (person / "Downloads").mkdir()
    (person / "notes/.obsidian").mkdir(parents=True)
    shutil.copyfile(SAMPLE, person / ".claude/projects/-p/a.jsonl")

    async def tell(*_: object) -> dict[str, str | None]:
        return {"desktop": "no notification server took it"}

    def refuse(_: services.Service) -> bool:
        raise Failed("There is no systemctl on this machine.")

    monkeypatch.setattr(channels, "tell", tell)
    monkeypatch.setattr(services, "install", refuse)
    return person


def watched(home: Path) -> list[tuple[str | None, str, str]]:
    """Return preset, level and place of each watched folder."""
    return [(each.preset, each.level.value, each.output) for each in config.load(Home.find(home)).folders]


def test_without_a_terminal_nothing_is_changed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there is shown with the lines to type."""
    assert main(["setup"]) == 0

    out = capsys.readouterr().out
    assert "Claude Code: 1 transcript" in out
    assert "sessiontrackd setup --yes" in out
    assert "watch add --preset codex" in out
    assert not (home / "config.toml").exists()


def test_yes_takes_what_is_proposed_and_again_changes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every tool, a folder of downloads only with exports in it; what the platform refuses is told and stops nothing."""
    assert main(["setup", "--yes", "--level", "minimal"]) == 0
    before = (home / "config.toml").read_bytes()
    out = capsys.readouterr().out
    assert main(["setup", "--yes"]) == 0

    assert watched(home) == [(name, "minimal", f"vault:{home / 'notes'}") for name in ("claude-code", "codex")]
    assert "could not be installed: There is no systemctl" in out
    assert "No notification arrives" in out
    assert (home / "config.toml").read_bytes() == before
    assert "watched already" in capsys.readouterr().out


def test_a_person_is_asked_tool_by_tool(home: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which, where, how deep, how far back, and whether as a service; it takes no minute."""
    outer, inner = pty.openpty()
    os.write(outer, b"y\nn\n\n1\ncomprehensive\nall\nn\n")  # Claude Code, Codex, downloads, the vault, ...
    began_s = time.monotonic()
    with os.fdopen(inner) as stdin, os.fdopen(os.dup(inner), "w") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stdout", stdout)
        assert main(["setup"]) == 0
    os.close(outer)

    assert time.monotonic() - began_s < 20
    (folder,) = config.load(Home.find(home)).folders
    assert (folder.preset, folder.level, folder.since) == ("claude-code", "comprehensive", None)
    assert folder.output == f"vault:{person / 'notes' / 'AI sessions'}"


def test_what_was_found_as_json(home: Path, person: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, and nothing is changed."""
    assert main(["setup", "--json"]) == 0

    found = json.loads(capsys.readouterr().out)
    assert [(each["preset"], each["transcripts"]) for each in found["tools"]] == [
        ("claude-code", 1), ("codex", 0), ("downloads", 0),
    ]  # fmt: skip
    assert found["vaults"] == [str(person / "notes")]


@pytest.mark.parametrize("words", [["--output", "beside"], ["--output", "there"], ["--since", "soon"]])
def test_a_wrong_value_is_wrong_usage(words: list[str], home: Path) -> None:
    """Before anything is counted."""
    assert main(["setup", "--yes", *words]) == 2

    assert not (home / "config.toml").exists()
