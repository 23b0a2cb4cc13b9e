"""The result of one session, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from sessiontrackd.errors import JobError
from sessiontrackd.insights import Reading
from sessiontrackd.model import Degraded, Finding, Insight, Usage
from sessiontrackd.pricing import usd_text


class Note(Struct, frozen=True):
    """What became of one session. `insight` is None where it has a line in the index only.

    `shortfall` says why the engine that was asked for did not write it; the local one did. `degraded` says that it is less
    than was asked for, because the budget had no room. `mistake` says why the user's template was not used.
    """

    reading: Reading
    insight: Insight | None
    report_path: Path | None
    shortfall: JobError | None = None
    degraded: Degraded | None = None
    mistake: str | None = None


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
