"""`search` leads to sessions, and `show` from there, or from a note, to the message."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main
from tests.test_notes import talk

SESSION = "5f0c2d1e-0000-4000-8000-000000000001"


@pytest.fixture
def path(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a transcript that was processed."""
    path = tmp_path / "a talk.jsonl"
    path.write_text(talk(SESSION, "mend the tide import", "now the tests"))
    assert main(["process", str(path)]) == 0
    capsys.readouterr()
    return path


def test_a_find_leads_to_the_message(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line that it prints can be typed, and prints that message."""
    assert main(["search", "tide", "--json"]) == 0
    (hit,) = json.loads(capsys.readouterr().out)["results"]
    assert (hit["session_id"], hit["source"], hit["note"]) == (SESSION, str(path), f"{path}.insights.md")
    assert (hit["matches"][0]["message"], hit["matches"][0]["snippet"]) == (1, "mend the tide import")

    assert main(["search", "tide"]) == 0
    line = next(each for each in capsys.readouterr().out.splitlines() if "show: " in each)
    assert main(shlex.split(line.partition("sessiontrackd ")[2])) == 0
    assert "→ [m1] user" in capsys.readouterr().out


def test_a_note_leads_to_its_messages(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """[m3] in a note is followed with the note's own path."""
    assert main(["show", f"{path}.insights.md#m3", "--around", "0"]) == 0
    assert "→ [m3] user" in capsys.readouterr().out

    path.unlink()
    assert main(["show", f"{path}.insights.md#m3"]) == 2
    assert "no longer there" in capsys.readouterr().err


def test_nothing_found_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything was read, too; and nothing is made for it."""
    assert main(["search", "tide"]) == 0
    assert "Nothing has been read yet" in capsys.readouterr().out
    assert list(home.iterdir()) == []
    assert main(["search", "…"]) == 2


def test_words_are_kept_only_if_wanted(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`search.keep = false` keeps none."""
    (home / "config.toml").write_text("[search]\nkeep = false\n")
    (tmp_path / "b.jsonl").write_text(talk(SESSION, "mend the tide import", "now the tests"))
    main(["process", str(tmp_path / "b.jsonl")])
    capsys.readouterr()

    assert main(["search", "tide"]) == 0
    assert "Nothing was found" in capsys.readouterr().out
