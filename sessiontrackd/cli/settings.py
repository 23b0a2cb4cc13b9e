"""Show the settings: `config show`, `config path`."""

from __future__ import annotations

import tomllib

import click

from sessiontrackd import config as settings_file
from sessiontrackd.cli._command import Group, current_home, home_option, json_option, subcommand
from sessiontrackd.cli._screen import print_json, safe_block


@click.group("config", cls=Group, epilog="sessiontrackd config show")
@home_option
def config() -> None:
    """Show the settings, or where they are."""


@subcommand(config, "show", example="sessiontrackd config show")
@json_option
def show(as_json: bool) -> None:
    """Print every setting in force, with its default and meaning."""
    home = current_home()
    settings = settings_file.load(home)
    if as_json:
        print_json({"path": str(home.config_path), "settings": tomllib.loads(settings_file.show(settings))})
        return
    state = "" if home.config_path.exists() else " (not there yet: everything is at its default)"
    click.echo(safe_block(f"# {home.config_path}{state}\n"))
    click.echo(safe_block(settings_file.show(settings)).rstrip())
    if not settings.folders:
        click.echo("\n# No folder is watched. Add one with: sessiontrackd watch add DIR")


@subcommand(config, "path", example='$EDITOR "$(sessiontrackd config path)"')
@json_option
def path(as_json: bool) -> None:
    """Print the path of the settings file."""
    place = current_home().config_path
    if as_json:
        print_json({"path": str(place), "exists": place.exists()})
    else:
        click.echo(place)
