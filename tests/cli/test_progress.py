"""How far long work has come."""

from __future__ import annotations

import io

from sessiontrackd.cli._progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_short_work_shows_nothing() -> None:
    """What ends within a second needs no bar."""
    terminal, clock = Terminal(), Clock()

    with Progress("reading", 3, stream=terminal, now=clock) as progress:
        for _ in range(3):
            clock.now_s += 0.3
            progress.step("a.jsonl")

    assert terminal.getvalue() == ""


def test_long_work_shows_count_rate_and_time_left_and_then_goes_away() -> None:
    """The line is drawn over itself and removed at the end."""
    terminal, clock = Terminal(), Clock()

    with Progress("reading", 10, stream=terminal, now=clock) as progress:
        for _ in range(4):
            clock.now_s += 1
            progress.step("evil\x1b[2J.jsonl")

    assert "2/10 · 1.0/s · 8 s left" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_nothing_is_drawn_where_no_terminal_is() -> None:
    """A log or a pipe gets no bar."""
    stream, clock = io.StringIO(), Clock()

    with Progress("reading", 10, stream=stream, now=clock) as progress:
        clock.now_s += 60
        progress.step()

    assert stream.getvalue() == ""


def test_an_unknown_total_shows_count_and_rate_alone() -> None:
    """Nothing is promised that is not known."""
    terminal, clock = Terminal(), Clock()

    with Progress("found", stream=terminal, now=clock) as progress:
        clock.now_s += 2
        progress.step()

    assert "found 1 · 0.5/s" in terminal.getvalue()
    assert "left" not in terminal.getvalue()
