"""Copies of transcripts that their tool will delete: compressed, private, in one folder that mirrors their paths."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
from pathlib import Path

from sessiontrackd.config import Home
from sessiontrackd.model import Folder

SUFFIX = ".gz"
PACKED = (".gz", ".zst", ".zip")  # as they are
LEVEL = 6  # of gzip: above it little is gained
MARK = 8  # characters of the hash that tells two folders of one name apart


def place_of(home: Home, folder: Folder, path: Path) -> Path:
    """Return where the copy of a transcript lies."""
    mark = hashlib.sha256(os.fsencode(folder.path)).hexdigest()[:MARK]
    inside = path.relative_to(folder.path)
    suffix = "" if path.name.lower().endswith(PACKED) else SUFFIX
    return home.state_dir / "archive" / f"{folder.path.name}-{mark}" / inside.with_name(inside.name + suffix)


def keep(home: Home, folder: Folder, path: Path) -> Path | None:
    """Copy a transcript, unless the copy is as new; return where it is, or None where there was nothing to do.

    The copy has the transcript's time, and is whole or not there.

    Raises:
        OSError: it cannot be read, or there is no room.
    """
    place, status = place_of(home, folder, path), path.stat()
    with contextlib.suppress(OSError):
        if place.stat().st_mtime_ns == status.st_mtime_ns:
            return None
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with path.open("rb") as source, os.fdopen(handle, "wb") as target:
            if place.name == path.name:
                shutil.copyfileobj(source, target)
            else:
                with gzip.GzipFile(path.name, "wb", LEVEL, target, status.st_mtime) as packed:
                    shutil.copyfileobj(source, packed)
            target.flush()
            os.fsync(target.fileno())
        os.utime(partial, ns=(status.st_atime_ns, status.st_mtime_ns))
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
    return place


def forget(home: Home, folder: Folder, path: Path) -> bool:
    """Remove the copy of a transcript; return whether there was one."""
    place = place_of(home, folder, path)
    with contextlib.suppress(FileNotFoundError):
        place.unlink()
        return True
    return False
