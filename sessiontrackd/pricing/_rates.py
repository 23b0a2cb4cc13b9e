"""Rates, exact to the pico-dollar, and the tariff of a model: rates by the size of the prompt."""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, Decimal

from msgspec import Struct, structs

from sessiontrackd.model import Usage

BUCKETS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
PICOUSD_PER_RATE = 10**6  # a rate of 1 USD per million tokens, in picousd per token


class Rates(Struct, frozen=True):
    """USD per million tokens of each bucket, and where they come from."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write_5m: Decimal
    cache_write_1h: Decimal
    source: str = ""

    def cost_picousd(self, usage: Usage) -> int:
        """Return the cost of one request in pico-USD; exact for every published rate, else rounded up."""
        total = (
            self.input * usage.input_tokens
            + self.output * usage.output_tokens
            + self.cache_read * usage.cache_read_tokens
            + self.cache_write_5m * usage.cache_write_5m_tokens
            + self.cache_write_1h * usage.cache_write_1h_tokens
        )
        return int((total * PICOUSD_PER_RATE).to_integral_value(ROUND_CEILING))

    @property
    def is_exact(self) -> bool:
        """Whether no cost is rounded, so that the cost of a sum is the sum of the costs."""
        return all(getattr(self, name) * PICOUSD_PER_RATE % 1 == 0 for name in BUCKETS)

    def times(self, factor: Decimal) -> Rates:
        """Return them for a request that is dearer, as a whole, than others of its model."""
        if factor == 1:
            return self
        return structs.replace(self, **{name: getattr(self, name) * factor for name in BUCKETS})

    def as_text(self) -> str:
        """Return them as JSON, to be stored with what they priced."""
        return json.dumps({name: str(getattr(self, name)) for name in (*BUCKETS, "source")}, separators=(",", ":"))


class Tariff(Struct, frozen=True):
    """The rates of a model on a day. Above a step's prompt size *every* token of the request costs its rates."""

    base: Rates
    steps: tuple[tuple[int, Rates], ...] = ()  # (prompt tokens that must be passed, rates), ascending

    def rates(self, prompt_tokens: int) -> Rates:
        """Return the rates of a request with this many prompt tokens, cached ones counted."""
        found = self.base
        for start, rates in self.steps:
            if prompt_tokens > start:
                found = rates
        return found

    def dearest(self, prompt_tokens: int) -> Rates:
        """Return the highest rates that a request of at most this many prompt tokens may be billed at."""
        return max((self.base, *(r for start, r in self.steps if prompt_tokens > start)), key=lambda r: r.output)
