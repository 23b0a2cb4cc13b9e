"""Output for a terminal: harmless text, aligned tables, money, sizes and times."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from sessiontrackd import pricing

PIPE_WIDTH = 10_000  # nothing is cut where no terminal shows it
LEAST_PROSE = 36  # columns: a sentence in a narrower one is a tower of words

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def safe(text: str) -> str:
    """Return one line that cannot drive a terminal: control, bidi and invisible characters become visible escapes."""
    return _UNSAFE.sub(_escape, _ANSI.sub("", text).replace("\n", "\\n").replace("\t", " "))


def safe_block(text: str) -> str:
    """Return text of several lines that cannot drive a terminal."""
    return _UNSAFE.sub(_escape, _ANSI.sub("", text.replace("\r\n", "\n")))


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def cells(text: str) -> int:
    """Return how many columns a terminal needs for the text."""
    return sum(_cells_of(char) for char in text)


def _cells_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Shorten a line to `width` columns, with an ellipsis where something was left out."""
    if cells(text) <= width:
        return text
    kept, used = [], 1
    for char in text:
        used += _cells_of(char)
        if used > width:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def wrap(line: str, width: int) -> list[str]:
    """Break a line between words; what follows is indented as its list item or quote is, and keeps a quote's mark."""
    found = re.match(r"(> )?(- (\[.\] )?|[0-9]+\. )?", line)
    mark = found[1] or "" if found else ""
    hanging = mark + " " * (found.end() - len(mark) if found else 0)
    return textwrap.wrap(line, width, subsequent_indent=hanging, break_on_hyphens=False) or [""]


def between_words(text: str, width: int) -> list[str]:
    """Break a sentence into lines of `width` columns; a longer word, such as a path to be copied, stays whole."""
    width = max(width, LEAST_PROSE)
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False) or [""]


def cut_path(path: str, width: int) -> str:
    """Shorten a path to `width` columns, from its middle: the end tells most. Whole where stdout is no terminal."""
    if cells(path) <= width or not sys.stdout.isatty():
        return path
    head = max(width // 4, 1)
    return path[:head] + "…" + path[-(width - head - 1) :]


def terminal_width() -> int:
    """Return the columns of the terminal that stdout goes to, or many where it goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def print_table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = (), wraps: bool = False
) -> None:
    """Print aligned columns; on a terminal the last one is cut to what is left of the line.

    Where that one holds figures, which are never cut, the first stands on a line of its own in a terminal too narrow.

    Args:
        headers: one a column.
        rows: cells are made harmless here.
        right: numbers of the columns that hold figures.
        wraps: the last column holds sentences, which are broken between words and never cut.
    """
    lines = [list(headers), *([safe(cell) for cell in row] for row in rows)]
    widths = [max(cells(line[column]) for line in lines) for column in range(len(headers))]
    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    spare = terminal_width() - indent
    to_the_right = set(right)
    is_stacked = len(widths) - 1 in to_the_right and indent + widths[-1] > terminal_width()
    for number, line in enumerate(lines):
        if wraps and number:
            line[-1], *below = _sentence(line[-1], indent, spare)
        else:
            line[-1], below = line[-1] if is_stacked else cut(line[-1], max(spare, 10)), []
        parts = [_pad(cell, widths[at], at in to_the_right) for at, cell in enumerate(line)]
        if is_stacked:
            parts[0] = f"{line[0]}\n"
        text = "  ".join(parts).rstrip()
        click.echo("\n".join([click.style(text, bold=True) if number == 0 else text, *below]))


def _sentence(text: str, indent: int, spare: int) -> list[str]:
    """Break a sentence in its column; where that is too narrow, into lines below an empty cell."""
    if spare < LEAST_PROSE and cells(text) > spare:
        return ["", *(f"    {line}" for line in between_words(text, terminal_width() - 4))]
    first, *rest = between_words(text, spare)
    return [first, *(" " * indent + line for line in rest)]


def _pad(cell: str, width: int, to_the_right: bool) -> str:
    gap = " " * max(width - cells(cell), 0)
    return gap + cell if to_the_right else cell + gap


def print_json(document: Any) -> None:
    """Print one JSON document and nothing else."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    click.echo(json.dumps(document, ensure_ascii=encoding != "utf8", allow_nan=False, default=str))


def usd(picousd: int) -> str:
    """Return money for people: cents where there are some, three significant digits below."""
    return pricing.usd_shown(picousd)


def count(number: int, noun: str) -> str:
    """Return `1 session`, `2 sessions`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def size(number_bytes: int) -> str:
    """Return a size as people read it: 512 B, 4.1 kB, 23.9 MB."""
    if number_bytes < 1000:
        return f"{number_bytes} B"
    if number_bytes < 999_950:
        return f"{number_bytes / 1e3:.1f} kB"
    if number_bytes < 999_950_000:
        return f"{number_bytes / 1e6:.1f} MB"
    return f"{number_bytes / 1e9:.1f} GB"


def duration(seconds: float) -> str:
    """Return a span of time in its two largest units: 42 s, 5 min, 2 h 35 min, 3 d 4 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def local_time(at: datetime | None) -> str:
    """Return a time in the zone of this machine, to the minute; `?` where it is unknown."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M") if at is not None else "?"
