"""Where log lines go: stderr, one line each, in the level that the settings name."""

from __future__ import annotations

import logging
import os
import sys


def start_logging(level: str) -> None:
    """Send log lines to stderr; the system's journal adds time and severity itself."""
    in_journal = bool(os.environ.get("JOURNAL_STREAM")) and not sys.stderr.isatty()
    layout = "%(levelname)s: %(message)s" if in_journal else "%(asctime)s %(levelname)s: %(message)s"
    logging.basicConfig(level=level.upper(), format=layout, stream=sys.stderr, force=True)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
