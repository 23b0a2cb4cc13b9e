"""The periods that a digest is written for, and which one was written last."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

from msgspec import Struct

from sessiontrackd.config._home import Home

PERIODS = ("day", "week", "month")
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
        """Return its beginning and its end in a zone."""
        start, end = (datetime.combine(day, time(), zone) for day in (self.first, self.after))
        return start, end


def digest_due(home: Home, period: str, today: date) -> Span | None:
    """Return the last whole period where its digest was not written yet; `period` may be `off`."""
    if period not in PERIODS:
        return None
    span = Span.of(period, today).before
    return None if _done(home)[0] == span.key else span


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
