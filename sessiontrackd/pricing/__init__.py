"""What tokens cost, and since when: the user's own prices first, then the genai-prices package."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from typing import Any

from msgspec import Struct, structs

from sessiontrackd.config import Price, Settings
from sessiontrackd.errors import Unpriced
from sessiontrackd.model import FLAT_RATE as FLAT_RATE_SOURCE
from sessiontrackd.model import Usage
from sessiontrackd.pricing._package import data_date, listed, package, packaged, provider_of
from sessiontrackd.pricing._rates import BUCKETS, Rates, Tariff

__all__ = [
    "BUCKETS",
    "FLAT_RATE",
    "FLAT_RATE_PROVIDER",
    "FREE",
    "PICOUSD_PER_USD",
    "STALE_DAYS",
    "UNFIT_DAYS",
    "Override",
    "Prices",
    "Rates",
    "Tariff",
    "age_days",
    "data_date",
    "override",
    "package",
    "picousd",
    "prices_of",
    "prompt_tokens",
    "provider_of",
    "summed",
    "told_age",
    "usd",
    "usd_shown",
    "usd_text",
]

PICOUSD_PER_USD = 10**12
STALE_DAYS = 90  # a receipt warns
UNFIT_DAYS = 180  # nothing paid is reserved until someone confirms

_NOTHING = Decimal(0)
FREE = Tariff(Rates(_NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING, "free"))
FLAT_RATE = Tariff(structs.replace(FREE.base, source=FLAT_RATE_SOURCE))
FLAT_RATE_PROVIDER = "command:"  # and the name of a program of the user's, which has its own plan
FREE_BY_USER = Tariff(structs.replace(FREE.base, source="free, as you stated"))


class Override(Struct, frozen=True):
    """A price that the user states; it wins over the package from its day on.

    `model` None: every model of the provider. `provider` None: whoever sells it.
    """

    model: str | None
    tariff: Tariff
    from_date: date = date.min
    provider: str | None = None


class Prices(Struct, frozen=True, eq=False):
    """Look prices up: the user's own, else the package's, which is imported only for what is not listed here.

    Args:
        overrides: the user's own table.
        confirmed_on: when the user last compared the package's prices with the provider's.
    """

    overrides: tuple[Override, ...] = ()
    confirmed_on: date | None = None
    _found: dict[tuple[str, str | None, date, bool], Tariff] = {}

    def tariff(self, model: str, at: datetime, *, provider: str | None = None, batch: bool = False) -> Tariff:
        """Return what a model costs on a day.

        Args:
            model: the provider's id.
            at: when the request is or was made.
            provider: who sells: a vendor, or host and port of a server, which then sells the vendor's model at the
                vendor's price; guessed from the model's name where it is not known.
            batch: the request goes through a batch, which costs half where the provider says so.

        Raises:
            Unpriced: neither the user nor the package knows the model.
        """
        day = at.astimezone(UTC).date()
        key = (model, provider, day, batch)
        if key not in self._found:
            flat = FLAT_RATE if provider and provider.startswith(FLAT_RATE_PROVIDER) else None
            stated = self._override(model, provider, day, batch) or flat
            self._found[key] = stated or packaged(model, provider, day, batch)
        return self._found[key]

    def at_hand(self, model: str, at: datetime) -> Tariff | None:
        """Return the price of a model on a day that is the user's own, or listed; None where the package is to be asked."""
        day = at.astimezone(UTC).date()
        return self._override(model, None, day, batch=False) or listed(model, day)

    def rates(
        self, model: str, usage: Usage, at: datetime, *, provider: str | None = None, batch: bool = False
    ) -> Rates:
        """Return the rates that one request of this usage is billed at. A sum over requests has none."""
        return self.tariff(model, at, provider=provider, batch=batch).rates(prompt_tokens(usage))

    def cost_picousd(
        self, model: str, usage: Usage, at: datetime, *, provider: str | None = None, batch: bool = False
    ) -> int:
        """Return the cost of one request in pico-USD."""
        return self.rates(model, usage, at, provider=provider, batch=batch).cost_picousd(usage)

    def require_fresh(self, tariff: Tariff, at: datetime) -> None:
        """Refuse a price that nobody has compared with the provider's for half a year; the user's own never ages.

        Raises:
            Unpriced: with what to do.
        """
        age = self.age_days(at)
        if self.is_packaged(tariff) and (age is None or age > UNFIT_DAYS):
            raise Unpriced(
                f"The prices of {package()} were compared with the providers' {told_age(age)}, too long ago to rely on, "
                "so nothing is sent. Look at them (`sessiontrackd prices`), then confirm them (`sessiontrackd prices "
                "confirm`), state your own under [[prices]] in the settings, or: pip install --upgrade genai-prices."
            )

    def is_packaged(self, tariff: Tariff) -> bool:
        """Say whether a price is the package's, not the user's own."""
        return tariff.base.source == package()

    def age_days(self, at: datetime) -> int | None:
        """Return how old the package's prices are, from their comparison or the user's own; None: unknown."""
        return age_days(at.astimezone(UTC).date(), self.confirmed_on)

    def priced_on(self, tariff: Tariff) -> str:
        """Return the day on which a price was last known to be right, or that the user stated it."""
        if not self.is_packaged(tariff):
            return tariff.base.source
        known = [day for day in (data_date(), self.confirmed_on) if day]
        return str(max(known)) if known else "unknown"

    def _override(self, model: str, provider: str | None, day: date, batch: bool) -> Tariff | None:
        """Return the closest price that the user stated up to that day; a batch has its own or pays the plain one."""
        own_batch, seller = f"{model}:batch", provider or provider_of(model)
        names = {None, model, own_batch} if batch else {None, model}
        stated = [one for one in self.overrides if one.model in names and one.provider in (None, seller)]

        def closeness(one: Override) -> tuple[bool, bool, bool, date]:
            return one.model == own_batch, one.model is not None, one.provider is not None, one.from_date

        found = max((one for one in stated if one.from_date <= day), key=closeness, default=None)
        return found.tariff if found else None


def prices_of(settings: Settings) -> Prices:
    """Return the prices that the settings define: the user's own, and when the others were confirmed."""
    return Prices(tuple(_stated(price) for price in settings.prices), settings.prices_confirmed_on)


def _stated(price: Price) -> Override:
    from_date = price.from_date or date.min
    if price.is_free:
        return Override(price.model, FREE_BY_USER, from_date, price.provider)
    return override(str(price.model), price.rates, from_date=from_date, provider=price.provider)


def prompt_tokens(usage: Usage) -> int:
    """Return the size of the prompt that a tier is decided by: what was cached counts too."""
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def override(model: str, rates: dict[str, Any], *, from_date: date = date.min, provider: str | None = None) -> Override:
    """Make an override from the numbers that a user states: USD per million tokens.

    Args:
        model: the provider's id; with `:batch` at its end for requests that go through a batch.
        rates: input and output; cache_read, cache_write_5m, cache_write_1h where they differ from the usual
            0.1, 1.25 and 2 times the input.
        from_date: the first day (UTC) it holds.
        provider: who sells.

    Raises:
        ValueError: a rate is missing, negative or no number.
    """
    unknown = rates.keys() - set(BUCKETS)
    if unknown or not {"input", "output"} <= rates.keys():
        raise ValueError(
            f"the price of {model} needs input and output, USD per million tokens; unknown: {sorted(unknown)}"
        )
    numbers = {name: Decimal(str(value)) for name, value in rates.items()}
    if not all(number.is_finite() and number >= 0 for number in numbers.values()):
        raise ValueError(f"the price of {model} must not be negative")
    usual = {"cache_read": Decimal("0.1"), "cache_write_5m": Decimal("1.25"), "cache_write_1h": Decimal(2)}
    filled = {name: numbers["input"] * factor for name, factor in usual.items()} | numbers
    source = "your own price" + (f" since {from_date}" if from_date > date.min else "")
    return Override(model, Tariff(Rates(**filled, source=source)), from_date, provider)


def told_age(age: int | None) -> str:
    """Say in words how long ago something was."""
    if age is None:
        return "at an unknown time"
    return f"{age} day{'' if age == 1 else 's'} ago" if age else "today"


def age_days(today: date, confirmed_on: date | None = None) -> int | None:
    """Return how old the price data is, counted from its comparison or from the user's own confirmation."""
    known = [day for day in (data_date(), confirmed_on) if day]
    return max(0, (today - max(known)).days) if known else None


def usd(picousd: int) -> Decimal:
    """Return an amount in USD, exactly."""
    return Decimal(picousd) / PICOUSD_PER_USD


def usd_text(picousd: int) -> str:
    """Return an amount as a decimal string for JSON: at least six places, never rounded."""
    text = f"{usd(picousd):.12f}"
    return text[:-6] + text[-6:].rstrip("0")


def usd_shown(picousd: int) -> str:
    """Return an amount for people: cents where there are some, three significant digits below."""
    amount = usd(picousd)
    if picousd == 0:
        return "$0"
    if abs(amount) >= Decimal("0.1"):
        return f"${amount:,.2f}"
    digits = amount.quantize(Decimal(1).scaleb(amount.adjusted() - 2), ROUND_HALF_UP)
    whole, _, decimals = f"{digits:f}".rstrip("0").partition(".")
    return f"${whole}.{decimals:0<2}"


def picousd(amount_usd: Decimal | float | str) -> int:
    """Return an amount of USD as an integer; a float is taken as it is printed.

    Raises:
        ValueError: it is no finite number, or negative.
    """
    number = Decimal(str(amount_usd))
    if not number.is_finite() or number < 0:
        raise ValueError(f"{amount_usd} is no amount of money")
    return int((number * PICOUSD_PER_USD).to_integral_value(ROUND_CEILING))


def summed(usages: Iterable[Usage]) -> Usage:
    """Add usages up, for display; a sum has no price."""
    return functools.reduce(Usage.__add__, usages, Usage())
