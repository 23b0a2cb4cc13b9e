"""`forget` leaves amounts and nothing else; and it asks before it removes a person's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.history import History
from sessiontrackd.pipeline import open_rooms
from tests.test_notes import talk

FIRST, SECOND = "5f0c2d1e-1", "77aa0000-2"


@pytest.fixture
def place(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a folder with two talks that were processed; the database was copied since."""
    folder = tmp_path / "talks"
    folder.mkdir()
    (folder / "a.jsonl").write_text(talk(FIRST, "the zzyzx account", "and zzyzx again", project="zzyzx"))
    (folder / "b.jsonl").write_text(talk(SECOND, "mend the tide import", "now the tests"))
    (home / "config.toml").write_text(f'[[folder]]\npath = "{folder}"\noutput = "vault:{tmp_path / "vault"}"\n')
    assert main(["process", str(folder)]) == 0
    rooms = open_rooms(Home.find(home))
    assert rooms.budget.back_up() is not None
    rooms.close()
    capsys.readouterr()
    return folder


def held(home: Path) -> bytes:
    """Return all bytes that the home holds."""
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def counted(home: Path) -> tuple[int, int]:
    """Return how many sessions ran, and how many replies were recorded."""
    rooms = open_rooms(Home.find(home))
    try:
        (ran,) = rooms.store.read("SELECT count(*) FROM usage")
        (recorded,) = rooms.store.read("SELECT count(*) FROM recorded")
        return ran[0], recorded[0]
    finally:
        rooms.close()


def test_nothing_but_amounts_is_left(
    home: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in the database, its copies, the words, the vault; the other session is untouched."""
    before = counted(home)
    (place / "a.jsonl").unlink()

    assert main(["forget", str(place / "a.jsonl"), "--yes"]) == 0
    assert "1 note" in capsys.readouterr().out
    assert b"zzyzx" not in held(home).lower()
    assert FIRST.encode() not in held(home)
    assert [path.parent.name for path in (tmp_path / "vault").rglob("*.md")] == ["tide", "tide"]
    assert not (tmp_path / "vault" / "zzyzx" / "zzyzx.md").exists()
    assert counted(home) == before
    assert main(["search", "tide"]) == 0
    assert "1 session found" in capsys.readouterr().out


def test_it_asks_and_says_what_holds_own_words(
    home: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody can be asked nothing is removed."""
    note = next((tmp_path / "vault" / "tide").glob("2026*"))
    note.write_text(note.read_text() + "\n## Notes\nmine\n")

    assert main(["forget", SECOND]) == 1
    assert "1 note, 1 of them with words of your own" in capsys.readouterr().err
    assert note.exists()


@pytest.mark.parametrize("what", ["a.jsonl", "note", FIRST, FIRST[:6], "folder"])
def test_a_session_is_known_by_any_name(
    home: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Its transcript, its note, its id or the beginning of it, a folder that holds it."""
    note = next((tmp_path / "vault" / "zzyzx").glob("2026*"))
    names = {"a.jsonl": str(place / "a.jsonl"), "note": str(note), "folder": str(place)}

    assert main(["forget", names.get(what, what), "--yes", "--json"]) == 0
    sessions = json.loads(capsys.readouterr().out)["sessions"]
    assert sessions == ([FIRST, SECOND] if what == "folder" else [FIRST])
    assert not note.exists()


def test_what_is_not_known_is_wrong_usage(home: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also when it was forgotten already."""
    assert main(["forget", "nothing", "--yes"]) == 2
    assert main(["forget", FIRST, "--yes"]) == 0
    assert main(["forget", FIRST, "--yes"]) == 2
    assert "Nothing is known" in capsys.readouterr().err


def test_a_forgotten_transcript_is_read_again_when_it_is_named(home: Path, place: Path, tmp_path: Path) -> None:
    """And its amounts count once."""
    before = counted(home)
    assert main(["forget", str(place / "a.jsonl"), "--yes"]) == 0
    assert main(["process", str(place / "a.jsonl")]) == 0

    assert len(list((tmp_path / "vault" / "zzyzx").glob("2026*"))) == 1
    assert counted(home)[1] == before[1]
    rooms = open_rooms(Home.find(home))
    assert len(History(rooms.store).insights_of(FIRST)) == 1
    rooms.close()
