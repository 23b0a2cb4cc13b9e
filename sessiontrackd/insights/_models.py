"""The model of each level and its parameters: the one table to update when models come and go."""

from __future__ import annotations

import re
from datetime import date

from msgspec import Struct

from sessiontrackd.model import InsightLevel

AS_OF = date(2026, 11, 25)
"""When this page was last compared. Source: the documentation of the models and the package anthropic 2.12; no model was asked."""

THINKING_TOKENS = 2_000  # more, where a model cannot be kept from thinking; a guess


class Level(Struct, frozen=True):
    """How a level asks."""

    model: str
    max_output_tokens: int
    thinks: bool  # within max_output_tokens
    effort: str
    usual_output_tokens: int  # what an answer is reckoned with before any was seen


LEVELS = {
    InsightLevel.MINIMAL: Level("claude-haiku-5-5", 400, False, "low", 300),
    InsightLevel.STANDARD: Level("claude-haiku-5-5", 1_500, False, "medium", 1_000),
    InsightLevel.COMPREHENSIVE: Level("claude-sonnet-5-5", 6_000, True, "medium", 2_500),
}


class Model(Struct, frozen=True):
    """What a model takes. `off` keeps it from thinking first (None: nothing does), `on` lets it (None: nothing of ours)."""

    off: str | None = "disabled"
    on: str | None = "adaptive"
    has_effort: bool = True
    retires_on: date | None = None


_ALWAYS = Model(off=None)
_BEFORE_ADAPTIVE = Model(on=None, has_effort=False)

MODELS = {
    "claude-haiku-5-5": Model(),
    "claude-sonnet-5-5": Model(off="between_tools"),  # answers 400 to disabled
    "claude-opus-5-5": _ALWAYS,
    "claude-fable-5-2": _ALWAYS,
    "claude-fable-5-1": _ALWAYS,
    "claude-fable-5": _ALWAYS,
    "claude-mythos-5-2": _ALWAYS,
    "claude-mythos-5-1": _ALWAYS,
    "claude-mythos-5": _ALWAYS,
    "claude-opus-5": Model(),
    "claude-sonnet-5": Model(),
    "claude-opus-4-8": Model(),
    "claude-opus-4-7": Model(),
    "claude-opus-4-6": Model(),
    "claude-sonnet-4-6": Model(),
    "claude-opus-4-5": _BEFORE_ADAPTIVE,
    "claude-haiku-4-5": _BEFORE_ADAPTIVE,
    "claude-sonnet-4-5": Model(on=None, has_effort=False, retires_on=date(2026, 11, 30)),
    "claude-mythos-preview": Model(retires_on=date(2026, 6, 30)),
    "claude-opus-4-0": Model(retires_on=date(2026, 6, 15)),
    "claude-opus-4": Model(retires_on=date(2026, 6, 15)),
    "claude-sonnet-4-0": Model(retires_on=date(2026, 6, 15)),
    "claude-sonnet-4": Model(retires_on=date(2026, 6, 15)),
    "claude-3-7-sonnet": Model(retires_on=date(2026, 2, 19)),
    "claude-3-5-haiku": Model(retires_on=date(2026, 2, 19)),
    "claude-3-opus": Model(retires_on=date(2026, 1, 5)),
    "claude-3-sonnet": Model(retires_on=date(2025, 7, 21)),
}


class Manner(Struct, frozen=True):
    """How one model is asked at one level; what is None is not sent."""

    max_output_tokens: int
    thinking: str | None = None
    effort: str | None = None


def known_model(name: str | None) -> Model | None:
    """Return what is known of a model, whose name may end in a date or `-latest`."""
    return MODELS.get(re.sub(r"-(?:20\d{6}|latest)$", "", name or ""))


def manner(level: InsightLevel, name: str | None) -> Manner:
    """Return how a model is asked at a level. A stranger is sent neither thinking nor effort, which it might refuse."""
    how, model = LEVELS[level], known_model(name)
    if model is None:
        return Manner(how.max_output_tokens)
    is_kept_off = not how.thinks and model.off is not None
    thinking = model.off if is_kept_off else model.on
    more = THINKING_TOKENS if not how.thinks and not is_kept_off and model.on else 0
    effort = ("low" if more else how.effort) if model.has_effort else None
    return Manner(how.max_output_tokens + more, thinking, effort)
