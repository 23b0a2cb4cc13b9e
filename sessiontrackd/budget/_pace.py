"""A budget compared with the calendar and the requests in flight: how far ahead it is, and whether waiting helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from sessiontrackd.budget._entries import TOTAL, Attempt, Balance, Limit
from sessiontrackd.budget._ledger import Ledger
from sessiontrackd.budget._period import bounds, share_passed

REQUEST_MOST = timedelta(minutes=10)  # no request takes longer; what is set aside for longer hangs


class Pace(Struct, frozen=True):
    """How a budget's use compares with the calendar.

    Attributes:
        scope: whose budget it is.
        used_percent: of the budget, what is set aside included.
        passed_percent: of the month.
        month_s: how long the month is.
    """

    scope: str
    used_percent: float
    passed_percent: float
    month_s: float

    @property
    def ahead_percent(self) -> float:
        """How far use is ahead of the month; negative where it is behind."""
        return self.used_percent - self.passed_percent

    def back_in(self, percent: float) -> timedelta:
        """Return when, without more spending, it is no longer ahead by more than this."""
        return timedelta(seconds=max(0.0, self.ahead_percent - percent) / 100 * self.month_s)


def pace(ledger: Ledger, now: datetime, scopes: Sequence[str], argument: Limit) -> Pace | None:
    """Compare each budget with the calendar and return the one that is furthest ahead.

    Args:
        ledger: whose balances and limits.
        now: the time.
        scopes: the budgets that count.
        argument: a limit of the caller's own, which can only tighten the total.
    """
    period = ledger.period()
    start, end = bounds(period, ledger.zone)
    passed = share_passed(now, period, ledger.zone) * 100
    shares = [
        (share, scope) for scope, balance, limit in _held(ledger, scopes, argument) for share in _shares(balance, limit)
    ]
    if not shares:
        return None
    used, scope = max(shares)
    return Pace(scope, used, passed, (end - start).total_seconds())


def in_flight(ledger: Ledger, now: datetime | None = None) -> list[Attempt]:
    """Return the requests on their way; batches are none: they may take a day. With a time, only those that may still be."""
    asked = [attempt for attempt in ledger.open_attempts() if not attempt.reserve.is_batch]
    return [each for each in asked if now is None or now - each.reserve.made_at < REQUEST_MOST]


def may_fit(ledger: Ledger, cost_picousd: int, scopes: Sequence[str], argument: Limit) -> bool:
    """Say whether a cost would fit every budget if the requests in flight cost nothing."""
    asked = in_flight(ledger)
    if not asked:
        return False
    for scope, balance, limit in _held(ledger, scopes, argument):
        open_here = [each.holding for each in asked if scope in each.reserve.scopes and each.holding]
        used = balance.used_picousd - sum(holding.picousd for holding in open_here)
        used_tokens = balance.used_tokens - sum(holding.tokens for holding in open_here)
        if limit.picousd is not None and used + cost_picousd > limit.picousd:
            return False
        if limit.tokens is not None and used_tokens >= limit.tokens:
            return False
    return True


def _held(ledger: Ledger, scopes: Sequence[str], argument: Limit) -> Iterator[tuple[str, Balance, Limit]]:
    period, limits = ledger.period(), ledger.limits(scopes)
    limits[TOTAL] = limits.get(TOTAL, Limit()).tighter(argument)
    for scope in scopes:
        yield scope, ledger.balance(scope, period), limits.get(scope, Limit())


def _shares(balance: Balance, limit: Limit) -> Iterator[float]:
    """Yield how much of a limit is used, in per cent, unit by unit."""
    if limit.picousd:
        yield balance.used_picousd * 100 / limit.picousd
    if limit.tokens:
        yield balance.used_tokens * 100 / limit.tokens
