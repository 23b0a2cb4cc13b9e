"""capture_session(): the insight of messages that are not in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from msgspec import Struct

from sessiontrackd import facts, report
from sessiontrackd.insights import (
    AIInsightGenerator,
    Reading,
    as_dict,
    level_of,
    open_messages,
    read_session,
    session_of,
)
from sessiontrackd.model import Insight, InsightLevel, Message, Session


class CapturedSession(Struct, frozen=True):
    """A conversation and what was made of it.

    Attributes:
        session_id: made from the messages: the same messages have the same.
        insight: level, title, summary, findings, usage, cost_usd, engine, model, provenance.
        usage: tokens by bucket that the insight used.
        cost_usd: what it cost; None where a plan of the user's covers it.
        report_path: the note, where a folder was given.
    """

    session_id: str
    insight: dict[str, Any]
    usage: dict[str, int]
    cost_usd: float | None
    report_path: Path | None


def key_messages(session: Session | Sequence[Mapping[str, Any]] | Sequence[Message] | str, count: int) -> list[Message]:
    """Return the messages that best stand for a conversation, in source order; chosen on this machine, without a model.

    Args:
        session: a session, its messages, or messages with `role` (or `speaker`) and `content`.
        count: how many, at least 1.
    """
    if not isinstance(session, (Session, str)) and all(isinstance(one, Message) for one in session):
        return facts.key_messages([one for one in session if isinstance(one, Message)], count)
    return facts.key_messages(session_of(cast("Session | Sequence[Mapping[str, Any]] | str", session)), count)


async def capture_session(
    messages: Sequence[Mapping[str, Any]] | str,
    insight_level: InsightLevel | str = "standard",
    *,
    folder: str | os.PathLike[str] | None = None,
    generator: AIInsightGenerator | None = None,
) -> CapturedSession:
    """Make the insight of a conversation, and with `folder` its note.

    Args:
        messages: each with `role` (user or assistant) and `content`, a text or a list of blocks; or one text.
        insight_level: minimal, standard or comprehensive.
        folder: where to write the note, as in a vault: `FOLDER/<date> <title> (<id>).md`.
        generator: with its engine; by default the local one, which sends nothing and costs nothing.

    Raises:
        ValueError: there is no such level.
        ConsentRequired, OverBudget: the generator's engine may not be asked; nothing was sent.
    """
    level = level_of(insight_level)
    maker = generator or AIInsightGenerator()
    reading = read_session(open_messages(session_of(messages)), maker.condense_for(level), level=level)
    insight = await maker.insight(reading, level)
    plain = as_dict(insight)
    path = None if folder is None else _write_note(folder, reading, insight)
    return CapturedSession(reading.session.session_id, plain, plain["usage"], plain["cost_usd"], path)


def _write_note(place: str | os.PathLike[str], reading: Reading, insight: Insight) -> Path:
    """Write the note as in a vault; its source is a conversation that is no file."""
    folder = Path(place).expanduser().absolute()
    source = folder / f"{reading.session.session_id}.json"
    output = f"vault:{folder}"
    path = report.place(source, reading.session, output=output, many=False, title=insight.title, project="")
    text = report.render(reading.session, insight, source=source, source_sha256=reading.content_sha256, note_path=path)
    return report.write(path, text, mode=0o600).path
