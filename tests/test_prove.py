"""A chaos run of the ledger: what holds, and that a verdict could be otherwise."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sessiontrackd.budget import SCHEMA, Ledger, TokenManager
from sessiontrackd.model import Usage
from sessiontrackd.prove import Chaos, Verdict
from sessiontrackd.store import open_store

USD = 10**12
COST = 5 * USD // 1000  # of Haiku's 10,000 in and 8,000 out


def test_chaos_overspends_no_month(tmp_path: Path) -> None:
    """Processes that spend at once and are killed at every edge and from outside: the ledger holds against the bill."""
    verdict = Chaos(tmp_path, USD // 10, 3).run(calls=60, seed=7)

    assert verdict.holds
    assert verdict.killed > 0
    assert verdict.months > 2
    assert verdict.settled_picousd + verdict.assumed_picousd >= verdict.billed_picousd > 0


@pytest.mark.prove
@pytest.mark.parametrize("processes", [1, 4, 16])
def test_chaos_for_long(tmp_path: Path, processes: int) -> None:
    """The same with a thousand requests, by one process, four and sixteen."""
    assert Chaos(tmp_path, USD, processes).run(calls=1_000, seed=processes).holds


def test_a_verdict_names_what_is_broken() -> None:
    """A bill past the budget, a settled cost that is not the bill, and a bill that is not booked."""
    now = datetime(2026, 11, 24, tzinfo=UTC)
    with open_store(None, SCHEMA) as store:
        manager = TokenManager(1, store=store, timezone="UTC", now=lambda: now)
        settled, assumed = (manager.reserve(Usage(10_000, 8_000)) for _ in range(2))
        manager.settle(settled, Usage(10_000))
        manager.assume(assumed)
        attempts = Ledger(store, ZoneInfo("UTC"), lambda: now).attempts()

    def look(limit: int, **billed: int) -> tuple[int, int, int, bool]:
        verdict = Verdict(calls=2)
        verdict.look({int(key[1:]): cost for key, cost in billed.items()}, attempts, limit)
        return verdict.over, verdict.wrong, verdict.missing, verdict.holds

    first, second = f"n{settled.id}", f"n{assumed.id}"
    assert look(USD, **{first: USD // 1000, second: COST}) == (0, 0, 0, True)
    assert look(5 * USD // 1000, **{first: USD // 1000}) == (1, 0, 0, False)
    assert look(USD, **{first: USD // 1000 + 1}) == (0, 1, 0, False)
    assert look(USD, **{first: USD // 1000, "n99": 1}) == (0, 0, 1, False)
