"""The forecast of the month, from each day's entries in the ledger."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta

from sessiontrackd.budget._ledger import Ledger
from sessiontrackd.budget._period import period_of, share_passed
from sessiontrackd.forecast import Forecast, forecast

MONTHS_BEFORE = 2  # older days hardly weigh in the rate


def heading(ledger: Ledger, now: datetime, limit_picousd: int | None) -> Forecast:
    """Say what the present month may come to.

    Args:
        ledger: whose days.
        now: the time; its month is the one that is forecast.
        limit_picousd: the month's budget.
    """
    period, today = period_of(now, ledger.zone), now.astimezone(ledger.zone).date()
    first = today.replace(day=1)
    days_in_month = (_next_month(first) - first).days
    starts = [first]
    for _ in range(MONTHS_BEFORE):
        starts.append((starts[-1] - timedelta(days=1)).replace(day=1))
    spent = _spent_by_day(ledger, [f"{start:%Y-%m}" for start in starts])
    known_since = min((day for day in spent), default=first)
    return forecast(
        [spent[day] for day in _days(first, today + timedelta(days=1))],
        days_in_month,
        passed_days=share_passed(now, period, ledger.zone) * days_in_month,
        before=[spent[day] for day in _days(known_since, first)],
        limit_picousd=limit_picousd,
    )


def _spent_by_day(ledger: Ledger, periods: list[str]) -> Counter[date]:
    spent: Counter[date] = Counter()
    for period in periods:
        for attempt in ledger.attempts(period):
            if attempt.is_spent and attempt.holding:
                spent[date.fromisoformat(attempt.reserve.day)] += attempt.holding.picousd
    return spent


def _days(start: date, end: date) -> list[date]:
    return [start + timedelta(days=number) for number in range((end - start).days)]


def _next_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1)
