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
@click.option("--hardened/--no-hardened", default=None, help="Let it write to the watched folders only (systemd).")
def install(hardened: bool | None) -> None:
    """Write the unit with this program's own paths, enable and start it. Run twice, it changes nothing."""
    home = current_home()
    home.prepare()
    found = services.service_of(home, hardened=hardened)
    changed = services.install(found)
    click.echo(
        f"{'Installed and started' if changed else 'It was installed already, and runs'}: {safe(str(found.path))}"
    )


@subcommand(service, "uninstall", example="sessiontrackd service uninstall")
def uninstall() -> None:
    """Stop the service and remove its file; settings, state and notes stay."""
    found = services.service_of(current_home())
    click.echo("Removed." if services.uninstall(found) else "There was nothing to remove.")


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
    """Have the daemon take changed settings up; a hardened one starts anew where its folders changed."""
    home = current_home()
    if services.refresh(services.service_of(home)):
        click.echo(services.RESTARTED)
    elif config.poke(home):
        click.echo("The daemon looks at its settings now.")
    else:
        raise Failed("No daemon runs. Start it with: sessiontrackd service start")


@subcommand(service, "failed", example="sessiontrackd service failed   # as systemd does")
@click.option("--heard", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="When one was heard last that runs again.")
@click.option("--reason", help="Why it ended, or could not begin.")
def failed(heard: datetime | None, reason: str | None) -> None:
    """Tell that the daemon stopped. systemd calls this when it has given the daemon up, a daemon for the one before it."""
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
    """Show whether it is installed and runs, and whether its file is still right."""
    document = services.standing(services.service_of(current_home()))
    if as_json:
        print_json(document)
        return
    click.echo(f"{safe(document['state'])}  {safe(document['path'])}")
    if document["problem"]:
        click.echo(f"problem: {document['problem']}")


@subcommand(service, "show", example="sessiontrackd service show")
@click.option("--hardened/--no-hardened", default=None, help="As for `install`; it asks the manager what it can do.")
def show(hardened: bool | None) -> None:
    """Print the files that `install` would write."""
    files = services.service_of(current_home(), hardened=hardened).files()
    for path, text in files.items():
        if text is not None:
            click.echo(f"# {path}\n{text.decode()}")


def _installed() -> services.Service:
    found = services.service_of(current_home())
    if not found.path.exists():
        raise Failed("The service is not installed: `sessiontrackd service install`.")
    return found
