"""The path of one file: read it, make the insights of its sessions, keep them, write the notes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from sessiontrackd import (
    alerts,
    batches,
    budget,
    channels,
    circuit,
    config,
    engines,
    following,
    history,
    notes,
    privacy,
    queue,
    readers,
    report,
    search,
    tokens,
)
from sessiontrackd.config import Home, Lowered, Settings, load, lowered
from sessiontrackd.contracts import OpenSession
from sessiontrackd.engines.command import is_own_run
from sessiontrackd.errors import (
    DerivedCopy,
    Growing,
    Held,
    JobError,
    LedgerDamaged,
    NotAConversation,
    OverBudget,
    Skipped,
)
from sessiontrackd.insights import (
    LEVELS,
    AIInsightGenerator,
    Calls,
    Purpose,
    Reading,
    read_session,
    require_consent,
)
from sessiontrackd.model import Degraded, Finding, Folder, Insight, InsightLevel, Job, Session, Usage
from sessiontrackd.pipeline._batches import Post
from sessiontrackd.pipeline._degrade import hold_back, instead, levels_below, when_it_fits
from sessiontrackd.pipeline._digests import composed as composed
from sessiontrackd.pipeline._digests import write_digest as write_digest
from sessiontrackd.pipeline._forget import Forgotten as Forgotten
from sessiontrackd.pipeline._forget import Memory as Memory
from sessiontrackd.pipeline._forget import forget as forget
from sessiontrackd.pipeline._forget import memory_of as memory_of
from sessiontrackd.pipeline._growth import Past, pause
from sessiontrackd.pipeline._words import cited, remember
from sessiontrackd.pricing import usd_text
from sessiontrackd.records import Source, open_source
from sessiontrackd.store import Store, open_store
from sessiontrackd.subagents import SubAgent, read_agent

INDEX_DELAY_S = 60.0  # while work goes on, an index note is written once in so long
FALLBACK = "fallback"  # the name under which a local insight in place of another engine's is stored
BACKLOG_S = 86_400.0  # what lay there for a day may as well wait for a batch
LEAST_ASKS = 2  # an archived session with fewer, and no edit, is a line in the index


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that one process works with, opened once."""

    home: Home
    settings: Settings
    store: Store
    queue: queue.Queue
    history: history.History
    budget: budget.TokenManager
    consents: privacy.Consents
    alerts: alerts.Alerts
    circuits: circuit.Circuits
    calls: Calls
    batches: batches.Batches
    search: search.Search

    def close(self) -> None:
        """Close the store and the words beside it."""
        self.store.close()
        self.search.close()


@dataclass(frozen=True, slots=True)
class Work:
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


@dataclass(frozen=True, slots=True)
class Note:
    """What became of one session. `insight` is None where it has a line in the index only.

    `shortfall` says why the engine that was asked for did not write it; the local one did. `degraded` says that it is less
    than was asked for, because the budget had no room.
    """

    reading: Reading
    insight: Insight | None
    report_path: Path | None
    shortfall: JobError | None = None
    degraded: Degraded | None = None


def open_rooms(home: Home) -> Rooms:
    """Open the store of a home and everything that lives in it."""
    home.prepare()
    settings = load(home)
    schemas = (
        queue.SCHEMA,
        history.SCHEMA,
        budget.SCHEMA,
        privacy.SCHEMA,
        alerts.SCHEMA,
        tokens.SCHEMA,
        circuit.SCHEMA,
        batches.SCHEMA,
        channels.SCHEMA,
    )
    store = open_store(home.db_path, *schemas)
    manager = budget.TokenManager(store=store, timezone=settings.timezone)
    with contextlib.suppress(LedgerDamaged):  # then nothing is spent; notes go on
        manager.hold_to(settings)
        manager.recover()
    jobs, known, consents = queue.Queue(store), history.History(store, prices=manager.prices), privacy.Consents(store)
    circuits = circuit.Circuits(store, lambda: config.condition(home, settings))
    told, calls, words = alerts.Alerts(store), Calls(), search.Search.open(home.state_dir)
    book = batches.Batches(store)
    return Rooms(home, settings, store, jobs, known, manager, consents, told, circuits, calls, book, words)


async def process_job(rooms: Rooms, job: Job) -> list[Note]:
    """Take one transcript from its file to its notes.

    Raises:
        JobError: it ends otherwise; the class says in which state.
    """
    if gone(rooms, job.path):
        raise Skipped("it is no longer there; its notes stay and say so")
    work = plan(rooms.settings, job)
    if not work.again:
        rooms.batches.require_ended(work.path)
    done: list[Note] = []
    async with contextlib.aclosing(generator_of(rooms, work)) as generator:
        for reading, heard, is_one_of_many in readings(rooms, work, generator.condense_for(work.level)):
            shelf = shelf_of(rooms, work, is_one_of_many)
            title = reading.shown(reading.title)
            if not deserves_note(work, reading, is_one_of_many):
                notes.write_note(rooms.history, shelf, notes.Content(reading.session, title))
                keep_words(rooms, work, reading, heard)
                done.append(Note(reading, None, None))
                continue
            growing = None if is_one_of_many else pause_of(rooms, work, generator, reading)
            if growing is not None and growing.keeps_note:
                raise growing
            insight, shortfall, less = await insight_of(rooms, work, generator, reading, growing)
            agents = agents_of(rooms, work, reading.session)
            content = notes.Content(reading.session, title, insight, agents, cited(heard, insight, work.folder))
            path = notes.write_note(rooms.history, shelf, content)
            keep_words(rooms, work, reading, heard, insight)
            done.append(Note(reading, insight, path, shortfall, less))
    return done


def gone(rooms: Rooms, path: bytes) -> bool:
    """Say whether a transcript is no longer there; its notes stay and say so."""
    if os.path.lexists(path):
        return False
    notes.say_gone(rooms.history, path)
    return True


def write_indexes(rooms: Rooms) -> None:
    """Write the index notes that are due: all of them when no work is left, else those that are due for a while."""
    due_at = rooms.queue.next_due()
    is_busy = due_at is not None and due_at <= datetime.now(UTC)
    notes.write_indexes(
        rooms.history,
        rooms.settings.zone,
        due_for_s=INDEX_DELAY_S if is_busy else 0.0,
        templates_dir=rooms.home.templates_dir,
    )


async def move_batches(rooms: Rooms) -> bool:
    """Send what is gathered for a batch, and collect what came back. Return whether transcripts can go on."""
    return await Post(rooms.home, rooms.settings, rooms.batches, rooms.budget, rooms.queue, rooms.store).run()


def write_due_digest(rooms: Rooms) -> Path | None:
    """Write the digest of the period that ended last, where it is still to be written; return it where it was."""
    today = datetime.now(rooms.settings.zone).date()
    span = config.digest_due(rooms.home, rooms.settings.digest_every, today)
    if span is None:
        return None
    path = write_digest(rooms.home, rooms.history, rooms.budget, rooms.settings, span)
    if path is not None:  # else its transcripts may be read later
        config.digest_done(rooms.home, span)
    return path


def preview(path: Path, level: InsightLevel, zone: tzinfo | None = None, templates_dir: Path | None = None) -> str:
    """Return the note of a transcript's newest session, made by the local engine; nothing is written or kept.

    Raises:
        JobError: the file holds no session that can be read.
    """
    source = open_source(path)
    transcript = readers.read(source)
    if not transcript.is_conversation:
        raise NotAConversation(transcript.warnings[0] if transcript.warnings else "no conversation is in it")
    found = [read_session(opened, level=level) for opened in transcript.sessions]
    if not found:
        raise NotAConversation("there is no message in it yet")
    newest = max(found, key=_ended)
    insight = asyncio.run(AIInsightGenerator().insight(newest, level))
    return report.render(
        newest.session, insight, source=path, source_sha256=source.sha256, zone=zone, user_dir=templates_dir
    )


def _ended(reading: Reading) -> float:
    """Return when a session ended, for sorting; one without times comes first."""
    ended_at = reading.session.ended_at
    return ended_at.timestamp() if ended_at else 0.0


def plan(settings: Settings, job: Job) -> Work:
    """Open the file of a job and decide how it is worked on.

    Raises:
        JobError: the file cannot be worked on.
    """
    source = open_source(Path(os.fsdecode(job.path)))
    if report.is_ours(source.head):
        raise Skipped("this is a note of ours, not a transcript")
    if is_own_run(source.head) and not job.named:
        raise Skipped("a tool's transcript of a request of ours, not of yours")
    watched = settings.folder_of(job.path)
    folder = watched or Folder(source.path.parent)
    lower = lowered(folder, job.path)
    if lower.left_alone and not job.named:
        raise Skipped(lower.left_alone)
    return Work(
        source=source,
        path=job.path,
        folder=folder,
        is_watched=watched is not None,
        level=InsightLevel(job.level) if job.level else lower.level,
        engine=_engine(job.engine, folder, lower),
        again=job.again,
        named=job.named,
        attempts=job.attempts,
        has_ended=job.ended,
        degrade=folder.degrade or settings.degrade,
        in_batch=not job.named and _may_wait(folder.mode, job),
    )


def _may_wait(mode: str, job: Job) -> bool:
    """Say whether a transcript goes into a batch, whose answers may take a day."""
    rested_s = datetime.now(UTC).timestamp() - job.fingerprint.mtime_ns / 10**9
    return mode == "batch" or (mode == "backlog" and rested_s > BACKLOG_S)


def _engine(asked: str | None, folder: Folder, lower: Lowered) -> str:
    """Return whose turn it is; where a file inside the folder keeps it local, nobody else's."""
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
        batches=rooms.batches if work.in_batch else None,
    )


def readings(
    rooms: Rooms, work: Work, condense_for: InsightLevel | None
) -> Iterator[tuple[Reading, search.Heard, bool]]:
    """Yield each session of a transcript, read, with its words, and whether the transcript holds more than one."""
    if not work.named and readers.is_data_set(work.source):
        raise Held(
            f"a data set: {readers.DATA_SET_ROWS} conversations or more stand as rows in it. "
            f"Nothing is made of it until you ask: sessiontrackd process {shlex.quote(work.path.decode('utf-8', 'replace'))}"
        )
    transcript = readers.read(work.source)
    if not transcript.is_conversation:
        raise NotAConversation(transcript.warnings[0] if transcript.warnings else "no conversation is in it")
    found = (recorded(rooms, work, opened, condense_for) for opened in transcript.sessions)
    first, second = next(found, None), next(found, None)
    if first is None:
        raise NotAConversation("there is no message in it yet")
    yield *first, second is not None
    if second is not None:
        yield *second, True
        yield from ((*each, True) for each in found)


def recorded(
    rooms: Rooms, work: Work, opened: OpenSession, condense_for: InsightLevel | None
) -> tuple[Reading, search.Heard]:
    """Read one session, and keep what its transcript records of the agent's own usage."""
    also = levels_below(condense_for) if condense_for and work.degrade == "lower" else ()
    personal, heard = work.folder.redact_notes == "all", search.Heard()
    nonce = rooms.batches.nonce if work.in_batch else None
    reading = read_session(
        heard.listening(opened), condense_for, level=work.level, personal=personal, also=also, nonce=nonce
    )
    named = replace(reading.session, title=reading.shown(reading.title))  # the recorded one may hold a secret
    rooms.history.record_session(named, work.path, folder=work.folder_name, project=work.folder.project)
    following.begin(rooms.history, work.source, reading.session, work.folder_name, work.folder.project)
    return reading, heard


def keep_words(rooms: Rooms, work: Work, reading: Reading, heard: search.Heard, insight: Insight | None = None) -> None:
    """Let the words of a session be found, unless the settings say otherwise."""
    if rooms.settings.keeps_words:
        remember(rooms.search, work.path, work.folder, reading, heard=heard, insight=insight)


def agents_of(rooms: Rooms, work: Work, session: Session) -> list[SubAgent]:
    """Read a session's sub-agents and keep what they used. One that cannot be read is left to its own job."""
    found: list[SubAgent] = []
    for path in readers.subagent_paths(work.source, session):
        if lowered(work.folder, os.fsencode(path)).left_alone:
            continue
        with contextlib.suppress(JobError):
            source = open_source(path)
            if (
                session.session_id != path.parent.name
                and session.session_id.encode("utf-8", "replace") not in source.head
            ):
                continue
            for opened in readers.read(source).sessions:
                agent = read_agent(opened, personal=work.folder.redact_notes == "all")
                if agent.session.parent_id == session.session_id and agent.session.details.get("subagent"):
                    found.append(agent)
                    rooms.history.record_session(
                        agent.session, os.fsencode(path), folder=work.folder_name, project=work.folder.project
                    )
    return found


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
    )


def deserves_note(work: Work, reading: Reading, is_one_of_many: bool) -> bool:
    """Say whether a session gets a note and an engine's time.

    A sub-agent is a line in its parent's note; a short session of an archive is a line in the index, and so is one in
    a vault or a tool's folder, unless a person named it.

    Raises:
        Skipped: the transcript is a sub-agent's, and nobody named it.
    """
    session = reading.session
    if session.details.get("subagent") and not work.named:
        raise Skipped(f"a sub-agent's transcript: it counts under session {session.parent_id}")
    of_many = is_one_of_many or (not work.named and bool(work.folder.preset or report.is_vault(work.folder.output)))
    return not of_many or session.human_turns >= LEAST_ASKS or bool(reading.facts.of("file"))


def pause_of(rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading) -> Growing | None:
    """Return why the insight of a session that goes on has to wait; what a person named never does, nor does a copy."""
    is_needed = not (work.named or work.again or rooms.history.is_derived(reading.session))
    if not is_needed or generator.stored(reading, work.level) is not None:
        return None
    session, elsewhere = reading.session, generator.condense_for(work.level) is not None
    noted = [each.at for each in rooms.history.notes.of(session.session_id, work.path)]
    prior = prior_of(rooms, work, session.session_id) if elsewhere else None
    last_at = None if work.has_ended else session.ended_at
    past = Past(last_at, max(noted, default=None), prior.made_at if prior else None)
    return pause(past, rooms.settings, datetime.now(UTC), elsewhere=elsewhere)


def prior_of(rooms: Rooms, work: Work, session_id: str) -> Insight | None:
    """Return the latest insight that the engine made of this session, at this level."""
    known = rooms.history.insights_of(session_id)
    return next((each for each in known if (each.engine, each.level) == (work.engine, work.level)), None)


async def insight_of(
    rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading, growing: Growing | None = None
) -> tuple[Insight, JobError | None, Degraded | None]:
    """Return a session's insight, the stored one where there is one; else less, and why."""
    if growing is not None:
        return await by_local_engine(rooms, work, generator, reading, growing), growing, None
    try:
        if generator.is_paid and not work.named and rooms.history.is_derived(reading.session):
            raise DerivedCopy("a copy of a session that is read already")
        return await wanted(rooms, work, generator, reading), None, None
    except DerivedCopy as reason:
        return await by_local_engine(rooms, work, generator, reading, reason), None, None
    except OverBudget as reason:
        if reason.cost_picousd is None:  # no budget is set: what is missing is a decision, not room
            return await by_local_engine(rooms, work, generator, reading, reason), reason, None
        return await degraded(rooms, work, generator, reading, reason)
    except JobError as reason:
        return await by_local_engine(rooms, work, generator, reading, reason), reason, None


async def wanted(rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading) -> Insight:
    """Return the insight that was asked for: the stored one, or one that is made as soon as there is room for it."""
    stored = None if work.again else generator.stored(reading, work.level)
    if stored is not None:
        return stored
    where = (work.folder_name, work.folder.project)
    if generator.is_paid and not work.named:  # what a person named goes on
        hold_back(rooms.budget, rooms.settings.may_run_ahead, work.degrade, *where)
    return await when_it_fits(rooms.budget, lambda: made(rooms, work, generator, reading), *where)


async def degraded(
    rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading, reason: OverBudget
) -> tuple[Insight, JobError | None, Degraded]:
    """Go down the ladder as far as the user wants: a lower level, the local engine, hold."""
    price, period = generator.most_picousd(reading, work.level), rooms.budget.status().period
    less = Degraded(work.level, work.engine, work.degrade, period, cost_picousd=price)
    for level in levels_below(work.level) if work.degrade == "lower" else ():
        lower = replace(work, level=level)
        async with contextlib.aclosing(generator_of(rooms, lower)) as cheaper:
            with contextlib.suppress(OverBudget):
                insight = await wanted(rooms, lower, cheaper, reading.at(level))
                return instead(insight, less), None, replace(less, given=level.value)
    insight = await by_local_engine(rooms, work, generator, reading, reason)
    if work.degrade == "hold":
        return insight, reason, less
    return instead(insight, less), None, replace(less, given="local")


async def by_local_engine(
    rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading, reason: JobError
) -> Insight:
    """Return the local insight in place of the engine's: the stored one, or a new one."""
    known = rooms.history.insight(reading.session.session_id, reading.content_sha256, work.level, FALLBACK, None)
    insight = generator.in_place(known, reason) if known else await generator.fallback(reading, work.level, reason)
    rooms.history.keep_insight(reading.session.session_id, reading.content_sha256, insight, engine=FALLBACK)
    return insight


async def made(rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading) -> Insight:
    """Make an insight and store it before anything is rendered, so that it is never paid for twice."""
    purpose = Purpose(work.folder_name, work.folder.project, work.path, work.attempts)
    prior = None if work.again or work.in_batch else prior_of(rooms, work, reading.session.session_id)
    insight = await generator.insight(reading, work.level, purpose, prior)
    session_id = reading.session.session_id
    with rooms.store.immediate(durable=insight.cost_picousd > 0):  # both or neither, whatever dies
        rooms.history.keep_insight(session_id, reading.content_sha256, insight, engine=work.engine)
        if work.in_batch:
            rooms.batches.forget(generator.batch_name(reading, work.level))
        rooms.budget.record(
            reading.session, insight, folder=work.folder_name, project=work.folder.project, source=work.path
        )
    return insight


def as_result(note: Note) -> dict[str, Any]:
    """Return one session of `process --json`."""
    insight = note.insight
    usage = insight.usage if insight else Usage()
    return {
        "session_id": note.reading.session.session_id,
        "report": str(note.report_path) if note.report_path else None,
        "level": insight.level.value if insight else None,
        "engine": insight.engine if insight else None,
        "title": insight.title if insight else note.reading.title,
        "summary": insight.summary if insight else "",
        "findings": [_finding(finding) for finding in insight.findings] if insight else [],
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "cost_usd": None if insight and insight.is_flat_rate else usd_text(insight.cost_picousd if insight else 0),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    """Return one finding as plain values."""
    plain: dict[str, Any] = {
        "kind": finding.kind,
        "text": finding.text,
        "quote": finding.quote,
        "messages": list(finding.messages),
        "origin": finding.origin,
    }
    if finding.details:
        plain["details"] = dict(finding.details)
    if finding.parts:
        plain["parts"] = [_finding(part) for part in finding.parts]
    return plain
