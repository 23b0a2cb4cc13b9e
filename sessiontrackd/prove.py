"""A chaos test of the ledger: processes spend from one budget and are killed at random; then ledger and bill are compared."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from sessiontrackd.budget import SCHEMA, Attempt, Ledger, Limit, TokenManager
from sessiontrackd.errors import OverBudget, SessiontrackdError
from sessiontrackd.model import Usage
from sessiontrackd.pricing import Override, Prices, Rates, Tariff
from sessiontrackd.store import open_store

DEATH = 0.01  # of the calls, at each edge of their states
KILL_EVERY = 25  # calls, on average, from outside, at whatever a process does just then
LOOK_S = 0.002  # between two looks at the processes
MODEL, PICOUSD_IN, PICOUSD_OUT = "chaos", 2_000_000, 10_000_000  # what a token costs; the bill is reckoned by these
PRICES = Prices((Override(MODEL, Tariff(Rates(Decimal(2), Decimal(10), Decimal(2), Decimal(2), Decimal(2), "chaos"))),))


class Try(NamedTuple):
    """One request: what is known of it before, and what it will be billed with."""

    model: str
    most: Usage
    expected: Usage
    hard: Usage
    used: Usage
    bill_picousd: int


class Verdict(Struct):
    """What came out."""

    calls: int = 0
    refused: int = 0
    killed: int = 0
    failed: int = 0  # requests that ended in any other way, such as a database that stayed locked
    months: int = 0
    over: int = 0  # months past their budget, by the bill or by the ledger
    worst_over: float = 0.0
    wrong: int = 0  # settled requests whose cost is not their bill
    missing: int = 0  # billed requests that do not count as spent, and months that are booked too low
    above: int = 0  # bills above their reservation
    billed_picousd: int = 0
    settled_picousd: int = 0
    assumed_picousd: int = 0

    @property
    def holds(self) -> bool:
        """Whether every promise was kept."""
        return self.calls > 0 and not (self.over or self.wrong or self.missing or self.failed)

    def look(self, billed: dict[int, int], attempts: Iterable[Attempt], limit_picousd: int) -> int:
        """Hold one month of the ledger against its bill, a request a key. Return what the ledger has of it as spent."""
        held: dict[str, dict[int, int]] = {"settled": {}, "assumed": {}}
        for attempt in attempts:
            if attempt.is_spent and attempt.holding:
                held[attempt.state][attempt.reserve.id] = attempt.holding.picousd
                self.above += attempt.holding.picousd > (attempt.reserve.picousd or 0)
        settled, assumed = sum(held["settled"].values()), sum(held["assumed"].values())
        booked, bill = settled + assumed, sum(billed.values())
        self.wrong += sum(billed.get(key) != cost for key, cost in held["settled"].items())
        self.missing += len(billed.keys() - held["settled"].keys() - held["assumed"].keys()) + (booked < bill)
        self.months += 1
        self.over += max(booked, bill) > limit_picousd
        self.worst_over = max(self.worst_over, max(booked, bill) / limit_picousd - 1)
        self.billed_picousd += bill
        self.settled_picousd += settled
        self.assumed_picousd += assumed
        return booked


def month_start(number: int) -> datetime:
    """Return the first moment of a simulated month, counted from 0."""
    return datetime(2026 + number // 12, number % 12 + 1, 1, tzinfo=UTC)


def drawn(chance: random.Random) -> Try:
    """Return a request at random: its estimate errs by a fifth at most, its answer is any part of what it may be."""
    size = chance.randrange(200, 20_000)
    used = Usage(int(size * chance.uniform(0.8, 1.2)), chance.randrange(1, 1_500))
    bill = used.input_tokens * PICOUSD_IN + used.output_tokens * PICOUSD_OUT
    most, hard = Usage(int(size * 1.3) + 300, 1_500), Usage(size * 3 + 500, 1_500)
    return Try(MODEL, most, Usage(size, 1_500), hard, used, bill)


class Chaos:
    """What the processes share: one ledger on disk, a file of bills, the month it is, and how far they are.

    Args:
        folder: empty; all of it lies there.
        limit_picousd: of each month.
        processes: how many spend at once.
        draw: makes the next request; by default one at random.
        prices: of its models.
    """

    def __init__(
        self,
        folder: Path,
        limit_picousd: int,
        processes: int,
        *,
        draw: Callable[[random.Random], Try] = drawn,
        prices: Prices = PRICES,
    ) -> None:
        """Make an empty ledger with its limit."""
        self._path, self._bills = folder / "state.db", folder / "bills"
        self._limit, self._processes, self._draw, self._prices = limit_picousd, processes, draw, prices
        self._month = multiprocessing.RawValue(ctypes.c_int, 0)
        self._calls, self._refused, self._failed = (multiprocessing.RawArray(ctypes.c_int, processes) for _ in range(3))
        self._is_over = multiprocessing.RawValue(ctypes.c_bool, False)
        with open_store(self._path, SCHEMA) as store:
            TokenManager(store=store, timezone="UTC", now=self._now).set_limits(Limit(limit_picousd))

    def run(self, *, seconds: float = 3_600.0, calls: int = 10**9, seed: int = 0) -> Verdict:
        """Let them spend until the time is over or the calls are made, killing one now and then; then compare."""
        fork, verdict = multiprocessing.get_context("fork"), Verdict()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all; the one that waits speaks
        chance = random.Random(seed)  # noqa: S311
        running: dict[int, Any] = {}
        end_s, births, next_kill = time.monotonic() + seconds, 0, KILL_EVERY
        while not self._is_over.value or running:
            self._is_over.value |= time.monotonic() > end_s or sum(self._calls) >= calls
            for place in range(self._processes):
                if place in running and not running[place].is_alive():
                    ended = running.pop(place).exitcode
                    verdict.killed += ended == -signal.SIGKILL
                    verdict.failed += ended not in (0, -signal.SIGKILL)
                if place not in running and not self._is_over.value:
                    births += 1
                    running[place] = fork.Process(target=self._work, args=(place, seed * 1_000_003 + births))
                    running[place].start()
            if sum(self._calls) >= next_kill and running:
                next_kill = sum(self._calls) + chance.randrange(1, 2 * KILL_EVERY)
                chance.choice(list(running.values())).kill()
            time.sleep(LOOK_S)
        verdict.calls, verdict.refused = sum(self._calls), sum(self._refused)
        verdict.failed += sum(self._failed)
        self._compare(verdict)
        return verdict

    def _now(self) -> datetime:
        return month_start(self._month.value)

    def _work(self, place: int, seed: int) -> None:
        """Be one process: end what the dead left, then spend; where the month is used up, go on to the next."""
        chance = random.Random(seed)  # noqa: S311
        bills = os.open(self._bills, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open_store(self._path, SCHEMA) as store:
            manager = TokenManager(store=store, timezone="UTC", now=self._now, prices=self._prices)
            manager.recover()
            while not self._is_over.value:
                month = self._month.value
                try:
                    self._call(manager, bills, chance, place)
                except OverBudget:
                    self._refused[place] += 1
                    self._month.value = max(self._month.value, month + 1)
                except SessiontrackdError:
                    self._failed[place] += 1

    def _call(self, manager: TokenManager, bills: int, chance: random.Random, place: int) -> None:
        """Make one request the way the program does; the provider bills between `send` and `settle`."""
        one = self._draw(chance)
        _maybe_die(chance)
        held = manager.reserve(one.most, expected=one.expected, hard=one.hard, model=one.model)
        self._calls[place] += 1
        _maybe_die(chance)
        manager.send(held)
        _maybe_die(chance)
        os.write(bills, f"{held.id} {one.bill_picousd}\n".encode())
        _maybe_die(chance)
        manager.settle(held, one.used)
        _maybe_die(chance)

    def _compare(self, verdict: Verdict) -> None:
        """End what is left, check the chain, and hold each month against the bills.

        Raises:
            LedgerDamaged: an entry is not what was written.
        """
        lines = self._bills.read_text(encoding="ascii").splitlines() if self._bills.exists() else []
        billed = {int(key): int(cost) for key, _, cost in (line.partition(" ") for line in lines)}
        months: defaultdict[str, list[Attempt]] = defaultdict(list)
        with open_store(self._path, SCHEMA) as store:
            manager = TokenManager(store=store, timezone="UTC", now=self._now)
            manager.recover()
            manager.verify()
            for attempt in Ledger(store, ZoneInfo("UTC"), self._now).attempts():
                months[attempt.reserve.period].append(attempt)
        for attempts in months.values():
            keys = {attempt.reserve.id for attempt in attempts} & billed.keys()
            verdict.look({key: billed.pop(key) for key in keys}, attempts, self._limit)
        verdict.missing += len(billed)


def _maybe_die(chance: random.Random) -> None:
    if chance.random() < DEATH:
        os.kill(os.getpid(), signal.SIGKILL)
