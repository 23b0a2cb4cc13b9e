"""The telling lines of a tool's result: the one that names the error, the one that counts the tests."""

from __future__ import annotations

import re

from sessiontrackd.facts import _actions as actions
from sessiontrackd.facts._text import Span
from sessiontrackd.model import ToolCall
from sessiontrackd.patterns import lazy_regex

TEST_LINES = 40
FEW_LINES = 6
"""Of a result this short the last line tells what was wrong, whatever it says."""
TAIL_CHARS = 4_000
ERROR_LINES = 300
"""How many lines of a failed result are looked at, from its end."""

_ERROR = lazy_regex(
    r"(?:\b\w*(?:Error|Exception)\b\s?[:(]|^\s*(?:error|fatal|panic|FAIL|FAILED|E  )\b|\berror(?:\[\w+\])?:|\bcannot\b|not found|No such file|"
    r"\bdenied\b|\bundefined\b|\bfailed\b|\bfailure\b|✗|✘|\bmissing\b|\binvalid\b|\bunexpected\b|\bunable to\b|\bconflict\b)",
    re.IGNORECASE,
)
_SPECIFIC = lazy_regex(
    r"\b\w*(?:Error|Exception)\b\s?[:(]|error(?:\[\w+\]| \w+\d)?:|^\s*[×✖✗✘] \S|fatal:|panic:|--- FAIL|^E  |\.go:\d+:\d+:|_test\.go:\d+: |^\s*\d+:\d+\s+error\s|No such file|not found|denied|undefined:",
    re.IGNORECASE,
)
_DULL = lazy_regex(
    r"^\s*(?:exit code:? \d+|process exited with code.*|wall time.*|chunk id.*|original token count.*|output:|total output lines.*|"
    r"make(?:\[\d+\])?: \*\*\* .*|error: (?:recipe|task|command|script) .*(?:failed|exited).*|npm err! (?:code|errno|path|command|lifecycle).*|"
    r"ELIFECYCLE.*|\s*at .*|-+|=+|FAIL|error|\[mise\].*|exit status \d+|.*exited with code \d+\.?|\{.*\}|~+|\^+|Found \d+ errors?.*|.*a complete log of this run.*|npm err(?:or|!) command.*|waiting for the debugger.*|debugger attached.*|command exited.*|> .*|.*[━─]{5}.*|Found \d+ (?:warnings?|infos?).*|Checked \d+ files.*|npm err(?:or|!) lifecycle.*|× (?:some errors|formatter would|file content differs) .*|npm err(?:or|!) (?:code|path|workspace|location|command).*|\$ .*|\[[\w:-]+\] (?:ERROR )?(?:task|command|script)?\s*(?:failed|\$).*|FAIL\s+\S+(?:\s+(?:\[build failed\]|[\d.]+m?s))?|[\d\s+·.-]*[│┃|].*|[├└╰╭─].*|coverage: .*|BUILD FAILED.*|error: failed to solve.*|[✖✗×] \d+ problems? .*|done\. pass=.*|(?:test suites|snapshots|time|duration|start at|ran all test suites):? .*)\s*$",
    re.IGNORECASE,
)
_HINTS = (
    "error", "exception", "fatal", "panic", "fail", "e  ", "cannot", "not found", "no such file", "denied", "undefined", "✗", "✘", "✖", "×",
    "missing", "invalid", "unexpected", "unable to", "conflict", ".go:",
)  # fmt: skip
"""Each line that looks like an error holds one: plain searches, which are fast."""
_FINE = lazy_regex(r"\s*(?:ok|PASS|=== |--- PASS|\?|✓|✔|√|\d+ passed)", re.IGNORECASE)
_PLACE = lazy_regex(r"\S+(?::\d+(?::\d+)?|\(\d+,\d+\)): ")
_TEST_WORDS = ("pass", "PASS", "fail", "FAIL", "ok ", "tests", "Tests", "Ran ", "examples", "specs", "assertions", "test result")  # fmt: skip
_PACKAGE = lazy_regex(r"(?:ok|PASS|\?)\s+\S+(?:\s|$)|PASS$")
_TEST_LINE = lazy_regex(
    r"\b\d+ (?:passed|failed|passing|failing|tests? (?:passed|failed)|pass|fail|examples?|specs?|assertions?)\b|\btests?:\s+\d|\btest result:|"
    r"^(?:ok|FAIL|---\s*FAIL|PASS)(?::|\s|$)|\bRan \d+ tests?\b|\bAll (?:\d+ )?tests? pass",
    re.IGNORECASE | re.MULTILINE,
)


def error_line(call: ToolCall) -> tuple[str, Span] | None:
    """Return the line of a failed result that says what was wrong: the last specific one, else the last that looks so; None where none does."""
    best: tuple[str, Span] | None = None
    short = (call.result or "").count("\n") < FEW_LINES
    for text, start, end in reversed(actions.whole_parts(call)):
        at = end
        for _ in range(ERROR_LINES):
            line_start = text.rfind("\n", start, at) + 1 or start
            line = text[line_start:at]
            low = line.lower()
            if (
                (short or any(hint in low for hint in _HINTS))
                and not _DULL.match(line.strip())
                and any(char.isalpha() for char in line)
            ):
                span = _stripped(text, line_start, at)
                if _SPECIFIC.search(line):
                    return text, _first_of_group(text, start, span)
                if _ERROR.search(line) or (not best and short and not _FINE.match(line)):
                    best = best or (text, span)
            if line_start <= start:
                break
            at = line_start - 1
    return best


def _first_of_group(text: str, least: int, span: Span) -> Span:
    """Compilers list places: the first of them is the error, what follows hangs on it."""
    while _PLACE.match(text, *span):
        end = text.rfind("\n", least, span[0])
        if end <= least:
            break
        start = text.rfind("\n", least, end) + 1 or least
        above = _stripped(text, start, end)
        if not _PLACE.match(text, *above):
            break
        span = above
    return span


def last_test_line(call: ToolCall) -> tuple[str, Span] | None:
    """Return the last line of a result that says how the tests went."""
    for text, start, end in reversed(actions.whole_parts(call)):
        low, at = max(start, end - TAIL_CHARS), end
        tail = text[low:end]
        # Looking from the start is faster than from the end.
        places = {word: text.rfind(word, low, end) for word in _TEST_WORDS if word in tail}
        for _ in range(TEST_LINES):
            places = {
                word: place if place + len(word) <= at else text.rfind(word, low, at) for word, place in places.items()
            }
            at = max(places.values(), default=-1)
            if at < 0:
                break
            line_start, line_end = text.rfind("\n", start, at) + 1 or start, text.find("\n", at, end)
            line = text[line_start : line_end if line_end >= 0 else end]
            if _TEST_LINE.search(line) and not _PACKAGE.match(line):
                return text, _stripped(text, line_start, line_start + len(line))
            at = line_start
    return None


def _stripped(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
