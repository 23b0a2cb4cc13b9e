"""`prices`: shown with their source and age, and confirmed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import config, pricing
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home


def read(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """Run a command and return its document."""
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_models_in_use_have_their_prices(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every step of them, and the user's own; one that nobody knows is said to have none."""
    (home / "config.toml").write_text(
        '[claude]\nmodel = "claude-sonnet-5-5"\n[[prices]]\nmodel = "mine"\ninput = 0.25\noutput = 2\n'
        '[[prices]]\nprovider = "127.0.0.1:11434"\nfree = true\n'
    )
    document = read(capsys, "prices", "--model", "nobody-knows")

    rows = [(each["model"], each["above_tokens"], each["input"], each["source"]) for each in document["prices"]]
    assert rows == [
        ("claude-sonnet-5-5", 0, "2", "genai-prices 0.2.3"),
        ("claude-haiku-5-5", 0, "0.1", "genai-prices 0.2.3"),
        ("claude-haiku-5-5", 100_000, "0.5", "genai-prices 0.2.3"),
        ("nobody-knows", None, None, None),
        ("mine", 0, "0.25", "your own price"),
        (None, 0, "0", "free, as you stated"),
    ]
    assert main(["prices", "--model", "nobody-knows"]) == 0
    said = capsys.readouterr().out
    assert "no price, so nothing is sent to it" in said
    assert "every model at 127.0.0.1:11434" in said


def test_a_model_at_ones_own_server_has_that_servers_price(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not its vendor's."""
    (home / "config.toml").write_text(
        '[claude]\nmodel = "llama"\nbase_url = "http://127.0.0.1:9"\n[[prices]]\nprovider = "127.0.0.1:9"\nfree = true\n'
    )
    first = read(capsys, "prices")["prices"][0]

    assert (first["model"], first["provider"], first["input"]) == ("llama", "127.0.0.1:9", "0")


def test_old_prices_are_confirmed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`prices` and `budget` say how old they are; what is confirmed stands in the settings."""
    today = datetime.now(UTC).date()
    monkeypatch.setattr(pricing, "data_date", lambda: today - timedelta(days=100))
    assert main(["budget"]) == 0
    assert "compared 100 days ago; see: sessiontrackd prices" in capsys.readouterr().out
    assert main(["prices"]) == 0
    assert "prices confirm" in capsys.readouterr().out

    assert main(["prices", "confirm"]) == 0
    assert config.load(Home.find(home)).prices_confirmed_on == today
    capsys.readouterr()
    assert main(["budget"]) == 0
    assert "compared" not in capsys.readouterr().out
    assert read(capsys, "budget")["prices_age_days"] == 0


def test_very_old_prices_make_paid_engines_wait(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says so."""
    monkeypatch.setattr("sessiontrackd.cli.prices.data_date", lambda: date(2020, 1, 1))
    monkeypatch.setattr(pricing, "data_date", lambda: date(2020, 1, 1))

    assert main(["prices"]) == 0
    assert "paid engines wait" in capsys.readouterr().out
