"""A notification server for tests: takes org.freedesktop.Notifications on its session bus and prints what it is told.

The first line is {"address", "pid"}; then a line a notification: {"app", "summary", "body", "buttons"}.
"""

import asyncio
import json
import os
import sys
from typing import Annotated

from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusDict, DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

PRESS_S = 0.1  # a person would not be quicker
Texts = Annotated[list[str], DBusSignature("as")]
Information = Annotated[tuple[str, str, str, str], DBusSignature("ssss")]


class Notifications(ServiceInterface):
    """As much of the specification as a sender needs.

    Args:
        name: of the interface.
        has_buttons: whether it shows buttons.
        presses: whether it presses the first one at once.
    """

    def __init__(self, name: str, has_buttons: bool, presses: bool) -> None:
        """Keep how it behaves."""
        super().__init__(name)
        self._has_buttons, self._presses = has_buttons, presses

    @dbus_method(name="GetCapabilities")
    def capabilities(self) -> Texts:
        """Say what is understood."""
        return ["body", "body-markup", *(["actions"] if self._has_buttons else [])]

    @dbus_signal(name="ActionInvoked")
    def pressed(self, number: int, action: str) -> Annotated[tuple[int, str], DBusSignature("us")]:
        """Tell that a button was pressed."""
        return (number, action)

    @dbus_signal(name="NotificationClosed")
    def closed(self, number: int, reason: int) -> Annotated[tuple[int, int], DBusSignature("uu")]:
        """Tell that it is gone."""
        return (number, reason)

    @dbus_method(name="GetServerInformation")
    def information(self) -> Information:
        """Say who this is."""
        return ("tests", "tests", "1", "1.2")

    @dbus_method(name="Notify")
    def notify(
        self,
        app: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        summary: DBusStr,
        body: DBusStr,
        actions: Texts,
        hints: DBusDict,
        timeout: DBusInt32,
    ) -> DBusUInt32:
        """Take a notification."""
        say({"app": app, "summary": summary, "body": body, "buttons": actions[3::2]})
        if self._presses and len(actions) > 2:
            asyncio.get_running_loop().call_later(PRESS_S, self.pressed, 1, actions[2])
        return 1

    @dbus_method(name="CloseNotification")
    def close(self, number: DBusUInt32) -> None:
        """Do nothing."""


def say(what: dict[str, object]) -> None:
    """Print a line."""
    print(json.dumps(what), flush=True)


async def serve(how: str) -> None:
    """Be there until killed: with buttons, `plain` without, `pressing` them itself, or `absent` but for the bus."""
    bus = await MessageBus().connect()
    if how != "absent":
        there = Notifications("org.freedesktop.Notifications", how != "plain", how == "pressing")
        bus.export("/org/freedesktop/Notifications", there)
        await bus.request_name("org.freedesktop.Notifications")
    say({"address": os.environ["DBUS_SESSION_BUS_ADDRESS"], "pid": os.getpid()})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else ""))
