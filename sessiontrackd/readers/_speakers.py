"""Who speaks in plain text: `Name: text` and its relatives, told from fields, headings and code."""

from __future__ import annotations

import itertools
import re
from collections import Counter

from msgspec import Struct

LONGEST_MESSAGE_CHARS = 100_000
LONGEST_HEAD_CHARS = 400  # of a line up to what is said: a message of a chat may name many whom it is for
LONGEST_NAME_WORDS = 4
FEWEST_TURNS = 4
FEWEST_CHANGES = 3  # from one speaker to another
FEWEST_WORDS = 4.0  # a turn has on average; fields have fewer
SPOKEN_SHARE = 0.35  # of the paragraphs that begin with a speaker
SENTENCE_SHARE = 0.4  # of the turns that end like a sentence
CLOCK = r"(?:\d{1,2}:)?\d{1,2}:\d{2}(?:[.,]\d+)?(?:\s*[AaPp]\.?[Mm]\.?)?"
NAME = r"[^\W\d_][^\W_]*(?:[.'’\-][^\W_]+)*\.?(?:[ ][(]?[^\W_]+(?:[.'’\-][^\W_]+)*[).]?)*"
_TURN = re.compile(
    rf"^(?:[\[(]?{CLOCK}[\])]?\s*+[-–—]?\s*+)?(?:\*\*|__)?(?P<name>{NAME})"
    rf"(?:\s*[\[(]{CLOCK}[\])])?(?:\*\*|__)?:(?:\*\*|__)?(?=[ \t]|$)"
)
_CHAT = re.compile(rf"^{CLOCK}\s+From\s+(?P<name>{NAME}?)(?:\s+to\s[^:]++|\s*+):(?=\s|$)")  # Zoom's
MODELS = {"assistant", "ai", "chatgpt", "gpt", "claude", "gemini", "copilot", "bot", "model", "bard", "llm", "cursor"}
_ASKERS = {"user", "human", "you", "me"}
FIELDS = frozenset(
    [
        "abstract",
        "addresses",
        "added",
        "also",
        "arguments",
        "author",
        "authors",
        "bugs",
        "caution",
        "caveats",
        "changed",
        "changes",
        "checks",
        "comment",
        "comments",
        "comments-to",
        "copyright",
        "contact",
        "content",
        "contents",
        "data",
        "date",
        "default",
        "defaults",
        "depends",
        "deprecated",
        "description",
        "details",
        "danger",
        "definition",
        "e.g",
        "eg",
        "email",
        "error",
        "errors",
        "example",
        "examples",
        "fixed",
        "features",
        "file",
        "files",
        "filename",
        "format",
        "from",
        "function",
        "functions",
        "hint",
        "homepage",
        "http",
        "https",
        "i.e",
        "ie",
        "important",
        "in",
        "info",
        "input",
        "inputs",
        "installation",
        "instead",
        "issue",
        "issues",
        "key",
        "keywords",
        "license",
        "licence",
        "link",
        "links",
        "maintainer",
        "message",
        "method",
        "methods",
        "mode",
        "name",
        "names",
        "new",
        "note",
        "notes",
        "nb",
        "option",
        "optional",
        "options",
        "origin",
        "output",
        "outputs",
        "overview",
        "owner",
        "package",
        "parameters",
        "params",
        "path",
        "platform",
        "platforms",
        "prerequisites",
        "problem",
        "purpose",
        "question",
        "questions",
        "raises",
        "reason",
        "ref",
        "reference",
        "references",
        "related",
        "release",
        "removed",
        "replaces",
        "required",
        "requires",
        "result",
        "results",
        "return",
        "returns",
        "revision",
        "see",
        "since",
        "size",
        "solution",
        "source",
        "sources",
        "status",
        "step",
        "steps",
        "subject",
        "summary",
        "syntax",
        "synopsis",
        "tags",
        "test",
        "tests",
        "thanks",
        "tip",
        "title",
        "todo",
        "topic",
        "todos",
        "type",
        "types",
        "update",
        "updates",
        "url",
        "usage",
        "use",
        "uses",
        "value",
        "values",
        "version",
        "versions",
        "warning",
        "warnings",
        "web",
        "website",
        "what",
        "where",
        "why",
        "when",
        "yes",
        "yields",
        "answer",
        "reported",
        "reporter",
        "priority",
        "severity",
        "created",
        "modified",
        "introduction",
        "conclusion",
        "background",
        "security",
        "bugfixes",
        "improvements",
        "documentation",
        "exceptions",
        "attributes",
        "properties",
        "rationale",
        "history",
    ]
)


class Turn(Struct):
    """What one speaker says until another does."""

    speaker: str | None
    text: str
    line: int


def turn_of(line: str, number: int = 0) -> Turn | None:
    """Read `Name: text`, `**Name:** text`, `[00:01:02] Name: text`, `Name (00:01:02): text`; None for another line."""
    if ":" not in line[:120]:
        return None
    found = _CHAT.match(line, 0, LONGEST_HEAD_CHARS) or _TURN.match(line, 0, LONGEST_HEAD_CHARS)
    return Turn(found["name"], line[found.end() :].lstrip(), number) if found and is_name(found["name"]) else None


def is_name(name: str) -> bool:
    """Say whether somebody may be called so; not a field, nor a sentence."""
    words = name.split()
    if len(words) > LONGEST_NAME_WORDS or words[0].lower() in FIELDS or name.lower().rstrip(".") in FIELDS:
        return False
    return name[0].isupper() or not name[0].islower() or name.lower() in _ASKERS


def is_model(speaker: str) -> bool:
    """Say whether the speaker is a machine by name."""
    return speaker.lower().split()[0] in MODELS


def is_dialogue(lines: list[str]) -> bool:
    """Say whether at least two speakers answer each other in most paragraphs of a text."""
    turns = [turn for turn in map(turn_of, lines) if turn is not None]
    speakers = Counter(turn.speaker for turn in turns)
    repeated = [name for name, number in speakers.items() if number > 1]
    if len(turns) < FEWEST_TURNS or len(repeated) < 2 or len(speakers) > len(turns) / 1.5:
        return False
    changes = sum(one.speaker != other.speaker for one, other in itertools.pairwise(turns))
    if changes < FEWEST_CHANGES or _in_fixed_order(turns):
        return False
    paragraphs = sum(
        bool(line.strip()) and not before.strip() for before, line in zip(["", *lines], lines, strict=False)
    )
    spoken = [turn.text for turn in turns if turn.text]
    words = sum(len(text.split()) for text in spoken) / len(spoken) if spoken else FEWEST_WORDS
    sentences = sum(text.rstrip("*_\"')”’ ").endswith((".", "?", "!", "…", "。", "？", "！")) for text in spoken)
    if words < FEWEST_WORDS or sentences < SENTENCE_SHARE * len(spoken):
        return False
    return len(turns) >= SPOKEN_SHARE * min(paragraphs, sum(bool(line.strip()) for line in lines))


def _in_fixed_order(turns: list[Turn]) -> bool:
    """Say whether the same three or more names come again and again in one order, as fields of records do."""
    names = [turn.speaker for turn in turns]
    width = names.index(names[0], 1) if names[0] in names[1:] else 0
    return width > 2 and all(one == other for one, other in zip(names, names[width:], strict=False))
