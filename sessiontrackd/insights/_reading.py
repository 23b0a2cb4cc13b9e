"""Read one session once: its figures, its facts and, for an engine that is asked, its condensed text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping

from msgspec import Struct, structs

from sessiontrackd.condense import Condenser
from sessiontrackd.contracts import OpenSession
from sessiontrackd.facts import Facts, extract, recorded_title
from sessiontrackd.model import InsightLevel, Message, Session
from sessiontrackd.privacy import Redactor


class Reading(Struct, frozen=True):
    """A session that was read to its end: its figures, what it contains (redacted), and the sha256 of its content.

    `condensed` holds the shorter, redacted messages that an engine may be given; None where none was wanted; `lower` the
    same for lower levels. `restores` says that personal data, which was replaced for the engine, comes back in what stays on this machine.
    """

    session: Session
    facts: Facts
    content_sha256: str
    redactor: Redactor
    condensed: Session | None = None
    lower: Mapping[InsightLevel, Session] = {}
    restores: bool = True

    def at(self, level: InsightLevel) -> Reading:
        """Return it as it is given to an engine at a lower level."""
        return structs.replace(self, condensed=self.lower[level])

    @property
    def title(self) -> str:
        """The recorded title where it tells something, else the one made from the first ask; redacted."""
        recorded = self.redactor.redact(self.session.title or "")
        return recorded_title(recorded) or self.facts.title or recorded

    def shown(self, text: str) -> str:
        """Return a redacted text as it may be shown on this machine."""
        return self.redactor.restore(text) if self.restores else text


def read_session(
    opened: OpenSession,
    condense_for: InsightLevel | None = None,
    *,
    level: InsightLevel = InsightLevel.COMPREHENSIVE,
    personal: bool = False,
    also: Iterable[InsightLevel] = (),
    nonce: str | None = None,
) -> Reading:
    """Read a session once; what is kept of its text is redacted.

    Args:
        opened: as a reader gave it.
        condense_for: the level whose text an engine is to be given, without personal data; None where nobody is asked.
        level: what the insight is to show; a lower one is read faster.
        personal: replace personal data for good, in what stays on this machine, too.
        also: other levels to condense for.
        nonce: marks the placeholders, where an answer to an earlier reading is to be restored.
    """
    redactor = Redactor(personal=personal or condense_for is not None, nonce=nonce)
    condensers = {each: Condenser(each, redactor) for each in (condense_for, *also) if each}
    digest = hashlib.sha256()
    facts = extract(_followed(opened, digest.update, condensers.values()), redactor, level=level)
    session = opened.close()
    lower = {each: condenser.finish(session) for each, condenser in condensers.items()}
    condensed = lower.pop(condense_for) if condense_for else None
    return Reading(session, facts, digest.hexdigest(), redactor, condensed, lower, restores=not personal)


def open_messages(session: Session) -> OpenSession:
    """Return a session that is in memory as one that streams past."""

    def steps() -> Generator[Message, None, Session]:
        yield from session.messages
        return structs.replace(session, messages=())

    return OpenSession(steps())


def _followed(
    messages: Iterable[Message], update: Callable[[bytes], None], condensers: Collection[Condenser]
) -> Iterator[Message]:
    """Pass the messages on while their content goes into a digest that container and path do not change."""
    for message in messages:
        calls = [f"\x1d{call.name}\x1f{call.arguments}\x1f{call.result}" for call in message.tool_calls]
        said = f"\x1e{message.role}\x1f{message.origin}\x1f{message.text}"
        update("".join((said, *calls)).encode("utf-8", "replace"))
        for condenser in condensers:
            condenser.take(message)
        yield message
