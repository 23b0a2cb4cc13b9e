"""What we spent, as a table: by day, folder, project, model or level."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from sessiontrackd.budget._entries import Attempt
from sessiontrackd.budget._ledger import Ledger
from sessiontrackd.model import Insight, Session, Usage
from sessiontrackd.pricing import usd_text
from sessiontrackd.store import Store

BY = ("day", "folder", "project", "model", "level")


class Row(Struct):
    """A line of the table while it is summed up."""

    usage: Usage = field(default_factory=Usage)
    sessions: set[str] = field(default_factory=set)
    calls: int = 0
    cost_picousd: int = 0
    assumed_picousd: int = 0
    flat_rate_calls: int = 0

    def add(self, attempt: Attempt) -> None:
        """Count a request: what was billed, or the most it can have been."""
        self.calls += 1
        self.flat_rate_calls += attempt.is_flat_rate
        self.cost_picousd += attempt.holding.picousd if attempt.holding else 0
        if attempt.state == "assumed":
            self.assumed_picousd += attempt.holding.picousd if attempt.holding else 0
        else:
            self.usage += attempt.last.usage

    def as_json(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "sessions": len(self.sessions),
            "calls": self.calls,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
            "cache_read_tokens": self.usage.cache_read_tokens,
            "cache_write_tokens": self.usage.cache_write_tokens,
            "flat_rate_calls": self.flat_rate_calls,
            "cost_usd": None if self.calls and self.flat_rate_calls == self.calls else usd_text(self.cost_picousd),
            "assumed_usd": usd_text(self.assumed_picousd),
        }


def projects_of(store: Store) -> dict[int, str]:
    """Return the project of each attempt's session, as far as it is known and not forgotten; the ledger has only a budget's."""
    rows = store.read("SELECT attempt, project FROM purpose JOIN usage USING (session_id) WHERE project IS NOT NULL")
    return {row["attempt"]: row["project"] for row in rows}


def table(
    by: str, period: str | None, runs: list[sqlite3.Row], attempts: list[Attempt], projects: Mapping[int, str]
) -> dict[str, Any]:
    """Put sessions that ran and requests that were made into rows.

    Args:
        by: the column that makes the rows.
        period: for the heading.
        runs: rows of the table usage; they tell which sessions ran.
        attempts: of the ledger; they tell what was spent, to the pico-dollar.
        projects: of attempts for which the ledger has none.

    Raises:
        ValueError: `by` is no column.
    """
    if by not in BY:
        raise ValueError(f"usage can be shown by {', '.join(BY)}, not by {by}")
    rows: defaultdict[str | None, Row] = defaultdict(Row)
    total = Row()
    for run in runs:
        key = run["engine"] if by == "model" and run["model"] is None else run[by]
        rows[key].sessions.add(run["session_id"])
        total.sessions.add(run["session_id"])
    for attempt in attempts:
        if attempt.is_spent:
            key = getattr(attempt.reserve, by)
            rows[projects.get(attempt.reserve.id) if by == "project" and key is None else key].add(attempt)
            total.add(attempt)
    ordered = sorted(rows.items(), key=lambda item: (item[0] is None, item[0]))
    return {"period": period, "rows": [{"key": key, **row.as_json()} for key, row in ordered], "total": total.as_json()}


def record(
    ledger: Ledger,
    now: datetime,
    session: Session,
    insight: Insight,
    place: tuple[bytes | None, str | None, str | None],
) -> None:
    """Add the row of a session that ran.

    Args:
        ledger: whose months are counted.
        now: when it ran.
        session: that was worked on.
        insight: that was made of it.
        place: transcript, folder and project.
    """
    used = insight.usage
    values = (
        int(now.timestamp() * 1000), ledger.period(), now.astimezone(ledger.zone).date().isoformat(), session.session_id,
        *place, insight.level.value, insight.engine, insight.model, used.input_tokens, used.output_tokens,
        used.cache_read_tokens, used.cache_write_5m_tokens, used.cache_write_1h_tokens, insight.cost_picousd,
    )  # fmt: skip
    with ledger.store.immediate() as connection:
        connection.execute(f"INSERT INTO usage VALUES (NULL, {', '.join('?' * len(values))})", values)


def forget(store: Store, *, source: bytes | None, session_id: str | None) -> None:
    """Remove the names of what was worked on."""
    with store.immediate() as connection:
        for column, value in (("source", source), ("session_id", session_id)):
            if value is not None:
                connection.execute(f"DELETE FROM purpose WHERE {column} = ?", (value,))
                connection.execute(
                    f"UPDATE usage SET session_id = 'forgotten', source = NULL, project = NULL WHERE {column} = ?",
                    (value,),
                )
