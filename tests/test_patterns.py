"""Patterns that wait to be used behave as compiled ones."""

import re

import pytest

from sessiontrackd.patterns import lazy_regex


def test_a_lazy_pattern_finds_what_a_compiled_one_finds() -> None:
    """Methods, flags and attributes are those of the pattern, of text and of bytes."""
    words, digits = lazy_regex(r"\b(x\w*)", re.IGNORECASE), lazy_regex(rb"\d+")

    assert words.sub(r"<\1>", "Xa b xc") == "<Xa> b <xc>"
    assert [found.span() for found in words.finditer("Xa b xc")] == [(0, 2), (5, 7)]
    assert (words.groups, words.flags & re.IGNORECASE) == (1, re.IGNORECASE)
    assert digits.findall(b"1 22") == [b"1", b"22"]
    assert digits.match(b"a1", 1) is not None


def test_it_is_compiled_when_it_is_first_used() -> None:
    """A pattern that is never used costs nothing, even if it is wrong."""
    wrong = lazy_regex("(")

    with pytest.raises(re.error):
        wrong.search("")


def test_in_use_it_is_not_slower() -> None:
    """After the first call its methods are the compiled pattern's own."""
    lazy = lazy_regex("x+")
    lazy.search("x")

    assert lazy.search == re.compile("x+").search
