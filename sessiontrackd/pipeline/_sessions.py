"""Read the sessions of a transcript, and keep what they record."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import replace

from sessiontrackd import following, readers, search
from sessiontrackd.config import lowered
from sessiontrackd.contracts import OpenSession
from sessiontrackd.errors import Held, JobError, NotAConversation
from sessiontrackd.insights import Reading, read_session
from sessiontrackd.model import Insight, InsightLevel, Session
from sessiontrackd.pipeline._degrade import levels_below
from sessiontrackd.pipeline._plan import Work
from sessiontrackd.pipeline._rooms import Rooms
from sessiontrackd.pipeline._words import remember
from sessiontrackd.records import open_source
from sessiontrackd.subagents import SubAgent, read_agent


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
    nonce = rooms.batches.nonce if work.in_batch or rooms.batches.knows(work.path) else None
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
