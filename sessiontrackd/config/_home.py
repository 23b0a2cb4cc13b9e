"""The paths of one home, and its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from msgspec import Struct

from sessiontrackd import hook
from sessiontrackd.config._prices import Price
from sessiontrackd.config._values import Amount
from sessiontrackd.errors import SettingsError
from sessiontrackd.hook import APP, HOME_VARIABLE
from sessiontrackd.model import Folder


class Home(Struct, frozen=True):
    """Where everything of one installation lies: one folder, or the platform's own ones."""

    config_path: Path
    state_dir: Path
    log_dir: Path
    root: Path | None = None  # the folder that holds it all; None: the platform's

    @classmethod
    def find(cls, directory: str | os.PathLike[str] | None = None, environ: Mapping[str, str] = os.environ) -> Self:
        """Take `directory`, else SESSIONTRACKD_HOME, else the platform's folders. Nothing is made yet."""
        chosen = directory or environ.get(HOME_VARIABLE)
        if chosen:
            root = Path(chosen).expanduser().absolute()
            return cls(root / "config.toml", root, root / "log", root)
        if sys.platform == "darwin":
            library = Path.home() / "Library"
            support = library / "Application Support" / APP
            return cls(support / "config.toml", support, library / "Logs" / APP)
        state_dir = Path(hook.state_dir(None, environ))
        return cls(_xdg(environ, "XDG_CONFIG_HOME", ".config") / APP / "config.toml", state_dir, state_dir / "log")

    @property
    def db_path(self) -> Path:
        """The one SQLite file."""
        return self.state_dir / "state.db"

    @property
    def lock_path(self) -> Path:
        """The file whose lock says that a daemon runs."""
        return self.state_dir / "daemon.lock"

    @property
    def notes_dir(self) -> Path:
        """The vault of folders that belong to a tool, unless the user chose another."""
        return self.state_dir / "notes"

    @property
    def templates_dir(self) -> Path:
        """The user's own templates, which cover ours."""
        return self.config_path.parent / "templates"

    def words(self, *command: str) -> list[str]:
        """Return the command line of ours for this home. -P: files in the current folder are not taken for modules."""
        place = ["--home", str(self.root)] if self.root else []
        return [sys.executable, "-P", "-m", APP, *place, *command]

    def prepare(self) -> None:
        """Make the folders, private to the user whatever the umask.

        Raises:
            SettingsError: a folder cannot be made.
        """
        for folder in dict.fromkeys((self.state_dir, self.config_path.parent, self.log_dir)):
            try:
                _make_private(folder)
            except OSError as error:
                raise SettingsError(
                    f"{folder} cannot be created or used ({error.strerror}). Choose another place with --home DIR."
                ) from error


def _xdg(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """Return a base folder; the XDG specification has relative values ignored."""
    named = Path(environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / default


def _make_private(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    elif folder.stat().st_mode & 0o077 and folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)


class Settings(Struct, frozen=True):
    """What the settings file says, checked, with the defaults filled in."""

    timezone: str = "UTC"
    log_level: str = "info"
    monthly_budget_picousd: int | None = None
    monthly_budget_tokens: int | None = None
    thresholds: tuple[int, ...] = (50, 80, 95, 100)
    recorded_daily_picousd: int | None = None
    recorded_daily_tokens: int | None = None
    recorded_monthly_picousd: int | None = None
    recorded_monthly_tokens: int | None = None
    degrade: str = "local"
    upgrade_at_turn: bool = False
    may_run_ahead: float = 100.0
    alerts_desktop: bool = True
    alerts_command: tuple[str, ...] = ()
    alerts_reports: bool = False
    project_budgets: tuple[tuple[str, Amount], ...] = ()
    prices_confirmed_on: date | None = None
    prices: tuple[Price, ...] = ()
    claude_model: str = ""
    claude_base_url: str = "https://api.anthropic.com"
    claude_unencrypted: bool = False
    command_argv: tuple[str, ...] = ()
    command_timeout_s: float = 300.0
    scan_interval_s: float = 300.0
    note_every_min: float = 10.0
    quiet_min: float = 30.0
    ask_every_min: float = 120.0
    worker_idle_s: float = 60.0
    calls_at_once: int = 4
    watch_step_ms: int = 500
    keeps_words: bool = True
    digest_every: str = "week"
    digest_folder: str = ""
    note_links: str = "markdown"
    folders: tuple[Folder, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The time zone whose months a budget counts."""
        return ZoneInfo(self.timezone)

    def folder_of(self, path: bytes | str | os.PathLike[str]) -> Folder | None:
        """Return the innermost folder of the settings that holds `path`."""
        name = os.fsencode(path)
        holding = [each for each in self.folders if name.startswith(os.fsencode(each.path).rstrip(b"/") + b"/")]
        return max(holding, key=lambda folder: len(folder.path.parts), default=None)
