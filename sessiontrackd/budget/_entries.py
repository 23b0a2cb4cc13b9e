"""The contents of the ledger: entries, what an attempt holds after them, balances and limits."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct

from sessiontrackd.config import Settings
from sessiontrackd.model import FLAT_RATE, Usage
from sessiontrackd.pricing import usd_text

TOTAL = "total"
KEEP = "keep:"  # begins the scope of what is kept for a folder
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Entry(NamedTuple):
    """A row of the ledger, without its hash. The fields are those of the table, in its order."""

    id: int
    attempt: int
    kind: str
    at: int
    period: str
    zone: str
    day: str
    scope: str = ""
    folder: str | None = None
    project: str | None = None
    level: str | None = None
    engine: str | None = None
    model: str | None = None
    is_batch: int = 0
    batch_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    picousd: int | None = None
    tokens: int | None = None
    rates: str | None = None
    owner: str | None = None
    note: str | None = None

    @property
    def usage(self) -> Usage:
        """The buckets."""
        return Usage(
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_write_5m_tokens,
            self.cache_write_1h_tokens,
        )

    @property
    def made_at(self) -> datetime:
        """When it was added."""
        return _EPOCH + timedelta(milliseconds=self.at)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every budget that it counts against."""
        return scopes(self.folder, self.project)


COLUMNS = Entry._fields


class Balance(NamedTuple):
    """What a scope holds in a month: picousd and tokens, settled, assumed and reserved."""

    settled_picousd: int = 0
    settled_tokens: int = 0
    assumed_picousd: int = 0
    assumed_tokens: int = 0
    reserved_picousd: int = 0
    reserved_tokens: int = 0
    entry: int = 0

    @property
    def used_picousd(self) -> int:
        """Everything that is no longer free."""
        return self.settled_picousd + self.assumed_picousd + self.reserved_picousd

    @property
    def used_tokens(self) -> int:
        """Everything that is no longer free."""
        return self.settled_tokens + self.assumed_tokens + self.reserved_tokens

    def moved(self, old: Holding | None, new: Holding | None, entry: int) -> Balance:
        """Return it with one attempt's holding replaced."""
        values: dict[str, int] = {"entry": entry}
        for holding, sign in ((old, -1), (new, 1)):
            if holding:
                for unit, amount in (("picousd", holding.picousd), ("tokens", holding.tokens)):
                    name = f"{holding.state}_{unit}"
                    values[name] = values.get(name, getattr(self, name)) + sign * amount
        return self._replace(**values)


class Holding(Struct, frozen=True):
    """What one attempt holds: reserved, assumed or settled."""

    state: str
    picousd: int
    tokens: int


class Limit(Struct, frozen=True):
    """A monthly limit; the tighter of the two holds, None does not limit."""

    picousd: int | None = None
    tokens: int | None = None

    @property
    def is_set(self) -> bool:
        """Whether it limits anything."""
        return self.picousd is not None or self.tokens is not None

    def tighter(self, other: Limit) -> Limit:
        """Return the lower of both, unit by unit."""
        return Limit(_least(self.picousd, other.picousd), _least(self.tokens, other.tokens))


class Attempt(Struct):
    """One HTTP attempt: its reservation, its last entry and what it holds now."""

    reserve: Entry
    last: Entry
    holding: Holding | None

    @property
    def state(self) -> str:
        """Reserved, sent, settled, released or assumed."""
        return {"reserve": "reserved", "send": "sent", "settle": "settled", "release": "released", "assume": "assumed"}[
            self.last.kind
        ]

    @property
    def is_spent(self) -> bool:
        """Whether it counts as spent: settled or assumed."""
        return self.last.kind in ("settle", "assume")

    @property
    def is_flat_rate(self) -> bool:
        """Whether a plan of the user's covers it: then it has no amount."""
        return bool(json.loads(self.reserve.rates or "{}").get("base", {}).get("source") == FLAT_RATE)

    @property
    def is_open(self) -> bool:
        """Whether it is reserved or sent and not yet ended."""
        return self.last.kind in ("reserve", "send")

    def take(self, entry: Entry) -> None:
        """Go on by one entry."""
        self.last, self.holding = entry, holding_after(entry, self.holding)


def scopes(folder: str | None, project: str | None) -> tuple[str, ...]:
    """Name every budget that work in this folder and project counts against."""
    names = [TOTAL]
    if folder is not None:
        names.append(f"folder:{folder}")
    if project is not None:
        names.append(f"project:{project}")
    return tuple(names)


def limits_of(settings: Settings) -> dict[str, Limit]:
    """Return the limits that settings name, by scope."""
    limits = {TOTAL: Limit(settings.monthly_budget_picousd, settings.monthly_budget_tokens)}
    for folder in settings.folders:
        limits[f"folder:{folder.path}"] = Limit(folder.monthly_budget_picousd, folder.monthly_budget_tokens)
        limits[f"{KEEP}{folder.path}"] = Limit(folder.keep_picousd, folder.keep_tokens)
    limits |= {f"project:{name}": Limit(*amount) for name, amount in settings.project_budgets}
    return {scope: limit for scope, limit in limits.items() if limit.is_set}


def holding_after(entry: Entry, before: Holding | None) -> Holding | None:
    """Return what an attempt holds after an entry."""
    if entry.kind == "send":
        return before
    if entry.kind == "release":
        return None
    state = {"reserve": "reserved", "settle": "settled", "assume": "assumed"}[entry.kind]
    return Holding(state, entry.picousd or 0, entry.tokens or 0)


def folded(entries: Iterable[Entry]) -> dict[int, Attempt]:
    found: dict[int, Attempt] = {}
    for entry in entries:
        if entry.kind == "reserve":
            found[entry.attempt] = Attempt(entry, entry, holding_after(entry, None))
        elif entry.attempt in found:
            found[entry.attempt].take(entry)
    return found


def problem(scope: str, balance: Balance, limit: Limit, entry: Entry) -> str | None:
    """Say why an entry does not fit, or None."""
    if limit.picousd is not None and balance.used_picousd + (entry.picousd or 0) > limit.picousd:
        left = limit.picousd - balance.used_picousd
        state = f"${usd_text(left)} is left" if left >= 0 else f"it is over by ${usd_text(-left)}"
        needs, whole = f"${usd_text(entry.picousd or 0)}", f"${usd_text(limit.picousd)}"
    elif limit.tokens is not None and balance.used_tokens + (entry.tokens or 0) > limit.tokens:
        free = limit.tokens - balance.used_tokens
        state = f"{free:,} tokens are left" if free >= 0 else f"it is over by {-free:,} tokens"
        needs, whole = f"{entry.tokens or 0:,} tokens", f"{limit.tokens:,} tokens"
    else:
        return None
    name = {TOTAL: "the monthly budget"}.get(scope, f"the budget of {scope.replace(':', ' ', 1)}")
    return (
        f"This may cost up to {needs}, and of {name} ({whole} for {entry.period}) {state}. It waits until the month "
        "turns or the budget is raised: `sessiontrackd budget set`."
    )


def least_left(held: Mapping[str, Balance], limits: Mapping[str, Limit]) -> tuple[int | None, int | None]:
    """Return what is left in the tightest of these budgets, in pico-USD and in tokens; None where nothing limits."""
    found = [(balance, limits.get(scope, Limit())) for scope, balance in held.items()]
    money = (limit.picousd - balance.used_picousd for balance, limit in found if limit.picousd is not None)
    tokens = (limit.tokens - balance.used_tokens for balance, limit in found if limit.tokens is not None)
    return min(money, default=None), min(tokens, default=None)


def entry_of(row: sqlite3.Row) -> Entry:
    """Return the entry of a row, whose last column is the hash."""
    return Entry._make(tuple(row)[:-1])


def blank(kind: str, **values: Any) -> Entry:
    """Return an entry that the ledger has yet to number and date."""
    return Entry(0, 0, kind, 0, "", "", "", **values)


def _least(one: int | None, other: int | None) -> int | None:
    return min((value for value in (one, other) if value is not None), default=None)
