"""Measure what a base install adds: megabytes and distributions, in all and for each dependency; exit 1 above the limits.

A fresh virtual environment gets the wheel with the pinned versions. A dependency's own share is what would not be there
without it: itself and whatever no other dependency needs too.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LIMIT_MB = 115
LIMIT_DISTRIBUTIONS = 45
NOT_OURS = {"pip", "setuptools", "wheel"}  # what a fresh environment holds anyway

LIST = """
import importlib.metadata as m, json, os, re
canon = lambda name: re.sub(r"[-_.]+", "-", name).lower()
def size(dist):
    paths = {os.path.realpath(dist.locate_file(f)) for f in dist.files or ()}
    return sum(os.stat(p).st_blocks * 512 for p in paths if os.path.exists(p))
print(json.dumps({canon(d.name): {"bytes": size(d), "version": d.version, "requires": d.requires or []} for d in m.distributions()}))
"""


def needs(requires: list[str], installed: dict[str, dict[str, object]]) -> set[str]:
    """Return the installed distributions that a list of requirements names, extras left out."""
    names = {
        re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]).lower()
        for line in requires
        if "extra ==" not in line
    }
    return names & set(installed)


def reachable(start: set[str], graph: dict[str, set[str]]) -> set[str]:
    """Return everything that is installed because of `start`."""
    seen: set[str] = set()
    left = set(start)
    while left:
        name = left.pop()
        seen.add(name)
        left |= graph[name] - seen
    return seen


def install(folder: str) -> dict[str, dict[str, object]]:
    """Install the checkout's wheel into a fresh environment and return its distributions."""
    venv.create(folder, with_pip=True)
    python = os.path.join(folder, "bin", "python")
    quiet = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*quiet, "-c", "constraints.txt", "."], cwd=CHECKOUT, check=True)
    listed = subprocess.run([python, "-c", LIST], capture_output=True, text=True, check=True)
    found: dict[str, dict[str, object]] = json.loads(listed.stdout)
    return {name: dist for name, dist in found.items() if name not in NOT_OURS}


def main() -> int:
    """Print the table of docs/why.md and the totals."""
    with tempfile.TemporaryDirectory() as folder:
        installed = install(folder)
    size = {name: int(str(dist["bytes"])) / 1e6 for name, dist in installed.items()}
    graph = {name: needs(list(dist["requires"]), installed) for name, dist in installed.items()}
    direct = graph["sessiontrackd"]
    print(
        "| dependency | MB of its own | distributions of its own | MB with all it needs | distributions with all it needs |"
    )
    print("|---|---|---|---|---|")
    for name in sorted(direct, key=lambda name: -sum(size[n] for n in reachable({name}, graph))):
        whole = reachable({name}, graph)
        own = whole - reachable(direct - {name}, graph)
        cells = [f"{sum(size[n] for n in own):.1f}", len(own), f"{sum(size[n] for n in whole):.1f}", len(whole)]
        print(f"| {name} {installed[name]['version']} | " + " | ".join(map(str, cells)) + " |")
    total = sum(size.values())
    print(
        f"\nall, sessiontrackd included: {total:.1f} MB of {LIMIT_MB}, {len(size)} distributions of {LIMIT_DISTRIBUTIONS}"
    )
    return int(total > LIMIT_MB or len(size) > LIMIT_DISTRIBUTIONS)


if __name__ == "__main__":
    sys.exit(main())
