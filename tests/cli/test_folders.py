"""`watch add`, `watch list`, `watch remove`."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

from sessiontrackd import config
from sessiontrackd.cli import _git
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Return a folder with one transcript and one other file."""
    folder = tmp_path / "talks"
    folder.mkdir()
    shutil.copyfile(SAMPLE, folder / "tide.jsonl")
    (folder / "data.json").write_text('{"a": 1}')
    return folder


def test_add_says_what_is_there_and_writes_the_settings(
    home: Path, talks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Transcripts are counted by content, not by name."""
    assert main(["watch", "add", str(talks), "--level", "minimal", "--yes"]) == 0

    out = capsys.readouterr().out
    (folder,) = config.load(Home.find(home)).folders
    assert f"{talks}: 1 transcript, 1 of the last 30 days." in out
    assert (folder.path, folder.level, folder.since) == (talks, "minimal", None)


def test_without_a_terminal_history_goes_back_thirty_days(home: Path, talks: Path) -> None:
    """Nothing is asked, and nobody wanted all of it."""
    assert main(["watch", "add", str(talks)]) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert folder.since is not None
    assert folder.since[:10] == (datetime.now(UTC) - timedelta(days=30)).date().isoformat()


@pytest.mark.parametrize(("said", "kept"), [("all", None), ("2026-03-14", "2026-03-14")])
def test_since_is_kept_as_it_was_said(home: Path, talks: Path, said: str, kept: str | None) -> None:
    """A day, or all of it."""
    assert main(["watch", "add", str(talks), "--since", said]) == 0

    assert config.load(Home.find(home)).folders[0].since in (kept, f"{kept}T00:00:00")


def test_a_since_that_means_nothing_is_wrong_usage(home: Path, talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what could be written, and changes nothing."""
    assert main(["watch", "add", str(talks), "--since", "yesterday"]) == 2

    assert "30d" in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_a_preset_knows_its_folder_and_keeps_notes_out_of_it(home: Path, person: Path) -> None:
    """Notes of a tool's transcripts go to the vault of the home."""
    (person / ".claude" / "projects").mkdir(parents=True)

    assert main(["watch", "add", "--preset", "claude-code", "--yes"]) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert folder.path == person / ".claude" / "projects"
    assert folder.output == f"vault:{home / 'notes'}"


def test_a_preset_without_a_folder_says_where_it_looked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tool is not installed, or keeps its transcripts elsewhere."""
    assert main(["watch", "add", "--preset", "codex"]) == 2

    assert ".codex/sessions" in capsys.readouterr().err


def test_list_and_remove(home: Path, talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was added is listed, and gone after its removal."""
    main(["watch", "add", str(talks), "--yes"])
    capsys.readouterr()

    assert main(["watch", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["folders"]
    assert [(each["path"], each["online"]) for each in listed] == [(str(talks), True)]

    assert main(["watch", "remove", str(talks)]) == 0
    assert main(["watch", "remove", str(talks)]) == 2
    assert config.load(Home.find(home)).folders == ()


def test_a_git_work_tree_is_named(home: Path, talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Notes beside transcripts would show up in its status; the remedies are named."""
    subprocess.run(["git", "init", "-q", str(talks)], check=True)

    assert main(["watch", "add", str(talks), "--yes"]) == 0

    out = capsys.readouterr().out
    assert "git work tree" in out
    assert "info/exclude" in out


def test_git_is_told_once_to_ignore_reports(talks: Path) -> None:
    """The list of this clone alone is changed, and what stands there stays."""
    subprocess.run(["git", "init", "-q", str(talks)], check=True)
    path = _git.ignored_names_path(talks)
    assert path is not None
    path.write_text("*.swp")

    _git.ignore_reports(path)
    _git.ignore_reports(path)

    assert path.read_text().splitlines() == ["*.swp", *_git.PATTERNS]
    (talks / "tide.jsonl.insights.md").touch()
    ignored = subprocess.run(
        ["git", "-C", str(talks), "check-ignore", "tide.jsonl.insights.md"], check=False, capture_output=True
    )
    assert ignored.returncode == 0
