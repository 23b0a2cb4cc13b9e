"""What a person names on the command line: files, and folders with everything in them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sessiontrackd.model import Folder
from sessiontrackd.watch import scan


class Named(NamedTuple):
    """A transcript to work on; `by_name` says that a person named it, not only its folder."""

    path: Path
    by_name: bool


def expanded(paths: Iterable[Path]) -> list[Named]:
    """Return every transcript once: named files as they are, folders as the files in them, by name."""
    found: dict[Path, Named] = {}
    for path in paths:
        full = Path(os.path.abspath(path))
        if not full.is_dir():
            full = Path(os.path.realpath(full)) if full.is_symlink() else full
            found[full] = Named(full, True)
            continue
        for each in sorted(os.fsdecode(file.path) for file in scan(Folder(full))):
            found.setdefault(Path(each), Named(Path(each), False))
    return list(found.values())
