"""Which open items of a note a person ticked."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

from sessiontrackd.model import Finding
from sessiontrackd.report import _kept

OPEN_KINDS = frozenset({"todo", "question"})
ALIKE_CHARS = 60
"""A box shows an item cut short and with marks around it; so many letters of it tell which one it is."""


def ticked(path: Path) -> list[str]:
    """Return the texts of the boxes that are ticked in a note, as letters only; none where it cannot be read."""
    try:
        kept = _kept.taken_apart(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return []
    return [letters(text) for text, mark, _ in kept.ticks if mark.strip()] if kept and kept.is_ours else []


def open_items(findings: Sequence[Finding], done: Sequence[str] = ()) -> list[Finding]:
    """Return what is still to be done or answered.

    Args:
        findings: of an insight.
        done: boxes that a person ticked, as `ticked` gives them.
    """
    return [
        each for each in findings if each.kind in OPEN_KINDS and not each.details.get("done") and not _is_in(each, done)
    ]


def letters(text: str) -> str:
    """Return letters and digits only, so that marks, escapes and spaces make no difference."""
    return "".join(each for each in html.unescape(re.sub(r"\\(.)", r"\1", text)).casefold() if each.isalnum())


def _is_in(finding: Finding, done: Sequence[str]) -> bool:
    wanted = letters(finding.quote or finding.text)[:ALIKE_CHARS]
    return bool(wanted) and any(wanted in text for text in done)
