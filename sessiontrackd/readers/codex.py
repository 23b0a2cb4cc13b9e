"""Codex CLI: rollout-*.jsonl[.zst] below ~/.codex/sessions; forks carry their parent's history, which is not counted."""

from __future__ import annotations

import contextlib
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sessiontrackd.model import Message, Origin, Role, Session, Trail, Transcript, Usage, UsageRecord
from sessiontrackd.readers._codex_records import (
    BARE_ITEMS,
    Line,
    Payload,
    answer_of,
    arguments_of,
    content_text,
    kind_of,
)
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, Trailing, one_session, take_later
from sessiontrackd.records import Lines, Source, as_text, count, parse_time

NAME = "codex"
HEADS = ("session_meta", "turn_context")
TYPES = (
    *HEADS, "response_item", "event_msg", "compacted", "world_state", "inter_agent_communication",
    "inter_agent_communication_metadata",
)  # fmt: skip
BARE_KEYS = frozenset(("role", "call_id", "encrypted_content"))  # one of them stands in a bare item
CALLS = ("function_call", "custom_tool_call", "local_shell_call", "tool_search_call")
ANSWERS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output", "tool_search_output")
LONE_CALLS = ("web_search_call", "image_generation_call")
TURN_STARTS = ("task_started", "turn_started")
SILENT = ("type", "role", "info", "rate_limits")  # a payload of nothing else says and asks nothing
INJECTED = (
    "<environment_context>",
    "<user_instructions>",
    "# AGENTS.md instructions",
    "<turn_aborted>",
    "<INSTRUCTIONS>",
    "<skill>",
    "<subagent_notification>",
    "<permissions",
    "<user_shell_command>",
    "<collaboration_mode>",
)
BUCKETS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")
META = b'"session_meta"'
SCAN_BYTES = 1024 * 1024
ECHOES = 8  # an event repeats an item, or the other way round, within so many texts
_DAY = re.compile(r"/(\d{4})/(\d{2})/(\d{2})$")


def recognises(source: Source) -> bool:
    """Say whether the first records are of Codex, and not of its limits and counters alone."""
    if source.shape.kind not in ("lines", "object"):
        return False
    records = [record for record in source.shape.objects if _is_record(record)]
    return any(map(_tells, records)) or _is_bare(source.shape.objects)


def _is_record(record: dict[str, Any]) -> bool:
    return isinstance(record.get("payload"), dict) and "timestamp" in record and record.get("type") in TYPES


def _tells(record: dict[str, Any]) -> bool:
    return record["type"] in HEADS or not record["payload"].keys() <= set(SILENT)


def _is_bare(records: Sequence[dict[str, Any]]) -> bool:
    """Say whether it begins as before version 0.32: who and when, then items without payload."""
    head, *others = records or ({},)
    if "type" in head or not {"id", "timestamp"} <= head.keys():
        return False
    if "instructions" in head and ("git" in head or len(head) <= 4):
        return True
    return len(head) <= 4 and any(one.get("type") in BARE_ITEMS and not BARE_KEYS.isdisjoint(one) for one in others)


def read(source: Source) -> Transcript:
    """Return the transcript; its one session is read while it is iterated."""
    return one_session(source, NAME, _steps)


def subagent_paths(source: Source, session: Session) -> Iterator[Path]:
    """Yield the rollouts that begin between a session's own beginning and the day after its end, on days of its folder."""
    ended_at = session.ended_at or session.started_at
    until = f"rollout-{ended_at + timedelta(days=1):%Y-%m-%d}" if ended_at is not None else ""
    folders = [source.path.parent, *_next_days(source.path.parent)]
    for folder in folders:
        names = sorted(path.name for path in folder.glob("rollout-*.jsonl*"))
        yield from (folder / name for name in names if source.path.name < name and name[: len(until)] <= until)


def _next_days(folder: Path) -> Iterator[Path]:
    """Yield the folder of the day after a folder YYYY/MM/DD."""
    if found := _DAY.search(folder.as_posix()):
        with contextlib.suppress(ValueError, OverflowError):
            day = date(*map(int, found.groups())) + timedelta(days=1)
            yield folder.parents[2] / f"{day:%Y/%m/%d}"


def _steps(source: Source, notes: Notes) -> Steps:
    rollout = Rollout(_foreign_ids(source), only_figures=source.only_figures)
    lines = Lines(source, Line)
    trailing = Trailing(lines, rollout)
    yield from trailing.messages()
    yield from rollout.timeline.rest()
    notes.of_lines(lines)
    notes.details.update(rollout.details())
    return rollout.session(source.stem, trailing.trail() if source.is_plain and not source.only_figures else None)


def follow(source: Source, trail: Trail) -> Session | None:
    """Return the usage behind a place up to which a plain file was read; None where it may be a fork after all."""
    rollout = Rollout.resumed(trail)
    later = take_later(source, trail, Line, rollout)
    return rollout.session(source.stem, later) if rollout.is_as_known else None


def _foreign_ids(source: Source) -> list[str]:
    """Return the ids of copied parents: those of later session_meta records that are not the session's own."""
    if not _is_twice_in(source, META):
        return []
    ids: dict[str, None] = {}
    for _, line in Lines(source, Line):
        _note_id(line, ids)
    return list(ids)[1:]


def _is_twice_in(source: Source, word: bytes) -> bool:
    """Say whether a word stands in a file more than once."""
    found, rest = 0, b""
    with source.open() as file:
        for part in iter(partial(file.read, SCAN_BYTES), b""):
            found += (rest + part).count(word)
            if found > 1:
                return True
            rest = part[1 - len(word) :]
    return False


def _note_id(line: Line, ids: dict[str, None]) -> None:
    if line.type == "session_meta" and line.payload is not None and as_text(line.payload.id):
        ids[line.payload.id] = None


class State(Struct, array_like=True):
    """What a rollout must know of the records before a place."""

    ids: list[str]
    own: bool
    own_id: str | None
    project: str | None
    model: str | None
    token_events: int
    totals: list[int]


class Rollout:
    """Takes the records of one file in order."""

    def __init__(self, foreign_ids: list[str], *, only_figures: bool) -> None:
        """Start before the first record; a file with foreign ids begins with inherited history."""
        self.timeline = Timeline()
        self.figures = Figures()
        self.types: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self._foreign_ids = foreign_ids
        self._only_figures = only_figures
        self._own = not foreign_ids
        self._meta: Payload | None = None
        self._first = True
        self._calls: set[str] = set()
        self._model: str | None = None
        self._told: deque[tuple[str, str, str]] = deque(maxlen=ECHOES)
        self._tokens = Tokens()
        self._ids: dict[str, None] = {}  # of all session_meta, copied ones included
        self._known = 0  # so many of them were known when it was resumed

    def take(self, line: Line, number: int) -> Iterable[Message]:
        """Take one record; return the messages that are complete by now."""
        kind, item = kind_of(line)
        self.types[kind] += 1
        at = parse_time(line.timestamp)
        if kind == "session_meta":
            self._meta = self._meta or item
            _note_id(line, self._ids)
        if not self._own:
            self._own = self._begins_own_part(kind, item)
        if self._own or self._first:
            self.figures.saw(at)
        self._first = False
        if kind == "event_msg":
            self.counts["file:user_message"] += item.type == "user_message"
            if item.type == "token_count":
                self._count_tokens(item, at)
        elif kind in HEADS and self.figures.project is None:
            self.figures.project = as_text(item.cwd)
        if not self._own:
            self.counts["inherited_records"] += 1
            return ()
        self._take_own(kind, item, at, number)
        return () if self._only_figures else self.timeline.ready()

    def state(self, _: int) -> State:
        """Return what must be known to take later records."""
        return State(
            list(self._ids),
            self._own,
            as_text(self._meta.id) if self._meta is not None else None,
            self.figures.project,
            self._model,
            self.counts["token_events"],
            self._tokens.now,
        )

    @classmethod
    def resumed(cls, trail: Trail) -> Rollout:
        """Return a rollout that has taken what stands before the trail's place; of that it has no figures."""
        state = msgspec.msgpack.decode(trail.state, type=State)
        rollout = cls(state.ids[1:], only_figures=True)
        rollout._ids, rollout._known = dict.fromkeys(state.ids), len(state.ids)
        rollout._own, rollout._model, rollout.figures.project = state.own, state.model, state.project
        rollout._meta = Payload(id=state.own_id) if state.own_id is not None else None
        rollout.counts["token_events"] = state.token_events
        rollout._tokens.now = state.totals
        return rollout

    @property
    def is_as_known(self) -> bool:
        """Whether a resumed rollout tells all: no session it did not know, which changes what the file's beginning means.

        Nor counts that are still zero: what they sum up to is no usage of a reply.
        """
        return len(self._ids) == self._known and not (self._tokens.seen and not any(self._tokens.now))

    def _begins_own_part(self, kind: str, item: Payload) -> bool:
        starts = kind == "turn_context" or (kind == "event_msg" and item.type in TURN_STARTS)
        own_id = as_text(self._meta.id) if self._meta is not None else None
        return starts and isinstance(item.turn_id, str) and own_id is not None and item.turn_id > own_id

    def _take_own(self, kind: str, item: Payload, at: datetime | None, number: int) -> None:
        if kind == "response_item":
            self._item(item, at, number)
        elif kind == "event_msg":
            self._event(item, at, number)
        elif kind == "turn_context":
            self.figures.used(item.model)
            self._model = as_text(item.model) or self._model
        elif kind == "compacted":
            self.counts["compactions"] += 1
            if as_text(item.message):
                self.timeline.say(Role.USER, Origin.INJECTED, item.message, at=at, line=number)

    def _event(self, item: Payload, at: datetime | None, number: int) -> None:
        if item.type == "user_message":
            self.counts["user_message"] += 1
            self._tell("event", "user", item.message if isinstance(item.message, str) else "", at, number)
        elif item.type == "agent_message":
            self.counts["agent_message"] += 1
            self._tell("event", "assistant", item.message if isinstance(item.message, str) else "", at, number)
        elif item.type in TURN_STARTS:
            self.counts["turns"] += 1
        elif item.type == "thread_name_updated":
            self.figures.title = as_text(item.thread_name)

    def _item(self, item: Payload, at: datetime | None, number: int) -> None:
        kind = item.type
        if kind == "message" or (kind is None and item.role is not None):
            self._message(item, at, number)
        elif kind in CALLS or kind in LONE_CALLS:
            self._call(item, at, number)
        elif kind in ANSWERS and not self._only_figures:
            text, failed = answer_of(item.output)
            self.timeline.result(as_text(item.call_id), text, failed=failed)

    def _message(self, item: Payload, at: datetime | None, number: int) -> None:
        if item.role == "assistant":
            self.counts["assistant"] += 1
        if self._only_figures and item.role != "user":
            return
        text = content_text(item.content)
        if item.role == "assistant":
            self._tell("item", "assistant", text, at, number)
        elif item.role == "user":
            human = bool(text.strip()) and not text.lstrip().startswith(INJECTED)
            self.counts["user"] += human
            if human:
                self._tell("item", "user", text, at, number)
            elif text.strip():
                self.timeline.say(Role.USER, Origin.INJECTED, text, at=at, line=number)

    def _tell(self, kind: str, role: str, text: str, at: datetime | None, number: int) -> None:
        """Say it once: events and items double each other."""
        if self._only_figures:
            return
        twin = ("item" if kind == "event" else "event", role, text.strip())
        if twin in self._told:
            self._told.remove(twin)
            return
        self._told.append((kind, role, text.strip()))
        if role == "user":
            self.timeline.say(Role.USER, Origin.HUMAN, text, at=at, line=number)
        elif text.strip():
            self.timeline.say(Role.ASSISTANT, Origin.MODEL, text, at=at, line=number, model=self._model)

    def _call(self, item: Payload, at: datetime | None, number: int) -> None:
        call_id = as_text(item.call_id)
        self.counts["calls"] += item.type in LONE_CALLS or call_id is None or call_id not in self._calls
        if call_id is not None and item.type in CALLS:
            self._calls.add(call_id)
        if self._only_figures:
            return
        draft = self.timeline.last()
        if draft is None or draft.origin is not Origin.MODEL:
            draft = self.timeline.say(Role.ASSISTANT, Origin.MODEL, at=at, line=number, model=self._model)
        name = as_text(item.name) or str(item.type).removesuffix("_call")
        self.timeline.call(draft, name, arguments_of(item), call_id if item.type in CALLS else None)

    def _count_tokens(self, item: Payload, at: datetime | None) -> None:
        info = item.info if isinstance(item.info, dict) else {}
        totals = info.get("total_token_usage")
        if not isinstance(totals, dict):
            return
        self.counts["token_events"] += self._own
        self._tokens.take(totals, info.get("last_token_usage"), own=self._own)
        if self._own and any(self._tokens.grown):
            model = self._model or as_text(info.get("model"))
            own_id, place = as_text(self._meta.id) if self._meta else None, str(self.counts["token_events"])
            known = f"{own_id}#{place}" if own_id else None
            record = UsageRecord(known, None if known else place, model, at, usage_of(self._tokens.grown))
            self.figures.usage_records.append(record)

    def session(self, stem: str, trail: Trail | None) -> Session:
        """Return the session with its final figures."""
        figures, counts = self.figures, self.counts
        figures.human_turns = counts["user_message"] if counts["file:user_message"] else counts["user"]
        figures.assistant_turns = counts["assistant"] or counts["agent_message"]
        figures.tool_calls = counts["calls"]
        figures.usage = usage_of(self._tokens.own()) if self._tokens.seen else None
        session_id = (as_text(self._meta.id) if self._meta is not None else None) or stem
        parent_id = self._parent_id()
        subagent = {"subagent": True} if self._is_subagent() and parent_id not in (None, session_id) else {}
        parent_id = None if parent_id == session_id else parent_id
        return figures.session(session_id, NAME, parent_id=parent_id, details=subagent, trail=trail)

    def _parent_id(self) -> str | None:
        meta = self._meta
        if meta is None:
            return None
        source = meta.source if isinstance(meta.source, dict) else {}
        agent = source.get("subagent")
        spawn = agent.get("thread_spawn") if isinstance(agent, dict) else None
        spawned_by = spawn.get("parent_thread_id") if isinstance(spawn, dict) else None
        named = (meta.parent_thread_id, spawned_by, meta.forked_from_id, *self._foreign_ids)
        return next(filter(None, map(as_text, named)), None)

    def _is_subagent(self) -> bool:
        return self._meta is not None and isinstance(self._meta.source, dict) and "subagent" in self._meta.source

    def details(self) -> dict[str, Any]:
        """Return the further facts about the file."""
        names = ("turns", "compactions", "token_events", "inherited_records")
        raw = dict(zip(BUCKETS, self._tokens.own(), strict=True))
        return {
            **{name: self.counts[name] for name in names},
            "parent_ids": self._foreign_ids,
            "forked_from": as_text(self._meta.forked_from_id) if self._meta is not None else None,
            "is_subagent": self._is_subagent(),
            "cli_version": as_text(self._meta.cli_version) if self._meta is not None else None,
            "types": dict(self.types),
            "usage_raw": raw,
            "usage_sum_last": dict(zip(BUCKETS, self._tokens.sum_last, strict=True)),
        }


class Tokens:
    """The cumulative counts of a file: they may fall back to zero, and begin with the parent's part."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.seen = False
        self.grown = [0] * len(BUCKETS)
        self.sum_last = [0] * len(BUCKETS)
        self._done = [0] * len(BUCKETS)  # segments that ended
        self.now = [0] * len(BUCKETS)
        self._inherited = [0] * len(BUCKETS)

    def take(self, totals: dict[str, Any], last: object, *, own: bool) -> None:
        """Take one event."""
        before, self.now = self.now, [count(totals.get(name)) for name in BUCKETS]
        fell = self.now[-1] < before[-1]
        if fell:
            self._done = [done + one for done, one in zip(self._done, before, strict=True)]
        base = [0] * len(BUCKETS) if fell else before
        self.grown = [max(0, new - old) for new, old in zip(self.now, base, strict=True)]
        if isinstance(last, dict) and (not self.seen or self.now[-1] != before[-1]) and own:
            self.sum_last = [one + count(last.get(name)) for one, name in zip(self.sum_last, BUCKETS, strict=True)]
        self.seen = True
        if not own:
            self._inherited = [done + one for done, one in zip(self._done, self.now, strict=True)]

    def own(self) -> list[int]:
        """Return what this session used by itself."""
        return [
            max(0, done + now - inherited)
            for done, now, inherited in zip(self._done, self.now, self._inherited, strict=True)
        ]


def usage_of(counts: list[int]) -> Usage:
    """Map counts in the order of BUCKETS to buckets that never overlap."""
    given, cached, output = counts[0], counts[1], counts[2]
    return Usage(max(0, given - cached), output, cached)
