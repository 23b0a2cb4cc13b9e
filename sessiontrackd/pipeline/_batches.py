"""Send what was collected as a batch, and collect the answers of the batches that were sent."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from msgspec import Struct

from sessiontrackd import engines
from sessiontrackd.batches import GATHER_S, InBatch, Request
from sessiontrackd.errors import EngineError, JobError, Refused, SessiontrackdError, Unknown
from sessiontrackd.model import Reply
from sessiontrackd.pipeline._plan import Work
from sessiontrackd.pipeline._rooms import Rooms

log = logging.getLogger(__name__)


class Post(Struct, frozen=True):
    """What sends and collects the batches of a home."""

    rooms: Rooms

    async def run(self) -> bool:
        """Send what is gathered, and collect what came back. Return whether transcripts can go on."""
        batches = self.rooms.batches
        for name in batches.engines:
            await self._send(name)
        if not self.rooms.queue.is_on("ai"):
            return False
        return any([await self._collect(*batch) for batch in batches.due()])

    async def _send(self, name: str) -> None:
        """Send a batch; where that fails its transcripts come again by themselves."""
        requests = self.rooms.batches.take(name)
        async with AsyncExitStack() as stack:
            try:
                engine = await stack.enter_async_context(self._opened(name))
            except SessiontrackdError as problem:
                log.warning("a batch was not sent: %s", problem)
                for each in requests:
                    self.rooms.budget.take_back(each.held)
                return
            if going := [each for each in requests if self._still_goes(each)]:
                await self._submit(engine, going)

    def _still_goes(self, request: Request) -> bool:
        """Say whether a request may be sent still, and note that it is about to be.

        Its consent may be gone, or a person may have named its transcript, and another process asks about it at once.
        """
        try:
            request.require()
            self.rooms.budget.send(request.held)
        except JobError as problem:
            log.info("a request left its batch: %s", problem)
            self.rooms.budget.take_back(request.held)
            return False
        except ValueError:  # it was taken back
            return False
        return True

    async def _submit(self, engine: Any, requests: list[Request]) -> None:
        """Send requests, which counts as one call on its way: the program does not end in the middle of it."""
        money = self.rooms.budget
        try:
            with self.rooms.calls.counted():
                batch_id = await engine.submit({_name(each.held.id): each.ask for each in requests})
        except Refused as problem:
            log.warning("a batch was not accepted: %s", problem)
            self._refused(requests, problem)
            return
        except BaseException as problem:
            for each in requests:
                money.assume(each.held, "it is unknown whether the batch was billed")
            if not isinstance(problem, EngineError):
                raise
            log.warning("it is unknown what became of a batch: %s", problem)
            return
        with self.rooms.store.immediate(durable=True):  # all of it or nothing, whatever dies
            self.rooms.batches.sent(batch_id, requests)
            for each in requests:
                money.send(each.held, batch_id=batch_id)
        log.info("sent a batch of %d: %s", len(requests), batch_id)

    def _refused(self, requests: list[Request], problem: Refused) -> None:
        """Free what was set aside; where the server will not take it later either, its transcripts are told so."""
        for each in requests:
            self.rooms.budget.release(each.held, "the server refused the batch")
        if problem.circuit:
            requests[0].trip(str(problem))
        elif not problem.is_for_now:
            self.rooms.batches.refused(requests, str(problem))
            self.rooms.queue.hasten([each.path for each in requests])

    async def _collect(self, batch_id: str, name: str) -> bool:
        """Settle each request of a batch that has ended, and let its transcripts go on. Return whether it has."""
        self.rooms.batches.looked(batch_id)
        results: Mapping[str, Reply | EngineError] | None
        try:
            async with self._opened(name) as engine:
                results = await engine.collect(batch_id)
        except SessiontrackdError as problem:
            log.warning("the state of batch %s is unknown at present: %s", batch_id, problem)
            results = {} if self.rooms.batches.is_lost(batch_id) else None
        if results is None:
            return False
        for attempt in self.rooms.batches.unanswered(batch_id):
            with suppress(ValueError):  # a worker of a daemon that died was faster
                self._settle(attempt, results.get(_name(attempt)))
        self.rooms.queue.hasten(self.rooms.batches.ended(batch_id))
        return True

    def _settle(self, attempt: int, result: Reply | EngineError | None) -> None:
        """Book one request, and keep its answer with the booking: both or neither."""
        with self.rooms.store.immediate(durable=True):
            cost = None
            if isinstance(result, Reply) and not result.usage.is_possible:
                result = Unknown("it states no usage that can be billed")
            if isinstance(result, Reply):
                cost = self.rooms.budget.settle(attempt, result.usage, result.price_factor, model=result.model)
            elif isinstance(result, Refused):
                self.rooms.budget.release(attempt, "the batch did not answer it")
            else:
                self.rooms.budget.assume(attempt, "it is unknown whether the batch billed it")
            self.rooms.batches.came_back(attempt, result, cost)

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[Any]:
        """Make the engine of a batch, and close it; the requests name their models themselves."""
        engine: Any = engines.make_engine(name, self.rooms.home, self.rooms.settings, "")
        try:
            yield engine
        finally:
            await engine.close()


def take_back(rooms: Rooms, work: Work) -> None:
    """Free what is gathered of a transcript that a person named, and not sent yet: it is asked about at once.

    Raises:
        InBatch: another process is sending it just now.
    """
    rooms.batches.withdraw(work.path)
    for attempt in rooms.budget.in_batches(work.path):
        is_going = not rooms.budget.take_back(attempt.reserve.id) and not attempt.last.batch_id
        if is_going and not work.again:
            raise InBatch("it is being sent in a batch, at half the price, just now", GATHER_S)


def _name(attempt: int) -> str:
    """Return the id under which a request comes back."""
    return f"attempt-{attempt}"
