"""TokenManager and its ledger: never more than was said."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import zoneinfo
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sessiontrackd import pricing
from sessiontrackd.budget import SCHEMA, TOTAL, Ledger, Limit, TokenManager, backups, bounds, period_of, restore
from sessiontrackd.config import Home, Settings
from sessiontrackd.errors import Busy, LedgerDamaged, OverBudget, SessiontrackdError, StoreError, Unpriced
from sessiontrackd.model import Folder, Insight, InsightLevel, Reservation, Session, Usage
from sessiontrackd.pricing import FREE, Prices, usd_text
from sessiontrackd.store import Store, open_store

USD = 10**12
MOST = Usage(10_000, 8_000)  # $0.005 of Haiku
COST = 5 * USD // 1000


class Clock:
    def __init__(self, at: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state.db", SCHEMA) as opened:
        yield opened


@pytest.fixture
def manager(store: Store, clock: Clock) -> TokenManager:
    return TokenManager("0.012", store=store, timezone="UTC", now=clock)


def state(manager: TokenManager) -> tuple[int, int, int]:
    found = manager.status()
    return found.spent_picousd - found.assumed_picousd, found.assumed_picousd, found.reserved_picousd


def test_the_designs_example_holds(store: Store) -> None:
    """A manager that is given a budget and a store needs nothing else."""
    manager = TokenManager(monthly_budget=50.00, store=store)

    assert (manager.monthly_budget, manager.current_month_spend) == (50.0, 0.0)
    assert manager.calculate_token_cost(1_000_000, 0, model="claude-sonnet-5-5") == 2.0
    assert manager.can_process(1_000_000, 0, model="claude-sonnet-5-5")
    manager.record_token_usage(24_000_000, 0, model="claude-sonnet-5-5")
    assert manager.current_month_spend == 48.0
    assert not manager.can_process(1_000_001, 0, model="claude-sonnet-5-5")


def test_a_home_remembers_across_managers(tmp_path: Path) -> None:
    """What one process spent the next one knows."""
    TokenManager(5.0, home=tmp_path / "home").record_token_usage(1000, 1000)

    assert TokenManager(home=tmp_path / "home").current_month_spend == pytest.approx(0.0006)


def test_money_is_set_aside_and_settled(manager: TokenManager) -> None:
    """A reservation holds its most; the settlement gives back what was not billed."""
    reservation = manager.reserve(MOST)
    assert state(manager) == (0, 0, COST)
    manager.send(reservation)

    assert manager.settle(reservation, Usage(5_000, 1_000)) == USD // 1000
    assert state(manager) == (USD // 1000, 0, 0)


def test_what_does_not_fit_is_refused_with_the_figures(manager: TokenManager) -> None:
    """Open reservations count; the message says what is left and what to do."""
    for _ in range(2):
        manager.reserve(MOST)

    with pytest.raises(OverBudget, match=r"up to \$0\.005000, .* \$0\.002000 is left.*budget set"):
        manager.reserve(MOST)


def test_without_a_budget_nothing_paid_is_reserved(store: Store) -> None:
    """Not even where a folder has a budget of its own."""
    manager = TokenManager(store=store)
    manager.set_limits(Limit(), folders={"/f": Limit(USD)})

    with pytest.raises(OverBudget, match="No monthly budget"):
        manager.reserve(MOST, folder="/f")
    assert not manager.can_process(1, 1)
    assert manager.monthly_budget is None


def test_what_is_free_needs_no_budget_in_dollars(store: Store) -> None:
    """Budgets in tokens count it all the same."""
    free = Prices((pricing.Override(None, FREE, provider="here"),))
    manager = TokenManager(store=store, prices=free)
    manager.set_limits(Limit(), folders={"/f": Limit(tokens=100)})

    assert manager.can_process(10**9, 1, model="llama", provider="here")
    manager.reserve(Usage(10**9), model="llama", provider="here")
    manager.reserve(Usage(90), model="llama", provider="here", folder="/f")
    assert not manager.can_process(11, 0, model="llama", provider="here", folder="/f")
    with pytest.raises(OverBudget, match="10 tokens are left"):
        manager.reserve(Usage(11), model="llama", provider="here", folder="/f")


def test_every_ancestor_is_asked(store: Store) -> None:
    """Folder and project hold within the total, in USD and in tokens."""
    manager = TokenManager(store=store)
    manager.set_limits(
        Limit(10 * COST), folders={"/f": Limit(COST)}, projects={"p": Limit(tokens=2 * MOST.total_tokens)}
    )
    manager.reserve(MOST, folder="/f", project="p")

    with pytest.raises(OverBudget, match="the budget of folder /f"):
        manager.reserve(MOST, folder="/f")
    manager.reserve(MOST, project="p")
    with pytest.raises(OverBudget, match=r"the budget of project p .*0 tokens are left"):
        manager.reserve(MOST, project="p")
    assert manager.status(folder="/f").remaining_picousd == 0


def test_what_is_kept_for_a_folder_no_other_uses(store: Store, clock: Clock) -> None:
    """Until the last fifth of the month; what it used itself is no longer kept."""
    clock.at = datetime(2026, 11, 2, tzinfo=UTC)
    manager = TokenManager(store=store, timezone="UTC", now=clock)
    a, b = Folder(Path("/a"), keep_picousd=2 * COST), Folder(Path("/b"), keep_tokens=5)
    manager.hold_to(Settings(monthly_budget_picousd=4 * COST, folders=(a, b)))

    manager.reserve(MOST, folder="/b")
    manager.reserve(MOST)
    assert not manager.can_process(1, 0, folder="/b")
    with pytest.raises(OverBudget, match=r"is left.*keep for themselves"):
        manager.reserve(Usage(1), folder="/b")
    manager.settle(manager.reserve(MOST, folder="/a"), Usage(10_000))
    with pytest.raises(OverBudget):
        manager.reserve(Usage(1))
    clock.at = datetime(2026, 11, 25, 1, tzinfo=UTC)
    manager.reserve(MOST)
    assert manager.summary()["folders"][0]["kept_usd"] == "0.010000"
    manager.verify()


def test_the_argument_can_only_tighten(store: Store) -> None:
    """The lower of argument and settings is in force."""
    TokenManager(store=store).set_limits(Limit(COST))

    assert TokenManager(1.0, store=store).monthly_budget == COST / USD
    assert TokenManager("0.001", store=store).monthly_budget == 0.001


def test_a_limit_below_the_spend_stops_and_says_by_how_much(manager: TokenManager) -> None:
    """What runs may finish; nothing new is reserved."""
    first = manager.reserve(MOST)
    manager.set_limits(Limit(COST // 2))

    with pytest.raises(OverBudget, match=r"over by \$0\.0025"):
        manager.reserve(Usage(1))
    manager.settle(first, MOST)
    assert manager.summary()["over_by_usd"] == "0.0025000"[:8]
    assert manager.summary()["remaining_usd"] == "0.000000"


def test_a_sure_refusal_gives_the_money_back(manager: TokenManager) -> None:
    """Released is as if it had never been; it stays on record."""
    reservation = manager.reserve(MOST)
    manager.send(reservation)
    manager.release(reservation, "429")

    assert state(manager) == (0, 0, 0)
    assert manager.usage()["total"]["calls"] == 0


def test_an_unknown_outcome_counts_at_its_most(manager: TokenManager) -> None:
    """Until a person or a later fact says otherwise, in the month of its reservation."""
    first, second, third = (manager.reserve(Usage(1_000)) for _ in range(3))
    for reservation in (first, second, third):
        manager.assume(reservation, "time-out")
    assert state(manager) == (0, 3 * USD // 10_000, 0)

    assert manager.correct(first.id, USD // 20_000) == -USD // 20_000
    assert manager.correct(second.id, 0) == -USD // 10_000
    manager.settle(third, Usage(500))
    assert state(manager) == (USD // 10_000, 0, 0)
    assert manager.assumed() == []
    with pytest.raises(ValueError, match="settled already"):
        manager.correct(first.id, 0)


def test_a_step_is_taken_once(manager: TokenManager) -> None:
    """What is settled or released cannot be settled again."""
    reservation = manager.reserve(MOST)
    manager.settle(reservation, Usage(1))

    for again in (manager.send, manager.release, manager.assume):
        with pytest.raises(ValueError, match="settled already"):
            again(reservation)
    with pytest.raises(ValueError, match="no attempt 99"):
        manager.release(99)


def test_a_bill_above_its_reservation_is_booked_in_full(manager: TokenManager) -> None:
    """It is the only way past a limit, and is listed."""
    reservation = manager.reserve(MOST)

    assert manager.settle(reservation, Usage(100_001)) == 50_000_500_000
    assert manager.status().remaining_picousd == 12 * USD // 1000 - 50_000_500_000
    assert [attempt.reserve.id for attempt in manager.overruns()] == [reservation.id]


@pytest.mark.parametrize("used", [Usage(-1_000_000, 5), Usage(5, 5, 0, -1), Usage(10**30)])
def test_what_no_request_can_have_used_is_not_booked(manager: TokenManager, used: Usage) -> None:
    """A negative number would give money back, and what is beyond the ledger would leave the attempt open."""
    reservation = manager.reserve(MOST)
    with pytest.raises(ValueError, match="no request uses"):
        manager.settle(reservation, used)
    with pytest.raises(ValueError, match="no request uses"):
        manager.record_token_usage(0, 0, usage=used)
    with pytest.raises(ValueError, match="no request uses"):
        manager.reserve(used)

    assert state(manager) == (0, 0, COST)
    manager.verify()


def test_a_request_that_was_dearer_as_a_whole_is_booked_so(manager: TokenManager) -> None:
    """Its entry holds the rates that it was billed at."""
    reservation = manager.reserve(MOST)

    assert manager.settle(reservation, Usage(1_000, 100), Decimal("1.1")) == (1_000 * 110_000 + 100 * 550_000)
    assert '"input":"0.11"' in str(manager._ledger.attempts()[0].last.rates)


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("claude-haiku-5-5", 100_000),
        ("claude-haiku-5-5-20261101", 100_000),
        ("claude-sonnet-5-5", 2_000_000),
        ("nobody-knows", 100_000),
        (None, 100_000),
    ],
)
def test_a_dearer_model_that_answered_is_booked_at_its_price(
    manager: TokenManager, model: str | None, rate: int
) -> None:
    """A gateway may pass a request on; a cheaper one or a stranger changes nothing."""
    reservation = manager.reserve(MOST, model="claude-haiku-5-5")

    assert manager.settle(reservation, Usage(1_000), model=model) == 1_000 * rate


def test_a_price_of_ones_own_stands_whatever_model_answered(store: Store) -> None:
    """Who states what a server costs knows it."""
    manager = TokenManager(10, store=store, prices=Prices((pricing.override("mine", {"input": 1, "output": 1}),)))

    assert manager.settle(manager.reserve(MOST, model="mine"), Usage(1_000), model="claude-sonnet-5-5") == 10**9
    cheaper = manager.reserve(MOST, model="claude-sonnet-5-5")
    assert manager.settle(cheaper, Usage(1_000), model="claude-haiku-5-5") == 1_000 * 2_000_000


def test_a_reservation_is_priced_at_its_own_step(store: Store) -> None:
    """A bound above 100,000 prompt tokens reserves the dearer rates for every token."""
    manager = TokenManager(10, store=store)

    assert manager.reserve(Usage(100_001, 1_000)).cost_picousd == 50_000_500_000 + 2_500_000_000
    assert manager.reserve(Usage(100_000, 1_000)).cost_picousd == 10_000_000_000 + 500_000_000
    assert manager.reserve(Usage(100_000, 1_000), batch=True).cost_picousd == (10_000_000_000 + 500_000_000) // 2


def test_an_unknown_model_cannot_be_reserved(manager: TokenManager) -> None:
    """The message says how to price it."""
    with pytest.raises(Unpriced, match="prices"):
        manager.reserve(MOST, model="claude-next")
    assert not manager.can_process(1, 1, model="claude-next")


def test_the_settings_prices_are_those_of_the_ledger(tmp_path: Path) -> None:
    """A model with a price of its own can be reserved; its rates stand in the entry; what is free counts all the same."""
    home = Home.find(tmp_path / "home", {})
    home.prepare()
    home.config_path.write_text(
        '[budget]\nmonthly = "1usd"\n[[prices]]\nmodel = "mine"\ninput = 2\noutput = 4\n'
        '[[prices]]\nprovider = "127.0.0.1:9"\nfree = true\n'
    )
    manager = TokenManager(home=home)

    assert manager.calculate_token_cost(1_000_000, 0, model="mine") == 2.0
    reservation = manager.reserve(Usage(1_000, 1_000), model="mine")
    assert manager.settle(reservation, Usage(100, 100)) == 600_000_000
    free = manager.reserve(Usage(1_000, 1_000), model="llama", provider="127.0.0.1:9")
    assert manager.settle(free, Usage(100, 100)) == 0
    assert [('"input":"2"' in (a.last.rates or ""), a.last.tokens) for a in manager._ledger.attempts()] == [
        (True, 200),
        (False, 200),
    ]
    with pytest.raises(Unpriced):
        manager.reserve(MOST, model="llama")


def test_prices_that_are_too_old_stop_spending(manager: TokenManager, clock: Clock) -> None:
    """Booking goes on; nothing new is reserved until someone has looked."""
    clock.at = datetime(2027, 6, 1, tzinfo=UTC)

    with pytest.raises(Unpriced, match="prices confirm"):
        manager.reserve(MOST)
    assert not manager.can_process(1, 1)
    manager.record_token_usage(1_000, 0)
    manager.hold_to(Settings(monthly_budget_picousd=USD, prices_confirmed_on=clock.at.date()))
    manager.reserve(Usage(1_000))


def test_near_the_end_the_hard_bound_is_set_aside(manager: TokenManager) -> None:
    """Decided together with the reservation, so that of two at once only one finds room."""
    learned, hard = Usage(20_000), Usage(45_000)

    assert manager.reserve(learned, expected=Usage(18_000), hard=hard).cost_picousd == 2 * USD // 1000
    assert manager.reserve(learned, expected=Usage(40_000), hard=hard).cost_picousd == 2 * USD // 1000
    assert manager.reserve(learned, expected=Usage(40_000), hard=hard).cost_picousd == 45 * USD // 10_000
    with pytest.raises(OverBudget):
        manager.reserve(learned, expected=Usage(18_000), hard=hard)


def test_the_month_is_that_of_the_reservation(manager: TokenManager, clock: Clock) -> None:
    """A call over midnight counts where it was reserved, and the new month begins at nothing."""
    clock.at = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
    reservation = manager.reserve(MOST)
    clock.at += timedelta(seconds=2)
    manager.settle(reservation, MOST)

    assert (manager.status().period, state(manager)) == ("2026-12", (0, 0, 0))
    assert manager.usage("day", "2026-11")["rows"][0]["key"] == "2026-11-30"


def test_a_closed_month_never_opens_again(manager: TokenManager, clock: Clock) -> None:
    """A clock that is set back spends the newer month's money."""
    manager.reserve(MOST)
    clock.at = datetime(2026, 12, 1, tzinfo=UTC)
    manager.reserve(MOST)
    clock.at = datetime(2026, 11, 24, tzinfo=UTC)

    assert manager.status().period == "2026-12"
    manager.reserve(MOST)
    with pytest.raises(OverBudget, match="for 2026-12"):
        manager.reserve(MOST)


def test_months_follow_the_zone_in_every_zone() -> None:
    """For all zones of the database: a month begins at its first local moment and never runs backwards."""
    wrong = []
    for name in sorted(zoneinfo.available_timezones()):
        zone = ZoneInfo(name)
        for month in (
            "1996-01",
            "2011-12",
            "2012-01",
            "2026-02",
            "2026-03",
            "2026-04",
            "2026-10",
            "2026-11",
            "2026-12",
        ):
            start, end = bounds(month, zone)
            inside = (start, start + timedelta(hours=36), end - timedelta(microseconds=1))
            if {period_of(at, zone) for at in inside} != {month} or end <= start:
                wrong.append((name, month, "inside"))
            if period_of(end, zone) == month or period_of(start - timedelta(microseconds=1), zone) == month:
                wrong.append((name, month, "outside"))

    assert wrong == []


@pytest.mark.parametrize(
    ("name", "at", "period"),
    [("Pacific/Kiritimati", "2026-10-31T10:30:00", "2026-11"), ("Pacific/Pago_Pago", "2026-12-01T10:30:00", "2026-11"),
     ("Asia/Kathmandu", "2026-11-30T18:15:00", "2026-12"), ("America/Havana", "2026-11-01T04:30:00", "2026-11"),
     ("Europe/Berlin", "2026-10-31T23:00:00", "2026-11"), ("Australia/Lord_Howe", "2026-10-31T13:00:00", "2026-11")],
)  # fmt: skip
def test_a_moment_belongs_to_its_local_month(name: str, at: str, period: str) -> None:
    """Offsets of 14, -11 and 5:45 hours, and clock changes near the turn."""
    assert period_of(datetime.fromisoformat(at).replace(tzinfo=UTC), ZoneInfo(name)) == period


def test_a_moment_without_a_zone_is_refused() -> None:
    """A naive time belongs to no month."""
    with pytest.raises(ValueError, match="without a time zone"):
        period_of(datetime(2026, 11, 1), ZoneInfo("UTC"))  # noqa: DTZ001


def test_the_forecast_follows_the_days_of_the_ledger(manager: TokenManager, clock: Clock) -> None:
    """In the first month it goes on as it began; later the days before count, quiet ones too."""
    clock.at = datetime(2026, 10, 21, tzinfo=UTC)
    manager.record_token_usage(10_000, 8_000)
    first = manager.forecast()
    clock.at = datetime(2026, 11, 11, tzinfo=UTC)
    later = manager.forecast()

    assert (first.method, first.expected_picousd) == ("linear", COST * 31 // 20)
    assert later.method == "weighted"
    assert 0 < later.expected_picousd < COST


def test_a_session_that_ran_is_a_row(manager: TokenManager) -> None:
    """The local engine's sessions are counted, at no cost; money is the ledger's."""
    local = Insight(InsightLevel.STANDARD, "t", "s", (), "local")
    manager.record(Session("s1", "claude_code"), local, folder="/f", project="p", source=b"/f/a")
    manager.settle(manager.reserve(MOST, folder="/f", level="minimal"), Usage(1_000, 100))

    assert manager.usage("level") == {
        "period": "2026-11",
        "rows": [
            {"key": "minimal", "sessions": 0, "calls": 1, "input_tokens": 1_000, "output_tokens": 100,
             "cache_read_tokens": 0, "cache_write_tokens": 0, "flat_rate_calls": 0, "cost_usd": "0.000150", "assumed_usd": "0.000000"},
            {"key": "standard", "sessions": 1, "calls": 0, "input_tokens": 0, "output_tokens": 0,
             "cache_read_tokens": 0, "cache_write_tokens": 0, "flat_rate_calls": 0, "cost_usd": "0.000000", "assumed_usd": "0.000000"},
        ],
        "total": {"sessions": 1, "calls": 1, "input_tokens": 1_000, "output_tokens": 100, "cache_read_tokens": 0,
                  "cache_write_tokens": 0, "flat_rate_calls": 0, "cost_usd": "0.000150", "assumed_usd": "0.000000"},
    }  # fmt: skip
    assert [row["key"] for row in manager.usage("model")["rows"]] == ["claude-haiku-5-5", "local"]
    assert manager.spent_on(datetime(2026, 11, 24, tzinfo=UTC).date()) == 150_000_000
    with pytest.raises(ValueError, match="not by colour"):
        manager.usage("colour")


def test_names_can_be_forgotten_and_amounts_stay(manager: TokenManager) -> None:
    """A forgotten session leaves its money in the ledger, which still holds."""
    reservation = manager.reserve(MOST, session_id="s1", source=b"/a", title="t")
    assert manager.purpose(reservation.id) == ("s1", b"/a", "t")
    manager.forget(session_id="s1")

    assert manager.purpose(reservation.id) == (None, None, None)
    assert state(manager) == (0, 0, COST)
    manager.verify()


def killed(work: Callable[[], object]) -> None:
    """Run it in a child process that ends by SIGKILL."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_what_the_dead_left_is_ended(manager: TokenManager) -> None:
    """Not sent: released. Sent: assumed at its most. The living keep theirs."""
    mine = manager.reserve(Usage(1_000))
    killed(lambda: manager.reserve(Usage(2_000)))
    killed(lambda: manager.send(manager.reserve(Usage(3_000))))
    killed(lambda: manager.send(manager.reserve(Usage(4_000)), batch_id="b1"))

    ended = manager.recover()
    assert [(attempt.state, attempt.reserve.input_tokens) for attempt in ended] == [
        ("released", 2_000),
        ("assumed", 3_000),
    ]
    assert state(manager) == (0, 300_000_000, 100_000_000 + 400_000_000)
    assert (manager.recover(), manager.open_attempts()[0].reserve.id) == ([], mine.id)


def _spend(path: Path, count: int) -> tuple[int, int, list[str]]:
    """Reserve and settle as often as it is granted; count what was."""
    granted, refused, errors = 0, 0, []
    with open_store(path, SCHEMA) as store:
        manager = TokenManager(500, store=store, timezone="UTC")
        for number in range(count):
            try:
                reservation = manager.reserve(Usage(500_000), model="claude-sonnet-5-5")  # one dollar
                if number % 2:
                    manager.send(reservation)
                granted += 1
            except OverBudget:
                refused += 1
            except SessiontrackdError as error:
                errors.append(str(error))
    return granted, refused, errors


def test_eight_processes_get_exactly_what_there_is(tmp_path: Path) -> None:
    """8 × 125 requests for a dollar against 500: exactly 500 are granted, none fails for a lock."""
    path = tmp_path / "state.db"
    open_store(path, SCHEMA).close()
    with multiprocessing.get_context("fork").Pool(8) as pool:
        results = pool.starmap(_spend, [(path, 125)] * 8, chunksize=1)

    assert sum(result[0] for result in results) == 500
    assert sum(result[1] for result in results) == 500
    assert [error for result in results for error in result[2]] == []
    with open_store(path, SCHEMA) as store:
        TokenManager(500, store=store, timezone="UTC").verify()


def filled(path: Path) -> tuple[list[tuple[object, ...]], ...]:
    """Make a ledger with some history; return every row of it."""
    with open_store(path, SCHEMA) as store:
        manager = TokenManager(store=store, timezone="UTC", now=Clock())
        manager.set_limits(Limit(USD), folders={f"/{n}": Limit(USD) for n in range(20)})
        for number in range(60):
            reservation = manager.reserve(Usage(1_000 + number), folder=f"/{number % 20}", title="a title " * 20)
            manager.send(reservation)
            manager.settle(reservation, Usage(900 + number))
        with store.immediate() as connection:
            connection.execute("CREATE TABLE other (a BLOB)")
            connection.execute("INSERT INTO other VALUES (?)", (random.Random(3).randbytes(200_000),))
    return rows_of(path)


def rows_of(path: Path) -> tuple[list[tuple[object, ...]], ...]:
    connection = sqlite3.connect(path)
    try:
        return tuple(connection.execute(f"SELECT * FROM {t}").fetchall() for t in ("ledger", "balance", "budget"))
    finally:
        connection.close()


def test_damage_is_noticed_before_the_next_spend(tmp_path: Path) -> None:
    """64 random bytes at 40 random places: whenever a row of money is not what it was, nothing is granted."""
    before = filled(tmp_path / "whole.db")
    whole = (tmp_path / "whole.db").read_bytes()
    chance = random.Random(7)
    hits = {"noticed": 0, "harmless": 0, "needless": 0}
    for number in range(40):
        path = tmp_path / f"{number}.db"
        at = chance.randrange(len(whole) - 64)
        path.write_bytes(whole[:at] + chance.randbytes(64) + whole[at + 64 :])
        try:
            harmed = rows_of(path) != before
        except (sqlite3.Error, UnicodeDecodeError):
            harmed = True
        noticed = not grants(path)
        assert noticed or not harmed, f"64 bytes at {at} went unnoticed"
        hits["noticed" if harmed else "needless" if noticed else "harmless"] += 1

    assert hits["noticed"] >= 8, hits
    assert hits["harmless"] >= 8, hits


def grants(path: Path) -> bool:
    try:
        with open_store(path, SCHEMA) as store:
            TokenManager(store=store, timezone="UTC", now=Clock()).reserve(Usage(1))
    except SessiontrackdError:
        return False
    return True


@pytest.mark.parametrize(
    "harm",
    ["UPDATE ledger SET picousd = picousd - 1 WHERE id = 5", "DELETE FROM ledger WHERE id = 6",
     "UPDATE balance SET settled_picousd = 0", "UPDATE budget SET picousd = picousd * 2", "DELETE FROM budget",
     "DELETE FROM balance", "DELETE FROM ledger WHERE id >= 190", "UPDATE ledger SET hash = x'00' WHERE id = 7"],
)  # fmt: skip
def test_a_row_that_was_changed_stops_spending(tmp_path: Path, harm: str) -> None:
    """A changed amount, a missing row, a balance or limit that does not follow from the entries."""
    path = tmp_path / "state.db"
    filled(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(harm)
    connection.close()

    with open_store(path, SCHEMA) as store:
        manager = TokenManager(store=store, timezone="UTC", now=Clock())
        with pytest.raises(LedgerDamaged, match="Nothing more is spent"):
            manager.reserve(Usage(1))
        with pytest.raises(LedgerDamaged):
            manager.verify()


def test_damage_stops_no_booking(manager: TokenManager, store: Store) -> None:
    """What is on its way is still settled, and the damage stays to be seen."""
    reservation = manager.reserve(MOST)
    with store.immediate() as connection:
        connection.execute("UPDATE balance SET settled_picousd = 0, reserved_picousd = 0")

    manager.settle(reservation, MOST)
    with pytest.raises(LedgerDamaged):
        manager.reserve(Usage(1))


def test_a_failed_commit_is_no_damage(manager: TokenManager, store: Store) -> None:
    """An entry that was rolled back with what is around it is not missed."""
    manager.reserve(Usage(1))
    with pytest.raises(KeyError), store.immediate(durable=True):
        manager.reserve(Usage(1))
        raise KeyError

    manager.reserve(Usage(1))
    assert len(manager.open_attempts()) == 2


def test_a_copy_a_day_is_kept_for_a_week(manager: TokenManager, store: Store, clock: Clock) -> None:
    """Seven days back, once a day, and never of a damaged ledger."""
    assert store.path is not None
    manager.reserve(MOST)
    for _ in range(9):
        assert manager.back_up() is not None
        assert manager.back_up() is None
        clock.at += timedelta(days=1)

    names = [copy.name for copy in backups(store.path)]
    assert (len(names), names[0], names[-1]) == (7, "state-2026-12-02.db", "state-2026-11-26.db")
    with store.immediate() as connection:
        connection.execute("UPDATE ledger SET picousd = 1")
    with pytest.raises(LedgerDamaged):
        manager.back_up()


def test_a_restored_ledger_counts_the_rest_of_the_month_as_spent(tmp_path: Path, clock: Clock) -> None:
    """Until a person says what was spent since the copy."""
    path = tmp_path / "state.db"
    with open_store(path, SCHEMA) as store:
        manager = TokenManager(store=store, timezone="UTC", now=clock)
        manager.set_limits(Limit(4 * COST))
        manager.settle(manager.reserve(MOST), MOST)
        with pytest.raises(Busy, match="Another process uses"):
            store.owner and restore(path, ZoneInfo("UTC"), clock())
        manager.back_up()
        manager.settle(manager.reserve(MOST), MOST)
    path.write_bytes(b"damaged" * 1000)

    made = restore(path, ZoneInfo("UTC"), clock())
    assert (made.copy and made.copy.name, made.assumed is not None) == ("state-2026-11-24.db", True)
    assert made.aside == path.with_name("state.db.corrupt-20261124T120000")
    assert made.aside.read_bytes() == b"damaged" * 1000
    with open_store(path, SCHEMA) as store:
        manager = TokenManager(store=store, timezone="UTC", now=clock)
        assert state(manager) == (COST, 3 * COST, 0)
        with pytest.raises(OverBudget):
            manager.reserve(Usage(1))
        manager.correct(manager.assumed()[0].reserve.id, COST)
        assert state(manager) == (2 * COST, 0, 0)


def test_without_a_whole_copy_nothing_is_restored(tmp_path: Path) -> None:
    """The damaged database stays where it is."""
    path = tmp_path / "state.db"
    path.write_bytes(b"damaged")
    (tmp_path / "backup").mkdir()
    (tmp_path / "backup" / "state-2026-11-01.db").write_bytes(b"damaged, too")

    with pytest.raises(StoreError, match="no intact backup"):
        restore(path, ZoneInfo("UTC"), datetime(2026, 11, 24, tzinfo=UTC))
    assert path.read_bytes() == b"damaged"

    made = restore(path, ZoneInfo("UTC"), datetime(2026, 11, 24, tzinfo=UTC), limits={TOTAL: Limit(COST)}, anew=True)
    assert (made.copy, made.assumed and made.assumed.holding and made.assumed.holding.picousd) == (None, COST)
    with open_store(path, SCHEMA) as store, pytest.raises(OverBudget):
        TokenManager(store=store, timezone="UTC", now=Clock()).reserve(Usage(1))


class Machine(RuleBasedStateMachine):
    """Several managers on one ledger, crashes, months, limits: granted is what fits all budgets, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.stores = self.opened()
        self.managers = [TokenManager(store=store, timezone="UTC", now=self.clock) for store in self.stores]
        self.open: list[tuple[Reservation, bool]] = []
        self.unknown: list[Reservation] = []
        self.books: dict[int, tuple[str, str | None, int]] = {}  # attempt → month, folder, what it holds
        self.change_limit(20)

    def opened(self) -> list[Store]:
        return [open_store(None, SCHEMA)] * 2

    @property
    def period(self) -> str:
        return self.managers[0].status().period

    def used(self, folder: str | None = None) -> int:
        period = self.period
        return sum(cost for month, where, cost in self.books.values() if month == period and folder in (None, where))

    def now_holds(self, reservation: Reservation, cost: int) -> None:
        month, folder, _ = self.books[reservation.id]
        self.books[reservation.id] = (month, folder, cost)

    @rule(tokens=st.integers(1, 40_000), who=st.integers(0, 1), folder=st.sampled_from([None, "/f"]))
    def reserve(self, tokens: int, who: int, folder: str | None) -> None:
        left = self.limit - self.used()
        if folder:
            left = min(left, self.limit // 2 - self.used(folder))
        try:
            reservation = self.managers[who].reserve(Usage(tokens), folder=folder)
        except OverBudget:
            assert tokens * 100_000 > left
            return
        assert reservation.cost_picousd == tokens * 100_000 <= left
        self.books[reservation.id] = (self.period, folder, reservation.cost_picousd)
        self.open.append((reservation, False))

    @rule(tokens=st.integers(1, 5_000), who=st.integers(0, 1))
    def record(self, tokens: int, who: int) -> None:
        self.managers[who].record_token_usage(tokens, 0)
        self.books[-len(self.books) - 1] = (self.period, None, tokens * 100_000)

    @precondition(lambda self: self.open)
    @rule(who=st.integers(0, 1))
    def send(self, who: int) -> None:
        reservation, sent = self.open.pop(0)
        if not sent:
            self.managers[who].send(reservation)
        self.open.append((reservation, True))

    @precondition(lambda self: self.open)
    @rule(share=st.integers(0, 150))
    def settle(self, share: int) -> None:
        """A bill of up to one and a half times what was set aside."""
        reservation, _ = self.open.pop()
        bill = self.managers[1].settle(reservation, Usage(reservation.cost_picousd // 100_000 * share // 100))
        self.now_holds(reservation, bill)

    @precondition(lambda self: self.open)
    @rule()
    def release(self) -> None:
        reservation, _ = self.open.pop()
        self.managers[0].release(reservation)
        self.now_holds(reservation, 0)

    @precondition(lambda self: self.open)
    @rule()
    def lose(self) -> None:
        reservation, _ = self.open.pop()
        self.managers[0].assume(reservation)
        self.unknown.append(reservation)

    @precondition(lambda self: self.unknown)
    @rule(cost=st.integers(0, 8_000_000_000))
    def correct(self, cost: int) -> None:
        reservation = self.unknown.pop()
        self.managers[0].correct(reservation.id, cost)
        self.now_holds(reservation, cost)

    @rule(who=st.integers(0, 1))
    def crash(self, who: int) -> None:
        for store in self.stores:
            store.is_alive = lambda owner: False  # type: ignore[method-assign]
        self.managers[who].recover()
        for reservation, sent in self.open:
            if sent:
                self.unknown.append(reservation)
            else:
                self.now_holds(reservation, 0)
        self.open.clear()

    @rule(days=st.integers(-40, 40))
    def turn(self, days: int) -> None:
        before = self.period
        self.clock.at += timedelta(days=days)
        has_booked = any(month == before for month, _, _ in self.books.values())
        assert self.period >= before or not has_booked

    @rule(limit=st.integers(1, 30))
    def change_limit(self, limit: int) -> None:
        self.limit = limit * USD // 1000
        self.managers[0].set_limits(Limit(self.limit), folders={"/f": Limit(self.limit // 2)})

    def rows_add_up(self, period: str) -> None:
        """Whatever the rows stand for, they come to what the ledger has as spent, to the pico-dollar."""
        balance = Ledger(self.stores[0], ZoneInfo("UTC"), self.clock).balance(TOTAL, period)
        spent = usd_text(balance.settled_picousd + balance.assumed_picousd)
        for by in ("day", "folder", "project", "model", "level"):
            table = self.managers[0].usage(by, period)
            rows = sum(Decimal(row["cost_usd"]) for row in table["rows"])
            assert (table["total"]["cost_usd"], rows) == (spent, Decimal(spent))

    @invariant()
    def the_account_is_ours(self) -> None:
        for folder, limit in ((None, self.limit), ("/f", self.limit // 2)):
            found = self.managers[1].status(folder)
            assert found.spent_picousd + found.reserved_picousd == self.used(folder)
            assert found.remaining_picousd == limit - self.used(folder)

    def teardown(self) -> None:
        for manager in self.managers:
            manager.verify()
        for period in {month for month, _, _ in self.books.values()}:
            self.rows_add_up(period)
        for store in self.stores:
            store.close()


class MachineOnDisk(Machine):
    """The same, each manager with a connection of its own to one file."""

    def opened(self) -> list[Store]:
        self.folder = TemporaryDirectory()
        return [open_store(Path(self.folder.name) / "state.db", SCHEMA) for _ in range(2)]

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


Machine.TestCase.settings = hypothesis_settings(max_examples=25, stateful_step_count=30, deadline=None, database=None)
TestMachine = Machine.TestCase
MachineOnDisk.TestCase.settings = hypothesis_settings(
    max_examples=200, stateful_step_count=40, deadline=None, database=None
)
TestMachineOnDisk = pytest.mark.prove(MachineOnDisk.TestCase)
