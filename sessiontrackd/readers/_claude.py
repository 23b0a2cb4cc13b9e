"""The records of Claude Code, in files and in its web variant: who really spoke, and what each reply used."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from operator import add
from typing import Any

import msgspec

from sessiontrackd.model import Message, Origin, Role, Session, Trail, Usage, UsageRecord
from sessiontrackd.readers._claude_records import (
    CALLS,
    IDENTIFIED,
    MEDIA,
    NO_TOKENS,
    SYNTHETIC,
    Block,
    Counts,
    Queued,
    Record,
    Said,
    counts_of,
    cut_leading,
    has_counts,
    is_complete,
    is_machine,
    result_text,
    usage_of,
)
from sessiontrackd.readers._claude_usual import Usual
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Draft, Timeline
from sessiontrackd.records import as_text, decode_raw, parse_time

UUID_CHARS = 36
SPECIAL = {
    "<bash-input>": "bash_inputs",
    "[Request interrupted by user": "interrupts",
    "<task-notification>": "task_notifications",
}
LARGEST_MARK = 2**61 - 1  # a prime, so that ids of a pattern spread


class Spent(msgspec.Struct, gc=False):
    """What a reply used, as its largest record tells."""

    tokens_sum: int
    counts: Counts
    version: object
    at: object
    model: object
    sidechain: bool  # only side chains tell it


class State(msgspec.Struct, array_like=True):
    """What a conversation must know of the records before a place."""

    uuids: bytes
    session_ids: list[str]
    agent_id: str | None
    project: str | None
    main_records: int
    side_records: int


def lasting_mark(uuid: str) -> int:
    """Return a number of 61 bits that is the same in every process."""
    try:
        if len(uuid) == UUID_CHARS:
            return int(uuid.replace("-", ""), 16) % LARGEST_MARK
    except ValueError:
        pass
    return int.from_bytes(hashlib.blake2b(uuid.encode("utf-8", "replace"), digest_size=8).digest()) % LARGEST_MARK


class Conversation:
    """Takes the records of one file in order."""

    def __init__(self, *, only_figures: bool, mark: Callable[[str], int] = hash) -> None:
        """Start empty; `mark` makes a number of an id, to remember it by."""
        self.timeline = Timeline()
        self.figures = Figures()
        self.counts: defaultdict[str, int] = defaultdict(int)
        self.types: defaultdict[str, int] = defaultdict(int)
        self.session_ids: dict[str, None] = {}
        self.agent_id: str | None = None
        self._only_figures = only_figures
        self._mark = mark
        self.uuids: set[int] = set()  # hashes: a long session has hundreds of thousands
        self.replies: dict[tuple[Any, Any], Spent] = {}
        self.turns: tuple[set[Any], set[Any]] = (set(), set())  # main, side chain
        self.counted_turns: set[Any] = set()
        self.calls: tuple[set[str], set[str]] = (set(), set())
        self.results: set[str] = set()
        self._session_id: object = None  # of the record before
        self._words: dict[str, str] = {}
        self._keys_without_counts: set[tuple[Any, Any]] = set()
        self._titles: dict[str, str] = {}
        self._summaries: list[tuple[str, str]] = []

    def take(self, record: Record, line: int | None) -> Iterable[Message]:
        """Take one record; return the messages that are complete by now."""
        kind = record.type or record.message.role
        if isinstance(record.uuid, str):
            known = self._mark(record.uuid)
            if known in self.uuids and kind in IDENTIFIED:
                self.counts["dup_uuids"] += 1
                return ()
            self.uuids.add(known)
        self.types[str(record.type)] += 1
        if record.session_id != self._session_id or record.agent_id is not None or self.figures.project is None:
            self.identify(record)
            self._session_id = record.session_id
        if kind == "user":
            self._user(record, line)
        elif kind == "assistant":
            self._assistant(record, line)
        elif isinstance(kind, str):
            self._other(kind, record, line)
        return () if self._only_figures else self.timeline.ready()

    def identify(self, record: Record | Usual) -> None:
        """Take over what a record says about its session."""
        if isinstance(record.session_id, str) and record.session_id:
            self.session_ids[record.session_id] = None
        if self.figures.project is None:
            self.figures.project = as_text(record.cwd)
        if self.agent_id is None:
            self.agent_id = as_text(record.agent_id)

    # what a person, or the tool in the person's name, says

    def _user(self, record: Record, line: int | None) -> None:
        at = parse_time(record.timestamp)
        self.figures.saw(at)
        blocks = _blocks(record.message)
        sidechain = bool(record.is_sidechain)
        self.counts["side_records" if sidechain else "main_records"] += 1
        results = [block for block in blocks if block.type == "tool_result"]
        self._results_of(results, sidechain=sidechain)
        texts = [block.text for block in blocks if block.type == "text" and isinstance(block.text, str)]
        self.counts["sidechain_user_records"] += sidechain and not results
        if not sidechain:
            self._count_special(record, texts)
        own = [cut_leading(text) for text in texts]
        human = not sidechain and not results and self._is_human(record, blocks, own)
        self.figures.human_turns += human
        if self._only_figures or not (human or texts):
            return
        shown = own if human else texts
        if human or any(text.strip() for text in shown):
            origin = Origin.HUMAN if human else Origin.SIDECHAIN if sidechain else _injected(record)
            self.timeline.say(Role.USER, origin, *shown, at=at, line=line, **_uuid(record))

    def _results_of(self, blocks: list[Block], *, sidechain: bool) -> None:
        for block in blocks:
            if not isinstance(block.tool_use_id, str):
                continue
            if not sidechain:
                self.results.add(block.tool_use_id)
            if not self._only_figures:
                self.timeline.result(block.tool_use_id, result_text(block.content), failed=block.is_error is True)

    def _count_special(self, record: Record, texts: list[str]) -> None:
        if not (texts or record.is_meta or record.is_compact_summary or record.origin):
            return
        special = {"task_notifications"} if _is_notification(record) else set()
        for text in texts:
            if text.startswith(("<command-name>", "<command-message>")) and "<command-name>" in text:
                special.add("slash_commands")
            special.update(name for start, name in SPECIAL.items() if text.startswith(start))
        for name in special:
            self.counts[name] += 1
        self.counts["meta_records"] += bool(record.is_meta) and not special
        self.counts["compact_summaries"] += bool(record.is_compact_summary)

    def _is_human(self, record: Record, blocks: list[Block], own: list[str]) -> bool:
        if record.is_meta or record.is_compact_summary or record.is_visible_in_transcript_only:
            return False
        if _is_notification(record):
            return False
        return any(block.type in MEDIA for block in blocks) or not all(map(is_machine, own))

    # what the model says

    def _assistant(self, record: Record, line: int | None) -> None:
        at = parse_time(record.timestamp)
        self.figures.saw(at)
        sidechain = bool(record.is_sidechain)
        self.counts["side_records" if sidechain else "main_records"] += 1
        said = record.message
        spent = None
        if said.model == SYNTHETIC:
            self.counts["synthetic_records"] += 1
        else:
            self.counts["assistant_records"] += not sidechain
            turn = said.id if isinstance(said.id, str) else record.uuid if isinstance(record.uuid, str) else None
            self.turns[sidechain].add(turn)
            if not sidechain:
                self.figures.used(said.model)
            spent = self.spend(record, turn, sidechain=sidechain)
        self._speak(record, line, at, spent, sidechain=sidechain)

    def spend(self, record: Record, turn: str | None, *, sidechain: bool) -> Spent | None:
        """Take over the usage that a record states for a reply; return what is known of it by now."""
        said, tokens = record.message, record.message.usage
        key = (as_text(said.id), as_text(record.request_id))
        if not has_counts(tokens):
            if tokens is not NO_TOKENS:
                self._keys_without_counts.add(key)
            return self.replies.get(key)
        counts = counts_of(tokens)
        tokens_sum = sum(counts)
        if tokens_sum:
            self.counted_turns.add(turn)
        before = self.replies.get(key)
        if before is None:
            self.counts["output_first_wins"] += counts[1]
        elif before.tokens_sum > tokens_sum:
            before.sidechain = before.sidechain and sidechain
            return before
        else:
            del self.replies[key]  # a reply stands where its largest record does
        both = sidechain and (before is None or before.sidechain)
        version, model = self.same(record.version), self.same(said.model)
        spent = self.replies[key] = Spent(tokens_sum, counts, version, record.timestamp, model, both)
        return spent

    def _speak(
        self, record: Record, line: int | None, at: datetime | None, spent: Spent | None, *, sidechain: bool
    ) -> None:
        texts, calls = [], []
        for block in _blocks(record.message):
            if block.type == "text" and isinstance(block.text, str):
                texts.append(block.text)
            elif block.type in CALLS:
                calls.append(block)
                if isinstance(block.id, str) and record.message.model != SYNTHETIC:
                    self.calls[sidechain].add(block.id)
        if not self._only_figures and (calls or any(texts)):
            draft = self._draft(record, texts, line, at, sidechain=sidechain)
            draft.usage = usage_of(spent.counts, spent.version) if spent is not None and draft.message_id else None
            for block in calls:
                arguments = block.input if isinstance(block.input, dict) else {}
                named = block.name if isinstance(block.name, str) else "?"
                self.timeline.call(draft, named, arguments, as_text(block.id))

    def _draft(
        self, record: Record, texts: list[str], line: int | None, at: datetime | None, *, sidechain: bool
    ) -> Draft:
        """Return the message that a record's words belong to: a reply comes in several records."""
        said = record.message
        known = as_text(said.id)
        draft = self.timeline.recent(known, sidechain) if known else None
        if draft is None:
            origin = Origin.SIDECHAIN if sidechain else Origin.META if said.model == SYNTHETIC else Origin.MODEL
            draft = self.timeline.say(
                Role.ASSISTANT, origin, *texts,
                at=at, line=line, model=as_text(said.model), message_id=known, request_id=as_text(record.request_id),
            )  # fmt: skip
        else:
            draft.texts += texts
        return draft

    # the rest

    def _other(self, kind: str, record: Record, line: int | None) -> None:
        if kind == "attachment":
            self._attachment(record, line)
        elif kind == "system":
            self.counts["compactions"] += record.subtype == "compact_boundary"
        elif kind == "progress" and b"agent_progress" in bytes(record.data):
            data = decode_raw(record.data, Queued)
            self.counts["agent_progress"] += data is not None and data.type == "agent_progress"
        elif kind == "custom-title" and as_text(record.custom_title):
            self._titles["custom"] = record.custom_title
        elif kind == "ai-title" and as_text(record.ai_title):
            self._titles["ai"] = record.ai_title
        elif kind == "summary" and as_text(record.summary) and isinstance(record.leaf_uuid, str):
            self._summaries.append((record.leaf_uuid, record.summary))

    def _attachment(self, record: Record, line: int | None) -> None:
        if b"queued_command" not in bytes(record.attachment):
            return
        queued = decode_raw(record.attachment, Queued)
        if queued is None or queued.type != "queued_command" or queued.command_mode not in (None, "prompt"):
            return
        text = result_text(queued.prompt)
        if is_machine(text.lstrip()):
            return
        self.counts["queued_prompts"] += 1
        if not self._only_figures:
            at = parse_time(record.timestamp)
            origin = Origin.SIDECHAIN if record.is_sidechain else Origin.HUMAN
            self.timeline.say(Role.USER, origin, text, at=at, line=line, **_uuid(record))

    def state(self, _: int) -> State:
        """Return what must be known to take later records."""
        return State(
            array("Q", self.uuids).tobytes(),
            list(self.session_ids),
            self.agent_id,
            self.figures.project,
            self.counts["main_records"],
            self.counts["side_records"],
        )

    @classmethod
    def resumed(cls, trail: Trail) -> Conversation:
        """Return a conversation that has taken what stands before the trail's place; of that it has no figures."""
        state = msgspec.msgpack.decode(trail.state, type=State)
        talk = cls(only_figures=True, mark=lasting_mark)
        marks = array("Q")
        marks.frombytes(state.uuids)
        talk.uuids = set(marks)
        talk.session_ids = dict.fromkeys(state.session_ids)
        talk.agent_id, talk.figures.project = state.agent_id, state.project
        talk.counts.update(main_records=state.main_records, side_records=state.side_records)
        return talk

    def session(self, name: str, stem: str, trail: Trail | None = None) -> Session:
        """Return the session with its final figures."""
        figures = self.figures
        main, side = self.turns
        figures.assistant_turns = len(main)
        figures.tool_calls = len(self.calls[0])
        figures.title = self._title()
        figures.incomplete = bool((main | side) - self.counted_turns)
        if self._only_figures and trail is None:
            figures.usage = self._sum()
        else:
            figures.usage_records = self.usage_records()
        session_id, parent_id = self._ids(stem)
        subagent = {"subagent": True, "agent_id": self.agent_id} if parent_id else {}
        return figures.session(session_id, name, parent_id=parent_id, details=subagent, trail=trail)

    def usage_records(self) -> list[UsageRecord]:
        """Take out what each reply used, in the order of the records that tell it."""
        records = []
        for key in list(self.replies):
            spent = self.replies.pop(key)
            usage = usage_of(spent.counts, spent.version)
            records.append(UsageRecord(*key, as_text(spent.model), parse_time(spent.at), usage, spent.sidechain))
        return records

    def same(self, word: object) -> object:
        """Return the word as it was seen first, so that it is held once."""
        return self._words.setdefault(word, word) if isinstance(word, str) else word

    def _sum(self, *, sidechain: bool = False) -> Usage | None:
        """Add up the replies, or those of side chains alone."""
        sums, complete, some = [0] * 5, True, False
        for spent in self.replies.values():
            if spent.sidechain or not sidechain:
                some = True
                sums = list(map(add, sums, spent.counts))
                complete = complete and is_complete(spent.version)
        return Usage(sums[0], sums[1], sums[2], sums[3], sums[4], complete) if some else None

    def details(self) -> dict[str, Any]:
        """Return the further facts about the file."""
        side = self._sum(sidechain=True) or Usage()
        names = (
            "dup_uuids", "assistant_records", "slash_commands", "bash_inputs", "interrupts", "task_notifications",
            "queued_prompts", "meta_records", "compactions", "compact_summaries", "agent_progress",
            "synthetic_records", "output_first_wins", "sidechain_user_records",
        )  # fmt: skip
        return {
            **{name: self.counts[name] for name in names},
            "session_ids": list(self.session_ids),
            "types": dict(self.types),
            "tool_results": len(self.results),
            "usage_keys": len(self.replies) + len(self._keys_without_counts - self.replies.keys()),
            "sidechain_assistant_turns": len(self.turns[1]),
            "sidechain_tool_calls": len(self.calls[1]),
            "usage_sidechain": {
                "input_tokens": side.input_tokens,
                "output_tokens": side.output_tokens,
                "cache_read_tokens": side.cache_read_tokens,
                "cache_write_tokens": side.cache_write_tokens,
            },
        }

    def _title(self) -> str | None:
        for kind in ("custom", "ai"):
            if kind in self._titles:
                return self._titles[kind]
        own = [text for leaf, text in self._summaries if self._mark(leaf) in self.uuids]
        return own[-1] if own else None

    def _ids(self, stem: str) -> tuple[str, str | None]:
        """Return the session's id and its parent's: a file of side-chain records only is a sub-agent's."""
        recorded = next((one for one in self.session_ids if one == stem), next(iter(self.session_ids), None))
        if not self.counts["side_records"] or self.counts["main_records"] or recorded is None:
            return recorded or stem or "session", None
        own = self.agent_id or stem
        return (own if own != recorded else f"{recorded}-agent"), recorded


def _blocks(said: Said) -> list[Block]:
    """Return the blocks of a message; one that is text is a block of text."""
    content = said.content
    if isinstance(content, str):
        return [Block(type="text", text=content)]
    return content or []


def _is_notification(record: Record) -> bool:
    return isinstance(record.origin, dict) and record.origin.get("kind") == "task-notification"


def _injected(record: Record) -> Origin:
    return Origin.META if record.is_meta else Origin.INJECTED


def _uuid(record: Record) -> dict[str, Any]:
    return {"message_id": as_text(record.uuid)}
