"""Bytes become records."""

import gzip
import os
import socket
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sessiontrackd.errors import Skipped, Unreadable
from sessiontrackd.records import Document, Lines, clean_text, count, cut_result, decode_raw, open_source, parse_time


class Line(msgspec.Struct):
    a: Any = None


def write(folder: Path, data: bytes, name: str = "x.jsonl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def lines_of(folder: Path, data: bytes) -> tuple[list[Any], Lines[Line]]:
    lines = Lines(open_source(write(folder, data)), Line)
    return [record.a for _, record in lines], lines


def test_lines_are_split_on_lf_only(tmp_path: Path) -> None:
    """Separators that Python's own splitlines knows stay inside their string."""
    records, lines = lines_of(tmp_path, '{"a": "x\u2028y\u0085z"}\r\n\n{"a": 2}\n'.encode())

    assert records == ["x\u2028y\u0085z", 2]
    assert (lines.lines, lines.bad_lines) == (2, 0)


def test_glued_objects_are_all_kept(tmp_path: Path) -> None:
    """Two whole objects on one line are two records."""
    records, lines = lines_of(tmp_path, b'{"a": 1}{"a": 2}\n{"a": 3}')

    assert records == [1, 2, 3]
    assert (lines.glued_lines, lines.lines) == (1, 2)


def test_an_unfinished_last_line_is_held_back(tmp_path: Path) -> None:
    """It is counted nowhere, also when it ends inside a character."""
    records, lines = lines_of(tmp_path, b'{"a": 1}\n{"a": "\xc3')

    assert records == [1]
    assert (lines.lines, lines.bad_lines, lines.unfinished) == (1, 0, True)


def test_what_is_no_object_is_a_bad_line(tmp_path: Path) -> None:
    """Numbers, lists and torn lines are counted and named in a warning."""
    records, lines = lines_of(tmp_path, b'[1]\n5\n{"a": \n{"a": 1}\n')

    assert records == [1]
    assert lines.bad_lines == 3
    assert lines.warnings()


def test_values_that_cannot_be_kept_are_dropped(tmp_path: Path) -> None:
    """NaN, an endless number and half a surrogate pair do not cost the record."""
    data = b'{"a": NaN}\n{"a": ' + b"9" * 5000 + b'}\n{"a": 1e400}\n{"a": "\\ud83d"}\n{"a": "\xff"}\n'
    records, lines = lines_of(tmp_path, data)

    assert records == [None, None, None, "\ufffd", "\ufffd"]
    assert lines.bad_lines == 0
    assert len(lines.warnings()) == 2


def test_deep_nesting_refuses_the_line(tmp_path: Path) -> None:
    """Brackets without end are a bad line, not a crash."""
    records, lines = lines_of(tmp_path, b'{"a": NaN, "b": ' + b"[" * 300 + b"]" * 300 + b"}\n" + b"[" * 99_999 + b"\n")

    assert records == []
    assert lines.bad_lines == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(tmp_path: Path, encoding: str) -> None:
    """Every Unicode encoding is read as UTF-8."""
    records, _ = lines_of(tmp_path, '{"a": "é漢😀"}\n'.encode(encoding))

    assert records == ["é漢😀"]


def test_packed_files_are_read_through(tmp_path: Path) -> None:
    """The container is known by its first bytes, not by its name."""
    from backports import zstd

    for data in (gzip.compress(b'{"a": 1}\n'), zstd.compress(b'{"a": 1}\n')):
        records, _ = lines_of(tmp_path, data)
        assert records == [1]


@pytest.mark.parametrize("cut", [20, -4])
def test_a_cut_archive_has_a_reason(tmp_path: Path, cut: int) -> None:
    """Half a download is unreadable, in words."""
    path = write(tmp_path, gzip.compress(os.urandom(300))[:cut])

    with pytest.raises(Unreadable, match="cut off or damaged"), open_source(path).open() as file:
        file.read()


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    """What unpacks to two hundred times its size is refused before it fills the memory."""
    path = write(tmp_path, gzip.compress(b" " * 20_000_000))

    with pytest.raises(Unreadable, match="unpacks to more"), open_source(path).open() as file:
        while file.read(1 << 20):
            pass


def test_members_are_streamed_and_never_written(tmp_path: Path) -> None:
    """A member's name is a key, not a path."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../a.json", "[1, 2]")
        archive.writestr("__MACOSX/._a.json", "x")
    source = open_source(path)

    assert source.members == ("../../a.json",)
    assert [bytes(one) for one in Document(source.of_member("../../a.json")).elements()] == [b"1", b"2"]
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_file_is_skipped(tmp_path: Path) -> None:
    """A folder, a pipe, a socket, a link and an empty file have their reasons; nothing blocks."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(write(tmp_path, b"x"))
    write(tmp_path, b"", "empty")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in (".", "pipe", "link", "empty", "socket"):
            with pytest.raises(Skipped):
                open_source(tmp_path / name)
    with pytest.raises(Unreadable):
        open_source(tmp_path / "gone")


def test_a_document_is_walked_in_a_window(tmp_path: Path) -> None:
    """Elements of an array come one at a time, also those that only tolerant decoding reads."""
    big = b'{"t": "' + b"x" * 3_000_000 + b'"}'
    data = b'{"k": 1, "list": [' + big + b', {"n": NaN}, "\\ud800", 5]  ,"z":{"q":[]}}'
    document = Document(open_source(write(tmp_path, data)))

    walked = [(key, len(bytes(raw))) for key, raw in document.members(("list",))]

    assert walked == [("k", 1), ("list", len(big)), ("list", 10), ("list", 5), ("list", 1), ("z", 8)]
    assert document.repaired == 2


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"[1, 2", "ends in the middle"),
        (b'[{"a": 1}, {"b": "c', "ends in the middle"),
        (b'[{"a": 1}', "ends in the middle"),
        (b"[" * 100_000, "ends in the middle"),
        (b"[1 2]", "broken"),
        (b'{"a" 1}', "broken"),
    ],
)
def test_a_broken_document_is_unreadable(tmp_path: Path, data: bytes, state: str) -> None:
    """It says so instead of giving half of it as the whole, and tells what was cut from what is damaged."""
    document = Document(open_source(write(tmp_path, data)))

    with pytest.raises(Unreadable, match=f"{state}. Export or copy it again"):
        list(document.members(()) if data.startswith(b"{") else document.elements())


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01 00:00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600, datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600000, datetime(2026, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+23:59", None),
        ("2026-13-45T99:99:99Z", None),
        (1e300, None),
        (True, None),
        (None, None),
    ],
)
def test_times_are_read_or_left_out(value: object, moment: datetime | None) -> None:
    """Text with or without a zone, seconds, milliseconds; nothing else."""
    assert parse_time(value) == moment


def test_counts_are_counts() -> None:
    """A bool, a negative number and what SQLite cannot hold count nothing."""
    assert [count(value) for value in (5, True, -1, 2**63, "5", None, 7.0)] == [5, 0, 0, 0, 0, 0, 7]


def test_long_results_keep_head_and_tail() -> None:
    """The place of the cut is told."""
    text, at = cut_result("a" * 20_000 + "b" * 20_000)

    assert (len(text), at) == (32_000, 16_000)
    assert cut_result("short") == ("short", None)


def test_text_can_always_be_encoded() -> None:
    """Half a surrogate pair is replaced, a whole one is kept."""
    assert clean_text("a\ud83db").encode()
    assert clean_text("😀") == "😀"


def test_raw_parts_of_the_wrong_shape_keep_what_fits() -> None:
    """Elements that are no objects are left out of a list of objects."""
    assert decode_raw(b'[null, 5, {"a": 1}]', list[Line]) == [Line(1)]
    assert decode_raw(b"5", Line) is None


def test_a_zip_without_its_members_is_refused(tmp_path: Path) -> None:
    """Its directory points to a place before the file's beginning: a reason, no fault of ours."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("conversations.json", "[]" * 100)
    whole = path.read_bytes()
    path.write_bytes(b"PK\x03\x04" + whole[whole.index(b"PK\x01\x02") :])
    source = open_source(path)

    with pytest.raises(Unreadable):
        source.of_member(source.members[0]).open().read()


def test_the_first_objects_of_lines_can_be_looked_at_one_by_one_or_all_together(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"a": 1}\nnoise\n{"b": 2}{"c": 3}\n{"torn": \n{"d": 4}\n')
    shape = open_source(path).shape
    assert (shape.kind, shape.objects[0]) == ("lines", {"a": 1})
    assert next(iter(shape.objects)) == {"a": 1}
    assert list(shape.objects) == [{"a": 1}, {"b": 2}, {"c": 3}, {"d": 4}] == list(shape.objects)
    assert (len(shape.objects), shape.objects[-1], set(shape.keys)) == (4, {"d": 4}, {"a", "b", "c", "d"})
