"""Who speaks in transcripts that give name and time a line of their own, the words below: Otter, Teams, Zoom, Descript."""

from __future__ import annotations

import itertools
import re

from sessiontrackd.readers._speakers import CLOCK, FEWEST_WORDS, NAME, SPOKEN_SHARE, Turn, is_name

FEWEST_HEADS = 3
LONGEST_HEAD_CHARS = 120
_TIME = rf"[\[(]?(?P<time>{CLOCK})[\])]?"
_HEADS = (
    re.compile(rf"^(?:\*\*|__)?(?P<name>{NAME})(?:\*\*|__)?(?:\s+|\s*[-–—|,]\s*){_TIME}$"),  # Anna Berg  0:03
    re.compile(rf"^{_TIME}\s*(?:[-–—|]\s*)?(?:\*\*|__)?(?P<name>{NAME})(?:\*\*|__)?:?$"),  # [00:00:03] Anna Berg
    re.compile(rf"^\[(?P<name>{NAME})\]\s+{_TIME}$"),  # [Anna Berg] 10:02:03
)


def stamped_turn(line: str, number: int = 0) -> Turn | None:
    """Read a line that holds a name and a time and nothing else; None for another line."""
    head = _head(line)
    return Turn(head[0], "", number) if head is not None else None


def _head(line: str) -> tuple[str, str] | None:
    line = line.strip()
    if ":" not in line or len(line) > LONGEST_HEAD_CHARS:
        return None
    found = next((found for head in _HEADS if (found := head.match(line))), None)
    return (found["name"], found["time"]) if found is not None and is_name(found["name"]) else None


def is_stamped_talk(lines: list[str]) -> bool:
    """Say whether at least two people speak in turn, the time of each turn not before that of the one before it."""
    heads = [(place, head) for place, line in enumerate(lines) if (head := _head(line)) is not None]
    names = [name for _, (name, _) in heads]
    if len(heads) < FEWEST_HEADS or len(set(names)) < 2 or len(set(names)) == len(names):
        return False
    times = [_seconds(time) for _, (_, time) in heads]
    said = [_below(lines, place) for place, _ in heads]
    if any(later < earlier for earlier, later in itertools.pairwise(times)) or not all(said[:-1]):
        return False
    words = sum(len(text.split()) for text in said) / len(said)
    paragraphs = sum(
        bool(line.strip()) and not before.strip() for before, line in zip(["", *lines], lines, strict=False)
    )
    return words >= FEWEST_WORDS and len(heads) >= SPOKEN_SHARE * paragraphs


def _below(lines: list[str], place: int) -> str:
    """Return the first line of what is said; empty where another head follows, or nothing."""
    text = next((line for line in lines[place + 1 :] if line.strip()), "")
    return "" if _head(text) is not None or not any(char.isalpha() for char in text) else text.strip()


def _seconds(time: str) -> float:
    clock = time.upper().replace(".M", "M").rstrip(".")
    seconds = 0.0
    for part in clock.rstrip("APM. ").replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    if not clock.endswith("M"):
        return seconds
    if clock.count(":") == 1:
        seconds *= 60
    return seconds % 43_200 + 43_200 * clock.rstrip("M").endswith("P")
