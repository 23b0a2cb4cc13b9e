"""What can go wrong, as a tree. The class of an error determines the state of its job.

SessiontrackdError            a message for people: what happened, what it means, what to do
├── UsageError                wrong use of the command line (exit 2)
├── SettingsError             the settings file is wrong (names the line and the remedy)
├── Busy                      another process holds what is needed (exit 75)
├── StoreError                the database cannot be used
│   ├── StoreFull             the disk is full: nothing was written
│   └── StoreDamaged          its contents are not what was written
├── JobError                  ends a job in its `state`
│   ├── Skipped               → skipped: nothing to do, nothing was spent
│   │   ├── NotAConversation
│   │   ├── DerivedCopy       another format of a session that is read already
│   │   └── NotReadYet        a known format without a reader
│   ├── Failed                → failed: it should have worked
│   │   └── Unreadable
│   ├── Held                  → held: waits for a person's decision
│   │   ├── OverBudget
│   │   ├── Unpriced          the price of this model is unknown
│   │   ├── LedgerDamaged     the ledger cannot be trusted
│   │   ├── CircuitOpen       no request can succeed until a person fixes something
│   │   └── ConsentRequired
│   └── Waiting               → waiting: retried automatically, not before `delay_s`
│       ├── NotStable
│       └── Growing           the session is still going on
└── EngineError               one attempt of an engine
    ├── Refused               certainly nothing was billed
    └── Unknown               may have been billed: counts as spent
"""

from __future__ import annotations

from sessiontrackd.model import JobState, Usage


class SessiontrackdError(Exception):
    """Base of all errors that this program raises on purpose; the text is for people."""

    exit_status = 1


class UsageError(SessiontrackdError):
    """The command was called the wrong way."""

    exit_status = 2


class SettingsError(SessiontrackdError):
    """The settings file cannot be used."""


class Busy(SessiontrackdError):
    """Another process holds what this one needs."""

    exit_status = 75


class StoreError(SessiontrackdError):
    """The database cannot be used."""


class StoreFull(StoreError):
    """There is no room left; nothing was written."""


class StoreDamaged(StoreError):
    """The database does not hold what was written to it."""


class JobError(SessiontrackdError):
    """Ends a job with a reason; `state` is where the job goes, `brief` the reason in a few words."""

    state = JobState.FAILED
    brief = "its request failed"


class Skipped(JobError):
    """Nothing to do here, and nothing was spent."""

    state = JobState.SKIPPED


class NotAConversation(Skipped):
    """The file holds no conversation."""


class DerivedCopy(Skipped):
    """The session is read in the format of the tool that wrote it, so no engine is asked about this copy of it."""

    brief = "a copy of a session that is read from its own tool's file"


class NotReadYet(Skipped):
    """A known format that this version does not read."""


class Failed(JobError):
    """The job failed unexpectedly."""


class Unreadable(Failed):
    """The file cannot be read at all."""


class Held(JobError):
    """The job waits for a person's decision."""

    state = JobState.HELD
    brief = "its answer could not be used"


class OverBudget(Held):
    """The next reservation does not fit the budget; `cost_picousd` is what it needs, None where no budget is set."""

    brief = "no budget left for it"

    def __init__(self, message: str, cost_picousd: int | None = None) -> None:
        """Keep the cost."""
        super().__init__(message)
        self.cost_picousd = cost_picousd


class Unpriced(Held):
    """The price of this model is unknown, so nothing can be reserved for it."""

    brief = "its price is unknown"


class LedgerDamaged(Held):
    """The ledger cannot be trusted, so nothing more is spent."""

    brief = "the ledger is damaged"


class CircuitOpen(Held):
    """No request to this engine can succeed until the key, the credit, the permission or the model is fixed."""

    brief = "it refuses every request"


class ConsentRequired(Held):
    """Nothing may leave the machine for this folder and provider."""

    brief = "no consent"


class Waiting(JobError):
    """The job is retried automatically after `delay_s` seconds."""

    state = JobState.WAITING
    brief = "it is asked again later"

    def __init__(self, message: str, delay_s: float = 0.0) -> None:
        """Keep how long to wait."""
        super().__init__(message)
        self.delay_s = delay_s


class NotStable(Waiting):
    """The file is still being written."""


class Growing(Waiting):
    """The session is still going on, so its insight waits; a note that is good enough stays as it is."""

    brief = "the session goes on"

    def __init__(self, message: str, delay_s: float = 0.0, *, keeps_note: bool = True) -> None:
        """Keep whether the note stays."""
        super().__init__(message, delay_s)
        self.keeps_note = keeps_note


class EngineError(SessiontrackdError):
    """One attempt of an engine failed; `usage` is what is known to have been billed, if anything."""

    def __init__(
        self,
        message: str,
        *,
        usage: Usage | None = None,
        retry_after_s: float | None = None,
        circuit: bool = False,
        is_for_now: bool = False,
    ) -> None:
        """Keep what the caller needs to decide what to do.

        `circuit` means that no other attempt can succeed until a person fixes what the message names, `is_for_now`
        that the same one may succeed later.
        """
        super().__init__(message)
        self.usage = usage
        self.retry_after_s = retry_after_s
        self.circuit = circuit
        self.is_for_now = is_for_now


class Refused(EngineError):
    """The provider certainly billed nothing."""


class Unknown(EngineError):
    """It is unknown whether the attempt was billed, so it counts as spent."""
