"""The periods that a digest is written for, and which one was written last."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from msgspec import Struct

from sessiontrackd.config._home import Home

PERIODS = ("day", "week", "month")
MISSED_MOST = 31  # periods that are made up for: a month of days
_DONE = "digest.last"


class Span(Struct, frozen=True):
    """A day, a week from Monday, or a month; `after` is the first day that is no longer in it."""

    period: str
    first: date
    after: date

    @classmethod
    def of(cls, period: str, day: date) -> Span:
        """Return the one that holds a day."""
        if period == "day":
            return cls(period, day, day + timedelta(1))
        if period == "week":
            first = day - timedelta(day.weekday())
            return cls(period, first, first + timedelta(7))
        first = day.replace(day=1)
        return cls(period, first, (first + timedelta(31)).replace(day=1))

    @property
    def before(self) -> Span:
        """The one before."""
        return Span.of(self.period, self.first - timedelta(1))

    @property
    def key(self) -> str:
        """Its name, which sorts: 2026-11-25, 2026-W48, 2026-11."""
        if self.period == "week":
            year, week, _ = self.first.isocalendar()
            return f"{year}-W{week:02}"
        return self.first.isoformat() if self.period == "day" else f"{self.first:%Y-%m}"

    def bounds(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """Return the moments at which it begins and ends in a zone; in UTC, in which a day may have 23 hours."""
        start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (self.first, self.after))
        return start, end


def digests_due(home: Home, period: str, today: date) -> list[Span]:
    """Return the whole periods since the last one that has a digest, the earliest first; `period` may be `off`.

    Where none has one, or that was too long ago, it is the last one alone.
    """
    if period not in PERIODS:
        return []
    last, missed = _done(home)[0], list[Span]()
    span = Span.of(period, today).before
    while span.key != last:
        if len(missed) == MISSED_MOST:
            return missed[:1]
        missed.append(span)
        span = span.before
    return missed[::-1]


def digest_done(home: Home, key: str, at: datetime) -> None:
    """Remember that a period needs no digest any more, and when what was read was looked at."""
    (home.state_dir / _DONE).write_text(f"{key} {at.isoformat()}\n", "ascii")


def digest_looked(home: Home) -> tuple[str, datetime] | None:
    """Return the period whose digest was written last, and when what was read was looked at."""
    key, at = _done(home)
    try:
        return key, datetime.fromisoformat(at)
    except ValueError:
        return None


def _done(home: Home) -> tuple[str, str]:
    try:
        key, _, at = (home.state_dir / _DONE).read_text("ascii").strip().partition(" ")
    except (OSError, UnicodeDecodeError):
        return "", ""
    return key, at
