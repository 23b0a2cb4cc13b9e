"""The tables of the queue, and the conversion of their rows."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

from sessiontrackd.model import Degraded, Fingerprint, InsightLevel, Job, JobState
from sessiontrackd.store import Schema

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SCHEMA = Schema(
    "queue",
    (
        """
CREATE TABLE job (                     -- a transcript that was found
    id INTEGER PRIMARY KEY,            -- the order in which they were found
    path BLOB NOT NULL UNIQUE,         -- what the kernel takes; need not be UTF-8
    display TEXT NOT NULL,             -- what people read
    fingerprint TEXT NOT NULL,         -- device inode size_bytes mtime_ns, as last seen
    folder TEXT,                       -- the watched folder; NULL for a path named by hand outside of them
    state TEXT NOT NULL CHECK (state IN ('waiting', 'running', 'held', 'failed', 'done', 'skipped')),
    reason TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,      -- since its content last changed
    crashes INTEGER NOT NULL DEFAULT 0,       -- workers that died over it
    not_before_at INTEGER NOT NULL DEFAULT 0, -- milliseconds since 1970
    waiting_at INTEGER NOT NULL,              -- since when it waits; decides the order
    finished_at INTEGER,
    level TEXT,                        -- asked for by name
    engine TEXT,                       -- asked for by name
    again INTEGER NOT NULL DEFAULT 0,  -- make it anew even where an insight is stored
    named INTEGER NOT NULL DEFAULT 0,  -- a person asked for this path and may be waiting
    changed INTEGER NOT NULL DEFAULT 0,-- the file changed, or was asked for again, while it was worked on
    owner TEXT,                        -- the lease of the process that works on it
    content_sha256 TEXT                -- what was read last
) STRICT;
CREATE INDEX job_turn ON job (state, named DESC, waiting_at, id);
CREATE INDEX job_owner ON job (owner) WHERE owner IS NOT NULL;
CREATE TABLE switch (                  -- what holds even where the settings are broken
    name TEXT PRIMARY KEY,
    is_on INTEGER NOT NULL CHECK (is_on IN (0, 1))
) STRICT, WITHOUT ROWID;
""",
        """
CREATE TABLE degraded (                -- what a transcript got less than was asked for: the budget had no room
    job INTEGER PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    level TEXT NOT NULL,               -- asked for
    engine TEXT NOT NULL,              -- asked for
    given TEXT NOT NULL,               -- local, a lower level, or hold
    period TEXT NOT NULL,              -- the month whose budget had no room
    sessions INTEGER NOT NULL,
    cost_picousd INTEGER               -- the most that the rest may cost; NULL: nobody knows
) STRICT;
""",
        "ALTER TABLE job ADD COLUMN grows INTEGER NOT NULL DEFAULT 0; -- it waits because its session goes on\n",
        "ALTER TABLE job ADD COLUMN ended INTEGER NOT NULL DEFAULT 0; -- a tool said that its session does not go on\n",
    ),
)


def job_of(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        path=row["path"],
        display=row["display"],
        fingerprint=fingerprint_of(row["fingerprint"]),
        folder=row["folder"],
        state=JobState(row["state"]),
        reason=row["reason"],
        attempts=row["attempts"],
        not_before_at=at_of(row["not_before_at"]) if row["not_before_at"] else None,
        level=row["level"],
        engine=row["engine"],
        again=bool(row["again"]),
        named=bool(row["named"]),
        crashes=row["crashes"],
        ended=bool(row["ended"]),
    )


def degraded_of(row: sqlite3.Row) -> Degraded:
    return Degraded(
        InsightLevel(row["asked_level"]),
        row["asked_engine"],
        row["given"],
        row["period"],
        row["sessions"],
        row["cost_picousd"],
    )


def written(fingerprint: Fingerprint) -> str:
    """Write it as text: an inode may need 64 bits without sign, which SQLite's integers do not hold."""
    return f"{fingerprint.device} {fingerprint.inode} {fingerprint.size_bytes} {fingerprint.mtime_ns}"


def fingerprint_of(text: str) -> Fingerprint:
    device, inode, size_bytes, mtime_ns = map(int, text.split())
    return Fingerprint(device, inode, size_bytes, mtime_ns)


def ms_of(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def at_of(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)
