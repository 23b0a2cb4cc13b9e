"""`digest` prints a note, or writes it where the daemon does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main
from tests.test_notes import talk


@pytest.fixture
def processed(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a home that has read one session, of 2026-03-14."""
    path = tmp_path / "a.jsonl"
    path.write_text(talk("5f0c2d1e-1", "mend the tide import", "now the tests"))
    assert main(["process", str(path)]) == 0
    capsys.readouterr()
    return home


def test_it_is_printed_or_written(processed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same note, but for its links."""
    assert main(["digest", "--on", "2026-03-14"]) == 0
    printed = capsys.readouterr().out
    assert "# Week 11 of 2026" in printed
    assert "[Mend the tide import](file:///" in printed

    assert main(["digest", "--on", "2026-03-14", "--write", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["path"] == str(processed / "notes" / "Digests" / "2026-W11.md")
    assert "[Mend the tide import](../" in Path(document["path"]).read_text()


def test_an_edited_digest_is_kept_and_the_new_one_said_to_stand_beside_it(
    processed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person wrote is not written over, and what was written is named."""
    assert main(["digest", "--on", "2026-03-14", "--write"]) == 0
    first = Path(capsys.readouterr().out.strip())
    first.write_text(first.read_text().replace("# Week 11", "# My week 11"))
    (tmp_path / "b.jsonl").write_text(talk("77aa0000-2", "mend the ebb import", "now the docs"))
    assert main(["process", str(tmp_path / "b.jsonl")]) == 0
    capsys.readouterr()

    assert main(["digest", "--on", "2026-03-14", "--write"]) == 0
    out, err = capsys.readouterr()
    assert (out, "2026-W11.md is edited" in err) == (f"{first.with_name('2026-W11.2.md')}\n", True)
    assert "# My week 11" in first.read_text()


def test_an_empty_period_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is made for it; a wrong day is wrong usage."""
    assert main(["digest", "--period", "day", "--on", "2020-01-01"]) == 0
    assert "2020-01-01: nothing was worked on." in capsys.readouterr().out
    assert list(home.iterdir()) == []
    assert main(["digest", "--on", "yesterday"]) == 2
