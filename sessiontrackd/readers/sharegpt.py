"""ShareGPT: {"conversations": [{"from", "value"}]}, alone, in an array, or one a line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._rows import rows
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions
from sessiontrackd.records import Source, as_text

NAME = "sharegpt"
HUMANS = ("human", "user")
MODELS = ("gpt", "assistant", "chatgpt", "bing", "bard")
RESULTS = ("observation", "tool")
TELLING = re.compile(rb'"from"\s*:\s*"[a-z_]+"')


class Turn(Struct):
    """One turn."""

    who: Any = None
    value: Any = None


class Row(Struct):
    """One conversation."""

    id: Any = None
    conversations: Any = None


def recognises(source: Source) -> bool:
    """Say whether conversations of turns with from and value stand in it."""
    shape = source.shape
    if "conversations" not in shape.keys or shape.kind not in ("lines", "array", "object"):
        return False
    if shape.objects:
        return any(_turns(one.get("conversations")) for one in shape.objects)
    return TELLING.search(source.head) is not None and b'"value"' in source.head


def _turns(value: object) -> list[Turn]:
    turns = value if isinstance(value, list) else []
    return [Turn(one.get("from"), one.get("value")) for one in turns if isinstance(one, dict) and "from" in one]


def read(source: Source) -> Transcript:
    """Return the transcript: a session for each conversation, in file order."""
    return many_sessions(source, NAME, _sessions)


def _sessions(source: Source, notes: Notes) -> Iterator[Steps]:
    notes.details.update(tool_results=0, other={})
    for number, row in enumerate(rows(source, Row, notes), 1):
        if isinstance(row.conversations, list):
            yield _steps(as_text(row.id) or f"{source.own_id}-{number}", _turns(row.conversations), notes)
        else:
            notes.warnings.append(f"row {number} holds no conversation and was left out")


def _steps(session_id: str, turns: list[Turn], notes: Notes) -> Steps:
    figures, timeline, other = Figures(), Timeline(), Counter[str](notes.details["other"])
    for turn in turns:
        text = turn.value if isinstance(turn.value, str) else ""
        if turn.who in HUMANS:
            figures.human_turns += 1
            timeline.say(Role.USER, Origin.HUMAN, text)
        elif turn.who in MODELS:
            figures.assistant_turns += 1
            timeline.say(Role.ASSISTANT, Origin.MODEL, text)
        elif turn.who == "function_call":
            figures.tool_calls += 1
            _call(text, timeline)
        elif turn.who in RESULTS:
            notes.details["tool_results"] += 1
            timeline.result(timeline.open_call, text)
        else:
            other[str(turn.who)] += 1
            timeline.say(Role.SYSTEM, Origin.META, text)
        yield from timeline.ready()
    yield from timeline.rest()
    notes.details["other"] = dict(other)
    return figures.session(session_id, NAME)


def _call(text: str, timeline: Timeline) -> None:
    draft = timeline.say(Role.ASSISTANT, Origin.MODEL)
    timeline.open_call = f"call-{draft.index}"
    timeline.call(draft, "function_call", {"input": text}, timeline.open_call)
