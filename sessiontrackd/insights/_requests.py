"""One question to an engine: reserved, sent, settled and checked; asked again, each time with a reservation of its own."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

from msgspec import Struct, structs

from sessiontrackd.budget import TokenManager
from sessiontrackd.circuit import Circuit
from sessiontrackd.condense import MOST_TOKENS
from sessiontrackd.contracts import Engine
from sessiontrackd.errors import CircuitOpen, EngineError, Failed, Held, JobError, OverBudget, Refused, Unknown, Waiting
from sessiontrackd.insights._ask import sent_text
from sessiontrackd.insights._evidence import Checked, Shapeless, Unusable, checked
from sessiontrackd.model import Ask, Reply, Reservation, Usage
from sessiontrackd.pricing import picousd, summed
from sessiontrackd.tokens import LEAST_ROOM, Counts, Estimator, hard_bound

ATTEMPTS_MOST = 3  # of one question, within one job
UNKNOWN_MOST = 2  # of these, those whose outcome is unknown: each counts as spent
JOB_ATTEMPTS_MOST = 3  # a job whose requests end in nobody-knows is put off so often, then a person decides
PATIENCE_S = 10.0  # what a server asks to wait for up to here is waited for; else the job is put off
PAUSE_S = 1.0  # before the second attempt, doubled before the third, where the server names no time
RETRY_S, RETRY_MOST_S = 60.0, 3600.0  # a job is put off so long, doubled each time
COUNT_FACTOR, COUNT_TOKENS = 1.02, 50  # what a prompt may have beside the provider's own count
REQUEST_TOKENS = 95_000  # by their bound; above 100,000 the cheapest model is five times as dear, for every token
REPAIR = "\nYour answer must be one JSON object as described, and nothing before or after it.\n"

Consent = Callable[[str | None, str], None]


class Purpose(Struct, frozen=True):
    """What the work is for: whose budget pays, and whose consent is needed. `folder` None: the Python API.

    `attempts` says how often the job was begun; None where there is no job that could be put off.
    """

    folder: str | None = None
    project: str | None = None
    source: bytes | None = None
    attempts: int | None = None


class Answer(Struct, frozen=True):
    """What of an answer stands, and what all requests for it used and cost."""

    checked: Checked
    request_id: str | None
    usage: Usage
    reserved_picousd: int
    cost_picousd: int


class _Paid(Struct, frozen=True):
    reply: Reply
    reserved_picousd: int
    cost_picousd: int


class Calls:
    """The requests of this process that are on their way."""

    def __init__(self) -> None:
        """Nothing is on its way."""
        self.in_flight = 0
        self._is_ending = False
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def end(self) -> None:
        """Let no new request start."""
        self._is_ending = True

    def check(self) -> None:
        """Return if a request may start.

        Raises:
            Waiting: the program is about to end; nothing was sent.
        """
        if self._is_ending:
            raise Waiting("the program was ending, so nothing was sent")

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count one request as on its way."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @asynccontextmanager
    async def alone(self, what: str) -> AsyncIterator[None]:
        """Do one thing by one job at a time: a copy finds what was stored for the first."""
        lock = self._locks.setdefault(what, asyncio.Lock())
        async with lock:
            yield


class Requests:
    """Asks one engine.

    Args:
        engine: that is asked.
        money: where each request is reserved and settled; None: nothing can be asked.
        consent: raises where text of a folder may not go to a provider.
        estimator: counts prompts, and learns from what is billed.
        circuit: says when no request could succeed.
        calls: the requests of this process.
        sleep: how to wait.
    """

    def __init__(
        self,
        engine: Engine,
        money: TokenManager | None,
        consent: Consent,
        estimator: Estimator,
        *,
        circuit: Circuit | None = None,
        calls: Calls | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Keep the parts."""
        self._engine = engine
        self._money = money
        self._consent = consent
        self._estimator = estimator
        self._circuit = circuit
        self._calls = calls or Calls()
        self._sleep = sleep

    @property
    def provider(self) -> str:
        """Who gets the text."""
        return getattr(self._engine, "provider", self._engine.NAME)

    @property
    def room(self) -> int:
        """How large the text of a request may be by its first bound, with what was learned of the model's way to count."""
        return self._estimator.room(MOST_TOKENS, provider=self.provider, model=self._engine.price_model)

    def excess(self, asks: Sequence[Ask]) -> float:
        """Return how many times too large the largest request is by the exact count; 1 or less: none is."""
        counted = (
            self._estimator.estimate(text, provider=self.provider, model=ask.model).most
            for ask in asks
            if hard_bound(text := sent_text(ask)) > REQUEST_TOKENS
        )
        return max(counted, default=0) / REQUEST_TOKENS

    @staticmethod
    def smaller(room: int, excess: float) -> int:
        """Return the room with which no request should be too large; see `Estimator.room` for the least."""
        return max(int(room * 0.98 / excess), MOST_TOKENS // LEAST_ROOM)

    async def answer(self, ask: Ask, purpose: Purpose) -> Answer:
        """Ask, and once more where the answer does not have the shape that was asked for.

        Raises:
            JobError: there is no answer that can be used; the class says what becomes of the job.
        """
        paid = [await self._patient(ask, purpose)]
        try:
            try:
                return _answer(ask, paid)
            except Shapeless as problem:
                try:
                    paid.append(await self._patient(structs.replace(ask, text=ask.text + REPAIR), purpose))
                except OverBudget:  # who waits for room would pay for the first answer again
                    raise problem from None
                return _answer(ask, paid)
        except Unusable as problem:
            raise _unusable(problem, ", also when it was asked again" if len(paid) > 1 else "") from problem

    def most_picousd(self, ask: Ask) -> int:
        """Return the most that one request should cost, by the learned bound.

        Raises:
            Unpriced: the price is unknown.
        """
        if self._money is None:
            return 0
        counts = self._estimator.estimate(sent_text(ask), provider=self.provider, model=ask.model)
        output = ask.max_output_tokens or 0
        return picousd(self._money.calculate_token_cost(counts.most, output, model=ask.model, provider=self.provider))

    def set_aside(self, ask: Ask, purpose: Purpose) -> Reservation:
        """Reserve one request that will go into a batch, at the price of a batch.

        Raises:
            JobError: it may not be sent, or there is no room for it.
        """
        counts = self._estimator.estimate(sent_text(ask), provider=self.provider, model=ask.model)
        return self._reserved(self.require(purpose), ask, counts, purpose, is_batch=True)

    def give_back(self, held: Reservation) -> None:
        """Free what was set aside for a request that will not be sent."""
        if self._money:
            self._money.take_back(held)

    def trip(self, reason: str) -> None:
        """Note that no request can succeed before a person mended what the reason names."""
        if self._circuit:
            self._circuit.trip(reason)

    def collected(self, ask: Ask, reply: Reply, reserved_picousd: int, cost_picousd: int) -> Answer:
        """Check the answer to a request of a batch.

        Raises:
            Held: it cannot be used.
        """
        try:
            return _answer(ask, [_Paid(reply, reserved_picousd, cost_picousd)])
        except Unusable as problem:
            raise _unusable(problem, "") from problem

    async def _patient(self, ask: Ask, purpose: Purpose) -> _Paid:
        """Make attempts until one is answered, or it is time to put the job off."""
        unknown, attempt = 0, 0
        while True:
            attempt += 1
            try:
                return await self._attempt(ask, purpose)
            except EngineError as problem:
                unknown += not isinstance(problem, Refused)
                pause_s = _pause_s(problem, attempt)
                is_over = attempt >= ATTEMPTS_MOST or unknown >= UNKNOWN_MOST or pause_s > PATIENCE_S
                if problem.circuit or not problem.is_for_now or is_over:
                    raise self._end(problem, purpose) from problem
            await self._sleep(pause_s)

    def _end(self, problem: EngineError, purpose: Purpose) -> JobError:
        """Turn the last attempt's failure into what becomes of the job."""
        if problem.circuit:
            return self._circuit.trip(str(problem)) if self._circuit else CircuitOpen(str(problem))
        delay_s = problem.retry_after_s or _backoff_s(purpose.attempts)
        if isinstance(problem, Refused):
            words = f"{problem}; nothing was billed"
            return Waiting(words, delay_s) if problem.is_for_now else Failed(words)
        words = f"{problem}. What was reserved counts as spent until you correct it (`sessiontrackd budget assumed`)"
        if purpose.attempts is not None and purpose.attempts < JOB_ATTEMPTS_MOST:
            return Waiting(f"{words}; it is asked again later", delay_s)
        return Held(f"{words}; `sessiontrackd retry` asks again.")

    async def _attempt(self, ask: Ask, purpose: Purpose) -> _Paid:
        """Reserve, send and settle one request; usage is booked before anything reads the answer."""
        money = self.require(purpose)
        counts = self._estimator.estimate(sent_text(ask), provider=self.provider, model=ask.model)
        try:
            held = self._reserved(money, ask, counts, purpose)
        except OverBudget as refusal:
            held = await self._by_count(money, ask, counts, purpose, refusal)
        money.send(held)
        try:
            with self._calls.counted():
                reply = billable(await self._engine.attempt(ask))
        except Refused:
            money.release(held, "the server refused it")
            raise
        except EngineError:
            money.assume(held, "it is unknown whether it was billed")
            raise
        except BaseException:
            money.assume(held, "interrupted after it was sent")
            raise
        cost_picousd = money.settle(held, reply.usage, reply.price_factor, model=reply.model)
        if reply.usage.complete:  # an estimate teaches nothing
            self._learn(ask, counts, reply.usage)
        if self._circuit:
            self._circuit.mend()
        return _Paid(reply, held.cost_picousd, cost_picousd)

    def require(self, purpose: Purpose) -> TokenManager:
        """Return who holds the money, where a request may be sent.

        Consent and circuit are asked for each request, so that what is revoked or open holds at once.

        Raises:
            JobError: it may not.
        """
        if self._money is None:
            raise Held("This engine is paid, and no TokenManager holds a budget for it; nothing was sent.")
        self._calls.check()
        self._consent(purpose.folder, self.provider)
        if self._circuit:
            self._circuit.require()
        return self._money

    def _reserved(
        self,
        money: TokenManager,
        ask: Ask,
        counts: Counts,
        purpose: Purpose,
        *,
        is_batch: bool = False,
        hard_tokens: int | None = None,
    ) -> Reservation:
        output = ask.max_output_tokens or 0
        return money.reserve(
            Usage(counts.most, output),
            expected=Usage(counts.expected, output),
            hard=Usage(hard_tokens or hard_bound(sent_text(ask)), output),
            model=ask.model,
            folder=purpose.folder,
            project=purpose.project,
            level=ask.level.value,
            engine=self._engine.NAME,
            provider=self.provider,
            batch=is_batch,
            session_id=ask.session.session_id,
            source=purpose.source,
        )

    async def _by_count(
        self, money: TokenManager, ask: Ask, counts: Counts, purpose: Purpose, refusal: OverBudget
    ) -> Reservation:
        """Reserve by the provider's own count where the hard bound is too much for what is left.

        The count costs nothing and sends the text, which consent for the request allows; where half of what is expected does
        not fit either, it is not asked for.

        Raises:
            OverBudget: that does not fit either, or the engine cannot count.
        """
        count, output = getattr(self._engine, "count_tokens", None), ask.max_output_tokens or 0
        place = {"folder": purpose.folder, "project": purpose.project}
        may_fit = money.can_process(counts.expected // 2, output, model=ask.model, provider=self.provider, **place)
        if count is None or not may_fit:
            raise refusal
        try:
            counted = math.ceil(await count(ask) * COUNT_FACTOR) + COUNT_TOKENS
        except EngineError:
            raise refusal from None
        return self._reserved(money, ask, counts._replace(most=counted), purpose, hard_tokens=counted)

    def _learn(self, ask: Ask, counts: Counts, usage: Usage) -> None:
        """Take in what the prompt was billed with."""
        sent_tokens = usage.total_tokens - usage.output_tokens
        self._estimator.learn(
            provider=self.provider, model=ask.model, expected=counts.expected, actual=sent_tokens, factor=counts.factor
        )


def billable(reply: Reply) -> Reply:
    """Return a reply whose usage can be booked.

    Raises:
        Unknown: it states what no request can have used.
    """
    if not reply.usage.is_possible:
        raise Unknown("the answer states no plausible usage: it may have been billed")
    return reply


def _unusable(problem: Unusable, again: str) -> Held:
    return Held(
        f"{problem}{again}; it was paid for, and the local engine wrote this note. `sessiontrackd retry` asks again."
    )


def _answer(ask: Ask, paid: list[_Paid]) -> Answer:
    """Check the last reply; what the ones before it cost belongs to it.

    Raises:
        Unusable: it is no insight.
    """
    last = paid[-1].reply
    return Answer(
        checked(ask, last),
        last.request_id,
        summed(each.reply.usage for each in paid),
        sum(each.reserved_picousd for each in paid),
        sum(each.cost_picousd for each in paid),
    )


def _pause_s(problem: EngineError, attempt: int) -> float:
    """Return how long to wait before the next attempt: what the server asks for, else at random, longer each time."""
    if problem.retry_after_s is not None:
        return problem.retry_after_s
    return random.uniform(0.1, PAUSE_S * 2 ** (attempt - 1))  # noqa: S311 - so that many do not come back at once


def _backoff_s(attempts: int | None) -> float:
    """Return how long a job is put off that was begun so often."""
    return min(RETRY_S * float(2 ** min((attempts or 1) - 1, 10)), RETRY_MOST_S)
