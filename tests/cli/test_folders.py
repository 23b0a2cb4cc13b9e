"""`watch add`, `watch list`, `watch remove`."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

from sessiontrackd import config, engines, privacy
from sessiontrackd.cli import _git
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home, Settings
from sessiontrackd.privacy import Consents
from sessiontrackd.store import open_store

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """Return a folder with one transcript and one other file."""
    folder = tmp_path / "talks"
    folder.mkdir()
    shutil.copyfile(SAMPLE, folder / "tide.jsonl")
    (folder / "data.json").write_text('{"a": 1}')
    return folder


def test_add_says_what_is_there_and_writes_the_settings(
    home: Path, talks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Transcripts are counted by content, not by name."""
    assert main(["watch", "add", str(talks), "--level", "minimal", "--yes"]) == 0

    out = capsys.readouterr().out
    (folder,) = config.load(Home.find(home)).folders
    assert f"{talks}: 1 transcript, 1 of the last 30 days." in out
    assert (folder.path, folder.level, folder.since) == (talks, "minimal", None)


def test_a_vault_is_named_from_where_one_is(home: Path, talks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Like the folder itself; the settings hold whole paths."""
    monkeypatch.chdir(talks.parent)
    assert main(["watch", "add", "talks", "--output", "vault:notes", "--yes"]) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert folder.output == f"vault:{talks.parent / 'notes'}"


def test_without_a_terminal_history_goes_back_thirty_days(home: Path, talks: Path) -> None:
    """Nothing is asked, and nobody wanted all of it."""
    assert main(["watch", "add", str(talks)]) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert folder.since is not None
    assert folder.since[:10] == (datetime.now(UTC) - timedelta(days=30)).date().isoformat()


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [("--output", "there", "vault:"), ("--budget", "lots", "50usd"), ("--engine", "oracle", "Engines: local")],
)
def test_a_wrong_value_is_refused_before_anything_is_counted(
    home: Path, talks: Path, option: str, value: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option is named and the remedy too; no settings file is made or blamed."""
    assert main(["watch", "add", str(talks), option, value]) == 2

    said = capsys.readouterr()
    assert said.out == ""
    assert f"'{value}'" in said.err
    assert remedy in said.err
    assert not (home / "config.toml").exists()


@pytest.mark.parametrize(("said", "kept"), [("all", None), ("2026-03-14", "2026-03-14")])
def test_since_is_kept_as_it_was_said(home: Path, talks: Path, said: str, kept: str | None) -> None:
    """A day, or all of it."""
    assert main(["watch", "add", str(talks), "--since", said]) == 0

    assert config.load(Home.find(home)).folders[0].since in (kept, f"{kept}T00:00:00")


def test_a_since_that_means_nothing_is_wrong_usage(home: Path, talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what could be written, and changes nothing."""
    assert main(["watch", "add", str(talks), "--since", "yesterday"]) == 2

    assert "30d" in capsys.readouterr().err
    assert list(home.iterdir()) == []


def test_a_preset_knows_its_folder_and_keeps_notes_out_of_it(home: Path, person: Path) -> None:
    """Notes of a tool's transcripts go to the vault of the home."""
    (person / ".claude" / "projects").mkdir(parents=True)

    assert main(["watch", "add", "--preset", "claude-code", "--yes"]) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert folder.path == person / ".claude" / "projects"
    assert folder.output == f"vault:{home / 'notes'}"


def test_a_preset_without_a_folder_says_where_it_looked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The tool is not installed, or keeps its transcripts elsewhere."""
    assert main(["watch", "add", "--preset", "codex"]) == 2

    assert ".codex/sessions" in capsys.readouterr().err


def test_list_and_remove(home: Path, talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was added is listed, and gone after its removal."""
    main(["watch", "add", str(talks), "--yes"])
    capsys.readouterr()

    assert main(["watch", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["folders"]
    assert [(each["path"], each["online"]) for each in listed] == [(str(talks), True)]

    assert main(["watch", "remove", str(talks)]) == 0
    assert main(["watch", "remove", str(talks)]) == 2
    assert config.load(Home.find(home)).folders == ()


def test_a_git_work_tree_is_named(home: Path, talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Notes beside transcripts would show up in its status; the remedies are named."""
    subprocess.run(["git", "init", "-q", str(talks)], check=True)

    assert main(["watch", "add", str(talks), "--yes"]) == 0

    out = capsys.readouterr().out
    assert "git work tree" in out
    assert "info/exclude" in out


def test_git_is_told_once_to_ignore_reports(talks: Path) -> None:
    """The list of this clone alone is changed, and what stands there stays."""
    subprocess.run(["git", "init", "-q", str(talks)], check=True)
    path = _git.ignored_names_path(talks)
    assert path is not None
    path.write_text("*.swp")

    _git.ignore_reports(path)
    _git.ignore_reports(path)

    assert path.read_text().splitlines() == ["*.swp", *_git.PATTERNS]
    (talks / "tide.jsonl.insights.md").touch()
    ignored = subprocess.run(
        ["git", "-C", str(talks), "check-ignore", "tide.jsonl.insights.md"], check=False, capture_output=True
    )
    assert ignored.returncode == 0


class Faraway:
    """An engine that sends text to another machine, as far as the command line looks at it."""

    leaves_machine = True
    price_model = "claude-haiku-5-5"

    @classmethod
    def provider_of(cls, settings: Settings) -> str:
        """Name who gets it."""
        return "llm.example:443"


@pytest.fixture
def faraway(monkeypatch: pytest.MonkeyPatch) -> str:
    """Register that engine and return its name."""
    monkeypatch.setattr(engines, "ENGINES", {**engines.ENGINES, "faraway": f"{__name__}:Faraway"})
    return "faraway"


def test_without_a_terminal_missing_consent_is_a_failure(
    home: Path, talks: Path, faraway: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 1 with the line to type, also with --yes; the folder is not watched."""
    assert main(["watch", "add", str(talks), "--engine", faraway, "--yes"]) == 1

    assert f"sessiontrackd consent grant {talks} --provider llm.example:443" in capsys.readouterr().err
    assert config.load(Home.find(home)).folders == ()


def test_with_consent_the_folder_is_watched_from_now_on(home: Path, talks: Path, faraway: str) -> None:
    """Without a terminal nobody said that its history is worth the money."""
    before = datetime.now(UTC).replace(microsecond=0)
    assert main(["consent", "grant", str(talks), "--provider", "llm.example:443"]) == 0

    assert main(["watch", "add", str(talks), "--engine", faraway]) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert folder.engine == faraway
    assert datetime.fromisoformat(folder.since or "") >= before


@pytest.mark.parametrize(
    ("address", "provider"),
    [("https://api.anthropic.com", "anthropic"), ("http://127.0.0.1:8080/v1", "127.0.0.1:8080")],
)
def test_consent_is_for_the_server_of_the_settings(
    home: Path, talks: Path, capsys: pytest.CaptureFixture[str], address: str, provider: str
) -> None:
    """A server on this machine is a provider like any other: it may forward."""
    config.set_value(Home.find(home), "claude.base_url", address)

    assert main(["watch", "add", str(talks), "--engine", "claude"]) == 1

    assert f"--provider {provider}\n" in capsys.readouterr().err


def test_an_engine_that_does_not_exist_is_wrong_usage(home: Path, talks: Path) -> None:
    """It is told before anything is written."""
    assert main(["watch", "add", str(talks), "--engine", "locale", "--yes"]) == 2

    assert list(home.iterdir()) == []


def typed(monkeypatch: pytest.MonkeyPatch, answers: str, arguments: list[str]) -> int:
    """Run a command on a terminal where these lines are typed; what it prints goes there too."""
    outer, inner = pty.openpty()
    os.write(outer, answers.encode())
    with os.fdopen(inner) as stdin, os.fdopen(os.dup(inner), "w") as stdout, monkeypatch.context() as patch:
        patch.setattr(sys, "stdin", stdin)
        patch.setattr(sys, "stdout", stdout)
        status = main(arguments)
        stdout.flush()
        shown = os.read(outer, 10_000).decode()
    os.close(outer)
    print(shown)
    return status


def test_before_a_paid_folder_is_watched_its_cost_is_said(
    home: Path, talks: Path, faraway: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Count, model and range of the cost, before the question how far back to go."""
    os.utime(talks / "tide.jsonl", (1e9, 1e9))
    shutil.copyfile(SAMPLE, talks / "again.jsonl")

    assert typed(monkeypatch, "y\nall\n", ["watch", "add", str(talks), "--engine", faraway]) == 0

    (folder,) = config.load(Home.find(home)).folders
    out = capsys.readouterr().out
    assert "2 transcripts, 1 of the last 30 days." in out
    assert re.search(
        r"With claude-haiku-5-5: all of them about \$0\.0\d+ \(from .* to at most .*; those of the last", out
    )
    assert out.index("all of them") < out.index("How far back?")
    assert folder.since is None


@pytest.mark.parametrize(("answer", "is_now"), [("y", False), ("n", True), ("", True)])
def test_paid_history_is_not_sent_unless_its_cost_is_agreed_to(
    home: Path, talks: Path, faraway: str, monkeypatch: pytest.MonkeyPatch, answer: str, is_now: bool
) -> None:
    """Also where --since said how far back; silence is no agreement."""
    arguments = ["watch", "add", str(talks), "--engine", faraway, "--since", "2020-01-01"]
    assert typed(monkeypatch, f"y\n{answer}\n", arguments) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert (folder.since or "").startswith(str(datetime.now(UTC).date())) is is_now


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("n", 1), ("", 1)])
def test_on_a_terminal_a_person_is_asked(
    home: Path, talks: Path, faraway: str, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    """--yes answers the other questions; silence is no consent."""
    arguments = ["watch", "add", str(talks), "--engine", faraway, "--yes"]
    assert typed(monkeypatch, f"{answer}\n", arguments) == status

    with open_store(home / "state.db", privacy.SCHEMA) as store:
        assert Consents(store).is_granted(str(talks), "llm.example:443") is (status == 0)
    assert len(config.load(Home.find(home)).folders) == (status == 0)


@pytest.mark.parametrize(("answer", "mode"), [("", "backlog"), ("n", "now")])
def test_a_paid_backlog_is_offered_at_half_the_price(
    home: Path, talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str, mode: str
) -> None:
    """As a batch, whose notes may take a day; what comes later is asked at once."""
    assert typed(monkeypatch, f"y\nall\n{answer}\n", ["watch", "add", str(talks), "--engine", "claude"]) == 0

    (folder,) = config.load(Home.find(home)).folders
    assert folder.mode == mode
    assert "at half the price" in capsys.readouterr().out


def test_a_folder_that_takes_no_note_is_told_at_once(
    home: Path, talks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the other place that notes may have."""
    monkeypatch.setattr(os, "access", lambda path, wanted: not wanted & os.W_OK)

    assert main(["watch", "add", str(talks), "--yes"]) == 0
    assert "vault:DIR" in capsys.readouterr().err
