"""Whether text may leave the machine: the AI switch, and the consent for a folder or the Python API."""

from __future__ import annotations

from sessiontrackd import privacy, queue
from sessiontrackd.budget import TokenManager
from sessiontrackd.errors import ConsentRequired
from sessiontrackd.insights._requests import Consent
from sessiontrackd.store import open_store


def api_consent(money: TokenManager | None) -> Consent:
    """Return what asks the home of a TokenManager whether text of the Python API may leave the machine."""

    def require(_folder: str | None, provider: str) -> None:
        if money is None:
            raise ConsentRequired(f"Without a TokenManager nothing can be sent to {provider}: hand one in.")
        with open_store(money.store.path, privacy.SCHEMA, queue.SCHEMA) as store:
            require_consent(queue.Queue(store), privacy.Consents(store), privacy.API, provider)

    return require


def require_consent(jobs: queue.Queue, consents: privacy.Consents, scope: str, provider: str) -> None:
    """Refuse what may not leave the machine.

    Raises:
        ConsentRequired: AI is switched off, or nobody allowed it for this scope and provider.
    """
    if not jobs.is_on("ai"):
        raise ConsentRequired("AI is switched off, so nothing leaves this machine: `sessiontrackd ai on`.")
    consents.require(scope, provider)
