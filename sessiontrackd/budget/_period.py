"""Which month a moment belongs to, in a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo


def period_of(at: datetime, zone: ZoneInfo) -> str:
    """Return the local calendar month of an aware moment, such as `2026-11`.

    Raises:
        ValueError: the moment has no zone of its own.
    """
    if at.tzinfo is None:
        raise ValueError("a moment without a time zone belongs to no month")
    return at.astimezone(zone).strftime("%Y-%m")


def bounds(period: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first moment of a month and the first moment after it, in UTC."""
    year, month = (int(part) for part in period.split("-"))
    following = (year + 1, 1) if month == 12 else (year, month + 1)
    return _first_moment(year, month, zone), _first_moment(*following, zone)


def share_passed(at: datetime, period: str, zone: ZoneInfo) -> float:
    """Return how much of a month has passed, from 0 to 1."""
    start, end = bounds(period, zone)
    return min(1.0, max(0.0, (at - start) / (end - start)))


def days_left(at: datetime, period: str, zone: ZoneInfo) -> timedelta:
    """Return what is left of a month."""
    return max(timedelta(), bounds(period, zone)[1] - at)


def _first_moment(year: int, month: int, zone: ZoneInfo) -> datetime:
    """Return when the first of a month begins. Where a clock change skips midnight, that is the change itself."""
    return datetime(year, month, 1, tzinfo=zone).astimezone(UTC)
