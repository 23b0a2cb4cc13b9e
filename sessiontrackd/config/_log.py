"""Where log lines go: to the journal where stderr leads there, else to stderr and to a file that is rotated."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from sessiontrackd.config._home import Home

LARGEST_BYTES = 1_000_000
KEPT = 3  # older files
PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}  # syslog's; the journal reads them
QUIET = ("watchfiles", "httpx2", "asyncio")


def start_logging(level: str, home: Home | None = None, name: str = "daemon") -> None:
    """Begin to log.

    Args:
        level: as the settings name it.
        home: whose folder of logs; None: there is no file.
        name: of the file. Processes have one each: they could not rotate a common one.
    """
    handlers: list[logging.Handler] = []
    if in_journal():
        handlers = [_stderr("<%(priority)d>%(message)s")]  # the journal adds time and process itself
        handlers[0].addFilter(_set_priority)
    else:
        if not under_launchd():  # launchd never cuts its file
            handlers.append(_stderr("%(asctime)s %(levelname)s: %(message)s"))
        if home is not None:
            handlers.append(_file(home.log_dir / f"{name}.log"))
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    for each in QUIET:
        logging.getLogger(each).setLevel(logging.WARNING)


def in_journal() -> bool:
    """Say whether stderr is the journal's. Source: systemd.exec(5), $JOURNAL_STREAM names its device and inode."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def under_launchd() -> bool:
    """Say whether launchd started this process as our agent."""
    return os.environ.get("XPC_SERVICE_NAME", "").startswith("io.sessiontrackd")


def _set_priority(record: logging.LogRecord) -> bool:
    record.priority = priority = PRIORITIES.get(record.levelname, 5)
    record.msg, record.args = record.getMessage().replace("\n", f"\n<{priority}>  "), ()  # each line says its own
    return True


def _stderr(layout: str) -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(layout))
    return handler


def _file(path: Path) -> logging.Handler:
    from logging.handlers import RotatingFileHandler

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(0o600)
    handler = RotatingFileHandler(
        path, maxBytes=LARGEST_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
    )
    handler.rotator = _rotate
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
    return handler


def _rotate(source: str, target: str) -> None:
    os.replace(source, target)
    if target.endswith(".1"):
        Path(source).touch(0o600)
