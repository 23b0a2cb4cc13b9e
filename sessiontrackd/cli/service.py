"""The daemon as a service: `service install|uninstall|start|stop|status|show`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click

from sessiontrackd import channels, config, doctor
from sessiontrackd import service as services
from sessiontrackd.cli._command import Group, current_home, home_option, json_option, subcommand
from sessiontrackd.cli._screen import print_json, safe
from sessiontrackd.config import Settings, start_logging
from sessiontrackd.errors import Failed, SettingsError, StoreError
from sessiontrackd.store import open_store


@click.group("service", cls=Group, epilog="sessiontrackd service install\nsessiontrackd service status")
@home_option
def service() -> None:
    """Run the daemon as a service of your session: systemd on Linux, launchd on macOS."""


@subcommand(service, "install", example="sessiontrackd service install\nsessiontrackd service install --hardened")
@click.option("--hardened/--no-hardened", default=None, help="Allow it to write to the watched folders only (systemd).")
def install(hardened: bool | None) -> None:
    """Write the unit with this program's own paths, then enable and start it. A second run changes nothing."""
    home = current_home()
    home.prepare()
    found = services.service_of(home, hardened=hardened)
    changed = services.install(found)
    click.echo(f"{'Installed and started' if changed else 'Already installed and running'}: {safe(str(found.path))}")


@subcommand(service, "uninstall", example="sessiontrackd service uninstall")
def uninstall() -> None:
    """Stop the service and remove its file; settings, state and notes stay."""
    found = services.service_of(current_home())
    click.echo("Removed." if services.uninstall(found) else "Nothing to remove.")


@subcommand(service, "start", example="sessiontrackd service start")
def start() -> None:
    """Start the installed service."""
    _installed().start()


@subcommand(service, "stop", example="sessiontrackd service stop")
def stop() -> None:
    """Stop the service until it is started again."""
    _installed().stop()


@subcommand(service, "reload", example="sessiontrackd service reload")
def reload() -> None:
    """Make the daemon reload its settings; a hardened one restarts if its folders changed."""
    home = current_home()
    if services.refresh(services.service_of(home)):
        click.echo(services.RESTARTED)
    elif config.poke(home):
        click.echo("The daemon is reloading its settings.")
    else:
        raise Failed("The daemon is not running. Start it with: sessiontrackd service start")


@subcommand(service, "failed", example="sessiontrackd service failed   # as systemd does")
@click.option(
    "--heard", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="When the daemon that runs again was last alive."
)
@click.option("--reason", help="Why it ended or could not start.")
def failed(heard: datetime | None, reason: str | None) -> None:
    """Notify that the daemon stopped. Called by systemd when it gives up, and by a daemon for one that crashed."""
    home = current_home()
    home.prepare()
    try:
        settings = config.load(home)
    except SettingsError:
        settings = Settings()
    start_logging(settings.log_level, home, "failed")
    now = datetime.now(UTC)
    happens_again = bool(heard or reason)
    alert = doctor.ended_alert(settings, now, heard, reason) if happens_again else doctor.stopped_alert(settings, now)
    try:
        with open_store(home.db_path, channels.SCHEMA) as store:
            notices = channels.Notices(store)
            if not (happens_again and notices.was_said_lately(alert.kind.value, alert.text)):
                asyncio.run(channels.Teller(settings, home, notices)(alert))
    except StoreError:  # a full disk may be why the daemon stopped
        asyncio.run(channels.tell(alert, settings, home))


@subcommand(service, "status", example="sessiontrackd service status --json")
@json_option
def status(as_json: bool) -> None:
    """Show whether the service is installed and running, and whether its file is up to date."""
    document = services.standing(services.service_of(current_home()))
    if as_json:
        print_json(document)
        return
    click.echo(f"{safe(document['state'])}  {safe(document['path'])}")
    if document["problem"]:
        click.echo(f"problem: {document['problem']}")


@subcommand(service, "show", example="sessiontrackd service show")
@click.option(
    "--hardened/--no-hardened", default=None, help="As for `install`; asks the service manager what it supports."
)
@json_option
def show(hardened: bool | None, as_json: bool) -> None:
    """Print the files that `install` would write."""
    files = services.service_of(current_home(), hardened=hardened).files()
    if as_json:
        print_json({"files": {str(path): text.decode() for path, text in files.items() if text is not None}})
        return
    for path, text in files.items():
        if text is not None:
            click.echo(f"# {path}\n{text.decode()}")


def _installed() -> services.Service:
    found = services.service_of(current_home())
    if not found.path.exists():
        raise Failed("The service is not installed: `sessiontrackd service install`.")
    return found
