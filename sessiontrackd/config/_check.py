"""From the bytes of a settings file to Settings, with the line of every mistake."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sessiontrackd.config._home import Home, Settings
from sessiontrackd.config._options import Option, options
from sessiontrackd.config._presets import PRESETS
from sessiontrackd.config._prices import Price, checked_price
from sessiontrackd.config._values import Amount, system_timezone
from sessiontrackd.errors import SettingsError
from sessiontrackd.model import Folder

LARGEST_FILE_BYTES = 1 << 20  # no settings file is larger; a mistaken path may be


def parse(raw: bytes, home: Home) -> Settings:
    """Check the bytes of a settings file.

    Raises:
        SettingsError: they cannot be used; the text names file, line and remedy.
    """
    where = home.config_path
    if len(raw) > LARGEST_FILE_BYTES:
        raise SettingsError(f"{where} is too large for a settings file.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SettingsError(f"{where}, line {line}: this is not UTF-8. Save the file as UTF-8.") from error
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(toml_mistake(error, text, where)) from error
    return _Checker(text, home).settings(document)


def toml_mistake(error: Exception, text: str, where: Path | str) -> str:
    """Say what is no TOML, and on which line."""
    match = re.search(r"^(.*) \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
    line = int(match[2]) if match and match[2] else text.rstrip("\n").count("\n") + 1
    what = match[1] if match else "this is not TOML"
    return f'{where}, line {line}: {what}. Texts stand in quotes: name = "value".'


class _Checker:
    """Turns a TOML document into Settings and knows on which line each value stands."""

    def __init__(self, text: str, home: Home) -> None:
        self._lines = text.splitlines()
        self._home = home

    def settings(self, document: dict[str, Any]) -> Settings:
        folders = document.pop("folder", [])
        if not isinstance(folders, list) or not all(isinstance(each, dict) for each in folders):
            raise self._error("folder", None, "a watched folder starts with [[folder]], in two pairs of brackets")
        prices = document.pop("prices", [])
        if not isinstance(prices, list) or not all(isinstance(each, dict) for each in prices):
            raise self._error("prices", None, "a price starts with [[prices]], in two pairs of brackets")
        known = options("global")
        flat = self._flatten(document, known)
        fields = {"timezone": system_timezone()} | self._check(flat, known, None)
        return Settings(**fields, folders=self._folders(folders), prices=self._prices(prices))

    def _flatten(self, document: dict[str, Any], known: dict[str, Option]) -> dict[str, Any]:
        tables = {name.partition(".")[0] for name in known if "." in name}
        flat: dict[str, Any] = {}
        for key, value in document.items():
            if key not in tables:
                flat[key] = value
            elif isinstance(value, dict):
                flat |= {f"{key}.{name}": item for name, item in value.items()}
            else:
                raise self._error(key, None, f"'{key}' is a table: write [{key}] and its options below it")
        return flat

    def _check(
        self, values: dict[str, Any], known: dict[str, Option], nth: int | None, array: str = "folder"
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise self._error(name, nth, _unknown(name, known), array)
            option = known[name]
            if value == "" and option.default == "" and name != "path":
                continue
            try:
                kept = option.check(value)
            except ValueError as error:
                raise self._error(name, nth, f"'{name}' cannot be {_shown(value)}: {error}", array) from error
            fields |= _fields(option, kept)
        return fields

    def _folders(self, tables: list[dict[str, Any]]) -> tuple[Folder, ...]:
        known, folders = options("folder"), dict[Path, Folder]()
        for nth, table in enumerate(tables):
            fields = self._check(table, known, nth)
            if "path" not in fields:
                raise self._error("", nth, 'this [[folder]] entry has no path: add path = "/the/folder"')
            if fields["path"] in folders:
                raise self._error("path", nth, f"{fields['path']} is named twice: keep one of the two")
            folders[fields["path"]] = self._with_preset(fields, nth)
        return tuple(folders.values())

    def _prices(self, tables: list[dict[str, Any]]) -> tuple[Price, ...]:
        prices = []
        for nth, table in enumerate(tables):
            fields = self._check(table, options("price"), nth, "prices")
            try:
                prices.append(checked_price(fields))
            except ValueError as error:
                raise self._error("", nth, f"this [[prices]] entry cannot be used: {error}", "prices") from error
        return tuple(prices)

    def _with_preset(self, fields: dict[str, Any], nth: int) -> Folder:
        preset = fields.get("preset")
        if preset is None:
            return Folder(**fields)
        if preset not in PRESETS:
            raise self._error("preset", nth, _unknown(preset, PRESETS, "preset"))
        output = fields.setdefault("output", f"vault:{self._home.notes_dir}")
        vault = Path(output.removeprefix("vault:"))
        if output == "beside" or vault.is_relative_to(fields["path"]):
            text = f'reports are never written into the folder of a tool: write output = "vault:{self._home.notes_dir}"'
            raise self._error("output", nth, text)
        return Folder(**fields)

    def _error(self, name: str, nth: int | None, text: str, array: str = "folder") -> SettingsError:
        line = line_of(self._lines, name, nth, array)
        return SettingsError(
            f"{self._home.config_path}, line {line}: {text.removesuffix('.')}{'' if text.endswith('?') else '.'}"
        )


def _fields(option: Option, kept: Any) -> dict[str, Any]:
    field = option.field or option.key
    if isinstance(kept, Amount):
        return {f"{field}_picousd": kept.picousd, f"{field}_tokens": kept.tokens}
    return {field: kept}


def _unknown(name: str, known: Mapping[str, object], noun: str = "option") -> str:
    import difflib

    close = difflib.get_close_matches(name, known, 1, 0.6)
    if not close:  # a key that was written into the wrong table, or without one
        close = [each for each in known if each.rpartition(".")[2] == name.rpartition(".")[2]]
    hint = f"did you mean '{close[0]}'?" if close else "the " + noun + "s are " + ", ".join(known)
    return f"there is no {noun} '{name}'; {hint}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def line_of(lines: list[str], name: str, nth: int | None, array: str = "folder") -> int:
    """Find the line of an option (in the nth [[folder]], or of another array), else of its table, else the first."""
    table, _, key = name.rpartition(".") if nth is None else (array, "", name)
    current, count, header = "", -1, 1
    for number, line in enumerate(lines, 1):
        if match := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
            current = match[1].strip("\"'")
            count += current == array
            if current in (table, name) and (nth is None or count == nth):
                header = number
            continue
        if current not in ("", table) or (nth is not None and (current != array or count != nth)):
            continue
        wanted = key if current == table else name
        if re.match(rf"\s*[\"']?{re.escape(wanted)}[\"']?\s*[=.]", line):
            return number
    return header
