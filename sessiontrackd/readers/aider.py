"""aider: .aider.chat.history.md, many sessions in one Markdown file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from sessiontrackd.model import Message, Origin, Role, Session, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions
from sessiontrackd.records import Source, parse_time

NAME = "aider"
START = "# aider chat started at "
USER = "#### "
TOOL = "> "
WRITTEN = "  "  # aider ends its own lines with two spaces; a model's heading has none
LONGEST_ANSWER_CHARS = 1_000_000
UNMARKED = (
    "Cost: $",
    "Costs do not reflect",
    "Environment Variables:",
    "Config File (",
    "Defaults:",
    "Option settings:",
)
"""Lines of aider's without a mark: what a request cost, and its settings, whose lines are indented."""
_OWN_WORDS = re.compile(
    rb"^> (?:\$ ?aider\b|Aider v\d|Main model: |Model: |Git repo: |Repo-map: |Added .+ to the chat|Tokens: |Applied edit to )",
    re.MULTILINE,
)
_PROMPT = re.compile(rb"(?:\A|\n)[ \t]*\r?\n#### \S")


def recognises(source: Source) -> bool:
    """Say whether a chat begins in it, or prompts stand beside aider's own words."""
    if source.shape.kind != "text":
        return False
    head = source.head
    if re.search(rb"^# aider chat started at ", head, re.MULTILINE):
        return True
    return _PROMPT.search(head) is not None and _OWN_WORDS.search(head) is not None


class Run(Struct):
    """Consecutive lines of a prompt."""

    lines: list[str]
    number: int

    @property
    def is_strict(self) -> bool:
        """Whether every line ends the way aider writes it."""
        return all(line.endswith(WRITTEN) for line in self.lines)

    @property
    def text(self) -> str:
        """The prompt itself."""
        return "\n".join(line[len(USER) :].removesuffix(WRITTEN) for line in self.lines)


class Other(Struct):
    """Consecutive lines of aider itself, or of the model."""

    is_tool: bool
    number: int
    lines: list[str] = []
    chars: int = 0


def _pieces(source: Source) -> Iterator[str | Run | Other]:
    """Yield session headings, runs of prompt lines, and what stands between."""
    run: Run | None = None
    other: Other | None = None
    was_blank = True
    for number, line in enumerate(source.text_lines(), 1):
        is_user = line.startswith(USER) or (run is not None and line.rstrip() == "####")
        if is_user and (run is not None or was_blank):
            if other is not None:
                yield other
            other, run = None, run or Run([], number)
            run.lines.append(line)
            continue
        if run is not None:
            yield run
            run = None
        was_blank = not line.strip()
        is_tool = line.startswith(TOOL) or line.rstrip() == ">"
        is_tool = (
            is_tool or line.startswith(UNMARKED) or (line.startswith("  ") and other is not None and other.is_tool)
        )
        new = line.startswith(START) or (not was_blank and other is not None and other.is_tool is not is_tool)
        if other is not None and (new or other.chars > LONGEST_ANSWER_CHARS):
            yield other
            other = None
        if line.startswith(START):
            yield line[len(START) :].strip()
        elif other is not None or not was_blank:
            other = other or Other(is_tool, number)
            other.lines.append(line)
            other.chars += len(line)
    yield from (piece for piece in (run, other) if piece is not None)


def read(source: Source) -> Transcript:
    """Return the transcript: a session for each chat that was started, in file order."""
    return many_sessions(source, NAME, _sessions)


def _sessions(source: Source, notes: Notes) -> Iterator[Steps]:
    is_strict = any(isinstance(piece, Run) and piece.is_strict for piece in _pieces(source))
    notes.details.update(human_turns_strict=0, runs_all=0, tool_lines=0)
    history = History(source, notes, is_strict=is_strict)
    yield history.chat()
    while history.heading is not None:
        yield history.chat()


class History:
    """Reads chat after chat from one stream of pieces."""

    def __init__(self, source: Source, notes: Notes, *, is_strict: bool) -> None:
        """Stand before the first chat; what precedes its heading belongs to it."""
        self.heading: str | None = None
        self._pieces = _pieces(source)
        self._notes = notes
        self._is_strict = is_strict
        self._stem = source.own_id
        self._begun: dict[str, int] = {}
        self._first = True

    def chat(self) -> Steps:
        """Read one chat, up to the next heading."""
        figures, timeline = Figures(), Timeline()
        heading, self.heading = self.heading, None
        for piece in self._pieces:
            if isinstance(piece, str):
                if not self._first or heading is not None:
                    self.heading = piece
                    break
                heading = piece
                continue
            yield from self._take(piece, figures, timeline)
        self._first = False
        yield from timeline.rest()
        return self._session(heading, figures)

    def _take(self, piece: Run | Other, figures: Figures, timeline: Timeline) -> Iterator[Message]:
        details = self._notes.details
        if isinstance(piece, Run):
            details["runs_all"] += 1
            details["human_turns_strict"] += piece.is_strict
            if piece.is_strict or not self._is_strict:
                figures.human_turns += 1
                timeline.say(Role.USER, Origin.HUMAN, piece.text, line=piece.number)
            else:
                self._answer("\n".join(piece.lines), piece.number, figures, timeline)
        elif piece.is_tool:
            details["tool_lines"] += sum(line.startswith(TOOL) for line in piece.lines)
            text = "\n".join(line[len(TOOL) :].rstrip() for line in piece.lines)
            if text.strip():
                timeline.say(Role.SYSTEM, Origin.TOOL, text, line=piece.number)
        else:
            self._answer("\n".join(piece.lines).strip("\n"), piece.number, figures, timeline)
        yield from timeline.ready()

    @staticmethod
    def _answer(text: str, number: int, figures: Figures, timeline: Timeline) -> None:
        last = timeline.last()
        if last is not None and last.origin is Origin.MODEL:
            last.texts.append(text)
        elif text.strip() and last is not None:
            figures.assistant_turns += 1
            timeline.say(Role.ASSISTANT, Origin.MODEL, text, line=number)

    def _session(self, heading: str | None, figures: Figures) -> Session:
        figures.saw(parse_time(heading) if heading else None)
        name = re.sub(r"\D+", "-", heading).strip("-") if heading else self._stem
        self._begun[name] = self._begun.get(name, 0) + 1
        again = f"-{self._begun[name]}" if self._begun[name] > 1 else ""
        return figures.session(f"aider-{name}{again}", NAME)
