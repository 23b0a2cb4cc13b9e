"""`status`, `usage`, `reports`."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import budget, config, history, queue
from sessiontrackd.budget import TokenManager
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.history import History
from sessiontrackd.model import Fingerprint, JobState, Session, Usage
from sessiontrackd.queue import Queue
from sessiontrackd.store import open_store
from tests.test_notes import talk


def read(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a command and return its document."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def work_was_done(home: Path) -> None:
    """Leave a month with two requests, a session that ran, what a transcript recorded, and a job of each kind."""
    with open_store(home / "state.db", queue.SCHEMA, history.SCHEMA, budget.SCHEMA) as store:
        TokenManager(store=store).record_token_usage(1000, 100, model="claude-haiku-5-5", folder="/talks")
        recorded = Session("s1", "claude_code", models=("claude-haiku-5-5",), usage=Usage(10, 20, complete=False))
        History(store).record_session(recorded, b"/talks/a.jsonl")
        History(store).notes.keep(
            b"/talks/a.jsonl",
            "s1",
            b"/talks/a\xff.insights.md",
            level="minimal",
            engine="local",
            title="T",
            body_sha256="",
        )
        jobs = Queue(store)
        jobs.offer(b"/talks/a.jsonl", "/talks/a.jsonl", Fingerprint(1, 2, 3, 4), "/talks")
        jobs.turn("paused", True)


def test_a_new_machine_has_a_status(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing runs, nothing waits, no budget is set, and looking wrote nothing."""
    document = read(capsys, "status")

    assert document["daemon"] == {"running": False, "pid": None, "since": None}
    assert document["queue"] == {state.value: 0 for state in JobState}
    assert list(home.iterdir()) == []


def test_status_shows_switches_queue_and_money(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What waits, what is switched off, what was spent."""
    work_was_done(home)

    document = read(capsys, "status")

    assert (document["paused"], document["ai"]) == (True, True)
    assert document["queue"] == {state.value: int(state is JobState.WAITING) for state in JobState}
    assert float(document["budget"]["spent_usd"]) > 0


def test_a_running_daemon_tells_how_far_its_scan_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Still scanning is a state; a false zero is not."""
    found = Home.find(home)
    found.prepare()
    config.add_folder(found, home)
    with config.hold(found):
        said = {"pid": os.getpid(), "since": "2026-11-24T02:00:00+00:00", "folders": {}, "problem": None}
        config.tell(found, {**said, "scanning": {"folder": str(home), "seen": 41}})

        document = read(capsys, "status")
        assert main(["status"]) == 0

    assert document["daemon"]["pid"] == os.getpid()
    assert document["folders"][0]["seen"] is None
    assert "still scanning" in capsys.readouterr().out


def test_status_works_with_broken_settings(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows what it can, and names the mistake with its line."""
    (home / "config.toml").write_text("colour = 1\n")

    document = read(capsys, "status")

    assert "line 1" in str(document["problem"])


def test_own_and_recorded_spending_are_two_tables(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What we spent and what the transcripts record are never added."""
    work_was_done(home)

    ours = read(capsys, "usage", "--by", "folder")
    theirs = read(capsys, "usage", "--recorded", "--by", "model")

    assert [(row["key"], row["input_tokens"]) for row in ours["rows"]] == [("/talks", 1000)]
    assert [(row["key"], row["input_tokens"]) for row in theirs["rows"]] == [("claude-haiku-5-5", 10)]


def test_what_is_missing_from_a_total_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A lower bound is marked as one."""
    work_was_done(home)

    assert main(["usage", "--recorded"]) == 0

    assert "the true figures are higher" in capsys.readouterr().out


def test_usage_as_csv_has_a_heading_and_a_line_a_row(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For spreadsheets: plain numbers, no total."""
    work_was_done(home)

    assert main(["usage", "--by", "folder", "--csv"]) == 0

    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["key"], row["calls"], row["output_tokens"]) == ("/talks", "1", "100")


def test_a_month_without_work_is_said_in_words(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table would look like a mistake."""
    assert main(["usage", "--period", "2020-01"]) == 0

    assert capsys.readouterr().out == "Nothing ran in 2020-01.\n"


@pytest.mark.parametrize("words", [("--period", "March"), ("--recorded", "--by", "level")])
def test_a_question_without_an_answer_is_wrong_usage(home: Path, words: tuple[str, ...]) -> None:
    """A month that is none; a level, which transcripts do not know."""
    assert main(["usage", *words]) == 2


def test_reports_are_listed_with_their_paths(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names that are no UTF-8 too."""
    work_was_done(home)

    document = read(capsys, "reports")

    assert [(each["path"], each["title"]) for each in document["reports"]] == [("/talks/a\ufffd.insights.md", "T")]


def test_a_path_of_a_report_stands_whole_on_its_own_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is there to be copied, however narrow the terminal."""
    work_was_done(home)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "24")

    assert main(["reports"]) == 0

    assert "  /talks/a\ufffd.insights.md" in capsys.readouterr().out.splitlines()


def test_status_tells_of_a_newer_version_beside_an_edited_note(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until one of the two is gone."""
    path = tmp_path / "a.jsonl"
    path.write_text(talk("5f0c2d1e-1", "mend the tide import", "now the tests"))
    assert main(["process", str(path)]) == 0
    note, newer = tmp_path / "a.jsonl.insights.md", tmp_path / "a.jsonl.insights.2.md"
    note.write_text(note.read_text().replace("# Mend", "# I mended"))
    assert main(["process", str(path), "--level", "minimal"]) == 0
    capsys.readouterr()

    assert main(["status"]) == 0
    assert f"the newer version is beside it: {newer}" in capsys.readouterr().out
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["edited"] == [{"report": str(note), "newer": str(newer)}]

    note.unlink()
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["edited"] == []


def test_status_tells_of_a_newer_version_beside_an_edited_index(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person adds to it elsewhere than under `## Notes` is an edit, too."""
    vault, talks = tmp_path / "vault", tmp_path / "talks"
    talks.mkdir()
    config.add_folder(Home.find(home), talks, output=f"vault:{vault}")
    for number in (1, 2):
        (talks / f"{number}.jsonl").write_text(talk(f"5f0c2d1e-{number}", "mend the tide import", "now the tests"))
        assert main(["process", str(talks / f"{number}.jsonl")]) == 0
        (index,) = (each for each in vault.rglob("*.md") if each.name == f"{each.parent.name}.md")
        index.write_text(f"{index.read_text()}mine\n")
    capsys.readouterr()

    assert main(["status", "--json"]) == 0
    newer = index.with_name(f"{index.stem}.2.md")
    assert json.loads(capsys.readouterr().out)["edited"] == [{"report": str(index), "newer": str(newer)}]


def test_a_budget_in_tokens_and_what_is_over_stand_in_the_status(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything was spent, and when a limit was lowered below what was."""
    config.set_value(Home.find(home), "budget.monthly", "2Mtok")
    assert main(["status"]) == 0
    assert "2,000,000 tokens for" in capsys.readouterr().out
    TokenManager(home=home).record_token_usage(1_000_000, 0)
    assert main(["budget", "set", "0.1usd, 1ktok"]) == 0
    capsys.readouterr()
    assert main(["status"]) == 0
    assert "$0 left, 0 tokens left, over by $0.40, over by 999,000 tokens" in capsys.readouterr().out
