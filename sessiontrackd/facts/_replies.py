"""The first informative sentence of a reply, and what it asks."""

from __future__ import annotations

import re

from sessiontrackd.facts import _cues as cues
from sessiontrackd.facts._text import (
    Clip,
    Span,
    clip,
    fences,
    is_code,
    is_structural,
    prose_words,
    sentences,
    sentences_of_text,
    trimmed,
    words,
)
from sessiontrackd.patterns import lazy_regex

_PLAIN_FENCE = re.compile(
    r"\s*(?:`{3,}|~{3,})[ \t]*+(?:text|txt|plain|md|markdown|git-?commit|commit)?[ \t]*+\n", re.IGNORECASE
)
"""What holds a text rather than a program."""
_EITHER = lazy_regex(
    r"\b(?:or|which|oder|welche[rsnm]?|ou|quel(?:le)?s?|lequel|laquelle|o|cuál(?:es)?|qual|quale|или|какой|какую|какие)\b|还是|還是|哪|それとも|どちら|どれ"
)
_MAY_CHOOSE = lazy_regex(
    r"\b(?:should|shall|prefer|rather|want|would you|which (?:one|of|way|option|approach)|soll(?:en)?|möcht\w+|wollen|lieber|pref\w+|quier\w+|préf\w+|veux|voulez|doit|debe\w*|devo|vuoi|vuole|хот\w+|лучше)\b|要|想|しますか|ましょうか|どちら"
)
_NO_CHOICE = lazy_regex(
    r"\b(?:anything|something|someone|any|else|other|further|more|another|explain|help|discuss|explore|elaborate|continue|proceed|commit|push|stop|good to go|ready|weitere?s?|sonst|noch|autres?|otr[oa]s?|outr[oa]s?|altr[oaie]|ещё|другое)\b|其他|别的|ほか"
)
_ASIDE = lazy_regex(
    r"\W*+(?:also|wait|btw|by the way|for example|but first|außerdem|übrigens|además|aussi|além)\b", re.IGNORECASE
)
LEAST_CUT_WORDS, MOST_INTRODUCED = 12, 280
MARKER_CHARS = 8  # what stands between a line and the first item of the list that it introduces
_CODE_STARTS = ("```", "~~~", "    ", "\t")
LINE_OF_CODE = 120  # characters
LAST_CHARS = 400
"""A question to the reader stands at the end of a reply; what is asked before is answered there, or played."""


def lead(reply: Clip, count: int = 4) -> list[Clip]:
    """Return what a reply says first that is worth reading: its lead sentence or two, then more, up to `count`."""
    concluded = cues.conclusion(reply.source, (reply.start, reply.end))
    ahead = [start for start, _ in cues.todo_headings(reply.source) if reply.start <= start < reply.end]
    end = min(ahead, default=reply.end)  # what is still to be done is no outcome
    found = _leading(reply, (concluded, end), count) if concluded is not None and concluded < end else []
    if not found or not _tells(found[0].raw):
        found = _leading(reply, (reply.start, end), count) if end > reply.start else []
    return found or (_leading(reply, (reply.start, reply.end), count) if ahead else [])


def _leading(reply: Clip, region: Span, count: int) -> list[Clip]:
    text = reply.source
    spare: Span | None = None
    brief: Span | None = None
    good: list[Span] = []
    for start, end in sentences(text, region):
        sentence = text[start:end]
        if _is_heading(text, start) or _says_nothing(sentence) or _leads_to_code(text, end):
            brief = (start, end) if _is_brief(sentence) else None
            continue
        spare = spare or (start, end)
        if _tells(sentence) and not (good and sentence.endswith(("?", "？"))):
            begins_before = brief is not None and not good and start - brief[1] <= 1 + (text[brief[0]] == "`")
            good.append((brief[0] if brief and begins_before else start, end))
            if len(good) > count:
                break
    if not good:
        good = _inside_fence(reply, count)
    if good:
        spans = _joined(text, _introduced(text, good, region))[:count]
    else:
        spans = [_with_next_line(text, spare, region[1])] if spare else []
    return [clip(text, span, reply.message) for span in spans]


def _leads_to_code(text: str, end: int) -> bool:
    """Say whether a sentence breaks off before code, which completes it: "In your own code change"."""
    return (
        text[end - 1].isalnum()
        and text[end : end + 2].strip(" ")[:1] == "\n"
        and text[end : end + 12].lstrip("\n").startswith(_CODE_STARTS)
    )


def _with_next_line(text: str, span: Span, end: int) -> Span:
    """Let a sentence that ends in a colon go on with the line that it introduces."""
    at = span[1]
    while at < end and text[at].isspace():
        at += 1
    stop = text.find("\n", at, end)
    stop = end if stop < 0 else stop
    introduces = text[span[1] - 1] in ":：" and at < stop <= span[0] + MOST_INTRODUCED
    is_block = text.startswith((*_CODE_STARTS, "|", "<"), at) or _leads_to_code(text, stop)
    return (span[0], stop) if introduces and not is_block else span


def _introduced(text: str, good: list[Span], region: Span) -> list[Span]:
    """Let a list begin with the line before it, where that says what is listed."""
    (start, end), *rest = good
    at = text.rfind("\n", 0, start) + 1
    while at > region[0] and (is_structural(text, at) or not text[at : text.find("\n", at)].strip()):
        at = text.rfind("\n", 0, at - 1) + 1
    if at <= start and is_structural(text, text.rfind("\n", 0, start) + 1) and at >= region[0]:
        line = trimmed(text, at, text.find("\n", at))
        last = next(iter(reversed(list(sentences_of_text(text, line)))), None) if line else None
        if (
            last
            and end - last[0] <= MOST_INTRODUCED
            and cues.introduces(text[slice(*last)])
            and not _is_heading(text, at)
        ):
            return [(last[0], end), *rest]
    return good


def _inside_fence(reply: Clip, count: int) -> list[Span]:
    """Return the first sentences of fenced text: a reply may be nothing but the text that was asked for."""
    for start, end in fences(reply.source)[:1]:
        if not _PLAIN_FENCE.match(reply.source, start):
            break
        first = reply.source.find("\n", start, end)
        inner = (max(first, start), end)
        found = [span for span in sentences_of_text(reply.source, inner) if words(reply.source[span[0] : span[1]]) >= 5]
        return found[:count]
    return []


def tells_something(reply: Clip) -> bool:
    """Say whether a reply holds more than announcements and pleasantries."""
    found = lead(reply, 1)
    return bool(found) and _tells(found[0].raw)


def is_cut_off(reply: Clip) -> bool:
    """Say whether a reply of running English text ends in the middle of a sentence."""
    text = reply.source.rstrip()
    start = text.rfind("\n") + 1
    ends_open = text[-1:].isalpha() and text[-1:].isascii()
    return (
        ends_open and not is_structural(text, start) and words(text[start:]) > LEAST_CUT_WORDS and ". " in text[start:]
    )


def _says_nothing(sentence: str) -> bool:
    return (
        prose_words(sentence) < 3
        or cues.is_pleasantry(sentence)
        or cues.is_offer(sentence)
        or is_code(sentence)
        or (sentence.endswith((",", "，")) and cues.salutes(sentence))
    )


def _is_brief(sentence: str) -> bool:
    """Say whether a sentence of a word or two tells what was done ("Renamed."), or is the code that was asked for."""
    if sentence.startswith("`") and sentence.endswith("`") and len(sentence) <= LINE_OF_CODE:
        return True
    return (
        sentence.endswith(".")
        and not is_code(sentence)
        and 1 <= prose_words(sentence) <= 2
        and not (cues.is_pleasantry(sentence) or cues.is_agreement(sentence) or cues.is_narration(sentence))
    )


def _tells(sentence: str) -> bool:
    """Say whether a sentence tells something, rather than announces what comes."""
    if sentence.endswith("：") or (sentence.endswith(":") and cues.is_announcement(sentence)):
        return False
    return (
        not cues.is_narration(sentence)
        and not cues.is_agreement(sentence)
        and not cues.is_greeting_question(sentence)
        and not cues.is_guess(sentence)
    )


def _joined(text: str, good: list[Span]) -> list[Span]:
    """Put a short lead and its neighbour together."""
    (start, end), *rest = good
    if rest and text[end - 1] in ":：" and rest[0][0] - end <= MARKER_CHARS and rest[0][1] - start <= MOST_INTRODUCED:
        return [(start, rest[0][1]), *rest[1:]]  # what it introduces is its first item
    if rest and end - start < 90 and rest[0][0] - end <= 2 and rest[0][1] - start <= 280:
        end = rest[0][1]
        rest = rest[1:]
    return [(start, end), *rest]


def _is_heading(text: str, start: int) -> bool:
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    line = text[line_start : len(text) if line_end < 0 else line_end].strip()
    return line.startswith("#") or (
        line.startswith("**") and line.endswith(("**", ":**", "**:")) and line.count("**") == 2
    )


def questions(reply: Clip) -> list[Clip]:
    """Return the questions of a reply, offers of more help last."""
    text = reply.source
    if ("?" not in text and "？" not in text) or cues.salutes(text):
        return []
    found = [
        (start, end)
        for start, end in sentences(text)
        if text[start:end].rstrip("*_\"')` ").endswith(("?", "？"))
        and end - start < 500
        and words(text[start:end]) >= 3
        and len(text) - end <= LAST_CHARS
        and not _is_heading(text, start)
        and not cues.is_greeting_question(text[start:end])
        and not is_code(text[start:end])
    ]
    real = [span for span in found if not cues.is_offer(text[span[0] : span[1]])]
    return [clip(text, span, reply.message) for span in (real or found)]


def lays_open(question: str) -> bool:
    """Say whether a question lays a choice before the reader: "Header or footer?", not "Anything else, or are we done?"."""
    low = cues.lowered(question)
    return bool(_EITHER.search(low) and _MAY_CHOOSE.search(low)) and not _NO_CHOICE.search(low)


def is_aside(answer: str) -> bool:
    """Say whether what a person writes after a question speaks of something else."""
    return bool(_ASIDE.match(answer))
