"""The tables of the budget."""

from __future__ import annotations

from sessiontrackd.store import Schema

SCHEMA = Schema(
    "budget",
    (
        """
CREATE TABLE ledger (                  -- every change of money or of a limit; rows are only ever added
    id INTEGER PRIMARY KEY,            -- 1, 2, 3 ... without a gap
    attempt INTEGER NOT NULL,          -- the entry that reserved; 0 for a limit
    kind TEXT NOT NULL CHECK (kind IN ('reserve', 'send', 'settle', 'release', 'assume', 'limit')),
    at INTEGER NOT NULL,               -- milliseconds since 1970
    period TEXT NOT NULL,              -- the month of the reservation, 2026-11
    zone TEXT NOT NULL,                -- in this time zone
    day TEXT NOT NULL,                 -- the local day of the reservation
    scope TEXT NOT NULL,               -- of a limit: total, folder:/path or project:name
    folder TEXT,
    project TEXT,
    level TEXT,
    engine TEXT,
    model TEXT,
    is_batch INTEGER NOT NULL,
    batch_id TEXT,                     -- of the provider, once it is sent
    input_tokens INTEGER NOT NULL,     -- reserve and assume: the most it can be; settle: what was billed
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    picousd INTEGER,                   -- likewise; of a limit: NULL where there is none
    tokens INTEGER,                    -- the sum of the buckets; of a limit: NULL where there is none
    rates TEXT,                        -- reserve: the tariff; settle: the rates that were billed
    owner TEXT,                        -- reserve: the lease of the process
    note TEXT,                         -- why, in words
    hash BLOB NOT NULL                 -- sha256 over the hash before and this row
) STRICT;
CREATE INDEX ledger_attempt ON ledger (attempt, id);
CREATE TABLE balance (                 -- what the entries of a month come to; can be made again from them
    period TEXT NOT NULL,
    scope TEXT NOT NULL,
    settled_picousd INTEGER NOT NULL,
    settled_tokens INTEGER NOT NULL,
    assumed_picousd INTEGER NOT NULL,
    assumed_tokens INTEGER NOT NULL,
    reserved_picousd INTEGER NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    entry INTEGER NOT NULL,            -- the last one in it
    seal BLOB NOT NULL,                -- a digest of the row
    PRIMARY KEY (period, scope)
) STRICT, WITHOUT ROWID;
CREATE TABLE budget (                  -- the limits in force
    scope TEXT PRIMARY KEY,
    picousd INTEGER,
    tokens INTEGER,
    seal BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE purpose (                 -- what an attempt was for; can be forgotten, which amounts cannot
    attempt INTEGER PRIMARY KEY,
    session_id TEXT,
    source BLOB,
    title TEXT
) STRICT;
CREATE TABLE usage (                   -- every session that ran, at no cost for the local engine
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    period TEXT NOT NULL,
    day TEXT NOT NULL,
    session_id TEXT NOT NULL,
    source BLOB,
    folder TEXT,
    project TEXT,
    level TEXT NOT NULL,
    engine TEXT NOT NULL,
    model TEXT,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    cost_picousd INTEGER NOT NULL      -- what its attempts came to; the ledger has each of them
) STRICT;
CREATE INDEX usage_period ON usage (period);
""",
    ),
)
