"""The next entry of an attempt: how it follows from the one before, and what it costs."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sessiontrackd.budget._entries import Attempt, Entry, blank
from sessiontrackd.model import Usage
from sessiontrackd.pricing import Rates, Tariff, prompt_tokens

Answered = Callable[[Attempt], Tariff | None]  # the tariff of the model that says that it answered


def buckets(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_5m_tokens": usage.cache_write_5m_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "tokens": usage.total_tokens,
    }


def following(attempt: Attempt, kind: str, now: datetime | None = None, **changes: Any) -> Entry:
    """Return the next entry of an attempt: its month and its place stay those of the reservation."""
    at = attempt.last.at if now is None else int(now.timestamp() * 1000)
    nothing: dict[str, Any] = {
        **buckets(Usage()),
        "tokens": 0,
        "picousd": 0,
        "rates": None,
        "owner": None,
        "note": None,
    }
    values = nothing | {"kind": kind, "at": at, "batch_id": attempt.last.batch_id} | changes
    return attempt.reserve._replace(**values)


def following_by(kind: str, now: datetime | None = None, **changes: Any) -> Callable[[Attempt], Entry]:
    return lambda attempt: following(attempt, kind, now, **changes)


def assumption(now: datetime, note: str | None) -> Callable[[Attempt], Entry]:
    """Count the whole reservation as spent."""

    def change(attempt: Attempt) -> Entry:
        most = attempt.reserve
        return following(attempt, "assume", now, note=note, picousd=most.picousd, **buckets(most.usage))

    return change


def settlement(
    usage: Usage, now: datetime, factor: Decimal = Decimal(1), answered: Answered = lambda _: None
) -> Callable[[Attempt], Entry]:
    """Price what was billed with the tariff of the reservation, at the step that the request really reached.

    Where another model answered whose price comes from the same table, and is higher, that one counts: a gateway may pass a
    request on.
    """

    def change(attempt: Attempt) -> Entry:
        asked, other = _tariff_of(attempt.reserve.rates or ""), answered(attempt)
        tariffs = [asked, other] if other and other.base.source == asked.base.source else [asked]
        found = [tariff.rates(prompt_tokens(usage)).times(factor) for tariff in tariffs]
        rates = max(found, key=lambda each: each.cost_picousd(usage))
        cost = rates.cost_picousd(usage)
        return following(attempt, "settle", now, picousd=cost, rates=rates.as_text(), **buckets(usage))

    return change


@functools.lru_cache(maxsize=64)
def tariff_text(tariff: Tariff) -> str:
    steps = [[start, json.loads(rates.as_text())] for start, rates in tariff.steps]
    return json.dumps({"base": json.loads(tariff.base.as_text()), "steps": steps}, separators=(",", ":"))


@functools.lru_cache(maxsize=64)
def _tariff_of(text: str) -> Tariff:
    stored = json.loads(text)
    return Tariff(_rates_of(stored["base"]), tuple((start, _rates_of(rates)) for start, rates in stored["steps"]))


def _rates_of(stored: dict[str, str]) -> Rates:
    source = stored.pop("source")
    return Rates(**{name: Decimal(value) for name, value in stored.items()}, source=source)


def reservation_of(most: Usage, cost_picousd: int, tariff: Tariff, **about: Any) -> Entry:
    """Return the entry of a reservation; the ledger fixes its time and month."""
    values: dict[str, Any] = buckets(most) | about
    return blank("reserve", picousd=cost_picousd, rates=tariff_text(tariff), **values)
