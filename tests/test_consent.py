"""Consent: per folder and provider, stored with its dates, revocable at once."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sessiontrackd.errors import ConsentRequired
from sessiontrackd.privacy import API, SCHEMA, Consent, Consents, grant_line
from sessiontrackd.store import open_store

NOW = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    """A clock that goes on by a day each time it is read."""

    def __init__(self) -> None:
        """Begin the day before NOW."""
        self.at = NOW - DAY

    def __call__(self) -> datetime:
        """Return the next day."""
        self.at += DAY
        return self.at


@pytest.fixture
def consents() -> Consents:
    """Return the consents of a new machine."""
    return Consents(open_store(None, SCHEMA), now=Clock())


def test_nothing_is_allowed_on_a_new_machine(consents: Consents) -> None:
    """Consent is never a default."""
    assert consents.listed() == []
    assert not consents.is_granted("/talks", "anthropic")


def test_consent_holds_for_its_folder_and_provider_only(consents: Consents) -> None:
    """A folder above, below or beside it, and another provider, need their own."""
    consents.grant("/talks", "anthropic")

    assert consents.is_granted("/talks", "anthropic")
    others = [("/talks/private", "anthropic"), ("/", "anthropic"), ("/talks", "127.0.0.1:8080"), (API, "anthropic")]
    assert not any(consents.is_granted(*other) for other in others)


def test_revoking_holds_at_once_in_every_process(tmp_path: Path) -> None:
    """Another process asks the database each time, and finds nothing there."""
    with (
        open_store(tmp_path / "s" / "state.db", SCHEMA) as one,
        open_store(tmp_path / "s" / "state.db", SCHEMA) as other,
    ):
        Consents(one).grant("/talks", "anthropic")
        asking = Consents(other)
        asking.require("/talks", "anthropic")

        assert Consents(one).revoke("/talks", "anthropic")

        with pytest.raises(ConsentRequired):
            asking.require("/talks", "anthropic")


def test_dates_tell_since_when_and_until_when(consents: Consents) -> None:
    """A second grant keeps the first date; one after a revocation begins anew."""
    consents.grant("/talks", "anthropic")
    consents.grant("/talks", "anthropic")
    assert consents.listed() == [Consent("/talks", "anthropic", NOW)]

    assert consents.revoke("/talks", "anthropic")
    assert consents.listed() == [Consent("/talks", "anthropic", NOW, NOW + 2 * DAY)]

    consents.grant("/talks", "anthropic")
    assert consents.listed() == [Consent("/talks", "anthropic", NOW + 3 * DAY)]


def test_what_was_never_allowed_cannot_be_revoked(consents: Consents) -> None:
    """Revoking says whether there was anything to revoke, and keeps the first date of revocation."""
    assert not consents.revoke("/talks", "anthropic")

    consents.grant("/talks", "anthropic")
    consents.revoke("/talks", "anthropic")
    revoked = consents.listed()

    assert not consents.revoke("/talks", "anthropic")
    assert consents.listed() == revoked


@pytest.mark.parametrize("folder", ["/talks", "/my talks/o'clock", "/$HOME/`x`"])
def test_a_refusal_names_the_line_to_type(consents: Consents, folder: str) -> None:
    """A shell gives the words back as they were meant."""
    with pytest.raises(ConsentRequired) as refused:
        consents.require(folder, "127.0.0.1:8080")

    line = str(refused.value).rpartition("type: ")[2]
    assert shlex.split(line) == ["sessiontrackd", "consent", "grant", folder, "--provider", "127.0.0.1:8080"]


def test_the_api_has_a_scope_of_its_own() -> None:
    """It has no folder, so its line says --api."""
    assert grant_line(API, "anthropic") == "sessiontrackd consent grant --api --provider anthropic"
