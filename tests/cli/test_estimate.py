"""`estimate`."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import config
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home

SAMPLE = Path(str(resources.files("sessiontrackd") / "samples" / "tide-import.jsonl"))


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Return a transcript beside a file that is none."""
    folder = tmp_path / "talks"
    folder.mkdir()
    (folder / "data.json").write_text('{"a": 1}')
    return Path(shutil.copyfile(SAMPLE, folder / "tide.jsonl"))


def estimated(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """Run `estimate --json` and return its document."""
    assert main(["estimate", *map(str, arguments), "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_paid_engine_has_a_range_of_costs(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The names and shapes that others rely on; nothing is made in the home."""
    document = estimated(capsys, talk.parent, "--engine", "claude")

    assert (document["transcripts"], document["sessions"], document["model"]) == (1, 1, "claude-haiku-5-5")
    tokens, cost = document["input_tokens"], document["cost_usd"]
    assert 500 < tokens["low"] < tokens["expected"] < tokens["max"] < 5_000
    assert 0 < Decimal(cost["low"]) < Decimal(cost["expected"]) < Decimal(cost["max"]) < Decimal("0.01")
    assert list(home.iterdir()) == []


def test_the_local_engine_costs_nothing_and_the_paid_default_is_told(
    home: Path, talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are said, to people too."""
    document = estimated(capsys, talk)
    assert main(["estimate", str(talk)]) == 0
    said = capsys.readouterr().out

    assert document["model"] is None
    assert {Decimal(amount) for amount in document["cost_usd"].values()} == {0}
    assert document["paid"]["model"] == "claude-haiku-5-5"
    assert Decimal(document["paid"]["cost_usd"]["expected"]) > 0
    assert "The local engine costs $0. With claude-haiku-5-5 it would be about $0.00" in said
    assert said.endswith("Nothing was sent.\n")


def test_level_and_model_count(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Deeper and dearer."""
    usual = estimated(capsys, talk, "--engine", "claude")
    deep = estimated(capsys, talk, "--engine", "claude", "--level", "comprehensive", "--model", "claude-sonnet-5-5")

    assert deep["model"] == "claude-sonnet-5-5"
    assert Decimal(deep["cost_usd"]["expected"]) > 20 * Decimal(usual["cost_usd"]["expected"])


def test_a_folder_that_is_kept_local_costs_nothing(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file inside the folder is heard here too."""
    config.add_folder(Home.find(home), talk.parent, engine="claude")
    paid = estimated(capsys, talk)
    (talk.parent / ".sessiontrackd.toml").write_text('engine = "local"\n')

    assert Decimal(paid["cost_usd"]["max"]) > 0
    assert Decimal(estimated(capsys, talk)["cost_usd"]["max"]) == 0


@pytest.mark.parametrize(("name", "told"), [("data.json", "not a conversation"), ("gone.jsonl", "gone.jsonl")])
def test_a_named_file_that_is_no_transcript_fails(
    home: Path, talk: Path, capsys: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    """One line says why."""
    assert main(["estimate", str(talk.parent / name)]) == 1

    assert told in capsys.readouterr().err


@pytest.mark.parametrize("is_folder", [False, True])
def test_an_unpriced_model_fails(home: Path, talk: Path, capsys: pytest.CaptureFixture[str], is_folder: bool) -> None:
    """Unknown is never $0."""
    path = talk.parent if is_folder else talk
    assert main(["estimate", str(path), "--engine", "claude", "--model", "claude-who-knows"]) == 1

    said = capsys.readouterr()
    assert "price" in said.err
    assert said.out == ""


def test_prices_of_ones_own_hold(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the settings say a model costs is what is estimated."""
    (home / "config.toml").write_text('[[prices]]\nmodel = "mine"\ninput = 1000\noutput = 0\n')

    document = estimated(capsys, talk, "--engine", "claude", "--model", "mine")

    expected = document["input_tokens"]["expected"]
    assert Decimal(document["cost_usd"]["expected"]) == Decimal(expected) / 1000


def test_what_a_plan_covers_has_no_price(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its cost is neither known nor nothing."""
    (home / "config.toml").write_text('[command]\nargv = ["cat"]\n')

    document = estimated(capsys, talk, "--engine", "command")
    assert main(["estimate", str(talk), "--engine", "command"]) == 0

    assert document["flat_rate"] is True
    assert set(document["cost_usd"].values()) == {None}
    assert "at the flat rate of your plan" in capsys.readouterr().out
