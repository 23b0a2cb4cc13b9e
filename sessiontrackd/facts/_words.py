"""Words: which carry meaning, how they are cut to terms, and which may be keywords."""

from __future__ import annotations

import re
from collections.abc import Sequence


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


STOP_WORDS = _set(
    """
    a about after again all also am an and any are as at be because been before being but by can could did do does
    doing don't down each even few for from further get go going got had has have having he her here hers him his
    how i i'm if in into is it it's its just know let like me more most my no nor not now of off ok okay on one only
    or other our out over own really right same see she should so some such than that that's the their them then
    there these they thing think this those through to too uh um under until up us very want was we well were what
    when where which while who whom why will with would yeah yes you your
    """
)
NO_KEYWORD = _set(
    """
    add added check code create created fix fixed file files make made need new now one please run set sure test
    tests update updated use used using want work works also first second like look good great thanks two way
    instead still already done yes maybe kind sort actually basically something thing things guess mean bit lot stuff
    alright talk said say people point idea question questions okay um uh yeah hmm mmm sorry thank anything everything
    """
)
"""Words of every working session, which say nothing about this one."""

NO_TERM = STOP_WORDS | NO_KEYWORD

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_WIDE_RUN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]+")
_ENDINGS = ("ing", "ies", "ed", "es", "ly", "s")


def stem(word: str) -> str:
    """Cut a common English ending where enough is left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def tokens(text: str) -> list[str]:
    """Return the lower-case words; a run of a script without spaces gives its pairs of characters."""
    found = _TOKEN.findall(text.lower().replace("’", "'"))
    if text.isascii():
        return found
    spread: list[str] = []
    for word in found:
        if _WIDE_RUN.search(word):
            spread += _pairs(word)
        else:
            spread.append(word)
    return spread


def _pairs(word: str) -> list[str]:
    return [word[at : at + 2] for at in range(len(word) - 1)] or [word]


def terms(words: Sequence[str]) -> list[str]:
    """Return the words that carry meaning, without their endings."""
    return [stem(word) for word in words if word not in STOP_WORDS and (len(word) > 1 or not word.isascii())]
