"""Consent in the home of the command: looked up, written down, asked for."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sessiontrackd import privacy
from sessiontrackd.cli._command import current_home, existing_store
from sessiontrackd.cli._screen import safe
from sessiontrackd.errors import ConsentRequired, UsageError
from sessiontrackd.privacy import Consents, grant_line
from sessiontrackd.store import open_store


def folder_scope(directory: Path) -> str:
    """Return the scope of a folder: its whole path, as the settings would have it.

    Raises:
        UsageError: its name is not UTF-8, so no settings file could name it.
    """
    scope = os.path.normpath(directory.expanduser().absolute())
    try:
        scope.encode()
    except UnicodeEncodeError:
        raise UsageError(f"The name of {safe(scope)} is not UTF-8. Rename the folder.") from None
    return scope


def allow(scope: str, provider: str) -> None:
    """Write down that text of this scope may go to this provider."""
    home = current_home()
    home.prepare()
    with open_store(home.db_path, privacy.SCHEMA) as store:
        Consents(store).grant(scope, provider)


def obtain(directory: Path, provider: str, *, asks: bool) -> None:
    """Return if text of the folder may be sent to the provider; on a terminal, ask.

    Raises:
        ConsentRequired: nobody allowed it; the text names the line to type.
    """
    scope = folder_scope(directory)
    with existing_store(privacy.SCHEMA) as store:
        if store is not None and Consents(store).is_granted(scope, provider):
            return
    question = f"May text of {safe(scope)} be sent to {safe(provider)}, condensed and redacted?"
    if not (asks and click.confirm(question, default=False)):
        raise ConsentRequired(
            f"Nobody has consented to sending text of {scope} to {provider}, so the folder is not watched. "
            f"To allow it, type: {grant_line(scope, provider)}"
        )
    allow(scope, provider)
