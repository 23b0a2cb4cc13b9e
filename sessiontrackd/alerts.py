"""When to speak: once for each threshold and month, remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from sessiontrackd.model import Alert, BudgetStatus
from sessiontrackd.pricing import usd
from sessiontrackd.store import Schema, Store

HYSTERESIS = 5  # per cent of the limit: a share must fall by this much below a threshold before it may be crossed again
SPENT = "spent"
TOKENS = "tokens"
RECORDED = "recorded"

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
        self, status: BudgetStatus, thresholds: Iterable[int], *, scope: str = "total", subject: str = SPENT
    ) -> Alert | None:
        """Return what is to be said now, and remember it: whoever asks again gets None.

        Of several thresholds that are passed at once only the highest speaks. A threshold speaks again in the same
        month only where the limit was raised so far that the share fell well below it.

        Args:
            status: of the budget; what is set aside counts like what is spent.
            thresholds: per cent of the limit.
            scope: whose budget it is: `total`, or the name of a folder or project.
            subject: the money or the tokens that we spent, or what the transcripts record.
        """
        used, limit = status.spent_picousd + status.reserved_picousd, status.limit_picousd
        if subject == TOKENS:
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
        return Alert(max(new), status, _text(max(new), status, scope, subject))

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


def _text(threshold: int, status: BudgetStatus, scope: str, subject: str) -> str:
    name = "the budget" if scope == "total" else f"the budget of {scope}"
    spent, whole = f"${usd(status.spent_picousd):.2f}", f"${usd(status.limit_picousd or 0):.2f}"
    if subject == TOKENS:
        spent, whole = f"{status.used_tokens:,} tokens", f"{status.limit_tokens or 0:,}"
    if subject == RECORDED:
        return f"Your agents have used {spent} of {whole} ({name}, {status.period}), as their transcripts record."
    aside = (
        f", ${usd(status.reserved_picousd):.2f} more is set aside"
        if status.reserved_picousd and subject == SPENT
        else ""
    )
    if threshold >= 100:
        return f"{name.capitalize()} for {status.period} is used up: {spent} of {whole}{aside}. Notes go on with the local engine."
    return f"{threshold} % of {name} for {status.period} is used: {spent} of {whole}{aside}."


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
