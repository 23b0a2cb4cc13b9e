"""How far long work has come: count, rate and time left, on a terminal and only once it takes a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from sessiontrackd.cli._screen import cells, cut, duration, safe

SILENT_S = 1.0  # what ends sooner needs no bar
REDRAW_S = 0.1
BAR_CELLS = 20


class Progress:
    """A line on stderr that counts steps; as a context manager it removes itself at the end.

    Args:
        label: what is being done.
        total: how many steps there are; None where that is unknown.
        stream: where the line goes; nothing is shown unless it is a terminal.
        now: a clock in seconds that never goes back.
        width: the columns of the terminal.
    """

    def __init__(
        self,
        label: str,
        total: int | None = None,
        *,
        stream: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
        width: int = 79,
    ) -> None:
        """Start the clock."""
        self._label, self._total, self._now, self._width = label, total, now, width
        self._stream = sys.stderr if stream is None else stream
        self._shows = self._stream.isatty()
        self._began_s = self._drawn_s = now()
        self._done = 0
        self._is_drawn = False

    def __enter__(self) -> Self:
        """Return the progress itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the line."""
        self.clear()

    def step(self, name: str = "") -> None:
        """Count one step; `name` is what was just done."""
        self._done += 1
        now_s = self._now()
        if not self._shows or now_s - self._began_s < SILENT_S or now_s - self._drawn_s < REDRAW_S:
            return
        self._drawn_s = now_s
        self._draw(now_s - self._began_s, name)

    def clear(self) -> None:
        """Take the line off the screen, so that other text can be printed."""
        if self._is_drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_drawn = False

    def _draw(self, spent_s: float, name: str) -> None:
        line = f"{self._label} {self._figures(spent_s)}"
        room = self._width - cells(line) - 2
        if name and room >= 10:
            line += "  " + cut(safe(name), room)
        self._stream.write("\r\x1b[K" + cut(line, self._width))
        self._stream.flush()
        self._is_drawn = True

    def _figures(self, spent_s: float) -> str:
        rate = self._done / spent_s
        pace = f"{rate:.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
        if not self._total:
            return f"{self._done:,} · {pace}"
        filled = min(BAR_CELLS * self._done // self._total, BAR_CELLS)
        left_s = max(self._total - self._done, 0) / rate
        bar = "█" * filled + "░" * (BAR_CELLS - filled)
        return f"{bar} {self._done:,}/{self._total:,} · {pace} · {duration(left_s)} left"
