"""The entry point that the daemon starts: python -m sessiontrackd.worker."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from sessiontrackd.config import Home
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.pipeline import open_rooms
from sessiontrackd.worker import STUCK_S, work


def main(words: Sequence[str] | None = None) -> int:
    """Run as `python -m sessiontrackd.worker`."""
    parser = argparse.ArgumentParser(
        prog="sessiontrackd.worker", description="Started by the daemon; not meant to be run by hand."
    )
    parser.add_argument("--home")
    parser.add_argument("--idle-s", type=float, help="instead of the setting")
    parser.add_argument("--stuck-s", type=float, default=STUCK_S, help="how long one step of its work may take")
    parser.add_argument("--prepare", action="store_true", help="bring the database up to date and end")
    chosen = parser.parse_args(words)
    try:
        home = Home.find(chosen.home)
        if chosen.prepare:
            open_rooms(home).close()
        else:
            asyncio.run(work(home, chosen.idle_s, chosen.stuck_s))
    except SessiontrackdError as error:
        print(f"sessiontrackd: {error}", file=sys.stderr)  # noqa: T201 - logging may not have begun
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
