"""Decide how a transcript is worked on before it is: its folder, level, engine, and whether it may wait."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from sessiontrackd import circuit, engines, notes, report, tokens
from sessiontrackd.config import Lowered, Settings, lowered
from sessiontrackd.engines.command import is_own_run
from sessiontrackd.errors import Held, Skipped
from sessiontrackd.insights import LEVELS, AIInsightGenerator, Reading, require_consent
from sessiontrackd.model import Folder, InsightLevel, Job
from sessiontrackd.pipeline._rooms import Rooms
from sessiontrackd.records import Source, open_source

BACKLOG_S = 86_400.0  # what lay there for a day may as well wait for a batch
LEAST_ASKS = 2  # an archived session with fewer, and no edit, is a line in the index


class Work(Struct, frozen=True):
    """One job, with what was decided about it before it starts."""

    source: Source
    path: bytes
    folder: Folder
    is_watched: bool
    level: InsightLevel
    engine: str
    again: bool
    named: bool
    attempts: int
    degrade: str
    in_batch: bool = False
    has_ended: bool = False

    @property
    def folder_name(self) -> str | None:
        """The watched folder, as the database names it."""
        return str(self.folder.path) if self.is_watched else None


def plan(settings: Settings, job: Job) -> Work:
    """Open the file of a job and decide how it is worked on.

    Raises:
        JobError: the file cannot be worked on.
    """
    source = open_source(Path(os.fsdecode(job.path)))
    if report.is_ours(source.head):
        raise Skipped("this is a note of sessiontrackd, not a transcript")
    if is_own_run(source.head) and not job.named:
        raise Skipped("a tool's transcript of a request by sessiontrackd, not of a session of yours")
    watched = settings.folder_of(job.path)
    folder = watched or Folder(source.path.parent)
    lower = lowered(folder, job.path)
    if lower.left_alone and not job.named:
        raise Skipped(lower.left_alone)
    engine = _engine(job.engine, folder, lower)
    return Work(
        source=source,
        path=job.path,
        folder=folder,
        is_watched=watched is not None,
        level=InsightLevel(job.level) if job.level else lower.level,
        engine=engine,
        again=job.again,
        named=job.named,
        attempts=job.attempts,
        has_ended=job.ended,
        degrade=folder.degrade or settings.degrade,
        in_batch=not job.named and _may_wait(folder.mode, job) and engines.takes_batches(engine),
    )


def _may_wait(mode: str, job: Job) -> bool:
    """Say whether a transcript goes into a batch, whose answers may take a day."""
    rested_s = datetime.now(UTC).timestamp() - job.fingerprint.mtime_ns / 10**9
    return mode == "batch" or (mode == "backlog" and rested_s > BACKLOG_S)


def _engine(asked: str | None, folder: Folder, lower: Lowered) -> str:
    """Return the engine to use; if a file inside the folder keeps it local, the local one."""
    if lower.kept_local is None:
        return asked or folder.engine
    if asked not in (None, "local"):
        raise Held(
            f"{lower.kept_local} allows the local engine only, so {asked} was not asked. Change that file, or leave --engine out."
        )
    return "local"


def generator_of(rooms: Rooms, work: Work) -> AIInsightGenerator:
    """Return the generator of a job's engine, which holds its money and asks for its consent."""
    engine = engines.make_engine(work.engine, rooms.home, rooms.settings, LEVELS[work.level].model)
    scope, estimator = str(work.folder.path), tokens.Estimator(rooms.store)

    def consent(_folder: str | None, provider: str) -> None:
        require_consent(rooms.queue, rooms.consents, scope, provider)

    name = f"{work.engine} {getattr(engine, 'provider', work.engine)} {engine.price_model}"
    return AIInsightGenerator(
        rooms.budget,
        engine=engine,
        known=rooms.history.insight,
        consent=consent,
        estimator=estimator,
        circuit=circuit.Circuit(rooms.circuits, name, is_heeded=not work.named, mended=rooms.queue.release),
        calls=rooms.calls,
        user_dir=rooms.home.templates_dir,
        batches=rooms.batches if work.in_batch or not work.again else None,
        in_batch=work.in_batch,
    )


def shelf_of(rooms: Rooms, work: Work, is_archive: bool) -> notes.Shelf:
    """Return what the notes of this transcript have in common."""
    folder, output = work.folder, work.folder.output
    root = report.vault_root(output) if report.is_vault(output) else folder.path
    return notes.Shelf(
        work.source,
        work.path,
        output,
        root,
        folder.project,
        is_archive,
        work.named,
        rooms.settings.zone,
        rooms.home.templates_dir,
        rooms.settings.note_links,
    )


def deserves_note(work: Work, reading: Reading, is_one_of_many: bool) -> bool:
    """Say whether a session gets a note and an engine's time.

    A sub-agent is a line in its parent's note; a short session of an archive, or one of nothing but commands that steer
    a tool, is a line in the index, and so is one in a vault or a tool's folder, unless a person named it.

    Raises:
        Skipped: the transcript is a sub-agent's, and nobody named it.
    """
    session = reading.session
    if session.details.get("subagent") and not work.named:
        raise counts_under(session.parent_id)
    of_many = is_one_of_many or (not work.named and bool(work.folder.preset or report.is_vault(work.folder.output)))
    says = any(finding.kind != "figures" for finding in reading.facts.findings)
    return not of_many or (session.human_turns >= LEAST_ASKS and says) or bool(reading.facts.of("file"))


def counts_under(parent_id: str | None) -> Skipped:
    """Say why a sub-agent's transcript gets no note."""
    return Skipped(f"a sub-agent's transcript: it counts under session {parent_id}")
