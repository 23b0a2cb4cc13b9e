"""The link from a note to the one before it: in its project, in its archive, or in its folder."""

from __future__ import annotations

import re
from pathlib import Path

from sessiontrackd import templates
from sessiontrackd.report import _front, _kept, _write
from sessiontrackd.report._place import FOLDER_SUFFIX
from sessiontrackd.report._view import relative

MARKDOWN, WIKILINKS, NO_LINKS = "markdown", "wikilinks", "none"
MAX_TITLE_CHARS = 100
_NO_WIKILINK = re.compile(r"[\[\]|#^]")


def link_earlier(path: Path, title: str, note: Path, links: str) -> bool:
    """Link a note that was not edited to the one before it; return whether it was changed.

    Args:
        path: the note.
        title: of the one before it.
        note: the one before it; where it is gone the line goes, too.
        links: how it is linked: `markdown` or `wikilinks`.
    """
    return _write.change(path, lambda text: with_link(text, title, note, path.parent, links))


def unlink_earlier(path: Path, note: Path) -> bool:
    """Let a note no longer say that this one stands before it; return whether it was changed."""

    def without(text: str) -> str | None:
        kept = _kept.taken_apart(text)
        name = _target(note, path.parent), f"[[{note.stem}]]"
        return _with_line(text, "") if kept and any(each in kept.earlier for each in name) else None

    return _write.change(path, without)


def with_link(text: str, title: str, note: Path, base: Path, links: str) -> str | None:
    """Return a note's text with its link to the one before it; None where there is nothing to change."""
    is_plain = templates.inner(note.stem) == note.stem and not _NO_WIKILINK.search(note.stem)
    if links == WIKILINKS and is_plain:  # any other name does something in some renderer
        shown = f"[[{note.stem}]]"
    else:
        named = title or note.stem.removesuffix(FOLDER_SUFFIX)
        shown = templates.link(templates.short(named, MAX_TITLE_CHARS), relative(note, base))
    return _with_line(text, f"{_kept.EARLIER}{shown}")


def _target(note: Path, base: Path) -> str:
    return templates.link("", relative(note, base)).removeprefix("[]")


def _with_line(text: str, line: str) -> str | None:
    text = text.replace("\r\n", "\n")
    parts = _front.split(text)
    if parts is None:
        return None
    changed = f"---\n{parts[0]}---\n{_kept.with_earlier(parts[1], line, _front.recorded_sha256(parts[0]))}"
    return None if changed == text else changed
