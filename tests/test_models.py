"""Each level asks each model in a way that it takes."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest

from sessiontrackd.engines.claude import _request
from sessiontrackd.insights import AS_OF, LEVELS, known_model
from sessiontrackd.insights._models import MODELS, THINKING_TOKENS, manner
from sessiontrackd.model import Ask, InsightLevel, Session
from tests.counterpart import validator

OFF = {"claude-haiku-5-5": "disabled", "claude-sonnet-5-5": "between_tools"}
UNSTREAMED_TOKENS = 21_334  # from here on the package refuses a request that is not streamed


@pytest.mark.parametrize("level", InsightLevel)
@pytest.mark.parametrize("name", [*MODELS, "my-own-model"])
def test_every_request_is_valid_by_the_sdks_own_types(name: str, level: InsightLevel) -> None:
    """Thinking and effort are words that the package knows, and what is not sent is left out."""
    how = manner(level, name)
    ask = Ask(
        Session("s", "f"), level, text="Hello.", model=name, schema={"type": "object"},
        max_output_tokens=how.max_output_tokens, thinking=how.thinking, effort=how.effort,
    )  # fmt: skip
    request = _request(ask)

    assert [error.message for error in validator().iter_errors(request)] == []
    assert ("thinking" in request) == (how.thinking is not None)
    assert how.max_output_tokens < UNSTREAMED_TOKENS


@pytest.mark.parametrize("name", OFF)
def test_a_short_answer_is_not_thought_about(name: str) -> None:
    """Each model has its own word for it, and answers 400 to another's."""
    assert manner(InsightLevel.STANDARD, name).thinking == OFF[name]


def test_a_model_that_always_thinks_gets_room_for_it() -> None:
    """Else it would use up a short answer's tokens before it wrote a word."""
    how = manner(InsightLevel.MINIMAL, "claude-opus-5-5")

    assert (how.thinking, how.effort) == ("adaptive", "low")
    assert how.max_output_tokens == LEVELS[InsightLevel.MINIMAL].max_output_tokens + THINKING_TOKENS


def test_the_table_knows_every_model_that_the_package_names() -> None:
    """A new version of the package turns this red where it brings a model."""
    from anthropic.types import ModelParam

    named = get_args(get_args(ModelParam)[0])
    assert len(named) > 10
    assert [name for name in named if known_model(name) is None] == []


def test_the_table_knows_when_the_package_sees_a_model_end() -> None:
    """Both name the same day."""
    from anthropic.resources.messages.messages import DEPRECATED_MODELS

    days = {"November 30th, 2026": date(2026, 11, 30), "June 15th, 2026": date(2026, 6, 15)}
    for name, day in DEPRECATED_MODELS.items():
        if day in days:
            found = known_model(name)
            assert found, name
            assert found.retires_on == days[day], name


def test_no_level_asks_a_model_that_ends() -> None:
    """By default nobody meets a retired one."""
    found = [known_model(level.model) for level in LEVELS.values()]

    assert all(model and model.retires_on is None for model in found)
    assert AS_OF.year >= 2026
