"""Prices of the genai-prices package. Those of the usual models are listed beside this file, so that it need not be imported."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sessiontrackd.errors import Unpriced
from sessiontrackd.pricing._rates import Rates, Tariff

# When the prices of a package version were last compared with a price table. Source: our own look, November 2026.
COMPARED_ON = {"0.2.3": date(2026, 11, 22)}
MODULE, ABOUT = "genai_prices", ".dist-info"
_PROVIDERS = (("claude", "anthropic"), ("gpt-", "openai"), ("o1", "openai"), ("o3", "openai"), ("o4", "openai"),
              ("codex", "openai"), ("gemini", "google"), ("grok", "x-ai"))  # fmt: skip


def data_date() -> date | None:
    """Return the day on which the package's prices were last compared.

    A version that we have not seen is at least as good as the newest before it; None where there is none.
    """
    installed = _numbers(_installed())
    return max((day for known, day in COMPARED_ON.items() if _numbers(known) <= installed), default=None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def provider_of(model: str) -> str | None:
    """Return who sells a model, by the start of its name."""
    return next((provider for start, provider in _PROVIDERS if model.lower().startswith(start)), None)


@functools.cache
def _installed() -> str:
    """Return the package's version: by the folder beside it that is named so, for reading what that holds takes far longer."""
    found = importlib.util.find_spec(MODULE)
    folders = list(Path(found.origin).parents[1].glob(f"{MODULE}-*{ABOUT}")) if found and found.origin else []
    if len(folders) == 1:
        return folders[0].name.removeprefix(f"{MODULE}-").removesuffix(ABOUT)
    from importlib.metadata import version

    return version(MODULE)


@functools.cache
def package() -> str:
    """Return the package that prices come from, with its version."""
    return f"genai-prices {_installed()}"


class Listed(Struct, frozen=True):
    """What the usual models cost by one version of the package: each from its days on, ascending."""

    package: str
    models: dict[str, list[tuple[date, Tariff]]]


@functools.cache
def _list() -> Listed:
    return msgspec.json.decode((Path(__file__).parent / "listed.json").read_bytes(), type=Listed)


def listed(model: str, day: date) -> Tariff | None:
    """Return what a usual model costs on a day; None where the package itself is to be asked, as of another version."""
    known = _list()
    since = known.models.get(model, ()) if known.package == package() else ()
    return next((tariff for first, tariff in reversed(since) if first <= day), None)


def packaged(model: str, provider: str | None, day: date, batch: bool) -> Tariff:
    """Return what a model costs by the package.

    Raises:
        Unpriced: it does not know the model.
    """
    is_usual = not batch and provider in (None, provider_of(model))
    return (listed(model, day) if is_usual else None) or looked_up(model, provider, day, batch)


def looked_up(model: str, provider: str | None, day: date, batch: bool) -> Tariff:
    """Read a tariff out of the package.

    Source: genai-prices 0.2.3, seen 2026-11: the price of a model on a day is a set of Decimal or tiered prices; a
    wrong key of the price context is ignored in silence, and one token with each bucket asks for nothing unusual.
    """
    if not (provider or provider_of(model)):
        raise Unpriced(_unknown(model))
    from genai_prices import Usage as Asked
    from genai_prices import calc_price

    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    context = {"processing": "batch"} if batch else None
    for seller in filter(None, (provider, provider_of(model))):  # a server of one's own is no vendor
        with contextlib.suppress(LookupError):
            price = calc_price(
                Asked(input_tokens=1, output_tokens=1),
                model,
                provider_id=seller,
                genai_request_timestamp=at,
                price_context=context,
            ).model_price
            return _tariff(price.__dict__, model)
    raise Unpriced(_unknown(model))


def _tariff(price: dict[str, Any], model: str) -> Tariff:
    """Turn the package's prices into steps; a cache price that is missing is that of the bucket around it."""
    if not price.get("input_mtok") or not price.get("output_mtok"):  # a zero is the user's to state
        raise Unpriced(_unknown(model))
    starts = {tier.start for value in price.values() for tier in getattr(value, "tiers", ())}

    def rate(name: str, prompt: int) -> Decimal | None:
        value = price.get(name)
        tiers = [tier.price for tier in getattr(value, "tiers", ()) if prompt > tier.start]
        found: Decimal | None = tiers[-1] if tiers else getattr(value, "base", value)
        return found

    def rates(prompt: int) -> Rates:
        first = rate("input_mtok", prompt) or Decimal(0)
        write = _or(rate("cache_write_mtok", prompt), first)
        return Rates(
            input=first,
            output=rate("output_mtok", prompt) or Decimal(0),
            cache_read=_or(rate("cache_read_mtok", prompt), first),
            cache_write_5m=write,
            cache_write_1h=_or(rate("cache_write_1h_mtok", prompt), write),
            source=package(),
        )

    return Tariff(rates(0), tuple((start, rates(start + 1)) for start in sorted(starts)))


def _or(value: Decimal | None, other: Decimal) -> Decimal:
    return other if value is None else value


def _unknown(model: str) -> str:
    return (
        f"The price of the model {model} is unknown, so nothing is sent to it. Add it to the settings file: "
        f'[[prices]] with model = "{model}", input = … and output = … in USD per million tokens, or free = true where '
        "nothing is ever billed."
    )
