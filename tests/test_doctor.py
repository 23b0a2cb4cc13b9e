"""What a user could trip over is told, each with what to do about it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from sessiontrackd import alerts, budget, config, history, kernel, pricing, privacy, queue, templates
from sessiontrackd.budget import Limit, TokenManager
from sessiontrackd.config import Home
from sessiontrackd.doctor import FAILURE, OK, WARNING, Check, examine
from sessiontrackd.model import Usage
from sessiontrackd.store import open_store
from tests.desktop import StartDesktop

USD = 10**12


@pytest.fixture
def place(home: Path) -> Home:
    return Home.find(home)


@pytest.fixture
def manager(place: Home) -> Iterator[TokenManager]:
    """Return the ledger of a home that has worked already."""
    schemas = (queue.SCHEMA, history.SCHEMA, budget.SCHEMA, alerts.SCHEMA)
    with open_store(place.db_path, *schemas) as store:
        yield TokenManager(store=store)


def found(place: Home, name: str, *, notify: bool = False) -> Check:
    """Return the one check of this name."""
    (check,) = (each for each in examine(place, notify=notify) if each.name == name)
    return check


def test_a_new_machine_lacks_a_folder_and_a_daemon(place: Home, home: Path) -> None:
    """Nothing fails, every warning has a remedy, and looking makes nothing."""
    checks = list(examine(place, notify=False))

    assert [check.name for check in checks if check.state == WARNING] == ["folders", "daemon"]
    assert not [check for check in checks if check.state == FAILURE]
    assert all(check.remedy for check in checks if check.state != OK)
    assert list(home.iterdir()) == []


def test_wrong_settings_fail_with_their_line(place: Home) -> None:
    """The other checks go on."""
    place.config_path.write_text("colour = 1\n")

    check = found(place, "settings")

    assert (check.state, "line 1" in check.text) == (FAILURE, True)
    assert found(place, "disk").state == OK


def test_a_folder_that_can_be_used_is_ok(place: Home, tmp_path: Path) -> None:
    """A vault need not exist where it can be made."""
    config.add_folder(place, tmp_path, output=f"vault:{tmp_path}/notes/ai")

    check = found(place, "folder")

    assert check.state == OK
    assert f"{tmp_path}/notes/ai" in check.text


def test_it_says_to_whom_text_of_a_folder_goes(place: Home, tmp_path: Path) -> None:
    """Without consent with the line to type; a server elsewhere without TLS fails."""
    config.add_folder(place, tmp_path, engine="claude")
    assert "consent grant" in str(found(place, "consent").remedy)

    with open_store(place.db_path, privacy.SCHEMA) as store:
        privacy.Consents(store).grant(str(tmp_path), "anthropic")
    assert found(place, "consent").state == OK

    config.set_value(place, "claude.base_url", "http://box.lan")
    assert (found(place, "address").state, found(place, "consent").state) == (FAILURE, WARNING)
    config.set_value(place, "claude.unencrypted", True)
    assert found(place, "address").state == WARNING


@pytest.mark.parametrize(
    ("name", "state"),
    [("", OK), ("claude-opus-5-5", OK), ("claude-opus-4-0", FAILURE), ("claude-sonnet-4-5", None), ("clod", WARNING)],
)
def test_a_model_that_is_gone_or_unknown_is_told(place: Home, tmp_path: Path, name: str, state: str | None) -> None:
    """One with a last day warns until then."""
    config.add_folder(place, tmp_path, engine="claude")
    config.set_value(place, "claude.model", name or None)

    assert found(place, "model").state == state or (state is None and "2026-11-30" in found(place, "model").text)


def test_a_key_of_this_shell_only_is_none_for_the_service(
    place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The installed service starts without it, so doctor looks as it would."""
    config.add_folder(place, tmp_path, engine="claude")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "x")

    def state(given: bool) -> str:
        standing = {"installed": True, "state": "active", "problem": None, "key_given": given}
        checks = examine(place, notify=False, service=standing)
        return next(check.state for check in checks if check.name == "service key")

    assert (state(False), state(True)) == (FAILURE, OK)
    config.keep_key(place, "y")
    assert state(False) == OK


def test_a_folder_that_is_gone_is_a_warning(place: Home, tmp_path: Path) -> None:
    """It may be on a disk that is not mounted."""
    config.add_folder(place, tmp_path / "gone")

    check = found(place, "folder")

    assert (check.state, "not there" in check.text) == (WARNING, True)
    assert "watch remove" in str(check.remedy)


@pytest.mark.parametrize(("mode", "text"), [(0o300, "cannot be read"), (0o500, "cannot be written")])
def test_a_folder_without_rights_fails(
    place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, text: str
) -> None:
    """Whose transcripts cannot be read, or whose notes cannot be written."""
    folder = tmp_path / "talks"
    folder.mkdir(mode=mode)
    config.add_folder(place, folder)

    def owners(path: Path, wanted: int) -> bool:  # root may do everything, so rights are read off the mode
        return (stat.S_IMODE(path.stat().st_mode) >> 6) & wanted == wanted

    monkeypatch.setattr(os, "access", owners)
    check = found(place, "folder")
    folder.chmod(0o700)

    assert (check.state, text in check.text) == (FAILURE, True)


def test_an_engine_that_is_not_there_fails(place: Home, tmp_path: Path) -> None:
    """Its package may have been removed."""
    config.add_folder(place, tmp_path, engine="oracle")

    check = found(place, "folder")

    assert (check.state, "oracle" in check.text) == (FAILURE, True)


def test_a_whole_database_and_ledger_are_ok(place: Home, manager: TokenManager) -> None:
    """Nothing was spent that nobody knows of."""
    manager.set_limits(Limit(USD))
    manager.record_token_usage(10, 10)

    states = {check.name: check.state for check in examine(place, notify=False)}

    assert (states["database"], states["ledger"]) == (OK, OK)
    assert not states.keys() & {"assumed", "overruns", "spent"}


def test_a_damaged_database_fails(place: Home, manager: TokenManager) -> None:
    """Its header is gone, so it is no database."""
    manager.set_limits(Limit(USD))
    manager._ledger.store.close()
    place.db_path.write_bytes(b"no database at all, " * 500)

    check = found(place, "database")

    assert (check.state, "budget restore --anew" in str(check.remedy)) == (FAILURE, True)


def test_an_entry_that_was_changed_fails(place: Home, manager: TokenManager) -> None:
    """The copy to go back to is named."""
    manager.set_limits(Limit(USD))
    copy = manager.back_up()
    with sqlite3.connect(place.db_path) as connection:
        connection.execute("UPDATE ledger SET picousd = picousd + 1")
    connection.close()

    check = found(place, "ledger")

    assert copy is not None
    assert (check.state, f"{copy.stem[-10:]}: sessiontrackd budget restore" in str(check.remedy)) == (FAILURE, True)


def test_what_nobody_knows_and_what_cost_more_are_warnings(place: Home, manager: TokenManager) -> None:
    """Assumed requests, bills above their reservation, and a month that is used up."""
    manager.set_limits(Limit(USD))
    for outcome in ("assume", "settle"):
        reservation = manager.reserve(Usage(1, 1), cost_picousd=1)
        manager.send(reservation)
        if outcome == "assume":
            manager.assume(reservation)
        else:
            manager.settle(reservation, Usage(10_000_000, 10_000_000))

    names = [check.name for check in examine(place, notify=False) if check.state == WARNING]

    assert {"assumed", "overruns", "spent"} <= set(names)


def test_a_paid_folder_without_a_budget_is_a_warning(
    place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transcripts would wait for ever; with a budget, or the local engine alone, all is well."""
    assert found(place, "budget").state == OK
    config.add_folder(place, tmp_path)
    monkeypatch.setattr("sessiontrackd.engines.local.LocalEngine.leaves_machine", True)
    assert found(place, "budget").state == WARNING

    config.set_value(place, "budget.monthly", "5usd")

    check = found(place, "budget")
    assert (check.state, check.text) == (OK, "5usd a month")


def test_a_clock_that_was_ahead_is_told(place: Home, manager: TokenManager) -> None:
    """A month that was closed by mistake does not open again by itself."""
    early = TokenManager(store=manager.store, now=lambda: datetime.now(UTC) + timedelta(days=70))
    early.record_token_usage(1, 1)

    assert found(place, "month").state == WARNING


def test_what_is_free_needs_no_budget(place: Home, tmp_path: Path) -> None:
    """By the user's own word for the server that is asked."""
    config.add_folder(place, tmp_path, engine="claude")
    assert found(place, "budget").state == WARNING
    with place.config_path.open("a") as file:
        file.write("[claude]\nbase_url = 'http://127.0.0.1:9'\n[[prices]]\nprovider = '127.0.0.1:9'\nfree = true\n")

    assert (found(place, "budget").state, found(place, "prices").state) == (OK, OK)


def test_more_kept_than_there_is_is_a_warning(place: Home, tmp_path: Path) -> None:
    """Then the folders that keep nothing get nothing."""
    config.set_value(place, "budget.monthly", "1usd")
    config.add_folder(place, tmp_path, keep="2usd")

    assert found(place, "kept").state == WARNING


def test_a_model_without_a_price_is_told(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing could be reserved for it."""
    assert found(place, "prices").state == OK
    monkeypatch.setattr(budget, "DEFAULT_MODEL", "claude-nobody-knows")

    assert found(place, "prices").state == WARNING


def test_old_prices_are_told(place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They may have changed since they were compared; after half a year nothing is spent by them."""
    today = datetime.now(UTC).date()
    monkeypatch.setattr(pricing, "data_date", lambda: today - timedelta(days=91))
    check = found(place, "prices")
    assert (check.state, "prices confirm" in str(check.remedy)) == (WARNING, True)

    config.add_folder(place, tmp_path, engine="claude")
    monkeypatch.setattr(pricing, "data_date", lambda: today - timedelta(days=181))
    assert found(place, "prices").state == FAILURE

    config.set_value(place, "budget.prices_confirmed_on", today)
    assert found(place, "prices").state == OK


def test_a_price_of_ones_own_is_told(place: Home) -> None:
    """It does not age."""
    place.config_path.write_text('[[prices]]\nmodel = "claude-haiku-5-5"\ninput = 1\noutput = 2\n')

    assert found(place, "prices").text == "claude-haiku-5-5 costs what you stated"


def test_a_template_that_does_not_compile_fails(place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named with its line."""
    shutil.copytree(templates.shipped_dir(), tmp_path / "templates")
    monkeypatch.setattr(templates, "shipped_dir", lambda: tmp_path / "templates")
    templates._environment.cache_clear()
    assert found(place, "templates").state == OK
    (tmp_path / "templates" / "minimal.md.j2").write_text("fine\n{% if %}")
    templates._environment.cache_clear()

    check = found(place, "templates")
    templates._environment.cache_clear()

    assert (check.state, "minimal.md.j2" in check.text) == (FAILURE, True)


@pytest.mark.parametrize("name", ["minimal", "comprehensive", "index", "digest"])
def test_a_template_that_fails_on_a_note_fails(place: Home, name: str) -> None:
    """Whichever note it is for: it is named with its line, what may be meant, and how to get ours back."""
    place.templates_dir.mkdir(parents=True)
    mine = place.templates_dir / f"{name}.md.j2"
    mine.write_text(f'{{% extends "!base/{name}.md.j2" %}}\n{{% block title %}}\n{{{{ titel }}}}\n{{% endblock %}}\n')

    check = found(place, "templates")
    assert check.state == FAILURE
    assert check.text == f"template {mine}, line 3: 'titel' is undefined. Did you mean 'title'? {templates.REMEDY}"

    mine.write_text(f'{{% extends "!base/{name}.md.j2" %}}\n{{% block title %}}\n# Mine\n{{% endblock %}}\n')
    assert found(place, "templates").state == OK


def test_a_template_that_covers_nothing_is_a_warning(place: Home) -> None:
    """A name with a slip in it would do nothing and say nothing; one that another template of the user's names is used."""
    place.templates_dir.mkdir(parents=True)
    wrong, mine, part = (place.templates_dir / name for name in ("Standart.md.j2", "minimal.md.j2", "mine.md.j2"))
    for path, text in ((wrong, "x"), (mine, '{% include "mine.md.j2" %}'), (part, "y")):
        path.write_text(text)

    check = found(place, "templates")
    assert (check.state, check.text.startswith(f"{wrong} is used for nothing")) == (WARNING, True)
    wrong.unlink()
    assert found(place, "templates").state == OK


def test_months_of_another_zone_are_a_warning(place: Home) -> None:
    """A budget would turn at another midnight than the user's."""
    assert found(place, "time zone").state == OK
    place.config_path.write_text("timezone = 'Asia/Tokyo'\n")

    assert found(place, "time zone").state == WARNING


def test_a_daemon_that_runs_is_ok_and_its_problem_fails(place: Home) -> None:
    """What keeps it from working is its own words."""
    with config.hold(place):
        config.tell(place, {"pid": os.getpid(), "since": "now", "scanning": None, "folders": {}, "problem": None})
        assert found(place, "daemon").state == OK
        said = {"pid": os.getpid(), "since": "now", "scanning": None, "folders": {}, "problem": "The disk is full."}
        config.tell(place, said)

        check = found(place, "daemon")

    assert (check.state, check.text) == (FAILURE, "The disk is full.")


class Free(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("free", "state"), [(10**10, OK), (10**9 - 1, WARNING), (10**8 - 1, FAILURE)])
def test_a_disk_that_fills_is_told(place: Home, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    """A warning first, then a failure."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Free(10**12, 0, free))

    assert found(place, "disk").state == state


def test_versions_are_named(place: Home) -> None:
    """What a report of a fault needs."""
    assert sqlite3.sqlite_version in found(place, "versions").text


def test_a_notification_is_really_shown(place: Home, start_desktop: StartDesktop) -> None:
    """The server of the desktop has it."""
    there = start_desktop()

    assert found(place, "notification", notify=True).state == OK
    (shown,) = there.shown()
    assert "test" in shown["body"]


def test_without_a_desktop_the_reason_is_told(place: Home) -> None:
    """A warning: alerts stand in the log all the same."""
    check = found(place, "notification", notify=True)

    assert (check.state, "no notification server" in check.text) == (WARNING, True)


def test_a_folder_that_gives_no_events_is_named(place: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the setting that helps; the watch limit comes with the line that raises it."""
    config.add_folder(place, tmp_path)
    assert found(place, "watch limit").state == OK
    monkeypatch.setattr(kernel, "file_system", lambda _: "nfs4")
    monkeypatch.setattr(kernel, "watches", lambda _: kernel.Watches(9000, 8192))

    assert "scan_interval_s" in (found(place, "file system").remedy or "")
    assert found(place, "watch limit").state == WARNING
    assert "sysctl" in (found(place, "watch limit").remedy or "")


def test_a_clock_that_went_back_is_noticed(place: Home, manager: TokenManager) -> None:
    """It decides which month's budget is used."""
    assert found(place, "clock").state == OK
    ahead = datetime.now(UTC).timestamp() + 86_400
    os.utime(place.db_path, (ahead, ahead))

    assert "24.0 h behind" in found(place, "clock").text


def test_a_key_is_looked_for_and_not_used(place: Home, tmp_path: Path) -> None:
    """Only where a folder needs one."""
    assert not [check for check in examine(place, notify=False) if check.name == "key"]
    config.add_folder(place, tmp_path, engine="claude")
    assert found(place, "key").state == WARNING

    config.keep_key(place, "sk-ant-" + "x" * 30)

    assert found(place, "key").state == OK


def test_a_stale_hook_is_told_with_the_line_that_mends_it(place: Home, person: Path) -> None:
    """Another tool calls a program that is no longer there."""
    config.HOOKS["claude-code"].put(place)
    assert found(place, "hook").state == OK
    path = config.HOOKS["claude-code"].path()
    path.write_text(path.read_text().replace(sys.executable, "/old/python"))

    assert found(place, "hook").remedy == "Write it again: sessiontrackd capture install claude-code"


@pytest.mark.parametrize(
    ("installed", "state", "problem", "how"),
    [
        (False, "not installed", None, OK),
        (True, "active: watching 2 folders", None, OK),
        (True, "inactive", None, WARNING),
        (True, "failed", None, FAILURE),
        (True, "active", "it was moved", FAILURE),
    ],
)
def test_the_service_is_looked_at(place: Home, installed: bool, state: str, problem: str | None, how: str) -> None:
    """In the platform's words, each with what to do."""
    standing = {"installed": installed, "state": state, "problem": problem, "key_given": False}
    (check,) = [each for each in examine(place, notify=False, service=standing) if each.name == "service"]

    assert check.state == how
    assert (check.remedy is None) == (how == OK)


def test_who_took_the_notification_is_named(place: Home, start_desktop: StartDesktop) -> None:
    """That it was seen only the person can say."""
    start_desktop()

    assert "accepted by tests 1 (desktop)" in found(place, "notification", notify=True).text


def test_a_mistake_in_a_file_of_a_folder_is_a_warning(place: Home, tmp_path: Path) -> None:
    """What lies below it is not read until then."""
    config.add_folder(place, tmp_path)
    (tmp_path / ".sessiontrackd.toml").write_text("off = 3\n")

    check = found(place, "folder file")

    assert (check.state, ".sessiontrackd.toml, line 1" in check.text) == (WARNING, True)
