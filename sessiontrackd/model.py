"""The nouns of the program, frozen, without I/O: Structs, which are cheap to define and to make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct

MOST_TOKENS = 10**10  # of a bucket; a request has not a thousandth of it, and the ledger holds what so many cost
FLAT_RATE = "flat rate"  # what a request costs that a plan of the user's covers: neither known nor nothing


class InsightLevel(StrEnum):
    """The depth of an insight, chosen by the user for each folder."""

    MINIMAL = "minimal"
    STANDARD = "standard"
    COMPREHENSIVE = "comprehensive"


class JobState(StrEnum):
    """The state of a transcript in the queue."""

    WAITING = "waiting"
    RUNNING = "running"
    HELD = "held"
    FAILED = "failed"
    DONE = "done"
    SKIPPED = "skipped"


class Role(StrEnum):
    """Who speaks in a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class Origin(StrEnum):
    """Where a message really comes from: a user record is rarely a human being."""

    HUMAN = "human"
    INJECTED = "injected"  # put into the conversation by the tool: reminders, command output, summaries
    TOOL = "tool"
    SIDECHAIN = "sidechain"  # a sub-agent's
    META = "meta"
    MODEL = "model"  # what the assistant wrote in the main conversation


class Usage(Struct, frozen=True, gc=False):
    """Tokens by bucket; the buckets never overlap. `complete` is False where the source is known to fall short."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    complete: bool = True

    @property
    def cache_write_tokens(self) -> int:
        """Both cache writes together."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def total_tokens(self) -> int:
        """All buckets together."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def is_possible(self) -> bool:
        """Whether one request can have used it; negative or implausible counts are an error of the source."""
        counts = (self.input_tokens, self.output_tokens, self.cache_read_tokens)
        return all(
            0 <= count <= MOST_TOKENS for count in (*counts, self.cache_write_5m_tokens, self.cache_write_1h_tokens)
        )

    def __add__(self, other: Usage) -> Usage:
        """Add bucket by bucket; the sum is complete only if both are."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_5m_tokens + other.cache_write_5m_tokens,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            self.complete and other.complete,
        )


class UsageRecord(NamedTuple):
    """What a source records of one reply. Inside a file the key is both ids, across files the message id alone."""

    message_id: str | None
    request_id: str | None
    model: str | None
    at: datetime | None
    usage: Usage
    sidechain: bool = False


class ToolCall(Struct, frozen=True, gc=False):
    """One call of a tool by the model, with the result where the source holds it.

    A long result keeps its head and its tail only: `result_cut_at` is the code point where the middle was left out, and
    `uncut_bytes` what the whole of it had.
    """

    name: str
    arguments: Mapping[str, Any] = {}
    result: str | None = None
    uncut_bytes: int | None = None
    result_cut_at: int | None = None
    failed: bool = False
    call_id: str | None = None

    @property
    def result_bytes(self) -> int:
        """The full size of the result in UTF-8."""
        return len((self.result or "").encode("utf-8", "replace")) if self.uncut_bytes is None else self.uncut_bytes


class Message(Struct, frozen=True, gc=False):
    """One message of a session. `index` counts from 1 in source order; tool results are parts of their call."""

    index: int
    role: Role
    origin: Origin
    text: str
    at: datetime | None = None
    model: str | None = None
    usage: Usage | None = None
    message_id: str | None = None
    request_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    line: int | None = None
    speaker: str | None = None


class Trail(Struct, frozen=True):
    """How far a transcript was read: the place behind its last whole line, and what the reader must know to go on."""

    offset_bytes: int
    state: bytes


class Session(Struct, frozen=True):
    """One conversation. While it is read its messages stream past (contracts.OpenSession) and `messages` stays empty."""

    session_id: str
    format: str
    title: str | None = None
    project: str | None = None  # the first recorded working directory, as written
    started_at: datetime | None = None
    ended_at: datetime | None = None
    messages: tuple[Message, ...] = ()
    models: tuple[str, ...] = ()
    usage: Usage | None = None  # what the source records; None means unknown, which is not zero
    usage_by_model: Mapping[str, Usage] = {}
    parent_id: str | None = None
    human_turns: int = 0
    assistant_turns: int = 0
    tool_calls: int = 0
    details: Mapping[str, Any] = {}
    usage_records: tuple[UsageRecord, ...] = ()  # one for each reply whose usage is recorded; together they are `usage`
    trail: Trail | None = None  # where its format can be read on from here

    @property
    def project_name(self) -> str | None:
        """The last part of the recorded working directory, whichever system wrote it."""
        parts = [part for part in (self.project or "").replace("\\", "/").split("/") if part]
        return parts[-1] if parts else None


class Finding(Struct, frozen=True):
    """One statement of an insight, with the messages it rests on.

    `quote` stands word for word in one of `messages`; `origin` is quoted, computed or model. `parts` are findings that
    belong to this one (a problem's cause and fix); `details` are its figures (a file's added and removed lines).
    """

    kind: str
    text: str
    quote: str | None = None
    messages: tuple[int, ...] = ()
    origin: str = "quoted"
    parts: tuple[Finding, ...] = ()
    details: Mapping[str, str | int | bool] = {}


class Insight(Struct, frozen=True):
    """What an engine made of one session."""

    level: InsightLevel
    title: str
    summary: str
    findings: tuple[Finding, ...]
    engine: str
    model: str | None = None
    usage: Usage = Usage()
    cost_picousd: int = 0
    reserved_picousd: int = 0
    keywords: tuple[str, ...] = ()
    redactions: int = 0
    made_at: datetime | None = None
    provenance: Mapping[str, Any] = {}

    @property
    def is_flat_rate(self) -> bool:
        """Whether a plan of the user's covers it, so that no amount can be told."""
        return self.provenance.get("priced_at") == FLAT_RATE


class Folder(Struct, frozen=True):
    """A watched folder and what the user chose for it."""

    path: Path
    level: InsightLevel = InsightLevel.STANDARD
    engine: str = "local"
    monthly_budget_picousd: int | None = None
    monthly_budget_tokens: int | None = None
    keep_picousd: int | None = None  # of the month's budget, for this folder alone
    keep_tokens: int | None = None
    project: str | None = None
    output: str = "beside"  # or vault:DIR
    redact_notes: str = "secrets"  # or all: notes keep the placeholders of personal data
    stable_s: float = 2.0
    ignore: tuple[str, ...] = ()
    since: str | None = None  # an ISO date or time: older transcripts are left alone; None: all of them
    preset: str | None = None
    archive: bool = False
    enabled: bool = True
    mode: str = "now"  # batch: at half the price within a day; backlog: only what had rested for a day
    degrade: str | None = None  # lower, local or hold; None: as for all folders


class Fingerprint(Struct, frozen=True):
    """What tells that a file changed, without reading it."""

    device: int
    inode: int
    size_bytes: int
    mtime_ns: int


class Job(Struct, frozen=True):
    """A transcript in the queue. `path` is what the kernel takes; show `display` to people."""

    id: int
    path: bytes
    display: str
    fingerprint: Fingerprint
    folder: str | None
    state: JobState
    reason: str | None = None
    attempts: int = 0
    not_before_at: datetime | None = None
    level: str | None = None  # asked for by name on the command line
    engine: str | None = None
    again: bool = False
    named: bool = False  # a person named this path
    crashes: int = 0  # workers that died over it
    ended: bool = False  # a tool said that its session does not go on


class Degraded(Struct, frozen=True):
    """What a transcript got less than was asked for, because the budget had no room.

    `given` is local, a lower level, part (of a long session), or hold; `cost_picousd` the most that the rest may cost, None where that is unknown.
    """

    level: InsightLevel
    engine: str
    given: str
    period: str
    sessions: int = 1
    cost_picousd: int | None = None


class Estimate(Struct, frozen=True):
    """What one call may use and cost; `most` is a bound."""

    low: Usage
    expected: Usage
    most: Usage
    model: str | None
    cost_picousd: int | None  # of `most`; None where the model has no price


class Reservation(Struct, frozen=True):
    """Money set aside for one attempt."""

    id: int
    folder: str | None
    project: str | None
    cost_picousd: int


class BudgetStatus(Struct, frozen=True):
    """How the month stands. `spent` is settled and assumed money; limit None means no budget was set."""

    period: str
    limit_picousd: int | None
    spent_picousd: int
    reserved_picousd: int
    assumed_picousd: int = 0
    limit_tokens: int | None = None  # a budget may be set in tokens too
    used_tokens: int = 0  # spent and set aside

    @property
    def remaining_picousd(self) -> int | None:
        """Money that is neither spent nor set aside; None without a limit."""
        if self.limit_picousd is None:
            return None
        return self.limit_picousd - self.spent_picousd - self.reserved_picousd


class AlertKind(StrEnum):
    """What an alert is about."""

    BUDGET = "budget"
    CIRCUIT = "circuit"
    REPORT = "report"
    DAEMON = "daemon"
    TEST = "test"


class Alert(Struct, frozen=True):
    """Something to tell the user once."""

    threshold: int
    status: BudgetStatus
    text: str
    kind: AlertKind = AlertKind.BUDGET
    report_path: Path | None = None  # what a button opens


class Ask(Struct, frozen=True):
    """What an engine is given: a session that is already redacted and fits `max_input_tokens`."""

    session: Session
    level: InsightLevel
    facts: tuple[Finding, ...] = ()  # what was extracted without a model
    keywords: tuple[str, ...] = ()
    title: str = ""
    text: str = ""  # the whole prompt, the condensed conversation in it; empty for the local engine
    schema: Mapping[str, Any] = {}  # the JSON schema the answer must have
    model: str | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    thinking: str | None = None  # in the model's own words, within max_output_tokens; None: nothing is said of it
    effort: str | None = None


class Reply(Struct, frozen=True):
    """What came back from one attempt."""

    title: str
    summary: str
    findings: tuple[Finding, ...]
    usage: Usage
    model: str | None = None
    stop_reason: str | None = None
    text: str = ""  # the raw answer, not yet parsed, where the engine has one
    request_id: str | None = None
    price_factor: Decimal = Decimal(1)  # what the server says makes the whole request dearer


class Transcript(Struct, frozen=True):
    """One file and what a reader sees in it. `warnings` and `details` are complete once `sessions` is exhausted."""

    path: Path
    format: str | None
    is_conversation: bool
    sessions: Iterator[Any]  # of contracts.OpenSession
    warnings: list[str] = []
    details: dict[str, Any] = {}
