"""What every test gets: a fresh home, a fixed time zone, no network, and the shared corpus where it is at hand."""

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from sessiontrackd.config import Home
from tests.desktop import Desktop, StartDesktop

CHECKOUT = Path(__file__).resolve().parent.parent
SHARED = CHECKOUT.parent / "shared"

settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True, database=None)
settings.register_profile("prove", max_examples=2000, deadline=None, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


class Guarded(BaseException):
    """A test reached for the network or for the person's own folders; no `except Exception` hides it."""


def real_folders() -> tuple[str, ...]:
    """Return where the program would keep its files for the person who runs the tests."""
    home = Home.find(environ={name: value for name, value in os.environ.items() if name.startswith("XDG_")})
    return tuple({os.path.join(folder, "") for folder in (home.config_path.parent, home.state_dir, home.log_dir)})


REAL_FOLDERS = real_folders()
PATH_EVENTS = {"open", "os.mkdir", "sqlite3.connect", "os.rename", "os.remove"}


def is_local(host: object) -> bool:
    """Tell whether a host name or address stays on this machine."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return host in (None, "", "localhost", "::1") or (isinstance(host, str) and host.startswith("127."))


def guard(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse every socket but AF_UNIX and loopback, and every file in the person's own folders."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        family, address = arguments[0].family, arguments[1]
        if family in (socket.AF_INET, socket.AF_INET6) and address is not None and not is_local(address[0]):
            raise Guarded(f"a test reached for the network: {address!r}")
    elif event == "socket.getaddrinfo" and not is_local(arguments[0]):
        raise Guarded(f"a test looked up {arguments[0]!r}")
    elif event in PATH_EVENTS and isinstance(arguments[0], str) and (arguments[0] + os.sep).startswith(REAL_FOLDERS):
        raise Guarded(f"a test touched {arguments[0]}; use the fixture `home`")


sys.addaudithook(guard)


@pytest.fixture(autouse=True)
def person(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a fresh, empty HOME, the zone UTC, and an environment without keys, proxies or a desktop."""
    home = tmp_path_factory.mktemp("person")
    for name in list(os.environ):
        if name.startswith(("ANTHROPIC_", "OPENAI_", "SESSIONTRACKD_", "XDG_", "DBUS_")) or name.lower().endswith(
            "_proxy"
        ):
            monkeypatch.delenv(name)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "NOTIFY_SOCKET", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    for name in ("CONFIG", "DATA", "STATE", "CACHE", "RUNTIME"):
        folder = home / f"xdg-{name.lower()}"
        folder.mkdir(mode=0o700)
        monkeypatch.setenv(f"XDG_{name}_{'DIR' if name == 'RUNTIME' else 'HOME'}", str(folder))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield home
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a temporary SESSIONTRACKD_HOME, made the way the program makes its own."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("SESSIONTRACKD_HOME", str(folder))
    return folder


@pytest.fixture
def start_desktop(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartDesktop]:
    """Return a function that starts a session bus with a notification server, and makes it that of this test."""
    if shutil.which("dbus-run-session") is None:
        pytest.skip("no dbus-run-session: apt-get install dbus")
    started: list[Desktop] = []

    def begin(*words: str) -> Desktop:
        started.append(Desktop(*words))
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", started[-1].address)
        return started[-1]

    yield begin
    for each in started:
        each.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of shared transcripts beside the checkout, or skip."""
    if not SHARED.is_dir():
        pytest.skip("no folder `shared` with the corpus beside the checkout")
    return SHARED
