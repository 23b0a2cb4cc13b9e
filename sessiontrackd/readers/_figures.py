"""What is counted while a session is read, and the Session that it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from sessiontrackd.model import Session, Trail, Usage, UsageRecord
from sessiontrackd.records import clean_text


class Figures(Struct):
    """The counters of one session."""

    human_turns: int = 0
    assistant_turns: int = 0
    tool_calls: int = 0
    models: dict[str, None] = {}
    project: str | None = None
    title: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    usage_records: list[UsageRecord] = []
    usage: Usage | None = None  # where it is no sum of the records
    incomplete: bool = False  # the log is known to record too little

    def saw(self, moment: datetime | None) -> None:
        """Let the session's time span hold this moment."""
        if moment is None:
            return
        if self.started_at is None or moment < self.started_at:
            self.started_at = moment
        if self.ended_at is None or moment > self.ended_at:
            self.ended_at = moment

    def used(self, model: object) -> None:
        """Note a model that the log names."""
        if isinstance(model, str) and model:
            self.models[model] = None

    def session(
        self,
        session_id: str,
        name: str,
        *,
        parent_id: str | None = None,
        details: Mapping[str, Any] | None = None,
        trail: Trail | None = None,
    ) -> Session:
        """Return the session with these figures, without messages."""
        usage = self.usage or total(record.usage for record in self.usage_records)
        if usage is not None and self.incomplete:
            usage = structs.replace(usage, complete=False)
        return Session(
            session_id=clean_text(session_id),
            format=name,
            title=self.title or None,
            project=self.project or None,
            started_at=self.started_at,
            ended_at=self.ended_at,
            models=tuple(self.models),
            usage=usage,
            usage_by_model=by_model(self.usage_records),
            parent_id=parent_id,
            human_turns=self.human_turns,
            assistant_turns=self.assistant_turns,
            tool_calls=self.tool_calls,
            details=details or {},
            usage_records=tuple(self.usage_records),
            trail=trail,
        )


def total(usages: Iterable[Usage]) -> Usage | None:
    """Add usages up; None if there is none, because unknown is not zero."""
    sums, complete, some = [0, 0, 0, 0, 0], True, False
    for one in usages:
        some = True
        sums[0] += one.input_tokens
        sums[1] += one.output_tokens
        sums[2] += one.cache_read_tokens
        sums[3] += one.cache_write_5m_tokens
        sums[4] += one.cache_write_1h_tokens
        complete = complete and one.complete
    return Usage(sums[0], sums[1], sums[2], sums[3], sums[4], complete) if some else None


def by_model(records: Iterable[UsageRecord]) -> dict[str, Usage]:
    """Add the records of each model up; those without a model stand under an empty name."""
    groups: dict[str, list[Usage]] = {}
    for record in records:
        groups.setdefault(record.model or "", []).append(record.usage)
    return {model: total(usages) or Usage() for model, usages in groups.items()}
