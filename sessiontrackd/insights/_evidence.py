"""Checks of an answer: a finding is kept only if its quote occurs in a message that it names."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from sessiontrackd.errors import EngineError
from sessiontrackd.insights._ask import KINDS
from sessiontrackd.insights._record import Record, squeezed
from sessiontrackd.model import Ask, Finding, Reply

FINISHED = frozenset({"end_turn", "stop_sequence"})
MOST_FINDINGS = 30
TITLE_CHARS, SUMMARY_CHARS, TEXT_CHARS, QUOTE_CHARS = 80, 700, 400, 400
OPENINGS_MOST = 50  # braces at which an answer may begin, in the prose around it


class Unusable(EngineError):
    """The answer was paid for and is no insight."""


class Shapeless(Unusable):
    """It is complete, and no object of the shape that was asked for; asked again it may be."""


class Checked(Struct, frozen=True):
    """What is left of an answer. `title` and `summary` are empty where they name what the record does not."""

    title: str
    summary: str
    findings: tuple[Finding, ...]
    quotes_checked: int
    replaced: tuple[str, ...] = ()  # of title and summary, what was not kept
    outdated: tuple[int, ...] = ()  # numbers of earlier findings that no longer hold


def checked(ask: Ask, reply: Reply) -> Checked:
    """Return what of a reply is founded in the text that was sent.

    Raises:
        Unusable: the reply was cut, refused, or is no object of the shape that was asked for.
    """
    if reply.stop_reason not in FINISHED:
        raise Unusable(f"the answer ended early ({reply.stop_reason})")
    answer, record = _parsed(reply.text), Record(ask.session.messages)
    stated = [one for one in _list(answer.get("findings")) if isinstance(one, dict)][:MOST_FINDINGS]
    found = [finding for one in stated if (finding := _founded(one, ask, record)) is not None]
    told = {
        "title": _clamped(answer.get("title"), TITLE_CHARS),
        "summary": _clamped(answer.get("summary"), SUMMARY_CHARS),
    }
    replaced = tuple(name for name, text in told.items() if not record.holds(text))
    kept = {name: "" if name in replaced else text for name, text in told.items()}
    outdated = tuple(one for one in _list(answer.get("outdated")) if isinstance(one, int))
    return Checked(kept["title"], kept["summary"], tuple(found), len(stated), replaced, outdated)


def _parsed(text: str) -> dict[str, Any]:
    """Return the object in an answer; servers that ignore the schema put prose around it."""
    decoder, at = json.JSONDecoder(), -1
    for _ in range(OPENINGS_MOST):
        if (at := text.find("{", at + 1)) < 0:
            break
        try:
            answer, _ = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            continue
        if isinstance(answer.get("findings"), list):
            return dict(answer)
    raise Shapeless("the answer does not have the shape that was asked for")


def _founded(stated: dict[str, Any], ask: Ask, record: Record) -> Finding | None:
    """Return a finding whose quote stands in a message that it names, and that names nothing else than the record."""
    kind, text, quote = stated.get("kind"), _clamped(stated.get("text"), TEXT_CHARS), stated.get("quote")
    if kind not in KINDS[ask.level] or not text or not isinstance(quote, str):
        return None
    wanted = squeezed(quote)[:QUOTE_CHARS].rstrip()
    named = [one for one in _list(stated.get("messages")) if isinstance(one, int) and not isinstance(one, bool)]
    places = record.places(wanted, named)
    return Finding(kind, text, wanted, places, "model") if places and record.holds(text) else None


def _clamped(value: object, most: int) -> str:
    text = squeezed(value) if isinstance(value, str) else ""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
