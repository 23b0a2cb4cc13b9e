"""The place and the name of a note."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Container
from datetime import datetime, tzinfo
from pathlib import Path

from sessiontrackd.model import Session
from sessiontrackd.templates import one_line

SUFFIX = ".insights.md"
FOLDER_SUFFIX = ".insights"
VAULT = "vault:"
BESIDE_SOURCE = "beside"
NO_PROJECT = "No project"
INDEX = "index.md"
MAX_NAME_BYTES = 255
"""The longest file name that common file systems take."""
ROOM_BYTES = len(".99.md") - len(".md")
"""What a second version of the note adds to its name."""
MAX_TITLE_CHARS = 80
_UNFIT = re.compile(r"[/\\:*?\"<>|#^\[\]%\x00-\x1f\x7f]+")
"""What a file system, a sync service or a wiki link does not take in a name."""
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)", re.IGNORECASE)
"""Names of devices on Windows, to which a vault may be synced: with any extension no file can be called so there."""

_VERSION = re.compile(r"(?:(?<=\.insights)|(?<=\)))\.(\d{1,2})\.md$")


def place(
    source: Path,
    session: Session,
    *,
    output: str,
    many: bool,
    taken: Container[Path] = (),
    title: str | None = None,
    project: str | None = None,
    zone: tzinfo | None = None,
) -> Path:
    """Return where the note of a session belongs when it is written for the first time.

    Args:
        source: the transcript.
        session: the session; its id, start and title name the note.
        output: `beside`, or `vault:DIR`.
        many: whether the transcript holds many sessions.
        taken: paths that other sessions' notes have.
        title: the insight's title, where it differs from the session's.
        project: the folder's setting; else the last part of the recorded working directory.
        zone: the zone that dates are in.
    """
    if not is_vault(output) and not many:
        return source.with_name(_cut_name(source.name, SUFFIX))
    folder = folder_of(source, session, output=output, project=project)
    for mark in _marks(session.session_id):
        path = folder / note_name(session.started_at, title or session.title or "", mark, zone)
        if path not in taken:
            return path
    return path


def folder_of(source: Path, session: Session, *, output: str, project: str | None = None) -> Path:
    """Return the folder of a session's note: a project's in a vault, else the one beside an archive."""
    if not is_vault(output):
        return source.with_name(_cut_name(source.name, FOLDER_SUFFIX))
    return vault_root(output) / (safe_name(project or session.project_name or "") or NO_PROJECT)


def is_vault(output: str) -> bool:
    """Say whether notes go into a vault instead of beside their transcripts."""
    return output.startswith(VAULT)


def vault_root(output: str) -> Path:
    """Return the folder of a vault."""
    return Path(output.removeprefix(VAULT)).expanduser()


def index_place(folder: Path, *, output: str) -> Path:
    """Return where the index note of a folder of notes stands; in a vault it is called like its project."""
    return folder / (f"{folder.name}.md" if is_vault(output) else INDEX)


def note_name(started_at: datetime | None, title: str, mark: str, zone: tzinfo | None = None) -> str:
    """Return a name for people: date, title, and a few characters of the session's id."""
    day = (started_at.astimezone(zone) if zone else started_at).date().isoformat() if started_at else ""
    name = safe_name(title)[:MAX_TITLE_CHARS].rstrip() or "Untitled"
    return _cut_name(f"{day} {name} ({mark})".strip() if day else f"{name} ({mark})", ".md")


def numbered(path: Path, number: int) -> Path:
    """Return the name of the note's second, third ... version, whichever version is given."""
    name = _VERSION.sub(".md", path.name)
    return path.with_name(name if number == 1 else f"{name.removesuffix('.md')}.{number}.md")


def version(path: Path) -> int:
    """Return which version of a note has this name."""
    found = _VERSION.search(path.name)
    return int(found[1]) if found else 1


def safe_name(text: str) -> str:
    """Make a file name of any text: one visible line without separators, dots at its ends or what sync services refuse."""
    name = " ".join(_UNFIT.sub(" ", one_line(text)).split())
    name = name.strip(". ")
    return _cut_name(f"_{name}" if _RESERVED.match(name) else name, "", limit_bytes=MAX_NAME_BYTES - 40)


def _marks(session_id: str) -> tuple[str, ...]:
    """Return what tells a session's note from another one of the same day and title, shortest first."""
    hashed = hashlib.sha256(session_id.encode("utf-8", "surrogatepass")).hexdigest()
    known = session_id if re.match(r"[0-9a-fA-F]{8}", session_id) else hashed
    return known[:4].lower(), known[:8].lower(), hashed[:12], hashed


def _cut_name(name: str, suffix: str, limit_bytes: int = MAX_NAME_BYTES - ROOM_BYTES) -> str:
    """Return the name with its suffix, cut between characters and told apart by a hash where it is too long."""
    raw = os.fsencode(name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))
    if len(raw) + len(suffix) <= limit_bytes:
        return f"{name}{suffix}"
    tail = f"~{hashlib.sha256(raw).hexdigest()[:8]}{suffix}"
    room = limit_bytes - len(tail)
    kept = ""
    for character in name:
        room -= len(character.encode("utf-8", "surrogateescape"))
        if room < 0:
            break
        kept += character
    return f"{kept.rstrip()}{tail}"
