"""What an engine is asked at each level: the prompt, the shape of its answer, and the most it may use."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
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


LEVELS = {
    InsightLevel.MINIMAL: Level("claude-haiku-5-5", 400, "disabled"),
    InsightLevel.STANDARD: Level("claude-haiku-5-5", 1500, "disabled"),
    InsightLevel.COMPREHENSIVE: Level("claude-haiku-5-5", 6000, "disabled"),
}


def asked(reading: Reading, condensed: Session, level: InsightLevel, model: str | None) -> Ask:
    """Return the ask for an engine that thinks: the condensed session, or a part of it, in a prompt."""
    text = templates.render(
        f"prompts/{level.value}",
        {
            "conversation": templates.Safe(condense.render(condensed)),
            "boundary": secrets.token_hex(8),  # data cannot close what it cannot guess
            "kinds": list(KINDS[level]),
        },
    )
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
