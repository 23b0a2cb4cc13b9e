"""Which parts of a text are kept: its ends, and the most informative lines of a result."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from sessiontrackd.facts import outside
from sessiontrackd.patterns import lazy_regex

SALIENT = 2  # test lines, and commit lines, of one result
FAILURES = 4  # names of failed tests of one result
_PIECE_CHARS = 160  # of a sentence, to either side of its telling word
_HEADER_CHARS = 300  # within which a tool's own header ends, before what the command said
_RESULT_LINES = 6  # at the head and at the tail of a shell result

_REMINDER = lazy_regex(r"<system-reminder>.*?(?:</system-reminder>|\Z)", re.DOTALL)
TEST = lazy_regex(
    r"\b\d+ (?:passed|failed|passing|failing|tests?|pass|fail)\b|^(?:ok[ \t]+\S|FAIL[ \t:]+\S|PASS[ \t:]+\S)|--- FAIL|\b[Tt]ests?:\s|\b[Tt]est result:",
    re.MULTILINE,
)
COMMIT = lazy_regex(r"^\[[^\]\n]{1,200} [0-9a-f]{7,40}\] \S", re.MULTILINE)
_FAILED_TEST = lazy_regex(r"^[^\S\n]*(?:--- FAIL|FAILED|✕|✗|×) ?\S", re.MULTILINE)
_HEADER = lazy_regex(r"(?:Chunk ID|Wall time|Process exited|Exit code|Command:)[^\n]*\n(?:[^\n]*\n){0,6}?Output:\n")
_NAMED = lazy_regex(r"`[^`\n]{2,80}`|(?<![\w&])#\d{1,6}\b|https?://[^\s<>()\"'`\]]{8,200}")
_WHY = lazy_regex(
    r"\b(?:because|root cause|instead of|rather than|turns out|caused by|due to|decided|so that)\b", re.IGNORECASE
)
_SENTENCE_END = lazy_regex(r"[.!?](?=\s)|\n")
_SPACE = lazy_regex(r"\s+")
_ERROR = lazy_regex(r"error|fail(?:ed|ure)|exception|traceback|panic|fatal|cannot|not found|denied", re.IGNORECASE)


def spoken(text: str) -> Iterator[tuple[int, int]]:
    """Yield what is left of a human turn without the tool's reminders."""
    if "<system-reminder>" not in text:
        yield 0, len(text)
        return
    yield from outside(text, [match.span() for match in _REMINDER.finditer(text)])


def front(text: str, spans: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    """Yield the first `size` characters of the spans, white space counted as one."""
    for start, end in spans:
        if size > 0:
            at = reach(text, start, end, size)
            yield start, at
            size -= at - start if at < end else len(_SPACE.sub(" ", text[start:end]))


def reach(text: str, start: int, end: int, size: int) -> int:
    """Return where `size` characters from `start` end, white space counted as one."""
    at = start
    while size > 0 and at < end:
        piece = text[at : min(end, at + size)]
        goes_on = at > start and text[at - 1].isspace() and piece[0].isspace()
        size -= len(_SPACE.sub(" ", piece)) - goes_on
        at += len(piece)
    return at


def header_end(text: str) -> int:
    """Return where a tool's own header (exit status, time) ends and the command's output begins; 0 without one."""
    match = _HEADER.match(text, 0, _HEADER_CHARS)
    return match.end() if match else 0


def telling(text: str, start: int, end: int, said: Collection[str]) -> Iterator[tuple[int, int]]:
    """Yield what a reply's part must not lose: its reasons, and the names and links that nothing kept holds yet."""
    pieces: list[tuple[int, int]] = []
    for match in _WHY.finditer(text, start, end):
        least = max(start, match.start() - _PIECE_CHARS, pieces[-1][1] if pieces else 0)
        if match.start() >= least:
            pieces.append(_sentence(text, least, match.span(), end))
    named = {*said, *(name for piece in pieces for name in _NAMED.findall(text, *piece))}
    for match in _NAMED.finditer(text, start, end):
        if match[0] not in named:
            named.add(match[0])
            pieces.append(match.span())
    yield from sorted(pieces)


def _sentence(text: str, least: int, word: tuple[int, int], most: int) -> tuple[int, int]:
    """Return the sentence around a word, or as much of it as is kept."""
    before = [match.end() for match in _SENTENCE_END.finditer(text, least, word[0])]
    after = _SENTENCE_END.search(text, word[1], most := min(most, word[1] + _PIECE_CHARS))
    return before[-1] if before else least, after.start() if after else most


def names_in(text: str) -> list[str]:
    """Return the quoted names, numbers of issues and links in a text."""
    return _NAMED.findall(text)


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
    lines += lines_with(_FAILED_TEST, text, spans)[:FAILURES]
    lines += lines_with(_ERROR, text, spans)[:1]
    return sorted(set(lines))
