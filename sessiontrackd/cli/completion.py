"""Completion of commands and options in the shell: `completion bash|zsh|fish`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from sessiontrackd.cli._command import command
from sessiontrackd.cli._screen import safe

VARIABLE = "_SESSIONTRACKD_COMPLETE"
NAME = "sessiontrackd"


def _data() -> Path:
    return _xdg("XDG_DATA_HOME", ".local/share")


def _xdg(variable: str, default: str) -> Path:
    named = Path(os.environ.get(variable, ""))
    return named if named.is_absolute() else Path.home() / default


PLACES: dict[str, Callable[[], Path]] = {
    "bash": lambda: _data() / "bash-completion" / "completions" / NAME,
    "zsh": lambda: _data() / "zsh" / "site-functions" / f"_{NAME}",
    "fish": lambda: _xdg("XDG_CONFIG_HOME", ".config") / "fish" / "completions" / f"{NAME}.fish",
}
AFTERWARDS = {
    "bash": "It works in the next shell (with the package bash-completion).",
    "zsh": "In ~/.zshrc, above compinit: fpath+=({folder}). It works in the next shell.",
    "fish": "It works in the next shell.",
}


@command("completion", example="sessiontrackd completion bash --install\nsource <(sessiontrackd completion zsh)")
@click.argument("shell", type=click.Choice(list(PLACES)))
@click.option("--install", "how", flag_value="install", help="Install the script where the shell looks for it.")
@click.option("--remove", "how", flag_value="remove", help="Remove the installed script.")
def completion(shell: str, how: str | None) -> None:
    """Print the script that completes commands and options in a shell, or install it."""
    path = PLACES[shell]()
    if how == "remove":
        there = path.exists()
        path.unlink(missing_ok=True)
        click.echo(f"Removed {safe(str(path))}." if there else "Nothing to remove.")
    elif how == "install":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(script(shell), encoding="utf-8")
        click.echo(f"Written to {safe(str(path))}. {AFTERWARDS[shell].format(folder=safe(str(path.parent)))}")
    else:
        click.echo(script(shell), nl=False)


def script(shell: str) -> str:
    """Return what a shell reads; it asks this program while one types."""
    found = get_completion_class(shell)
    assert found is not None
    maker = found(click.get_current_context().find_root().command, {}, NAME, VARIABLE)
    return maker.source_template % maker.source_vars()
