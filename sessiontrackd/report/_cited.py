"""The messages that a comprehensive note ends with: what stands in it whole is not said again, long ones are cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sessiontrackd.model import Finding, Message

MOST_CHARS = 600
QUOTE_START_CHARS = 40
"""So much of a quote tells where in its message it stands."""
WHOLE_CHARS = 160
"""The shortest cut of a quote in a note; one that is not longer stands there whole."""


def cited(messages: Iterable[Message], findings: Iterable[Finding]) -> Iterator[dict[str, Any]]:
    """Yield the messages that say more than a note quotes of them."""
    quotes = _quotes(findings)
    for message in messages:
        quoted = quotes.get(message.index, ())
        whole = " ".join(message.text.split())
        if whole not in quoted or len(whole) > WHOLE_CHARS:
            text = _excerpt(message.text, quoted)
            yield {"index": message.index, "who": message.speaker or message.role.value, "text": text}


def _quotes(findings: Iterable[Finding]) -> Mapping[int, list[str]]:
    """Return what is quoted of each message."""
    found: dict[int, list[str]] = {}
    for finding in findings:
        if finding.quote and finding.messages:
            found.setdefault(finding.messages[0], []).append(finding.quote)
        for index, quotes in _quotes(finding.parts).items():
            found.setdefault(index, []).extend(quotes)
    return found


def _excerpt(text: str, quotes: Sequence[str]) -> str:
    """Return the beginning of a text, and the place of its first quote where that comes later."""
    if len(text) <= MOST_CHARS:
        return text
    start = _place(text, quotes[0]) if quotes else 0
    half = MOST_CHARS // 2
    if start < half:
        return f"{_to_word(text, MOST_CHARS)}\n…"
    end = "\n…" if len(text) - start > half else ""
    return f"{_to_word(text, half)}\n…\n{_to_word(text[start:], half)}{end}"


def _place(text: str, quote: str) -> int:
    """Return where a quote, whose white space is collapsed, stands in a text; its beginning where it is not found."""
    words = quote[:QUOTE_START_CHARS].split()
    found = re.search(r"\s+".join(map(re.escape, words)), text)
    return found.start() if found else 0


def _to_word(text: str, most: int) -> str:
    """Cut a text at the end of a word, where it has words."""
    kept = text[:most]
    at = max(kept.rfind(" "), kept.rfind("\n"))
    return (kept[:at] if len(text) > most and at > most // 2 else kept).rstrip()
