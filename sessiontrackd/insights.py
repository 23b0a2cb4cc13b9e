"""AIInsightGenerator: redact, condense, reserve, ask, settle, check. The one way from a session to an insight."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sessiontrackd.contracts import Engine, OpenSession
from sessiontrackd.engines.local import LocalEngine
from sessiontrackd.facts import Facts, extract
from sessiontrackd.model import Ask, Finding, Insight, InsightLevel, Message, Reply, Session
from sessiontrackd.privacy import Redactor

Known = Callable[[str, str, InsightLevel, str, str | None], Insight | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """A session that was read to its end: its figures, what it contains (redacted), and the sha256 of its content."""

    session: Session
    facts: Facts
    content_sha256: str
    redactor: Redactor

    @property
    def title(self) -> str:
        """The recorded title, else the one made from the first ask; redacted."""
        return self.redactor.redact(self.session.title) if self.session.title else self.facts.title


def read_session(opened: OpenSession) -> Reading:
    """Read a session once; what is kept of its text is redacted."""
    redactor = Redactor()
    digest = hashlib.sha256()
    facts = extract(_digested(opened, digest.update), redactor)
    return Reading(opened.close(), facts, digest.hexdigest(), redactor)


def never_known(session_id: str, content_sha256: str, level: InsightLevel, engine: str, model: str | None) -> None:
    """Answer that no insight is stored: what a generator without a history uses."""


class AIInsightGenerator:
    """Make insights with one engine.

    Args:
        engine: who thinks; the local engine unless another is handed in.
        known: looks a stored insight up by (session id, sha256 of the content, level, engine, model).
        now: the clock.
    """

    def __init__(
        self,
        *,
        engine: Engine | None = None,
        known: Known = never_known,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Keep the parts."""
        self._engine: Engine = engine or LocalEngine()
        self._known = known
        self._now = now

    def stored(self, reading: Reading, level: InsightLevel) -> Insight | None:
        """Return the insight that this engine made of this content before."""
        session_id = reading.session.session_id
        return self._known(session_id, reading.content_sha256, level, self._engine.NAME, self._engine.price_model)

    async def insight(self, reading: Reading, level: InsightLevel) -> Insight:
        """Make the insight of a session that was read."""
        ask = Ask(
            replace(reading.session, title=reading.title),
            level,
            reading.facts.findings,
            reading.facts.keywords,
            reading.title,
        )
        reply = await self._engine.attempt(ask)
        return self._checked(ask, reply, reading.redactor)

    def _checked(self, ask: Ask, reply: Reply, redactor: Redactor) -> Insight:
        """Turn a reply into an insight; its strings pass the redactor once more, whoever wrote them."""
        return Insight(
            level=ask.level,
            title=redactor.redact(reply.title) or ask.title,
            summary=redactor.redact(reply.summary),
            findings=tuple(_redacted(finding, redactor) for finding in reply.findings),
            engine=self._engine.NAME,
            model=reply.model,
            usage=reply.usage,
            keywords=ask.keywords,
            redactions=redactor.count,
            made_at=self._now().replace(microsecond=0),
        )


def _redacted(finding: Finding, redactor: Redactor) -> Finding:
    """Return the finding with text and quote redacted, and its parts likewise."""
    return replace(
        finding,
        text=redactor.redact(finding.text),
        quote=redactor.redact(finding.quote) if finding.quote else finding.quote,
        parts=tuple(_redacted(part, redactor) for part in finding.parts),
    )


def _digested(messages: Iterable[Message], update: Callable[[bytes], None]) -> Iterator[Message]:
    """Pass the messages on while their content goes into a digest that container and path do not change."""
    for message in messages:
        update(f"\x1e{message.role}\x1f{message.origin}\x1f{message.text}".encode("utf-8", "replace"))
        for call in message.tool_calls:
            update(f"\x1d{call.name}\x1f{call.arguments}\x1f{call.result}".encode("utf-8", "replace"))
        yield message
