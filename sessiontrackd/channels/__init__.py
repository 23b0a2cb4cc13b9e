"""The register of channels, a line a member, and telling: what is due is said through each of them, once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType

from sessiontrackd.alerts import SPENT, TOKENS, Alerts
from sessiontrackd.budget import TokenManager
from sessiontrackd.circuit import Circuits
from sessiontrackd.config import Settings
from sessiontrackd.contracts import Channel
from sessiontrackd.errors import SessiontrackdError, UsageError
from sessiontrackd.model import Alert

log = logging.getLogger(__name__)

CHANNELS: Mapping[str, str] = MappingProxyType(
    {
        "desktop": "sessiontrackd.channels.desktop:DesktopChannel",
    }
)
GROUP = "sessiontrackd.channels"
TELL_TIMEOUT_S = 10.0  # of one channel, whatever it promises of itself

Tell = Callable[[Alert], Awaitable[object]]


def names() -> list[str]:
    """Return the names of all channels, ours first, then those that other packages bring."""
    return [*CHANNELS, *sorted({entry.name for entry in entry_points(group=GROUP)} - CHANNELS.keys())]


def channel_class(name: str) -> type[Channel]:
    """Import a channel's class.

    Raises:
        UsageError: there is no channel of this name.
    """
    target = CHANNELS.get(name) or next(
        (entry.value for entry in entry_points(group=GROUP) if entry.name == name), None
    )
    if target is None:
        raise UsageError(f"There is no channel {name!r}. Channels: {', '.join(names())}.")
    module, _, member = target.partition(":")
    found: type[Channel] = getattr(import_module(module), member)
    return found


async def tell(alert: Alert) -> dict[str, str | None]:
    """Say something through every channel, each bounded in time. A failure is logged and stops nothing.

    Returns:
        For each channel None where the alert arrived, else why it did not.
    """
    log.warning("%s", alert.text)  # who has no desktop finds it in the log
    return {name: await _try(name, alert) for name in names()}


async def _try(name: str, alert: Alert) -> str | None:
    try:
        async with asyncio.timeout(TELL_TIMEOUT_S):
            await channel_class(name)().send(alert)
    except Exception as error:  # noqa: BLE001 - no channel's fault may stop the work it tells of
        reason = str(error) or type(error).__name__
        log.warning("this was not told through %s: %s", name, reason)
        return reason
    return None


async def tell_due(manager: TokenManager, alerts: Alerts, settings: Settings, tell: Tell = tell) -> list[Alert]:
    """Say which thresholds were passed and not yet named; of several processes that ask at once, one speaks.

    Call it after each settled call. Whatever fails is logged and stops nothing.

    Args:
        manager: whose spending.
        alerts: what was said already.
        settings: name the thresholds, and the folders and projects that have budgets.
        tell: how to say it.

    Returns:
        What was said.
    """
    try:
        due = list(_due(manager, alerts, settings))
    except SessiontrackdError as error:
        log.warning("whether a threshold was passed is unknown: %s", error)
        return []
    for alert in due:
        await tell(alert)
    return due


async def tell_open(circuits: Circuits, manager: TokenManager, tell: Tell = tell) -> list[str]:
    """Say once which engines are not asked any more; return the reasons.

    Args:
        circuits: of the home.
        manager: whose month stands in the alert.
        tell: how to say it.
    """
    try:
        reasons = circuits.untold()
        alerts = [
            Alert(0, manager.status(), f"{each} Until then notes are made by the local engine.") for each in reasons
        ]
    except SessiontrackdError as error:
        log.warning("whether an engine refuses every request is unknown: %s", error)
        return []
    for alert in alerts:
        await tell(alert)
    return reasons


def _due(manager: TokenManager, alerts: Alerts, settings: Settings) -> Iterator[Alert]:
    scopes: list[tuple[str, str | None, str | None]] = [("total", None, None)]
    scopes += [(str(folder.path), str(folder.path), None) for folder in settings.folders]
    scopes += [(name, None, name) for name, _ in settings.project_budgets]
    for scope, folder, project in scopes:
        status = manager.status(folder, project)
        for subject in (SPENT, TOKENS):
            alert = alerts.due(status, settings.thresholds, scope=scope, subject=subject)
            if alert:
                yield alert
