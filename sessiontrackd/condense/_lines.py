"""Which parts of a text are kept: its ends, and the lines of a result that say most."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sessiontrackd.facts import outside

SALIENT = 2  # test lines, and commit lines, of one result
_RESULT_LINES = 6  # at the head and at the tail of a shell result

_REMINDER = re.compile(r"<system-reminder>.*?(?:</system-reminder>|\Z)", re.DOTALL)
TEST = re.compile(
    r"\b\d+ (?:passed|failed|passing|failing|tests?|pass|fail)\b|^(?:ok\s+\S|FAIL\b|PASS\b)|--- FAIL|\b[Tt]ests?:\s|\b[Tt]est result:",
    re.MULTILINE,
)
COMMIT = re.compile(r"^\[[^\]\n]{1,200} [0-9a-f]{7,40}\] \S", re.MULTILINE)
_ERROR = re.compile(r"error|fail(?:ed|ure)|exception|traceback|panic|fatal|cannot|not found|denied", re.IGNORECASE)


def spoken(text: str) -> Iterator[tuple[int, int]]:
    """Yield what is left of a human turn without the tool's reminders."""
    if "<system-reminder>" not in text:
        yield 0, len(text)
        return
    yield from outside(text, [match.span() for match in _REMINDER.finditer(text)])


def front(spans: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Yield the first `size` characters of the spans."""
    for start, end in spans:
        if size > 0:
            yield start, min(end, start + size)
        size -= end - start


def back(spans: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Yield the last `size` characters of the spans."""
    found = []
    for start, end in reversed(spans):
        if size > 0:
            found.append((max(start, end - size), end))
        size -= end - start
    yield from reversed(found)


def line_ends(text: str, spans: list[tuple[int, int]], failed: bool) -> list[tuple[int, int]]:
    """Return what may be shown of a result: all of a failed one, else its first and its last lines."""
    if failed:
        return spans
    low, high = spans[0][0], spans[-1][1]
    head = low
    for _ in range(_RESULT_LINES):
        head = text.find("\n", head, spans[0][1]) + 1 or spans[0][1]
        if head == spans[0][1]:
            break
    tail = high
    for _ in range(_RESULT_LINES):
        tail = max(text.rfind("\n", spans[-1][0], tail), spans[-1][0])
    if tail <= head:
        return spans
    return [(low, head), (tail, high)]


def lines_with(pattern: re.Pattern[str], text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return the lines in which a pattern is found: start, end, and where in it."""
    found: dict[int, tuple[int, int, int]] = {}
    for low, high in spans:
        for match in pattern.finditer(text, low, high):
            start = max(text.rfind("\n", 0, match.start()) + 1, low)
            if start not in found:
                end = text.find("\n", match.start(), high)
                found[start] = (start, end if end >= 0 else high, match.start())
    return list(found.values())


def salient(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return the lines of a result that say most: the last of tests and commits, the first that looks like an error."""
    lines = [*lines_with(TEST, text, spans)[-SALIENT:], *lines_with(COMMIT, text, spans)[-SALIENT:]]
    lines += lines_with(_ERROR, text, spans)[:1]
    return sorted(set(lines))
