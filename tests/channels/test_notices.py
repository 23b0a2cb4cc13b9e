"""What is gathered, what nobody was told, and silence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sessiontrackd import channels
from sessiontrackd.channels import Notices, Teller
from sessiontrackd.config import Home, Settings
from sessiontrackd.errors import StoreFull
from sessiontrackd.model import Alert, AlertKind, BudgetStatus
from sessiontrackd.store import open_store

STATUS = BudgetStatus("2026-11", None, 0, 0)
FAILED = Alert(0, STATUS, "The server answered 401.", AlertKind.CIRCUIT)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def go(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notices(home: Path, clock: Clock) -> Iterator[Notices]:
    with open_store(home / "state.db", channels.SCHEMA) as store:
        yield Notices(store, clock)


def teller(home: Path, notices: Notices, tmp_path: Path, *, words: str = "cat >> {0}/said; echo >> {0}/said") -> Teller:
    """Return a teller whose one channel writes to a file."""
    shell = ("/bin/sh", "-c", words.format(tmp_path))
    return Teller(Settings(alerts_desktop=False, alerts_command=shell, alerts_reports=True), Home.find(home), notices)


def test_reports_are_gathered(home: Path, notices: Notices, clock: Clock, tmp_path: Path) -> None:
    """One notification for all that became ready; the next not before five minutes have passed."""
    tell = teller(home, notices, tmp_path)
    assert tell.due_s() == float("inf")
    for name in ("a.md", "b.md", "a.md"):
        tell.ready(Path("/n") / name)
        clock.go(1)

    assert tell.due_s() == 0
    assert asyncio.run(tell.gather(STATUS)) == [Path("/n/a.md"), Path("/n/b.md")]
    tell.ready(Path("/n/c.md"))
    assert asyncio.run(tell.gather(STATUS)) == []
    assert tell.due_s() == channels.GATHER_S
    clock.go(channels.GATHER_S)
    assert asyncio.run(tell.gather(STATUS)) == [Path("/n/c.md")]

    said = (tmp_path / "said").read_text().splitlines()
    assert len(said) == 2
    assert "2 reports are ready, the newest: a.md" in said[0]
    assert notices.last() == []


def test_of_several_processes_one_tells(home: Path, notices: Notices, clock: Clock) -> None:
    """The others find nothing left."""
    notices.ready(Path("/n/a.md"))
    found: list[list[Path]] = []

    def ask() -> None:
        with open_store(home / "state.db", channels.SCHEMA) as store:
            found.append(Notices(store, clock).gathered())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert sorted(map(len, found)) == [0] * 7 + [1]


def test_whoever_does_not_want_it_is_not_told_of_reports(home: Path, notices: Notices) -> None:
    """That is the default."""
    tell = Teller(Settings(), Home.find(home), notices)
    tell.ready(Path("/n/a.md"))

    assert tell.due_s() == float("inf")
    assert notices.due_s() == float("inf")


def test_what_nobody_was_told_is_kept_for_a_week(home: Path, notices: Notices, clock: Clock, tmp_path: Path) -> None:
    """With the reason; what was told is only remembered."""
    asyncio.run(teller(home, notices, tmp_path)(FAILED))
    asyncio.run(teller(home, notices, tmp_path, words="exit 1")(FAILED))

    assert [notice.missed for notice in notices.last()] == ["command: /bin/sh ended with 1", None]
    assert [notice.text for notice in notices.missed()] == [FAILED.text]
    clock.go(8 * 86_400)
    assert notices.missed() == []


def test_silence_is_kept_and_ends(home: Path, notices: Notices, clock: Clock, tmp_path: Path) -> None:
    """What is said meanwhile stands in `status`."""
    tell = teller(home, notices, tmp_path)
    notices.snooze(clock.at + timedelta(hours=1))
    asyncio.run(tell(FAILED))
    assert not (tmp_path / "said").exists()
    assert "snoozed" in (notices.missed()[0].missed or "")

    clock.go(3601)
    asyncio.run(tell(FAILED))
    assert (tmp_path / "said").exists()
    notices.snooze(clock.at + timedelta(hours=1))
    notices.snooze(None)
    assert notices.snoozed_until() is None


def test_notices_stay_few(notices: Notices) -> None:
    """The oldest go."""
    for number in range(60):
        notices.keep("budget", str(number), None)

    assert [notice.text for notice in notices.last(100)] == [str(number) for number in range(59, 9, -1)]


class Failing(Notices):
    """Notices whose database cannot be used."""

    def keep(self, kind: str, text: str, missed: str | None) -> None:
        raise StoreFull("no room")

    def ready(self, path: Path) -> None:
        raise StoreFull("no room")

    def snoozed_until(self) -> datetime | None:
        raise StoreFull("no room")


def test_a_database_that_fails_keeps_nobody_from_telling(home: Path, notices: Notices, tmp_path: Path) -> None:
    """Nothing is raised, and it is said."""
    tell = teller(home, Failing(notices._store), tmp_path)
    tell.ready(Path("/n/a.md"))
    asyncio.run(tell(FAILED))

    assert "401" in (tmp_path / "said").read_text()
