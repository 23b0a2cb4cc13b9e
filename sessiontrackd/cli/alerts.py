"""Past alerts and snoozing: `alerts`, `alerts list`, `alerts snooze`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from sessiontrackd import channels
from sessiontrackd.channels import Notices
from sessiontrackd.cli._command import Group, current_home, existing_store, home_option, json_option, subcommand
from sessiontrackd.cli._screen import local_time, print_json, print_table, safe
from sessiontrackd.errors import UsageError
from sessiontrackd.store import open_store

UNITS = {"h": "hours", "d": "days"}
LONGEST_DAYS = 31


@click.group("alerts", cls=Group, epilog="sessiontrackd alerts list\nsessiontrackd alerts snooze 1d")
@home_option
def alerts() -> None:
    """List past alerts, or silence alerts for a while. Budgets are enforced either way."""


@subcommand(alerts, "list", example="sessiontrackd alerts list --json")
@json_option
def list_(as_json: bool) -> None:
    """List the latest alerts, and those that could not be shown."""
    with existing_store(channels.SCHEMA) as store:
        last = Notices(store).last() if store else []
        until = Notices(store).snoozed_until() if store else None
    if as_json:
        print_json({"snoozed_until": until and until.isoformat(), "alerts": [each.document for each in last]})
        return
    if until:
        click.echo(f"Silent until {local_time(until)}; to end that: sessiontrackd alerts snooze off")
    if not last:
        click.echo("There were no alerts yet.")
        return
    rows = [(local_time(each.at), each.kind, "not seen" if each.missed else "told", each.text) for each in last]
    print_table(("at", "about", "", "what"), rows, wraps=True)


@subcommand(alerts, "snooze", example="sessiontrackd alerts snooze 1d\nsessiontrackd alerts snooze off")
@click.argument("span", metavar="SPAN|off")
def snooze(span: str) -> None:
    """Silence alerts for a while, such as 8h or 1d; `off` ends that. `status` shows what was silenced."""
    found = re.fullmatch(r"([0-9]{1,3})([hd])", span)
    length = timedelta(**{UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if span != "off" and not timedelta() < length <= timedelta(days=LONGEST_DAYS):
        raise UsageError(f"The time cannot be '{safe(span)}'. Write 8h, 1d (at most {LONGEST_DAYS}d) or off.")
    until = datetime.now(UTC) + length if found else None
    home = current_home()
    home.prepare()
    with open_store(home.db_path, channels.SCHEMA) as store:
        Notices(store).snooze(until)
    click.echo(f"No alert is shown until {local_time(until)}." if until else "Alerts are shown again.")
