"""A notification server for tests: takes org.freedesktop.Notifications on its session bus and prints what it is told.

The first line is {"address", "pid"}; then a line a notification: {"app", "summary", "body"}.
"""

import asyncio
import json
import os
import sys
from typing import Annotated

from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusDict, DBusInt32, DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

Texts = Annotated[list[str], DBusSignature("as")]
Information = Annotated[tuple[str, str, str, str], DBusSignature("ssss")]


class Notifications(ServiceInterface):
    """As much of the specification as a sender needs."""

    @dbus_method(name="GetCapabilities")
    def capabilities(self) -> Texts:
        """Say what is understood."""
        return ["body", "body-markup"]

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
        say({"app": app, "summary": summary, "body": body})
        return 1

    @dbus_method(name="CloseNotification")
    def close(self, number: DBusUInt32) -> None:
        """Do nothing."""


def say(what: dict[str, object]) -> None:
    """Print a line."""
    print(json.dumps(what), flush=True)


async def serve(is_there: bool) -> None:
    """Be there until killed."""
    bus = await MessageBus().connect()
    if is_there:
        bus.export("/org/freedesktop/Notifications", Notifications("org.freedesktop.Notifications"))
        await bus.request_name("org.freedesktop.Notifications")
    say({"address": os.environ["DBUS_SESSION_BUS_ADDRESS"], "pid": os.getpid()})
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1:] != ["absent"]))
