"""A session of several parts whose later ones are still to be asked about: what is left, and how both become one insight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import structs

from sessiontrackd.model import Ask, Insight, Message
from sessiontrackd.pricing import summed

LEFT = "parts_left"
ASKED = "parts_asked"
_COUNTED = ("quotes_checked", "quotes_kept")


def is_begun(insight: Insight | None) -> bool:
    """Say whether some parts of a session are asked about and paid for, and others are not yet."""
    return insight is not None and int(insight.provenance.get(LEFT, 0)) > 0


def left_of(messages: Sequence[Message], begun: Insight) -> tuple[Message, ...]:
    """Return the messages behind those that were asked about."""
    upto = int(begun.provenance.get("upto", 0))
    return tuple(message for message in messages if message.index > upto)


def progress(asks: Sequence[Ask], answered: int, begun: Insight | None, *, is_cut: bool) -> Mapping[str, Any]:
    """Return what the receipt and the next time need to know: how many parts of a session were asked about, and up to where."""
    last = asks[answered - 1] if is_cut else asks[-1]
    asked = answered + (int(begun.provenance[ASKED]) if begun else 0)
    left = len(asks) - answered
    told: dict[str, Any] = {"upto": max((message.index for message in last.session.messages), default=0)}
    if asked + left > 1:
        told |= {"note": f"asked in {asked} of {asked + left} parts", ASKED: asked}
    return told | ({LEFT: left} if is_cut else {})


def joined(begun: Insight, rest: Insight) -> Insight:
    """Return one insight of what was asked about first, whose title it keeps, and of the rest."""
    counted = {name: begun.provenance.get(name, 0) + rest.provenance.get(name, 0) for name in _COUNTED}
    return structs.replace(
        rest,
        title=begun.title,
        usage=summed((begun.usage, rest.usage)),
        cost_picousd=begun.cost_picousd + rest.cost_picousd,
        reserved_picousd=begun.reserved_picousd + rest.reserved_picousd,
        provenance={**rest.provenance, **counted},
    )
