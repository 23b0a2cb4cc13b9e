"""Let a tool report when a session ends: `capture`, and `capture install|remove|status`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from sessiontrackd import config, hook
from sessiontrackd.cli._command import Group, current_home, home_option, json_option, subcommand
from sessiontrackd.cli._screen import print_json, safe
from sessiontrackd.config import HOOKS, PRESETS

tool_argument = click.argument("tool", type=click.Choice(list(HOOKS)))


@click.group(
    "capture",
    cls=Group,
    invoke_without_command=True,
    epilog="sessiontrackd capture install claude-code\nsessiontrackd capture < hook.json",
)
@home_option
@click.pass_context
def capture(context: click.Context) -> None:
    """Receive a tool's notice that a session ended, JSON on stdin. The daemon acts on it within seconds.

    `install` makes Claude Code (SessionEnd) or Codex (notify) call this; it returns within milliseconds.
    """
    if context.invoked_subcommand is None:
        context.exit(hook.main(["--state", str(current_home().state_dir)]))


@subcommand(capture, "install", example="sessiontrackd capture install claude-code")
@tool_argument
def install(tool: str) -> None:
    """Install the hook in a tool. Its other settings are kept; what Codex called before is still called."""
    home = current_home()
    changed = HOOKS[tool].put(home)
    click.echo(f"{'Written to' if changed else 'It stands already in'} {safe(str(HOOKS[tool].path()))}.")
    watched = {folder.path for folder in config.load(home).folders}
    for root in PRESETS[tool].roots(Path.home(), os.environ):
        if root.is_dir() and root not in watched:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            config.add_folder(home, root, preset=tool, since=now)
            click.echo(
                f'Watching {safe(str(root))} from now on; for what is there already: since = "all" in the settings.'
            )
    if not config.poke(home):
        click.echo("Start the daemon with: sessiontrackd service install  (or: sessiontrackd run)")


@subcommand(capture, "remove", example="sessiontrackd capture remove codex")
@tool_argument
def remove(tool: str) -> None:
    """Remove the hook from a tool. Its other settings are kept, and its folder stays watched."""
    taken = HOOKS[tool].take()
    click.echo(f"Taken out of {safe(str(HOOKS[tool].path()))}." if taken else "Nothing to remove.")


@subcommand(capture, "status", example="sessiontrackd capture status --json")
@json_option
def status(as_json: bool) -> None:
    """Show which tools have the hook, and whether it is up to date."""
    home = current_home()
    rows = [
        {"tool": tool, "path": str(each.path()), "installed": each.is_there(), "problem": each.problem(home)}
        for tool, each in HOOKS.items()
    ]
    if as_json:
        print_json({"hooks": rows})
        return
    for row in rows:
        state = "has the hook" if row["installed"] else "has no hook"
        click.echo(f"{row['tool']:12} {state}  {safe(str(row['path']))}")
        if row["problem"]:
            click.echo(f"problem: {safe(str(row['problem']))}; remedy: sessiontrackd capture install {row['tool']}")
