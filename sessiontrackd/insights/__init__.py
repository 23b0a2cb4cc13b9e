"""AIInsightGenerator: redact, condense, reserve, ask, settle, check. The one way from a session to an insight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import structs

from sessiontrackd import condense
from sessiontrackd.batches import GATHER_S, Batches, InBatch, Request
from sessiontrackd.budget import TokenManager
from sessiontrackd.circuit import Circuit
from sessiontrackd.contracts import Engine
from sessiontrackd.engines.local import LocalEngine
from sessiontrackd.errors import JobError, Unpriced, Waiting
from sessiontrackd.insights._ask import KINDS, asked, instructions, sent_around
from sessiontrackd.insights._begun import LEFT, is_begun, joined, left_of, progress
from sessiontrackd.insights._consent import api_consent, require_consent
from sessiontrackd.insights._models import AS_OF, LEVELS, known_model, manner
from sessiontrackd.insights._plain import as_dict, session_of
from sessiontrackd.insights._reading import Reading, open_messages, read_session
from sessiontrackd.insights._requests import Answer, Calls, Consent, Purpose, Requests
from sessiontrackd.insights._since import before, last_message, since
from sessiontrackd.insights._texts import as_allowed, redacted, restored, told
from sessiontrackd.model import Ask, Finding, Insight, InsightLevel, Session
from sessiontrackd.pricing import STALE_DAYS, summed
from sessiontrackd.privacy import Redactor
from sessiontrackd.tokens import Estimator

__all__ = [
    "AS_OF",
    "KINDS",
    "LEVELS",
    "AIInsightGenerator",
    "Calls",
    "Purpose",
    "Reading",
    "as_allowed",
    "as_dict",
    "instructions",
    "is_begun",
    "known_model",
    "manner",
    "open_messages",
    "read_session",
    "require_consent",
    "sent_around",
    "session_of",
]  # fmt: skip

Known = Callable[[str, str, InsightLevel, str, str | None], Insight | None]
NO_PURPOSE = Purpose()
DIVIDED_MOST = 3  # a long session is divided by a fast count, and again where the exact one finds a part too large


def never_known(session_id: str, content_sha256: str, level: InsightLevel, engine: str, model: str | None) -> None:
    """Answer that no insight is stored: what a generator without a history uses."""


class AIInsightGenerator:
    """Make insights with one engine.

    Args:
        token_manager: the budget; required for a paid engine.
        engine: makes the insights; the local engine by default.
        known: looks up a stored insight by (session id, sha256 of the content, level, engine, model).
        consent: raises where text of a folder (None: the Python API) may not go to a
            provider; by default the consent of the home in use for the Python API decides.
        estimator: counts prompts, and learns from what is billed.
        circuit: says when no request to this engine could succeed.
        calls: the requests of this process, which let none start when it is about to end.
        user_dir: the folder of the user's own templates, whose prompts replace ours.
        batches: whose answers are taken where some came back; None: never.
        in_batch: collects requests to be sent as one batch.
        sleep: how to wait between attempts.
        now: the clock.
    """

    def __init__(
        self,
        token_manager: TokenManager | None = None,
        *,
        engine: Engine | None = None,
        known: Known = never_known,
        consent: Consent | None = None,
        estimator: Estimator | None = None,
        circuit: Circuit | None = None,
        calls: Calls | None = None,
        user_dir: Path | None = None,
        batches: Batches | None = None,
        in_batch: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Keep the parts."""
        self._batches = batches
        self._in_batch = in_batch
        self.token_manager = token_manager
        self._engine: Engine = engine or LocalEngine()
        self._known = known
        self._requests = Requests(
            self._engine, token_manager, consent or api_consent(token_manager), estimator or Estimator(None),
            circuit=circuit, calls=calls, sleep=sleep,
        )  # fmt: skip
        self._user_dir = user_dir
        self._now = now

    async def generate_insights(
        self,
        conversation: str | Sequence[Mapping[str, Any]] | Session,
        insight_level: InsightLevel | str = "standard",
    ) -> dict[str, Any]:
        """Make the insight of a conversation that is in memory.

        Args:
            conversation: a text, messages (`role` and `content`), or a Session.
            insight_level: minimal, standard or comprehensive.

        Returns:
            level, title, summary, findings (kind, text, quote, messages), usage, cost_usd, engine, model, provenance.

        Raises:
            ValueError: there is no such level.
            ConsentRequired, OverBudget, Unpriced: nothing was sent.
        """
        level = level_of(insight_level)
        reading = read_session(open_messages(session_of(conversation)), self.condense_for(level), level=level)
        return as_dict(await self.insight(reading, level))

    async def aclose(self) -> None:
        """Close the engine's connections, where it has any."""
        close = getattr(self._engine, "close", None)
        if close is not None:
            await close()

    def condense_for(self, level: InsightLevel) -> InsightLevel | None:
        """Return the level to condense for while a session is read; None where the engine is given facts only."""
        return level if self._engine.leaves_machine else None

    def stored(self, reading: Reading, level: InsightLevel) -> Insight | None:
        """Return the insight that this engine made of this content before."""
        session_id = reading.session.session_id
        found = self._known(session_id, reading.content_sha256, level, self._engine.NAME, self._engine.price_model)
        return found and as_allowed(found, reading)

    async def insight(
        self, reading: Reading, level: InsightLevel, purpose: Purpose = NO_PURPOSE, prior: Insight | None = None
    ) -> Insight:
        """Make the insight of a session that was read.

        Args:
            reading: of the session.
            level: how deep it goes.
            purpose: what the work is for.
            prior: what was made of the session when it was shorter; where that is cheaper, only what is new is sent.

        Raises:
            Held: nothing was sent (budget, price, consent), or what came back cannot be used; a person decides.
            Waiting: the server asks for patience; nothing was billed.
            Failed: the server refuses this session; nothing was billed.
        """
        return (await self.insight_so_far(reading, level, purpose, prior))[0]

    async def insight_so_far(
        self,
        reading: Reading,
        level: InsightLevel,
        purpose: Purpose,
        prior: Insight | None = None,
        begun: Insight | None = None,
    ) -> tuple[Insight, JobError | None]:
        """Make the insight of a session, as `insight` does; of a long one as far as its parts can be asked about.

        Args:
            reading: of the session.
            level: how deep it goes.
            purpose: what the work is for.
            prior: of the session when it was shorter.
            begun: of the first parts of this session; only the others are asked about.

        Returns:
            The insight, and why not every part was asked about; None: all were.
        """
        local = await self._local(reading, level)
        if not self._engine.leaves_machine:
            return restored(local, reading), None
        kept = before(reading, begun, level) if begun else None
        begun = begun if kept is not None else None
        asks = self._asks(reading, level, begun)
        if begun and not asks:  # the rest of one long message
            return structs.replace(begun, provenance={**begun.provenance, LEFT: 0}), None
        room = self._requests.room
        new = since(reading, prior, asks, self._user_dir, room) if prior and not self._in_batch else None
        if new is not None:
            answer = await self._requests.answer(new.ask, purpose)
            about = {"upto": last_message(reading)} | new.about
            still = new.kept(answer.checked.outdated)
            return restored(self._written(local, [answer], reading.redactor, about=about, kept=still), reading), None
        answers, reason = self._collected(reading, asks), None
        if answers is None and self._in_batch:
            raise self._gathered(reading, asks, purpose)
        if answers is None:
            answers, reason = await self._answered(asks, purpose)
        about = dict(progress(asks, len(answers), begun, is_cut=reason is not None))
        made = restored(self._written(local, answers, reading.redactor, about=about, kept=kept or ()), reading)
        return joined(begun, made) if begun else made, reason

    def _asks(self, reading: Reading, level: InsightLevel, begun: Insight | None = None) -> list[Ask]:
        """Return what is asked of a session, or of the rest of it, part by part."""
        assert reading.condensed is not None
        messages = left_of(reading.condensed.messages, begun) if begun else reading.condensed.messages
        if begun and not messages:
            return []
        whole, room = structs.replace(reading.condensed, messages=messages), self._requests.room
        for _ in range(DIVIDED_MOST):
            parts = condense.parts(whole, room)
            asks = [asked(reading, part, level, self._engine.price_model, self._user_dir) for part in parts]
            if (excess := self._requests.excess(asks)) <= 1:
                break
            room = self._requests.smaller(room, excess)
        return asks

    async def _answered(self, asks: Sequence[Ask], purpose: Purpose) -> tuple[list[Answer], JobError | None]:
        """Ask one after the other; what was paid for already is not thrown away."""
        answers: list[Answer] = []
        for ask in asks:
            try:
                answers.append(await self._requests.answer(ask, purpose))
            except JobError as reason:
                if not answers:
                    raise
                return answers, reason
        return answers, None

    def _collected(self, reading: Reading, asks: Sequence[Ask]) -> list[Answer] | None:
        """Return what came back from a batch; None where nothing did.

        Raises:
            JobError: it came back without an answer.
        """
        if self._batches is None:
            return None
        name = self.batch_name(reading, asks[0].level)
        self._batches.require_back(name)
        try:
            found = self._batches.answers(name)
        except Waiting:
            if self._in_batch:
                raise
            found = None  # nothing was billed, and it is asked at once
        if found is None:
            return None
        # What was learned of the model since may divide the session otherwise, so a quote is looked up in the whole of it.
        whole = structs.replace(asks[0], session=reading.condensed or asks[0].session)
        return [
            self._requests.collected(whole, each.reply, each.reserved_picousd, each.cost_picousd)
            for each in found
            if each.part < len(asks)
        ]

    def _gathered(self, reading: Reading, asks: Sequence[Ask], purpose: Purpose) -> InBatch:
        """Set the money aside and gather the requests; return what becomes of the job."""
        assert self._batches is not None
        name, requests = self.batch_name(reading, asks[0].level), list[Request]()
        of = (reading.session.session_id, reading.content_sha256, asks[0].level, self._engine.NAME, asks[0].model)

        def require() -> None:
            self._requests.require(purpose)
            if self._known(*of) is not None:
                raise Waiting("its insight was made meanwhile")

        if self._batches.is_gathered(name):
            return InBatch("a copy of it is gathered for the next batch, at half the price", GATHER_S)
        try:
            for part, ask in enumerate(asks):
                held, source = self._requests.set_aside(ask, purpose), purpose.source or b""
                trip = self._requests.trip
                requests.append(Request(self._engine.NAME, ask, held, source, name, part, require, trip))
        except JobError:
            for request in requests:
                self._requests.give_back(request.held)
            raise
        self._batches.gather(requests)
        return InBatch("gathered for the next batch, at half the price", GATHER_S)

    def batch_name(self, reading: Reading, level: InsightLevel) -> str:
        """Name an insight among those of batches, as it is found again: by content, level, engine and model."""
        return f"{reading.content_sha256} {level} {self._engine.NAME} {self._engine.price_model}"

    async def fallback(self, reading: Reading, level: InsightLevel, reason: JobError) -> Insight:
        """Make the local insight in place of the engine's, with a line that says why."""
        return restored(self.in_place(await self._local(reading, level), reason), reading)

    def in_place(self, local: Insight, reason: JobError) -> Insight:
        """Return a local insight with the reason why it stands in place of the engine's."""
        return structs.replace(local, provenance={"note": f"not by {self._engine.NAME}: {reason.brief}"})

    @property
    def is_paid(self) -> bool:
        """Whether requests of its engine cost money."""
        return self._engine.leaves_machine and self._engine.price_model is not None

    def most_picousd(self, reading: Reading, level: InsightLevel, begun: Insight | None = None) -> int | None:
        """Return the most that the insight of a session, or the rest of it, should cost; None: nobody knows the price."""
        if reading.condensed is None:
            return None
        try:
            return sum(map(self._requests.most_picousd, self._asks(reading, level, begun)))
        except Unpriced:
            return None

    async def _local(self, reading: Reading, level: InsightLevel) -> Insight:
        project = reading.redactor.redact(reading.session.project) if reading.session.project else None
        session = structs.replace(reading.session, title=reading.title, project=project)
        ask = Ask(session, level, reading.facts.findings, reading.facts.keywords, reading.title)
        engine = LocalEngine() if self._engine.leaves_machine else self._engine
        reply = await engine.attempt(ask)
        known = {id(finding) for finding in reading.facts.findings}  # these passed the redactor already
        return Insight(
            level=level,
            title=reading.redactor.redact(reply.title) or ask.title,
            summary=reading.redactor.redact(reply.summary),
            findings=tuple(
                finding if id(finding) in known else redacted(finding, reading.redactor) for finding in reply.findings
            ),
            engine=engine.NAME,
            model=reply.model,
            usage=reply.usage,
            keywords=ask.keywords,
            redactions=reading.redactor.count,
            made_at=self._now().replace(microsecond=0),
        )

    def _written(
        self,
        local: Insight,
        answers: Sequence[Answer],
        redactor: Redactor,
        *,
        about: Mapping[str, Any],
        kept: Sequence[Finding] = (),
    ) -> Insight:
        """Put the model's words into the extracted insight; its strings pass the redactor once more.

        Args:
            local: what was extracted.
            answers: to the parts of the session, or to the question about what is new.
            redactor: of the session.
            about: for the receipt and for the next time.
            kept: findings of the insight before.
        """
        found = [*kept, *(finding for answer in answers for finding in answer.checked.findings)]
        by_model = {finding.kind for finding in found}
        summary = redactor.redact(answers[-1].checked.summary)
        extracted = [told(one, summary) for one in local.findings if one.kind not in by_model]
        provenance: dict[str, Any] = {
            "quotes_checked": sum(answer.checked.quotes_checked for answer in answers),
            "quotes_kept": len(found) - len(kept),
            "request_id": answers[-1].request_id,
            **self._priced(),
            **about,
        }
        replaced = {*answers[0].checked.replaced, *answers[-1].checked.replaced}
        if replaced:
            provenance["replaced"] = [name for name in ("title", "summary") if name in replaced]
        return structs.replace(
            local,
            title=redactor.redact(answers[0].checked.title) or local.title,
            summary=summary or local.summary,
            findings=(*extracted, *(redacted(finding, redactor) for finding in found)),
            engine=self._engine.NAME,
            model=self._engine.price_model,
            usage=summed(answer.usage for answer in answers),
            cost_picousd=sum(answer.cost_picousd for answer in answers),
            reserved_picousd=sum(answer.reserved_picousd for answer in answers),
            provenance=provenance,
        )

    def _priced(self) -> dict[str, Any]:
        """Say for the receipt since when the price is known, and how old that is where it is old."""
        money, now = self.token_manager, self._now()
        if money is None or self._engine.price_model is None:
            return {}
        tariff = money.prices.tariff(self._engine.price_model, now, provider=self._requests.provider)
        age = money.prices.age_days(now) if money.prices.is_packaged(tariff) else None
        found: dict[str, Any] = {"priced_at": money.prices.priced_on(tariff)}
        return found | ({"prices_age_days": age} if age is not None and age > STALE_DAYS else {})


def level_of(name: InsightLevel | str) -> InsightLevel:
    """Return a level by its name.

    Raises:
        ValueError: there is none; the text names the three.
    """
    try:
        return InsightLevel(name)
    except ValueError:
        raise ValueError(f"{name!r} is no insight level; there are {', '.join(InsightLevel)}") from None
