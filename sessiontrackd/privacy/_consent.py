"""Consent: from which folder text may be sent to which provider, since when and until when."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime

from msgspec import Struct

from sessiontrackd.errors import ConsentRequired
from sessiontrackd.store import Schema, Store

API = "api"  # the scope of the Python API where no folder is given; a folder's scope is its whole path

SCHEMA = Schema(
    "consent",
    (
        """
CREATE TABLE consent (                 -- what a person allowed to be sent
    scope TEXT NOT NULL,               -- the whole path of a folder, or 'api'
    provider TEXT NOT NULL,            -- who gets the text
    granted_at TEXT NOT NULL,          -- ISO 8601, UTC
    revoked_at TEXT,                   -- NULL while it holds
    PRIMARY KEY (scope, provider)
) STRICT, WITHOUT ROWID;
""",
    ),
)


class Consent(Struct, frozen=True):
    """What was allowed for one scope and provider; it holds as long as it is not revoked."""

    scope: str
    provider: str
    granted_at: datetime
    revoked_at: datetime | None = None


class Consents:
    """What the people of this home allowed. Every question is answered from the database, so that revoking holds at once.

    Args:
        store: opened with SCHEMA.
        now: the clock.
    """

    def __init__(self, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Keep the parts."""
        self._store = store
        self._now = now

    def grant(self, scope: str, provider: str) -> None:
        """Allow it from now on; one that holds already keeps its date."""
        with self._store.immediate(durable=True) as connection:
            connection.execute(
                "INSERT INTO consent (scope, provider, granted_at) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET granted_at = excluded.granted_at, revoked_at = NULL "
                "WHERE revoked_at IS NOT NULL",
                (scope, provider, self._written_now()),
            )

    def revoke(self, scope: str, provider: str) -> bool:
        """Allow it no longer; return whether it was allowed."""
        with self._store.immediate(durable=True) as connection:
            return (
                connection.execute(
                    "UPDATE consent SET revoked_at = ? WHERE scope = ? AND provider = ? AND revoked_at IS NULL",
                    (self._written_now(), scope, provider),
                ).rowcount
                > 0
            )

    def listed(self) -> list[Consent]:
        """Return what was ever allowed, by scope and provider."""
        rows = self._store.read("SELECT * FROM consent ORDER BY scope, provider")
        return [
            Consent(row["scope"], row["provider"], _at(row["granted_at"]), _at_or_none(row["revoked_at"]))
            for row in rows
        ]

    def is_granted(self, scope: str, provider: str) -> bool:
        """Say whether it is allowed now."""
        sql = "SELECT 1 FROM consent WHERE scope = ? AND provider = ? AND revoked_at IS NULL"
        return self._store.one(sql, (scope, provider)) is not None

    def require(self, scope: str, provider: str) -> None:
        """Return if it is allowed now.

        Raises:
            ConsentRequired: it is not; the text names the line to type.
        """
        if not self.is_granted(scope, provider):
            what = "the Python API" if scope == API else scope
            raise ConsentRequired(
                f"Nothing was sent to {provider}: nobody has allowed that for {what}. "
                f"To allow it, type: {grant_line(scope, provider)}"
            )

    def _written_now(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="seconds")


def grant_line(scope: str, provider: str) -> str:
    """Return the command that allows it, as it is to be typed."""
    return f"sessiontrackd consent grant {'--api' if scope == API else shlex.quote(scope)} --provider {shlex.quote(provider)}"


def _at(written: str) -> datetime:
    return datetime.fromisoformat(written)


def _at_or_none(written: str | None) -> datetime | None:
    return None if written is None else _at(written)
