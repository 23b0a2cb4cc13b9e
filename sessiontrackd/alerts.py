"""When to alert: once for each threshold and month, and again where nobody was reached."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from sessiontrackd.model import Alert, BudgetStatus
from sessiontrackd.pricing import usd_shown
from sessiontrackd.store import Schema, Store

HYSTERESIS = 5  # per cent of the limit: a share must fall by this much below a threshold before it may be crossed again
SPENT = "spent"
TOKENS = "tokens"
RECORDED = "recorded"
OVERRUN = "overrun"
# When what could not be told is told again: a desktop that starts late is soon there, one that was left comes back next day.
AGAIN_S = (10, 60, 300, 3_600, 21_600, 43_200)

SCHEMA = Schema(
    "alerts",
    (
        """
CREATE TABLE alert (                   -- what was said
    subject TEXT NOT NULL,             -- spent, tokens or recorded
    scope TEXT NOT NULL,               -- total, or the folder or project
    period TEXT NOT NULL,              -- the month, or the day
    threshold INTEGER NOT NULL,        -- per cent
    limit_picousd INTEGER NOT NULL,    -- in force then; of the subject tokens: tokens
    at INTEGER NOT NULL,               -- milliseconds since 1970
    PRIMARY KEY (subject, scope, period, threshold)
) STRICT, WITHOUT ROWID;
""",
        """
CREATE TABLE untold (                  -- what no channel could tell
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL,
    threshold INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    not_before_at INTEGER NOT NULL     -- milliseconds since 1970
) STRICT;
""",
    ),
)


class Alerts:
    """What was said already, in the store.

    Args:
        store: opened with SCHEMA.
        now: the clock.
    """

    def __init__(self, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Keep the parts."""
        self._store = store
        self._now = now

    def due(
        self,
        status: BudgetStatus,
        thresholds: Iterable[int],
        *,
        scope: str = "total",
        subject: str = SPENT,
        outlook: Callable[[], str] = str,
    ) -> Alert | None:
        """Return what is to be said now, and remember it: whoever asks again gets None.

        Of several thresholds that are passed at once only the highest speaks. A threshold speaks again in the same
        month only where the limit was raised so far that the share fell well below it.

        Args:
            status: of the budget; what is set aside counts like what is spent.
            thresholds: per cent of the limit.
            scope: whose budget it is: `total`, or the name of a folder or project.
            subject: the money or the tokens that we spent, or what the transcripts record.
            outlook: a sentence on where the month is heading, asked for only where there is something to say.
        """
        used, limit = status.spent_picousd + status.reserved_picousd, status.limit_picousd
        if _counts_tokens(status, subject):
            used, limit = status.used_tokens, status.limit_tokens
        if not limit:
            return None
        passed = [threshold for threshold in thresholds if _reaches(used, threshold, limit)]
        with self._store.immediate() as connection:
            key = (subject, scope, status.period)
            said = self._said(key, used, limit)
            new = [threshold for threshold in passed if threshold not in said]
            for threshold in new:
                values = (*key, threshold, limit, int(self._now().timestamp() * 1000))
                connection.execute("INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?, ?, ?)", values)
        if not new or max(new) < max(said, default=0):
            return None
        return Alert(max(new), status, " ".join(filter(None, (_text(max(new), status, scope, subject), outlook()))))

    def is_first(self, subject: str, scope: str, period: str) -> bool:
        """Say whether this has never been said, and remember that it is now; of several processes one hears yes."""
        values = (subject, scope, period, 0, 0, self._in_ms(0))
        with self._store.immediate() as connection:
            return connection.execute("INSERT OR IGNORE INTO alert VALUES (?, ?, ?, ?, ?, ?)", values).rowcount > 0

    def keep_untold(self, alert: Alert) -> None:
        """Remember what no channel could tell."""
        with self._store.immediate() as connection:
            values = (alert.text, alert.threshold, self._in_ms(AGAIN_S[0]))
            connection.execute("INSERT INTO untold VALUES (NULL, ?, ?, 0, ?)", values)

    def take_untold(self) -> tuple[int, str, int] | None:
        """Return what is to be told again now: number, text, threshold; of several processes one gets it.

        It comes again, later each time and a bounded number of times, until `told`.
        """
        if self._store.one("SELECT 1 FROM untold WHERE not_before_at <= ?", (self._in_ms(0),)) is None:
            return None
        with self._store.immediate() as connection:
            row = self._store.one(
                "SELECT * FROM untold WHERE not_before_at <= ? ORDER BY id LIMIT 1", (self._in_ms(0),)
            )
            if row is None:
                return None
            tries = row["tries"] + 1
            if tries < len(AGAIN_S):
                values = (tries, self._in_ms(AGAIN_S[tries]), row["id"])
                connection.execute("UPDATE untold SET tries = ?, not_before_at = ? WHERE id = ?", values)
            else:
                connection.execute("DELETE FROM untold WHERE id = ?", (row["id"],))
        return row["id"], row["text"], row["threshold"]

    def told(self, number: int) -> None:
        """Note that a channel took it."""
        with self._store.immediate() as connection:
            connection.execute("DELETE FROM untold WHERE id = ?", (number,))

    def next_untold(self) -> datetime | None:
        """Return when something is to be told again."""
        row = self._store.one("SELECT min(not_before_at) FROM untold")
        return None if row is None or row[0] is None else _EPOCH + timedelta(milliseconds=row[0])

    def _in_ms(self, delay_s: float) -> int:
        return (self._now() + timedelta(seconds=delay_s) - _EPOCH) // timedelta(milliseconds=1)

    def said(self, limit: int = 20) -> list[tuple[datetime, str, str, int]]:
        """Return what was said last: when, about what, in which month, at which threshold."""
        rows = self._store.read(
            "SELECT at, subject, scope, period, threshold FROM alert ORDER BY at DESC LIMIT ?", (limit,)
        )
        return [
            (
                _EPOCH + timedelta(milliseconds=row["at"]),
                f"{row['subject']} {row['scope']}",
                row["period"],
                row["threshold"],
            )
            for row in rows
        ]

    def _said(self, key: tuple[str, str, str], used: int, limit: int) -> set[int]:
        """Return the thresholds that were named; forget those that a raised limit has made new again."""
        with self._store.immediate() as connection:
            connection.execute(
                "DELETE FROM alert WHERE (subject, scope, period) = (?, ?, ?) AND limit_picousd < ? AND threshold > ?",
                (*key, limit, used * 100 // limit + HYSTERESIS),
            )
            rows = connection.execute("SELECT threshold FROM alert WHERE (subject, scope, period) = (?, ?, ?)", key)
            return {row["threshold"] for row in rows}


def _reaches(used: int, threshold: int, limit: int) -> bool:
    return used * 100 >= limit * threshold


def _counts_tokens(status: BudgetStatus, subject: str) -> bool:
    return subject == TOKENS or (subject == RECORDED and status.limit_picousd is None)


def _text(threshold: int, status: BudgetStatus, scope: str, subject: str) -> str:
    name = "the budget" if scope == "total" else f"the budget of {scope}"
    spent, whole = usd_shown(status.spent_picousd), usd_shown(status.limit_picousd or 0)
    if _counts_tokens(status, subject):
        spent, whole = f"{status.used_tokens:,} tokens", f"{status.limit_tokens or 0:,}"
    if subject == RECORDED:
        return f"Your agents have used {spent} ({status.period}), as their transcripts record; you asked to be told at {whole}."
    is_aside = status.reserved_picousd and subject == SPENT
    aside = f", {usd_shown(status.reserved_picousd)} more is set aside" if is_aside else ""
    if threshold >= 100:
        return f"{name.capitalize()} for {status.period} is used up: {spent} of {whole}{aside}. Notes go on with the local engine."
    return f"{threshold} % of {name} for {status.period} is used: {spent} of {whole}{aside}."


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
