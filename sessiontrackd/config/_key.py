"""Where the API key comes from: the environment, the service's credentials, the system keyring, or a file that only its owner reads."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from msgspec import structs

from sessiontrackd.config._home import Home, Settings
from sessiontrackd.errors import SettingsError

KEY_VARIABLE = "ANTHROPIC_API_KEY"
KEY_CREDENTIAL = "anthropic-api-key"
SERVICE = "sessiontrackd"  # under which the keyring keeps it
_ELSE = frozenset(  # settings that no server refuses a request for
    {"folders", "log_level", "monthly_budget_picousd", "monthly_budget_tokens", "project_budgets", "scan_interval_s",
     "thresholds", "timezone", "watch_step_ms", "worker_idle_s", "calls_at_once"}
)  # fmt: skip


def key_path(home: Home) -> Path:
    """Return the file of `key set`."""
    return home.config_path.parent / "api-key"


def _marker_path(home: Home) -> Path:
    """Return the empty file that marks that the key is in the keyring; without it the keyring is not asked."""
    return home.config_path.parent / "api-key.keyring"


def find_key(home: Home, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """Return the key and where it was found, in words; None where there is none.

    Raises:
        SettingsError: the file may be read by others, or the keyring that holds the key cannot be opened.
    """
    if value := environ.get(KEY_VARIABLE, "").strip():
        return value, f"the variable {KEY_VARIABLE}"
    if folder := environ.get("CREDENTIALS_DIRECTORY"):
        place = Path(folder) / KEY_CREDENTIAL
        if value := _read(place):
            return value, str(place)
    if _marker_path(home).exists():
        return _ask_keyring("get_password", home), "the system keyring"
    place = key_path(home)
    value = _read(place)
    if value and stat.S_IMODE(place.stat().st_mode) & 0o077:
        raise SettingsError(f"{place} can be read by others, so the key in it is not used. Run: chmod 600 {place}")
    return (value, str(place)) if value else None


def _read(place: Path) -> str:
    try:
        return place.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _ask_keyring(what: str, home: Home, *words: str) -> str:
    """Call the keyring; a failure is told, and never answered from elsewhere.

    Raises:
        SettingsError: it is not installed, cannot be opened, or holds no key.
    """
    remedy = "Unlock it, or keep the key in a file: `sessiontrackd key set`."
    try:
        keyring = import_module("keyring")
    except ImportError:
        raise SettingsError(
            "The package keyring is not installed: pip install 'sessiontrackd[keyring]'; or `sessiontrackd key set` without it."
        ) from None
    failure: type[Exception] = import_module("keyring.errors").KeyringError
    try:
        answer = getattr(keyring, what)(SERVICE, str(home.config_path), *words)
    except (failure, RuntimeError, OSError) as error:
        raise SettingsError(f"The system keyring cannot be used ({type(error).__name__}). {remedy}") from None
    if what == "get_password" and not answer:
        raise SettingsError(f"The system keyring holds no key any more. {remedy}")
    return str(answer or "")


def condition(home: Home, settings: Settings) -> str:
    """Return a text of key and settings that changes when a person fixes what an engine was refused for. Never stored."""
    try:
        found = find_key(home)
    except SettingsError:
        found = None
    return repr(
        [
            found,
            *((each.name, getattr(settings, each.name)) for each in structs.fields(settings) if each.name not in _ELSE),
        ]
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
    _marker_path(home).unlink(missing_ok=True)  # from now on the file counts
    return path


def keep_key_in_keyring(home: Home, value: str) -> None:
    """Give the key to the system keyring; a file with another one is removed.

    Raises:
        SettingsError: the keyring cannot be used; nothing was changed.
    """
    home.prepare()
    _ask_keyring("set_password", home, value)
    _marker_path(home).touch(mode=0o600)
    key_path(home).unlink(missing_ok=True)


def remove_key(home: Home) -> bool:
    """Remove the key from file and keyring; return whether there was one. One in the environment stays.

    Raises:
        SettingsError: the keyring cannot be used.
    """
    existed = key_path(home).exists() or _marker_path(home).exists()
    if _marker_path(home).exists():
        _ask_keyring("delete_password", home)
        _marker_path(home).unlink()
    key_path(home).unlink(missing_ok=True)
    return existed
