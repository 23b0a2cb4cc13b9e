"""Find many plain strings in one pass, those that overlap too, so that a rule is tried only where its anchor stands."""

from __future__ import annotations

import importlib
import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from typing import Any, Generic, NamedTuple, TypeVar

Rule = TypeVar("Rule")


class Anchors(Generic[Rule]):
    """The anchors of many rules; google-re2 looks for them where it is installed, `re` elsewhere."""

    def __init__(self, rules: Sequence[tuple[bytes, Rule]]) -> None:
        """Prepare the scan for (anchor, rule) pairs; an anchor may have several rules."""
        self._rules: dict[bytes, list[_Numbered[Rule]]] = {}
        for number, (anchor, rule) in enumerate(rules):
            self._rules.setdefault(anchor, []).append((number, anchor, rule))
        self._anchors = sorted(self._rules)
        longest_first = map(re.escape, reversed(self._anchors))  # among those with the same beginning
        self._scan = compile_linear(b"|".join(longest_first))
        self._plans: dict[bytes, _Plan[Rule]] = {}

    def hits(self, data: bytes) -> Iterator[tuple[int, bytes, Rule]]:
        """Yield (place, anchor, rule) for every anchor in `data`."""
        for match in self._scan.finditer(data):
            start, end = match.span()
            found = data[start:end]
            plan = self._plans.get(found)
            if plan is None:  # when first met: making them all takes as long as a short transcript
                plan = self._plans[found] = _planned(found, self._tried(found))
            for offset, anchor, rule in plan.longer.get(data[end : end + 1], plan.here):
                if not offset or data.startswith(anchor, start + offset):
                    yield start + offset, anchor, rule

    def _tried(self, found: bytes) -> list[_Try[Rule]]:
        """Return what to try where the longest anchor is `found`: its own rules, those of its beginnings, and of what may begin inside."""
        tried = []
        for offset in range(len(found)):
            rest = found[offset:]
            inside = [rest[:length] for length in range(1, len(rest) + 1)]
            longer = self._going_on(rest) if offset else ()
            tried += [(offset, *entry) for anchor in (*inside, *longer) for entry in self._rules.get(anchor, ())]
        tried.sort(key=lambda one: (one[0], -len(one[2]), one[1]))
        return [(offset, anchor, rule) for offset, _, anchor, rule in tried]

    def _going_on(self, beginning: bytes) -> Iterator[bytes]:
        """Return the anchors that begin so and go on."""
        later = islice(self._anchors, bisect(self._anchors, beginning), None)
        return takewhile(lambda anchor: anchor.startswith(beginning), later)


def compile_linear(pattern: bytes) -> Any:
    """Compile by google-re2 where it is installed, else by `re`; the pattern must mean the same to both."""
    try:
        return importlib.import_module("re2").compile(pattern)
    except ImportError:
        return re.compile(pattern)


_Numbered = tuple[int, bytes, Rule]
_Try = tuple[int, bytes, Rule]


class _Plan(NamedTuple, Generic[Rule]):
    """What to try where an anchor stands, as (offset, anchor, rule): what ends there and, by the byte that comes next, what may go on too."""

    here: list[_Try[Rule]]
    longer: dict[bytes, list[_Try[Rule]]]


def _planned(found: bytes, tried: Sequence[_Try[Rule]]) -> _Plan[Rule]:
    """Sort what to try where the longest anchor is `found` by the byte after it: most of it cannot go on like that."""
    after = [anchor[len(found) - offset :][:1] for offset, anchor, _ in tried]
    by_next = {
        byte: [one for one, needed in zip(tried, after, strict=True) if needed in (b"", byte)] for byte in {*after}
    }
    return _Plan(by_next.pop(b"", []), by_next)
