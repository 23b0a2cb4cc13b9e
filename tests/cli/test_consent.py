"""`consent grant`, `consent revoke`, `consent list`, and `ai on|off`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessiontrackd import privacy, queue
from sessiontrackd.cli.main import main
from sessiontrackd.privacy import API, Consents
from sessiontrackd.store import open_store


def granted(home: Path) -> list[tuple[str, str]]:
    """Return what holds in the home."""
    with open_store(home / "state.db", privacy.SCHEMA) as store:
        return [(each.scope, each.provider) for each in Consents(store).listed() if each.revoked_at is None]


def test_consent_is_granted_listed_and_revoked(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scope is the whole path, however it was typed; a revoked one stays on the list with both dates."""
    assert main(["consent", "grant", f"{tmp_path}/./x/..", "--provider", "anthropic"]) == 0
    assert main(["consent", "grant", "--api", "--provider", "127.0.0.1:8080"]) == 0
    assert granted(home) == [(str(tmp_path), "anthropic"), (API, "127.0.0.1:8080")]

    assert main(["consent", "revoke", str(tmp_path)]) == 0
    assert granted(home) == [(API, "127.0.0.1:8080")]

    capsys.readouterr()
    assert main(["consent", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["consents"]
    assert [(each["scope"], each["revoked_at"] is None) for each in listed] == [(str(tmp_path), False), (API, True)]


def test_everything_can_be_revoked_in_one_line(home: Path, tmp_path: Path) -> None:
    """Also what was granted for a folder that is gone."""
    folder = tmp_path / "gone"
    folder.mkdir()
    main(["consent", "grant", str(folder), "--provider", "anthropic"])
    main(["consent", "grant", "--api", "--provider", "anthropic"])
    folder.rmdir()

    assert main(["consent", "revoke", "--all"]) == 0

    assert granted(home) == []


def test_one_provider_is_revoked_alone(home: Path, tmp_path: Path) -> None:
    """The others keep what they were given."""
    for provider in ("anthropic", "llm.example:443"):
        main(["consent", "grant", str(tmp_path), "--provider", provider])

    assert main(["consent", "revoke", str(tmp_path), "--provider", "anthropic"]) == 0

    assert granted(home) == [(str(tmp_path), "llm.example:443")]


@pytest.mark.parametrize(
    "words",
    [
        ["grant", "--provider", "anthropic"],
        ["grant", "{}", "--api", "--provider", "anthropic"],
        ["grant", "{}"],
        ["grant", "{}", "--provider", "https://llm.example/v1"],
        ["grant", "{}", "--provider", "two words"],
        ["grant", "{}", "--provider", "anthropic", "--yes"],
        ["grant", "{}/missing", "--provider", "anthropic"],
        ["revoke"],
        ["revoke", "{}"],
        ["revoke", "{}", "--all"],
    ],
)
def test_what_cannot_be_meant_grants_nothing(home: Path, tmp_path: Path, words: list[str]) -> None:
    """Wrong usage, exit 2: there is no --yes for consent either."""
    assert main(["consent", *(word.format(tmp_path) for word in words)]) == 2

    assert granted(home) == []


def test_looking_and_revoking_make_no_state(home: Path) -> None:
    """On a fresh machine nothing is written."""
    assert main(["consent", "list"]) == 0
    assert main(["consent", "revoke", "--all"]) == 2

    assert list(home.iterdir()) == []


def test_ai_and_consent_hold_where_the_settings_are_broken(home: Path, tmp_path: Path) -> None:
    """Whoever wants to stop sending must not have to repair a file first."""
    (home / "config.toml").write_text("[[folder\nno settings")
    with open_store(home / "state.db", queue.SCHEMA, privacy.SCHEMA) as store:
        Consents(store).grant(str(tmp_path), "anthropic")

    assert main(["ai", "off"]) == 0
    assert main(["consent", "revoke", str(tmp_path)]) == 0

    with open_store(home / "state.db", queue.SCHEMA) as store:
        assert not queue.Queue(store).is_on("ai")
    assert granted(home) == []


def test_ai_is_switched_back_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` tells how it stands."""
    main(["ai", "off"])
    assert main(["ai", "on"]) == 0
    capsys.readouterr()

    main(["status", "--json"])

    assert json.loads(capsys.readouterr().out)["ai"] is True
