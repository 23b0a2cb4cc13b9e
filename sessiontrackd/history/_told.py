"""Sessions of a span of time with what was found in them: what a digest is made of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from sessiontrackd.history._moments import from_ms, to_ms
from sessiontrackd.model import Insight
from sessiontrackd.store import Store

# Of several transcripts of a session the one that holds most stands for it.
_SESSIONS = """
SELECT session_id, format, project, coalesce(started_at, ended_at) AS started, coalesce(ended_at, started_at) AS ended,
       max(human_turns + assistant_turns)
FROM session WHERE ended >= ? AND started < ?
GROUP BY session_id ORDER BY ended, session_id
"""


class Told(Struct, frozen=True):
    """A session, what was found in it, and its note: None where it has none, `is_deleted` where the user deleted it."""

    session_id: str
    format: str
    project: str | None
    started_at: datetime
    ended_at: datetime
    insight: Insight
    note: Path | None
    is_deleted: bool


def told(store: Store, since: datetime, until: datetime) -> Iterator[Told]:
    """Yield the sessions of a span that have an insight, in the order in which they ended.

    A copy of a transcript that records no session id tells of the same time the same, and is left out.
    """
    seen: dict[tuple[int, int], list[Insight]] = {}
    for row in store.read(_SESSIONS, (to_ms(since), to_ms(until))):
        made = store.one(
            "SELECT body FROM insight WHERE session_id = ? ORDER BY at DESC, rowid DESC LIMIT 1", (row["session_id"],)
        )
        if made is not None:
            insight = msgspec.json.decode(made["body"], type=Insight)
            of_that_time = seen.setdefault((row["started"], row["ended"]), [])
            untitled = structs.replace(insight, title="")  # it may come from the file's name
            if untitled in of_that_time:
                continue
            of_that_time.append(untitled)
            notes = store.read("SELECT path FROM report WHERE session_id = ? ORDER BY at DESC", (row["session_id"],))
            there = next((Path(os.fsdecode(note["path"])) for note in notes if os.path.exists(note["path"])), None)
            yield Told(
                row["session_id"],
                row["format"],
                row["project"],
                from_ms(row["started"]),
                from_ms(row["ended"]),
                insight,
                there,
                bool(notes) and there is None,
            )
