"""Requests sent as one batch at half the price: collected, sent, answered; what was sent is found again after a restart."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from sessiontrackd.errors import EngineError, Failed, Held, JobError, Refused, Waiting
from sessiontrackd.model import Ask, Reply, Reservation, Usage
from sessiontrackd.store import Schema, Store

MOST_REQUESTS = 1_000  # in one batch; the API takes 100,000, but what is reserved for them is free for nothing else
LOOK_S = 60.0  # between two questions whether a batch has ended; ten times that after ten minutes
GIVE_UP_S = 2 * 86_400.0  # a batch ends after a day at the latest
GATHER_S = 30.0  # a transcript that was gathered is looked at again after it
_CAME_BACK = "(reply IS NOT NULL OR problem IS NOT NULL)"

SCHEMA = Schema(
    "batches",
    (
        """
CREATE TABLE batch (                   -- requests that were sent as one
    id TEXT PRIMARY KEY,               -- the server's
    engine TEXT NOT NULL,
    sent_at INTEGER NOT NULL,          -- milliseconds since 1970
    looked_at INTEGER NOT NULL,        -- when the server was last asked whether it has ended
    ended_at INTEGER                   -- when its results were collected
) STRICT, WITHOUT ROWID;
CREATE TABLE batch_request (           -- one request of a batch
    attempt INTEGER PRIMARY KEY,       -- of the ledger
    batch TEXT NOT NULL,
    path BLOB NOT NULL,                -- the transcript
    insight TEXT NOT NULL,             -- content, level, engine and model
    part INTEGER NOT NULL,             -- of a long session
    reserved_picousd INTEGER NOT NULL,
    cost_picousd INTEGER,              -- what was billed
    reply TEXT,                        -- the answer, until the note is made of it
    problem TEXT                       -- why there is none
) STRICT;
CREATE INDEX batch_request_insight ON batch_request (insight, part);
CREATE INDEX batch_request_path ON batch_request (path);
CREATE TABLE batch_nonce (nonce TEXT NOT NULL) STRICT; -- marks the placeholders of what is sent, so that they can be put back
""",
    ),
)


class InBatch(Waiting):
    """The request waits in a batch, or for one."""

    brief = "it waits in a batch"


class Request(Struct, frozen=True):
    """One request that is gathered: with its money set aside, and not yet sent.

    `require` raises a JobError where it may not be sent after all, for much may have changed since it was gathered; `trip`
    is told why no request of its engine can succeed.
    """

    engine: str
    ask: Ask
    held: Reservation
    path: bytes
    insight: str
    part: int
    require: Callable[[], object] = lambda: None
    trip: Callable[[str], object] = lambda _: None


class Answered(Struct, frozen=True):
    """One request that came back, and which part of the session it asked about."""

    part: int
    reply: Reply
    reserved_picousd: int
    cost_picousd: int


class Batches:
    """The batches of a home.

    Args:
        store: opened with SCHEMA.
        now: the clock.
    """

    def __init__(self, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Nothing is gathered yet."""
        self._store = store
        self._now = now
        self._gathered: list[Request] = []

    @property
    def nonce(self) -> str:
        """What marks the placeholders of everything that is sent in batches."""
        row = self._store.one("SELECT nonce FROM batch_nonce")
        if row is None:
            with self._store.immediate() as connection:
                connection.execute(
                    "INSERT INTO batch_nonce SELECT ? WHERE NOT EXISTS (SELECT 1 FROM batch_nonce)",
                    (secrets.token_hex(8),),
                )
            return self.nonce
        return str(row["nonce"])

    @property
    def engines(self) -> list[str]:
        """The engines for which requests are gathered and not yet sent."""
        return sorted({each.engine for each in self._gathered})

    def gather(self, requests: Sequence[Request]) -> None:
        """Keep requests until they are sent together."""
        self._gathered += requests

    def require_ended(self, path: bytes) -> None:
        """Return where nothing of a transcript waits in a batch.

        Raises:
            InBatch: something does.
        """
        if any(each.path == path for each in self._gathered):
            raise InBatch("gathered for the next batch, at half the price", GATHER_S)
        row = self._store.one(
            "SELECT b.sent_at FROM batch_request AS r JOIN batch AS b ON b.id = r.batch WHERE r.path = ? AND b.ended_at IS NULL",
            (path,),
        )
        if row is not None:
            sent_at = datetime.fromtimestamp(row["sent_at"] / 1000, UTC).astimezone()
            raise InBatch(f"in a batch at half the price since {sent_at:%Y-%m-%d %H:%M}; it may take a day", LOOK_S)

    def answers(self, insight: str) -> list[Answered] | None:
        """Return what came back for an insight, part by part; None where it was never sent.

        Raises:
            JobError: there is no answer; what is known of it is forgotten, so that it can be asked again.
        """
        rows = self._store.read(
            f"SELECT * FROM batch_request WHERE insight = ? AND {_CAME_BACK} ORDER BY part, attempt", (insight,)
        )
        if not rows:
            return None
        found = [
            Answered(row["part"], _reply(row["reply"]), row["reserved_picousd"], row["cost_picousd"] or 0)
            for row in rows
            if row["reply"]
        ]
        if not found:
            self.forget(insight)
            raise _problem(rows[0]["problem"])
        return found

    def require_back(self, insight: str) -> None:
        """Return where nothing of an insight is in a batch that is not yet settled, whichever copy it was sent for.

        Raises:
            InBatch: something is.
        """
        row = self._store.one(f"SELECT 1 FROM batch_request WHERE insight = ? AND NOT {_CAME_BACK}", (insight,))
        if row is not None:
            raise InBatch("a copy of it is in a batch at half the price; it may take a day", LOOK_S)

    def is_gathered(self, insight: str) -> bool:
        """Say whether an insight is asked for in the next batch."""
        return any(each.insight == insight for each in self._gathered)

    def knows(self, path: bytes) -> bool:
        """Say whether anything of a transcript was sent in a batch, and no insight made of it yet."""
        return self._store.one("SELECT 1 FROM batch_request WHERE path = ?", (path,)) is not None

    def forget(self, insight: str) -> None:
        """Remove the answers of an insight that is stored by now; what is still to come is settled first."""
        with self._store.immediate() as connection:
            connection.execute(f"DELETE FROM batch_request WHERE insight = ? AND {_CAME_BACK}", (insight,))

    def is_out(self, path: bytes) -> bool:
        """Say whether something of a transcript is in a batch that is not yet settled."""
        row = self._store.one(f"SELECT 1 FROM batch_request WHERE path = ? AND NOT {_CAME_BACK}", (path,))
        return row is not None

    def forget_path(self, path: bytes) -> None:
        """Remove what came back of a transcript."""
        with self._store.immediate() as connection:
            connection.execute(f"DELETE FROM batch_request WHERE path = ? AND {_CAME_BACK}", (path,))

    def withdraw(self, path: bytes) -> None:
        """Gather nothing of a transcript any more: it is asked about at once."""
        self._gathered = [each for each in self._gathered if each.path != path]

    def take(self, engine: str) -> list[Request]:
        """Return what is gathered for an engine, at most a batch of it; it is gathered no longer."""
        mine = [each for each in self._gathered if each.engine == engine]
        others = [each for each in self._gathered if each.engine != engine]
        self._gathered = others + mine[MOST_REQUESTS:]
        return mine[:MOST_REQUESTS]

    def sent(self, batch_id: str, requests: Sequence[Request]) -> None:
        """Write down a batch that the server took."""
        now = self._now_ms()
        with self._store.immediate(durable=True) as connection:
            connection.execute("INSERT INTO batch VALUES (?, ?, ?, ?, NULL)", (batch_id, requests[0].engine, now, now))
            connection.executemany(
                "INSERT INTO batch_request VALUES (?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
                [
                    (each.held.id, batch_id, each.path, each.insight, each.part, each.held.cost_picousd)
                    for each in requests
                ],
            )

    def refused(self, requests: Sequence[Request], problem: str) -> None:
        """Write down of requests that the server refused for good why there is no answer."""
        with self._store.immediate() as connection:
            connection.executemany(
                "INSERT INTO batch_request VALUES (?, '', ?, ?, ?, ?, NULL, NULL, ?)",
                [
                    (each.held.id, each.path, each.insight, each.part, each.held.cost_picousd, problem)
                    for each in requests
                ],
            )

    def due(self) -> list[tuple[str, str]]:
        """Return the batches, with their engines, whose server should be asked again by now."""
        now = self._now_ms()
        rows = self._store.read("SELECT * FROM batch WHERE ended_at IS NULL")
        return [(row["id"], row["engine"]) for row in rows if now - row["looked_at"] >= _pause_ms(now - row["sent_at"])]

    def looked(self, batch_id: str) -> None:
        """Write down that the server is asked about a batch now."""
        with self._store.immediate() as connection:
            connection.execute("UPDATE batch SET looked_at = ? WHERE id = ?", (self._now_ms(), batch_id))

    def is_lost(self, batch_id: str) -> bool:
        """Say whether a batch should have ended long ago, so that nobody will ever know more of it."""
        row = self._store.one("SELECT sent_at FROM batch WHERE id = ?", (batch_id,))
        return row is not None and self._now_ms() - row["sent_at"] >= GIVE_UP_S * 1000

    def unanswered(self, batch_id: str) -> list[int]:
        """Return the attempts of a batch of which it is not yet known what came."""
        rows = self._store.read(
            "SELECT attempt FROM batch_request WHERE batch = ? AND reply IS NULL AND problem IS NULL", (batch_id,)
        )
        return [row["attempt"] for row in rows]

    def came_back(self, attempt: int, result: Reply | EngineError | None, cost_picousd: int | None) -> None:
        """Keep what came of one request; None: the server does not name it."""
        reply = json.dumps(_plain(result)) if isinstance(result, Reply) else None
        problem = None if reply else "unknown"
        if isinstance(result, Refused):
            problem = "again" if result.is_for_now else str(result)
        with self._store.immediate() as connection:
            connection.execute(
                "UPDATE batch_request SET cost_picousd = ?, reply = ?, problem = ? WHERE attempt = ?",
                (cost_picousd, reply, problem, attempt),
            )

    def ended(self, batch_id: str) -> list[bytes]:
        """Write down that a batch has ended and return its transcripts."""
        with self._store.immediate(durable=True) as connection:
            connection.execute("UPDATE batch SET ended_at = ? WHERE id = ?", (self._now_ms(), batch_id))
        return [
            row[0] for row in self._store.read("SELECT DISTINCT path FROM batch_request WHERE batch = ?", (batch_id,))
        ]

    def progress(self) -> list[dict[str, Any]]:
        """Return the batches that are on their way: id, how many requests, since when."""
        rows = self._store.read(
            "SELECT b.id, b.sent_at, count(*) AS requests FROM batch AS b JOIN batch_request AS r ON r.batch = b.id "
            "WHERE b.ended_at IS NULL GROUP BY b.id ORDER BY b.sent_at"
        )
        return [
            {
                "id": row["id"],
                "requests": row["requests"],
                "sent_at": datetime.fromtimestamp(row["sent_at"] / 1000, UTC),
            }
            for row in rows
        ]

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)


def _pause_ms(age_ms: int) -> float:
    pause = timedelta(seconds=LOOK_S) * (10 if age_ms > timedelta(minutes=10) / timedelta(milliseconds=1) else 1)
    return pause / timedelta(milliseconds=1)


def _plain(reply: Reply) -> dict[str, Any]:
    return {
        "text": reply.text,
        "usage": structs.asdict(reply.usage),
        "model": reply.model,
        "stop_reason": reply.stop_reason,
        "request_id": reply.request_id,
    }


def _reply(stored: str) -> Reply:
    plain = json.loads(stored)
    return Reply("", "", (), **{**plain, "usage": Usage(**plain["usage"])})


def _problem(stored: str) -> JobError:
    """Turn what a request of a batch came to into what becomes of the job."""
    if stored == "again":
        return Waiting("the batch ended before it was processed; nothing was billed, and it goes into the next one")
    if stored == "unknown":
        return Held(
            "it is unknown whether its request in a batch was billed, so it counts as spent until you correct it "
            "(`sessiontrackd budget assumed`); `sessiontrackd retry` asks again."
        )
    return Failed(f"{stored}; nothing was billed")
