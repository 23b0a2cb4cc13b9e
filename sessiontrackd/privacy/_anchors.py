"""Find many plain strings in one pass, those that overlap too, so that a rule is tried only where its anchor stands."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

Rule = TypeVar("Rule")


class Anchors(Generic[Rule]):
    """The anchors of many rules; google-re2 looks for them where it is installed, `re` elsewhere."""

    def __init__(self, rules: Sequence[tuple[bytes, Rule]]) -> None:
        """Prepare the scan for (anchor, rule) pairs; an anchor may have several rules."""
        anchors = sorted({anchor for anchor, _ in rules}, reverse=True)  # a longer one before its own beginnings
        self._scan = compile_linear(b"|".join(re.escape(anchor) for anchor in anchors))
        self._beginnings = _by_beginning(rules)
        self._plans: dict[bytes, _Plan[Rule]] = {}

    def hits(self, data: bytes) -> Iterator[tuple[int, bytes, Rule]]:
        """Yield (place, anchor, rule) for every anchor in `data`."""
        for match in self._scan.finditer(data):
            start, end = match.span()
            found = data[start:end]
            plan = self._plans.get(found)
            if plan is None:  # when first met: making them all takes as long as a short transcript
                plan = self._plans[found] = _planned(found, _tried(found, self._beginnings))
            for offset, anchor, rule in plan.longer.get(data[end : end + 1], plan.here):
                if not offset or data.startswith(anchor, start + offset):
                    yield start + offset, anchor, rule


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


def _by_beginning(rules: Sequence[tuple[bytes, Rule]]) -> dict[bytes, list[_Numbered[Rule]]]:
    """Return every beginning of an anchor with the (number, anchor, rule) it may become: comparing all pairs takes half a second."""
    found: dict[bytes, list[_Numbered[Rule]]] = {}
    for number, (anchor, rule) in enumerate(rules):
        for length in range(1, len(anchor) + 1):
            found.setdefault(anchor[:length], []).append((number, anchor, rule))
    return found


def _tried(found: bytes, beginnings: Mapping[bytes, Sequence[_Numbered[Rule]]]) -> list[_Try[Rule]]:
    """Return what to try where the longest anchor is `found`: its own rules, those of its beginnings, and of what may begin inside."""
    tried = []
    for offset in range(len(found)):
        rest = found[offset:]
        whole = [
            entry
            for length in range(1, len(rest))
            for entry in beginnings.get(rest[:length], ())
            if len(entry[1]) == length
        ]
        longer = [entry for entry in beginnings.get(rest, ()) if offset or len(entry[1]) == len(rest)]
        tried += [(offset, *entry) for entry in (*whole, *longer)]
    return [
        (offset, anchor, rule)
        for offset, _, anchor, rule in sorted(tried, key=lambda one: (one[0], -len(one[2]), one[1]))
    ]
