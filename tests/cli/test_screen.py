"""What a terminal is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import pytest

from sessiontrackd.cli import _screen


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 日本", "plain ünïcode 日本"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07name", "name"),
        ("bell\x07", "bell\\x07"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("two\nlines", "two\\nlines"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("lone \udcff", "lone \\udcff"),
    ],
)
def test_no_text_can_drive_the_terminal(text: str, shown: str) -> None:
    """Escape sequences are dropped; what else could act or hide is shown as an escape."""
    assert _screen.safe(text) == shown


def test_a_block_keeps_its_lines_and_nothing_else_that_acts() -> None:
    """Newlines and tabs stay in a block of text; a carriage return does not."""
    assert _screen.safe_block("a\r\n\tb\rc\x1b[2J") == "a\n\tb\\x0dc"


@pytest.mark.parametrize(
    ("picousd", "shown"),
    [
        (0, "$0"),
        (205_000_000, "$0.000205"),
        (1, "$0.000000000001"),
        (1_234_567_000_000, "$1.23"),
        (99_500_000_000, "$0.0995"),
        (1_000_000_000_000_000, "$1,000.00"),
    ],
)
def test_money_is_short_for_people(picousd: int, shown: str) -> None:
    """Cents where there are some, three significant digits below."""
    assert _screen.usd(picousd) == shown


def test_a_cut_counts_columns_and_not_characters() -> None:
    """Wide characters take two columns, combining ones none."""
    assert _screen.cut("日本語の話", 6) == "日本…"
    assert _screen.cells("e\u0301") == 1
    assert _screen.cut("short", 5) == "short"


def test_a_path_is_cut_in_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a path tells most; a pipe is given all of it."""
    path = "/home/mara/.claude/projects/-home-mara-tide/5f0c.jsonl"
    assert _screen.cut_path(path, 30) == path
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = _screen.cut_path("/home/mara/.claude/projects/-home-mara-tide/5f0c.jsonl", 30)

    assert _screen.cells(shown) == 30
    assert shown.endswith("5f0c.jsonl")


def test_a_wrapped_line_stays_in_its_list_or_quote() -> None:
    """What goes on is indented below its item; a quote keeps its mark."""
    assert _screen.wrap("- [ ] print forty maps", 16) == ["- [ ] print", "      forty maps"]
    assert _screen.wrap("> one two three", 10) == ["> one two", "> three"]
    assert _screen.wrap("", 10) == [""]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min"), (9300, "2 h 35 min"), (7200, "2 h"), (273_600, "3 d 4 h")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, shown: str) -> None:
    """Nobody reads 9300 s."""
    assert _screen.duration(seconds) == shown


@pytest.mark.parametrize(("size", "shown"), [(0, "0 B"), (999, "999 B"), (4_096, "4.1 kB"), (999_990, "1.0 MB")])
def test_a_size_has_one_unit(size: int, shown: str) -> None:
    """And never shows 1000.0 kB."""
    assert _screen.size(size) == shown


def test_a_table_is_aligned_and_nothing_is_cut_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Figures stand to the right; names that could act are escaped before they are measured."""
    _screen.print_table(("n", "path"), [("7", "a" * 300), ("1200", "b\x07")], right=(0,))

    assert capsys.readouterr().out.splitlines() == ["   n  path", "   7  " + "a" * 300, "1200  b\\x07"]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Let stdout be a terminal of so many columns."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))


def test_a_sentence_in_a_table_is_never_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reason is what one looks for: it goes on in its column, or in lines of its own where that is too narrow."""
    row = ("held", "/talks/a.jsonl", "the budget of this month has no room for it; see: budget set /talks/a.jsonl")

    on_a_terminal(monkeypatch, 64)
    _screen.print_table(("state", "path", "reason"), [row], wraps=True)
    wide = capsys.readouterr().out.splitlines()
    on_a_terminal(monkeypatch, 50)
    _screen.print_table(("state", "path", "reason"), [row], wraps=True)
    narrow = capsys.readouterr().out.splitlines()

    assert wide[1].startswith("held   /talks/a.jsonl  the budget")
    assert wide[2].startswith(" " * 23 + "it; see")
    assert narrow[1] == "held   /talks/a.jsonl"
    assert narrow[2].startswith("    the budget")
    assert max(map(len, [*wide, *narrow])) <= 64
    assert " ".join(" ".join(wide).split()) == " ".join(" ".join(narrow).split())


def test_figures_in_a_table_are_never_cut(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where they do not fit beside their names they stand below them."""
    on_a_terminal(monkeypatch, 24)

    _screen.print_table(("model", "calls", "cost"), [("a-model-with-a-name", "7", "$1,204.50+")], right=(1, 2))

    assert click.unstyle(capsys.readouterr().out).splitlines() == [
        *("model", "  calls        cost"),
        *("a-model-with-a-name", "      7  $1,204.50+"),
    ]


def test_json_is_one_document_with_exact_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever stdout's encoding, the document reads back as it was."""
    document = {"title": "Größe 日本", "n": 1}

    _screen.print_json(document)

    assert json.loads(capsys.readouterr().out) == document


def test_an_unknown_time_is_a_question_mark() -> None:
    """Unknown is a state of its own."""
    assert _screen.local_time(None) == "?"
    assert _screen.local_time(datetime(2026, 3, 30, 7, 41, tzinfo=UTC)).startswith("2026-03-")
