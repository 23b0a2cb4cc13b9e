"""Completion in the shell, and the man page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sessiontrackd.cli.completion import PLACES
from sessiontrackd.cli.main import COMMANDS, main

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> str:
    """Return the man page as the script makes it."""
    words = [sys.executable, str(CHECKOUT / "docs" / "man.py")]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    return done.stdout


def completed(*words: str, home: Path) -> list[str]:
    """Ask as bash does what the last word can become."""
    environ = {
        "PATH": os.environ["PATH"], "HOME": str(home), "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1),
        "_SESSIONTRACKD_COMPLETE": "bash_complete",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "sessiontrackd"], capture_output=True, text=True, check=True, env=environ, cwd=CHECKOUT
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_members_and_options_are_completed(home: Path) -> None:
    """As they are typed."""
    assert completed("sessiontrackd", "wa", home=home) == ["watch"]
    assert completed("sessiontrackd", "watch", "re", home=home) == ["remove"]
    assert "--preset" in completed("sessiontrackd", "watch", "add", "--pr", home=home)
    assert "codex" in completed("sessiontrackd", "watch", "add", "--preset", "", home=home)


@pytest.mark.parametrize("shell", PLACES)
def test_it_is_installed_where_the_shell_looks_and_removed(shell: str, person: Path) -> None:
    """It is a script of that shell."""
    assert main(["completion", shell, "--install"]) == 0

    path = PLACES[shell]()
    assert path.is_relative_to(person)
    assert "_SESSIONTRACKD_COMPLETE" in path.read_text()
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", path], check=False).returncode == 0
    assert main(["completion", shell, "--remove"]) == 0
    assert not path.exists()
    assert main(["completion", shell, "--remove"]) == 0


@pytest.mark.prove
def test_the_man_page_is_current(page: str) -> None:
    """docs/sessiontrackd.1 is made by: python docs/man.py > docs/sessiontrackd.1."""
    kept = (CHECKOUT / "docs" / "sessiontrackd.1").read_text(encoding="utf-8")

    assert kept == page, "run: python docs/man.py > docs/sessiontrackd.1"


def test_the_man_page_names_every_command(page: str) -> None:
    """With its options and examples."""
    assert [name for name in COMMANDS if f".SS sessiontrackd {name}".replace("-", "\\-") not in page] == []
    assert "\\-\\-preset" in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_troff_has_nothing_to_complain_about(page: str) -> None:
    """Every line is formatted."""
    words = ["groff", "-man", "-Tutf8", "-ww", "-K", "utf-8"]
    done = subprocess.run(words, input=page, capture_output=True, text=True, check=True)

    assert done.stderr == ""
