"""Watched folders: `watch add`, `watch list`, `watch remove`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from msgspec import structs

from sessiontrackd import config, engines
from sessiontrackd import service as services
from sessiontrackd.cli import _git
from sessiontrackd.cli._backlog import Backlog
from sessiontrackd.cli._command import (
    Group,
    check_options,
    current_home,
    home_option,
    json_option,
    known_engine,
    subcommand,
    whole_place,
)
from sessiontrackd.cli._consent import obtain
from sessiontrackd.cli._screen import cut_path, print_json, print_table, safe
from sessiontrackd.cli._since import ask_since, since_of
from sessiontrackd.config import PRESETS, Home, Preset
from sessiontrackd.errors import UsageError
from sessiontrackd.model import Folder, InsightLevel
from sessiontrackd.survey import DAYS

PATH_CELLS = 56


@click.group("watch", cls=Group, epilog="sessiontrackd watch add ~/transcripts\nsessiontrackd watch list")
@home_option
def watch() -> None:
    """Add, list or remove watched folders."""


@subcommand(
    watch,
    "add",
    example="sessiontrackd watch add ~/transcripts\n"
    "sessiontrackd watch add --preset claude-code --output vault:~/notes/ai --since 30d",
)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--preset", type=click.Choice(list(PRESETS)), help="The tool whose folder to watch; finds it by itself.")
@click.option("--level", type=click.Choice([level.value for level in InsightLevel]), help="Depth of the insights.")
@click.option(
    "--engine",
    metavar="NAME",
    callback=known_engine,
    help="Engine that makes the insights; with 'local' nothing leaves this machine.",
)
@click.option(
    "--mode",
    metavar="WHEN",
    help="When a paid engine is asked: 'now', in a 'batch' at half the price, or in a batch for the 'backlog' only.",
)
@click.option("--budget", metavar="AMOUNT", help="Monthly budget of paid engines for this folder, such as 5usd.")
@click.option("--output", metavar="PLACE", callback=whole_place, help="'beside' or 'vault:DIR'.")
@click.option("--since", metavar="WHEN", help="How far back to go: 30d, a date, all or now.")
@click.option(
    "--archive",
    is_flag=True,
    default=None,
    help="Keep a compressed copy of each transcript, since some tools delete theirs.",
)
@click.option("--yes", is_flag=True, help="Ask nothing; without --since, take the whole history.")
def add(
    directory: Path | None, preset: str | None, since: str | None, yes: bool, output: str | None, **chosen: str | None
) -> None:
    """Watch a folder and everything below it. Shows first how many transcripts are there and what they would cost."""
    home = current_home()
    check_options(output=output, **chosen)
    asks = not yes and sys.stdin.isatty() and sys.stdout.isatty()
    now = datetime.now(UTC)
    said = since_of(since, now) if since else None
    for folder in [directory.expanduser().absolute()] if directory else _folders_of(preset):
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder. Create it first, or name another.")
        there = Backlog(_plan_for(home, folder, preset, chosen["engine"], chosen["level"]), now)
        there.tell()
        if there.is_paid:
            _see_to_consent(home, folder, there.engine)
        if asks and there.files:
            cutoff = there.agreed(said) if since else there.told(ask_since(now))
        elif there.is_paid and not yes:
            cutoff = there.left_out()  # nobody was asked whether its history is worth the money
        else:
            cutoff = said if since or yes else since_of(f"{DAYS}d", now)
        if asks and chosen["mode"] is None:
            chosen["mode"] = there.ask_mode(cutoff)
        place = output if preset else _spare_git(folder, output, asks, home.notes_dir)
        added = config.add_folder(home, folder, preset=preset, since=cutoff, output=place, **chosen)
        _say_what_happens(added)
    _say_how_it_goes_on(home)


def _plan_for(home: Home, path: Path, preset: str | None, engine: str | None, level: str | None) -> Folder:
    """Return the folder as it will be watched: what is not chosen now stays as it was."""
    known = next((one for one in config.load(home).folders if one.path == path), Folder(path))
    level_then = InsightLevel(level) if level else known.level
    return structs.replace(
        known, preset=preset or known.preset, engine=engine or known.engine, level=level_then, since=None
    )


def _see_to_consent(home: Home, folder: Path, engine: str) -> None:
    """Ask for consent if text would be sent away without it. --yes never answers that question."""
    provider = engines.provider_of(engine, config.load(home))
    if provider is not None:
        obtain(folder, provider, asks=sys.stdin.isatty() and sys.stdout.isatty())


def _folders_of(name: str | None) -> list[Path]:
    """Return the folders of a preset that exist on this machine."""
    if name is None:
        raise UsageError("Name a folder, or a tool with --preset " + "|".join(PRESETS) + ".")
    preset = PRESETS[name]
    found = existing_roots(preset, os.environ)
    if not found:
        looked = ", ".join(str(root) for root in preset.roots(Path.home(), os.environ))
        raise UsageError(f"{preset.text} has no folder on this machine (looked for {looked}). Name it: watch add DIR.")
    return found


def existing_roots(preset: Preset, environ: Mapping[str, str]) -> list[Path]:
    """Return the folders a tool writes to, as far as they are there."""
    return [root for root in preset.roots(Path.home(), environ) if root.is_dir()]


def _spare_git(folder: Path, output: str | None, asks: bool, notes: Path) -> str | None:
    """Say that notes would land in a git work tree, and offer another place or git's private list of ignored names."""
    tree = _git.work_tree_of(folder)
    if output is not None or tree is None:
        return output
    exclude = _git.ignored_names_path(tree)
    click.echo(f"{safe(str(folder))} lies in the git work tree {safe(str(tree))}: notes would show up in git status.")
    if not asks:
        click.echo(
            f"Another place: --output vault:DIR. Or have git ignore them: add '{_git.PATTERNS[0]}' to {exclude}."
        )
        return output
    choices = ["vault", "exclude", "keep"] if exclude else ["vault", "keep"]
    answer = click.prompt(
        "Notes go to a vault, are excluded from git, or kept as they are?",
        type=click.Choice(choices),
        default=choices[0],
    )
    if answer == "exclude" and exclude:
        _git.ignore_reports(exclude)
    return f"vault:{notes}" if answer == "vault" else output


def _say_what_happens(folder: Folder) -> None:
    place = "beside each transcript" if folder.output == "beside" else f"in {folder.output.removeprefix('vault:')}"
    cost = "nothing leaves this machine, $0" if folder.engine == "local" else f"engine {folder.engine}"
    click.echo(f"Watching {safe(str(folder.path))}: {folder.level.value} notes {safe(place)}; {cost}.")
    notes = folder.path if folder.output == "beside" else Path(folder.output.removeprefix("vault:"))
    if notes.exists() and not os.access(notes, os.W_OK | os.X_OK):
        click.echo(
            f"You have no permission to write to {safe(str(notes))}, so no note can be made there. Give yourself that permission, or "
            'choose another place in the settings: output = "vault:DIR".',
            err=True,
        )


def _say_how_it_goes_on(home: Home) -> None:
    if services.refresh(services.service_of(home)):
        click.echo(services.RESTARTED)
    elif config.poke(home):
        click.echo("The running daemon has been told.")
    else:
        click.echo("Start the daemon with: sessiontrackd run")


@subcommand(watch, "list", example="sessiontrackd watch list")
@json_option
def list_(as_json: bool) -> None:
    """List the watched folders and their settings."""
    folders = config.load(current_home()).folders
    if as_json:
        print_json({"folders": [_document(folder) for folder in folders]})
    elif not folders:
        click.echo("No folder is watched. Add one with: sessiontrackd watch add DIR")
    else:
        rows = [_row(folder) for folder in folders]
        print_table(("folder", "level", "engine", "since", "output"), rows)


def _row(folder: Folder) -> tuple[str, ...]:
    state = "" if folder.enabled else " (disabled)"
    if folder.enabled and not folder.path.is_dir():
        state = " (not there)"
    path = cut_path(safe(str(folder.path)), PATH_CELLS) + state
    return (path, folder.level.value, folder.engine, (folder.since or "all").removesuffix("T00:00:00"), folder.output)


def _document(folder: Folder) -> dict[str, object]:
    budget = config.format_amount(config.Amount(folder.monthly_budget_picousd, folder.monthly_budget_tokens))
    return {
        "path": str(folder.path),
        "level": folder.level.value,
        "engine": folder.engine,
        "budget": budget or None,
        "project": folder.project,
        "output": folder.output,
        "since": folder.since,
        "preset": folder.preset,
        "enabled": folder.enabled,
        "online": folder.path.is_dir(),
    }


@subcommand(watch, "remove", example="sessiontrackd watch remove ~/transcripts")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def remove(directory: Path) -> None:
    """Stop watching a folder. Its transcripts and notes stay as they are."""
    if not config.remove_folder(current_home(), directory):
        raise UsageError(f"{directory} is not watched. `sessiontrackd watch list` shows what is.")
    if services.refresh(services.service_of(current_home())):
        click.echo(services.RESTARTED)
    config.poke(current_home())
    click.echo(f"No longer watching {safe(str(directory))}. Its transcripts and notes stay.")
