"""Hints that tools' hooks left: which transcripts to look at now."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sessiontrackd.config._home import Home
from sessiontrackd.model import Folder

MOST = 200  # hints taken in one go
UUID_WITH_TIME = 7


class Hint(NamedTuple):
    """A place to look at; with `has_ended` it is the transcript of a session that does not go on."""

    path: Path
    has_ended: bool = False


def take_hints(home: Home, folders: Iterable[Folder]) -> list[Hint]:
    """Return the places to look at, and forget the hints.

    Args:
        home: whose hints.
        folders: the watched ones; where Codex writes tells in which of its folders a session lies.
    """
    try:
        names = [name for name in os.listdir(home.state_dir / "hints") if not name.startswith(".")][:MOST]
    except OSError:
        return []
    places = [place for name in names for place in _places(home.state_dir / "hints" / name, folders)]
    return list(dict.fromkeys(places))


def _places(hint: Path, folders: Iterable[Folder]) -> Iterator[Hint]:
    try:
        said = json.loads(hint.read_bytes())
        hint.unlink()
        path, name, has_ended = said["path"], said["id"], said.get("ended") is True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    if isinstance(path, str):
        yield Hint(Path(os.path.normpath(path)), has_ended)
    elif isinstance(name, str):
        day = _day(name)
        yield from (Hint(folder.path / day) for folder in folders if day and folder.preset == "codex")


def _day(name: str) -> str | None:
    """Return the day folder of a Codex session, whose id is a UUID that holds its first moment."""
    try:
        number = uuid.UUID(name)
        if number.version != UUID_WITH_TIME:
            return None
        return datetime.fromtimestamp((number.int >> 80) / 1000).strftime("%Y/%m/%d")  # noqa: DTZ006 - Codex uses local time
    except (ValueError, OverflowError, OSError):
        return None
