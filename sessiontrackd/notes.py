"""Where the note of a session stands, found again or placed anew; written, and remembered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from sessiontrackd import report
from sessiontrackd.history import History
from sessiontrackd.model import Finding, Folder, Insight, InsightLevel, Session
from sessiontrackd.records import Source
from sessiontrackd.subagents import SubAgent, told

OPEN_KINDS = frozenset({"todo", "question"})


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the notes of one transcript have in common.

    Attributes:
        source: the transcript.
        path: of the transcript, as the kernel takes it.
        folder: what the user chose for it.
        is_archive: it holds more than one session.
        named: a person named the transcript, so that a note that was deleted is written again.
        zone: the zone that times are shown in.
    """

    source: Source
    path: bytes
    folder: Folder
    is_archive: bool
    named: bool
    zone: tzinfo

    @property
    def mode(self) -> int:
        """The permissions of the transcript, which its notes never exceed."""
        return self.source.path.stat().st_mode & 0o777 if self.source.path.exists() else 0o600


def write_note(
    history: History, shelf: Shelf, session: Session, insight: Insight, agents: Sequence[SubAgent] = ()
) -> Path | None:
    """Write the note of one session; None where the user deleted it and did not ask for it by name.

    Args:
        history: where notes and recorded usage are kept.
        shelf: what the notes of the transcript have in common.
        session: read to its end, its usage and that of its sub-agents recorded.
        insight: what was found in it.
        agents: its sub-agents that have transcripts of their own.
    """
    path = _standing(history, shelf, session.session_id)
    if path is None:
        return None
    if not path.name:
        path = _placed(history, shelf, session, insight.title)
    session, cost = _with_usage(history, session, agents)
    own, lines = told(insight, agents)
    text = report.render(
        session,
        own,
        source=shelf.source.path,
        source_sha256=shelf.source.sha256,
        project=shelf.folder.project,
        recorded_cost=cost,
        subagents=lines,
        note_path=path,
        zone=shelf.zone,
    )
    written = report.write(path, text, mode=shelf.mode)
    if written.outcome != report.UNCHANGED:
        _remember(history, shelf, session.session_id, insight, written.path)
    return written.path


def _with_usage(
    history: History, session: Session, agents: Sequence[SubAgent]
) -> tuple[Session, tuple[int | None, bool] | None]:
    """Return the session with all that it and its sub-agents used, each reply once, and what that cost."""
    family = (session, *(agent.session for agent in agents))
    found = history.recorded_of([one.session_id for one in family])
    if found is None:
        return session, None
    usage, cost_picousd, is_all = found
    is_complete = all(one.usage is None or one.usage.complete for one in family)
    return replace(session, usage=replace(usage, complete=usage.complete and is_complete)), (
        cost_picousd,
        is_all and is_complete,
    )


def write_index(shelf: Shelf, entries: Sequence[report.IndexEntry]) -> Path | None:
    """Write the index note of an archive."""
    if not shelf.is_archive or shelf.folder.output.startswith("vault:"):
        return None
    first = Session(entries[0].session_id, "")
    folder = report.folder_of(shelf.source.path, first, output=shelf.folder.output, project=shelf.folder.project)
    path = report.index_place(folder, output=shelf.folder.output)
    title = shelf.source.path.name
    text = report.render_index(entries, title=title, index_path=path, source=shelf.source.path, zone=shelf.zone)
    return report.write(path, text, mode=shelf.mode).path


def index_entry(session: Session, title: str, insight: Insight | None, path: Path | None) -> report.IndexEntry:
    """Return the line of one session in an index."""
    summary = insight.summary if insight else ""
    open_items = sum(_is_open(finding) for finding in insight.findings) if insight else 0
    return report.IndexEntry(session.session_id, title, session.started_at, summary, path, open_items)


def _is_open(finding: Finding) -> bool:
    return finding.kind in OPEN_KINDS and not finding.details.get("done")


NOWHERE_YET = Path()


def _standing(history: History, shelf: Shelf, session_id: str) -> Path | None:
    """Return where the note stands now, NOWHERE_YET where it was never written, None where the user deleted it."""
    known = history.report_of(session_id, shelf.path)
    if known is None:
        return NOWHERE_YET
    path = Path(os.fsdecode(known.path))
    if path.exists():
        return path
    moved = dict(report.notes_under(_root(shelf))).get(session_id)
    if moved is not None:
        return moved
    return path if shelf.named else None


def _root(shelf: Shelf) -> Path:
    """Return the folder below which a note may have been moved."""
    output = shelf.folder.output
    return Path(output.removeprefix("vault:")).expanduser() if output.startswith("vault:") else shelf.folder.path


def _placed(history: History, shelf: Shelf, session: Session, title: str) -> Path:
    """Return the place of a note that is written for the first time."""
    taken = {Path(os.fsdecode(note.path)) for note in history.reports_from(shelf.path)}
    return report.place(
        shelf.source.path,
        session,
        output=shelf.folder.output,
        many=shelf.is_archive,
        taken=taken,
        title=title,
        project=shelf.folder.project,
        zone=shelf.zone,
    )


def _remember(history: History, shelf: Shelf, session_id: str, insight: Insight, path: Path) -> None:
    """Keep in the history that a note was written, and where."""
    history.keep_report(
        shelf.path,
        session_id,
        os.fsencode(path),
        level=InsightLevel(insight.level).value,
        engine=insight.engine,
        title=insight.title,
        body_sha256="",
        at=insight.made_at,
    )
