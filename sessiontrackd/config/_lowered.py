"""What a `.sessiontrackd.toml` inside a watched folder restricts; it can never grant anything."""

from __future__ import annotations

import fnmatch
import logging
import os
import stat
import time
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from msgspec import Struct, structs

from sessiontrackd.config._check import LARGEST_FILE_BYTES, line_of, toml_mistake
from sessiontrackd.config._options import options
from sessiontrackd.errors import SettingsError
from sessiontrackd.model import Folder, InsightLevel

NAME = ".sessiontrackd.toml"
LOOK_S = 3.0  # for such files in one folder; more would keep a person waiting
LEVELS = tuple(InsightLevel)  # from the lowest

log = logging.getLogger(__name__)


class Lowered(Struct, frozen=True):
    """What holds for one path of a folder after the files on the way to it were heard."""

    level: InsightLevel
    kept_local: str | None = None  # the file that allows the local engine only
    left_alone: str | None = None  # why nothing is done with this path


class _File(Struct, frozen=True):
    """What one such file says. `mistake` is set where it cannot be understood; `ignored` names what it may not say."""

    shown: str
    level: InsightLevel | None = None
    level_line: int = 0
    is_local: bool = False
    ignore: tuple[str, ...] = ()
    is_off: bool = False
    mistake: str | None = None
    ignored: tuple[str, ...] = ()


def lowered(folder: Folder, path: bytes) -> Lowered:
    """Hear every file from the folder down to the one that `path` lies in.

    One that cannot be understood may have meant anything, so what it lies above is left alone until it is mended.
    """
    found, name = Lowered(folder.level), os.fsdecode(path)
    for place in _folders_down_to(os.fspath(folder.path), os.path.dirname(name)):
        file = _file_in(place)
        if file is not None:
            found = _heard(found, file, os.path.relpath(name, place))
    return found


def mistakes_below(folder: Folder) -> list[str]:
    """Return what is wrong with such files in a folder: where one cannot be understood, nothing below it is read."""
    until_s, found = time.monotonic() + LOOK_S, list[str]()
    for place, below, names in os.walk(folder.path):
        file = _file_in(place) if NAME in names else None
        if file is not None:
            found += (
                [f"{file.mistake} Until that is fixed, nothing below it is read."] if file.mistake else file.ignored
            )
        if time.monotonic() > until_s:
            break
        below.sort()
    return found


def _heard(found: Lowered, file: _File, below: str) -> Lowered:
    for text in file.ignored:
        _warn(text)
    if file.mistake:
        _warn(file.mistake)
        left_alone = f"{file.mistake} Until that is fixed, nothing is done beside and below it."
        return structs.replace(
            found, kept_local=found.kept_local or file.shown, left_alone=found.left_alone or left_alone
        )
    if file.level is not None and LEVELS.index(file.level) > LEVELS.index(found.level):
        _warn(f"{file.shown}, line {file.level_line}: a file inside a folder cannot raise its level; ignored.")
    level = min(file.level or found.level, found.level, key=LEVELS.index)
    kept_local = found.kept_local or (file.shown if file.is_local or file.is_off else None)
    reason = f"{file.shown} says off = true" if file.is_off else None
    if reason is None and _is_ignored(below, file.ignore):
        reason = f"{file.shown} says to ignore it"
    return Lowered(level, kept_local, found.left_alone or reason)


def _folders_down_to(top: str, last: str) -> Iterator[str]:
    yield top
    below = os.path.relpath(last, top)
    for part in below.split(os.sep) if below != os.curdir else ():
        top = os.path.join(top, part)
        yield top


def _is_ignored(below: str, patterns: tuple[str, ...]) -> bool:
    """Say whether the name, or a folder on the way to it, is one that is left alone."""
    parts = below.split(os.sep)
    names = [name for at, part in enumerate(parts, 1) for name in (part, os.sep.join(parts[:at]))]
    return any(fnmatch.fnmatchcase(name, pattern.rstrip("/")) for pattern in patterns for name in names)


def _file_in(place: str) -> _File | None:
    path = os.path.join(place, NAME)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return _File(_shown(path), mistake=f"{_shown(path)} cannot be read ({error.strerror}).")
    return _read(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@lru_cache(1024)
def _read(path: str, _mark: tuple[int, ...]) -> _File:
    """Read one version of a file; what is no regular file, such as a pipe, is not waited for."""
    shown = _shown(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError as error:
        return _File(shown, mistake=f"{shown} cannot be read ({error.strerror}).")
    if raw is None or len(raw) > LARGEST_FILE_BYTES:
        return _File(shown, mistake=f"{shown} is no settings file.")
    try:
        return _understood(raw.decode("utf-8-sig"), shown)
    except UnicodeDecodeError:
        return _File(shown, mistake=f"{shown} is not UTF-8.")
    except SettingsError as mistake:
        return _File(shown, mistake=str(mistake))


def _understood(text: str, shown: str) -> _File:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(toml_mistake(error, text, shown)) from error
    lines, said, ignored = text.splitlines(), dict[str, Any](), list[str]()
    for key, value in document.items():
        where = f"{shown}, line {line_of(lines, key, None)}"
        if key not in _MAY or (key == "engine" and value != "local"):
            what = f"the engine {value!r}" if key == "engine" else f"'{key}'"
            ignored.append(
                f'{where}: a file inside a folder cannot give {what}, only level, engine = "local", ignore and off; ignored.'
            )
            continue
        try:
            said[key] = _MAY[key](value)
        except ValueError as error:
            raise SettingsError(f"{where}: '{key}' cannot be {value!r}: {error}.") from error
    return _File(
        shown,
        level=said.get("level"),
        level_line=line_of(lines, "level", None),
        is_local="engine" in said,
        ignore=said.get("ignore", ()),
        is_off=said.get("off", False),
        ignored=tuple(ignored),
    )


def _shown(path: str) -> str:
    """Write a path for people and logs: what is not printable stands as an escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in path)


@lru_cache(1024)
def _warn(text: str) -> None:
    """Say it once, not for every transcript."""
    log.warning("%s", text)


_FOLDER = options("folder")
_MAY = {
    "level": _FOLDER["level"].check,
    "engine": _FOLDER["engine"].check,
    "ignore": _FOLDER["ignore"].check,
    "off": _FOLDER["enabled"].check,
}
