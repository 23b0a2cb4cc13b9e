"""Talks with a model as plain text: `User:` and `Assistant:`, `You said:` and `ChatGPT said:`, as headings too."""

from __future__ import annotations

import re
from collections import Counter

from sessiontrackd.readers._speakers import Turn, turn_of

ASKERS = ("user", "human", "you", "me", "prompt")
ANSWERERS = (
    "assistant", "ai", "ai assistant", "chatgpt", "gpt", "gpt-4", "gpt-4o", "gpt-5", "claude", "gemini", "copilot",
    "github copilot", "grok", "deepseek", "perplexity", "mistral", "llama", "response",
)  # fmt: skip
IN_HEADINGS_ONLY = ("prompt", "response")
FEWEST_WORDS = 3  # values of settings have fewer
FEWEST_ALONE = 3  # turns of a talk whose text has more lines before it than a title
TITLE_LINES = 3
_NAMES = "|".join(map(re.escape, sorted((*ASKERS, *ANSWERERS), key=len, reverse=True)))
_STAMP = r"[\[(]?(?:\d{4}-\d{2}-\d{2}[ T])?\d{1,2}:\d{2}(?::\d{2})?(?:[ ][AP]M)?[\])]?"
_TURN = re.compile(
    rf"^[ ]{{0,3}}(?P<heading>#{{1,6}}[ ]+)?(?:{_STAMP}[ ]*(?:[-–—][ ]*)?)?(?:\*\*|__)?(?P<name>{_NAMES})(?P<said>[ ]said|[ ]wrote)?"
    r"(?:[ ][\[(][^\])]{1,40}[\])])?(?:\*\*|__)?(?P<colon>:)?(?:\*\*|__)?(?:[ \t]+(?P<text>\S.*))?[ \t]*$",
    re.IGNORECASE,
)


def role_turn(line: str, number: int = 0) -> Turn | None:
    """Read the line with which the person or the model begins to speak; None for another line."""
    found = _TURN.match(line[:4096])
    if found is None:
        return None
    heading, name = found["heading"], found["name"]
    if not (found["colon"] or (heading and not found["text"])) or (name.lower() in IN_HEADINGS_ONLY and not heading):
        return None
    text = found["text"] or ""
    return Turn(name, text + line[4096:] if text else "", number)


def is_answerer(speaker: str) -> bool:
    """Say whether a name that `role_turn` found is the model's."""
    return speaker.lower() in ANSWERERS


def is_role_chat(lines: list[str]) -> bool:
    """Say whether a person and a model answer each other by these names, from the beginning of the text on.

    Two turns are enough; nobody else may speak more than once.
    """
    turns = [turn for number, line in enumerate(lines) if (turn := role_turn(line, number)) is not None]
    first_answer = next((place for place, turn in enumerate(turns) if is_answerer(turn.speaker or "")), 0)
    said = [_said(lines, turn) for turn in turns[max(0, first_answer - 1) : first_answer + 1]]
    if len(said) < 2 or not all(said) or not any(map(_is_sentence, said)):
        return False
    before = sum(bool(line.strip()) for line in lines[: turns[0].line])
    if before > (TITLE_LINES if len(turns) >= FEWEST_ALONE else 1):
        return False
    others = Counter(turn.speaker for line in lines if role_turn(line) is None and (turn := turn_of(line)) is not None)
    return sum(number > 1 for number in others.values()) < 2


def _said(lines: list[str], turn: Turn) -> str:
    """Return the first words of a turn, in its line or below; empty where there are none."""
    text = turn.text or next((line for line in lines[turn.line + 1 :] if line.strip()), "")
    is_none = not turn.text and role_turn(text) is not None
    return "" if is_none or not any(char.isalpha() for char in text) else text.strip()


def _is_sentence(text: str) -> bool:
    return len(text.split()) >= FEWEST_WORDS or text.endswith((".", "?", "!", "…", "。", "？", "！"))
