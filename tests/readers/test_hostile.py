"""What nobody should write into a transcript: it ends cleanly, and says so."""

import json
import random
import re
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sessiontrackd import readers
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.model import InsightLevel
from sessiontrackd.pipeline import preview
from sessiontrackd.records import open_source

PARSING = "hostile/JSONTestSuite/test_parsing"
SUITE_FILES = 318
BOUND_S = 10.0
QUICK_EXAMPLES = 1200
LARGEST_SEED_BYTES = 200_000
MOST_BYTES_FLIPPED = 30


def tried(path: Path) -> dict[str, Any] | SessiontrackdError:
    """Inspect a file and read its messages; only a refusal with words is forgiven."""
    try:
        document = readers.inspect_document(path)
        for opened in readers.read(open_source(path)).sessions:
            for message in opened:
                message.text.encode()
    except SessiontrackdError as error:
        assert str(error)
        return error
    json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    return document


def claude(text: object, number: int = 1) -> bytes:
    """Return a line of Claude Code around a value that is JSON already, or any other."""
    value = text if isinstance(text, bytes) else json.dumps(text).encode()
    head = f'{{"type":"user","sessionId":"s","uuid":"u{number}","parentUuid":null,"message":{{"role":"user","content":'
    return head.encode() + value + b"}}\n"


@pytest.mark.parametrize("shape", ["bare", "in a line"])
def test_the_json_test_suite_ends_cleanly(shared: Path, tmp_path: Path, shape: str) -> None:
    """318 of 318: as a file, and as a value within a line, between two whole lines that are both read."""
    paths = sorted((shared / PARSING).glob("*.json"))
    assert len(paths) == SUITE_FILES
    slowest = 0.0
    for path in paths:
        begun = time.monotonic()
        if shape == "bare":
            tried(path)
        else:
            around = tmp_path / "a.jsonl"
            value = path.read_bytes().replace(b"\n", b" ")
            around.write_bytes(claude("first") + claude(value, 2) + claude("last", 3))
            document = tried(around)
            assert isinstance(document, dict), (path.name, document)
            assert document["sessions"][0]["human_turns"] >= 2, path.name
        slowest = max(slowest, time.monotonic() - begun)

    assert slowest < BOUND_S


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000])
def test_a_value_that_is_no_number_is_dropped_with_a_warning(tmp_path: Path, number: str) -> None:
    """The rest of the line is read."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(claude("hello").replace(b'"message":', f'"odd":{number},"message":'.encode()))

    document = tried(path)

    assert isinstance(document, dict)
    assert document["sessions"][0]["human_turns"] == 1
    assert document["warnings"] or number[0] in "19"  # one that is JSON, in a field that is not read, harms nobody


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 5000])
def test_a_count_that_is_no_number_is_no_count(tmp_path: Path, number: str) -> None:
    """It adds nothing to the sums, and the warnings tell of the line."""
    path = tmp_path / "a.jsonl"
    reply = (
        '{"type":"assistant","sessionId":"s","uuid":"u2","parentUuid":null,"requestId":"r","message":{"role":"assistant",'
        f'"id":"m","model":"x","usage":{{"input_tokens":7,"output_tokens":{number}}},"content":"hi"}}}}\n'
    )
    path.write_bytes(claude("hello") + reply.encode())

    document = tried(path)

    assert isinstance(document, dict)
    usage = document["sessions"][0]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (7, 0)
    assert document["warnings"]


def test_deep_nesting_refuses_the_line(tmp_path: Path) -> None:
    """The lines around it are read, and the one that was dropped is counted."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(claude("first") + b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n" + claude("last", 2))

    document = tried(path)

    assert isinstance(document, dict)
    assert document["sessions"][0]["human_turns"] == 2
    assert any("dropped" in one for one in document["warnings"])


def naughty(shared: Path) -> list[str]:
    found: list[str] = json.loads((shared / "hostile/blns.json").read_text("utf-8"))
    return found


def test_naughty_strings_come_through_unharmed(shared: Path, tmp_path: Path) -> None:
    """What a person typed is what is read, but for the blanks and NULs around it."""
    strings = [text for text in naughty(shared) if text.strip()]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"role": "user", "content": text} for text in strings]), encoding="utf-8")

    document = tried(path)
    messages = [one for opened in readers.read(open_source(path)).sessions for one in opened]

    assert isinstance(document, dict)
    assert document["sessions"][0]["human_turns"] == len(strings)
    assert [one.text.strip() for one in messages] == [text.replace("\0", "").strip() for text in strings]


@pytest.mark.parametrize("level", list(InsightLevel))
def test_a_whole_note_of_naughty_strings_is_written(shared: Path, tmp_path: Path, level: InsightLevel) -> None:
    """As title, question, answer, tool, file and result; no tag and no template of theirs is in force."""
    lines = []
    for number, text in enumerate(naughty(shared)):
        call = {
            "id": f"t{number}",
            "type": "function",
            "function": {"name": text, "arguments": json.dumps({"path": text})},
        }
        lines += [
            {"role": "user", "content": text},
            {"role": "assistant", "content": text, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"t{number}", "content": text},
        ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"messages": lines}), encoding="utf-8")

    note = preview(path, level, UTC)

    body = note.split("---\n", 2)[2]
    assert body.encode()
    assert not re.search(r"^\s*<(script|img|iframe|svg)", body, re.MULTILINE | re.IGNORECASE)
    assert all(ord(char) >= 32 or char in "\n\t" for char in body)


INSERTS = (
    b"\0" * 50, b"\xff\xfe", b"NaN", b"null", b"[" * 300, b'{"type":', b'"', b"\\ud800", b"1e999", b"\n", b"}{", b"\xe2\x80\xa8",
    b"-" + b"9" * 5000, b"true", b"[]", b"{}", b'"message":null,', b'"content":[null,1,{}],', b'"timestamp":1e300,',
)  # fmt: skip
CHANGES: dict[str, Callable[[random.Random, bytes, bytes], bytes]] = {
    "cut": lambda dice, data, other: data[: dice.randrange(len(data) + 1)],
    "behead": lambda dice, data, other: data[dice.randrange(len(data) + 1) :],
    "flip": lambda dice, data, other: flipped(dice, data),
    "insert": lambda dice, data, other: inserted(dice, data, dice.choice(INSERTS)),
    "glue": lambda dice, data, other: data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other) + 1) :],
    "no line ends": lambda dice, data, other: data.replace(b"\n", b"", dice.randrange(1, 5)),
}


def flipped(dice: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randrange(1, MOST_BYTES_FLIPPED) if changed else 0):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def inserted(dice: random.Random, data: bytes, what: bytes) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + what + data[at:]


def seeds(shared: Path) -> list[Path]:
    """Return the smaller files of the corpus, in order."""
    folders = [shared / "corpus", shared / "hostile/transcripts"]
    found = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    skipped = {"licences", "truth.json", "manifest.json", "expected.json", "README.md", "check.py"}
    return [
        path
        for path in found
        if not skipped & {path.name, path.parent.name} and path.stat().st_size < LARGEST_SEED_BYTES
    ]


def fuzz(shared: Path, folder: Path, examples: int) -> None:
    paths = seeds(shared)
    assert len(paths) > 30

    @settings(max_examples=examples)
    @given(
        st.sampled_from(paths),
        st.sampled_from(paths),
        st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=4),
        st.integers(0, 2**32),
    )
    def one(path: Path, other: Path, changes: list[str], seed: int) -> None:
        dice, data = random.Random(seed), path.read_bytes()
        for change in changes:
            data = CHANGES[change](dice, data, other.read_bytes())
        broken = folder / f"fuzz{path.suffix}"
        broken.write_bytes(data)
        tried(broken)

    one()


def test_broken_transcripts_end_in_clean_refusals(shared: Path, tmp_path: Path) -> None:
    """Cut, flipped, inserted into and glued: read, or refused with words, never anything else."""
    fuzz(shared, tmp_path, QUICK_EXAMPLES)


@pytest.mark.prove
def test_many_more_broken_transcripts_end_in_clean_refusals(shared: Path, tmp_path: Path) -> None:
    """The same at length."""
    fuzz(shared, tmp_path, QUICK_EXAMPLES * 50)
