"""The tables of the history."""

from __future__ import annotations

from sessiontrackd.store import Schema

SCHEMA = Schema(
    "history",
    (
        """
CREATE TABLE insight (                 -- made once, never asked for twice
    session_id TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,      -- of what was read
    level TEXT NOT NULL,
    engine TEXT NOT NULL,
    model TEXT NOT NULL,               -- '' for an engine without models
    body BLOB NOT NULL,                -- the insight as JSON
    at INTEGER NOT NULL,               -- milliseconds since 1970
    PRIMARY KEY (session_id, content_sha256, level, engine, model)
) STRICT;
CREATE TABLE report (                  -- a note that we wrote
    path BLOB PRIMARY KEY,
    source BLOB NOT NULL,              -- the transcript
    session_id TEXT NOT NULL,          -- '' for an index of many sessions
    level TEXT NOT NULL,
    engine TEXT NOT NULL,
    title TEXT NOT NULL,
    body_sha256 TEXT NOT NULL,         -- as written, to notice edits
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX report_session ON report (session_id, source);
CREATE INDEX report_source ON report (source);
CREATE INDEX report_at ON report (at);
CREATE TABLE session (                 -- a conversation that was read
    session_id TEXT NOT NULL,
    source BLOB NOT NULL,
    format TEXT NOT NULL,
    title TEXT,
    folder TEXT,
    project TEXT,
    started_at INTEGER,
    ended_at INTEGER,
    human_turns INTEGER NOT NULL,
    assistant_turns INTEGER NOT NULL,
    has_usage INTEGER NOT NULL,        -- 0: it records no usage, which is not zero
    read_at INTEGER NOT NULL,
    PRIMARY KEY (session_id, source)
) STRICT;
CREATE TABLE recorded (                -- what one reply of a model used, as its transcript says
    key TEXT PRIMARY KEY,              -- the message id; the same one in several files is one reply
    session_id TEXT NOT NULL,
    source BLOB NOT NULL,
    folder TEXT,
    project TEXT,
    model TEXT,
    at INTEGER,                        -- NULL: the transcript has no times
    is_sidechain INTEGER NOT NULL,     -- a sub-agent's copy
    is_sum INTEGER NOT NULL,           -- of an unknown number of replies: where only sums are recorded
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_5m_tokens INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    is_complete INTEGER NOT NULL,
    noted_at INTEGER NOT NULL          -- when we read it
) STRICT;
CREATE INDEX recorded_at ON recorded (at);
CREATE INDEX recorded_source ON recorded (source);
""",
        "CREATE INDEX insight_content ON insight (content_sha256);\n",
        "CREATE INDEX recorded_session ON recorded (session_id);",
        "CREATE INDEX recorded_noted ON recorded (noted_at);",
        """
ALTER TABLE report ADD COLUMN is_deleted INTEGER NOT NULL DEFAULT 0;  -- by the user, and nowhere else under its root
CREATE TABLE line (                    -- a session's line in an index note
    root BLOB NOT NULL,                -- the vault, or the folder of an archive's notes
    session_id TEXT NOT NULL,
    folder BLOB NOT NULL,              -- where the index stands: in a vault the project's folder
    source BLOB NOT NULL,
    title TEXT NOT NULL,
    started_at INTEGER,
    summary TEXT NOT NULL,
    open_items INTEGER NOT NULL,
    note BLOB,                         -- NULL: it has none, being short
    mode INTEGER NOT NULL,             -- the permissions of its source
    PRIMARY KEY (root, session_id)
) STRICT;
CREATE INDEX line_folder ON line (folder);
CREATE INDEX line_source ON line (source);
CREATE TABLE index_note (              -- an index note that is to be written again
    folder BLOB PRIMARY KEY,
    due_at INTEGER NOT NULL            -- since when
) STRICT;
CREATE TABLE vault (                   -- where notes of earlier homes were looked for
    root BLOB PRIMARY KEY
) STRICT;
""",
        """
CREATE TABLE cursor (                  -- how far a growing transcript was read
    source BLOB PRIMARY KEY,
    format TEXT NOT NULL,
    session_id TEXT NOT NULL,
    working_directory TEXT,            -- as the session records it
    folder TEXT,
    project TEXT,                      -- the folder's setting
    device TEXT NOT NULL,
    inode TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    offset_bytes INTEGER NOT NULL,     -- behind the last whole line
    sha256_before BLOB NOT NULL,       -- of the bytes right before it
    state BLOB NOT NULL                -- the reader's own
) STRICT;
""",
        "CREATE INDEX session_began ON session (project, started_at, session_id);",
        """
CREATE TABLE tariff (                  -- what a model cost on a day, for what is recorded; not asked before money is spent
    package TEXT NOT NULL,             -- that said so, with its version
    model TEXT NOT NULL,
    day TEXT NOT NULL,                 -- UTC
    body BLOB NOT NULL,                -- the tariff as JSON; null: it knows none
    PRIMARY KEY (package, model, day)
) STRICT;
""",
        "DROP INDEX recorded_source;",  # nothing is looked up by it, and each reply paid for it
        "DROP INDEX recorded_at;",  # nor by this one: who wants a span looks at what was noted since
    ),
)

# The largest total wins, of equal ones the later; a copy in a sub-agent's file never moves a reply to that file.
NOTE_USAGE = """
INSERT INTO recorded VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    (session_id, source, folder, project, is_sidechain) = (
        SELECT iif(moves, excluded.session_id, session_id), iif(moves, excluded.source, source),
               iif(moves, excluded.folder, folder), iif(moves, excluded.project, project),
               min(is_sidechain, excluded.is_sidechain)
        FROM (SELECT excluded.is_sidechain < is_sidechain
                  OR (excluded.source = source AND excluded.is_sidechain = is_sidechain)
                  OR session_id = 'forgotten' AS moves)),
    (model, at, input_tokens, output_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
     total_tokens, is_complete, noted_at) = (
        SELECT iif(wins, excluded.model, model), iif(wins, excluded.at, at),
               iif(wins, excluded.input_tokens, input_tokens),
               iif(wins, excluded.output_tokens, output_tokens),
               iif(wins, excluded.cache_read_tokens, cache_read_tokens),
               iif(wins, excluded.cache_write_5m_tokens, cache_write_5m_tokens),
               iif(wins, excluded.cache_write_1h_tokens, cache_write_1h_tokens),
               iif(wins, excluded.total_tokens, total_tokens), iif(wins, excluded.is_complete, is_complete),
               iif(excluded.total_tokens > total_tokens, excluded.noted_at, noted_at)
        FROM (SELECT excluded.total_tokens >= total_tokens AS wins))
"""

SUMMED = """
SELECT session_id, model, min(at) AS at, is_sum, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_5m_tokens) AS cache_write_5m_tokens,
    sum(cache_write_1h_tokens) AS cache_write_1h_tokens, sum(total_tokens) AS total_tokens,
    min(is_complete) AS is_complete,
    min(total_tokens - output_tokens) AS least_prompt, max(total_tokens - output_tokens) AS most_prompt
FROM recorded
"""
