"""The server's bill is the oracle: under every fault, eight at once, the ledger knows each request and never less than was billed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from sessiontrackd import budget, config
from sessiontrackd.budget import SCHEMA, Limit, TokenManager
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.errors import JobError
from sessiontrackd.insights import AIInsightGenerator
from sessiontrackd.store import open_store
from tests.counterpart import Counterpart, Fault
from tests.engines.test_claude import FAULTS
from tests.test_daemon import Daemons, daemons, eventually  # noqa: F401 - a fixture
from tests.test_insights import FOUNDED, KEY, TALK, USD, agreed, answer

AT_ONCE = 8
REFUSALS = {str(status): Fault("status", status=status) for status in (400, 401, 402, 403, 404, 413, 429, 529)}
AFTER = {"429 after": Fault("status", status=429, headers={"retry-after": "3"})}
SLOW = {"slow": Fault(delay_s=0.02), "slow 500": Fault("status", status=500, delay_s=0.02)}
ALL = {
    **FAULTS,
    **REFUSALS,
    **AFTER,
    **SLOW,
    "answer": Fault(),
    "answers": Fault(),
    "500 billed": Fault("status", status=500, billed=True),
}


def is_the_oracle(server: Counterpart, money: TokenManager, killed: int = 0) -> Counter[str]:
    """Compare ledger and bill; return how many attempts ended in which state.

    Of so many requests as were about to leave when a process was killed nobody knows whether they did.
    """
    money.verify()
    attempts = money._ledger.attempts()
    settles = Counter(
        row["attempt"]
        for row in money.store.read("SELECT attempt FROM ledger WHERE kind IN ('settle', 'release', 'assume')")
    )
    settled = sum(attempt.holding.picousd for attempt in attempts if attempt.state == "settled" and attempt.holding)

    assert len(attempts) - killed <= len(server.requests) <= len(attempts)
    assert server.invalid == []
    assert set(settles.values()) == {1}
    assert {attempt.state for attempt in attempts} <= {"settled", "released", "assumed"}
    assert money.status().reserved_picousd == 0
    assert money.status().spent_picousd >= server.billed_picousd >= settled
    return Counter(attempt.state for attempt in attempts)


@pytest.mark.parametrize(("number", "seed"), [(40, 3), pytest.param(1_000, 4, marks=pytest.mark.prove)])
def test_eight_at_once_under_every_fault(tmp_path: Path, number: int, seed: int) -> None:
    """Whatever is refused, cut, slow, nonsense or without shape, in any order."""
    chance = random.Random(seed)

    async def never(_: float) -> None:
        await asyncio.sleep(0)

    async def work(server: Counterpart, money: TokenManager) -> None:
        engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=server.base_url)
        generator = AIInsightGenerator(money, engine=engine, consent=agreed, sleep=never)
        left = iter(range(number))

        async def one() -> None:
            for job in left:
                with contextlib.suppress(JobError):
                    await generator.generate_insights([*TALK, {"role": "user", "content": f"Job {job}."}])

        async with contextlib.aclosing(generator), asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(one())

    said = [answer(FOUNDED), answer(FOUNDED), "no shape"]
    with open_store(tmp_path / "state.db", SCHEMA) as store, Counterpart(lambda _: chance.choice(said)) as server:
        money = TokenManager(store=store, timezone="UTC")
        money.set_limits(Limit(100 * USD))
        faults = [*ALL.values(), *chance.choices(list(ALL.values()), k=3 * number)]
        chance.shuffle(faults)
        server.script += faults
        asyncio.run(work(server, money))
        ended = is_the_oracle(server, money)

    assert all(ended[state] >= number // 10 for state in ("settled", "released", "assumed"))


@pytest.mark.prove
@pytest.mark.parametrize("killed", [False, True])
def test_a_real_daemon_under_every_fault(daemons: Daemons, killed: bool) -> None:  # noqa: F811
    """Its worker asks eight at once; killed in the middle, what was in flight counts at its most."""
    chance = random.Random(5)
    with Counterpart(lambda _: answer()) as server:
        daemons.ask(server)
        config.set_value(daemons.home, "daemon.calls_at_once", AT_ONCE)
        for number in range(24):
            daemons.talk(f"{number}.jsonl", number)
        refusals = [each for name, each in ALL.items() if name not in ("401", "402", "403", "404")]
        server.script += [Fault(delay_s=0.3, billed=True), *chance.choices(refusals, k=40)]
        if killed:
            process = daemons.start()
            eventually(lambda: len(server.requests) >= 6)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), signal.SIGKILL)
            process.terminate()
            process.wait(30)
        daemons.run_until_idle()

        assert len(list(daemons.folder.glob("*.insights.md"))) == 24
        with open_store(daemons.home.db_path, budget.SCHEMA) as store:
            money = TokenManager(store=store, timezone="UTC")
            money.recover()
            assert is_the_oracle(server, money, AT_ONCE * killed)["settled"] > 0
