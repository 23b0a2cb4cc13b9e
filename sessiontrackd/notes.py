"""The note of a session: found again or given a place, written, and remembered with its line in an index."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import tzinfo
from functools import reduce
from pathlib import Path

from msgspec import Struct, structs

from sessiontrackd import report
from sessiontrackd.errors import JobError, SettingsError, Waiting
from sessiontrackd.history import History, Line, Report
from sessiontrackd.model import Insight, InsightLevel, Message, Session
from sessiontrackd.records import Source
from sessiontrackd.subagents import SubAgent, told

log = logging.getLogger(__name__)

LEVELS = tuple(level.value for level in InsightLevel)
NOWHERE_YET = Path()
AWAY_DELAY_S = 300.0  # until a vault that was not there is looked for again


class Shelf(Struct, frozen=True):
    """What the notes of one transcript have in common.

    Attributes:
        source: the transcript.
        path: of the transcript, as the kernel takes it.
        output: `beside`, or `vault:DIR`.
        root: the folder below which a note may have been moved.
        project: the folder's setting.
        is_archive: it holds more than one session.
        named: a person named the transcript, so that a note that was deleted is written again.
        zone: the zone that times are shown in.
        templates_dir: the folder of the user's own templates, which cover ours.
        links: how a note says which one stands before it.
        mistakes: gets what is wrong with a template of the user's.
    """

    source: Source
    path: bytes
    output: str
    root: Path
    project: str | None
    is_archive: bool
    named: bool
    zone: tzinfo
    templates_dir: Path | None = None
    links: str = report.MARKDOWN
    mistakes: list[str] = []

    @property
    def in_vault(self) -> bool:
        """Whether notes stand in a vault; there a session has one note, however many transcripts hold it."""
        return report.is_vault(self.output)

    @property
    def mode(self) -> int:
        """The permissions of the transcript, which its notes never exceed; their owner may always write in them."""
        return 0o600 | (self.source.path.stat().st_mode & 0o777 if self.source.path.exists() else 0)

    def folder_of(self, session: Session) -> Path | None:
        """Return the folder that has an index note with this session; None where there is none."""
        if not (self.in_vault or self.is_archive):
            return None
        return report.folder_of(self.source.path, session, output=self.output, project=self.project)


class Content(Struct, frozen=True):
    """What there is to tell of one session.

    Attributes:
        session: read to its end, its usage and that of its sub-agents recorded.
        title: redacted.
        insight: what was found in it; None where it is too short for a note.
        agents: its sub-agents that have transcripts of their own.
        cited: the messages that a comprehensive note ends with, redacted.
    """

    session: Session
    title: str
    insight: Insight | None = None
    agents: Sequence[SubAgent] = ()
    cited: Sequence[Message] = ()


def write_note(history: History, shelf: Shelf, content: Content) -> Path | None:
    """Write the note of one session and keep its line for an index note.

    Args:
        history: where notes and recorded usage are kept.
        shelf: what the notes of the transcript have in common.
        content: what there is to tell.

    Returns:
        The note; None where it is too short for one, or the user deleted it and did not ask for it by name.

    Raises:
        Waiting: the vault is not there.
    """
    if shelf.in_vault:
        require_vault(history, shelf.root)
    insight, path = content.insight, None
    if insight is not None:
        known = _known(history, shelf, content.session.session_id)
        if known is not None and _tells_of_another(history, shelf, known, insight):
            return Path(os.fsdecode(known.path))
        path = _standing(history, shelf, known)
        if path is not None:
            path = _written(history, shelf, content, insight, path)
    _keep_line(history, shelf, content, path)
    return path


def require_vault(history: History, root: Path) -> None:
    """Let work wait while the folder of a vault is missing that had notes: these are not deleted, nor is it ours to make anew.

    Raises:
        Waiting: it is.
    """
    if not root.is_dir() and history.notes.is_any_below(os.path.join(os.fsencode(root), b"")):
        raise Waiting(
            f"the vault {root} is not there, so its notes wait. Mount it, or move it back; if you deleted it, make the folder anew.",
            AWAY_DELAY_S,
        )


def _written(history: History, shelf: Shelf, content: Content, insight: Insight, path: Path) -> Path:
    """Render the note and put it where it stands, or in its first place."""
    if path is NOWHERE_YET:
        path = _placed(history, shelf, content.session, insight.title)
    session, cost = _with_usage(history, content.session, content.agents)
    own, lines = told(insight, content.agents)
    is_new = not os.path.lexists(path)
    text = report.render(
        session,
        own,
        source=shelf.source.path,
        source_sha256=shelf.source.sha256,
        project=shelf.project,
        recorded_cost=cost,
        subagents=lines,
        cited=content.cited,
        note_path=path,
        zone=shelf.zone,
        user_dir=shelf.templates_dir,
        earlier=_before(history, shelf, session, path) if is_new else None,
        links=shelf.links,
        mistakes=shelf.mistakes,
    )
    written = report.write(path, text, mode=shelf.mode, of_many=shelf.is_archive)
    if written.outcome != report.UNCHANGED or not _is_known(history, shelf, written.path):
        history.notes.keep(
            shelf.path,
            session.session_id,
            os.fsencode(written.path),
            level=insight.level.value,
            engine=insight.engine,
            title=insight.title,
            at=insight.made_at,
        )
    if is_new:
        _link_next(history, shelf, session, insight.title, written.path)
    return written.path


def _is_known(history: History, shelf: Shelf, path: Path) -> bool:
    """Say whether a note is remembered as the one of this transcript."""
    known = history.notes.at(os.fsencode(path))
    return known is not None and known.source == shelf.path


def _before(history: History, shelf: Shelf, session: Session, path: Path) -> tuple[str, Path] | None:
    """Return title and place of the note before one that is written for the first time; those after it keep theirs."""
    return next(_near(history, shelf, session, path), None)


def _link_next(history: History, shelf: Shelf, session: Session, title: str, path: Path) -> None:
    """Let the note after a new one say that this one stands before it."""
    for _, later in _near(history, shelf, session, path, later=True):
        try:
            report.link_earlier(later, title, path, shelf.links)
        except JobError as error:
            log.warning("%s", error)
        return


def _near(
    history: History, shelf: Shelf, session: Session, path: Path, *, later: bool = False
) -> Iterator[tuple[str, Path]]:
    """Yield the notes of the same project that stand in the same vault, or in the same folder, the nearest first."""
    if shelf.links == report.NO_LINKS:
        return
    root = shelf.root if shelf.in_vault else path.parent
    for each in history.notes.near(session.session_id, shelf.path, os.path.join(os.fsencode(root), b""), later=later):
        note = Path(os.fsdecode(each.path))
        if (shelf.in_vault or note.parent == root) and os.path.lexists(note):
            yield each.title, note


def leave_chain(history: History, paths: Sequence[Path]) -> None:
    """Remove the links of other notes to notes that are being forgotten."""
    for path in paths:
        known = history.notes.at(os.fsencode(path))
        for later in history.notes.near(known.session_id, known.source, b"", later=True) if known else ():
            report.unlink_earlier(Path(os.fsdecode(later.path)), path)


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
    return structs.replace(session, usage=structs.replace(usage, complete=usage.complete and is_complete)), (
        cost_picousd,
        is_all and is_complete,
    )


def _keep_line(history: History, shelf: Shelf, content: Content, path: Path | None) -> None:
    """Keep the line for the index note of the session's vault or archive, where there is one.

    Who deleted a note has closed what was open in it.
    """
    session, insight = content.session, content.insight
    folder = shelf.folder_of(session)
    if folder is None:
        return
    done = report.ticked(path) if path else []
    line = Line(
        root=os.fsencode(shelf.root if shelf.in_vault else folder),
        session_id=session.session_id,
        folder=os.fsencode(folder),
        source=shelf.path,
        title=insight.title if insight else content.title,
        started_at=session.started_at,
        summary=insight.summary if insight else "",
        open_items=len(report.open_items(insight.findings, done)) if insight and path else 0,
        note=os.fsencode(path) if path else None,
        mode=shelf.mode,
    )
    history.lines.keep([line])


def say_gone(history: History, source: bytes) -> None:
    """Let the notes of a transcript that is no longer there say so; they stay, and what a person edited stays as it is."""
    for note in history.notes.of_source(source):
        try:
            report.say_gone(Path(os.fsdecode(note.path)))
        except JobError as error:
            log.warning("%s", error)


def write_indexes(history: History, zone: tzinfo, *, due_for_s: float = 0.0, templates_dir: Path | None = None) -> None:
    """Write every index note whose lines changed; one that cannot be written now is tried again later.

    Args:
        history: where lines are kept.
        zone: the zone that dates are in.
        due_for_s: only those that are due for so long.
        templates_dir: the folder of the user's own templates.
    """
    for folder in history.lines.due(due_for_s):
        try:
            write_index(history, folder, zone, templates_dir)
        except (JobError, SettingsError) as error:
            log.warning("%s", error)


def write_index(history: History, folder: bytes, zone: tzinfo, templates_dir: Path | None = None) -> None:
    """Write the index note of an archive, or of a project in a vault."""
    lines = history.lines.of(folder)
    place = Path(os.fsdecode(folder))
    if not lines:
        _remove_index(place)
    if lines:
        in_vault = lines[0].root != folder
        if in_vault:
            require_vault(history, Path(os.fsdecode(lines[0].root)))
        index_path = report.index_place(place, output=report.VAULT if in_vault else report.BESIDE_SOURCE)
        source = Path(os.fsdecode(lines[0].source))
        text = report.render_index(
            [_entry(line) for line in lines],
            title=place.name if in_vault else source.name,
            index_path=index_path,
            source=None if in_vault else source,
            project=place.name if in_vault else None,
            zone=zone,
            user_dir=templates_dir,
        )
        report.write(index_path, text, mode=reduce(int.__and__, (line.mode for line in lines)))
    history.lines.written(folder)


def _remove_index(place: Path) -> None:
    """Remove an index note of which nothing is left, and the folder of an archive's notes when it is empty."""
    is_archives = place.name.endswith(report.FOLDER_SUFFIX)
    output = report.BESIDE_SOURCE if is_archives else report.VAULT
    if report.remove_unedited(report.index_place(place, output=output)):
        with suppress(OSError):
            place.rmdir()


def _entry(line: Line) -> report.IndexEntry:
    note = None if line.note is None else Path(os.fsdecode(line.note))
    return report.IndexEntry(line.session_id, line.title, line.started_at, line.summary, note, line.open_items)


def _known(history: History, shelf: Shelf, session_id: str) -> Report | None:
    """Return what is known of the session's note: in a vault any below its root, else the one of this transcript."""
    if not shelf.in_vault:
        return next(iter(history.notes.of(session_id, shelf.path)), None)
    history.notes.adopt(os.fsencode(shelf.root), lambda: _below(shelf.root))
    return next((note for note in history.notes.of(session_id) if _is_below(note, shelf.root)), None)


def _below(root: Path) -> Iterator[tuple[str, bytes]]:
    return ((session_id, os.fsencode(path)) for session_id, path in report.notes_under(root))


def _is_below(note: Report, root: Path) -> bool:
    return Path(os.fsdecode(note.path)).is_relative_to(root)


def _tells_of_another(history: History, shelf: Shelf, known: Report, insight: Insight) -> bool:
    """Say whether the note in the vault tells of another transcript that is still there and holds as much."""
    if known.source in (b"", shelf.path) or not os.path.lexists(known.source) or not os.path.lexists(known.path):
        return False
    extents = (history.extent_of(known.session_id, source) for source in (known.source, shelf.path))
    levels = (LEVELS.index(level) for level in (known.level, insight.level.value))
    theirs, mine = zip(extents, levels, strict=True)
    if theirs == mine and known.title != insight.title:  # it was renamed: the later file has its present name
        return os.stat(known.source).st_mtime_ns >= os.stat(shelf.path).st_mtime_ns
    return theirs >= mine


def _standing(history: History, shelf: Shelf, known: Report | None) -> Path | None:
    """Return where the note stands now, NOWHERE_YET where it was never written, None where the user deleted it."""
    if known is None:
        return NOWHERE_YET
    if not os.path.lexists(known.path):
        if known.is_deleted and not shelf.named:
            return None
        follow_moved(history, shelf.root)
        known = _known(history, shelf, known.session_id) or known
    is_there = os.path.lexists(known.path)
    if is_there == known.is_deleted:
        history.notes.is_gone(known.path, not is_there)
    return Path(os.fsdecode(known.path)) if is_there or shelf.named else None


def follow_moved(history: History, root: Path) -> None:
    """Look for every note below a root that is not where it was written, and remember where it is now."""
    for session_id, path in _below(root):
        if history.notes.at(path) is None:
            for note in history.notes.of(session_id):
                if _is_below(note, root) and not os.path.lexists(note.path):
                    history.notes.move(note.path, path)
                    break


class _Taken:
    """The places that other sessions' notes have."""

    def __init__(self, history: History, session_id: str) -> None:
        self._history = history
        self._session_id = session_id

    def __contains__(self, path: object) -> bool:
        assert isinstance(path, Path)
        known = self._history.notes.at(os.fsencode(path))
        owner = known.session_id if known else report.session_at(path)
        return owner not in (None, self._session_id)


def _placed(history: History, shelf: Shelf, session: Session, title: str) -> Path:
    """Return the place of a note that is written for the first time."""
    return report.place(
        shelf.source.path,
        session,
        output=shelf.output,
        many=shelf.is_archive,
        taken=_Taken(history, session.session_id),
        title=title,
        project=shelf.project,
        zone=shelf.zone,
    )
