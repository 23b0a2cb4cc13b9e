"""The register of channels, one line per member, and delivery: each alert that is due goes through each of them, once."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from sessiontrackd.alerts import OVERRUN, RECORDED, SPENT, TOKENS, Alerts
from sessiontrackd.budget import TokenManager
from sessiontrackd.channels._notices import GATHER_S as GATHER_S
from sessiontrackd.channels._notices import SCHEMA as SCHEMA
from sessiontrackd.channels._notices import Notices as Notices
from sessiontrackd.circuit import Circuits
from sessiontrackd.config import Home, Settings
from sessiontrackd.contracts import Channel
from sessiontrackd.errors import SessiontrackdError, UsageError
from sessiontrackd.history import History
from sessiontrackd.model import Alert, AlertKind, BudgetStatus
from sessiontrackd.pricing import usd_shown

log = logging.getLogger(__name__)

CHANNELS: Mapping[str, str] = MappingProxyType(
    {
        "desktop": "sessiontrackd.channels.desktop:DesktopChannel",
        "command": "sessiontrackd.channels.command:CommandChannel",
    }
)
GROUP = "sessiontrackd.channels"
TELL_TIMEOUT_S = 10.0  # of one channel, whatever it promises of itself

DEFAULTS = Settings()
Tell = Callable[[Alert], Awaitable[object]]


def _others() -> dict[str, str]:
    """Return the channels that other packages bring."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def names() -> list[str]:
    """Return the names of all channels, ours first, then those that other packages bring."""
    return [*CHANNELS, *sorted(_others().keys() - CHANNELS.keys())]


def channel_class(name: str) -> type[Channel]:
    """Import a channel's class.

    Raises:
        UsageError: there is no channel of this name.
    """
    target = CHANNELS.get(name) or _others().get(name)
    if target is None:
        raise UsageError(f"There is no channel {name!r}. Channels: {', '.join(names())}.")
    module, _, member = target.partition(":")
    found: type[Channel] = getattr(import_module(module), member)
    return found


async def tell(alert: Alert, settings: Settings = DEFAULTS, home: Home | None = None) -> dict[str, str | None]:
    """Say something through every channel, each bounded in time. A failure is logged and stops nothing.

    Args:
        alert: what to say.
        settings: switch channels on and off.
        home: whose commands a button runs; None: there are no buttons.

    Returns:
        For each channel None where the alert arrived, else why it did not.
    """
    log.warning("%s", alert.text)  # who has no desktop finds it in the log
    opened = [(name, channel) for name in names() if (channel := _opened(name, settings, home)) is not None]
    return {name: await _try(name, channel, alert) for name, channel in opened}


def _opened(name: str, settings: Settings, home: Home | None) -> Channel | None:
    """Make a channel from the settings (`of`), or as it is where it needs none; None where it is not wanted."""
    made = channel_class(name)
    make = getattr(made, "of", None)
    channel: Channel | None = made() if make is None else make(settings, home)
    return channel


async def _try(name: str, channel: Channel, alert: Alert) -> str | None:
    import asyncio  # `status` looks at what was told, and has no use for a loop

    try:
        async with asyncio.timeout(TELL_TIMEOUT_S):
            await channel.send(alert)
    except Exception as error:  # noqa: BLE001 - no channel's fault may stop the work it tells of
        reason = str(error) or type(error).__name__
        log.warning("this alert was not delivered through %s: %s", name, reason)
        return reason
    return None


class Teller:
    """Delivers the alerts of a home, and remembers those that did not arrive.

    Args:
        settings: of the home.
        home: whose commands a button runs.
        notices: what is remembered.
    """

    def __init__(self, settings: Settings, home: Home, notices: Notices) -> None:
        """Keep the parts."""
        self._settings = settings
        self._home = home
        self._notices = notices

    async def __call__(self, alert: Alert) -> dict[str, str | None]:
        """Deliver an alert unless alerts are snoozed; what no channel delivered is listed in `status`. Nothing is raised.

        Returns:
            As `tell` does; nothing while alerts are snoozed, so that this one is not tried again.
        """
        told: dict[str, str | None] = {}
        until = self._snoozed_until()
        if until is not None:
            log.warning("%s", alert.text)
            missed: str | None = f"alerts are snoozed until {until.astimezone(self._settings.zone):%Y-%m-%d %H:%M}"
        else:
            told = await tell(alert, self._settings, self._home)
            arrived = any(reason is None for reason in told.values())
            missed = (
                None if arrived else "; ".join(f"{name}: {reason}" for name, reason in told.items()) or "no channel"
            )
        if alert.kind is not AlertKind.REPORT:
            with contextlib.suppress(SessiontrackdError):  # a full disk; the log has it
                self._notices.keep(alert.kind.value, alert.text, missed)
        return told

    def _snoozed_until(self) -> datetime | None:
        try:
            return self._notices.snoozed_until()
        except SessiontrackdError:  # better heard once too often
            return None

    def ready(self, path: Path) -> None:
        """Note that a report is ready, if the user wants to be notified of reports."""
        if self._settings.alerts_reports:
            with contextlib.suppress(SessiontrackdError):  # a full disk must not fail the job whose note is written
                self._notices.ready(path)

    def due_s(self) -> float:
        """Return in how many seconds `gather` has something to say; infinite where nothing is ready."""
        return self._notices.due_s() if self._settings.alerts_reports else float("inf")

    async def gather(self, status: BudgetStatus) -> list[Path]:
        """Tell of the reports that became ready, in one notification and at most one in five minutes."""
        paths = self._notices.gathered() if self._settings.alerts_reports else []
        if paths:
            what = "A report is ready" if len(paths) == 1 else f"{len(paths)} reports are ready, the newest"
            await self(Alert(0, status, f"{what}: {paths[0].name}", AlertKind.REPORT, paths[0]))
        return paths


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
        log.warning("cannot tell whether a threshold was passed: %s", error)
        return []
    await _tell_all(due, alerts, tell)
    return due


async def tell_recorded(
    history: History, alerts: Alerts, settings: Settings, tell: Tell = tell, now: datetime | None = None
) -> list[Alert]:
    """Say once a day and once a month that what the transcripts record has reached what the user wanted to know.

    Args:
        history: what they record.
        alerts: what was said already.
        settings: name the amounts.
        tell: how to say it.
        now: the time.

    Returns:
        What was said.
    """
    try:
        due = list(_recorded(history, alerts, settings, now or datetime.now(UTC)))
    except SessiontrackdError as error:
        log.warning("cannot tell what the transcripts record: %s", error)
        return []
    await _tell_all(due, alerts, tell)
    return due


async def tell_again(manager: TokenManager, alerts: Alerts, tell: Tell = tell) -> int:
    """Tell again what no channel could tell, as far as it is time to; return how much was told.

    Args:
        manager: whose month stands in the alert.
        alerts: what was said already.
        tell: how to say it.
    """
    number = 0
    try:
        while (untold := alerts.take_untold()) is not None:
            if _was_told(await tell(Alert(untold[2], manager.status(), untold[1]))):
                alerts.told(untold[0])
                number += 1
    except SessiontrackdError as error:
        log.warning("cannot tell which alerts are pending: %s", error)
    return number


async def _tell_all(due: Iterable[Alert], alerts: Alerts, tell: Tell) -> None:
    for alert in due:
        if not _was_told(await tell(alert)):
            try:
                alerts.keep_untold(alert)
            except SessiontrackdError as error:
                log.warning("this alert is not tried again: %s", error)


def _was_told(result: object) -> bool:
    """Say whether any channel took it; who tells otherwise than through channels has told."""
    return not isinstance(result, dict) or not result or None in result.values()


async def tell_open(circuits: Circuits, manager: TokenManager, alerts: Alerts, tell: Tell = tell) -> list[str]:
    """Say once which engines are not asked any more; return the reasons.

    Args:
        circuits: of the home.
        manager: whose month stands in the alert.
        alerts: keep what could not be told.
        tell: how to say it.
    """
    try:
        reasons = circuits.untold()
        due = [
            Alert(0, manager.status(), f"{each} Until then notes are made by the local engine.", AlertKind.CIRCUIT)
            for each in reasons
        ]
    except SessiontrackdError as error:
        log.warning("cannot tell whether an engine refuses every request: %s", error)
        return []
    await _tell_all(due, alerts, tell)
    return reasons


def _due(manager: TokenManager, alerts: Alerts, settings: Settings) -> Iterator[Alert]:
    scopes: list[tuple[str, str | None, str | None]] = [("total", None, None)]
    scopes += [(str(folder.path), str(folder.path), None) for folder in settings.folders]
    scopes += [(name, None, name) for name, _ in settings.project_budgets]
    total = manager.status()
    for scope, folder, project in scopes:
        status = manager.status(folder, project) if folder or project else total
        if _hangs_on_reservations(status, settings.thresholds):
            status = manager.lasting(folder, project)
        for subject in (SPENT, TOKENS):
            outlook = partial(_outlook, manager) if scope == "total" and subject == SPENT else str
            alert = alerts.due(status, settings.thresholds, scope=scope, subject=subject, outlook=outlook)
            if alert:
                yield alert
    yield from _overruns(manager, alerts, total)


def _overruns(manager: TokenManager, alerts: Alerts, status: BudgetStatus) -> Iterator[Alert]:
    """Name each bill of the month that was higher than what was set aside for it, once."""
    for each in manager.overruns(status.period):
        if alerts.is_first(OVERRUN, str(each.reserve.id), status.period):
            billed, aside = each.last.picousd or 0, each.reserve.picousd or 0
            yield Alert(
                0,
                status,
                f"A request to {each.reserve.model or 'a model'} was billed {usd_shown(billed)}, more than the "
                f"{usd_shown(aside)} set aside for it. It is booked in full; `sessiontrackd doctor` lists it.",
            )


def _hangs_on_reservations(status: BudgetStatus, thresholds: Iterable[int]) -> bool:
    """Say whether a threshold may be passed only by what is set aside: for seconds, where a request is on its way."""
    if not status.reserved_picousd or not status.limit_picousd:
        return bool(status.limit_tokens)
    spent, aside, limit = status.spent_picousd, status.reserved_picousd, status.limit_picousd
    return any(spent * 100 < limit * threshold <= (spent + aside) * 100 for threshold in thresholds)


def _outlook(manager: TokenManager) -> str:
    """Say on which day the month's budget would be used up."""
    day, status = manager.forecast().runs_out_on_day, manager.status()
    is_used_up = status.remaining_picousd is not None and status.remaining_picousd <= 0
    return "" if day is None or is_used_up else f"At this rate it is used up on {status.period}-{day:02}."


def _recorded(history: History, alerts: Alerts, settings: Settings, now: datetime) -> Iterator[Alert]:
    amounts = (
        (settings.recorded_daily_picousd, settings.recorded_daily_tokens),
        (settings.recorded_monthly_picousd, settings.recorded_monthly_tokens),
    )
    today = now.astimezone(settings.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = ((today, f"{today:%Y-%m-%d}"), (today.replace(day=1), f"{today:%Y-%m}"))
    for (start, period), (limit_picousd, limit_tokens) in zip(starts, amounts, strict=True):
        if limit_picousd is None and limit_tokens is None:
            continue
        spent = history.recorded_since(start, today + timedelta(days=1))
        status = BudgetStatus(
            period, limit_picousd, spent.cost_picousd, 0, limit_tokens=limit_tokens, used_tokens=spent.tokens
        )
        unpriced = (
            f"{spent.unpriced_tokens:,} tokens more have no known price."
            if spent.unpriced_tokens and limit_picousd
            else ""
        )
        alert = alerts.due(status, (100,), subject=RECORDED, outlook=partial(str, unpriced))
        if alert:
            yield alert
