"""What may leave the machine: credentials and personal data are found, replaced, and stay replaced."""

from __future__ import annotations

import json

import pytest

from sessiontrackd.privacy import Redactor, Span, redact_lines

# Made up and put together at run time, so that no scanner takes this file for a leak.
GITHUB = "ghp" + "_" + "x7Kp2mQ9rT4vW8zB3nL6yD1sF5hJ0cG7aE2u"
PASSWORD = "Tr0ub" + "4dor&3xQ"


def test_a_prefixed_token_is_replaced() -> None:
    """A token with a known prefix needs no name before it."""
    text = f"I used {GITHUB}, see above"

    assert Redactor().spans(text) == [Span(7, 7 + len(GITHUB), "github-token")]
    assert Redactor().redact(text) == "I used ⟦github-token-1⟧, see above"


def test_the_same_value_gets_the_same_number() -> None:
    """Within one redactor a placeholder stands for one value, and values are counted once."""
    redactor = Redactor()

    first = redactor.redact(f"password: '{PASSWORD}'")
    second = redactor.redact(f"export DB_PASSWORD={PASSWORD}")

    assert (first, second) == ("password: '⟦password-1⟧'", "export DB_PASSWORD=⟦password-1⟧")
    assert (redactor.count, redactor.counts) == (1, {"password": 1})


def test_cut_replaces_a_touched_secret_whole() -> None:
    """A cut through a secret leaves none of it."""
    text = "a" * 30 + " " + GITHUB + " " + "b" * 30

    assert Redactor().cut(text, 0, 50) == "a" * 30 + " ⟦github-token-1⟧"
    assert Redactor().cut(text, 50, 80) == "⟦github-token-1⟧ " + "b" * 8


def test_redacting_twice_changes_nothing() -> None:
    """Placeholders are no credentials."""
    once = Redactor().redact(f"password = '{PASSWORD}' token={GITHUB}")

    assert Redactor().redact(once) == once


def test_lines_carry_spans_of_the_text_given() -> None:
    """Spans count code points of the input, also after characters outside the basic plane and lone surrogates."""
    text = "🔑\ud800 " + GITHUB

    row = json.loads(next(redact_lines([json.dumps({"id": "a", "text": text})], Redactor())))

    assert row["spans"] == [{"start": 3, "end": 3 + len(GITHUB), "kind": "github-token"}]
    assert row["text"] == "🔑\ud800 ⟦github-token-1⟧"


@pytest.mark.parametrize(
    ("value", "kind"),
    [("192.0.2.7", "ip"), ("10.0.0.5", "ip"), ("317-53-4519", "ssn"), ("456-397-3833", "phone")],
)
@pytest.mark.parametrize("frame", ["{}", "({})", "see {}, or", "<{}>"])
def test_personal_data_is_found_in_parentheses_too(value: str, kind: str, frame: str) -> None:
    """The marks around a value are no part of it."""
    text = frame.format(value)

    assert Redactor(personal=True).spans(text) == [Span(at := text.index(value), at + len(value), kind)]
