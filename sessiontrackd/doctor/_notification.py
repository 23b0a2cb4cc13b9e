"""Whether notifications arrive, and the alerts that `doctor` and `service failed` send."""

from __future__ import annotations

import asyncio
from datetime import datetime

from sessiontrackd import budget, channels
from sessiontrackd.channels import desktop
from sessiontrackd.config import Settings
from sessiontrackd.doctor._patient import OK, WARNING, Check, Patient
from sessiontrackd.model import Alert, AlertKind, BudgetStatus

STOPPED = (
    "The daemon stopped and does not restart by itself, so no new notes are made. "
    "Why: sessiontrackd doctor. Again: sessiontrackd service start"
)
KILLED = "It was killed or crashed, and could not say why"
SAMPLE = "This is a test: sessiontrackd can reach you here."


def sample_alert(settings: Settings, now: datetime) -> Alert:
    """Return an alert that says only that alerts arrive."""
    return _alert(settings, now, SAMPLE, AlertKind.TEST)


def stopped_alert(settings: Settings, now: datetime) -> Alert:
    """Return the alert that the daemon has stopped for good."""
    return _alert(settings, now, STOPPED, AlertKind.DAEMON)


def ended_alert(settings: Settings, now: datetime, heard_at: datetime | None, reason: str | None) -> Alert:
    """Return the alert that the daemon did not end as it should.

    Args:
        settings: whose zone times are told in.
        now: the clock.
        heard_at: when it was heard last, of one that was started again; None: it could not begin at all.
        reason: why, where that is known.
    """
    why = (reason or KILLED).rstrip(".")
    if heard_at is None:
        text = f"The daemon cannot work, so no new notes are made. {why}. It is retried every half minute."
    else:
        last = heard_at.astimezone(settings.zone)
        text = (
            f"The daemon ended unexpectedly after {last:%Y-%m-%d %H:%M}, and runs again now. {why}. "
            "What it had begun is done again. If that goes on: sessiontrackd doctor"
        )
    return _alert(settings, now, text, AlertKind.DAEMON)


def _alert(settings: Settings, now: datetime, text: str, kind: AlertKind) -> Alert:
    return Alert(0, BudgetStatus(budget.period_of(now, settings.zone), None, 0, 0), text, kind)


def notification(patient: Patient) -> Check:
    """Show a notification for real: nothing less tells whether one appears."""
    told = asyncio.run(channels.tell(sample_alert(patient.settings, patient.now), patient.settings, patient.home))
    arrived = [name for name, reason in told.items() if reason is None]
    if arrived:
        server = asyncio.run(desktop.server()) if "desktop" in arrived else None
        by = f" by {server}" if server else ""
        return Check("notification", OK, f"one was sent and accepted{by} ({', '.join(arrived)}); you should see it now")
    reasons = "; ".join(f"{name}: {reason}" for name, reason in told.items())
    remedy = "Alerts stand in the log only. On a machine without a desktop that is expected; otherwise log in to it."
    return Check("notification", WARNING, f"none arrives ({reasons})", remedy)
