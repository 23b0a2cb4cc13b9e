"""The command line as a whole: its overview, its mistakes, its exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest

from sessiontrackd.cli import main as command_line
from sessiontrackd.cli.main import COMMANDS, main


def every_command() -> list[tuple[str, click.Command]]:
    """Return each command with the words that reach it, members of groups too."""
    found: list[tuple[str, click.Command]] = []
    for name, entry in COMMANDS.items():
        command = getattr(import_module(f"sessiontrackd.cli.{entry.module}"), entry.attribute)
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {member}", each) for member, each in command.commands.items()]
    return found


@pytest.mark.parametrize(("words", "command"), every_command())
def test_every_command_shows_an_example_of_itself(words: str, command: click.Command) -> None:
    """The help of each command ends with lines that could be typed as they stand."""
    assert command.epilog
    assert words.rsplit(maxsplit=1)[-1] in command.epilog


@pytest.mark.parametrize("name", COMMANDS)
def test_help_works(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` ends with success and prints to stdout."""
    assert main([name, "--help"]) == 0

    assert capsys.readouterr().out.startswith("Usage:")


def test_the_overview_imports_no_command() -> None:
    """`--help` reads the register alone."""
    code = (
        "import sys; from sessiontrackd.cli.main import main; main(['--help']);"
        "sys.exit(any(name.startswith('sessiontrackd.cli.settings') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and what was meant."""
    assert main(["confgi"]) == 2

    assert "config" in capsys.readouterr().err


def test_a_failure_is_one_line_without_a_traceback(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong settings file gives the line and the remedy on stderr."""
    (home / "config.toml").write_text('[[folder]]\npath = "/tmp"\nlevle = "minimal"\n')

    assert main(["config", "show"]) == 1

    assert capsys.readouterr().err.splitlines() == [
        f"sessiontrackd: {home}/config.toml, line 3: there is no option 'levle'; did you mean 'level'?"
    ]


def test_home_is_taken_before_and_after_the_command(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--home DIR` means the same in both places and wins over the environment."""
    assert main(["--home", str(tmp_path), "config", "path"]) == 0
    assert main(["config", "path", "--home", str(tmp_path)]) == 0

    assert home != tmp_path
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "config.toml")] * 2


def test_a_reader_that_went_away_is_no_failure(tmp_path: Path) -> None:
    """`| head -1` ends quietly."""
    shell = f"{sys.executable} -m sessiontrackd config show | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", shell],
        capture_output=True,
        check=False,
        env={"SESSIONTRACKD_HOME": str(tmp_path), "PATH": "/bin:/usr/bin"},
    )

    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with the status that shells expect."""

    def interrupted(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_run", interrupted)

    assert main([]) == 130


def test_no_color_is_honoured(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """NO_COLOR takes the escapes out even where click would keep them."""
    monkeypatch.setenv("NO_COLOR", "1")

    assert main(["--help"]) == 0

    assert "\x1b" not in capsys.readouterr().out


def test_version_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` names program and version."""
    assert main(["--version"]) == 0

    assert capsys.readouterr().out.startswith("sessiontrackd ")


@pytest.mark.parametrize("name", ["queue", "reports"])
def test_a_list_of_less_than_one_is_wrong_usage(name: str, home: Path) -> None:
    """`--limit` counts from 1."""
    assert main([name, "--limit", "0"]) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_is_one_line(tmp_path: Path) -> None:
    """Where the output goes to a file that takes no more."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sessiontrackd", "--help"], stdout=full, stderr=subprocess.PIPE, check=False
        )

    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"No space left on device. Free some space" in done.stderr


def test_an_interrupt_while_loading_is_130_too(home: Path) -> None:
    """Nothing is printed, whenever Ctrl-C comes."""
    code = "import sys\nfrom sessiontrackd import __main__ as way_in\nclass Finder:\n"
    code += "    def find_spec(self, *_):\n        raise KeyboardInterrupt\n"
    code += "sys.meta_path.insert(0, Finder())\nsys.exit(way_in.main())"

    done = subprocess.run([sys.executable, "-c", code, "status"], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (130, b"")


def test_a_group_tells_what_each_of_its_commands_does(capsys: pytest.CaptureFixture[str]) -> None:
    """In a whole sentence, without an ellipsis."""
    main(["budget", "--help"])

    out = " ".join(capsys.readouterr().out.split())
    assert " as..." not in out
    assert "List the requests whose outcome is unknown; each counts as spent" in out


def test_settings_are_shown_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the path of their file."""
    (home / "config.toml").write_text('[budget]\nmonthly = "5usd"\nprices_confirmed_on = 2026-03-14\n')

    assert main(["config", "show", "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["path"] == str(home / "config.toml")
    assert document["settings"]["budget"]["monthly"] == "5usd"
    assert document["settings"]["budget"]["prices_confirmed_on"] == "2026-03-14"

    assert main(["config", "path", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": document["path"], "exists": True}
