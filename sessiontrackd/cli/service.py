"""The daemon as a service: `service install|uninstall|start|stop|status|show`."""

from __future__ import annotations

import click

from sessiontrackd import service as services
from sessiontrackd.cli._command import Group, current_home, home_option, json_option, subcommand
from sessiontrackd.cli._screen import print_json, safe
from sessiontrackd.errors import Failed


@click.group("service", cls=Group, epilog="sessiontrackd service install\nsessiontrackd service status")
@home_option
def service() -> None:
    """Run the daemon as a service of your session: systemd on Linux, launchd on macOS."""


@subcommand(service, "install", example="sessiontrackd service install")
def install() -> None:
    """Write the unit with this program's own paths, enable and start it. Run twice, it changes nothing."""
    home = current_home()
    home.prepare()
    found = services.service_of(home)
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
def show() -> None:
    """Print the file that `install` would write."""
    click.echo(services.service_of(current_home()).text().decode(), nl=False)


def _installed() -> services.Service:
    found = services.service_of(current_home())
    if not found.path.exists():
        raise Failed("The service is not installed: `sessiontrackd service install`.")
    return found
