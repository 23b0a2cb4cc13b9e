"""Formats that are recognised but not read yet: skipped with the reason, rather than guessed at."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import NoReturn
from urllib.parse import quote

from sessiontrackd.errors import NotReadYet
from sessiontrackd.records import Source

NAME = "not_read_yet"
DATABASES = (
    ({"cursorDiskKV", "ItemTable"}, "Cursor's database of chats; export the chat as Markdown instead"),
    ({"session", "message", "part"}, "OpenCode's database; `opencode export` writes a session as JSON"),
)
OPENCODE = (
    {"id", "projectID", "directory", "version", "time"},
    {"id", "sessionID", "role", "time"},
    {"id", "sessionID", "messageID", "type"},
)
TELEGRAM_ALL = {"about", "chats"}


def recognises(source: Source) -> bool:
    """Say whether it is one of these."""
    return _what(source) is not None


def read(source: Source) -> NoReturn:
    """Say what it is.

    Raises:
        NotReadYet: always.
    """
    raise NotReadYet(f"{source.display} is {_what(source)}: not read yet.")


def _what(source: Source) -> str | None:
    shape = source.shape
    if shape.kind == "sqlite":
        tables = _tables(source)
        return next((what for names, what in DATABASES if names <= tables), None)
    if shape.kind == "object" and shape.keys >= TELEGRAM_ALL and b'"personal_information"' in source.head:
        return "an export of all of Telegram; export a single chat instead"
    if shape.kind == "object" and any(names <= shape.keys for names in OPENCODE):
        return "a part of OpenCode's storage; `opencode export` writes a session as JSON"
    objects = shape.objects if shape.kind == "lines" else ()
    agents = sum(one.get("role") in ("user", "assistant") and isinstance(one.get("message"), dict) for one in objects)
    if agents > 1 and agents == len(objects):
        return "a transcript of Cursor's agent"
    return None


def _tables(source: Source) -> set[str]:
    name = quote(os.fsencode(source.path.absolute()))
    try:
        with closing(sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=2.0)) as db:
            return {name for (name,) in db.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.Error:
        return set()
