"""One note across sessions: `digest`."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import click

from sessiontrackd import budget, config, history, pipeline
from sessiontrackd.cli._command import command, current_home, existing_store, json_option
from sessiontrackd.cli._screen import print_json, safe, safe_block
from sessiontrackd.config import PERIODS, Settings, Span
from sessiontrackd.errors import UsageError
from sessiontrackd.store import Store


@command(
    "digest",
    example="sessiontrackd digest --period day\nsessiontrackd digest --period month --on 2026-10-01 --write",
)
@click.option("--period", type=click.Choice(PERIODS), default="week", show_default=True, help="Length of the period.")
@click.option("--on", "day", metavar="YYYY-MM-DD", help="Any day of the period; defaults to today.")
@click.option("--write", "is_written", is_flag=True, help="Write it where the daemon does, instead of printing it.")
@json_option
def digest(period: str, day: str | None, is_written: bool, as_json: bool) -> None:
    """Summarise in one note what was worked on, decided and left open in a period, across all tools and folders.

    The daemon writes one after each week; the settings `digest.every` and `digest.folder` change that.
    """
    home = current_home()
    settings = config.load(home)
    span = Span.of(period, _day(day) if day else datetime.now(settings.zone).date())
    with existing_store(history.SCHEMA, budget.SCHEMA) as store:
        path, text = _made(store, settings, span, is_written) if store else (None, None)
    if as_json:
        shown = None if path is None else str(path)
        print_json({"period": span.key, "from": f"{span.first}", "path": shown, "text": text})
    elif text is None and path is None:
        click.echo(f"{span.key}: nothing was worked on.")
    else:
        click.echo(safe(str(path)) if path else safe_block(text or "").rstrip())
        if path is not None and path.name != f"{span.key}.md":
            click.echo(f"{span.key}.md is edited or not ours, so this version stands beside it.", err=True)


def _made(store: Store, settings: Settings, span: Span, is_written: bool) -> tuple[Path | None, str | None]:
    manager = budget.TokenManager(store=store, timezone=settings.timezone)
    known = history.History(store, prices=manager.prices)
    if is_written:
        return pipeline.write_digest(current_home(), known, manager, settings, span), None
    return None, pipeline.composed(current_home(), known, manager, settings, span)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--on cannot be '{text}'. Write a day such as 2026-03-14.") from None
