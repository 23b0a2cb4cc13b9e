"""The settings file → Settings, and the paths of one home."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from sessiontrackd.config._calendar import PERIODS, Span, digest_done, digest_looked, digests_due
from sessiontrackd.config._check import LARGEST_FILE_BYTES, parse
from sessiontrackd.config._document import EXAMPLE, default_text, document
from sessiontrackd.config._edit import Edit, change
from sessiontrackd.config._hints import take_hints
from sessiontrackd.config._home import Home, Settings
from sessiontrackd.config._hooks import HOOKS, ToolHook
from sessiontrackd.config._key import (
    KEY_CREDENTIAL,
    KEY_VARIABLE,
    condition,
    find_key,
    keep_key,
    keep_key_in_keyring,
    key_path,
    remove_key,
)
from sessiontrackd.config._log import start_logging, under_launchd
from sessiontrackd.config._lowered import Lowered, lowered, mistakes_below
from sessiontrackd.config._options import LOG_LEVELS, OPTIONS, Option, options
from sessiontrackd.config._presence import POKE, UncleanEnd, daemon_pid, heard, hold, poke, tell, unclean_end
from sessiontrackd.config._presets import PRESETS, Preset
from sessiontrackd.config._prices import Price
from sessiontrackd.config._systemd import notify, notify_reloading, watchdog_s
from sessiontrackd.config._values import PICOUSD, Amount, absolute_path, format_amount, parse_amount, system_timezone
from sessiontrackd.errors import SettingsError
from sessiontrackd.hook import HOME_VARIABLE
from sessiontrackd.model import Folder

__all__ = [
    "EXAMPLE",
    "HOME_VARIABLE",
    "HOOKS",
    "KEY_CREDENTIAL",
    "KEY_VARIABLE",
    "LOG_LEVELS",
    "OPTIONS",
    "PERIODS",
    "PICOUSD",
    "POKE",
    "PRESETS",
    "Amount",
    "Home",
    "Lowered",
    "Option",
    "Preset",
    "Price",
    "Settings",
    "Span",
    "ToolHook",
    "UncleanEnd",
    "add_folder",
    "condition",
    "daemon_pid",
    "default_text",
    "digest_done",
    "digest_looked",
    "digests_due",
    "document",
    "find_key",
    "format_amount",
    "heard",
    "hold",
    "keep_key",
    "keep_key_in_keyring",
    "key_path",
    "load",
    "lowered",
    "mistakes_below",
    "notify",
    "notify_reloading",
    "options",
    "parse_amount",
    "poke",
    "remove_folder",
    "remove_key",
    "set_project_budget",
    "set_value",
    "show",
    "start_logging",
    "system_timezone",
    "take_hints",
    "tell",
    "unclean_end",
    "under_launchd",
    "watchdog_s",
]


def load(home: Home) -> Settings:
    """Read the settings file of `home`; where there is none, everything is at its default.

    Raises:
        SettingsError: the file cannot be used; the text names file, line and remedy.
    """
    try:
        with home.config_path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
    except FileNotFoundError:
        raw = b""
    except OSError as error:
        raise SettingsError(f"{home.config_path} cannot be read ({error.strerror}).") from error
    return parse(raw, home)


def add_folder(home: Home, path: str | os.PathLike[str], **chosen: Any) -> Folder:
    """Add a folder to the settings file, keeping the rest of it as it is.

    Args:
        home: whose settings file.
        path: the folder; made absolute here, it need not exist.
        chosen: other options of a folder, as the file would have them; None and "" are left out.

    Returns:
        The folder as it is now in force.

    Raises:
        SettingsError: the file or a value is wrong, or the folder is named already; the file is then untouched.
    """
    full = _full(path)
    if any(folder.path == full for folder in load(home).folders):
        raise SettingsError(f"{full} is watched already. Change its options in {home.config_path}.")
    values = {"path": str(full)} | {name: value for name, value in chosen.items() if value not in (None, "")}
    return _changed(home, lambda edit: edit.add_folder(values)).folders[-1]


def remove_folder(home: Home, path: str | os.PathLike[str]) -> bool:
    """Take a folder out of the settings file; False where it is not in it.

    Raises:
        SettingsError: the file is wrong.
    """
    full = _full(path)
    place = _place(home, full)
    if place is not None:
        _changed(home, lambda edit: edit.remove_folder(place))
    return place is not None


def set_value(home: Home, name: str, value: Any, folder: str | os.PathLike[str] | None = None) -> Settings:
    """Set one option, of the whole program or of one folder; None takes it out, so that its default holds.

    Raises:
        SettingsError: there is no such option or folder, or the value is wrong; the file is then untouched.
    """
    if folder is None:
        return _changed(home, lambda edit: edit.set_global(name, value))
    full = _full(folder)
    place = _place(home, full)
    if place is None:
        raise SettingsError(f"{full} is not watched. Add it with: sessiontrackd watch add {full}")
    return _changed(home, lambda edit: edit.set_folder(place, name, value))


def set_project_budget(home: Home, project: str, value: str | None) -> Settings:
    """Set what may be spent a month for a project, or with None lift that limit.

    Raises:
        SettingsError: the file or the value is wrong; the file is then untouched.
    """
    return _changed(home, lambda edit: edit.set_project_budget(project, value))


def show(settings: Settings) -> str:
    """Print what is in force the way the file would say it, each option with its text."""
    lines: list[str] = []
    known = list(options("global").values())
    tables = [option.name.rpartition(".")[0] for option in known]
    for option in sorted(known, key=lambda each: tables.index(each.name.rpartition(".")[0])):  # a table is named once
        table, _, key = option.name.rpartition(".")
        if table and f"[{table}]" not in lines:
            lines += [f"[{table}]"]
        lines += [f"# {option.text} ({option.kind})", f"{key} = {_written(option, settings)}", ""]
    for folder in settings.folders:
        lines += ["[[folder]]"]
        lines += [f"{name} = {_written(option, folder)}" for name, option in options("folder").items()] + [""]
    for price in settings.prices:
        stated = [(name, _written(option, price)) for name, option in options("price").items()]
        lines += ["[[prices]]", *(f"{name} = {text}" for name, text in stated if text not in ('""', "false")), ""]
    return "\n".join(lines)


def _written(option: Option, holder: Settings | Folder | Price) -> str:
    field = option.field or option.key
    if field == "project_budgets":
        amounts = getattr(holder, field)
        return "{" + ", ".join(f"{_quoted(name)} = {_quoted(format_amount(each))}" for name, each in amounts) + "}"
    if option.check is parse_amount:
        value: Any = format_amount(Amount(getattr(holder, f"{field}_picousd"), getattr(holder, f"{field}_tokens")))
    else:
        value = getattr(holder, field)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    unset = "all" if option.name == "since" else ""
    return _quoted(unset if value is None else str(value))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _full(path: str | os.PathLike[str]) -> Path:
    try:
        return absolute_path(os.fspath(Path(path).expanduser().absolute()))
    except (ValueError, RuntimeError) as error:
        raise SettingsError(f"{os.fspath(path)!r} cannot be a watched folder: {error}.") from error


def _place(home: Home, full: Path) -> int | None:
    paths = [folder.path for folder in load(home).folders]
    return paths.index(full) if full in paths else None


def _changed(home: Home, edit: Callable[[Edit], None]) -> Settings:
    home.prepare()
    return change(home.config_path, home.state_dir, edit, lambda raw: parse(raw, home))
