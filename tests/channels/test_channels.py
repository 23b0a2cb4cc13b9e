"""Alerts that reach a real session bus, whatever is or is not at its other end."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sessiontrackd import alerts, budget, channels, history
from sessiontrackd.alerts import AGAIN_S, Alerts
from sessiontrackd.budget import Limit, TokenManager
from sessiontrackd.channels import desktop
from sessiontrackd.config import Amount, Settings
from sessiontrackd.errors import UsageError
from sessiontrackd.history import History
from sessiontrackd.model import Alert, BudgetStatus, Folder, Session, Usage, UsageRecord
from sessiontrackd.store import Store, open_store
from tests.desktop import StartDesktop

USD = 10**12
ALERT = Alert(50, BudgetStatus("2026-11", 10 * USD, 5 * USD, 0), "50 % is used: $5.00 of <b>$10.00</b> & more.")
HASTE_S = 0.3  # how long a test waits for a server that never answers


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with open_store(home / "state.db", budget.SCHEMA, alerts.SCHEMA, history.SCHEMA) as opened:
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
            "buttons": [],
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
    assert "no notification server accepted it" in reason
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
    manager.send(reservation)
    manager.assume(reservation)

    assert said(manager, store, settings) == [
        "50 % of the budget", "80 % of the budget of /f", "The budget of p",
    ]  # fmt: skip
    assert said(manager, store, settings) == []


def test_a_reservation_of_seconds_alarms_nobody(store: Store) -> None:
    """It counts as soon as it is settled, assumed, or lasts longer than a request can."""
    settings = Settings(monthly_budget_picousd=10 * USD, monthly_budget_tokens=1000)
    early = datetime.now(UTC) - timedelta(minutes=11)
    manager = TokenManager(store=store)
    manager.hold_to(settings)
    reservation = manager.reserve(Usage(600, 0), cost_picousd=6 * USD)
    assert said(manager, store, settings) == []

    manager.settle(reservation, Usage(6, 0))
    assert said(manager, store, settings) == []

    TokenManager(store=store, now=lambda: early).reserve(Usage(600, 0), cost_picousd=6 * USD)
    assert said(manager, store, settings) == ["50 % of the budget", "50 % of the budget"]


def test_an_alert_names_the_day_on_which_the_budget_runs_out(store: Store) -> None:
    """As the forecast has it."""
    manager = TokenManager(store=store, now=lambda: datetime(2026, 11, 11, tzinfo=UTC))
    manager.set_limits(Limit(10 * USD))
    assumed(manager, 6 * USD)

    async def nowhere(alert: Alert) -> None:
        pass

    (alert,) = asyncio.run(channels.tell_due(manager, Alerts(store), Settings(), nowhere))
    assert alert.text.endswith("$6.00 of $10.00. At this rate it is used up on 2026-11-17.")


def assumed(manager: TokenManager, cost_picousd: int) -> None:
    """Spend."""
    reservation = manager.reserve(Usage(1, 0), cost_picousd=cost_picousd)
    manager.send(reservation)
    manager.assume(reservation)


def test_a_bill_above_what_was_set_aside_is_announced_once(store: Store) -> None:
    """With both amounts; it was booked in full."""
    manager = TokenManager(store=store)
    manager.set_limits(Limit(1000 * USD))
    manager.settle(manager.reserve(Usage(1, 0), cost_picousd=USD // 100), Usage(1_000_000, 0))
    manager.settle(manager.reserve(Usage(10, 0)), Usage(10, 0))

    (text,) = said(manager, store, Settings())
    assert text == "A request to claude-haiku-5-5 was billed $0.50, more than the $0.01 set aside"
    assert said(manager, store, Settings()) == []


class Deaf:
    """A desktop that takes nothing until it is there."""

    def __init__(self) -> None:
        """Start without ears."""
        self.is_there = False
        self.heard: list[str] = []

    async def __call__(self, alert: Alert) -> dict[str, str | None]:
        """Hear it, where it is there."""
        if self.is_there:
            self.heard.append(alert.text)
        return {"desktop": None if self.is_there else "nobody is there"}


def test_what_nobody_heard_is_told_again_and_then_no_more(store: Store) -> None:
    """Later each time, a bounded number of times, and once when somebody is there."""
    now = [datetime(2026, 11, 11, tzinfo=UTC)]
    manager, deaf, alerts = TokenManager(store=store), Deaf(), Alerts(store, now=lambda: now[0])
    manager.set_limits(Limit(10 * USD))
    assumed(manager, 6 * USD)
    asyncio.run(channels.tell_due(manager, alerts, Settings(), deaf))

    def again(after_s: float) -> datetime | None:
        now[0] += timedelta(seconds=after_s)
        asyncio.run(channels.tell_again(manager, alerts, deaf))
        return alerts.next_untold()

    assert again(9) == now[0] + timedelta(seconds=1)
    assert again(1) == now[0] + timedelta(seconds=60)
    deaf.is_there = True
    assert again(60) is None
    assert len(deaf.heard) == 1
    assumed(manager, 3 * USD)
    deaf.is_there = False
    asyncio.run(channels.tell_due(manager, alerts, Settings(), deaf))
    assert [again(after_s) is not None for after_s in AGAIN_S] == [True] * (len(AGAIN_S) - 1) + [False]


def test_the_agents_own_spending_speaks_once_a_day_and_once_a_month(store: Store) -> None:
    """As soon as a transcript that was read records it; what has no price is said beside it."""
    settings = Settings(recorded_daily_picousd=80 * USD, recorded_monthly_tokens=160_000_000)
    evening = datetime(2026, 11, 11, 22, tzinfo=UTC)
    recorded, alerts = History(store), Alerts(store)

    def told(hours: int, tokens: int, model: str = "claude-haiku-5-5") -> list[str]:
        at = evening + timedelta(hours=hours)
        record = UsageRecord(f"{model} {hours}", None, model, at, Usage(output_tokens=tokens))
        recorded.record_session(Session("s", "claude_code", usage_records=(record,)), b"/a")
        due = asyncio.run(channels.tell_recorded(recorded, alerts, settings, Deaf(), at))
        return [alert.text for alert in due]

    assert told(0, 100_000_000) == []
    assert told(0, 1_000, "llama") == []
    assert told(1, 40_000_000) == []
    assert told(2, 4_000_000) == []  # the next day
    said = told(-1, 30_000_000)
    assert said[0].startswith("Your agents have used $85.00 (2026-11-11), as their transcripts record;")
    assert said[0].endswith("you asked to be told at $80.00. 1,000 tokens more have no known price.")
    assert said[1].startswith("Your agents have used 170,001,000 tokens (2026-11), as their")
    assert told(-2, 30_000_000) == []


def test_a_damaged_ledger_stops_no_note(store: Store) -> None:
    """What it says is told as it stands; nothing is raised."""
    manager = TokenManager(store=store)
    manager.set_limits(Limit(USD))
    with store.immediate() as connection:
        connection.execute("UPDATE budget SET picousd = 5")

    assert said(manager, store, Settings()) == []


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
