"""GitHub Copilot CLI: events.jsonl below ~/.copilot/session-state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from sessiontrackd.model import Message, Origin, Role, Session, Trail, Transcript, Usage, UsageRecord
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, Trailing, one_session, take_later
from sessiontrackd.records import Lines, Source, as_text, count, parse_time

NAME = "copilot_cli"
STARTS = ("session.start", "user.message", "assistant.message", "tool.execution_start", "session.shutdown")
BUCKETS = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "reasoningTokens")


class Event(Struct):
    """One line."""

    type: Any = None
    timestamp: Any = None
    id: Any = None
    data: Any = None


class State(Struct, array_like=True):
    """What a log must know of the events before a place."""

    session_id: str | None
    project: str | None


def recognises(source: Source) -> bool:
    """Say whether its events stand among the first records."""
    objects = source.shape.objects if source.shape.kind in ("lines", "object") else ()
    return any(
        one.get("type") in STARTS and isinstance(one.get("data"), dict) and "timestamp" in one for one in objects
    )


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


class Log:
    """Takes the events of one file in order."""

    def __init__(self) -> None:
        """Start empty."""
        self.figures = Figures(incomplete=True)
        self.timeline = Timeline()
        self.types: Counter[str] = Counter()
        self.session_id: str | None = None
        self.metrics: dict[str, Any] = {}
        self.output_tokens = 0
        self._calls: set[str] = set()

    def take(self, event: Event, number: int) -> Iterable[Message]:
        """Take one event; return the messages that are complete by now."""
        self.types[str(event.type)] += 1
        at = parse_time(event.timestamp)
        self.figures.saw(at)
        self._take(event, at, number)
        return self.timeline.ready()

    def _take(self, event: Event, at: datetime | None, number: int) -> None:
        data = event.data if isinstance(event.data, dict) else {}
        match event.type:
            case "session.start":
                self._start(data)
            case "user.message":
                self.figures.human_turns += 1
                text = data.get("content")
                self.timeline.say(Role.USER, Origin.HUMAN, text if isinstance(text, str) else "", at=at, line=number)
            case "assistant.message":
                self._reply(data, at, number)
            case "tool.execution_start":
                self._call(data, at, number)
            case "tool.execution_complete":
                self._complete(data)
            case "session.shutdown":
                self._shutdown(data, at)

    def _start(self, data: dict[str, Any]) -> None:
        self.session_id = self.session_id or as_text(data.get("sessionId"))
        context = data.get("context")
        if self.figures.project is None and isinstance(context, dict):
            self.figures.project = as_text(context.get("cwd"))

    def _reply(self, data: dict[str, Any], at: datetime | None, number: int) -> None:
        self.figures.assistant_turns += 1
        self.figures.used(data.get("model"))
        self.figures.incomplete = True
        self.output_tokens += count(data.get("outputTokens"))
        text = data.get("content")
        facts = {"model": as_text(data.get("model")), "message_id": as_text(data.get("messageId"))}
        self.timeline.say(
            Role.ASSISTANT, Origin.MODEL, text if isinstance(text, str) else "", at=at, line=number, **facts
        )

    def _call(self, data: dict[str, Any], at: datetime | None, number: int) -> None:
        call_id = as_text(data.get("toolCallId"))
        if call_id is None or call_id not in self._calls:
            self.figures.tool_calls += 1
        self._calls.update((call_id,) if call_id else ())
        draft = self.timeline.last()
        if draft is None or draft.origin is not Origin.MODEL:
            draft = self.timeline.say(Role.ASSISTANT, Origin.MODEL, at=at, line=number)
        arguments = data.get("arguments")
        self.timeline.call(draft, str(data.get("toolName")), arguments if isinstance(arguments, dict) else {}, call_id)

    def _complete(self, data: dict[str, Any]) -> None:
        result = data.get("result") or data.get("error")
        content = result.get("content", result.get("message")) if isinstance(result, dict) else result
        text = content if isinstance(content, str) else ""
        self.timeline.result(as_text(data.get("toolCallId")), text, failed=data.get("success") is False)

    def _shutdown(self, data: dict[str, Any], at: datetime | None) -> None:
        metrics = data.get("modelMetrics")
        if not isinstance(metrics, dict) or not metrics:
            return
        self.metrics = metrics
        records = []
        for model, facts in metrics.items():
            self.figures.used(model)
            usage = usage_of(_counts(facts))
            records.append(UsageRecord(None, model, model, at, usage))
        self.figures.usage_records = records
        self.figures.incomplete = not any(record.usage.total_tokens for record in records)

    def state(self, _: int) -> State:
        """Return what must be known to take later events."""
        return State(self.session_id, self.figures.project)

    def raw(self) -> dict[str, int]:
        """Return the counts of the last shutdown, summed over models."""
        each = [_counts(facts) for facts in self.metrics.values()]
        return {name: sum(count(counts.get(name)) for counts in each) for name in BUCKETS}


def _counts(facts: object) -> dict[str, Any]:
    usage = facts.get("usage") if isinstance(facts, dict) else None
    return usage if isinstance(usage, dict) else {}


def usage_of(counts: dict[str, Any]) -> Usage:
    """Map what is recorded to buckets that never overlap."""
    read_tokens, written = count(counts.get("cacheReadTokens")), count(counts.get("cacheWriteTokens"))
    given = max(0, count(counts.get("inputTokens")) - read_tokens - written)
    return Usage(given, count(counts.get("outputTokens")), read_tokens, written)


def _steps(source: Source, notes: Notes) -> Steps:
    log, lines = Log(), Lines(source, Event)
    trailing = Trailing(lines, log)
    yield from trailing.messages()
    yield from log.timeline.rest()
    notes.of_lines(lines)
    notes.details.update(types=dict(log.types), output_tokens_messages=log.output_tokens)
    if log.metrics:
        notes.details["usage_raw"] = log.raw()
    trail = trailing.trail() if source.is_plain and not source.only_figures else None
    return log.figures.session(log.session_id or source.stem, NAME, trail=trail)


def follow(source: Source, trail: Trail) -> Session | None:
    """Return that nothing was used after a position; None if a shutdown follows, which records the usage of the whole."""
    log = Log()
    state = msgspec.msgpack.decode(trail.state, type=State)
    log.session_id, log.figures.project = state.session_id, state.project
    later = take_later(source, trail, Event, log)
    return None if log.metrics else log.figures.session(log.session_id or source.stem, NAME, trail=later)
