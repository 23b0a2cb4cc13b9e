"""`queue`, `retry`, `pause`, `resume`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main
from sessiontrackd.model import Degraded, Fingerprint, InsightLevel, JobState
from sessiontrackd.queue import SCHEMA, Queue
from sessiontrackd.store import open_store


def fill(home: Path) -> None:
    """Leave one failed, one held and one waiting job in the home."""
    with open_store(home / "state.db", SCHEMA) as store:
        queue = Queue(store)
        for name, state in (("bad.jsonl", JobState.FAILED), ("dear.jsonl", JobState.HELD), ("new.jsonl", None)):
            path = f"/talks/{name}"
            queue.offer(path.encode(), path, Fingerprint(1, 2, 3, 4), None)
            job = queue.take("me", path=path.encode()) if state else None
            if job and state:
                queue.finish(job, state, f"reason of {name}")


def test_looking_makes_no_state(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`queue` and `retry` on a fresh machine write nothing."""
    assert main(["queue"]) == 0
    assert main(["retry"]) == 0

    assert list(home.iterdir()) == []
    assert capsys.readouterr().out.startswith("Nothing is waiting")


def test_each_transcript_is_listed_with_its_reason(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What waits, is held or failed, and why."""
    fill(home)

    assert main(["queue", "--json"]) == 0

    listed = {job["path"]: (job["state"], job["reason"]) for job in json.loads(capsys.readouterr().out)["jobs"]}
    assert listed == {
        "/talks/bad.jsonl": ("failed", "reason of bad.jsonl"),
        "/talks/dear.jsonl": ("held", "reason of dear.jsonl"),
        "/talks/new.jsonl": ("waiting", None),
    }


def test_a_short_list_says_how_many_are_left_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cut list never looks complete."""
    fill(home)

    assert main(["queue", "--limit", "1"]) == 0

    assert "2 more" in capsys.readouterr().out


def test_the_listing_says_why_nothing_goes_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No daemon runs, or work is paused."""
    fill(home)

    assert main(["queue"]) == 0
    assert "not running, so nothing goes on; start it with: sessiontrackd run\n" in capsys.readouterr().out
    assert main(["pause"]) == 0
    assert main(["queue"]) == 0
    assert "what waits goes on after: sessiontrackd resume\n" in capsys.readouterr().out


def test_work_of_a_killed_process_waits_and_looking_changes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The listing says that it is taken up again; only who works takes it back."""
    with open_store(home / "state.db", SCHEMA) as store:
        jobs = Queue(store)
        for name in ("dead", "alive"):
            jobs.offer(name.encode(), f"/talks/{name}.jsonl", Fingerprint(1, 2, 3, 4), None)
        jobs.take("4711-gone", path=b"dead")
        with jobs.lease() as lease:
            jobs.take(lease.owner, path=b"alive")

            assert main(["queue", "--json"]) == 0
            listed = {job["path"]: job["state"] for job in json.loads(capsys.readouterr().out)["jobs"]}
            assert main(["status", "--json"]) == 0
            counts = json.loads(capsys.readouterr().out)["queue"]
            assert main(["queue"]) == 0

            assert listed == {"/talks/dead.jsonl": "waiting", "/talks/alive.jsonl": "running"}
            assert (counts["waiting"], counts["running"]) == (1, 1)
            assert "/talks/dead.jsonl   the process that worked on it is gone; " in capsys.readouterr().out
            assert jobs.counts()[JobState.RUNNING] == 2


def degrade(home: Path) -> None:
    """Leave one transcript that is done, and got the local engine's note in place of Claude's."""
    with open_store(home / "state.db", SCHEMA) as store:
        queue = Queue(store)
        queue.offer(b"/talks/less.jsonl", "/talks/less.jsonl", Fingerprint(1, 2, 3, 4), None)
        job = queue.take("me")
        assert job is not None
        queue.finish(job, JobState.DONE)
        less = Degraded(InsightLevel.COMPREHENSIVE, "claude", "local", "2026-11", 2, 3_400_000_000)
        queue.degrade(job, less)


def test_what_was_degraded_is_listed_with_its_price(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For people and as JSON."""
    degrade(home)

    assert main(["queue", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert main(["queue"]) == 0
    shown = capsys.readouterr().out

    assert document["jobs"] == []
    assert document["degraded"] == [
        {"path": "/talks/less.jsonl", "level": "comprehensive", "engine": "claude", "given": "local", "sessions": 2}
        | {"cost_usd": "0.003400", "period": "2026-11"}
    ]
    assert "1 transcript, up to $0.0034" in shown
    assert "claude comprehensive  local" in shown


def test_upgrade_puts_back_what_was_degraded(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing else; a path that was not degraded is wrong usage."""
    fill(home)
    degrade(home)

    assert main(["retry", "--upgrade", "/talks/bad.jsonl"]) == 2
    assert "was not degraded" in capsys.readouterr().err
    assert main(["retry", "--upgrade"]) == 0
    assert capsys.readouterr().out == "1 transcript will be made again.\n"
    assert main(["retry", "--upgrade"]) == 0
    assert capsys.readouterr().out == "Nothing was degraded.\n"
    with open_store(home / "state.db", SCHEMA) as store:
        counts = Queue(store).counts()
    assert (counts[JobState.WAITING], counts[JobState.FAILED], counts[JobState.HELD]) == (2, 1, 1)


def test_retry_takes_one_or_all(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One by its path, else everything that is held or failed."""
    fill(home)

    assert main(["retry", "/talks/bad.jsonl"]) == 0
    assert main(["retry"]) == 0
    assert main(["retry", "/talks/bad.jsonl"]) == 2

    assert capsys.readouterr().out.splitlines() == ["1 transcript will be tried again."] * 2


def test_pause_holds_until_resume(home: Path) -> None:
    """The switch is in the state, so that it outlives every process."""
    assert main(["pause"]) == 0
    with open_store(home / "state.db", SCHEMA) as store:
        assert Queue(store).is_on("paused")

    assert main(["resume"]) == 0
    with open_store(home / "state.db", SCHEMA) as store:
        assert not Queue(store).is_on("paused")
