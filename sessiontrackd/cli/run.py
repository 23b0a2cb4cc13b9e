"""Run the daemon: `run`. Imports little, because the daemon keeps all of it in memory."""

from __future__ import annotations

import click

from sessiontrackd import daemon
from sessiontrackd.cli._command import command, current_home


@command("run", example="sessiontrackd run\nsessiontrackd run --until-idle   # from cron")
@click.option("--until-idle", is_flag=True, help="Process what is there, then exit.")
def run(until_idle: bool) -> None:
    """Run the daemon in the foreground until stopped: watch the folders and write a note for each transcript."""
    daemon.run(current_home(), until_idle=until_idle)
