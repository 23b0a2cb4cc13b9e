"""What an engine is asked at each level: the prompt, the shape of its answer, and the most it may use."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from functools import cache
from typing import Any

from sessiontrackd import condense, templates
from sessiontrackd.insights._reading import Reading
from sessiontrackd.model import Ask, InsightLevel, Session

# What a model may write. Everything else of a note (asks, files, commands, tests ...) stays extracted.
KINDS = {
    InsightLevel.MINIMAL: ("todo",),
    InsightLevel.STANDARD: ("decision", "cause", "todo", "question"),
    InsightLevel.COMPREHENSIVE: ("decision", "cause", "todo", "question", "alternative", "lesson", "next_prompt"),
}


@dataclass(frozen=True, slots=True)
class Level:
    """How a level asks. Source: prices and abilities of the models, November 2026."""

    model: str
    max_output_tokens: int
    thinking: str  # disabled, or adaptive within max_output_tokens
    usual_output_tokens: int  # what an answer is reckoned with before any was seen


LEVELS = {
    InsightLevel.MINIMAL: Level("claude-haiku-5-5", 400, "disabled", 300),
    InsightLevel.STANDARD: Level("claude-haiku-5-5", 1500, "disabled", 1000),
    InsightLevel.COMPREHENSIVE: Level("claude-haiku-5-5", 6000, "disabled", 2500),
}


def _prompt(conversation: str, level: InsightLevel, boundary: str) -> str:
    """Return a level's prompt around the text of a condensed conversation."""
    return templates.render(
        f"prompts/{level.value}",
        {"conversation": templates.Safe(conversation), "boundary": boundary, "kinds": list(KINDS[level])},
    )


@cache
def sent_around(level: InsightLevel) -> str:
    """Return what a request of this level holds beside the conversation, for counting."""
    return f"{_prompt('', level, '0' * 16)}\n{json.dumps(_schema(KINDS[level]))}\n"


def asked(reading: Reading, condensed: Session, level: InsightLevel, model: str | None) -> Ask:
    """Return the ask for an engine that thinks: the condensed session, or a part of it, in a prompt."""
    boundary = secrets.token_hex(8)  # data cannot close what it cannot guess
    text = _prompt(condense.render(condensed), level, boundary)
    schema = _schema(KINDS[level])
    return Ask(
        condensed,
        level,
        reading.facts.findings,
        reading.facts.keywords,
        reading.title,
        text=text,
        schema=schema,
        model=model,
        max_output_tokens=LEVELS[level].max_output_tokens,
        thinking=LEVELS[level].thinking,
    )


def sent_text(ask: Ask) -> str:
    """Return everything of an ask that a provider counts."""
    return f"{ask.text}\n{json.dumps(ask.schema)}"


def _schema(kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return the JSON schema of an answer; lengths and counts are clamped by us, for the API does not enforce them."""
    text = {"type": "string"}
    finding = _object(
        kind={"type": "string", "enum": list(kinds)},
        text=text,
        quote=text,
        messages={"type": "array", "items": {"type": "integer"}},
    )
    return _object(title=text, summary=text, findings={"type": "array", "items": finding})


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
