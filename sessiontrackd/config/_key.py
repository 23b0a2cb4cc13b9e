"""Where the API key comes from: the environment, the service's credentials, or a file that only its owner reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from sessiontrackd.config._home import Home, Settings
from sessiontrackd.errors import SettingsError

VARIABLE = "ANTHROPIC_API_KEY"
CREDENTIAL = "anthropic-api-key"
_ELSE = frozenset(  # settings that no server refuses a request for
    {"folders", "log_level", "monthly_budget_picousd", "monthly_budget_tokens", "project_budgets", "scan_interval_s",
     "thresholds", "timezone", "watch_step_ms", "worker_idle_s", "calls_at_once"}
)  # fmt: skip


def key_path(home: Home) -> Path:
    """Return the file of `key set`."""
    return home.config_path.parent / "api-key"


def find_key(home: Home, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return the key and where it was found, in words; None where there is none.

    Raises:
        SettingsError: the file may be read by others.
    """
    if value := environ.get(VARIABLE, "").strip():
        return value, f"the variable {VARIABLE}"
    places = [key_path(home)]
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        places.insert(0, Path(folder) / CREDENTIAL)
    for place in places:
        try:
            value = place.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue
        if place == key_path(home) and stat.S_IMODE(place.stat().st_mode) & 0o077:
            raise SettingsError(f"{place} may be read by others, so the key in it is not used: chmod 600 {place}")
        if value:
            return value, str(place)
    return None


def condition(home: Home, settings: Settings) -> str:
    """Return key and settings in words that change when a person mended what an engine was refused for. Never kept."""
    try:
        found = find_key(home)
    except SettingsError:
        found = None
    return repr(
        [found, *((each.name, getattr(settings, each.name)) for each in fields(settings) if each.name not in _ELSE)]
    )


def keep_key(home: Home, value: str) -> Path:
    """Write the key into a file that only its owner reads."""
    home.prepare()
    path = key_path(home)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(value + "\n")
    fresh.replace(path)
    return path
