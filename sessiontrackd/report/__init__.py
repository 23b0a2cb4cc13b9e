"""Markdown beside the source, whole or not at all: the contents, the place and the writing of a note."""

from __future__ import annotations

import codecs
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from msgspec import Struct

from sessiontrackd import templates
from sessiontrackd.model import Finding, Insight, Message, Session
from sessiontrackd.report import _front, _kept
from sessiontrackd.report._earlier import MARKDOWN, NO_LINKS, WIKILINKS, link_earlier, unlink_earlier, with_link
from sessiontrackd.report._gone import say_gone
from sessiontrackd.report._place import (
    BESIDE_SOURCE,
    FOLDER_SUFFIX,
    VAULT,
    folder_of,
    index_place,
    is_vault,
    numbered,
    place,
    safe_name,
    vault_root,
    version,
)
from sessiontrackd.report._ticks import OPEN_KINDS, letters, open_items, ticked
from sessiontrackd.report._view import (
    Extra,
    counted,
    display,
    dollars,
    duration,
    local,
    money,
    relative,
    signed,
    tokens_in,
    unique,
    view,
)
from sessiontrackd.report._write import (
    BESIDE,
    MAX_VERSIONS,
    UNCHANGED,
    WRITTEN,
    Written,
    has_own_words,
    remove_unedited,
    write,
)

__all__ = [
    "BESIDE",
    "BESIDE_SOURCE",
    "FOLDER_SUFFIX",
    "MARKDOWN",
    "MAX_VERSIONS",
    "NO_LINKS",
    "OPEN_KINDS",
    "UNCHANGED",
    "VAULT",
    "WIKILINKS",
    "WRITTEN",
    "IndexEntry",
    "Written",
    "address",
    "counted",
    "display",
    "dollars",
    "duration",
    "folder_of",
    "has_own_words",
    "index_place",
    "is_ours",
    "is_vault",
    "letters",
    "link_earlier",
    "notes_under",
    "numbered",
    "open_items",
    "place",
    "remove_unedited",
    "render",
    "render_digest",
    "render_index",
    "safe_name",
    "say_gone",
    "session_at",
    "session_of",
    "signed",
    "ticked",
    "unlink_earlier",
    "vault_root",
    "version",
    "write",
]

log = logging.getLogger(__name__)

HEAD_BYTES = 64 * 1024
"""How much of a file is looked at to tell whether it is ours."""


class IndexEntry(Struct, frozen=True):
    """One session in an index: a link where it has a note, a line where it has none."""

    session_id: str
    title: str
    started_at: datetime | None
    summary: str = ""
    path: Path | None = None
    open_items: int = 0


def render(
    session: Session,
    insight: Insight,
    *,
    source: Path,
    source_sha256: str,
    project: str | None = None,
    recorded_cost: tuple[int | None, bool] | None = None,
    subagents: Sequence[Finding] = (),
    earlier: tuple[str, Path] | None = None,
    links: str = MARKDOWN,
    cited: Sequence[Message] = (),
    note_path: Path | None = None,
    previous: str | None = None,
    zone: tzinfo | None = None,
    user_dir: Path | None = None,
    mistakes: list[str] | None = None,
) -> str:
    """Return a note as text. The same arguments give the same bytes; the clock has no say.

    Args:
        session: what the note is about.
        insight: what was found in it; redacted already.
        source: the transcript.
        source_sha256: of its bytes.
        project: the folder's setting; else the last part of the recorded working directory.
        recorded_cost: what the session itself cost, in pico-USD (None: unknown), and whether that is all of it.
        subagents: lines about sub-agents' sessions, of kind `subagent`.
        earlier: title and note of the session before this one.
        links: how that note is linked: `markdown` or `wikilinks`.
        cited: messages to print at the end of a comprehensive note; redacted already.
        note_path: where the note will stand, for its links; beside the source unless given.
        previous: the note as it is now; what a person added to it is carried over.
        zone: the zone that times are shown in; as recorded unless given.
        user_dir: the folder of the user's own templates. Where one of them cannot be used ours is, and the note says so.
        mistakes: gets what is wrong with the user's template.
    """
    extra = Extra(source, subagents, cited, note_path, zone)
    body = _body(insight.level.value, view(session, insight, extra), user_dir, mistakes)
    readable = {
        **_about(session, insight, source, project or session.project_name, zone),
        **_recorded(session, recorded_cost),
    }
    text = _with_front(readable, body, _receipt(insight, source_sha256))
    if earlier is not None:
        text = with_link(text, *earlier, (note_path or source).parent, links) or text
    return _kept.carried_over(previous, text) if previous is not None else text


def render_index(
    entries: Sequence[IndexEntry],
    *,
    title: str,
    index_path: Path,
    source: Path | None = None,
    project: str | None = None,
    previous: str | None = None,
    zone: tzinfo | None = None,
    user_dir: Path | None = None,
    mistakes: list[str] | None = None,
) -> str:
    """Return the index note of an archive or of a project in a vault, newest session first.

    Args:
        entries: its sessions, with or without notes.
        title: the archive's or the project's name.
        index_path: where the index will stand, for its links.
        source: the archive, where it is one.
        project: the project, where it is one.
        previous: the index as it is now; what a person added to it is carried over.
        zone: the zone that dates are in.
        user_dir: the folder of the user's own templates.
        mistakes: gets what is wrong with the user's template.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    nameless: Counter[str] = Counter()
    for entry in sorted(entries, key=_newest_first):
        at = local(entry.started_at, zone) if entry.started_at else None
        lines = groups.setdefault(month := f"{at:%Y-%m}" if at else "Undated", [])
        if entry.title or entry.path:
            lines.append(_line(entry, at, index_path.parent))
        else:
            nameless[month] += 1
    for month, count in nameless.items():
        groups[month].append(_line(IndexEntry("", _without_title(count, bool(groups[month])), None), None, index_path))
    open_items = sum(entry.open_items for entry in entries)
    figures = [counted(len(entries), "session"), *([f"{open_items:,} open"] if open_items else [])]
    values = {"title": title, "groups": groups, "figures": figures}
    readable = {
        "source": display(source.name) if source else None,
        "kind": "index",
        "project": project,
        "tags": ["ai-session-index"],
        "sessions": len(entries),
    }
    text = _with_front(readable, _body("index", values, user_dir, mistakes), {})
    return _kept.carried_over(previous, text) if previous is not None else text


def render_digest(
    values: Mapping[str, Any],
    about: Mapping[str, Any],
    user_dir: Path | None = None,
    mistakes: list[str] | None = None,
) -> str:
    """Return the note of a period.

    Args:
        values: for the template: plain, nothing escaped yet.
        about: its front matter: digest_period, digest_from, digest_until, sessions.
        user_dir: the folder of the user's own templates.
        mistakes: gets what is wrong with the user's template.
    """
    readable = {"kind": "digest", **about, "tags": ["ai-session-digest"]}
    return _with_front(readable, _body("digest", values, user_dir, mistakes), {})


def address(path: Path, base: Path | None) -> str:
    """Return how a note in a folder reaches another one; without a folder, its `file:` address."""
    return path.absolute().as_uri() if base is None else relative(path, base)


def is_ours(head: bytes) -> bool:
    """Tell by its first bytes whether a file is a note or an index that this program wrote."""
    if not head.removeprefix(codecs.BOM_UTF8).startswith(b"---"):
        return False
    text = head[:HEAD_BYTES].decode("utf-8-sig", "replace").replace("\r\n", "\n")
    parts = _front.split(text)
    return _front.is_generated(parts[0] if parts else text)


def session_of(head: bytes) -> str | None:
    """Return the id of the session that a note of ours is about."""
    if not is_ours(head):
        return None
    parts = _front.split(head[:HEAD_BYTES].decode("utf-8-sig", "replace").replace("\r\n", "\n"))
    return _front.recorded_session_id(parts[0]) if parts else None


def session_at(path: Path) -> str | None:
    """Return the id of the session that the note at this place is about; None where no note of ours stands."""
    try:
        with path.open("rb") as stream:
            return session_of(stream.read(HEAD_BYTES))
    except OSError:
        return None


def notes_under(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield (session id, path) of every note of ours below a folder, hidden folders and links left out."""
    for folder, names, files in root.walk() if hasattr(root, "walk") else _walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = folder / name
            if name.endswith(".md") and not name.startswith(".") and path.is_file() and not path.is_symlink():
                session_id = session_at(path)
                if session_id is not None:
                    yield session_id, path


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk as Path.walk does from Python 3.12 on."""
    for folder, names, files in os.walk(root):
        yield Path(folder), names, files


def _about(
    session: Session,
    insight: Insight,
    source: Path,
    project: str | None,
    zone: tzinfo | None,
) -> dict[str, Any]:
    """Return the front matter that tells what the note is about."""
    return {
        "source": display(source.name),
        "session_id": display(session.session_id),
        "format": session.format,
        "project": templates.one_line(project) if project else None,
        "started_at": _second(session.started_at, zone),
        "ended_at": _second(session.ended_at, zone),
        "level": insight.level.value,
        "engine": insight.engine,
        "model": templates.one_line(insight.model) if insight.model else None,
        "tags": ["ai-session"],
        "keywords": unique(templates.one_line(word) for word in insight.keywords) or None,
    }


def _second(at: datetime | None, zone: tzinfo | None) -> datetime | None:
    """Return a time in the reader's zone, to the second."""
    return local(at, zone).replace(microsecond=0) if at else None


def _recorded(session: Session, recorded_cost: tuple[int | None, bool] | None) -> dict[str, Any]:
    """Return the front matter that tells what the session itself used and cost, as far as it is known."""
    cost_usd, is_complete = money(recorded_cost)
    return {
        "session_input_tokens": tokens_in(session),
        "session_output_tokens": session.usage.output_tokens if session.usage else None,
        "session_cost_usd": cost_usd,
        "session_cost_complete": is_complete,
    }


def _receipt(insight: Insight, source_sha256: str) -> dict[str, Any]:
    """Return the front matter that tells what the note cost."""
    usage = insight.usage
    priced_at = insight.provenance.get("priced_at")
    return {
        "input_tokens": usage.total_tokens - usage.output_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": None if insight.is_flat_rate else _front.usd(insight.cost_picousd),
        "reserved_usd": _front.usd(insight.reserved_picousd) if insight.reserved_picousd else None,
        "priced_at": str(priced_at) if priced_at else None,
        "redactions": insight.redactions,
        "source_sha256": source_sha256,
    }


def _body(name: str, values: Mapping[str, Any], user_dir: Path | None = None, mistakes: list[str] | None = None) -> str:
    """Return the body of a note; made by our own template, with a line that says so, where the user's is wrong."""
    body, mistake = templates.filled(name, values, user_dir)
    if mistake is None:
        return body
    if mistakes is None:
        log.warning("our own template was used: %s", mistake)
    else:
        mistakes.append(mistake)
    title, _, rest = body.lstrip("\n").partition("\n")
    told = templates.inner(mistake.replace(f"{user_dir}{os.sep}", ""))
    return f"{title}\n\n> [!warning] Made by our own template. In yours: {told}\n{rest}"


def _with_front(readable: Mapping[str, Any], body: str, receipt: Mapping[str, Any]) -> str:
    """Put front matter and body together."""
    body = _tidy(body)
    ours = {"generator": _front.GENERATOR, "body_sha256": _kept.sha256_of(body)}
    return f"{_front.dumped({**readable, **ours, **receipt})}\n{body}"


def _tidy(body: str) -> str:
    """Return a body whose sections are one empty line apart."""
    lines: list[str] = []
    for line in (each.rstrip() for each in body.split("\n")):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).rstrip("\n") + "\n"


def _newest_first(entry: IndexEntry) -> tuple[float, str, str]:
    """Return what an index is sorted by."""
    return -(entry.started_at.timestamp() if entry.started_at else 0.0), entry.title, entry.session_id


def _without_title(count: int, is_rest: bool) -> str:
    """Return how a month's sessions without a title and a note are told: there is nothing else to say of them."""
    return f"… {count:,} more without a title" if is_rest else f"{counted(count, 'session')} without a title"


def _line(entry: IndexEntry, at: datetime | None, base: Path) -> dict[str, Any]:
    """Return one line of an index as plain values."""
    return {
        "title": entry.title or "Untitled",
        "day": f"{at:%Y-%m-%d}" if at else "",
        "summary": entry.summary,
        "target": relative(entry.path, base) if entry.path else None,
        "open_items": entry.open_items,
    }
