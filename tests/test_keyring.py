"""The system keyring, for real: gnome-keyring on a session bus of its own, with a home of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VALUE = "not-a-real-key-17"
PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
MISSING += [] if importlib.util.find_spec("keyring") else ["pip install '.[keyring]'"]

pytestmark = [
    pytest.mark.prove,
    pytest.mark.skipif(bool(MISSING), reason=f"the system keyring needs {', '.join(MISSING)}"),
]


def told(home: Path, *commands: str, unlocked: bool) -> str:
    """Run commands of ours, and of the shell, where there is a keyring; return what they print."""
    run = home / "run"
    run.mkdir(parents=True, exist_ok=True)
    run.chmod(0o700)
    password = "a-password" if unlocked else ""  # without one there is no keyring to open
    script = "\n".join(
        (f"printf '{password}' | gnome-keyring-daemon --unlock --components=secrets > /dev/null", *commands)
    )
    places = {"HOME": str(home), "XDG_RUNTIME_DIR": str(run), "XDG_DATA_HOME": str(home / "data")}
    ours = f'sessiontrackd() {{ "{sys.executable}" -m sessiontrackd --home "{home}/ours" "$@" 2>&1; }}\n'
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        ["dbus-run-session", "--", "bash", "-c", ours + script],
        env=kept | places, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stdout


def test_a_key_is_kept_in_the_system_keyring_found_and_removed(tmp_path: Path) -> None:
    """It stands nowhere below the home in plain text, and a later process of the same person finds it."""
    keep = f"echo {VALUE} | sessiontrackd key set --keyring"
    first = told(tmp_path, keep, "sessiontrackd key status", unlocked=True)
    assert "Stored in the system keyring." in first
    assert "There is a key: the system keyring." in first
    assert VALUE not in first
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not any(VALUE.encode() in path.read_bytes() for path in files)

    later = told(
        tmp_path, "sessiontrackd key status", "sessiontrackd key remove", "sessiontrackd key status", unlocked=True
    )
    assert later.splitlines() == [
        "There is a key: the system keyring.",
        "Removed.",
        "There is no key. Store one: sessiontrackd key set",
    ]


def test_a_keyring_that_cannot_be_opened_is_told_and_no_key_is_kept_elsewhere(tmp_path: Path) -> None:
    """Without a display nobody can be asked for its password; the line to type follows."""
    said = told(tmp_path, f"echo {VALUE} | sessiontrackd key set --keyring", unlocked=False)

    assert "The system keyring cannot be used" in said
    assert "sessiontrackd key set" in said
    assert not any(VALUE.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
