"""Send what was gathered as a batch, and bring home what came of the batches that were sent."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sessiontrackd import engines
from sessiontrackd.batches import Batches
from sessiontrackd.budget import TokenManager
from sessiontrackd.config import Home, Settings
from sessiontrackd.errors import EngineError, Refused, SessiontrackdError
from sessiontrackd.model import Reply
from sessiontrackd.queue import Queue
from sessiontrackd.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """What sends and collects the batches of a home."""

    home: Home
    settings: Settings
    batches: Batches
    money: TokenManager
    jobs: Queue
    store: Store

    async def run(self) -> bool:
        """Send what is gathered, and collect what came back. Return whether transcripts can go on."""
        for name in self.batches.engines:
            await self._send(name)
        if not self.jobs.is_on("ai"):
            return False
        return any([await self._collect(*batch) for batch in self.batches.due()])

    async def _send(self, name: str) -> None:
        """Send a batch; where that fails its transcripts come again by themselves."""
        requests = self.batches.take(name)
        for each in requests:
            self.money.send(each.held)
        try:
            async with self._opened(name) as engine:
                batch_id = await engine.submit({_name(each.held.id): each.ask for each in requests})
        except Refused as problem:
            log.warning("a batch was not taken: %s", problem)
            for each in requests:
                self.money.release(each.held, "the server refused the batch")
            return
        except BaseException as problem:
            for each in requests:
                self.money.assume(each.held, "nobody knows whether the batch was billed")
            if not isinstance(problem, EngineError):
                raise
            log.warning("nobody knows what became of a batch: %s", problem)
            return
        with self.store.immediate(durable=True):  # all of it or nothing, whatever dies
            self.batches.sent(batch_id, requests)
            for each in requests:
                self.money.send(each.held, batch_id=batch_id)
        log.info("sent a batch of %d: %s", len(requests), batch_id)

    async def _collect(self, batch_id: str, name: str) -> bool:
        """Settle each request of a batch that has ended, and let its transcripts go on. Return whether it has."""
        self.batches.looked(batch_id)
        results: Mapping[str, Reply | EngineError] | None
        try:
            async with self._opened(name) as engine:
                results = await engine.collect(batch_id)
        except SessiontrackdError as problem:
            log.warning("nothing is known of batch %s just now: %s", batch_id, problem)
            results = {} if self.batches.is_lost(batch_id) else None
        if results is None:
            return False
        for attempt in self.batches.unanswered(batch_id):
            self._settle(attempt, results.get(_name(attempt)))
        self.jobs.hasten(self.batches.ended(batch_id))
        return True

    def _settle(self, attempt: int, result: Reply | EngineError | None) -> None:
        """Book one request, and keep its answer with the booking: both or neither."""
        with self.store.immediate(durable=True):
            cost = None
            if isinstance(result, Reply):
                cost = self.money.settle(attempt, result.usage, result.price_factor)
            elif isinstance(result, Refused):
                self.money.release(attempt, "the batch did not answer it")
            else:
                self.money.assume(attempt, "nobody knows whether the batch billed it")
            self.batches.came_back(attempt, result, cost)

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[Any]:
        """Make the engine of a batch, and close it; the requests name their models themselves."""
        engine: Any = engines.make_engine(name, self.home, self.settings, "")
        try:
            yield engine
        finally:
            await engine.close()


def _name(attempt: int) -> str:
    """Return the id under which a request comes back."""
    return f"attempt-{attempt}"
