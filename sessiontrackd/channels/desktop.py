"""Tell the user on the desktop, through desktop-notifier."""

from __future__ import annotations

import asyncio
import html
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sessiontrackd.model import Alert

if TYPE_CHECKING:
    from desktop_notifier import DesktopNotifier

SEND_TIMEOUT_S = 5.0  # a frozen notification server never answers
TITLE = "sessiontrackd"


class Undelivered(Exception):
    """No notification server took the notification."""


class DesktopChannel:
    """Send one notification at a time; a notifier that failed is thrown away, for it never recovers from a lost bus."""

    NAME = "desktop"

    def __init__(self) -> None:
        """Prepare; the bus is joined at the first alert."""
        self._notifier: DesktopNotifier | None = None

    async def send(self, alert: Alert) -> None:
        """Show the alert.

        Raises:
            Undelivered: no server confirmed it within 5 s.
        """
        dispatched = asyncio.Event()
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                # send() never raises; only on_dispatched says that a server took it
                await self._connected().send(TITLE, html.escape(alert.text, quote=False), on_dispatched=dispatched.set)
        except TimeoutError:
            self.close()
            raise Undelivered("the notification server does not answer") from None
        if not dispatched.is_set():
            self.close()
            raise Undelivered("no notification server took it")

    def close(self) -> None:
        """Leave the bus."""
        bus = getattr(getattr(self._notifier, "_backend", None), "bus", None)
        if bus is not None:  # desktop-notifier leaks its connection otherwise
            bus.disconnect()
        self._notifier = None

    def _connected(self) -> DesktopNotifier:
        """Return a notifier on this session's bus."""
        if self._notifier is None:
            from desktop_notifier import DesktopNotifier

            name_the_bus()
            self._notifier = DesktopNotifier(app_name=TITLE, app_icon=None)
        return self._notifier


def name_the_bus() -> None:
    """Set DBUS_SESSION_BUS_ADDRESS where only the socket exists, as in a service: the library does not look for it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and "DBUS_SESSION_BUS_ADDRESS" not in os.environ and (Path(runtime) / "bus").exists():
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
