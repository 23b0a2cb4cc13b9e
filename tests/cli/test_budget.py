"""`budget`: shown, set, and corrected where an outcome was unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import config
from sessiontrackd.budget import SCHEMA, Limit, TokenManager
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.errors import OverBudget
from sessiontrackd.model import Usage
from sessiontrackd.store import open_store

USD = 10**12


def read(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a command and return its document."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def manager(home: Path) -> Iterator[TokenManager]:
    """Return the ledger of the home, as the daemon's worker has it open."""
    with open_store(home / "state.db", SCHEMA) as store:
        yield TokenManager(store=store)


def assumed(manager: TokenManager) -> int:
    """Leave a request whose outcome nobody knows, at a dollar."""
    manager.set_limits(Limit(5 * USD))
    reservation = manager.reserve(Usage(10, 10), cost_picousd=USD, session_id="s1")
    manager.send(reservation)
    manager.assume(reservation, "the connection was cut")
    return reservation.id


def test_looking_makes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new machine has no budget, and says that nothing paid runs; no database is made."""
    document = read(capsys, "budget")

    assert {key: document[key] for key in ("limit_usd", "spent_usd", "reserved_usd", "assumed_usd", "remaining_usd")} == {
        "limit_usd": None, "spent_usd": "0.000000", "reserved_usd": "0.000000", "assumed_usd": "0.000000",
        "remaining_usd": None,
    }  # fmt: skip
    assert document["thresholds"] == [50, 80, 95, 100]
    assert document["folders"] == []
    assert main(["budget"]) == 0
    assert "budget set 5usd" in capsys.readouterr().out
    assert not (home / "state.db").exists()


def test_a_limit_is_in_force_at_once_and_the_comments_stay(home: Path, manager: TokenManager) -> None:
    """For the whole, a folder and a project; a process that has the ledger open already is held to it."""
    place = Home.find(home)
    place.config_path.write_text("# mine\n[budget]\nmonthly = '1usd'  # little\n")
    config.add_folder(place, "/talks")

    for words in (["5usd"], ["2Mtok", "--folder", "/talks"], ["1.5usd", "--project", "web site"]):
        assert main(["budget", "set", *words]) == 0

    assert (manager.limit(), manager.limit("/talks")) == (Limit(5 * USD), Limit(None, 2_000_000))
    assert manager.limit(project="web site") == Limit(USD * 3 // 2)
    text = place.config_path.read_text()
    assert "# mine" in text
    assert "# little" in text
    assert config.load(place).project_budgets == (("web site", config.Amount(USD * 3 // 2)),)


def test_a_limit_is_lifted(home: Path, manager: TokenManager, capsys: pytest.CaptureFixture[str]) -> None:
    """`none` takes it out of the settings and out of force."""
    for words in (["5usd"], ["1usd", "--project", "p"], ["none", "--project", "p"], ["none"]):
        assert main(["budget", "set", *words]) == 0

    assert (manager.limit(), manager.limit(project="p")) == (Limit(), Limit())
    assert "no paid engine runs" in capsys.readouterr().out
    assert "p =" not in (home / "config.toml").read_text()


@pytest.mark.parametrize("words", [["5"], ["lots"], ["5usd", "--folder", "/a", "--project", "p"]])
def test_what_is_no_amount_changes_nothing(home: Path, words: list[str]) -> None:
    """Wrong usage: no unit, no number, two budgets at once."""
    assert main(["budget", "set", *words]) == 2

    assert not (home / "config.toml").exists()


def test_a_folder_must_be_watched(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A budget of a folder that nobody watches would never hold anything."""
    assert main(["budget", "set", "5usd", "--folder", "/nowhere"]) == 1

    assert "watch add /nowhere" in capsys.readouterr().err


def test_a_limit_edited_by_hand_is_in_force_when_it_is_shown(
    home: Path, manager: TokenManager, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `budget` shows is what holds."""
    (home / "config.toml").write_text("[budget]\nmonthly = '3usd'\nprojects = { p = '2usd' }\n")

    document = read(capsys, "budget")

    assert document["limit_usd"] == "3.000000"
    assert [(each["project"], each["limit_usd"]) for each in document["projects"]] == [("p", "2.000000")]
    assert manager.limit() == Limit(3 * USD)


def test_the_forecast_names_its_range(home: Path, manager: TokenManager, capsys: pytest.CaptureFixture[str]) -> None:
    """Never below what is spent already, in order, as decimal strings."""
    main(["budget", "set", "5usd"])
    manager.record_token_usage(100_000, 10_000)
    capsys.readouterr()

    document = read(capsys, "budget")
    heading = document["forecast"]

    low, expected, high = (float(heading[f"{name}_usd"]) for name in ("low", "expected", "high"))
    assert float(document["spent_usd"]) <= low <= expected <= high
    assert heading["method"] == "linear"
    assert main(["budget"]) == 0
    assert "an estimate" in capsys.readouterr().out


def test_an_assumed_cost_is_settled_by_a_person(
    home: Path, manager: TokenManager, capsys: pytest.CaptureFixture[str]
) -> None:
    """The bill of the provider says what it was; the money that was too much is free again."""
    (home / "config.toml").write_text("[budget]\nmonthly = '5usd'\n")
    number = assumed(manager)

    (listed,) = read(capsys, "budget", "assumed")["assumed"]
    assert main(["budget", "settle", str(number), "0.25"]) == 0
    said = capsys.readouterr().out

    assert (listed["id"], listed["cost_usd"], listed["note"]) == (number, "1.000000", "the connection was cut")
    assert listed["session_id"] == "s1"
    assert said == f"Request {number} counts as $0.25 now ($0.75 less).\n"
    assert (manager.status().spent_picousd, manager.status().assumed_picousd) == (USD // 4, 0)
    assert read(capsys, "budget", "assumed") == {"assumed": []}


def test_an_assumed_cost_is_released(home: Path, manager: TokenManager, capsys: pytest.CaptureFixture[str]) -> None:
    """Once; a second time there is nothing to give back, and that is a failure with its reason."""
    (home / "config.toml").write_text("[budget]\nmonthly = '5usd'\n")
    number = assumed(manager)
    assert main(["budget", "assumed"]) == 0
    assert "the connection was cut" in capsys.readouterr().out

    assert main(["budget", "release", str(number)]) == 0
    assert main(["budget", "release", str(number)]) == 1

    assert "Nothing was changed: attempt 2 is released already" in capsys.readouterr().err
    assert manager.status().spent_picousd == 0


def test_the_request_of_a_dead_process_is_assumed(home: Path, manager: TokenManager) -> None:
    """Its outcome is unknown, so it is listed."""
    # the lease of a process that is gone: an owner that no file belongs to
    manager.set_limits(Limit(5 * USD))
    manager.send(manager.reserve(Usage(10, 10), cost_picousd=USD))
    (home / "config.toml").write_text("[budget]\nmonthly = '5usd'\n")
    manager._ledger.store.close()

    assert main(["budget", "assumed"]) == 0

    with open_store(home / "state.db", SCHEMA) as store:
        assert [each.state for each in TokenManager(store=store).assumed()] == ["assumed"]


@pytest.mark.parametrize("words", [["settle", "1", "much"], ["settle", "1", "NaN"], ["release", "first"]])
def test_a_correction_is_a_number(home: Path, words: list[str]) -> None:
    """Wrong usage else."""
    assert main(["budget", *words]) == 2


def test_there_is_nothing_to_correct_on_a_new_machine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No ledger is made for it."""
    assert main(["budget", "release", "1"]) == 1

    assert "no ledger" in capsys.readouterr().err
    assert not (home / "state.db").exists()


def test_a_damaged_ledger_still_tells_and_has_a_way_back(
    home: Path, manager: TokenManager, capsys: pytest.CaptureFixture[str]
) -> None:
    """`budget`, `usage` and `status` go on; `budget restore` brings the copy back, with the rest counted as spent."""
    config.set_value(Home.find(home), "budget.monthly", "5usd")
    manager.set_limits(Limit(5 * USD))
    manager.record_token_usage(1_000_000, 0)
    assert manager.back_up() is not None
    with manager.store.immediate() as connection:
        connection.execute("UPDATE ledger SET picousd = picousd + 1 WHERE kind = 'settle'")
        connection.execute("UPDATE budget SET picousd = 1")
    manager.store.close()

    for words in (["budget"], ["usage"], ["status"]):
        assert main(words) == 0
        said = capsys.readouterr().out
        assert "$0.50" in said or "0.5" in said, words
        assert words != ["budget"] or "not what was written" in said
    assert main(["budget", "restore"]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert main(["budget", "restore", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "The backup of 20" in said
    assert "($4.50) counts as spent" in said
    assert read(capsys, "budget")["remaining_usd"] == "0.000000"
    (row,) = read(capsys, "budget", "assumed")["assumed"]
    assert main(["budget", "release", str(row["id"])]) == 0
    capsys.readouterr()
    assert read(capsys, "budget")["remaining_usd"] == "4.500000"


def test_nothing_is_restored_under_a_daemon(home: Path, manager: TokenManager) -> None:
    """It has the database open."""
    with config.hold(Home.find(home)):
        assert main(["budget", "restore", "--yes"]) == 75


def test_anyone_can_try_to_overspend(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`budget prove` spends in a folder of its own and prints a verdict that can be read."""
    assert main(["budget", "prove", "--seconds", "1.5", "--processes", "2"]) == 0
    said = capsys.readouterr().out

    assert "no month went past its budget" in said
    assert "failure" not in said
    assert list(home.iterdir()) == []
    assert read(capsys, "budget", "prove", "--seconds", "1", "--processes", "2")["holds"] is True


def test_a_budget_in_dollars_and_tokens_shows_both(
    home: Path, manager: TokenManager, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tighter holds; a limit below what was used is over by so much; what is assumed is said to be."""
    config.add_folder(Home.find(home), tmp_path)
    assert main(["budget", "set", "5usd, 1Mtok"]) == 0
    assert main(["budget", "set", "2ktok", "--folder", str(tmp_path)]) == 0
    folder = str(tmp_path)
    with pytest.raises(OverBudget, match="1,000,000 tokens"):
        manager.reserve(Usage(1_000_001))
    with pytest.raises(OverBudget, match="2,000 tokens"):
        manager.reserve(Usage(2_001), folder=folder)
    manager.assume(manager.reserve(Usage(1_999, 1), folder=folder))
    assert main(["budget", "set", "1500tok", "--folder", folder]) == 0
    capsys.readouterr()

    assert main(["budget"]) == 0
    said = capsys.readouterr().out
    assert "$5.00, 1,000,000 tok" in said
    assert "$5.00, 998,000 tok" in said
    assert "0 tok (over by 500 tok)" in said
    assert "an estimate from the present day alone" in said
    assert read(capsys, "budget")["folders"][0]["over_by_tokens"] == 500
    assert main(["usage"]) == 0
    assert "is assumed, not measured" in capsys.readouterr().out
