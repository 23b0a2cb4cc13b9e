"""Where the text of a session goes: into the cited messages of its note, and into the index of `search`."""

from __future__ import annotations

import logging

from sessiontrackd.errors import StoreError
from sessiontrackd.insights import Reading
from sessiontrackd.model import Folder, Insight, InsightLevel, Message
from sessiontrackd.privacy import Redactor
from sessiontrackd.search import Heard, Search

log = logging.getLogger(__name__)

CITED_MOST = 60  # messages at the end of a comprehensive note


def cited(heard: Heard, insight: Insight, folder: Folder) -> list[Message]:
    """Return the messages that a comprehensive note ends with, redacted as the note is."""
    if insight.level is not InsightLevel.COMPREHENSIVE:
        return []
    return heard.cited(insight, Redactor(personal=folder.redact_notes == "all"), CITED_MOST)


def remember(
    words: Search, path: bytes, folder: Folder, reading: Reading, *, heard: Heard, insight: Insight | None
) -> None:
    """Let the words of a session be found by `search`; where they cannot be kept, the note stands all the same."""
    session = reading.session
    try:
        words.keep(
            session,
            path,
            heard,
            insight,
            key=reading.content_sha256,
            title=insight.title if insight else reading.shown(reading.title),
            project=folder.project or session.project_name,
            personal=folder.redact_notes == "all",
        )
    except StoreError as error:
        log.warning("%s `search` will not find it.", error)
