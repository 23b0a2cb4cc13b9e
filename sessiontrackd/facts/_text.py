"""Spans of source text: sentences, lines, noise, and the clip that a finding keeps until it is redacted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import Protocol

from msgspec import Struct

from sessiontrackd.patterns import WIDE, lazy_regex

Span = tuple[int, int]

WINDOW_CHARS = 65_536
"""How much source a candidate keeps on each side of its span: more than any secret is long, and bounded."""


LONGEST_CODE = 200  # characters of a code span in running text
MAX_TURN_CHARS = 60_000
"""Of one message at most this much of its head and of its tail is searched for sentences."""

_ARTIFACT = lazy_regex(r"<(antThinking|antArtifact|thinking|think)\b[^>]{0,400}>.*?(?:</\1>|\Z)", re.DOTALL)
"""What a model wrote that is no prose: its notes to itself, documents."""
_REPLACED = lazy_regex(r"^<{5,9} (?:SEARCH|ORIGINAL|HEAD)\b.*?^>{5,9} \w+[^\n]*$", re.DOTALL | re.MULTILINE)
"""Blocks to search and replace."""
_REPLACED_END = lazy_regex(r"^>{5,9} \w+[^\n]*$", re.MULTILINE)
_CODE_LINE = lazy_regex(
    r"\s*(?:E {2,}\S|(?:FAILED|PASSED|ERROR) \S*(?:::|\.\w+\b)|\x1b?\[\d+(?:;\d+)*m|--\w[\w-]*[:=]|platform \w+ -- |collected \d+ items|</?[a-zA-Z][^>]*>|[│┃█{}\[\]();]|[\w.]+\(.*\)\s*[;:{]?$|#!|\d+\s?[│|█]"
    r"|(?:const|let|var|def|class|import|from|return|if|elif|else|for|while|try|except|function|public|private|protected|static|async|await"
    r"|export|interface|type|enum|struct|impl|fn|func|package|using|namespace|#include|@\w+)\b.*[;:{(=)\]}]\s*$|.*(?:[;{]|=>|\)\s*[:{])\s*$)"
)
_FRAMES = frozenset("│┃█╭╰├└")
_JSON_LINE = lazy_regex(r"\s*\"[\w-]+\"\s*:")
_SIGNS = lazy_regex(r"[{}()\[\]<>=;|$\\\"#@&*+^~]")
_INLINE = lazy_regex(
    r"`[^`\n]*`|\{\{\w+\}\}|\([^()\n]{0,60}\)|!?\[[^\]\n]{0,200}\]\([^)\s]{0,500}\)|https?://\S+|\*\*|[“”\"]"
)
MOST_SIGNS = 0.12
"""Of its characters; prose has fewer."""
PROSE_WORDS = 7
"""A line of so many words that ends in a semicolon is an item of a list rather than of a program."""
_FENCE = lazy_regex(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_BREAK = lazy_regex(
    r"[.!?…。！？\s](?:(?<=[.!?…])([\"'”’)\]*_`]{0,3})[ \t]+(?=[^a-z\s])"
    r"|(?<=[。！？])[”’」』）]?(?=\S)"
    r"|(?<=\n)\s*|(?<!\s\s)(?<=\s)\s*\n\s*)"
)
"""Where a sentence may end; it begins with a set of characters, which are found fast. Of spaces only the first is tried."""
_ABBREVIATION = lazy_regex(
    r"(?:^|[\s(])(?:e\.g|i\.e|etc|vs|cf|Dra?|Mr|Mrs|Ms|St|Nos?|approx|resp|z\. ?B|d\. ?h|u\. ?a|bzw|ca|Nr|Abs|Art|Prof|Hr|Fr|Sra?|Mme|Fig|pp?|p\. ?ej|[A-Z])\.$"
)
_MARKER = lazy_regex(r"\s*(?:(?:[-*+•–◦▪✓✔✅❌⚠]️?|#{1,6}|>|\d{1,3}[.)]|\[[ xX]\])[ \t]+|>[ \t]*(?![=\d\s]))*")
_STRUCTURAL = lazy_regex(r"[ \t]*(?:[-*+•#>|]|\d{1,3}[.)])\s?")
_WORD = lazy_regex(r"[^\W\d_][\w'’-]*")
_ASCII_WORD = lazy_regex(r"[A-Za-z][A-Za-z0-9_'-]*")
_LOOSE_BREAK = lazy_regex(r"[.!?](?:(?<=[^\W\d_]{3}[.!?])|(?<=[^\W\d_]['\")`][.!?]))\s+(?=[a-z])")
_CODE = lazy_regex(r"`[^`]*`|!?\[[^\]\n]{0,200}\]\([^)\s]{0,500}\)|https?://\S+|(?<![\w.-])(?:[\w.-]+/)+[\w.-]+")


class Cutter(Protocol):
    """What redacts a kept span; privacy.Redactor is one."""

    def cut(self, text: str, start: int, end: int) -> str:
        """Return that slice of the text with every private span that touches it replaced whole."""
        ...

    def redact(self, text: str) -> str:
        """Return the whole text with its private spans replaced."""
        ...

    def foreseeing(self, texts: Iterable[str]) -> AbstractContextManager[None]:
        """Look at texts together before parts of them are cut within the block."""
        ...


class Clip(Struct):
    """A span of an uncut source text, not yet redacted, with the message it stands in and how much it is worth."""

    source: str
    start: int
    end: int
    message: int
    weight: float = 0.0

    @property
    def raw(self) -> str:
        """The span as it stands in the source."""
        return self.source[self.start : self.end]


class Quote(Struct, frozen=True):
    """A kept span: `quote` verbatim but for white space and redaction, `text` with an ellipsis where it was cut."""

    text: str
    quote: str
    message: int


def clip(source: str, span: Span, message: int, weight: float = 0.0) -> Clip:
    """Keep a span with enough of its surroundings to recognise what is private in it."""
    start, end = span
    if len(source) <= 4 * WINDOW_CHARS:
        return Clip(source, start, end, message, weight)
    low, high = max(0, start - WINDOW_CHARS), min(len(source), end + WINDOW_CHARS)
    return Clip(source[low:high], start - low, end - low, message, weight)


def quoted(kept: Clip, redactor: Cutter, limit: int) -> Quote:
    """Redact a clip and cut it to about `limit` characters, on a word."""
    end = word_end(kept.source, kept.start, kept.end, limit)
    quote = squeeze(redactor.cut(kept.source, kept.start, end))
    short = end < kept.end and bool(kept.source[end : kept.end].strip())
    return Quote(f"{quote}…" if short else quote, quote, kept.message)


def word_end(source: str, start: int, end: int, limit: int) -> int:
    """Return where to stop so that at most `limit` characters remain and no word is cut."""
    if end - start <= limit:
        return end
    stop = start + limit
    for back in range(stop, start + limit // 2, -1):
        if source[back].isspace():
            return back
    return stop


def squeeze(text: str) -> str:
    """Collapse white space."""
    return " ".join(text.split())


def words(text: str) -> int:
    """Count words; two characters of a script without spaces count as one."""
    if text.isascii():
        return len(_ASCII_WORD.findall(text))
    wide = len(WIDE.findall(text))
    return len(_WORD.findall(WIDE.sub(" ", text) if wide else text)) + (wide + 1) // 2


def has_words(text: str, least: int) -> bool:
    """Say whether a text holds at least so many words; it is read no further than to the last of them."""
    if not text.isascii():
        return words(text) >= least
    return next(islice(_ASCII_WORD.finditer(text), least - 1, None), None) is not None


def prose_words(text: str) -> int:
    """Count the words that are no inline code."""
    return words(_CODE.sub(" ", text) if "`" in text or "/" in text else text)


def loosely(text: str, span: Span) -> Iterator[Span]:
    """Split a sentence where a person began the next one without a capital."""
    at, end = span
    for match in _LOOSE_BREAK.finditer(text, at, end):
        stop = match.start() + 1
        if not _ABBREVIATION.search(text, max(at, stop - 8), stop):
            yield at, stop
            at = match.end()
    yield at, end


def fences(text: str) -> list[Span]:
    """Return the spans of fenced code, and of what else a model writes that is no prose."""
    found = [match.span() for match in _FENCE.finditer(text)] if "```" in text or "~~~" in text else []
    if "<ant" in text or "<think" in text:
        found += [match.span() for match in _ARTIFACT.finditer(text)]
    ends = [match.end() for match in _REPLACED_END.finditer(text)] if "<<<<<" in text else []
    if ends:  # behind the last one no block has an end, which each would look for
        found += [match.span() for match in _REPLACED.finditer(text, 0, ends[-1])]
    return found


def is_code(sentence: str) -> bool:
    """Say whether a sentence is rather a line of a program, of mark-up or of data."""
    if sentence[:1] in _FRAMES:
        return True
    if not _SIGNS.search(sentence):
        return False
    if _JSON_LINE.match(sentence):
        return True
    bare = _INLINE.sub(" ", sentence)
    if bare.endswith(";") and has_words(bare, PROSE_WORDS):
        bare = bare[:-1]
    return bool(_CODE_LINE.match(bare.strip())) or len(_SIGNS.findall(bare)) > MOST_SIGNS * len(bare)


def outside(text: str, holes: list[Span]) -> Iterator[Span]:
    """Yield what is left of a text around sorted, possibly overlapping holes."""
    at = 0
    for start, end in holes:
        if start > at:
            yield at, start
        at = max(at, end)
    if at < len(text):
        yield at, len(text)


def sentences(text: str, region: Span | None = None) -> Iterator[Span]:
    """Yield the spans of a text's (or a region's) sentences: no fenced code, tables, list markers, overlong middle."""
    low, high = region or (0, len(text))
    holes = [*fences(text), *middle(text)]
    if not holes:
        yield from sentences_of_text(text, (low, high))
        return
    for start, end in outside(text, sorted(holes)):
        if start < high and end > low:
            yield from sentences_of_text(text, (max(start, low), min(end, high)))


def sentences_of_text(text: str, region: Span) -> Iterator[Span]:
    """Yield the spans of a region's sentences, fenced or not."""
    start, end = region
    at = counted = start
    ticks = 0  # between these two
    for match in _BREAK.finditer(text, start, end):
        stop, after = match.span()
        if text[stop].isspace():
            joins = _is_wrapped(text, at, stop, after)
        else:
            ticks, counted = (ticks if counted > at else 0) + text.count("`", max(at, counted), after), after
            joins = _goes_on(text, at, stop + 1, after, is_code=ticks % 2 == 1)
            stop = max(stop + 1, match.end(1))
        if joins:
            continue
        span = trimmed(text, at, stop)
        if span:
            yield span
        at = after
    span = trimmed(text, at, end)
    if span:
        yield span


def _goes_on(text: str, at: int, stop: int, after: int, *, is_code: bool) -> bool:
    """Say whether what looks like the end of a sentence stands inside a code span, or ends an abbreviation."""
    if is_code and text.find("`", after, after + LONGEST_CODE) >= 0:
        return True
    return bool(_ABBREVIATION.search(text, max(at, stop - 8), stop))


def _is_wrapped(text: str, at: int, stop: int, after: int) -> bool:
    """Say whether a line was wrapped by hand, so that the sentence goes on in the next."""
    if text.count("\n", stop, after) > 1 or stop - at < 50 or text[stop - 1] in ".!?:;":
        return False
    return text[after : after + 1].islower()


def trimmed(text: str, start: int, end: int) -> Span | None:
    """Strip white space and list markers off a span; None for tables, rules and what holds no letter."""
    if text.startswith("|", start) and not text[text.rfind("\n", 0, start) + 1 : start].strip():
        return None
    if start < end and not text[start].isalpha():
        match = _MARKER.match(text, start, end)
        start = match.end() if match else start
    while end > start and text[end - 1].isspace():
        end -= 1
    if text.endswith("**", start, end) and text.count("**", start, end) % 2:
        end -= 2  # it closes what began before
    if end <= start or text[start] == "|":
        return None
    return (start, end) if text[start].isalpha() or any(map(str.isalpha, text[start:end])) else None


def is_structural(text: str, start: int) -> bool:
    """Say whether a line starts like a list item, heading, quotation or table row."""
    return bool(_STRUCTURAL.match(text, start))


def lines(text: str, span: Span) -> Iterator[Span]:
    """Yield the spans of the lines within a span, line ends left out."""
    at, end = span
    while at <= end:
        stop = text.find("\n", at, end)
        if stop < 0:
            stop = end
        yield at, stop
        at = stop + 1


def middle(text: str) -> list[Span]:
    """Return the middle of an overlong text, which is not searched."""
    return [(MAX_TURN_CHARS, len(text) - MAX_TURN_CHARS)] if len(text) > 2 * MAX_TURN_CHARS else []
