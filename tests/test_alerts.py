"""When to speak."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiontrackd.alerts import RECORDED, SCHEMA, Alerts
from sessiontrackd.model import BudgetStatus
from sessiontrackd.store import open_store

USD = 10**12
THRESHOLDS = (50, 80, 95, 100)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def alerts() -> Iterator[Alerts]:
    with open_store(None, SCHEMA) as store:
        yield Alerts(store, now=lambda: NOW)


def spent(percent: float, *, reserved: float = 0, limit: int = 10, period: str = "2026-11") -> BudgetStatus:
    return BudgetStatus(period, limit * USD, int(percent * USD / 10), int(reserved * USD / 10))


def said(alerts: Alerts, status: BudgetStatus) -> int | None:
    alert = alerts.due(status, THRESHOLDS)
    return alert.threshold if alert else None


def test_each_threshold_speaks_once_a_month(alerts: Alerts) -> None:
    """On the way up, and not again on the way down and up."""
    found = [said(alerts, spent(percent)) for percent in (49.9, 50, 79, 80, 60, 81, 96, 94, 96, 100, 120)]

    assert found == [None, 50, None, 80, None, None, 95, None, None, 100, None]
    assert said(alerts, spent(55, period="2026-12")) == 50


def test_a_jump_speaks_with_its_highest_threshold(alerts: Alerts) -> None:
    """One notification, not three."""
    assert said(alerts, spent(97)) == 95
    assert said(alerts, spent(97)) is None
    assert said(alerts, spent(100)) == 100


def test_money_set_aside_counts(alerts: Alerts) -> None:
    """What may still be spent is no longer free; the text says both."""
    alert = alerts.due(spent(40, reserved=15), THRESHOLDS)

    assert alert is not None
    assert alert.text == "50 % of the budget for 2026-11 is used: $4.00 of $10.00, $1.50 more is set aside."


def test_a_raised_limit_makes_a_threshold_new(alerts: Alerts) -> None:
    """Only where the share fell by more than the hysteresis."""
    assert said(alerts, spent(85)) == 80
    assert said(alerts, spent(84, limit=11)) is None  # 76 %: not far enough below 80
    assert said(alerts, spent(98, limit=12)) is None
    assert said(alerts, spent(80, limit=20)) is None  # 40 %
    assert said(alerts, spent(170, limit=20)) == 80


def test_scopes_and_subjects_speak_for_themselves(alerts: Alerts) -> None:
    """A folder, and what the transcripts record, are other things than the total."""
    assert said(alerts, spent(60)) == 50
    folder = alerts.due(spent(60), THRESHOLDS, scope="/f")
    recorded = alerts.due(spent(60), THRESHOLDS, subject=RECORDED)

    assert folder is not None
    assert folder.text == "50 % of the budget of /f for 2026-11 is used: $6.00 of $10.00."
    assert recorded is not None
    assert recorded.text.startswith("Your agents have used $6.00 (2026-11)")
    assert [(what, threshold) for _, what, _, threshold in alerts.said()] == [
        ("recorded total", 50), ("spent /f", 50), ("spent total", 50),
    ]  # fmt: skip


def test_without_a_limit_nothing_is_said(alerts: Alerts) -> None:
    """There is no share of nothing."""
    assert alerts.due(BudgetStatus("2026-11", None, USD, 0), THRESHOLDS) is None


@given(st.lists(st.integers(0, 130), max_size=40))
def test_no_threshold_speaks_twice(shares: list[int]) -> None:
    """Whatever the spending does, a fixed limit hears each threshold at most once, in rising order."""
    with open_store(None, SCHEMA) as store:
        alerts = Alerts(store, now=lambda: NOW)
        found = [threshold for share in shares if (threshold := said(alerts, spent(share)))]

    assert found == sorted(set(found))
    assert max(found, default=0) == max((t for t in THRESHOLDS if max(shares, default=0) >= t), default=0)
