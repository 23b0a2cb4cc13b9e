"""Make the insight of a session: the one that was asked for, else less, with the reason."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from msgspec import structs

from sessiontrackd.errors import DerivedCopy, Growing, JobError, OverBudget
from sessiontrackd.insights import AIInsightGenerator, Purpose, Reading, as_allowed, is_begun
from sessiontrackd.model import Degraded, Insight
from sessiontrackd.pipeline._degrade import hold_back, instead, levels_below, when_it_fits
from sessiontrackd.pipeline._growth import Past, pause
from sessiontrackd.pipeline._plan import Work, generator_of
from sessiontrackd.pipeline._rooms import Rooms

FALLBACK = "fallback"  # the name under which a local insight in place of another engine's is stored


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
            return await less_made(rooms, work, generator, reading, reason), reason, None
        return await degraded(rooms, work, generator, reading, reason)
    except JobError as reason:
        return await less_made(rooms, work, generator, reading, reason), reason, None


async def wanted(rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading) -> Insight:
    """Return the insight that was asked for; of copies that come at once the first is asked about, and the others find it."""
    async with rooms.calls.alone(generator.batch_name(reading, work.level)):
        return await stored_or_made(rooms, work, generator, reading)


async def stored_or_made(rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading) -> Insight:
    """Return the insight that was asked for: the stored one, or one that is made as soon as there is room for it.

    What of a long session was asked about already is stored and stays, whatever keeps the rest.
    """
    stored = None if work.again else generator.stored(reading, work.level)
    if stored is not None and not is_begun(stored):
        keep_as_own(rooms, work, reading, stored)
        return stored
    where = (work.folder_name, budgeted_project(rooms, work, reading))
    is_pressed = work.named or rooms.batches.knows(work.path)  # what a person named, or is answered, goes on
    if generator.is_paid and not is_pressed:
        hold_back(rooms.budget, rooms.settings.may_run_ahead, work.degrade, *where)
    so_far = stored

    async def make() -> Insight:
        nonlocal so_far
        so_far, reason = await made(rooms, work, generator, reading, so_far)
        if reason is not None:
            raise reason
        return so_far

    return await when_it_fits(rooms.budget, make, *where)


def keep_as_own(rooms: Rooms, work: Work, reading: Reading, found: Insight) -> None:
    """Keep an insight that was found under the session itself: it may be another's of the same words, or newly titled."""
    session_id = reading.session.session_id
    if reading.restores and found not in rooms.history.insights_of(session_id):
        rooms.history.keep_insight(session_id, reading.content_sha256, found, engine=work.engine)


async def degraded(
    rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading, reason: OverBudget
) -> tuple[Insight, JobError | None, Degraded | None]:
    """Go down the ladder as far as the user wants: a lower level, the local engine, hold."""
    begun, period = begun_of(generator, reading, work), rooms.budget.status().period
    price = generator.most_picousd(reading, work.level, begun)
    less = Degraded(work.level, work.engine, work.degrade, period, cost_picousd=price)
    if begun is not None:
        return (
            (begun, reason, less)
            if work.degrade == "hold"
            else (instead(begun, less), None, structs.replace(less, given="part"))
        )
    for level in levels_below(work.level) if work.degrade == "lower" else ():
        lower = structs.replace(work, level=level)
        async with contextlib.aclosing(generator_of(rooms, lower)) as cheaper:
            try:
                insight = await wanted(rooms, lower, cheaper, reading.at(level))
            except OverBudget:
                continue
            except JobError as later:
                return await by_local_engine(rooms, work, generator, reading, later), later, None
            return instead(insight, less), None, structs.replace(less, given=level.value)
    insight = await by_local_engine(rooms, work, generator, reading, reason)
    if work.degrade == "hold":
        return insight, reason, less
    return instead(insight, less), None, structs.replace(less, given="local")


def begun_of(generator: AIInsightGenerator, reading: Reading, work: Work) -> Insight | None:
    """Return the insight of the parts of a long session that were asked about, where others were not."""
    stored = generator.stored(reading, work.level)
    return stored if is_begun(stored) else None


async def less_made(
    rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading, reason: JobError
) -> Insight:
    """Return what there is while the rest cannot be made: the first parts of it, else the local engine's."""
    begun = begun_of(generator, reading, work)
    return begun or await by_local_engine(rooms, work, generator, reading, reason)


async def by_local_engine(
    rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading, reason: JobError
) -> Insight:
    """Return the local insight in place of the engine's: the stored one, or a new one."""
    known = rooms.history.insight(reading.session.session_id, reading.content_sha256, work.level, FALLBACK, None)
    known = known and as_allowed(known, reading)
    insight = generator.in_place(known, reason) if known else await generator.fallback(reading, work.level, reason)
    rooms.history.keep_insight(reading.session.session_id, reading.content_sha256, insight, engine=FALLBACK)
    return insight


def budgeted_project(rooms: Rooms, work: Work, reading: Reading) -> str | None:
    """Return the project whose budget the work counts against: the folder's, else the recorded one if it has a budget.

    The ledger forgets nothing, so no other name from a transcript gets into it.
    """
    recorded = reading.session.project_name
    has_budget = any(name == recorded for name, _ in rooms.settings.project_budgets)
    return work.folder.project or (recorded if has_budget else None)


async def made(
    rooms: Rooms, work: Work, generator: AIInsightGenerator, reading: Reading, so_far: Insight | None
) -> tuple[Insight, JobError | None]:
    """Make an insight and store it before anything is rendered, so that it is never paid for twice.

    Returns:
        It, and why a long session was not asked about to its end.
    """
    purpose = Purpose(work.folder_name, budgeted_project(rooms, work, reading), work.path, work.attempts)
    is_whole = work.again or work.in_batch or so_far is not None
    prior = None if is_whole else prior_of(rooms, work, reading.session.session_id)
    insight, reason = await generator.insight_so_far(reading, work.level, purpose, prior, so_far)
    session_id = reading.session.session_id
    with rooms.store.immediate(durable=insight.cost_picousd > 0):  # both or neither, whatever dies
        rooms.history.keep_insight(session_id, reading.content_sha256, insight, engine=work.engine)
        if generator.is_paid:
            rooms.batches.forget(generator.batch_name(reading, work.level))
        project = work.folder.project or reading.session.project_name
        rooms.budget.record(reading.session, insight, folder=work.folder_name, project=project, source=work.path)
    return insight, reason
