"""Find many plain strings in one pass, those that overlap too, so that a rule is tried only where its anchor stands."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

Rule = TypeVar("Rule")


class Anchors(Generic[Rule]):
    """The anchors of many rules; google-re2 looks for them where it is installed, `re` elsewhere."""

    def __init__(self, rules: Sequence[tuple[bytes, Rule]]) -> None:
        """Prepare the scan for (anchor, rule) pairs; an anchor may have several rules."""
        anchors = sorted({anchor for anchor, _ in rules}, key=lambda anchor: (-len(anchor), anchor))
        self._scan = compile_linear(b"|".join(re.escape(anchor) for anchor in anchors))
        self._plan = {found: _tried(found, rules) for found in anchors}

    def hits(self, data: bytes) -> Iterator[tuple[int, bytes, Rule]]:
        """Yield (place, anchor, rule) for every anchor in `data`."""
        for match in self._scan.finditer(data):
            start, end = match.span()
            for offset, anchor, rule in self._plan[data[start:end]]:
                if not offset or data.startswith(anchor, start + offset):
                    yield start + offset, anchor, rule


def compile_linear(pattern: bytes) -> Any:
    """Compile by google-re2 where it is installed, else by `re`; the pattern must mean the same to both."""
    try:
        return importlib.import_module("re2").compile(pattern)
    except ImportError:
        return re.compile(pattern)


def _tried(found: bytes, rules: Sequence[tuple[bytes, Rule]]) -> list[tuple[int, bytes, Rule]]:
    """Return what to try where the longest anchor is `found`: its own rules, those of its beginnings, and of what may begin inside."""
    tried = []
    for anchor, rule in rules:
        if found.startswith(anchor):
            tried.append((0, anchor, rule))
        for offset in range(1, len(found)):
            rest = found[offset:]
            if rest.startswith(anchor) or anchor.startswith(rest):
                tried.append((offset, anchor, rule))
    return sorted(tried, key=lambda entry: (entry[0], -len(entry[1])))
