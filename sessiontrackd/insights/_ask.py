"""The request to an engine at each level: the prompt, the shape of the answer, and the most tokens it may use."""

from __future__ import annotations

import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import structs

from sessiontrackd import condense, templates
from sessiontrackd.errors import Held, SettingsError
from sessiontrackd.insights._models import manner
from sessiontrackd.insights._reading import Reading
from sessiontrackd.model import Ask, InsightLevel, Session

# What a model may write. Everything else of a note (asks, files, commands, tests ...) stays extracted.
KINDS = {
    InsightLevel.MINIMAL: ("todo",),
    InsightLevel.STANDARD: ("decision", "cause", "todo", "question"),
    InsightLevel.COMPREHENSIVE: ("decision", "cause", "todo", "question", "alternative", "lesson", "next_prompt"),
}


def instructions(level: InsightLevel, user_dir: Path | None = None) -> str:
    """Return what a model is told to do with a conversation; the user's own words where there are some.

    Raises:
        Held: the user's words are no template.
    """
    return _words(level.value, {"kinds": templates.Safe(", ".join(KINDS[level]))}, user_dir)


def _words(name: str, values: dict[str, Any], user_dir: Path | None) -> str:
    try:
        return templates.render(f"prompts/{name}", values, user_dir)
    except SettingsError as error:
        raise Held(f"{error} Nothing was sent; then `sessiontrackd retry`.") from error


def _prompt(conversation: str, told: str, boundary: str) -> str:
    """Return the instructions behind a conversation that nothing in it can close."""
    values = {"conversation": templates.Safe(conversation), "boundary": boundary, "instructions": templates.Safe(told)}
    return templates.render("prompts/frame", values)


@cache
def sent_around(level: InsightLevel) -> str:
    """Return what a request of this level holds beside the conversation, for counting."""
    return f"{_prompt('', instructions(level), '0' * 16)}\n{json.dumps(_schema(KINDS[level]))}\n"


def asked(
    reading: Reading, condensed: Session, level: InsightLevel, model: str | None, user_dir: Path | None = None
) -> Ask:
    """Return the ask for an engine that thinks: the condensed session, or a part of it, in a prompt.

    Raises:
        Held: the user's own prompt cannot be used.
    """
    boundary = secrets.token_hex(8)  # data cannot close what it cannot guess
    how = manner(level, model)
    return Ask(
        condensed,
        level,
        reading.facts.findings,
        reading.facts.keywords,
        reading.title,
        text=_prompt(condense.render(condensed), instructions(level, user_dir), boundary),
        schema=_schema(KINDS[level]),
        model=model,
        max_output_tokens=how.max_output_tokens,
        thinking=how.thinking,
        effort=how.effort,
    )


def asked_since(reading: Reading, new: Session, before: str, like: Ask, user_dir: Path | None = None) -> Ask:
    """Return the ask about new messages behind what was known before them; quotes may be of the whole session.

    Args:
        reading: of the session.
        new: the session with the new messages only.
        before: what was known.
        like: an ask about the whole.
        user_dir: the folder of the user's own templates.

    Raises:
        Held: the user's own prompt cannot be used.
    """
    level = like.level
    told = f"{instructions(level, user_dir)}\n{_words('growth', {}, user_dir)}"
    text = _prompt(f"{before}\n\n{condense.render(new)}", told, secrets.token_hex(8))
    schema = _schema(KINDS[level], outdated={"type": "array", "items": {"type": "integer"}})
    return structs.replace(like, session=reading.condensed or new, text=text, schema=schema)


def sent_text(ask: Ask) -> str:
    """Return everything of an ask that a provider counts."""
    return f"{ask.text}\n{json.dumps(ask.schema)}"


def _schema(kinds: tuple[str, ...], **more: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of an answer; lengths and counts are clamped by us, for the API does not enforce them."""
    text = {"type": "string"}
    finding = _object(
        kind={"type": "string", "enum": list(kinds)},
        text=text,
        quote=text,
        messages={"type": "array", "items": {"type": "integer"}},
    )
    return _object(title=text, summary=text, findings={"type": "array", "items": finding}, **more)


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
