"""Check an answer: a finding stands only if its quote stands in a message that it names."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from sessiontrackd.errors import EngineError
from sessiontrackd.insights._ask import KINDS
from sessiontrackd.model import Ask, Finding, Reply

FINISHED = frozenset({"end_turn", "stop_sequence"})
MOST_FINDINGS = 30
TITLE_CHARS, SUMMARY_CHARS, TEXT_CHARS, QUOTE_CHARS = 80, 700, 400, 400
_CHECKABLE = re.compile(
    r"\w*\d[\w.,:%]*\w|\d|[\w.-]+/[\w./-]+|\b\w+\.(?:py|js|ts|go|rs|md|json|toml|ya?ml|sh|c|h|sql)\b"
)
_SPACE = re.compile(r"\s+")


class Unusable(EngineError):
    """The answer was paid for and is no insight."""


class Shapeless(Unusable):
    """It is complete, and no object of the shape that was asked for; asked again it may be."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What is left of an answer. `title` and `summary` are empty where they name what the session does not."""

    title: str
    summary: str
    findings: tuple[Finding, ...]
    quotes_checked: int

    @property
    def quotes_kept(self) -> int:
        """How many findings stood."""
        return len(self.findings)


def checked(ask: Ask, reply: Reply) -> Checked:
    """Return what of a reply is founded in the text that was sent.

    Raises:
        Unusable: the reply was cut, refused, or is no object of the shape that was asked for.
    """
    if reply.stop_reason not in FINISHED:
        raise Unusable(f"the answer ended early ({reply.stop_reason})")
    answer = _parsed(reply.text)
    sent = {message.index: _squeezed(_whole(message)) for message in ask.session.messages}
    everything = " ".join(sent.values())
    stated = [one for one in _list(answer.get("findings")) if isinstance(one, dict)][:MOST_FINDINGS]
    found = [finding for one in stated if (finding := _founded(one, ask, sent)) is not None]
    title = _clamped(answer.get("title"), TITLE_CHARS)
    summary = _clamped(answer.get("summary"), SUMMARY_CHARS)
    return Checked(
        title if _names_only(title, everything) else "",
        summary if _names_only(summary, everything) else "",
        tuple(found),
        len(stated),
    )


def _whole(message: Any) -> str:
    """Return everything of a message that was sent: its text, and its calls with their results."""
    calls = [
        f"{call.name} {' '.join(map(str, call.arguments.values()))} {call.result or ''}" for call in message.tool_calls
    ]
    return " ".join([message.text, *calls])


def _parsed(text: str) -> dict[str, Any]:
    """Return the object in an answer; servers that ignore the schema put prose around it."""
    start, end = text.find("{"), text.rfind("}")
    try:
        answer = json.loads(text[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("findings"), list):
        raise Shapeless("the answer has not the shape that was asked for")
    return answer


def _founded(stated: dict[str, Any], ask: Ask, sent: dict[int, str]) -> Finding | None:
    """Return a finding whose quote stands in a message that it names, and that names nothing else than the session."""
    kind, text, quote = stated.get("kind"), _clamped(stated.get("text"), TEXT_CHARS), stated.get("quote")
    if kind not in KINDS[ask.level] or not text or not isinstance(quote, str):
        return None
    wanted = _squeezed(quote)[:QUOTE_CHARS]
    named = [one for one in _list(stated.get("messages")) if isinstance(one, int) and not isinstance(one, bool)]
    places = tuple(dict.fromkeys(one for one in named if len(wanted) > 2 and wanted in sent.get(one, "")))
    if not places or not _names_only(text, " ".join(sent.values())):
        return None
    return Finding(kind, text, wanted, places, "model")


def _names_only(text: str, everything: str) -> bool:
    """Say whether every number, path and file name of a text occurs in the session."""
    lowered = everything.lower()
    return all(one.lower().strip(".,:%") in lowered for one in _CHECKABLE.findall(text))


def _clamped(value: object, most: int) -> str:
    text = _squeezed(value) if isinstance(value, str) else ""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _squeezed(text: str) -> str:
    return _SPACE.sub(" ", text).strip()


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
