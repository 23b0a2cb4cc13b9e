"""Notifications with buttons, the platform's own command, and servers that die, come back or lack buttons."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessiontrackd.channels import desktop
from sessiontrackd.channels.desktop import Button, DesktopChannel, Undelivered, one_line, opener, other_words
from sessiontrackd.config import Home
from sessiontrackd.model import Alert, AlertKind, BudgetStatus
from tests.desktop import StartDesktop

SERVER = Path(__file__).parent.parent / "notification_server.py"
STATUS = BudgetStatus("2026-11", 10**13, 5 * 10**12, 0)
MARK = "SESSIONTRACKD_TEST_MARK"
PATIENCE_S = 15.0
SENDS = 1000


def alert(kind: AlertKind = AlertKind.BUDGET, report: Path | None = None) -> Alert:
    return Alert(50, STATUS, "50 % of <b>the budget</b> & more", kind, report)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def left_behind(mark: str) -> list[str]:
    """Return the processes that still carry a mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes() and folder.name != str(os.getpid()):
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return [line for line in found if "desktop.py" in line]


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Mark what this test starts; nothing of it is left at its end."""
    monkeypatch.setenv(MARK, tmp_path.name)
    yield tmp_path.name
    until(lambda: left_behind(tmp_path.name) == [])


def test_a_pressed_button_runs_its_command(start_desktop: StartDesktop, tmp_path: Path, mark: str) -> None:
    """Although whoever sent it has gone on."""
    there, pressed = start_desktop("pressing"), tmp_path / "pressed"
    buttons = [Button("Do it", ["touch", str(pressed)]), Button("Not that", ["false"])]

    asyncio.run(desktop._show_apart("A question", buttons))

    assert [each["buttons"] for each in there.shown()] == [["Do it", "Not that"]]
    until(pressed.exists)


def test_a_server_without_buttons_shows_the_words(start_desktop: StartDesktop, home: Path, mark: str) -> None:
    """Nobody stays to hear of a press that cannot come."""
    there = start_desktop("plain")

    asyncio.run(DesktopChannel(Home.find(home)).send(alert()))

    assert len(there.shown()) == 1
    until(lambda: left_behind(mark) == [])


def test_who_waits_for_a_press_goes_with_the_bus(start_desktop: StartDesktop, home: Path, mark: str) -> None:
    """A desktop that ends leaves none of ours behind."""
    there = start_desktop()
    asyncio.run(DesktopChannel(Home.find(home)).send(alert()))
    assert len(left_behind(mark)) == 1

    there.close()

    until(lambda: left_behind(mark) == [])


def test_an_alert_offers_what_can_be_done_about_it(home: Path) -> None:
    """By commands of this home, with absolute paths; without a home there is nothing to press."""
    channel = DesktopChannel(Home.find(home), "linux")
    offered = {kind: channel.buttons(alert(kind, home / "x.md")) for kind in AlertKind}

    assert [each.title for each in offered[AlertKind.BUDGET]] == ["Pause AI", "Snooze for a day"]
    assert offered[AlertKind.BUDGET][0].words == [
        sys.executable, "-P", "-m", "sessiontrackd", "--home", str(home), "ai", "off",
    ]  # fmt: skip
    assert offered[AlertKind.REPORT] == [Button("Open report", ["xdg-open", str(home / "x.md")])]
    assert offered[AlertKind.DAEMON] == offered[AlertKind.TEST] == []
    assert DesktopChannel().buttons(alert()) == []


def test_a_viewer_is_opened_outside_of_the_services_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would inherit what the service may not do."""
    monkeypatch.setenv("INVOCATION_ID", "1")

    assert opener("linux", "/x.md") == ["systemd-run", "--user", "--quiet", "--collect", "xdg-open", "/x.md"]
    assert opener("darwin", "/x.md") == ["open", "/x.md"]


def serve(address: str, *words: str) -> subprocess.Popen[str]:
    """Start another server on a bus, and wait until it is there."""
    environ = os.environ | {"DBUS_SESSION_BUS_ADDRESS": address}
    process = subprocess.Popen([sys.executable, SERVER, *words], stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_server_that_died_is_missed_and_one_that_came_back_is_found(start_desktop: StartDesktop) -> None:
    """Each send looks anew, whatever happened to the one before."""
    bus = start_desktop("absent")

    async def arrived() -> str:
        try:
            await DesktopChannel().send(alert())
        except Undelivered as failure:
            return str(failure)
        return "arrived"

    first = serve(bus.address)
    assert asyncio.run(arrived()) == "arrived"
    end(first)
    assert asyncio.run(arrived()) == desktop.NOBODY
    second = serve(bus.address)
    assert asyncio.run(arrived()) == "arrived"
    end(second)


def recorded(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> Path:
    """Put a command on PATH that writes down its arguments; return where."""
    folder.mkdir()
    (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/said\nexit {status}\n')
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "said"


@pytest.mark.parametrize(("platform", "name", "words"), [
    ("linux", "notify-send", ["--app-name=sessiontrackd", "--", "sessiontrackd", "50 % of &lt;b&gt;the budget&lt;/b&gt; &amp; more"]),
    ("darwin", "osascript", ["50 % of <b>the budget</b> & more", "sessiontrackd"]),
])  # fmt: skip
def test_the_platforms_own_command_says_it_where_the_bus_fails(
    platform: str, name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text is an argument of it, never part of a script."""
    said = recorded(tmp_path / "bin", name, monkeypatch)

    asyncio.run(DesktopChannel(platform=platform).send(alert()))

    assert said.read_text().splitlines()[-len(words) :] == words


def test_where_that_command_fails_too_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is claimed to have arrived."""
    recorded(tmp_path / "bin", "notify-send", monkeypatch, status=1)

    with pytest.raises(Undelivered, match="is a desktop running"):
        asyncio.run(DesktopChannel(platform="linux").send(alert()))


def test_a_backend_that_confirms_and_shows_nothing_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS outside of an application."""

    class DummyNotificationCenter:
        pass

    class Silent:
        _backend = DummyNotificationCenter()

    monkeypatch.setattr(desktop, "_notifier", Silent)
    with pytest.raises(Undelivered, match="not an application"):
        asyncio.run(desktop._show("x"))


@pytest.mark.parametrize("text", ["a\nb\0c\x1b[31m", "half \ud800 a character", "a\u202eb"])
def test_a_text_is_one_line_that_a_server_takes(text: str) -> None:
    """D-Bus refuses a NUL; the rest would mislead."""
    assert one_line(text).isprintable()
    one_line(text).encode()
    assert other_words("linux", one_line(text))


@pytest.mark.prove
def test_a_frozen_server_is_given_up_with_buttons_too(start_desktop: StartDesktop, home: Path, mark: str) -> None:
    """Within the time that a channel has, and no process of ours waits on."""
    start_desktop().freeze()
    began_s = time.monotonic()

    with pytest.raises(Undelivered, match="does not answer"):
        asyncio.run(DesktopChannel(Home.find(home)).send(alert()))

    assert time.monotonic() - began_s < 2 * desktop.SEND_TIMEOUT_S


@pytest.mark.prove
def test_a_thousand_sends_leak_no_descriptor(start_desktop: StartDesktop) -> None:
    """Those that arrive, and those that fail because the server is gone."""
    there = start_desktop()

    async def send(times: int) -> int:
        for _ in range(times):
            try:
                await DesktopChannel().send(alert())
            except Undelivered:
                failed.append(1)
        await asyncio.sleep(0)
        return len(os.listdir("/proc/self/fd"))

    async def whole() -> tuple[int, int, int]:
        first = await send(1)
        second = await send(SENDS)
        os.kill(there.pid, 9)
        return first, second, await send(SENDS)

    failed: list[int] = []
    first, second, third = asyncio.run(whole())
    assert second == first
    assert third <= first  # the bus has ended, too
    assert len(failed) == SENDS


@pytest.mark.prove
@pytest.mark.skipif(not all(map(shutil.which, ("dunst", "dunstctl", "Xvfb"))), reason="needs dunst and Xvfb")
def test_a_real_server_shows_it(tmp_path: Path, home: Path) -> None:
    """Dunst under Xvfb has the words in its history, with the buttons; SCREENSHOT=FILE keeps a picture of it."""
    script = tmp_path / "send.py"
    script.write_text(
        "import asyncio, sys\nfrom pathlib import Path\nfrom sessiontrackd.channels.desktop import DesktopChannel\n"
        "from sessiontrackd.config import Home\nfrom sessiontrackd.model import Alert, BudgetStatus\n"
        "alert = Alert(80, BudgetStatus('2026-11', 1, 1, 0), '80 % of <b>the budget</b> & more is used: $4.00 of $5.00.')\n"
        "asyncio.run(DesktopChannel(Home.find(sys.argv[1])).send(alert))\n"
    )
    words = (
        "Xvfb :93 -screen 0 640x200x24 >/dev/null 2>&1 & xvfb=$!; export DISPLAY=:93; sleep 1; "
        "dbus-run-session -- sh -c 'dunst >/dev/null 2>&1 & sleep 1; $PYTHON -P $SCRIPT $PLACE && sleep 1; dunstctl count displayed; "
        'if [ -n "$SCREENSHOT" ]; then import -window root $SCREENSHOT; fi; dunstctl close-all; dunstctl history\'; kill $xvfb'
    )
    environ = os.environ | {"PYTHON": sys.executable, "SCRIPT": str(script), "PLACE": str(home), "HOME": str(tmp_path)}
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, timeout=60, check=False, env=environ)

    count, _, history = done.stdout.partition("\n")
    assert count == "1", done.stderr
    (shown,) = json.loads(history)["data"][0]
    assert "80 % of <b>the budget</b> & more" in shown["body"]["data"].replace("&lt;", "<").replace(
        "&gt;", ">"
    ).replace("&amp;", "&")
