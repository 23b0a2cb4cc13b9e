"""Every reader, over the shared corpus and over the files of an ordinary system."""

import gzip
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sessiontrackd import readers
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.model import Origin, Role, ToolCall
from sessiontrackd.readers._timeline import answered
from sessiontrackd.records import open_source

ORDINARY = (".md", ".txt", ".rst", ".json")
ENOUGH_ORDINARY = 10_000


def load_check(shared: Path) -> ModuleType:
    """Return the corpus's own check as a module."""
    spec = importlib.util.spec_from_file_location("corpus_check", shared / "corpus" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wrong(check: ModuleType, folder: Path, name: str, entry: dict[str, Any], *, more: bool) -> list[str]:
    """Return what is wrong with the answer about one file."""
    path = folder / name
    try:
        printed = readers.inspect_document(path)
    except SessiontrackdError as error:
        return [] if entry.get("may_refuse") else [str(error)]
    json.dumps(printed, ensure_ascii=False, allow_nan=False).encode()
    return [f"{name}: {one}" for one in (*check.shape(printed, path), *check.differences(entry, printed, more))]


@pytest.mark.parametrize("folder", ["corpus", "hostile/transcripts"])
def test_every_shared_transcript_is_read_exactly(shared: Path, folder: str) -> None:
    """Sessions, turns, tool calls, models, times and tokens equal the independent truth, further facts included."""
    check = load_check(shared)
    names = {reader.NAME for reader in readers.all_readers()}
    loaded = check.load(shared / folder, [])
    files = {name: entry for name, entry in loaded.items() if entry["format"] in names}

    found = [one for name, entry in files.items() for one in wrong(check, shared / folder, name, entry, more=True)]

    assert files
    assert found == []


def test_messages_and_figures_agree(shared: Path) -> None:
    """Who asks for the messages gets the same figures, and indexes that run from 1 without a gap."""
    for name in load_check(shared).load(shared / "corpus", []):
        source = open_source(shared / "corpus" / name)
        figures = readers.inspect_document(source.path)["sessions"]
        for expected, opened in zip(figures, readers.read(source).sessions, strict=True):
            messages = list(opened)
            session = opened.close()
            assert [message.index for message in messages] == list(range(1, len(messages) + 1))
            assert (session.human_turns, session.assistant_turns) == (
                expected["human_turns"],
                expected["assistant_turns"],
            )
            assert all(isinstance(message.text, str) for message in messages)
            humans = sum(message.origin is Origin.HUMAN and message.role is Role.USER for message in messages)
            assert humans >= session.human_turns or session.format == "gemini_cli", (name, humans)


def ordinary_files() -> Iterator[Path]:
    """Yield ordinary text files of this machine."""
    for folder, _, names in os.walk("/usr"):
        for name in names:
            path = Path(folder, name)
            if name.endswith(ORDINARY) and not path.is_symlink():
                yield path


@pytest.mark.prove
def test_ordinary_files_are_no_conversations() -> None:
    """None of the first 10,000 text files below /usr is read as a conversation."""
    paths = [path for path, _ in zip(ordinary_files(), range(ENOUGH_ORDINARY), strict=False)]
    if len(paths) < ENOUGH_ORDINARY:
        pytest.skip(f"only {len(paths)} ordinary files below /usr")

    found = []
    for path in paths:
        try:
            reader = readers.recognise(open_source(path))
        except SessiontrackdError:
            continue
        found += [(path, reader.NAME)] if reader is not None else []

    assert found == []


BREAD = "**User:** How do I bake bread?\n\n**Assistant:** With flour, water, some salt, a spoon of yeast, and above all time: eighteen hours.\n\n"
LEASE = BREAD.replace("bake bread", "end a lease")
CUE = "WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Ada>{}</v>\n\n00:00:05.000 --> 00:00:09.000\n<v Bo>Let us begin then, with last week.</v>\n"


def id_of(path: Path, data: bytes) -> str:
    """Return the id of the one session in a file."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    (opened,) = readers.read(path).sessions
    list(opened)
    session_id: str = opened.close().session_id
    return session_id


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [("notes.md", BREAD, LEASE), ("call.vtt", CUE.format("Welcome, all."), CUE.format("Good morning."))],
)
def test_two_files_of_one_name_are_two_sessions(name: str, one: str, other: str, tmp_path: Path) -> None:
    """Where nothing records an id; it stays when the file is moved, packed or has grown."""
    here = id_of(tmp_path / "a" / name, one.encode())

    assert here != id_of(tmp_path / "b" / name, other.encode())
    assert here == id_of(tmp_path / "c" / name, one.encode())
    assert here == id_of(tmp_path / "d" / f"{name}.gz", gzip.compress(one.encode()))
    assert here == id_of(tmp_path / "e" / name, one.encode() + one.encode().removeprefix(b"WEBVTT\n"))


@pytest.mark.parametrize("text", ["ünïcode", "ü" * 40_000, "a" * 40_000, ""])
def test_a_result_tells_its_full_size(text: str) -> None:
    """In bytes, also where its middle was left out."""
    assert answered(ToolCall("Bash"), text).result_bytes == len(text.encode())
