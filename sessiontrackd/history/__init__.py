"""What was read already: sessions, their insights and notes, and the usage they record, each id counted once."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from sessiontrackd.history._cursors import Cursor, Cursors
from sessiontrackd.history._forgotten import forget, sessions_of, take_back
from sessiontrackd.history._lines import Line, Lines
from sessiontrackd.history._moments import from_ms, to_ms
from sessiontrackd.history._replies import origin, rows_of_replies, rows_of_sums
from sessiontrackd.history._reports import Report, Reports
from sessiontrackd.history._spent import RunningSum, Spent
from sessiontrackd.history._tables import NOTE_USAGE, SCHEMA, SUMMED
from sessiontrackd.history._tariffs import Tariffs
from sessiontrackd.history._told import Told, told
from sessiontrackd.model import Insight, InsightLevel, Session, Usage
from sessiontrackd.pricing import Prices, Rates, usd_text
from sessiontrackd.store import Store

__all__ = [
    "SCHEMA",
    "Cursor",
    "Cursors",
    "History",
    "Line",
    "Lines",
    "Report",
    "Reports",
    "Spent",
    "Told",
    "sessions_of",
]

BY = ("day", "folder", "project", "model", "level")


class _Row(Struct):
    """A line of the usage table while it is summed up."""

    usage: Usage = field(default_factory=Usage)
    sessions: set[str] = field(default_factory=set)
    calls: int = 0
    cost_picousd: int = 0
    priced_tokens: int = 0
    unpriced_tokens: int = 0


DERIVED = ("specstory",)  # formats that hold copies of sessions which another tool wrote


class History:
    """What was read, in the store; `notes` are the reports, `lines` those of the index notes.

    Args:
        store: opened with SCHEMA.
        now: the clock.
        prices: what tokens cost; needed by `recorded` alone.
    """

    def __init__(
        self, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), prices: Prices | None = None
    ) -> None:
        """Keep the parts."""
        self._store = store
        self._now = now
        self._tariffs = Tariffs(store, prices or Prices())
        self._spent: RunningSum | None = None
        self.cursors = Cursors(store)
        self.notes = Reports(store, now=now)
        self.lines = Lines(store, now=now)

    def insight(
        self, session_id: str, content_sha256: str, level: InsightLevel, engine: str, model: str | None
    ) -> Insight | None:
        """Return the insight that was made of this content at this level by this engine and model.

        A copy of a transcript that records no session id has another one; the content decides.
        """
        row = self._store.one(
            "SELECT body FROM insight WHERE (content_sha256, level, engine, model) = (?, ?, ?, ?) "
            "ORDER BY session_id = ? DESC, at DESC",
            (content_sha256, level.value, engine, model or "", session_id),
        )
        return msgspec.json.decode(row["body"], type=Insight) if row else None

    def keep_insight(
        self,
        session_id: str,
        content_sha256: str,
        insight: Insight,
        *,
        engine: str | None = None,
        model: str | None = None,
    ) -> None:
        """Store an insight; one that was made again replaces the one before.

        Args:
            session_id: of the session.
            content_sha256: of what was read.
            insight: to be found again by its level.
            engine: who was asked, where another answered (a fall-back).
            model: that was asked for; the provider may name another in its reply.
        """
        body = msgspec.json.encode(insight)
        key = (session_id, content_sha256, insight.level.value, engine or insight.engine, model or insight.model or "")
        with self._store.immediate(durable=insight.cost_picousd > 0) as connection:
            connection.execute("INSERT OR REPLACE INTO insight VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, body, self._ms()))

    def is_derived(self, session: Session) -> bool:
        """Say whether a session is a copy in another format of one that is known in its own."""
        if session.format not in DERIVED:
            return False
        marks = ", ".join("?" * len(DERIVED))
        known = self._store.one(
            f"SELECT 1 FROM session WHERE session_id = ? AND format NOT IN ({marks})", (session.session_id, *DERIVED)
        )
        return known is not None

    def insights_of(self, session_id: str) -> list[Insight]:
        """Return everything that was made of a session, the latest first."""
        rows = self._store.read(
            "SELECT body FROM insight WHERE session_id = ? ORDER BY at DESC, rowid DESC", (session_id,)
        )
        return [msgspec.json.decode(row["body"], type=Insight) for row in rows]

    def record_session(
        self,
        session: Session,
        source: bytes,
        *,
        folder: str | None = None,
        project: str | None = None,
    ) -> None:
        """Note that a session was read, and the usage it records: of each reply, else its sums.

        Args:
            session: read to its end.
            source: its transcript.
            folder: the watched folder.
            project: the folder's setting; else the last part of the recorded working directory.
        """
        about, now_ms = origin(session, source, folder, project), self._ms()
        replies = rows_of_replies(session, about, now_ms)
        rows = replies or rows_of_sums(session, about, now_ms)
        times = [None if at is None else to_ms(at) for at in (session.started_at, session.ended_at)]
        turns = (session.human_turns, session.assistant_turns)
        key = (session.session_id, source)
        values = (*key, session.format, session.title, *about[2:], *times, *turns, bool(rows), now_ms)
        with self._store.immediate() as connection:
            connection.execute(f"INSERT OR REPLACE INTO session VALUES ({', '.join('?' * len(values))})", values)
            take_back(connection, session.session_id)
            if replies or not rows:  # what is known by reply is not counted as a sum, too
                connection.execute("DELETE FROM recorded WHERE is_sum AND session_id = ?", (session.session_id,))
            connection.executemany(NOTE_USAGE, rows)

    def record_growth(self, session: Session, cursor: Cursor) -> None:
        """Note the usage that a session has gained behind its former cursor, and how far it was read now."""
        rows = rows_of_replies(session, origin(session, cursor.source, cursor.folder, cursor.project), self._ms())
        with self._store.immediate() as connection:
            connection.executemany(NOTE_USAGE, rows)
            self.cursors.keep(cursor)

    def extent_of(self, session_id: str, source: bytes) -> tuple[int, int]:
        """Return how far a transcript's copy of a session reaches: its turns, and its end in milliseconds since 1970."""
        row = self._store.one(
            "SELECT human_turns + assistant_turns, coalesce(ended_at, 0) FROM session WHERE (session_id, source) = (?, ?)",
            (session_id, source),
        )
        return (row[0], row[1]) if row else (0, 0)

    def recorded(self, by: str = "day", period: str | None = None, timezone: str = "UTC") -> dict[str, Any]:
        """Return what the transcripts record, in the shape of `usage`: rows, and their total.

        A cost is None where nothing of the row has a price; `unpriced_tokens` and `incomplete` say what is missing
        from it.

        Args:
            by: day, folder, project or model.
            period: a month, `2026-11`, or a day, `2026-11-24`; everything by default.
            timezone: whose days they are.

        Raises:
            ValueError: `by` is none of these.
        """
        if by not in BY or by == "level":
            raise ValueError(f"recorded usage can be shown by day, folder, project or model, not by {by}")
        zone = ZoneInfo(timezone)
        rows: defaultdict[str | None, _Row] = defaultdict(_Row)
        total = _Row()
        for found in self._store.read("SELECT * FROM recorded"):
            day = from_ms(found["at"]).astimezone(zone).date().isoformat() if found["at"] is not None else None
            if period is None or (day or "").startswith(period):
                cost = self._cost_picousd(found)
                _add(rows[day if by == "day" else found[by]], found, cost)
                _add(total, found, cost)
        ordered = sorted(rows.items(), key=lambda item: (item[0] is None, item[0]))
        return {"period": period, "rows": [{"key": key, **_shown(row)} for key, row in ordered], "total": _shown(total)}

    def recorded_of(self, session_ids: Sequence[str]) -> tuple[Usage, int | None, bool] | None:
        """Return what sessions recorded together; None where they recorded nothing.

        Returns:
            The usage, its cost in pico-USD (None: nothing of it has a price), and whether that is all of it.
        """
        groups = self._summed(session_ids, "model, at / 86400000, is_sum")
        if not all(map(self._has_one_price, groups)):
            groups = self._summed(session_ids, "key")
        total = _Row()
        for found in groups:
            rates = self._rates(found, found["most_prompt"])
            _add(total, found, None if rates is None else rates.cost_picousd(_usage(found)))
        if not total.sessions:
            return None
        is_unknown = total.unpriced_tokens > 0 and total.priced_tokens == 0
        is_all = total.usage.complete and not total.unpriced_tokens
        return total.usage, None if is_unknown else total.cost_picousd, is_all

    def recorded_since(self, since: datetime, until: datetime | None = None) -> Spent:
        """Return what replies since a moment used and cost, as recorded; what was priced before is not priced again."""
        if self._spent is None or to_ms(since) < self._spent.from_ms:
            self._spent = RunningSum(self._store, to_ms(since), self._cost_picousd)
        return self._spent.between(to_ms(since), None if until is None else to_ms(until))

    def told(self, since: datetime, until: datetime) -> list[Told]:
        """Return the sessions of a span that have an insight, in the order in which they ended."""
        return list(told(self._store, since, until))

    def ends_read_since(self, moment: datetime) -> list[datetime]:
        """Return when the sessions ended that were read since a moment."""
        rows = self._store.read(
            "SELECT DISTINCT coalesce(ended_at, started_at) AS ended FROM session WHERE read_at >= ? AND ended",
            (to_ms(moment),),
        )
        return [from_ms(row["ended"]) for row in rows]

    def forget(self, session_ids: Collection[str] = (), sources: Collection[bytes] = ()) -> int:
        """Remove what was read from transcripts and sessions: insight, note, index lines and names; amounts stay.

        Returns:
            How many insights and notes were removed.
        """
        sessions = {*session_ids, *(one for source in sources for one in sessions_of(self._store, source))}
        return forget(self._store, sessions, sources)

    def _summed(self, session_ids: Sequence[str], by: str) -> list[sqlite3.Row]:
        """Return what sessions recorded, summed up by columns of the table."""
        marks = ", ".join("?" * len(session_ids))
        return self._store.read(f"{SUMMED} WHERE session_id IN ({marks}) GROUP BY {by}", tuple(session_ids))

    def _has_one_price(self, group: sqlite3.Row) -> bool:
        """Say whether replies of one model and day cost together what each of them costs: no step between, no rounding."""
        least, most = (self._rates(group, group[size]) for size in ("least_prompt", "most_prompt"))
        return most is None or (most is least and most.is_exact)

    def _cost_picousd(self, row: sqlite3.Row) -> int | None:
        """Price one reply; None where that is unknown."""
        rates = self._rates(row, row["total_tokens"] - row["output_tokens"])
        return None if rates is None else rates.cost_picousd(_usage(row))

    def _rates(self, row: sqlite3.Row, prompt_tokens: int) -> Rates | None:
        """Return the rates of a reply; None where they are unknown: no model, no price, or a sum under a price with steps."""
        if not row["model"]:
            return None
        tariff = self._tariffs.of(row["model"], self._now() if row["at"] is None else from_ms(row["at"]))
        return None if tariff is None or (row["is_sum"] and tariff.steps) else tariff.rates(prompt_tokens)

    def _ms(self, at: datetime | None = None) -> int:
        return to_ms(at or self._now())


def _usage(row: sqlite3.Row) -> Usage:
    return Usage(
        row["input_tokens"],
        row["output_tokens"],
        row["cache_read_tokens"],
        row["cache_write_5m_tokens"],
        row["cache_write_1h_tokens"],
        bool(row["is_complete"]),
    )


def _add(row: _Row, found: sqlite3.Row, cost_picousd: int | None) -> None:
    row.usage += _usage(found)
    row.sessions.add(found["session_id"])
    row.calls += not found["is_sum"]
    if cost_picousd is None:
        row.unpriced_tokens += found["total_tokens"]
    else:
        row.cost_picousd += cost_picousd
        row.priced_tokens += found["total_tokens"]


def _shown(row: _Row) -> dict[str, Any]:
    is_unknown = row.unpriced_tokens > 0 and row.priced_tokens == 0
    return {
        "sessions": len(row.sessions),
        "calls": row.calls,
        "input_tokens": row.usage.input_tokens,
        "output_tokens": row.usage.output_tokens,
        "cache_read_tokens": row.usage.cache_read_tokens,
        "cache_write_tokens": row.usage.cache_write_tokens,
        "cost_usd": None if is_unknown else usd_text(row.cost_picousd),
        "incomplete": not row.usage.complete,
        "unpriced_tokens": row.unpriced_tokens,
    }
