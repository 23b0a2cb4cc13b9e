"""`key`: kept privately, found, removed, never shown."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main
from sessiontrackd.config import Home, find_key
from sessiontrackd.errors import SettingsError

VALUE = "not-a-real-key-17"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def test_a_key_is_kept_for_its_owner_and_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the umask."""
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{VALUE}\n"))
    before = os.umask(0)
    try:
        assert main(["--home", str(tmp_path), "key", "set"]) == 0
    finally:
        os.umask(before)
    assert main(["--home", str(tmp_path), "key", "status"]) == 0

    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600
    assert VALUE not in capsys.readouterr().out
    assert find_key(Home.find(tmp_path), {}) == (VALUE, str(tmp_path / "api-key"))
    assert main(["--home", str(tmp_path), "key", "remove"]) == 0
    assert find_key(Home.find(tmp_path), {}) is None


def test_the_environment_wins_then_the_service_then_the_file(tmp_path: Path) -> None:
    """In that order; a file that others may read is refused."""
    home, credentials = Home.find(tmp_path), tmp_path / "c"
    credentials.mkdir()
    (credentials / "anthropic-api-key").write_text("from-the-service")
    (tmp_path / "api-key").write_text("from-the-file")
    os.chmod(tmp_path / "api-key", 0o644)
    service = {"CREDENTIALS_DIRECTORY": str(credentials)}

    assert find_key(home, {"ANTHROPIC_API_KEY": "from-outside", **service}) == (
        "from-outside",
        "the variable ANTHROPIC_API_KEY",
    )
    assert find_key(home, service) == ("from-the-service", str(credentials / "anthropic-api-key"))
    with pytest.raises(SettingsError, match="chmod 600"):
        find_key(home, {})


@pytest.mark.parametrize("given", ["", "two words", "ключ"])
def test_what_is_no_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """Nothing is written."""
    monkeypatch.setattr("sys.stdin", io.StringIO(given))

    assert main(["--home", str(tmp_path), "key", "set"]) == 2
    assert not (tmp_path / "api-key").exists()
