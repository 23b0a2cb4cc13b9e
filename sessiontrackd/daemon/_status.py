"""The daemon's state, reported to `status` through a file and to the service manager."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from sessiontrackd import budget
from sessiontrackd.config import Home, Settings, notify, tell
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.model import Folder
from sessiontrackd.pricing import usd
from sessiontrackd.store import open_store

log = logging.getLogger(__name__)

REPORT_EVERY_S = 1.0  # between two words on how far a scan is


class Seen(Struct):
    """What is known of one folder."""

    next_scan_s: float  # on the monotonic clock
    state: str = "new"  # then watched or offline
    files: int = 0


class Status:
    """What others are told.

    Args:
        home: whose daemon.
        boot: this run of the machine, as the kernel names it.
    """

    def __init__(self, home: Home, boot: str | None) -> None:
        """Keep the parts."""
        self._home = home
        self._boot = boot
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._told_s = 0.0
        self._budget: budget.TokenManager | None = None
        self.folders: dict[Path, Seen] = {}
        self.problem: str | None = None  # what keeps the daemon from its work just now
        self.are_settings_wrong = False  # those before them are in force
        self.is_ready = False  # every folder was looked through

    def tell(self, scanning: dict[str, str | int] | None = None) -> None:
        """Write the file that `status` reads."""
        self._told_s = time.monotonic()
        folders = {os.fspath(path): {"state": seen.state, "seen": seen.files} for path, seen in self.folders.items()}
        what = {"pid": os.getpid(), "since": self._since, "folders": folders, "problem": self.problem}
        what["boot"] = self._boot
        with contextlib.suppress(OSError):  # a full disk must not end the daemon over a word
            tell(self._home, {**what, "scanning": scanning})

    def tell_progress(self, folder: Folder, files: int) -> None:
        """Tell how far the scan of a folder is, now and then."""
        if time.monotonic() - self._told_s >= REPORT_EVERY_S:
            self.tell({"folder": os.fspath(folder.path), "seen": files})
            notify("WATCHDOG=1", f"STATUS=scanning, {files} files so far")

    def set_problem(self, problem: str | None) -> None:
        """Log and tell what keeps the daemon from its work, or that nothing does any more."""
        if problem != self.problem:
            if problem:
                log.error("%s", problem)
            self.problem = problem
            self.tell()

    def say_ready(self, settings: Settings, waiting: int) -> None:
        """Tell the service manager how things stand: ready once every folder was looked through."""
        folders = [folder for folder in settings.folders if folder.enabled]
        states = (self.folders[folder.path].state if folder.path in self.folders else "new" for folder in folders)
        self.is_ready = self.is_ready or all(state != "new" for state in states)
        watched = f"{len(folders)} folder{'' if len(folders) == 1 else 's'}"
        mistake = (
            "; the changed settings are invalid, the previous ones stay in force" if self.are_settings_wrong else ""
        )
        words = [f"STATUS=watching {watched}, {waiting} waiting{self._money(settings)}{mistake}", "WATCHDOG=1"]
        notify(*(["READY=1"] if self.is_ready else []), *words)

    def _money(self, settings: Settings) -> str:
        """Return `, $3.10 of $50`; nothing where no budget is set."""
        limit = settings.monthly_budget_picousd
        if limit is None:
            return ""
        try:
            if self._budget is None:
                store = open_store(self._home.db_path, budget.SCHEMA)
                self._budget = budget.TokenManager(store=store, timezone=settings.timezone)
            status = self._budget.status()
        except SessiontrackdError:  # `doctor` says what is wrong with it
            return ""
        spent = status.spent_picousd + status.reserved_picousd
        return f", {_dollars(spent)} of {_dollars(limit)}"


def _dollars(picousd: int) -> str:
    return f"${usd(picousd):.2f}".removesuffix(".00")
