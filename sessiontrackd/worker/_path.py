"""One named transcript, taken through the queue at once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from sessiontrackd import watch
from sessiontrackd.model import JobState
from sessiontrackd.pipeline import Rooms, as_result, gone
from sessiontrackd.worker._job import Outcome, do

OTHERS_S = 0.1  # how often a transcript that another process works on is looked at


async def process_path(
    rooms: Rooms,
    path: Path,
    *,
    level: str | None = None,
    engine: str | None = None,
    again: bool = False,
    by_name: bool = True,
) -> dict[str, Any]:
    """Take one transcript through the queue now, in this process, and return what became of it.

    Where another process works on it just now, wait for that one.

    Args:
        rooms: what the process works with.
        path: the transcript.
        level: instead of the folder's.
        engine: instead of the folder's.
        again: make the insight anew.
        by_name: a person named this path, not only its folder.

    Returns:
        {"path", "state", "reason", "sessions"}, the shape of `process --json`.
    """
    raw, seen = os.fsencode(path), watch.fingerprint(os.fsencode(path))
    if seen is None:
        gone(rooms, raw)
        return _result(path, Outcome(JobState.FAILED, _absence(path)))
    folder = rooms.settings.folder_of(raw)
    name = str(folder.path) if folder else None
    rooms.queue.recover()
    with rooms.store.immediate():  # one commit for both
        asked: dict[str, Any] = {"level": level, "engine": engine, "again": again, "named": by_name, "finished": True}
        rooms.queue.offer(raw, watch.display(raw), seen, name, **asked)
        job = rooms.queue.take(rooms.store.owner, path=raw)
    while job is None:
        standing = rooms.queue.job(raw)
        if standing is None or standing.state not in (JobState.RUNNING, JobState.WAITING):
            return _result(
                path, Outcome(standing.state if standing else JobState.FAILED, standing.reason if standing else None)
            )
        await asyncio.sleep(OTHERS_S)
        rooms.queue.recover()
        job = rooms.queue.take(rooms.store.owner, path=raw)
    return _result(path, await do(rooms, job))


def _absence(path: Path) -> str:
    return "there is no such file" if not os.path.lexists(path) else "it is not a regular file"


def _result(path: Path, outcome: Outcome) -> dict[str, Any]:
    sessions = [as_result(note) for note in outcome.notes]
    return {
        "path": os.fsencode(path).decode("utf-8", "replace"),
        "state": outcome.state.value,
        "reason": outcome.reason,
        "sessions": sessions,
    }
