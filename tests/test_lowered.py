"""`.sessiontrackd.toml` inside a watched folder: it may lower, never grant."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from sessiontrackd import config
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home, lowered
from sessiontrackd.model import Folder, InsightLevel

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))
Put = Callable[..., bytes]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Return what puts a file of that text into a folder below the watched one, and names a transcript there."""

    def puts(text: str, below: str = ".", transcript: str = "talk.jsonl") -> bytes:
        place = tmp_path / "talks" / below
        place.mkdir(parents=True, exist_ok=True)
        (place / ".sessiontrackd.toml").write_text(text)
        return os.fsencode(place / transcript)

    return puts


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Return the watched folder."""
    return Folder(tmp_path / "talks", engine="claude")


def test_without_such_a_file_the_settings_hold(folder: Folder, tmp_path: Path) -> None:
    """Nothing is lowered."""
    assert lowered(folder, os.fsencode(tmp_path / "talks" / "talk.jsonl")) == config.Lowered(InsightLevel.STANDARD)


def test_a_level_and_the_engine_are_lowered(folder: Folder, put: Put) -> None:
    """The file holds for its folder and everything below it."""
    put('level = "minimal"\nengine = "local"\n')
    (folder.path / "a").mkdir()

    below = lowered(folder, os.fsencode(folder.path / "a" / "talk.jsonl"))

    assert (below.level, below.left_alone) == (InsightLevel.MINIMAL, None)
    assert below.kept_local == str(folder.path / ".sessiontrackd.toml")


def test_a_file_further_down_lowers_further_and_raises_nothing(folder: Folder, put: Put) -> None:
    """What a folder above took away stays away."""
    put('level = "minimal"\noff = true\n')
    found = lowered(folder, put('level = "standard"\noff = false\n', "a/b"))

    assert found.level == InsightLevel.MINIMAL
    assert found.left_alone == f"{folder.path}/.sessiontrackd.toml says off = true"


def test_a_file_beside_the_way_is_not_heard(folder: Folder, put: Put) -> None:
    """Only folders that the path lies in."""
    put("off = true\n", "other")
    place = put("", "mine")

    assert lowered(folder, place).left_alone is None


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('budget = "50usd"', "'budget'"),
        ("consent = true", "'consent'"),
        ('engine = "claude"', "the engine 'claude'"),
        ('level = "comprehensive"', "level"),
        ('output = "vault:/tmp/x"', "'output'"),
        ('redact_notes = "secrets"', "'redact_notes'"),
    ],
)
def test_what_would_grant_is_ignored_with_file_and_line(
    folder: Folder, put: Put, caplog: pytest.LogCaptureFixture, line: str, named: str
) -> None:
    """The rest of the file holds, and the warning is said once."""
    place = put(f'ignore = ["*.bak"]\n{line}\n')

    with caplog.at_level(logging.WARNING):
        found = [lowered(folder, place) for _ in range(3)]

    assert set(found) == {config.Lowered(InsightLevel.STANDARD)}
    (said,) = [record.getMessage() for record in caplog.records]
    assert f"{folder.path}/.sessiontrackd.toml, line 2: " in said
    assert named in said


@pytest.mark.parametrize("text", ["off = yes", 'off = "true"', 'level = "low"', "ignore = 1", "\x00", "\ufeff[["])
def test_a_file_that_cannot_be_understood_stops_work(folder: Folder, put: Put, text: str) -> None:
    """It may have meant `off`, so nothing is done and nothing leaves until it is mended; then it is."""
    place = put(text)
    broken = lowered(folder, place)
    put("")

    assert broken.left_alone is not None
    assert broken.left_alone.startswith(f"{folder.path}/.sessiontrackd.toml, line 1: ")
    assert broken.kept_local is not None
    assert lowered(folder, place).left_alone is None


def test_a_pipe_of_that_name_is_not_waited_for(folder: Folder) -> None:
    """Reading it would hang the daemon."""
    folder.path.mkdir()
    os.mkfifo(folder.path / ".sessiontrackd.toml")

    assert "no settings file" in str(lowered(folder, os.fsencode(folder.path / "talk.jsonl")).left_alone)


@pytest.mark.parametrize(
    ("pattern", "path", "is_ignored"),
    [
        ("*.md", "a/b/talk.md", True),
        ("*.md", "a/b/talk.jsonl", False),
        ("drafts/", "drafts/x/talk.md", True),
        ("x/talk.md", "x/talk.md", True),
        ("x/talk.md", "y/x/talk.md", False),
    ],
)
def test_ignore_is_read_from_where_the_file_lies(
    folder: Folder, put: Put, pattern: str, path: str, is_ignored: bool
) -> None:
    """A name anywhere below it, or a path from there; what is in an ignored folder is ignored too."""
    put(f'ignore = ["{pattern}"]\n', "sub")

    found = lowered(folder, os.fsencode(folder.path / "sub" / path))

    assert (found.left_alone is not None) is is_ignored


def watched(home: Path, talks: Path, **chosen: str) -> None:
    """Watch the folder, with the sample in it and in a folder below it."""
    (talks / "below").mkdir(parents=True, exist_ok=True)
    for place in (talks, talks / "below"):
        shutil.copyfile(SAMPLE, place / "tide.jsonl")
    config.add_folder(Home.find(home), talks, stable_s=0, **chosen)


def test_the_daemon_leaves_alone_what_is_off_and_takes_it_up_again(home: Path, folder: Folder, put: Put) -> None:
    """While it is off nothing is written there, and nothing has to be asked for afterwards."""
    watched(home, folder.path)
    put("off = true\n", "below")
    assert main(["run", "--until-idle"]) == 0
    assert [path.parent for path in folder.path.rglob("*.insights.md")] == [folder.path]

    (folder.path / "below" / ".sessiontrackd.toml").unlink()
    assert main(["run", "--until-idle"]) == 0

    assert len(list(folder.path.rglob("*.insights.md"))) == 2


def test_by_hand_the_engine_stays_local(
    home: Path, folder: Folder, put: Put, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder for claude goes on without it where a file below says so; naming claude is refused, not done quietly."""
    watched(home, folder.path, engine="claude")
    put('engine = "local"\nlevel = "minimal"\n', "below")
    talk = str(folder.path / "below" / "tide.jsonl")

    assert main(["process", talk, "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert [(each["engine"], each["level"]) for each in result["sessions"]] == [("local", "minimal")]

    assert main(["process", talk, "--engine", "claude", "--json"]) == 1
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["state"] == "held"
    assert "below/.sessiontrackd.toml allows the local engine only" in result["reason"]


def test_what_is_wrong_with_such_files_can_be_asked(folder: Folder) -> None:
    """A mistake, and what may not be said there; what is right is not told."""
    for name, text in (("a", "levle = 1"), ("b", "engine = 'claude'"), ("c", "off = true")):
        (folder.path / name).mkdir(parents=True)
        (folder.path / name / ".sessiontrackd.toml").write_text(text + "\n")

    broken, ignored = config.mistakes_below(folder)

    assert "line 1" in broken
    assert f"{folder.path}/b/" in ignored
