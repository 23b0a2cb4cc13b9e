"""The API key: `key set|remove|status`. It is never shown."""

from __future__ import annotations

import sys

import click

from sessiontrackd import config
from sessiontrackd.cli._command import Group, current_home, home_option, json_option, subcommand
from sessiontrackd.cli._screen import print_json
from sessiontrackd.errors import UsageError


@click.group("key", cls=Group, epilog="sessiontrackd key set\nsessiontrackd key status")
@home_option
def key() -> None:
    """Store the API key of the engine 'claude' in a file that only you can read, or in the system keyring."""


@subcommand(key, "set", example="sessiontrackd key set\nsessiontrackd key set < key.txt")
@click.option(
    "--keyring", "in_keyring", is_flag=True, help="Store it in the system keyring; needs sessiontrackd[keyring]."
)
def set_(in_keyring: bool) -> None:
    """Read the key from stdin, hidden on a terminal, and store it."""
    given = click.prompt("API key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    value = given.strip()
    if not value or not value.isascii() or any(char.isspace() for char in value):
        raise UsageError("That is not an API key, which is one word of letters, digits and dashes.")
    if in_keyring:
        config.keep_key_in_keyring(current_home(), value)
        click.echo("Stored in the system keyring. While it is locked, notes are made locally.")
    else:
        click.echo(f"Kept in {config.keep_key(current_home(), value)}.")
    config.poke(current_home())


@subcommand(key, "remove", example="sessiontrackd key remove")
def remove() -> None:
    """Delete the key from file and keyring; one in the environment is not touched."""
    click.echo("Removed." if config.remove_key(current_home()) else "There was no key.")
    config.poke(current_home())


@subcommand(key, "status", example="sessiontrackd key status")
@json_option
def status(as_json: bool) -> None:
    """Show whether there is a key and where; never the key itself."""
    found = config.find_key(current_home())
    if as_json:
        print_json({"found": found is not None, "where": found[1] if found else None})
    else:
        click.echo(f"There is a key: {found[1]}." if found else "There is no key. Store one: sessiontrackd key set")
