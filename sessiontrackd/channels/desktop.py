"""Tell the user on the desktop, through desktop-notifier."""

from __future__ import annotations

import asyncio
import html
import logging
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
    """Send a notification. A notifier lives for one: it leaks its connection, and never recovers from a lost bus."""

    NAME = "desktop"

    async def send(self, alert: Alert) -> None:
        """Show the alert.

        Raises:
            Undelivered: no server confirmed it within 5 s.
        """
        from desktop_notifier import DesktopNotifier

        name_the_bus()
        logging.getLogger("desktop_notifier").setLevel(logging.CRITICAL)  # what fails is told by us, in one line
        dispatched = asyncio.Event()
        notifier = DesktopNotifier(app_name=TITLE, app_icon=None)
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                # send() never raises; only on_dispatched says that a server took it
                await notifier.send(TITLE, html.escape(alert.text, quote=False), on_dispatched=dispatched.set)
        except TimeoutError:
            raise Undelivered("the notification server does not answer") from None
        finally:
            _leave(notifier)
        if not dispatched.is_set():
            raise Undelivered("no notification server took it; is a desktop running?")


def _leave(notifier: DesktopNotifier) -> None:
    bus = getattr(getattr(notifier, "_backend", None), "bus", None)
    if bus is not None:
        bus.disconnect()


def name_the_bus() -> None:
    """Set DBUS_SESSION_BUS_ADDRESS where only the socket exists, as in a service: the library does not look for it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and "DBUS_SESSION_BUS_ADDRESS" not in os.environ and (Path(runtime) / "bus").exists():
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
