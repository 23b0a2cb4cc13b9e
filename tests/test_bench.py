"""The benchmarks run with the code as it is; what they measure is looked at when they are run in full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
SAMPLES = BENCH.parent / "sessiontrackd" / "samples"
IN_SMALL = {
    "budget_sim": ["--calls", "300", "--file-calls", "6", "--json"],
    "condense": [str(SAMPLES), "--most", "1", "--json"],
    "credentials": [],
    "insights": [str(SAMPLES)],
    "process": ["--megabytes", "1", "--rounds", "1"],
    "redaction": ["--json"],
    "tokens": [],
}
ELSEWHERE = {"daemon", "eval_claude", "install_size", "judged", "porter", "readers"}  # they need minutes, money or more
AIMS_MISSED = 2  # so small a run says nothing of speed


@pytest.mark.parametrize(("name", "words"), IN_SMALL.items(), ids=IN_SMALL)
def test_a_benchmark_runs(name: str, words: list[str], shared: Path) -> None:
    """In small, on the shared material: it ends in order and says something."""
    done = subprocess.run([sys.executable, BENCH / f"{name}.py", *words], capture_output=True, text=True, check=False)
    assert done.returncode in (0, AIMS_MISSED), done.stderr
    assert done.stdout
    assert "Traceback" not in done.stderr


def test_each_benchmark_is_thought_of() -> None:
    """A new one is run here in small, or named as too large."""
    assert {path.stem for path in BENCH.glob("*.py")} == IN_SMALL.keys() | ELSEWHERE
