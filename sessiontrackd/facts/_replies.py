"""What a reply says first that is worth reading, and what it asks."""

from __future__ import annotations

from sessiontrackd.facts import _cues as cues
from sessiontrackd.facts._text import Clip, Span, clip, middle, prose_words, sentences


def lead(reply: Clip) -> list[Clip]:
    """Return what a reply says first that is worth reading: its lead sentence or two, then up to three more."""
    text = reply.source
    found: list[Span] = []
    for start, end in sentences(text, [(0, reply.start), (reply.end, len(text)), *middle(text)]):
        sentence = text[start:end]
        if (
            _is_heading(text, start)
            or cues.is_pleasantry(sentence)
            or prose_words(sentence) < 3
            or cues.is_offer(sentence)
        ):
            continue
        found.append((start, end))
        if len(found) == 12:
            break
    spans = _leads(text, found)
    return [clip(text, span, reply.message) for span in spans]


def tells_something(reply: Clip) -> bool:
    """Say whether a reply holds more than announcements and pleasantries."""
    found = lead(reply)
    return bool(found) and _tells(found[0].raw)


def _tells(sentence: str) -> bool:
    """Say whether a sentence tells something, rather than announces what comes."""
    return (
        not (sentence.endswith(":") and cues.is_announcement(sentence))
        and not cues.is_narration(sentence)
        and not cues.is_agreement(sentence)
    )


def _leads(text: str, found: list[Span]) -> list[Span]:
    """Put the sentences in the order of their worth: narration and announcements come last."""
    good = [span for span in found if _tells(text[span[0] : span[1]])]
    if not good:
        return found[:1]
    start, end = good[0]
    rest = good[1:]
    if rest and end - start < 90 and rest[0][0] - end <= 2 and rest[0][1] - start <= 280:
        end = rest[0][1]
        rest = rest[1:]
    return [(start, end), *rest[:3]]


def _is_heading(text: str, start: int) -> bool:
    line_start = text.rfind("\n", 0, start) + 1
    line = text[line_start : text.find("\n", start) if "\n" in text[start:] else len(text)].strip()
    return line.startswith("#") or (
        line.startswith("**") and line.endswith(("**", ":**", "**:")) and line.count("**") == 2
    )


def questions(reply: Clip) -> list[Clip]:
    """Return the questions of a reply, offers of more help last."""
    text = reply.source
    if "?" not in text and "？" not in text:
        return []
    found = [
        (start, end)
        for start, end in sentences(text, middle(text))
        if text[start:end].rstrip("*_\"')` ").endswith(("?", "？")) and end - start < 500
    ]
    real = [span for span in found if not cues.is_offer(text[span[0] : span[1]])]
    return [clip(text, span, reply.message) for span in (real or found)]
