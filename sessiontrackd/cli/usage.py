"""`usage`: what we spent, and what the transcripts record."""

from __future__ import annotations

import csv
import re
import sys
from datetime import UTC, datetime
from typing import Any

import click

from sessiontrackd import budget, config, following, history
from sessiontrackd.cli._command import command, current_home, existing_store, json_option
from sessiontrackd.cli._screen import print_json
from sessiontrackd.cli._usage import COLUMNS, COUNTS, print_usage
from sessiontrackd.errors import UsageError
from sessiontrackd.pricing import prices_of, usd_text


@command("usage", example="sessiontrackd usage --by model\nsessiontrackd usage --recorded --period 2026-03 --csv")
@click.option(
    "--recorded",
    is_flag=True,
    help="Usage that the transcripts record: the spending of your agents, not of sessiontrackd.",
)
@click.option("--by", type=click.Choice(history.BY), default="day", show_default=True, help="What to group by.")
@click.option("--period", metavar="YYYY-MM", help="Month to show; defaults to this one, with --recorded to all.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@json_option
def usage(recorded: bool, by: str, period: str | None, as_csv: bool, as_json: bool) -> None:
    """Show what sessiontrackd spent, or with --recorded what the transcripts record. The two are never added up."""
    if period is not None and not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", period):
        raise UsageError(f"--period cannot be '{period}'. Write a month such as 2026-03.")
    if recorded and by == "level":
        raise UsageError("Transcripts know no levels. Show recorded usage by day, folder, project or model.")
    document = _usage(recorded, by, period)
    if as_json:
        print_json(document)
    elif as_csv:
        _print_csv(document)
    elif not document["rows"]:
        click.echo(f"{'Nothing is recorded' if recorded else 'Nothing ran'}{_in(document['period'])}.")
    else:
        whose = "Recorded in the transcripts" if recorded else "Spent by sessiontrackd"
        click.secho(f"{whose}{_in(document['period'])}", bold=True)
        print_usage(document, by)


def _in(period: str | None) -> str:
    return f" in {period}" if period else ""


def _usage(recorded: bool, by: str, period: str | None) -> dict[str, Any]:
    settings = config.load(current_home())
    with existing_store(history.SCHEMA, budget.SCHEMA) as store:
        if store is None:
            this_month = None if recorded else budget.period_of(datetime.now(UTC), settings.zone)
            nothing = dict.fromkeys(COUNTS, 0) | {"cost_usd": usd_text(0)}
            return {"period": period or this_month, "rows": [], "total": nothing}
        if recorded:
            known = history.History(store, prices=prices_of(settings))
            following.follow_all(known)
            return known.recorded(by, period, settings.timezone)
        return budget.TokenManager(store=store, timezone=settings.timezone).usage(by, period)


def _print_csv(document: dict[str, Any]) -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(document["rows"])
