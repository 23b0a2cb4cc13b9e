"""What transcripts would cost: `estimate`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from sessiontrackd import config, engines, readers
from sessiontrackd.cli import _cost
from sessiontrackd.cli._command import command, current_home, json_option, known_engine, path_type
from sessiontrackd.cli._named import Named, expanded
from sessiontrackd.cli._progress import Progress
from sessiontrackd.cli._screen import count, print_json, safe
from sessiontrackd.config import Settings
from sessiontrackd.errors import JobError, NotAConversation
from sessiontrackd.estimate import SAMPLE, Estimates, Planned, Total
from sessiontrackd.model import Folder, InsightLevel
from sessiontrackd.pricing import prices_of
from sessiontrackd.records import open_source


class _Chosen(NamedTuple):
    """A transcript with the engine that would be asked about it."""

    planned: Planned
    is_paid: bool


@command(
    "estimate",
    example="sessiontrackd estimate ~/transcripts --engine claude\n"
    "sessiontrackd estimate talk.jsonl --level comprehensive --model claude-sonnet-5-5 --json",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=path_type)
@click.option(
    "--level",
    type=click.Choice([level.value for level in InsightLevel]),
    help="Depth of the insights; defaults to the folder's setting.",
)
@click.option(
    "--engine", metavar="NAME", callback=known_engine, help="Engine to estimate for; defaults to the folder's setting."
)
@click.option("--model", metavar="ID", help="Model to estimate for; defaults to that of the settings or the level.")
@json_option
def estimate(paths: tuple[Path, ...], level: str | None, engine: str | None, model: str | None, as_json: bool) -> None:
    """Estimate what transcripts would cost with a paid engine. They are condensed and counted; nothing is sent."""
    settings, named = config.load(current_home()), expanded(paths)
    with Progress("looking", len(named)) as progress:
        chosen = []
        for each in named:
            chosen += _chosen(each, settings, level, engine, model)
            progress.step(each.path.name)
    with Progress("counting", min(len(chosen), SAMPLE)) as progress:
        estimates = Estimates(prices_of(settings), datetime.now(UTC), progress.step)
        total = estimates.total([each.planned for each in chosen])
        paid = estimates.total([each.planned for each in chosen if each.is_paid])
    if as_json:
        print_json(_document(chosen, total, paid))
    else:
        _print(chosen, total, paid)


def _chosen(each: Named, settings: Settings, level: str | None, engine: str | None, model: str | None) -> list[_Chosen]:
    """Return how a transcript would be worked on; nothing for a file in a folder that is none or is left alone.

    Raises:
        JobError: a file that a person named is no transcript.
    """
    try:
        if readers.recognise(open_source(each.path)) is None:
            raise NotAConversation(f"{each.path} is not a conversation, so there is nothing to estimate.")
    except JobError:
        if each.by_name:
            raise
        return []
    folder = settings.folder_of(each.path) or Folder(each.path.parent)
    lower = config.lowered(folder, os.fsencode(each.path))
    if lower.left_alone and not each.by_name:
        return []
    name = "local" if lower.kept_local else engine or folder.engine
    depth = InsightLevel(level) if level else lower.level
    asked = _cost.asked_of(name, settings, depth)
    asked = asked._replace(model=model or asked.model)
    planned = _cost.planned(each.path, depth, asked, named=each.by_name)
    return [_Chosen(planned, engines.engine_class(name).leaves_machine)]


def _document(chosen: Sequence[_Chosen], total: Total, paid: Total) -> dict[str, Any]:
    """Return what --json prints. Where nobody would be paid, `paid` is what the default model would cost."""
    models = {each.planned.model for each in chosen if each.is_paid}
    document: dict[str, Any] = {
        "transcripts": total.transcripts,
        "sessions": total.sessions,
        "model": ", ".join(sorted(models)) or None,
        "input_tokens": _cost.as_range(total.input_tokens),
        "cost_usd": _cost.money(paid),
        "read": total.read,
        "files": total.files,
    }
    if paid.is_flat_rate:
        document["flat_rate"] = True
    if not models:
        others = {each.planned.model for each in chosen}
        document["paid"] = {"model": ", ".join(sorted(others)) or None, "cost_usd": _cost.money(total)}
    return document


def _print(chosen: Sequence[_Chosen], total: Total, paid: Total) -> None:
    levels = " and ".join(sorted({each.planned.level.value for each in chosen}))
    models = ", ".join(sorted({each.planned.model for each in chosen if each.is_paid or not paid.files}))
    click.echo(f"{count(total.transcripts, 'transcript')}, {count(total.sessions, 'session')}, {levels or 'none'}.")
    if not total.sessions:
        return
    click.echo(f"Input tokens: {_cost.tokens_text(total.input_tokens)}.")
    if paid.files:
        click.echo(f"Cost with {safe(models)}: {_cost.about(paid)}.")
    else:
        click.echo(f"The local engine costs $0. With {safe(models)} it would be {_cost.about(total)}.")
    if scaled := _cost.scaled_text(total):
        click.echo(scaled)
    click.echo("Nothing was sent.")
