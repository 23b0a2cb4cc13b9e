"""`key`: kept privately, found, removed, never shown."""

from __future__ import annotations

import io
import os
import sys
import types
from pathlib import Path

import pytest

from sessiontrackd import config
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home, find_key
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.errors import Refused, SettingsError

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


class Keyring(types.ModuleType):
    """A keyring in memory, which can be locked."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__("keyring")
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def _open(self) -> None:
        if self.is_locked:
            raise KeyringError

    def set_password(self, service: str, user: str, value: str) -> None:
        self._open()
        self.kept[service, user] = value

    def get_password(self, service: str, user: str) -> str | None:
        self._open()
        return self.kept.get((service, user))

    def delete_password(self, service: str, user: str) -> None:
        self._open()
        del self.kept[service, user]


class KeyringError(Exception):
    pass


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Keyring:
    made, errors = Keyring(), types.ModuleType("keyring.errors")
    errors.KeyringError = KeyringError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", made)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    return made


def test_places_are_looked_at_in_order(home: Path, tmp_path: Path, keyring: Keyring) -> None:
    """Environment, credentials of systemd, keyring, file; each covers those after it."""
    place = Home.find(home)
    config.keep_key(place, "of-the-file")
    assert config.find_key(place, {}) == ("of-the-file", str(config.key_path(place)))
    keyring.kept["sessiontrackd", str(place.config_path)] = "nobody-asked"
    assert config.find_key(place, {}) == ("of-the-file", str(config.key_path(place)))

    config.keep_key_in_keyring(place, "of-the-keyring")
    assert config.find_key(place, {}) == ("of-the-keyring", "the system keyring")
    assert not config.key_path(place).exists()
    (tmp_path / "anthropic-api-key").write_text("of-systemd\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert (config.find_key(place, environ) or ("",))[0] == "of-systemd"
    assert (config.find_key(place, environ | {"ANTHROPIC_API_KEY": "of-the-shell"}) or ("",))[0] == "of-the-shell"

    assert config.remove_key(place)
    assert (config.find_key(place, {}), keyring.kept, config.remove_key(place)) == (None, {}, False)


def test_a_locked_keyring_is_told_and_no_other_place_answers(home: Path, keyring: Keyring) -> None:
    """Nothing is sent then, and the reason says what to do."""
    place = Home.find(home)
    config.keep_key_in_keyring(place, "of-the-keyring")
    keyring.is_locked = True

    with pytest.raises(SettingsError, match="cannot be used"):
        config.find_key(place, {})
    engine = ClaudeEngine.configured(place, config.load(place), "claude-haiku-5-5")
    with pytest.raises(Refused, match="Unlock it") as caught:
        engine._check()
    assert caught.value.circuit


def test_without_the_extra_the_command_says_how_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And keeps nothing."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setattr(sys, "stdin", io.StringIO("a-key\n"))

    assert main(["key", "set", "--keyring"]) == 1
    assert "sessiontrackd[keyring]" in capsys.readouterr().err
    assert config.find_key(Home.find(home), {}) is None
