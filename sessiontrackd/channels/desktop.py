"""Tell the user on the desktop, through desktop-notifier; where that fails, through notify-send or osascript.

Run as a file it shows one notification with buttons, and stays until one of them is pressed.
"""

from __future__ import annotations

import asyncio
import html
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from sessiontrackd import programs
from sessiontrackd.model import Alert, AlertKind

if TYPE_CHECKING:
    from desktop_notifier import DesktopNotifier

    from sessiontrackd.config import Home, Settings

SEND_TIMEOUT_S = 5.0  # a frozen notification server never answers
OTHER_TIMEOUT_S = 3.0  # nor does its own command
STAY_S = 3600.0  # how long a notification's buttons work
PRESSED_TIMEOUT_S = 60.0
MOST_REASON_BYTES = 10_000  # a failure is told in a line
TITLE = "sessiontrackd"
HUNG = "the notification server does not answer"
NOBODY = "no notification server accepted it; is a desktop running?"
NOT_AN_APP = "macOS shows no notifications from a Python that is not an application"

Press = Callable[["Button"], None]


class Undelivered(Exception):
    """No notification server took the notification."""


class Button(NamedTuple):
    """What can be pressed, and the command that it runs."""

    title: str
    words: Sequence[str]


class DesktopChannel:
    """Send a notification. A notifier lives for one: it leaks its connection, and never recovers from a lost bus.

    Args:
        home: whose commands the buttons run; None: there are no buttons.
        platform: as `sys.platform` names it.
    """

    NAME = "desktop"

    def __init__(self, home: Home | None = None, platform: str = sys.platform) -> None:
        """Keep what the buttons need."""
        self._home = home
        self._platform = platform

    @classmethod
    def of(cls, settings: Settings, home: Home | None) -> Self | None:
        """Return the channel of a home; None where its settings switch it off."""
        return cls(home) if settings.alerts_desktop else None

    async def send(self, alert: Alert) -> None:
        """Show the alert.

        Raises:
            Undelivered: no server confirmed it within 5 s, and the platform's own command failed too.
        """
        text, buttons = one_line(alert.text), self.buttons(alert)
        name_the_bus()
        try:
            await (_show_apart(text, buttons) if buttons else _show(text))
        except Undelivered as failure:
            if str(failure) == HUNG or not await _say_otherwise(other_words(self._platform, text)):
                raise

    def buttons(self, alert: Alert) -> list[Button]:
        """Return what can be done about an alert by one press."""
        if self._home is None:
            return []
        if alert.kind is AlertKind.REPORT and alert.report_path is not None:
            return [Button("Open report", opener(self._platform, str(alert.report_path)))]
        if alert.kind in (AlertKind.BUDGET, AlertKind.CIRCUIT):
            pause = Button("Pause AI", self._home.words("ai", "off"))
            return [pause, Button("Snooze for a day", self._home.words("alerts", "snooze", "1d"))]
        return []


def opener(platform: str, path: str) -> list[str]:
    """Return the command that opens a file; under systemd outside of our own sandbox, which a viewer would inherit."""
    if platform == "darwin":
        return ["open", path]
    apart = ["systemd-run", "--user", "--quiet", "--collect"] if os.environ.get("INVOCATION_ID") else []
    return [*apart, "xdg-open", path]


def other_words(platform: str, text: str) -> list[str]:
    """Return the platform's own command; the text is an argument, never part of a script."""
    if platform == "darwin":
        script = "on run argv\ndisplay notification (item 1 of argv) with title (item 2 of argv)\nend run"
        return ["osascript", "-e", script, text, TITLE]
    return ["notify-send", f"--app-name={TITLE}", "--", TITLE, html.escape(text, quote=False)]


async def _say_otherwise(words: Sequence[str]) -> bool:
    """Run the platform's own command; return whether it worked."""
    if shutil.which(words[0]) is None:
        return False
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*words, stdin=nothing, stdout=nothing, stderr=nothing)
    try:
        async with asyncio.timeout(OTHER_TIMEOUT_S):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def one_line(text: str) -> str:
    """Return text that a server takes: no controls, no NUL, no half characters, no line breaks."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


async def _show(text: str) -> None:
    notifier = _notifier()
    try:
        await _dispatch(notifier, text)
    finally:
        _leave(notifier)


def _notifier() -> DesktopNotifier:
    from desktop_notifier import DesktopNotifier

    logging.getLogger("desktop_notifier").setLevel(logging.CRITICAL)  # what fails is told by us, in one line
    return DesktopNotifier(app_name=TITLE, app_icon=None)


async def _dispatch(notifier: DesktopNotifier, text: str, buttons: Sequence[Button] = (), press: Press = print) -> None:
    """Send, and return once a server has taken it.

    Raises:
        Undelivered: none confirmed it within 5 s.
    """
    from desktop_notifier import Button as Pressable

    if type(_backend(notifier)).__name__ == "DummyNotificationCenter":  # it confirms and shows nothing
        raise Undelivered(NOT_AN_APP)
    dispatched = asyncio.Event()
    shown = [Pressable(each.title, on_pressed=lambda each=each: press(each)) for each in buttons]  # type: ignore[misc]
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            # send() never raises; only on_dispatched says that a server took it
            await notifier.send(TITLE, html.escape(text, quote=False), buttons=shown, on_dispatched=dispatched.set)
    except TimeoutError:
        raise Undelivered(HUNG) from None
    if not dispatched.is_set():
        raise Undelivered(NOBODY)


def _backend(notifier: DesktopNotifier) -> Any:
    return getattr(notifier, "_backend", None)


def _leave(notifier: DesktopNotifier) -> None:
    bus = getattr(_backend(notifier), "bus", None)
    if bus is not None:
        bus.disconnect()


async def server() -> str | None:
    """Return the name and version of the notification server; None where none answers."""
    from dbus_fast.errors import DBusError

    notifier = _notifier()
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await notifier.get_capabilities()
            name, _, version, _ = await _backend(notifier).interface.call_get_server_information()
    except (AttributeError, DBusError, EOFError, OSError, TimeoutError, ValueError):
        return None
    finally:
        _leave(notifier)
    return f"{name} {version}".strip()


async def _show_apart(text: str, buttons: Sequence[Button]) -> None:
    """Show it from a process of its own, which stays to hear of a press; nothing of it can hold us up or leak here."""
    asked = json.dumps({"text": text, "buttons": buttons}).encode()
    words = [sys.executable, "-P", __file__]
    try:
        ended = await programs.run(words, asked, timeout_s=2 * SEND_TIMEOUT_S, most_bytes=MOST_REASON_BYTES)
    except TimeoutError:
        raise Undelivered(HUNG) from None
    if ended.said != b"shown":
        raise Undelivered(ended.said.decode() or NOBODY)


def main() -> None:
    """Show what stdin asks for; print `shown` or why not, and leave a process behind that waits for a press."""
    asked = json.load(sys.stdin)
    buttons = [Button(title, words) for title, words in asked["buttons"]]
    reads, writes = os.pipe()
    if os.fork():
        os.close(writes)
        with os.fdopen(reads, "rb") as answer:
            sys.stdout.buffer.write(answer.read())
        return
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):  # whoever waits for our end must not wait for this process's
        os.dup2(nothing, stream)
    words = asyncio.run(_stay(asked["text"], buttons, lambda said: _answer(writes, said)))
    if words:
        subprocess.run(words, check=False, timeout=PRESSED_TIMEOUT_S)


def _answer(handle: int, said: str) -> None:
    os.write(handle, said.encode())
    os.close(handle)


async def _stay(text: str, buttons: Sequence[Button], answer: Callable[[str], None]) -> Sequence[str]:
    """Show it, say so, and where the server has buttons wait for a press, as long as the bus lives.

    Returns:
        The words of what was pressed.
    """
    from desktop_notifier import Capability

    pressed: asyncio.Queue[Button] = asyncio.Queue()
    notifier = _notifier()
    try:
        await _dispatch(notifier, text, buttons, pressed.put_nowait)
    except Undelivered as failure:
        answer(str(failure))
        return ()
    answer("shown")
    if Capability.BUTTONS not in await notifier.get_capabilities():
        return ()
    press = asyncio.create_task(pressed.get())
    gone = asyncio.create_task(_backend(notifier).bus.wait_for_disconnect())
    await asyncio.wait({press, gone}, timeout=STAY_S, return_when=asyncio.FIRST_COMPLETED)
    return press.result().words if press.done() else ()


def name_the_bus() -> None:
    """Set DBUS_SESSION_BUS_ADDRESS where only the socket exists, as in a service: the library does not look for it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and "DBUS_SESSION_BUS_ADDRESS" not in os.environ and (Path(runtime) / "bus").exists():
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"


if __name__ == "__main__":
    main()
