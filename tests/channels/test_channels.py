"""Alerts that reach a real session bus, whatever is or is not at its other end."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sessiontrackd import alerts, budget, channels
from sessiontrackd.alerts import Alerts
from sessiontrackd.budget import Limit, TokenManager
from sessiontrackd.channels import desktop
from sessiontrackd.config import Amount, Settings
from sessiontrackd.errors import UsageError
from sessiontrackd.model import Alert, BudgetStatus, Folder, Usage
from sessiontrackd.store import Store, open_store
from tests.desktop import StartDesktop

USD = 10**12
ALERT = Alert(50, BudgetStatus("2026-11", 10 * USD, 5 * USD, 0), "50 % is used: $5.00 of <b>$10.00</b> & more.")
HASTE_S = 0.3  # how long a test waits for a server that never answers


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with open_store(home / "state.db", budget.SCHEMA, alerts.SCHEMA) as opened:
        yield opened


def test_one_notification_with_amount_and_limit(start_desktop: StartDesktop) -> None:
    """The server took it; what looks like markup is shown as it stands."""
    there = start_desktop()

    assert asyncio.run(channels.tell(ALERT)) == {"desktop": None}
    assert there.shown() == [
        {
            "app": "sessiontrackd",
            "summary": "sessiontrackd",
            "body": "50 % is used: $5.00 of &lt;b&gt;$10.00&lt;/b&gt; &amp; more.",
        }
    ]


def test_the_bus_of_a_service_is_found_by_its_socket(
    start_desktop: StartDesktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service's environment may name the runtime folder only."""
    there = start_desktop()
    socket_path = there.address.removeprefix("unix:path=").partition(",")[0]
    (Path(os.environ["XDG_RUNTIME_DIR"]) / "bus").symlink_to(socket_path)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")

    told = asyncio.run(channels.tell(ALERT))
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)  # which the channel has set

    assert told == {"desktop": None}
    assert len(there.shown()) == 1


def test_a_server_that_hangs_is_waited_for_a_bounded_time(
    start_desktop: StartDesktop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the failure is logged, with the words that nobody saw, and work goes on."""
    monkeypatch.setattr(desktop, "SEND_TIMEOUT_S", HASTE_S)
    start_desktop().freeze()
    began_s = time.monotonic()

    told = asyncio.run(channels.tell(ALERT))

    assert told == {"desktop": "the notification server does not answer"}
    assert HASTE_S <= time.monotonic() - began_s < 20 * HASTE_S
    assert "does not answer" in caplog.text
    assert "$5.00 of" in caplog.text


@pytest.mark.parametrize("is_there", [True, False], ids=["a bus without a server", "no bus"])
def test_without_a_server_nothing_stops(
    is_there: bool, start_desktop: StartDesktop, caplog: pytest.LogCaptureFixture
) -> None:
    """A server may be missing, or the whole desktop; one line each in the log, and no traceback."""
    if is_there:
        start_desktop("absent")

    (reason,) = asyncio.run(channels.tell(ALERT)).values()

    assert reason is not None
    assert "no notification server took it" in reason
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "Traceback" not in caplog.text


def test_sending_leaves_no_connection_behind(start_desktop: StartDesktop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where it arrives nor where the server hangs."""
    monkeypatch.setattr(desktop, "SEND_TIMEOUT_S", HASTE_S)
    there = start_desktop()

    async def send(times: int) -> int:
        for _ in range(times):
            await channels.tell(ALERT)
        await asyncio.sleep(0)
        return len(os.listdir("/proc/self/fd"))

    async def both() -> tuple[int, int, int]:
        first = await send(1)
        second = await send(3)
        there.freeze()
        return first, second, await send(3)

    first, second, third = asyncio.run(both())
    assert (second, third) == (first, first)


class Bad:
    """A channel that is broken in its own way."""

    NAME = "bad"

    async def send(self, alert: Alert) -> None:
        """Fail, or never end."""
        if alert.threshold == 100:
            await asyncio.Event().wait()
        raise KeyError("anything")


@pytest.mark.parametrize("threshold", [50, 100], ids=["raises", "hangs"])
def test_a_broken_channel_does_not_keep_the_others_from_telling(
    threshold: int, start_desktop: StartDesktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises, and however long it takes."""
    there = start_desktop()
    monkeypatch.setattr(channels, "TELL_TIMEOUT_S", 5.0 if threshold == 50 else HASTE_S * 3)
    both = {"bad": f"{__name__}:Bad", **channels.CHANNELS}
    monkeypatch.setattr(channels, "CHANNELS", MappingProxyType(both))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Bad.__module__])

    told = asyncio.run(channels.tell(Alert(threshold, ALERT.status, ALERT.text)))

    assert told == {"bad": "'anything'" if threshold == 50 else "TimeoutError", "desktop": None}
    assert len(there.shown()) == 1


@pytest.mark.parametrize("name", channels.names())
def test_every_channel_of_the_register_can_be_made(name: str) -> None:
    """It has the register's name and a `send`."""
    made = channels.channel_class(name)()

    assert name == made.NAME
    assert asyncio.iscoroutinefunction(made.send)


def test_an_unknown_channel_is_named_with_the_known() -> None:
    """So that the right one is found."""
    with pytest.raises(UsageError, match="desktop"):
        channels.channel_class("pigeon")


def said(manager: TokenManager, store: Store, settings: Settings) -> list[str]:
    """Ask what is due, say it to nobody, and return its words."""

    async def nowhere(alert: Alert) -> None:
        pass

    due = asyncio.run(channels.tell_due(manager, Alerts(store), settings, nowhere))
    return [alert.text.partition(" for ")[0] for alert in due]


def test_what_is_due_is_said_for_each_budget(store: Store) -> None:
    """The whole month's, a folder's, a project's, in money or in tokens; once."""
    settings = Settings(
        monthly_budget_picousd=10 * USD,
        folders=(Folder(Path("/f"), monthly_budget_tokens=1000), Folder(Path("/g"), monthly_budget_picousd=USD)),
        project_budgets=(("p", Amount(5 * USD)),),
    )
    manager = TokenManager(store=store)
    manager.hold_to(settings)
    assert said(manager, store, settings) == []

    reservation = manager.reserve(Usage(900, 0), folder="/f", project="p", cost_picousd=5 * USD)

    assert said(manager, store, settings) == [
        "50 % of the budget", "80 % of the budget of /f", "The budget of p",
    ]  # fmt: skip
    manager.send(reservation)
    manager.assume(reservation)
    assert said(manager, store, settings) == []


def test_a_damaged_ledger_stops_no_note(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be known is logged; nothing is raised."""
    manager = TokenManager(store=store)
    manager.set_limits(Limit(USD))
    with store.immediate() as connection:
        connection.execute("UPDATE budget SET picousd = 5")

    assert said(manager, store, Settings()) == []
    assert "unknown" in caplog.text


def pass_the_threshold(path: Path, together: Any) -> None:
    """Be one of the workers: spend a tenth, and tell what is due at the same moment as the others."""
    with open_store(path, budget.SCHEMA, alerts.SCHEMA) as store:
        manager = TokenManager(store=store)
        reservation = manager.reserve(Usage(10, 10), cost_picousd=USD)
        manager.send(reservation)
        manager.assume(reservation)
        together.wait(20)
        asyncio.run(channels.tell_due(manager, Alerts(store), Settings()))


def test_eight_workers_at_once_speak_once(start_desktop: StartDesktop, home: Path) -> None:
    """All of them see that the thresholds are passed; the desktop shows one notification, the highest."""
    there = start_desktop()
    path = home / "state.db"
    with open_store(path, budget.SCHEMA, alerts.SCHEMA) as store:
        TokenManager(store=store).set_limits(Limit(10 * USD))
    fork = multiprocessing.get_context("fork")
    together = fork.Barrier(8)
    workers = [fork.Process(target=pass_the_threshold, args=(path, together)) for _ in range(8)]
    for each in workers:
        each.start()
    for each in workers:
        each.join(30)

    assert [each.exitcode for each in workers] == [0] * 8
    (shown,) = there.shown()
    assert "$8.00 of $10.00" in shown["body"]
    assert shown["body"].startswith("80 %")
