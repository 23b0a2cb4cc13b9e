"""Checks of everything that could go wrong, with remedies. They change nothing, but one shows a notification."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sessiontrackd import config
from sessiontrackd.config import Home, Settings
from sessiontrackd.doctor import _machine, _money, _notification, _places, _sending
from sessiontrackd.doctor._notification import ended_alert, sample_alert, stopped_alert
from sessiontrackd.doctor._patient import FAILURE, OK, WARNING, Check, Look, Patient
from sessiontrackd.errors import SettingsError

__all__ = ["FAILURE", "OK", "WARNING", "Check", "ended_alert", "examine", "sample_alert", "stopped_alert"]


def examine(home: Home, *, notify: bool = True, service: dict[str, Any] | None = None) -> Iterator[Check]:
    """Yield one check after the other.

    Args:
        home: whose settings, folders, database and daemon.
        notify: show a notification too.
        service: how the service stands, as `service status --json` has it.
    """
    try:
        settings, mistake = config.load(home), None
    except SettingsError as error:
        settings, mistake = Settings(timezone=config.system_timezone()), str(error)
    patient = Patient(home, settings, mistake, datetime.now(UTC))
    for look in LOOKS:
        yield from look(patient)
    if service is not None:
        yield _machine.service(service)
        yield from _sending.service_key(patient, service)
    if notify:
        yield _notification.notification(patient)


LOOKS: tuple[Look, ...] = (
    _machine.versions, _places.settings, _machine.timezone, _machine.disk, _places.folders, _places.page_templates, _money.database,
    _sending.consents, _sending.models, _money.limits, _money.prices, _machine.daemon, _machine.clock, _sending.key, _machine.hooks,
)  # fmt: skip
