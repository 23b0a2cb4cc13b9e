"""End a worker that is stuck: that counts as a death over its transcript, and the next worker goes on with the others."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
from collections.abc import Iterator

STUCK_S = 1_800.0  # the loop is free again after each session; that of a transcript of 1 GB took a minute
BEATS = 20  # in that time


@contextlib.contextmanager
def ended_when_stuck(after_s: float) -> Iterator[None]:
    """Exit with 1, and the place on stderr, once the running loop has not come round for so long, whatever holds it up.

    A thread of the interpreter's own sees to that: one in Python would wait for a pattern or a file system as all do.
    """

    async def beat() -> None:
        while True:
            faulthandler.dump_traceback_later(after_s, exit=True)
            await asyncio.sleep(after_s / BEATS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        faulthandler.cancel_dump_traceback_later()
