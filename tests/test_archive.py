"""Copies of transcripts that their tool deletes."""

from __future__ import annotations

import gzip
import os
import shutil
from importlib import resources
from pathlib import Path

import pytest

from sessiontrackd import archive
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.model import Folder

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))


def test_a_copy_is_whole_private_and_of_the_same_time(home: Path, tmp_path: Path) -> None:
    """Made once, and again when the transcript has grown."""
    source, own = tmp_path / "projects" / "-p" / "a.jsonl", Home.find(home)
    source.parent.mkdir(parents=True)
    source.write_bytes(b"one\n" * 1000)
    os.utime(source, (1, 1))
    folder = Folder(tmp_path / "projects", archive=True)

    place = archive.keep(own, folder, source)
    assert place is not None
    assert gzip.decompress(place.read_bytes()) == source.read_bytes()
    assert place.stat().st_size < 200
    assert (place.stat().st_mode & 0o777, place.stat().st_mtime) == (0o600, 1)
    assert archive.keep(own, folder, source) is None
    source.write_bytes(b"two\n")
    assert archive.keep(own, folder, source) == place
    assert gzip.decompress(place.read_bytes()) == b"two\n"
    assert [path.name for path in place.parent.iterdir()] == ["a.jsonl.gz"]
    assert archive.forget(own, folder, source)
    assert not archive.forget(own, folder, source)


def test_what_is_packed_stays_as_it_is(home: Path, tmp_path: Path) -> None:
    """And two folders of one name do not meet."""
    source = tmp_path / "a" / "x.jsonl.zst"
    source.parent.mkdir()
    source.write_bytes(b"\x28\xb5\x2f\xfd")
    place = archive.keep(Home.find(home), Folder(tmp_path / "a"), source)

    assert place is not None
    assert (place.name, place.read_bytes()) == ("x.jsonl.zst", source.read_bytes())
    other = archive.place_of(Home.find(home), Folder(tmp_path / "b" / "a"), tmp_path / "b" / "a" / "x.jsonl.zst")
    assert other.parent != place.parent


def test_a_transcript_that_is_gone_is_no_copy(home: Path, tmp_path: Path) -> None:
    """Nothing half stays behind."""
    with pytest.raises(OSError, match=r"a\.jsonl"):
        archive.keep(Home.find(home), Folder(tmp_path), tmp_path / "a.jsonl")

    assert not (home / "archive").exists()


def test_the_copy_outlives_the_transcript(home: Path, tmp_path: Path) -> None:
    """Made by the daemon where the folder asks for it, it can be read like the transcript, and is forgotten with it."""
    talks, other = tmp_path / "talks", tmp_path / "other"
    for folder in (talks, other):
        folder.mkdir()
        shutil.copyfile(SAMPLE, folder / "a.jsonl")
        os.utime(folder / "a.jsonl", (1_700_000_000, 1_700_000_000))
    assert main(["watch", "add", str(talks), "--yes", "--archive"]) == 0
    assert main(["watch", "add", str(other), "--yes"]) == 0

    assert main(["run", "--until-idle"]) == 0
    (talks / "a.jsonl").unlink()

    (copy,) = [path for path in (home / "archive").rglob("*") if path.is_file()]
    assert copy.relative_to(home / "archive").parts[0].startswith("talks-")
    assert main(["show", str(copy)]) == 0
    assert main(["forget", str(talks / "a.jsonl"), "--yes"]) == 0
    assert not copy.exists()
