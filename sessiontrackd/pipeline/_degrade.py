"""What happens when the budget has no room: wait for requests in flight, hold back, and say what was reduced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from msgspec import structs

from sessiontrackd.budget import TokenManager
from sessiontrackd.errors import OverBudget, Waiting
from sessiontrackd.insights import is_begun
from sessiontrackd.model import Degraded, Insight, InsightLevel
from sessiontrackd.pricing import usd_shown

ROOM_LOOK_S = 0.1  # between two looks whether requests in flight have ended
ROOM_PATIENCE_S = 600.0  # twice the longest that a request takes
PACE_LOOK_MOST_S = 6 * 3600.0  # a budget may be raised meanwhile


async def when_it_fits(
    money: TokenManager, make: Callable[[], Awaitable[Insight]], folder: str | None, project: str | None
) -> Insight:
    """Make an insight; where requests in flight alone leave no room for it, wait for them and try again.

    Most of them are billed far below their bound.

    Raises:
        OverBudget: there is no room for it.
        JobError: it cannot be made for another reason.
    """
    give_up_s = time.monotonic() + ROOM_PATIENCE_S
    while True:
        try:
            return await make()
        except OverBudget as reason:
            cost, standing = reason.cost_picousd, money.status()
            if cost is None or time.monotonic() > give_up_s or not money.may_fit_later(cost, folder, project):
                raise
        while money.status() == standing and time.monotonic() < give_up_s:  # noqa: ASYNC110 - another process may settle
            await asyncio.sleep(ROOM_LOOK_S)


def hold_back(money: TokenManager, most_ahead: float, degrade: str, folder: str | None, project: str | None) -> None:
    """Refuse to spend where spending runs further ahead of the month than the user allows.

    Args:
        money: whose budgets.
        most_ahead: per cent of the budget.
        degrade: what the user wants to happen then.
        folder: the work is for.
        project: the work is for.

    Raises:
        OverBudget: it does.
        Waiting: it does, and the user wants what has no room to wait.
    """
    pace = money.pace(folder, project)
    if pace is None or pace.ahead_percent <= most_ahead:
        return
    text = (
        f"Spending runs ahead of the month: {pace.used_percent:.0f} % of the budget of {pace.scope} is used or set aside, "
        f"{pace.passed_percent:.0f} % of the month has passed, and budget.may_run_ahead is {most_ahead:g}."
    )
    if degrade == "hold":
        raise Waiting(text, min(pace.back_in(most_ahead).total_seconds(), PACE_LOOK_MOST_S) + 1)
    raise OverBudget(text, 0)


def instead(insight: Insight, less: Degraded) -> Insight:
    """Say in the note that it is less than was asked for."""
    price = "" if less.cost_picousd is None else f", which may cost up to {usd_shown(less.cost_picousd)}"
    if is_begun(insight):
        text = f"Only {insight.provenance['note']}: the budget of {less.period} had no room for the rest{price}."
    else:
        maker = "by the local engine" if insight.engine == "local" else f"at the level {insight.level}"
        text = (
            f"Made {maker}: the budget of {less.period} had no room for {less.engine} at the level {less.level}{price}."
        )
    return structs.replace(insight, provenance={**insight.provenance, "instead": text})


def levels_below(level: InsightLevel) -> tuple[InsightLevel, ...]:
    """Return the levels below one, the highest first."""
    levels = tuple(InsightLevel)
    return levels[: levels.index(level)][::-1]
