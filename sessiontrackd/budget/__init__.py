"""TokenManager: what may be spent, what was spent, and what is left. All spending goes through the ledger."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import structs

from sessiontrackd.budget import _usage
from sessiontrackd.budget._backup import Restored, back_up_daily, backups, restore
from sessiontrackd.budget._entries import TOTAL, Attempt, Balance, Entry, Limit, least_left, limits_of, scopes
from sessiontrackd.budget._heading import heading
from sessiontrackd.budget._ledger import Ledger
from sessiontrackd.budget._pace import Pace, in_flight, may_fit, pace
from sessiontrackd.budget._period import bounds, days_left, period_of, share_passed
from sessiontrackd.budget._steps import assumption, following, following_by, reservation_of, settlement
from sessiontrackd.budget._summary import summary
from sessiontrackd.budget._tables import SCHEMA
from sessiontrackd.config import Home, Settings, load
from sessiontrackd.errors import LedgerDamaged, Unpriced
from sessiontrackd.forecast import Forecast
from sessiontrackd.model import BudgetStatus, Insight, Reservation, Session, Usage
from sessiontrackd.pricing import PICOUSD_PER_USD, Prices, Tariff, picousd, prices_of, prompt_tokens
from sessiontrackd.store import Store, open_store

__all__ = [
    "SCHEMA", "TOTAL", "Attempt", "Balance", "Entry", "Ledger", "Limit", "Pace", "Restored", "TokenManager", "backups",
    "bounds", "days_left", "limits_of", "period_of", "restore", "scopes", "share_passed",
]  # fmt: skip

DEFAULT_MODEL = "claude-haiku-5-5"  # what a call without a model is priced at
EDGE = Decimal("2.5")  # below this multiple of an estimate, what is left is too little for a learned bound


class TokenManager:
    """Hold spending to a monthly budget, across processes.

    Args:
        monthly_budget: USD; can only tighten what the settings say. None: what they say.
        store: opened with SCHEMA; else that of the home in use, opened at the first question.
        home: the folder of that home; else SESSIONTRACKD_HOME or the platform's.
        timezone: IANA name of the zone whose months are counted; that of the settings.
        now: the clock.
        prices: what tokens cost; those of the settings.
        model: what calls without a model are priced at.
    """

    def __init__(
        self,
        monthly_budget: float | Decimal | str | None = None,
        *,
        store: Store | None = None,
        home: Home | str | os.PathLike[str] | None = None,
        timezone: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        prices: Prices | None = None,
        model: str = DEFAULT_MODEL,
    ) -> None:
        """Keep the parts; nothing is opened yet."""
        self._argument = Limit(None if monthly_budget is None else picousd(monthly_budget))
        self._home = home
        self._store = store
        self._timezone = timezone
        self._now = now
        self._opened: Ledger | None = None
        self._prices = prices
        self._are_given = prices is not None
        self.model = model

    @property
    def prices(self) -> Prices:
        """What tokens cost: as passed in, else as defined by the settings."""
        if self._prices is None:
            self._prices = Prices() if self._store else prices_of(load(self._found_home()))
        return self._prices

    @property
    def monthly_budget(self) -> float | None:
        """The monthly limit in force in USD, None where there is none."""
        limit = self.limit().picousd
        return None if limit is None else limit / PICOUSD_PER_USD

    @property
    def current_month_spend(self) -> float:
        """What was spent this month in USD: what was billed, and the most that unknown outcomes can have cost."""
        return self.status().spent_picousd / PICOUSD_PER_USD

    def calculate_token_cost(
        self, input_tokens: int, output_tokens: int, *, model: str | None = None, provider: str | None = None
    ) -> float:
        """Return what one request costs in USD.

        Raises:
            Unpriced: the model's price is unknown.
        """
        usage = Usage(input_tokens, output_tokens)
        cost = self.prices.cost_picousd(model or self.model, usage, self._now(), provider=provider)
        return cost / PICOUSD_PER_USD

    def can_process(
        self,
        input_tokens: int,
        output_tokens: int,
        *,
        model: str | None = None,
        provider: str | None = None,
        folder: str | None = None,
        project: str | None = None,
    ) -> bool:
        """Say whether a request of at most this size fits every budget just now; only `reserve` promises it."""
        usage = Usage(input_tokens, output_tokens)
        try:
            tariff, cost = self._bound(usage, model or self.model, batch=False, provider=provider)
            self.prices.require_fresh(tariff, self._now())
            left, tokens = self._left(folder, project)
        except (Unpriced, LedgerDamaged):
            return False
        if cost and not self.limit().is_set:
            return False
        return (left is None or cost <= left) and (tokens is None or usage.total_tokens <= tokens)

    def record_token_usage(
        self,
        input_tokens: int,
        output_tokens: int,
        *,
        model: str | None = None,
        folder: str | None = None,
        project: str | None = None,
        level: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        """Book what was spent already, in full, whether it fits or not.

        Args:
            input_tokens: without cached ones.
            output_tokens: thinking included.
            model: that was used.
            folder: it was used for.
            project: it was used for.
            level: it was used for.
            usage: all buckets, in place of the two numbers.

        Raises:
            ValueError: no request can have used that.
        """
        spent = usage or Usage(input_tokens, output_tokens)
        entry = self._reservation(spent, model or self.model, folder=folder, project=project, level=level, engine=None)
        with self._ledger.store.immediate(durable=True):
            booked = self._ledger.book(entry._replace(note="recorded after the fact"))
            self._ledger.go_on(booked.id, ("reserve",), following_by("send"))
            self._ledger.go_on(booked.id, ("send",), settlement(spent, self._now()))

    def reserve(
        self,
        most: Usage,
        *,
        model: str | None = None,
        folder: str | None = None,
        project: str | None = None,
        level: str | None = None,
        engine: str = "claude",
        provider: str | None = None,
        batch: bool = False,
        session_id: str | None = None,
        source: bytes | None = None,
        title: str | None = None,
        cost_picousd: int | None = None,
        expected: Usage | None = None,
        hard: Usage | None = None,
    ) -> Reservation:
        """Set the money for one request aside, in every budget it counts against; committed when this returns.

        Args:
            most: the most the request can use, by bucket; it may rest on what was learned and be passed now and then.
            model: to be asked.
            folder: the work is for.
            project: the work is for.
            level: of the insight.
            engine: that asks.
            provider: who sells, where the model's name does not tell.
            batch: at batch price.
            session_id: the work is for; can be forgotten later, as source and title can.
            source: the transcript.
            title: of the session.
            cost_picousd: in place of the price of `most`.
            expected: what the request probably uses, all of its output counted.
            hard: what it cannot pass; set aside in place of `most` where little more is left than `expected` costs.

        Raises:
            OverBudget: it does not fit, or no budget is set.
            Unpriced: the model's price is unknown, or was not confirmed for too long.
            LedgerDamaged: the entries cannot be trusted.
        """
        now = self._now()
        self.prices.require_fresh(self.prices.tariff(model or self.model, now, provider=provider, batch=batch), now)
        about: dict[str, Any] = {"folder": folder, "project": project, "level": level, "engine": engine}
        sold: dict[str, Any] = {"provider": provider, "batch": batch}
        name = model or self.model
        entry = self._reservation(most, name, **sold, **about)
        if cost_picousd is not None:
            entry = entry._replace(picousd=cost_picousd)
        ledger = self._ledger
        strict, edge = None, 0
        if hard and expected:
            strict = self._reservation(hard, name, **sold, **about)
            edge = int(EDGE * self._bound(expected, name, **sold)[1])
        with ledger.store.immediate(durable=True) as connection:
            made = ledger.reserve(entry, self._argument, hard=strict, edge_picousd=edge)
            if session_id or source or title:
                connection.execute("INSERT INTO purpose VALUES (?, ?, ?, ?)", (made.id, session_id, source, title))
        return Reservation(made.id, folder, project, made.picousd or 0)

    def send(self, reservation: Reservation | int, *, batch_id: str | None = None) -> None:
        """Note that the first byte is about to leave: from now on an unknown outcome counts as spent.

        Args:
            reservation: of the attempt.
            batch_id: of the batch that it went into, once the server has named it; its results are collected later,
                whoever sent it.
        """
        kinds = ("reserve", "send") if batch_id else ("reserve",)
        self._ledger.go_on(_id(reservation), kinds, following_by("send", batch_id=batch_id))

    def settle(
        self, reservation: Reservation | int, usage: Usage, factor: Decimal = Decimal(1), *, model: str | None = None
    ) -> int:
        """Book what was billed, in full even above the reservation.

        Args:
            reservation: of the attempt; one whose outcome was assumed may be settled when it is known after all.
            usage: as the reply tells it.
            factor: what makes the whole request dearer than others of its model.
            model: that answered; where it is a dearer one than was asked, its price counts.

        Returns:
            The cost in pico-USD.

        Raises:
            ValueError: no request can have used that.
        """

        def answered(attempt: Attempt) -> Tariff | None:
            if model in (None, attempt.reserve.model):
                return None
            with contextlib.suppress(Unpriced):
                return self.prices.tariff(str(model), self._now(), batch=bool(attempt.reserve.is_batch))
            return None

        kinds, change = ("reserve", "send", "assume"), settlement(_possible(usage), self._now(), factor, answered)
        return self._ledger.go_on(_id(reservation), kinds, change).picousd or 0

    def release(self, reservation: Reservation | int, note: str | None = None) -> None:
        """Give the money back: surely nothing was billed."""
        self._ledger.go_on(_id(reservation), ("reserve", "send"), following_by("release", self._now(), note=note))

    def take_back(self, reservation: Reservation | int) -> bool:
        """Give the money back where the request has not left yet; say whether that was so, whoever else is about to send it."""
        try:
            self._ledger.go_on(_id(reservation), ("reserve",), following_by("release", self._now(), note="not sent"))
        except ValueError:
            return False
        return True

    def assume(self, reservation: Reservation | int, note: str | None = None) -> None:
        """Count the whole reservation as spent: what was billed is unknown."""
        self._ledger.go_on(_id(reservation), ("reserve", "send"), assumption(self._now(), note))

    def correct(self, attempt_id: int, cost_picousd: int, note: str = "corrected by a person") -> int:
        """Replace an assumed cost by what a person says it was; 0 releases it. The month stays that of the reservation.

        Returns:
            The change in pico-USD.

        Raises:
            ValueError: the attempt is not assumed, or the cost negative.
        """
        if cost_picousd < 0:
            raise ValueError("a cost is not negative")

        def change(attempt: Attempt) -> Entry:
            kind = "settle" if cost_picousd else "release"
            entry = following(attempt, kind, self._now(), note=note)
            return entry._replace(picousd=cost_picousd, tokens=attempt.last.tokens if cost_picousd else 0)

        before = self._ledger.attempt(attempt_id)
        self._ledger.go_on(attempt_id, ("assume",), change)
        return cost_picousd - (before.holding.picousd if before.holding else 0)

    def recover(self) -> list[Attempt]:
        """End the attempts of processes that died: unsent ones are released, sent ones assumed at their most.

        Returns:
            Those that were ended.
        """
        return self._ledger.end_orphans()

    def limit(self, folder: str | None = None, project: str | None = None) -> Limit:
        """Return the limit in force, of the total or of one folder or project."""
        scope = scopes(folder, project)[-1]
        found = self._ledger.limits((scope,)).get(scope, Limit())
        return found.tighter(self._argument) if scope == TOTAL else found

    def set_limits(
        self, total: Limit, *, folders: Mapping[str, Limit] | None = None, projects: Mapping[str, Limit] | None = None
    ) -> bool:
        """Put limits in force for every process; those that are not named are lifted. Return whether any changed."""
        limits = {TOTAL: total}
        limits |= {f"folder:{name}": limit for name, limit in (folders or {}).items()}
        limits |= {f"project:{name}": limit for name, limit in (projects or {}).items()}
        return self._ledger.set_limits({scope: limit for scope, limit in limits.items() if limit.is_set})

    def hold_to(self, settings: Settings) -> bool:
        """Put the limits and prices of valid settings in force. Return whether any limit changed."""
        if not self._are_given:
            self._prices = prices_of(settings)
        return self._ledger.set_limits(limits_of(settings))

    def status(self, folder: str | None = None, project: str | None = None) -> BudgetStatus:
        """Return how the month stands, in total or for one folder or project."""
        period = self._ledger.period()
        balance, limit = self._ledger.balance(scopes(folder, project)[-1], period), self.limit(folder, project)
        return BudgetStatus(
            period,
            limit.picousd,
            balance.settled_picousd + balance.assumed_picousd,
            balance.reserved_picousd,
            balance.assumed_picousd,
            limit.tokens,
            balance.used_tokens,
        )

    def lasting(self, folder: str | None = None, project: str | None = None) -> BudgetStatus:
        """Return how the month stands without the requests that are on their way just now.

        Their reservations last for seconds, and most are settled far below: nobody is to be alarmed by them.
        """
        status, scope = self.status(folder, project), scopes(folder, project)[-1]
        asked = [each for each in in_flight(self._ledger, self._now()) if scope in each.reserve.scopes and each.holding]
        picousd, tokens = (sum(getattr(each.holding, unit) for each in asked) for unit in ("picousd", "tokens"))
        return structs.replace(
            status, reserved_picousd=status.reserved_picousd - picousd, used_tokens=status.used_tokens - tokens
        )

    def summary(self, thresholds: tuple[int, ...] = (50, 80, 95, 100)) -> dict[str, Any]:
        """Return how the month stands in the shape of `budget --json`."""
        return summary(self._ledger, self._argument, thresholds)

    def forecast(self) -> Forecast:
        """Return what the month may come to: an estimate from what was spent on each day of it and of two months before."""
        return heading(self._ledger, self._now(), self.limit().picousd)

    def may_fit_later(self, cost_picousd: int, folder: str | None = None, project: str | None = None) -> bool:
        """Say whether a request would fit if those in flight cost nothing, so that it pays to wait for them."""
        self.recover()
        return may_fit(self._ledger, cost_picousd, scopes(folder, project), self._argument)

    def pace(self, folder: str | None = None, project: str | None = None) -> Pace | None:
        """Return how the budget's use compares with the calendar, in the scope that is furthest ahead; None: no limit."""
        return pace(self._ledger, self._now(), scopes(folder, project), self._argument)

    def record(
        self,
        session: Session,
        insight: Insight,
        *,
        folder: str | None = None,
        project: str | None = None,
        source: bytes | None = None,
    ) -> None:
        """Note that a session ran. Its requests are in the ledger; this row says that it was worked on."""
        _usage.record(self._ledger, self._now(), session, insight, (source, folder, project))

    def usage(self, by: str = "day", period: str | None = None) -> dict[str, Any]:
        """Return what we spent in a month (this one by default), in the shape of `usage --json`."""
        period = period or self._ledger.period()
        runs = self._ledger.store.read("SELECT * FROM usage WHERE period = ?", (period,))
        return _usage.table(by, period, runs, self._ledger.attempts(period), _usage.projects_of(self._ledger.store))

    def spent_on(self, day: date) -> int:
        """Return what was spent on a local day, in pico-USD: the day is that of the reservation."""
        spent = [attempt for attempt in self._ledger.attempts(day=day.isoformat()) if attempt.is_spent]
        return sum(attempt.holding.picousd for attempt in spent if attempt.holding)

    def last_entry(self) -> int:
        """Return the number of the ledger's last entry; 0 where there is none."""
        return self._ledger.last_entry()

    def ended_between(self, after: int, until: int) -> list[Attempt]:
        """Return the attempts that were settled or assumed between two entries of the ledger, in that order."""
        return self._ledger.ended_between(after, until)

    def open_attempts(self) -> list[Attempt]:
        """Return what is reserved or sent and not yet ended, the oldest first."""
        return self._ledger.open_attempts()

    def in_batches(self, source: bytes) -> list[Attempt]:
        """Return the open attempts of a transcript that go, or went, as parts of a batch."""
        rows = self._ledger.store.read("SELECT attempt FROM purpose WHERE source = ?", (source,))
        found = [self._ledger.attempt(row["attempt"]) for row in rows]
        return [attempt for attempt in found if attempt.is_open and attempt.reserve.is_batch]

    def assumed(self) -> list[Attempt]:
        """Return the attempts whose outcome is unknown, of all months, the oldest first."""
        return [attempt for attempt in self._ledger.attempts() if attempt.state == "assumed"]

    def overruns(self, period: str | None = None) -> list[Attempt]:
        """Return the attempts of a month, or of all, that were billed above their reservation; their bound was wrong."""
        return self._ledger.overruns(period)

    def purpose(self, attempt_id: int) -> tuple[str | None, bytes | None, str | None]:
        """Return session, transcript and title of an attempt, as far as they are not forgotten."""
        row = self._ledger.store.one("SELECT session_id, source, title FROM purpose WHERE attempt = ?", (attempt_id,))
        return (row[0], row[1], row[2]) if row else (None, None, None)

    def forget(self, *, source: bytes | None = None, session_id: str | None = None) -> None:
        """Remove the names of what was worked on; amounts stay."""
        _usage.forget(self._ledger.store, source=source, session_id=session_id)

    def verify(self) -> None:
        """Check the whole ledger.

        Raises:
            LedgerDamaged: something is not what was written.
        """
        self._ledger.verify()

    @property
    def store(self) -> Store:
        """The database that the ledger stands in."""
        return self._ledger.store

    def back_up(self) -> Path | None:
        """Copy the database once a day, if the ledger holds; None where today's copy was made already."""
        return back_up_daily(self._ledger, self._now())

    @property
    def _ledger(self) -> Ledger:
        if self._opened is None:
            settings = None
            if self._store is None:
                home = self._found_home()
                home.prepare()
                settings, self._store = load(home), open_store(home.db_path, SCHEMA)
            zone = self._timezone or (settings.timezone if settings else "UTC")
            self._opened = Ledger(self._store, ZoneInfo(zone), self._now)
            if settings:
                self.hold_to(settings)
        return self._opened

    def _found_home(self) -> Home:
        return self._home if isinstance(self._home, Home) else Home.find(self._home)

    def _bound(self, most: Usage, model: str, *, batch: bool, provider: str | None) -> tuple[Tariff, int]:
        """Return the tariff, and the most a request can cost at the dearest step it may reach."""
        tariff = self.prices.tariff(model, self._now(), provider=provider, batch=batch)
        return tariff, tariff.dearest(prompt_tokens(most)).cost_picousd(most)

    def _reservation(
        self, most: Usage, model: str, *, provider: str | None = None, batch: bool = False, **about: Any
    ) -> Entry:
        """Make the entry of a reservation; `about` is its folder, project, level and engine."""
        tariff, cost = self._bound(_possible(most), model, batch=batch, provider=provider)
        owner = self._ledger.store.owner
        return reservation_of(most, cost, tariff, model=model, is_batch=int(batch), owner=owner, **about)

    def _left(self, folder: str | None, project: str | None) -> tuple[int | None, int | None]:
        """Return what is left in the tightest budget, in pico-USD and in tokens; None where nothing limits."""
        ledger = self._ledger
        period = ledger.period()
        held = {scope: ledger.balance(scope, period, must_hold=True) for scope in scopes(folder, project)}
        return least_left(held, ledger.in_force(held, self._argument, period))


def _possible(usage: Usage) -> Usage:
    if not usage.is_possible:
        raise ValueError(f"no request uses so many tokens: {usage}")
    return usage


def _id(reservation: Reservation | int) -> int:
    return reservation if isinstance(reservation, int) else reservation.id
