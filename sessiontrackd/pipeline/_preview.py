"""The note of a transcript for looking at; and with a sample, whether the user's templates make one."""

from __future__ import annotations

import asyncio
from datetime import UTC, tzinfo
from pathlib import Path

from sessiontrackd import digest, history, report
from sessiontrackd.config import Span
from sessiontrackd.history import History
from sessiontrackd.insights import AIInsightGenerator, Reading, read_session
from sessiontrackd.model import Insight, InsightLevel
from sessiontrackd.pipeline._sessions import sessions_of
from sessiontrackd.records import Source, open_source
from sessiontrackd.store import open_store

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "tide-import.jsonl"  # to try out whether notes can be made


def preview(
    path: Path,
    level: InsightLevel,
    zone: tzinfo | None = None,
    templates_dir: Path | None = None,
    mistakes: list[str] | None = None,
) -> str:
    """Return the note of a transcript's newest session, made by the local engine; nothing is written or kept.

    Raises:
        JobError: the file holds no session that can be read.
    """
    source = open_source(path)
    reading, insight = _newest(source, level)
    return report.render(
        reading.session,
        insight,
        source=path,
        source_sha256=source.sha256,
        zone=zone,
        user_dir=templates_dir,
        mistakes=mistakes,
    )


def mistakes_in(templates_dir: Path) -> list[str]:
    """Return what is wrong with the user's templates: a note of each level, an index note and a digest are made of a sample."""
    mistakes: list[str] = []
    for level in InsightLevel:
        preview(SAMPLE, level, templates_dir=templates_dir, mistakes=mistakes)
    reading, insight = _newest(open_source(SAMPLE), InsightLevel.STANDARD)
    session, place = reading.session, templates_dir / "index.md"
    lines = [
        report.IndexEntry("a", insight.title, session.started_at, insight.summary, templates_dir / "a.md", 1),
        report.IndexEntry("b", insight.title, None),
    ]
    report.render_index(lines, title="tide", index_path=place, user_dir=templates_dir, mistakes=mistakes)
    if session.started_at is not None:
        day = Span.of("day", session.started_at.astimezone(UTC).date())
        with open_store(None, history.SCHEMA) as store:
            known = History(store)
            known.record_session(session, b"sample")
            known.keep_insight(session.session_id, "sample", insight)
            digest.compose(known, day, UTC, ours_picousd=0, user_dir=templates_dir, mistakes=mistakes)
    return list(dict.fromkeys(mistakes))


def _newest(source: Source, level: InsightLevel) -> tuple[Reading, Insight]:
    """Return a transcript's newest session, read, and what the local engine finds in it."""
    found = [read_session(opened, level=level) for opened in sessions_of(source)]
    newest = max(found, key=_ended)
    return newest, asyncio.run(AIInsightGenerator().insight(newest, level))


def _ended(reading: Reading) -> float:
    """Return when a session ended, for sorting; one without times comes first."""
    ended_at = reading.session.ended_at
    return ended_at.timestamp() if ended_at else 0.0
