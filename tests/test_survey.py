"""What is found on a machine: tools' folders with counts, and vaults of notes."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from sessiontrackd import survey
from sessiontrackd.config import PRESETS, Settings
from sessiontrackd.model import Folder
from sessiontrackd.watch import scan

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def put(*paths: Path, days_ago: float = 1) -> None:
    """Write a transcript to each path, as old as that."""
    at = (NOW - timedelta(days=days_ago)).timestamp()
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SAMPLE, path)
        os.utime(path, (at, at))


def silent(_: str) -> None:
    """Be told, and say nothing."""


def test_tools_are_found_with_what_they_wrote(person: Path) -> None:
    """Each folder of a preset that is there; counted by content; what is watched already is marked."""
    claude, downloads = person / ".claude/projects", person / "Downloads"
    put(claude / "-p/a.jsonl", downloads / "b.jsonl")
    put(claude / "-p/old.jsonl", days_ago=90)
    (downloads / "conversations.json").write_text('{"no": "conversation"}')
    (person / ".codex/sessions").mkdir(parents=True)

    found = list(survey.finds(Settings(folders=(Folder(downloads),)), person, {}, NOW, silent))

    assert [(each.preset, each.count.transcripts, each.count.recent, each.is_watched) for each in found] == [
        ("claude-code", 2, 1, False), ("codex", 0, 0, False), ("downloads", 1, 1, True),
    ]  # fmt: skip


def test_what_takes_too_long_is_counted_by_names(person: Path) -> None:
    """And it says so."""
    put(person / "a.jsonl", person / "b.jsonl")

    assert survey.count(Folder(person), NOW, silent, for_s=-1.0) == survey.Count(2, 2, is_exact=False)


def test_every_preset_finds_the_files_of_its_tool(person: Path) -> None:
    """Each tool writes where its preset looks, and only what it looks for is taken."""
    config = person / ".config"
    put(
        person / ".copilot/session-state/1f/events.jsonl",
        person / ".copilot/session-state/1f/other.jsonl",
        config / "Code/User/workspaceStorage/3c/chatSessions/9a.json",
        config / "Code/User/workspaceStorage/3c/workspace.json",
        person / ".pi/agent/sessions/--p--/x.jsonl",
        config / "io.datasette.llm/logs.db",
        config / "io.datasette.llm/templates.db",
    )

    found = {
        name: [
            Path(os.fsdecode(each.path)).relative_to(root).as_posix()
            for root in PRESETS[name].roots(person, {})
            for each in scan(Folder(root, preset=name))
        ]
        for name in ("copilot", "copilot-chat", "pi", "llm")
    }

    assert found == {
        "copilot": ["1f/events.jsonl"], "copilot-chat": ["3c/chatSessions/9a.json"], "pi": ["--p--/x.jsonl"],
        "llm": ["logs.db"],
    }  # fmt: skip


def test_vaults_are_found_where_obsidian_lists_them_and_where_they_usually_lie(person: Path) -> None:
    """The one that was opened last comes first; a list that is broken, or names what is gone, harms nobody."""
    for name in ("old", "new", "Documents/graph/logseq", "notes/.obsidian"):
        (person / name).mkdir(parents=True)
    listed = person / survey.OBSIDIAN[0]
    listed.parent.mkdir(parents=True)
    vaults = {"a": {"path": str(person / "old"), "ts": 1}, "b": {"path": str(person / "new"), "ts": 2, "open": True}}
    listed.write_text(json.dumps({"vaults": vaults | {"c": {"path": str(person / "gone"), "ts": 3}}}))

    assert survey.vaults(person) == [person / name for name in ("new", "old", "notes", "Documents/graph")]
    listed.write_text('{"vaults": [1]}')
    assert survey.vaults(person) == [person / name for name in ("notes", "Documents/graph")]
