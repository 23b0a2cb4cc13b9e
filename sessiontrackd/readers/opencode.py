"""OpenCode: the export of one session as a JSON document."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sessiontrackd.model import Origin, Role, Session, Transcript, Usage, UsageRecord
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, one_session
from sessiontrackd.records import Document, Source, as_text, count, decode_raw, parse_time

NAME = "opencode"
MOST_BESIDE = 1_000  # files of a folder that are looked at


class Info(Struct):
    """The info of a session or of a message."""

    id: Any = None
    role: Any = None
    title: Any = None
    directory: Any = None
    version: Any = None
    time: Any = None
    tokens: Any = None
    cost: Any = None
    provider_id: Any = msgspec.field(name="providerID", default=None)
    model_id: Any = msgspec.field(name="modelID", default=None)
    parent_id: Any = msgspec.field(name="parentID", default=None)


class Part(Struct):
    """One part of a message."""

    type: Any = None
    text: Any = None
    synthetic: Any = None
    ignored: Any = None
    tool: Any = None
    call_id: Any = msgspec.field(name="callID", default=None)
    state: Any = None


class Said(Struct):
    """One message."""

    info: Info | None = None
    parts: list[Part] | None = None


def recognises(source: Source) -> bool:
    """Say whether a session's info and its messages with parts stand in it."""
    if source.shape.kind != "object" or not {"info", "messages"} <= source.shape.keys:
        return False
    return any(word in source.head for word in (b'"directory"', b'"sessionID"', b'"projectID"'))


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


def subagent_paths(source: Source, _: Session) -> Iterator[Path]:
    """Yield the exports beside it: what one records of its parent decides."""
    beside = (path for path in sorted(source.path.parent.iterdir()) if path.suffix in (".json", ".jsonl"))
    yield from itertools.islice(beside, MOST_BESIDE)


def _steps(source: Source, notes: Notes) -> Steps:
    figures, timeline, book = Figures(), Timeline(is_mute=source.only_figures), Book()
    about = Info()
    document = Document(source)
    for key, raw in document.members(("messages",)):
        if key == "info":
            about = decode_raw(raw, Info) or about
        elif key == "messages":
            said = decode_raw(raw, Said)
            if said is not None:
                book.take(said, figures, timeline)
                yield from timeline.ready()
    yield from timeline.rest()
    figures.title, figures.project = as_text(about.title), as_text(about.directory)
    times = about.time if isinstance(about.time, dict) else {}
    figures.started_at, figures.ended_at = parse_time(times.get("created")), parse_time(times.get("updated"))
    figures.tool_calls = len(book.calls)
    notes.of_document(document)
    notes.details.update(book.details(about))
    parent_id = as_text(about.parent_id)
    subagent = {"subagent": True} if parent_id else {}
    return figures.session(as_text(about.id) or source.stem, NAME, parent_id=parent_id, details=subagent)


class Book:
    """Takes the messages of one session in order."""

    def __init__(self) -> None:
        """Start empty."""
        self.calls: set[str] = set()
        self.messages = 0
        self._sums = dict.fromkeys(("input", "output", "reasoning", "cache_read", "cache_write"), 0)
        self._cost = Decimal(0)

    def take(self, said: Said, figures: Figures, timeline: Timeline) -> None:
        """Take one message."""
        self.messages += 1
        info, parts = said.info or Info(), said.parts or []
        if info.role == "user":
            self._prompt(info, parts, figures, timeline)
        elif info.role == "assistant":
            self._reply(info, parts, figures, timeline)

    def _prompt(self, info: Info, parts: list[Part], figures: Figures, timeline: Timeline) -> None:
        own = [part.text for part in parts if _is_text(part) and not part.synthetic and not part.ignored]
        other = [part.text for part in parts if _is_text(part) and (part.synthetic or part.ignored)]
        figures.human_turns += bool(own)
        facts = {"at": _created(info), "message_id": as_text(info.id)}
        if own:
            timeline.say(Role.USER, Origin.HUMAN, *own, **facts)
        if other:
            timeline.say(Role.USER, Origin.INJECTED, *other, **facts)

    def _reply(self, info: Info, parts: list[Part], figures: Figures, timeline: Timeline) -> None:
        figures.assistant_turns += 1
        model = f"{info.provider_id}/{info.model_id}" if as_text(info.model_id) else None
        figures.used(model)
        usage = self._spend(info)
        figures.incomplete |= usage is None or not usage.complete
        at = _created(info)
        if usage is not None:
            known = as_text(info.id)
            place = None if known else f"message {self.messages}"
            figures.usage_records.append(UsageRecord(known, place, model, at, usage))
        texts = [part.text for part in parts if _is_text(part)]
        facts = {"model": model, "usage": usage, "message_id": as_text(info.id)}
        timeline.say(Role.ASSISTANT, Origin.MODEL, *texts, at=at, **facts)
        for number, part in enumerate(parts):
            if part.type == "tool":
                self._call(part, f"{self.messages}.{number}", timeline)

    def _spend(self, info: Info) -> Usage | None:
        tokens = info.tokens if isinstance(info.tokens, dict) else None
        if tokens is None:
            return None
        given = tokens.get("cache")
        cache = given if isinstance(given, dict) else {}
        read_tokens, written = count(cache.get("read")), count(cache.get("write"))
        counts = (count(tokens.get("input")), count(tokens.get("output")), count(tokens.get("reasoning")))
        for name, one in zip(self._sums, (*counts, read_tokens, written), strict=True):
            self._sums[name] += one
        if type(info.cost) in (int, float):
            self._cost += Decimal(repr(info.cost))
        is_known = any((counts[0], counts[1], read_tokens, written))  # all zeros: it was broken off
        return Usage(counts[0], counts[1], read_tokens, written, complete=is_known)

    def _call(self, part: Part, place: str, timeline: Timeline) -> None:
        draft = timeline.last()
        assert draft is not None
        call_id = as_text(part.call_id) or place
        self.calls.add(call_id)
        state = part.state if isinstance(part.state, dict) else {}
        arguments = state.get("input")
        timeline.call(draft, str(part.tool), arguments if isinstance(arguments, dict) else {}, call_id)
        shown = state.get("output", state.get("error"))
        if isinstance(shown, str):
            timeline.result(call_id, shown, failed=state.get("status") == "error")

    def details(self, about: Info) -> dict[str, Any]:
        """Return the further facts about the file."""
        return {
            "is_subagent": as_text(about.parent_id) is not None,
            "messages": self.messages,
            "version": as_text(about.version),
            "usage_raw": self._sums,
            "recorded_cost_usd": f"{self._cost:.6f}",
        }


def _is_text(part: Part) -> bool:
    return part.type == "text" and isinstance(part.text, str) and bool(part.text)


def _created(info: Info) -> Any:
    return parse_time(info.time.get("created")) if isinstance(info.time, dict) else None
