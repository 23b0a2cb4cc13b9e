"""A million simulated calls against the ledger's own code: is any month overspent, and how much of it stays unused?

python bench/budget_sim.py [--calls 1000000] [--file-calls 10000] [--rows FILE] [--seed N] [--json]

Prompts are sums of real tool results, so that the estimates err as they really do; answers are as long as real ones. Each
month has one budget and more work than it pays for; it ends when none of five waiting calls fits and nothing is on its
way any more. Where a level is too dear for what is left, the next lower one is asked for. Calls die at every edge of their states, are refused, or time out, billed or not. The bill is the bench's own sum.
Then the same on a real file with synchronous=FULL, by processes that are killed. The rows: usage.jsonl.gz of real usage.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import multiprocessing
import os
import random
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, structs

from sessiontrackd.budget import SCHEMA, Ledger, Limit, TokenManager
from sessiontrackd.errors import OverBudget
from sessiontrackd.model import Reservation, Usage
from sessiontrackd.pricing import Prices
from sessiontrackd.prove import Chaos, Try, Verdict, month_start
from sessiontrackd.store import Store
from sessiontrackd.tokens import Calibration, expected_tokens

ROWS = Path(__file__).resolve().parent.parent.parent / "shared" / "tokens" / "usage.jsonl.gz"
USD = 10**12
BUDGET = 5 * USD
CONCURRENCY = (1, 4, 16)
CHUNK = 10_000  # calls on one in-memory database
PROMPT_TOKENS = (500, 2_000, 8_000, 20_000)  # cl100k tokens from which on rows make a prompt
MAX_OUTPUT = (400, 1_500, 6_000)  # of the three levels
QUEUE = 5  # jobs that wait at once
HARD_TOKENS = 500
CRASH = 0.001  # of the calls, at each edge: before it is reserved, reserved, sent, billed, settled
REFUSED = 0.005
TIMEOUT = 0.002  # half of them were billed
TURN = 0.0005  # the month ends by the calendar, with calls on their way
# Picousd a token, written down apart from the program's own prices: input, output; above 100,000 of prompt.
PRICES = {
    "claude-sonnet-5-5": ((2_000_000, 10_000_000), None),
    "claude-haiku-5-5": ((100_000, 500_000), (500_000, 2_500_000)),
}
NEVER_OLD = Prices(confirmed_on=date.max)
MODELS = ("claude-sonnet-5-5",) * 4 + ("claude-haiku-5-5",)


class Call(NamedTuple):
    """One request: what is estimated of it and what it will be billed with."""

    model: str
    plain: float  # estimated tokens of the prompt before anything was learned
    classes: tuple[int, ...]
    prompt: int
    output: int
    most_output: int

    def as_try(self, known: Calibration) -> Try:
        """Return what is known of it before it is sent."""
        counts, bytes_ = known.counts(self.plain, self.classes), sum(self.classes)
        most, expected, hard = (
            Usage(tokens, self.most_output) for tokens in (counts.most, counts.expected, bytes_ + HARD_TOKENS)
        )
        return Try(self.model, most, expected, hard, Usage(self.prompt, self.output), self.bill_picousd())

    def bill_picousd(self) -> int:
        """Return what the provider charges."""
        low, high = PRICES[self.model]
        rate = high if high and self.prompt > 100_000 else low
        return self.prompt * rate[0] + self.output * rate[1]


def read(path: Path) -> list[dict[str, Any]]:
    """Return the rows, in order of time."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.decode().splitlines() if line.strip()]


def prompts(rows: list[dict[str, Any]]) -> list[tuple[float, tuple[int, ...], int]]:
    """Add up tool results of a session until they are a prompt: estimate, bytes of each class, billed tokens."""
    usable = [
        row
        for row in rows
        if row["side"] == "input" and row["family"] == "new" and row["chars"] >= 150 and row["tokens"] > 20
        if 0.1 < row["tokens"] / row["chars"] < 1.6
    ]
    sessions: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in usable:
        sessions[row["session"], row["model"]].append(row)
    found = []
    for least in PROMPT_TOKENS:
        for session in sessions.values():
            group: list[dict[str, Any]] = []
            for row in session:
                group.append(row)
                if sum(one["cl100k"] for one in group) >= least:
                    found.append(_prompt(group))
                    group = []
    return found


def _prompt(group: list[dict[str, Any]]) -> tuple[float, tuple[int, ...], int]:
    classes = tuple(sum(row["classes"][at] for row in group) for at in range(len(group[0]["classes"])))
    cl100k = sum(row["cl100k"] for row in group)
    plain = expected_tokens(classes, "new", cl100k=cl100k, blocks=len(group))
    return plain, classes, sum(row["tokens"] for row in group)


@dataclass
class Source:
    """Draws calls from what was real."""

    chance: random.Random
    prompts: list[tuple[float, tuple[int, ...], int]]
    outputs: list[int]

    def call(self) -> Call:
        """Return the next one."""
        plain, classes, prompt = self.chance.choice(self.prompts)
        most = self.chance.choice(MAX_OUTPUT)
        return Call(
            self.chance.choice(MODELS), plain, classes, prompt, min(self.chance.choice(self.outputs), most), most
        )


@dataclass
class Month:
    """What one month came to: what was billed by attempt, and how it ended."""

    billed: dict[int, int] = field(default_factory=dict)
    is_used_up: bool = False


@dataclass
class Flight:
    """A call on its way."""

    call: Call
    held: Reservation
    month: Month
    estimate: float
    owner: str


class Shared(Store):
    """A database in memory that stands for one used by several processes."""

    def __init__(self) -> None:
        """Begin with the first process."""
        super().__init__(None)
        self.present = ""
        self.dead: set[str] = set()

    @property
    def owner(self) -> str:
        """The process that asks."""
        return self.present

    def is_alive(self, owner: str) -> bool:
        """Say whether that process lives."""
        return owner not in self.dead


class Tally(Struct):
    """What came out: of the ledger, of how full its months were, and of check-then-record."""

    verdict: Verdict = msgspec.field(default_factory=Verdict)
    used_up: int = 0
    unused: float = 0.0
    worst_unused: float = 0.0
    naive_months: int = 0
    naive_over: int = 0
    naive_worst: float = 0.0

    def add(self, other: Tally) -> None:
        """Add another one up."""
        for mine, theirs in ((self, other), (self.verdict, other.verdict)):
            for name, value in structs.asdict(theirs).items():
                if name != "verdict":
                    old = getattr(mine, name)
                    setattr(mine, name, max(old, value) if "worst" in name else old + value)


class World:
    """One process group's months on one database.

    Args:
        source: of the calls.
        concurrency: how many are on their way at once.
    """

    def __init__(self, source: Source, concurrency: int) -> None:
        """Open an empty ledger."""
        self.source, self.chance, self.concurrency = source, source.chance, concurrency
        self.store = Shared()
        self.store.connection.executescript("".join(SCHEMA.migrations))
        self.at = month_start(0)
        self.manager = TokenManager(store=self.store, timezone="UTC", now=lambda: self.at, prices=NEVER_OLD)
        self.manager.set_limits(Limit(BUDGET))
        self.learned: dict[str, Calibration] = {}
        self.month, self.flights, self.tally = Month(), list[Flight](), Tally()
        self.months = [self.month]
        self.births = 0
        self.naive = Naive(concurrency)

    def run(self, calls: int) -> Tally:
        """Make so many calls, then compare."""
        waiting: list[Call] = []
        while self.tally.verdict.calls < calls:
            waiting += [self.source.call() for _ in range(QUEUE - len(waiting))]
            while len(self.flights) < self.concurrency and waiting:
                call = waiting.pop(0)
                if self.start(call):
                    self.naive.take(call, self.chance)
                    waiting.append(self.source.call())
                    continue
                waiting.insert(0, call)
                if self.flights or not self.start_another(waiting):
                    break
            if self.flights:
                self.finish(self.flights.pop(self.chance.randrange(len(self.flights))))
            else:
                self.month.is_used_up = True
                self.turn()
            if self.chance.random() < TURN:
                self.turn()
        while self.flights:
            self.finish(self.flights.pop())
        self.compare()
        return self.tally

    def start_another(self, waiting: list[Call]) -> bool:
        """Try the other jobs that wait, as the program does when it holds one; False where none fits."""
        for call in waiting[1:]:
            if self.start(call):
                waiting.remove(call)
                self.naive.take(call, self.chance)
                return True
        return False

    def start(self, call: Call) -> bool:
        """Reserve and send as the program does; False where the budget refuses."""
        if self.dies():
            return True
        self.births += 1
        self.store.present = owner = f"p{self.births}"
        try:
            call, held = self.reserve(call)
        except OverBudget:
            self.tally.verdict.refused += 1
            return False
        self.tally.verdict.calls += 1
        if self.dies():
            self.bury(owner)
            return True
        self.manager.send(held)
        self.flights.append(Flight(call, held, self.month, call.plain, owner))
        return True

    def reserve(self, call: Call) -> tuple[Call, Reservation]:
        """Set the money aside; where there is too little for a level, go down to the next, as the program does."""
        known = self.learned.get(call.model, Calibration())
        while True:
            one = call.as_try(known)
            try:
                return call, self.manager.reserve(one.most, expected=one.expected, hard=one.hard, model=one.model)
            except OverBudget:
                lower = [most for most in MAX_OUTPUT if most < call.most_output]
                if not lower:
                    raise
                call = call._replace(most_output=lower[-1], output=min(call.output, lower[-1]))

    def finish(self, flight: Flight) -> None:
        """Let the provider answer, or not."""
        luck = self.chance.random()
        if luck < REFUSED:
            self.manager.release(flight.held, "429")
            return
        if luck < REFUSED + TIMEOUT:
            if self.chance.random() < 0.5:
                self.bill(flight)
            self.manager.assume(flight.held, "time-out")
            return
        if self.dies():
            self.bury(flight.owner)
            return
        self.bill(flight)
        if self.dies():
            self.bury(flight.owner)
            return
        call = flight.call
        self.manager.settle(flight.held, Usage(call.prompt, call.output))
        known = self.learned.get(call.model, Calibration())
        self.learned[call.model] = known.after(flight.estimate, call.prompt)
        if self.dies():
            self.bury(flight.owner)

    def bill(self, flight: Flight) -> None:
        """Charge it, whatever becomes of the answer."""
        flight.month.billed[flight.held.id] = flight.call.bill_picousd()

    def dies(self) -> bool:
        """Say whether the process dies here."""
        return self.chance.random() < CRASH

    def bury(self, owner: str) -> None:
        """A process died; the next one that starts ends what it left."""
        self.tally.verdict.killed += 1
        self.store.dead.add(owner)
        self.manager.recover()

    def turn(self) -> None:
        """Go on to the next month; what is on its way stays in its own."""
        self.at = month_start(len(self.months))
        self.month = Month()
        self.months.append(self.month)

    def compare(self) -> None:
        """Hold the ledger against the bill, month by month."""
        self.manager.verify()
        attempts = defaultdict(list)
        for attempt in Ledger(self.store, ZoneInfo("UTC"), lambda: self.at).attempts():
            attempts[attempt.reserve.period].append(attempt)
        for number, month in enumerate(self.months):
            booked = self.tally.verdict.look(month.billed, attempts[f"{month_start(number):%Y-%m}"], BUDGET)
            if month.is_used_up:
                unused = 1 - booked / BUDGET
                self.tally.used_up += 1
                self.tally.unused += unused
                self.tally.worst_unused = max(self.tally.worst_unused, unused)
        for name in ("naive_months", "naive_over", "naive_worst"):
            setattr(self.tally, name, getattr(self.naive, name))


class Naive:
    """Check that something is left, send, write down afterwards: what is usually done."""

    def __init__(self, concurrency: int) -> None:
        """Begin a month."""
        self.concurrency = concurrency
        self.spent, self.flying = 0, list[int]()
        self.naive_months = self.naive_over = 0
        self.naive_worst = 0.0

    def take(self, call: Call, chance: random.Random) -> None:
        """Do the same call its way."""
        if self.spent >= BUDGET:
            self.spent += sum(self.flying)
            self.naive_months += 1
            self.naive_over += self.spent > BUDGET
            self.naive_worst = max(self.naive_worst, self.spent / BUDGET - 1)
            self.spent, self.flying = 0, []
        self.flying.append(call.bill_picousd())
        if len(self.flying) >= self.concurrency:
            self.spent += self.flying.pop(chance.randrange(len(self.flying)))


@dataclass(frozen=True)
class Material:
    """What calls are drawn from."""

    prompts: list[tuple[float, tuple[int, ...], int]]
    outputs: list[int]

    def source(self, seed: int) -> Source:
        """Return one of the endless rows of calls."""
        return Source(random.Random(seed), self.prompts, self.outputs)


MATERIAL: list[Material] = []  # of this process, filled before it forks


def chunk(job: tuple[int, int, int]) -> tuple[int, Tally]:
    """Run one chunk: concurrency, calls, seed."""
    concurrency, calls, seed = job
    return concurrency, World(MATERIAL[0].source(seed), concurrency).run(calls)


def in_memory(calls: int, seed: int) -> dict[int, Tally]:
    """Run all chunks on both cores."""
    share = math.ceil(calls / len(CONCURRENCY))
    chunks = max(1, round(share / CHUNK))
    jobs = [
        (concurrency, math.ceil(share / chunks), 1_000_000 * seed + 1_000 * concurrency + number)
        for number in range(chunks)
        for concurrency in CONCURRENCY
    ]
    tallies = {concurrency: Tally() for concurrency in CONCURRENCY}
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:  # it says when one of them dies
        for concurrency, tally in pool.map(chunk, jobs):
            tallies[concurrency].add(tally)
    return tallies


def on_files(calls: int, material: Material) -> dict[int, Tally]:
    """Make calls by real processes on a real file, killing them."""

    def draw(chance: random.Random) -> Try:
        return Source(chance, material.prompts, material.outputs).call().as_try(Calibration())

    found = {}
    for concurrency in CONCURRENCY:
        with tempfile.TemporaryDirectory() as folder:
            chaos = Chaos(Path(folder), BUDGET, concurrency, draw=draw, prices=NEVER_OLD)
            found[concurrency] = Tally(chaos.run(calls=calls // len(CONCURRENCY), seed=concurrency))
    return found


HEADER = "                   calls    deaths   months   over  wrong missing above  unused of used-up months  check-then-record"


def shown(name: str, tally: Tally) -> str:
    """Say in one line what came out."""
    unused = f"{tally.unused / tally.used_up:.2%} (worst {tally.worst_unused:.2%})" if tally.used_up else "–"
    naive = f"{tally.naive_over}/{tally.naive_months} (worst {tally.naive_worst:.1%})" if tally.naive_months else "–"
    it = tally.verdict
    return (
        f"{name:14} {it.calls:9,} {it.killed:9,} {it.months:8,} {it.over:6} {it.wrong:6} {it.missing:7} {it.above:5}  "
        f"{unused:24} {naive}"
    )


def main() -> None:
    """Print what came out of both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--file-calls", type=int, default=10_000)
    parser.add_argument("--rows", type=Path, default=ROWS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = read(chosen.rows)
    outputs = [row["tokens"] for row in rows if row["side"] == "output" and row["tokens"] > 1]
    MATERIAL.append(Material(prompts(rows), outputs))
    for model in PRICES:
        NEVER_OLD.tariff(model, month_start(0))  # so that no process has to import the price package
    began_s = time.monotonic()
    found = {f"memory × {number}": tally for number, tally in in_memory(chosen.calls, chosen.seed).items()}
    memory_s = time.monotonic() - began_s
    found |= {f"file × {number}": tally for number, tally in on_files(chosen.file_calls, MATERIAL[0]).items()}
    whole_s = time.monotonic() - began_s
    cpu_s = sum(os.times()[:4])
    if chosen.json:
        tallies = {
            name: structs.asdict(tally) | {"verdict": structs.asdict(tally.verdict)} for name, tally in found.items()
        }
        print(json.dumps({"seconds": whole_s, "cpu_seconds": cpu_s} | tallies))
        return
    print(HEADER)
    for name, tally in found.items():
        print(shown(name, tally))
    print(f"{memory_s:.0f} s in memory, {whole_s - memory_s:.0f} s on files, {cpu_s:.0f} s of CPU time.")
    print("over: months past their budget · wrong: settled, but not at the bill · missing: billed and not booked ·")
    print("above: bills above their reservation.")


if __name__ == "__main__":
    main()
