"""A price of the user's own, from a [[prices]] entry of the settings file."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from msgspec import Struct, structs

RATES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


class Price(Struct, frozen=True):
    """USD per million tokens of each bucket; None where the usual multiple of the input holds."""

    model: str | None = None  # None: every model of the provider
    provider: str | None = None  # None: whoever sells it
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None
    from_date: date | None = None
    is_free: bool = False

    @property
    def rates(self) -> dict[str, Decimal]:
        """What was stated."""
        return {name: rate for name in RATES if (rate := getattr(self, name)) is not None}


def checked_price(values: dict[str, Any]) -> Price:
    """Make a price of checked values.

    Raises:
        ValueError: something is missing or contradicts; the text says what to write.
    """
    price = Price(**{each.name: values[each.name] for each in structs.fields(Price) if each.name in values})
    if price.model is None and not (price.is_free and price.provider):
        raise ValueError("name its model; only what a provider gives for free may leave it out")
    if price.is_free and price.rates:
        raise ValueError("it is free or it has rates, not both: take out free = true, or the rates")
    if not price.is_free and (price.input is None or price.output is None):
        raise ValueError(
            "write input and output in USD per million tokens, or free = true where nothing is ever billed"
        )
    return price
