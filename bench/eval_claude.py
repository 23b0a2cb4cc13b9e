"""Compare a paid engine with the local one on transcripts of yours: `make eval-claude FILES="a.jsonl b.jsonl"`.

Costs money: your key, your budget (`budget set`) and your consent (`consent grant --api`) are used. Without files it does nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from sessiontrackd import readers
from sessiontrackd.budget import TokenManager
from sessiontrackd.config import Home, load
from sessiontrackd.engines import make_engine
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.insights import LEVELS, AIInsightGenerator, read_session
from sessiontrackd.model import Insight, InsightLevel
from sessiontrackd.records import open_source

LEVEL = InsightLevel.STANDARD


def shown(name: str, insight: Insight) -> None:
    """Print what one engine made."""
    facts = insight.provenance
    checked = (
        f"{facts['quotes_kept']} of {facts['quotes_checked']} quotes kept"
        if "quotes_checked" in facts
        else "all quoted"
    )
    replaced = f", {' and '.join(facts['replaced'])} left out" if facts.get("replaced") else ""
    print(f"  {name:7} ${insight.cost_picousd / 10**12:.6f}, {checked}{replaced}")
    print(f"          {insight.title}\n          {insight.summary}")
    for finding in insight.findings:
        if finding.kind in ("decision", "cause", "todo", "question"):
            print(f"          - {finding.kind}: {finding.text}")


async def compare(paths: list[Path]) -> int:
    """Ask both about the newest session of each transcript; return how many could not be asked about."""
    home = Home.find()
    money, failed = TokenManager(home=home), 0
    engine = make_engine("claude", home, load(home), LEVELS[LEVEL].model)
    async with contextlib.aclosing(AIInsightGenerator(money, engine=engine)) as paid:
        for path in paths:
            print(path)
            try:
                reading = [read_session(each, LEVEL) for each in readers.read(open_source(path)).sessions][-1]
                shown("local", await AIInsightGenerator().insight(reading, LEVEL))
                shown("claude", await paid.insight(reading, LEVEL))
            except (SessiontrackdError, IndexError) as error:
                failed += 1
                print(f"  not asked: {error or 'no session is in it'}")
    return failed


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(1 if asyncio.run(compare([Path(word) for word in sys.argv[1:]])) else 0)
    print('nothing was asked: make eval-claude FILES="a.jsonl b.jsonl"')
