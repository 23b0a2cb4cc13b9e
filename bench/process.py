"""CPU of `process` on generated sessions, in one run with claude-code-log where it is installed.

python bench/process.py GEN.PY [--megabytes 100] [--rounds 3] [--peer PATH/claude-code-log]

GEN.PY is the generator of sessions (`gen.py sessions 100MB DIR`). Both sides are byte-compiled, started once, then run in turn;
medians of CPU seconds (user and system, children included) are printed, and how many sessions each side wrote.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"  # beside the checkout, where it is

LEVELS = {"minimal": (32.0, 25), "standard": (20.0, 15)}
"""A level → the least MB a CPU second, and the peer's CPU it should undercut so many times."""


def spent_s() -> float:
    """Return the CPU seconds of all children that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(words: Sequence[str], home: Path) -> float:
    """Run a command in a home of its own and return its CPU seconds."""
    before = spent_s()
    keep = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(words, env={**keep, "HOME": str(home)}, check=True, capture_output=True)
    return spent_s() - before


def ours(level: str, source: Path, work: Path) -> tuple[float, int]:
    """Process a fresh copy with a fresh home; return CPU seconds and how many notes there are."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, work / "in")
    words = [
        sys.executable,
        "-m",
        "sessiontrackd",
        "--home",
        str(work / "home"),
        "process",
        str(work / "in"),
        "--level",
        level,
    ]
    used_s = measured(words, work)
    return used_s, sum(1 for _ in (work / "in").rglob("*.insights.md"))


def theirs(peer: Path, source: Path, work: Path) -> tuple[float, int]:
    """Render a fresh copy to Markdown; return CPU seconds and how many session files there are."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, work / "in")
    projects = work / "in" / "projects"
    words = [
        str(peer),
        str(projects),
        "--all-projects",
        "--projects-dir",
        str(projects),
        "-o",
        str(work / "out"),
        "-f",
        "md",
        "-j",
        "1",
    ]
    used_s = measured(words, work)
    return used_s, sum(1 for folder in (work / "out", work / "in") for _ in folder.rglob("session-*.md"))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", type=Path, metavar="GEN.PY", nargs="?", default=SHARED / "bench" / "gen.py")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", type=Path, help="claude-code-log's command")
    chosen = parser.parse_args()
    if not chosen.generator.exists():
        print(f"no {chosen.generator}: nothing to measure with")
        return 0
    with tempfile.TemporaryDirectory(prefix="process-bench-") as name:
        root = Path(name)
        source = root / "source"
        subprocess.run(
            [sys.executable, str(chosen.generator), "sessions", f"{chosen.megabytes}MB", str(source)],
            check=True,
            capture_output=True,
        )
        return report(source, root / "work", chosen.rounds, chosen.peer)


def report(source: Path, work: Path, rounds: int, peer: Path | None) -> int:
    """Run the rounds, interleaved, and print medians; return how many aims were missed."""
    megabytes = sum(path.stat().st_size for path in source.rglob("*.jsonl")) / 1e6
    used: dict[str, list[float]] = {name: [] for name in (*LEVELS, *(["peer"] if peer else []))}
    written: dict[str, int] = {}
    ours("minimal", source, work)  # byte-compiles, warms the page cache
    for _ in range(rounds):
        for name, found in used.items():
            cpu_s, written[name] = theirs(peer, source, work) if name == "peer" and peer else ours(name, source, work)
            found.append(cpu_s)
    missed = 0
    peer_s = statistics.median(used["peer"]) if peer else None
    if peer_s is not None:
        print(f"claude-code-log  {peer_s:6.2f} s CPU  {megabytes / peer_s:5.1f} MB/s  {written['peer']} session files")
    for level, (least, times) in LEVELS.items():
        cpu_s = statistics.median(used[level])
        ratio = f"  1/{peer_s / cpu_s:.1f} of it (aim 1/{times})" if peer_s else ""
        print(
            f"{level:15}  {cpu_s:6.2f} s CPU  {megabytes / cpu_s:5.1f} MB/s (aim {least:.0f})  {written[level]} notes{ratio}"
        )
        missed += megabytes / cpu_s < least or (peer_s is not None and peer_s / cpu_s < times)
    if peer is None:
        print("claude-code-log is not measured: name its command with --peer")
    return missed


if __name__ == "__main__":
    sys.exit(main())
