"""Read the sessions of a transcript, and keep what they record."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator

from msgspec import structs

from sessiontrackd import following, readers, search
from sessiontrackd.config import lowered
from sessiontrackd.contracts import OpenSession
from sessiontrackd.errors import Held, JobError, NotAConversation
from sessiontrackd.insights import Reading, read_session
from sessiontrackd.model import Insight, InsightLevel, Session
from sessiontrackd.pipeline._degrade import levels_below
from sessiontrackd.pipeline._plan import Work, counts_under
from sessiontrackd.pipeline._rooms import Agent, Rooms
from sessiontrackd.pipeline._words import remember
from sessiontrackd.records import Source, open_source
from sessiontrackd.subagents import SubAgent, read_agent


def readings(
    rooms: Rooms, work: Work, condense_for: InsightLevel | None
) -> Iterator[tuple[Reading, search.Heard, bool]]:
    """Yield each session of a transcript, read, with its words, and whether the transcript holds more than one."""
    if not work.named and readers.is_data_set(work.source):
        raise Held(
            f"a data set: {readers.DATA_SET_ROWS} or more conversations as rows. "
            f"It is not processed until you ask: sessiontrackd process {shlex.quote(work.path.decode('utf-8', 'replace'))}"
        )
    found = (recorded(rooms, work, opened, condense_for) for opened in sessions_of(work.source))
    first, second = next(found), next(found, None)
    yield *first, second is not None
    if second is not None:
        yield *second, True
        yield from ((*each, True) for each in found)


def sessions_of(source: Source) -> Iterator[OpenSession]:
    """Yield the sessions of a transcript, at least one.

    Raises:
        JobError: it holds no session that can be read.
    """
    transcript = readers.read(source)
    if not transcript.is_conversation:
        raise NotAConversation(transcript.warnings[0] if transcript.warnings else "it contains no conversation")
    is_empty = True
    for opened in transcript.sessions:
        is_empty = False
        yield opened
    if is_empty:
        raise NotAConversation("it contains no message yet")


def recorded(
    rooms: Rooms, work: Work, opened: OpenSession, condense_for: InsightLevel | None
) -> tuple[Reading, search.Heard]:
    """Read one session, and keep what its transcript records of the agent's own usage."""
    also = levels_below(condense_for) if condense_for and work.degrade == "lower" else ()
    personal, heard = work.folder.redact_notes == "all", search.Heard()
    nonce = rooms.batches.nonce if work.in_batch or rooms.batches.knows(work.path) else None
    reading = read_session(
        heard.listening(opened), condense_for, level=work.level, personal=personal, also=also, nonce=nonce
    )
    named = structs.replace(reading.session, title=reading.shown(reading.title))  # the recorded one may hold a secret
    _record(rooms, work, work.source, named)
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
            read = [
                read_agent(each, personal=work.folder.redact_notes == "all") for each in readers.read(source).sessions
            ]
            agents = [each for each in read if _is_agent_of(session, each.session)]
            for agent in agents:
                _record(rooms, work, source, agent.session)
            if len(read) == len(agents) == 1:
                about = (source.fingerprint, work.folder_name, work.folder.project, session.session_id)
                rooms.agents[os.fsencode(path)] = Agent(*about)
            found += agents
    return found


def _is_agent_of(parent: Session, session: Session) -> bool:
    """Say whether a session is a sub-agent's of another one."""
    return session.parent_id == parent.session_id and bool(session.details.get("subagent"))


def skip_what_was_read(rooms: Rooms, work: Work) -> None:
    """Do not read a sub-agent's transcript again that this process has read, as it is now, for its parent's note.

    Raises:
        Skipped: it is one.
    """
    agent, about = rooms.agents.pop(work.path, None), (work.folder_name, work.folder.project)
    if (
        agent
        and not work.named
        and (agent.fingerprint, agent.folder, agent.project) == (work.source.fingerprint, *about)
    ):
        raise counts_under(agent.parent_id)


def _record(rooms: Rooms, work: Work, source: Source, session: Session) -> None:
    """Keep what a session's transcript records of the agent's own usage, and how far it was read."""
    about = (work.folder_name, work.folder.project)
    with rooms.store.immediate():
        rooms.history.record_session(session, os.fsencode(source.path), folder=about[0], project=about[1])
        following.begin(rooms.history, source, session, *about)
