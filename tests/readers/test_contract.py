"""The contract that every reader keeps, and the door by which other packages add theirs."""

import json
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from sessiontrackd import readers
from sessiontrackd.contracts import Reader
from sessiontrackd.readers.contract import ReaderContract

LARGEST_SAMPLE_BYTES = 2_000_000
OTHERS_READER = """
from sessiontrackd.model import Message, Origin, Role, Session, Transcript
from sessiontrackd.contracts import OpenSession

NAME = "ping_pong"

def recognises(source):
    return source.head.startswith(b"PING PONG")

def _steps(source):
    count = 0
    for line in list(source.text_lines())[1:]:
        count += 1
        yield Message(count, Role.USER, Origin.HUMAN, line)
    return Session("p1", NAME, human_turns=count)

def read(source):
    return Transcript(source.path, NAME, True, iter([OpenSession(_steps(source))]))
"""


@pytest.fixture(params=readers.READERS)
def reader(request: pytest.FixtureRequest) -> Reader:
    return next(one for one in readers.all_readers() if one.__name__.endswith(f".{request.param}"))  # type: ignore[attr-defined]


@pytest.fixture
def sample(reader: Reader, shared: Path) -> Path:
    """Return the smallest file of the corpus in the reader's format."""
    corpus = json.loads((shared / "corpus/truth.json").read_text("utf-8"))
    entries = corpus.get("files", corpus)
    paths = [shared / "corpus" / name for name, one in entries.items() if one.get("format") == reader.NAME]
    small: list[Path] = sorted(path for path in paths if path.is_file() and path.stat().st_size < LARGEST_SAMPLE_BYTES)
    if not small:
        pytest.skip(f"no small sample of {reader.NAME} in the corpus")
    return min(small, key=lambda path: path.stat().st_size)


class TestContract(ReaderContract):
    """Every reader of ours keeps it."""


class Others:
    """The entry points of another package."""

    def __init__(self, folder: Path) -> None:
        (folder / "ping_pong_reader.py").write_text(OTHERS_READER, encoding="utf-8")
        info = folder / "ping_pong-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ping-pong\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text("[sessiontrackd.readers]\nping = ping_pong_reader\n", encoding="utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Install a package with a reader, as far as Python's own metadata goes."""
    folder = tmp_path / "site"
    folder.mkdir()
    Others(folder)
    monkeypatch.syspath_prepend(str(folder))
    readers.others.cache_clear()
    yield folder
    readers.others.cache_clear()
    sys.modules.pop("ping_pong_reader", None)


def test_another_package_adds_a_format(installed: Path, tmp_path: Path) -> None:
    """Its reader is asked after ours, and what it reads is inspected like any other."""
    path = tmp_path / "a.ping"
    path.write_text("PING PONG\nhello\nagain\n", encoding="utf-8")

    document = readers.inspect_document(path)

    assert [*readers.all_readers()][-1].NAME == "ping_pong"
    assert document["format"] == "ping_pong"
    assert document["sessions"][0]["human_turns"] == 2


class TestTheirs(ReaderContract):
    """The contract is theirs to run."""

    @pytest.fixture
    def reader(self, installed: Path) -> Reader:
        return [*readers.all_readers()][-1]

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Path:
        path = tmp_path / "a.ping"
        path.write_text("PING PONG\nhello\nagain\n", encoding="utf-8")
        return path


def test_the_page_of_formats_names_every_reader() -> None:
    """What is read stands in docs/formats.md."""
    page = (Path(__file__).parents[2] / "docs/formats.md").read_text("utf-8")

    assert [one.NAME for one in readers.all_readers() if f"`{one.NAME}`" not in page] == []
    assert EntryPoint("x", "y", readers.GROUP).group in page
