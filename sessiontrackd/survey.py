"""What `setup` finds on this machine: tools' folders, downloaded exports, note vaults. Looking changes nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from sessiontrackd import readers
from sessiontrackd.config import PRESETS, Settings
from sessiontrackd.errors import JobError
from sessiontrackd.model import Folder
from sessiontrackd.readers import not_read_yet
from sessiontrackd.records import open_source
from sessiontrackd.watch import Found, scan

DAYS = 30  # what counts as recent, and how far back history goes unless said otherwise
COUNT_S = 3.0  # a folder is looked into for so long; what is left is counted by its names
VAULT_MARKS = (".obsidian", "logseq", ".foam")  # a folder that holds one of these is a vault of notes
VAULTS_MOST = 9  # so that one digit chooses one
OBSIDIAN = (  # where Obsidian keeps the list of its vaults: Linux, flatpak, snap, macOS
    ".config/obsidian/obsidian.json",
    ".var/app/md.obsidian.Obsidian/config/obsidian/obsidian.json",
    "snap/obsidian/current/.config/obsidian/obsidian.json",
    "Library/Application Support/obsidian/obsidian.json",
)
VAULT_PLACES = ("", "Documents", "notes", "Notes")  # below the person's home, where vaults usually lie


class Count(Struct, frozen=True):
    """How many transcripts a folder holds; where it is not exact, the rest was counted by names alone."""

    transcripts: int
    recent: int
    is_exact: bool = True


class Find(Struct, frozen=True):
    """A folder that a tool writes to, and what is in it."""

    preset: str
    path: Path
    count: Count
    is_watched: bool


def finds(
    settings: Settings, person: Path, environ: Mapping[str, str], now: datetime, step: Callable[[str], None]
) -> Iterator[Find]:
    """Yield each folder of a preset that is on this machine.

    Args:
        settings: name the folders that are watched already.
        person: the person's home.
        environ: the environment, in which tools are told other places.
        now: the clock.
        step: is told the name of each file that was looked at.
    """
    watched = {folder.path for folder in settings.folders}
    for preset in PRESETS.values():
        for root in dict.fromkeys(preset.roots(person, environ)):
            if root.is_dir():
                found = count(Folder(root, preset=preset.name), now, step, for_s=COUNT_S)
                yield Find(preset.name, root, found, root in watched)


def count(folder: Folder, now: datetime, step: Callable[[str], None], *, for_s: float | None = None) -> Count:
    """Count the transcripts below a folder by their content.

    Args:
        folder: what to look through.
        now: the clock.
        step: is told the name of each file that was looked at.
        for_s: what is not looked into by then is counted by its name; None: no such limit.
    """
    limit_s = None if for_s is None else time.monotonic() + for_s
    since_ns = int((now - timedelta(days=DAYS)).timestamp() * 1e9)
    transcripts = recent = 0
    is_exact = True
    newest_first = sorted(scan(folder), key=lambda found: -found.fingerprint.mtime_ns)
    for found in newest_first:
        if limit_s is not None and time.monotonic() > limit_s:
            is_exact = False
        elif not is_transcript(found):
            continue
        transcripts += 1
        recent += found.fingerprint.mtime_ns >= since_ns
        step(os.fsdecode(found.path).rpartition("/")[2])
    return Count(transcripts, recent, is_exact)


def is_transcript(found: Found) -> bool:
    """Say whether a file is a transcript, by its content."""
    try:
        reader = readers.recognise(open_source(Path(os.fsdecode(found.path))))
    except JobError:
        return False
    return reader is not None and not_read_yet.NAME != reader.NAME


def vaults(person: Path) -> list[Path]:
    """Return the vaults of notes: those that Obsidian lists, the one opened last first, and those in usual places."""
    listed = [each for name in OBSIDIAN for each in _listed(person / name)]
    listed.sort(key=lambda each: -each[0])
    found = [path for _, path in listed] + [path for place in VAULT_PLACES for path in _marked(person / place)]
    return [path for path in dict.fromkeys(found) if path.is_dir()][:VAULTS_MOST]


def _listed(path: Path) -> list[tuple[float, Path]]:
    try:
        entries: Any = json.loads(path.read_bytes())["vaults"].values()
        return [(float(entry.get("ts", 0)), Path(entry["path"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # another program's file, of any shape
        return []


def _marked(place: Path) -> list[Path]:
    try:
        folders = [
            place,
            *(each for each in sorted(place.iterdir()) if not each.name.startswith(".") and each.is_dir()),
        ]
        return [folder for folder in folders if any((folder / mark).is_dir() for mark in VAULT_MARKS)]
    except OSError:
        return []
