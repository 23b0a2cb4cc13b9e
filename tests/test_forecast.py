"""Where the month is heading."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiontrackd.forecast import forecast

USD = 10**12


def test_without_history_the_month_goes_on_as_it_began() -> None:
    """Ten dollars in five days are sixty in thirty."""
    found = forecast([2 * USD] * 5, 30, limit_picousd=50 * USD)

    assert (found.method, found.expected_picousd, found.runs_out_on_day) == ("linear", 60 * USD, 26)
    assert found.low_picousd == found.high_picousd == 60 * USD


def test_history_steadies_the_rate() -> None:
    """One dear day at the start of a month is no dear month."""
    found = forecast([30 * USD], 30, before=[USD] * 40)

    assert found.method == "weighted"
    assert 60 * USD < found.expected_picousd < 140 * USD
    assert found.low_picousd < found.expected_picousd < found.high_picousd


def test_part_of_a_day_counts_as_that_part() -> None:
    """At noon of the second day a day and a half have passed."""
    assert forecast([2 * USD, USD], 30, passed_days=1.5).expected_picousd == 60 * USD


@pytest.mark.parametrize(
    ("days", "limit", "day"), [([], 5, None), ([0, 0], 5, None), ([3, 3], 5, 2), ([1, 1], 30, None), ([1, 1], 29, 30)]
)
def test_the_day_on_which_it_runs_out(days: list[int], limit: int, day: int | None) -> None:
    """None while nothing is spent or the month ends before; today where it is used up."""
    assert forecast([each * USD for each in days], 30, limit_picousd=limit * USD).runs_out_on_day == day


def test_a_month_that_is_over_is_certain() -> None:
    """Nothing is left to guess."""
    found = forecast([USD] * 30, 30, before=[5 * USD] * 30)

    assert found.low_picousd == found.expected_picousd == found.high_picousd == 30 * USD
    with pytest.raises(ValueError, match="31 days in a month of 30"):
        forecast([USD] * 31, 30)


@given(st.lists(st.integers(0, 10**14), max_size=28), st.lists(st.integers(0, 10**14), max_size=60))
def test_the_range_holds_what_is_known(days: list[int], before: list[int]) -> None:
    """Never less than is spent; the same figures give the same forecast."""
    found = forecast(days, 28, before=before)

    assert sum(days) <= found.low_picousd <= found.high_picousd
    assert found == forecast(days, 28, before=before)


def test_two_real_series_are_forecast_as_well_as_promised(shared: Path) -> None:
    """Every 30-day window of two teams: the median error at day 5 and 15, and how often the range held."""
    series = json.loads((shared / "tokens" / "daily_usd.json").read_text())["series"].values()
    for day, error_most, cover_least in ((5, 0.40, 0.85), (15, 0.28, 0.85)):
        errors, covered = [], []
        for one in series:
            spent = [int(usd * USD) for usd in one["usd"]]
            for start in range(len(spent) - 29):
                window = spent[start : start + 30]
                found = forecast(window[:day], 30, before=spent[max(0, start - 60) : start])
                errors.append(abs(found.expected_picousd - sum(window)) / sum(window))
                covered.append(found.low_picousd <= sum(window) <= found.high_picousd)

        assert statistics.median(errors) <= error_most
        assert statistics.mean(covered) >= cover_least
