"""What a person found good in the notes of real sessions stays good."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parent.parent / "bench" / "judged.py"
LEAST_JUDGED = {"title": 60, "outcome": 60, "decision": 40, "open": 20, "fix": 10}
"""How many items the corpus must still have judged; it has no more decisions, open items and fixes to judge."""


def judged() -> ModuleType:
    spec = importlib.util.spec_from_file_location("judged", BENCH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judged"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.prove
def test_most_items_were_found_good(shared: Path) -> None:
    """Of the items that were read and judged as many are good as is aimed at, and enough of today's were judged."""
    bench = judged()
    found = bench.shares(shared / "corpus")

    assert {
        kind: good / judged for kind, (good, judged, _) in found.items() if good < bench.WANTED[kind] * judged
    } == {}
    assert {kind: judged for kind, (_, judged, _) in found.items() if judged < LEAST_JUDGED[kind]} == {}
