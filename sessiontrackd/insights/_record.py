"""What was sent, indexed for lookup: quotes letter by letter; names, paths and numbers as whole words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from sessiontrackd import condense
from sessiontrackd.facts import STOP_WORDS
from sessiontrackd.model import Message
from sessiontrackd.patterns import lazy_regex

QUOTE_LEAST_CHARS = 8  # a shorter one stands everywhere; a message that is as short may be quoted whole
NOUNS = 0.18  # of the words within sentences are capitalised: the language writes its nouns so (German about 0.3)

_SPACE = lazy_regex(r"\s+")
_LEFT_OUT = lazy_regex(r"…\[\d+ chars\]…")
_NUMBER = lazy_regex(r"\d+(?:[.,:]\d+)*")
_LITERAL = lazy_regex(  # what is written as the record has it, or not at all: placeholders, code, paths, dotted names
    r"⟦[^⟧]{0,80}⟧?|`[^`]{1,200}`|[\w.~-]*[/\\][\w./\\~:@?&=%+-]*\w|\w+(?:[.@-]\w+)*\.\w+(?:[.-]\w+)*"
)
_PLAIN = frozenset({"e.g", "i.e", "and/or", "yes/no", "ok", "id", "ui", "api"})
_ASCII_WORD = lazy_regex(r"[A-Za-z0-9_]+")
_REFERENCE = lazy_regex(r"\[?\bm(\d{1,6})\b\]?")
_WORD = lazy_regex(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_WITHIN = lazy_regex(r"(?<=[^\W\d_A-Z],|[^\W\d_A-Z]{2}) ([^\W\d_]{3,})")
_SENTENCE = lazy_regex(r"(?:^|[.!?:;…\"“”«»()\[\]\n–—-])[\s\"'“”«»(\[]*$")
_INFLECTED = lazy_regex(r"(?:ed|ing|ly|tion)$")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_OPENERS = STOP_WORDS | _set(
    """
    user users assistant agent team people someone nobody everyone everything nothing both each two three four five six
    session conversation talk discussion problem problems cause causes root question questions decision decisions
    plan next later finally then however although while during without within among across despite since still
    work it's there's that's what's they're code tests test error errors bug bugs fix fixes issue issues change changes
    run use make keep take write read add check move remove set build find give show open close new old all none no
    """
)
_AFTER_A_VERB = _set("a an the its their this that these those how whether which between")


def squeezed(text: str) -> str:
    """Return a text with every run of white space as one space."""
    return _SPACE.sub(" ", text).strip()


class Record:
    """The messages that were sent, as they were sent.

    Args:
        messages: condensed and redacted.
    """

    def __init__(self, messages: Iterable[Message]) -> None:
        """Write them as the prompt has them, without their headings."""
        self._sent = {each.index: squeezed(condense.text_of(each).partition("\n")[2]) for each in messages}

    def places(self, quote: str, named: Iterable[int]) -> tuple[int, ...]:
        """Return which of the named messages hold the quote; a message's heading and what was cut are no part of it."""
        if _LEFT_OUT.search(quote) or not quote:
            return ()
        found = dict.fromkeys(one for one in named if quote in self._sent.get(one, ""))
        is_long = len(quote) >= QUOTE_LEAST_CHARS
        return tuple(one for one in found if is_long or quote == self._sent[one])

    def holds(self, text: str) -> bool:
        """Say whether every name, path and number of a text stands in the record.

        Names are told by their capital letters: not at all in scripts without them, and only by two in a row in
        languages that write every noun so.
        """
        text = _REFERENCE.sub(lambda match: " " if int(match[1]) in self._sent else match[0], text)
        return all(map(self._stands, _literals(text))) and self._numbers >= numbers(text) and self._names(text)

    def _stands(self, literal: str) -> bool:
        wanted = literal.strip("`.,:;").lower()
        return wanted in _PLAIN or re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", self._lower) is not None

    def _names(self, text: str) -> bool:
        """Say whether the capitalised words of a text stand in the record."""
        previous_end, was_name = -1, False
        for match in _WORD.finditer(text):
            word = match[0]
            is_capital = word[0].isupper() and word != "I"
            is_next = text[previous_end : match.start()] == " "
            opens = bool(_SENTENCE.search(text[: match.start()]))
            follows = is_capital and is_next and was_name
            previous_end, was_name = match.end(), is_capital and not opens
            if not is_capital or self._knows(word):
                continue
            if follows or not (self._has_capital_nouns or (opens and _is_opener(word, text[match.end() :]))):
                return False
        return True

    def _knows(self, word: str) -> bool:
        lower = re.sub(r"['’]s?$", "", word.lower())
        known = self._words | _PLAIN
        return lower in known or all(part in known for part in re.split(r"['’-]", lower))

    @cached_property
    def _lower(self) -> str:
        return " ".join(self._sent.values()).lower()

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(re.findall(r"[^\W\d_]+", self._lower))

    @cached_property
    def _numbers(self) -> frozenset[str]:
        return numbers(" ".join(self._sent.values()))

    @cached_property
    def _has_capital_nouns(self) -> bool:
        within = [match[1] for text in self._sent.values() for match in _WITHIN.finditer(text)]
        return bool(sum(word.istitle() for word in within) > NOUNS * len(within))


def numbers(text: str) -> frozenset[str]:
    """Return the numbers of a text, without what groups their digits."""
    return frozenset(re.sub(r",(?=\d{3}\b)", "", number) for number in _NUMBER.findall(text))


def _literals(text: str) -> list[str]:
    """Return what stands in the record as it is written, or is made up."""
    return _LITERAL.findall(text) + [word for word in _ASCII_WORD.findall(text) if _is_identifier(word)]


def _is_identifier(word: str) -> bool:
    """Say whether a word is a name by its form: snake_case, camelCase, ABC, abc1."""
    if word.isdigit():
        return False
    return "_" in word or not word.isalpha() or (len(word) > 1 and any(map(str.isupper, word[1:])))


def _is_opener(word: str, rest: str) -> bool:
    """Say whether a word that begins a sentence may be any word, rather than a name: `Choose a ...`, not `Bob chose`."""
    lower, after = word.lower(), _WORD.match(rest, 1)
    is_verb = after is not None and after[0] in _AFTER_A_VERB
    return lower in _OPENERS or is_verb or (len(lower) > 4 and bool(_INFLECTED.search(lower)))
