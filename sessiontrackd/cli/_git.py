"""Keep reports out of a person's commits: find the work tree of a folder and its private list of ignored names."""

from __future__ import annotations

import subprocess
from pathlib import Path

PATTERNS = ("*.insights.md", "*.insights.[0-9]*.md", "*.insights/")
GIT_S = 5.0  # git answers in milliseconds; a hung network mount must not hang us


def work_tree_of(folder: Path) -> Path | None:
    """Return the git work tree that the folder lies in."""
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)


def ignored_names_path(tree: Path) -> Path | None:
    """Return the file whose names git ignores in this clone alone; None where git cannot tell."""
    words = ["git", "-C", str(tree), "rev-parse", "--git-path", "info/exclude"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=GIT_S)
    except (OSError, subprocess.SubprocessError):
        return None
    return tree / done.stdout.strip()


def ignore_reports(exclude_path: Path) -> None:
    """Add the names of reports to the list, once."""
    there = exclude_path.read_text(encoding="utf-8", errors="surrogateescape") if exclude_path.exists() else ""
    missing = [pattern for pattern in PATTERNS if pattern not in there.splitlines()]
    if missing:
        exclude_path.parent.mkdir(parents=True, exist_ok=True)
        gap = "\n" if there and not there.endswith("\n") else ""
        with exclude_path.open("a", encoding="utf-8") as file:
            file.write(gap + "".join(f"{pattern}\n" for pattern in missing))
