"""From nothing to notes in a minute: `setup`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sessiontrackd import channels, config, doctor, survey
from sessiontrackd import service as services
from sessiontrackd.cli._command import check_options, command, current_home, json_option, whole_place
from sessiontrackd.cli._progress import Progress
from sessiontrackd.cli._screen import count, print_json, safe
from sessiontrackd.cli._since import ask_since, since_of
from sessiontrackd.config import PRESETS, Home
from sessiontrackd.errors import SessiontrackdError, UsageError
from sessiontrackd.model import InsightLevel
from sessiontrackd.survey import DAYS, Find

IN_VAULT = "AI sessions"  # the folder of notes in a person's vault
LEVELS = [level.value for level in InsightLevel]


@command("setup", example="sessiontrackd setup\nsessiontrackd setup --yes --output vault:~/notes --no-service")
@click.option("--level", type=click.Choice(LEVELS), help="Depth of the insights; you are asked if it is omitted.")
@click.option(
    "--output",
    metavar="PLACE",
    callback=whole_place,
    help="Where notes go, 'vault:DIR'; you are asked if it is omitted.",
)
@click.option(
    "--since", metavar="WHEN", help="How far back to go: 30d, a date, all or now; you are asked if it is omitted."
)
@click.option(
    "--service/--no-service", default=None, help="Run the daemon as a service; you are asked if it is omitted."
)
@click.option("--yes", is_flag=True, help="Ask nothing; accept every tool found and every proposal.")
@json_option
def setup(
    *, level: str | None, output: str | None, since: str | None, service: bool | None, yes: bool, as_json: bool
) -> None:
    """Find the AI tools, exports and note vaults on this machine and start watching them. Can be run again.

    Notes are made by the local engine: nothing leaves this machine, and it costs $0.
    """
    home, now = current_home(), datetime.now(UTC)
    check_options(level=level, output=output)
    if output == "beside":
        raise UsageError("--output must be 'vault:DIR': notes never go into a tool's own folder.")
    if since:
        since_of(since, now)
    with Progress("looking around") as progress:
        found = list(survey.finds(config.load(home), Path.home(), os.environ, now, progress.step))
    if as_json:
        print_json(_document(found))
        return
    _say_what_is_there(found)
    asks = sys.stdin.isatty() and sys.stdout.isatty() and not yes
    new = [each for each in found if not each.is_watched]
    if not (asks or yes):
        _say_what_to_type(new)
        return
    chosen = _choose(new) if asks else [each for each in new if _is_proposed(each)]
    if chosen:
        _watch(home, chosen, **_how(home, now, asks, level=level, output=output, since=since))
    _see_to_service(home, service, asks)
    _notify(home, now)
    click.echo("How it goes: sessiontrackd status; sessiontrackd reports")


def _say_what_is_there(found: list[Find]) -> None:
    if not found:
        click.echo("No supported tool has a folder on this machine. Name one of yours: sessiontrackd watch add DIR")
    for number, each in enumerate(found, 1):
        about = "" if each.count.is_exact else "about "
        state = ", watched already" if each.is_watched else ""
        click.echo(
            f"{number:2}  {PRESETS[each.preset].text}: {about}{count(each.count.transcripts, 'transcript')}, "
            f"{each.count.recent:,} of the last {DAYS} days{state}  {safe(str(each.path))}"
        )


def _say_what_to_type(new: list[Find]) -> None:
    """Without a terminal nothing is asked, so nothing is changed."""
    click.echo(
        "Nothing was changed, because there is no terminal to ask on. To accept the proposals: sessiontrackd setup --yes"
    )
    for preset in dict.fromkeys(each.preset for each in new):
        click.echo(f"Or one by one: sessiontrackd watch add --preset {preset}")


def _is_proposed(find: Find) -> bool:
    """Say whether watching it is likely wanted: a folder of downloads only where exports are in it."""
    return find.count.transcripts > 0 or find.preset != "downloads"


def _choose(new: list[Find]) -> list[Find]:
    return [each for each in new if click.confirm(f"Watch {_name(each)}?", default=_is_proposed(each))]


def _name(find: Find) -> str:
    return f"{PRESETS[find.preset].text} ({safe(str(find.path))})"


def _how(home: Home, now: datetime, asks: bool, **typed: str | None) -> dict[str, Any]:
    """Return level, place and history, from what was typed, asked or proposed."""
    level, output, since = typed["level"], typed["output"], typed["since"]
    if asks:
        output = output or _ask_place(home)
        level = level or click.prompt("Level of the notes", type=click.Choice(LEVELS), default="standard")
    cutoff = ask_since(now) if asks and since is None else since_of(since or f"{DAYS}d", now)
    return {"level": level, "output": output or f"vault:{home.notes_dir}", "since": cutoff}


def _ask_place(home: Home) -> str:
    """Ask where notes go: into a vault that was found, ours, or another folder."""
    places = [*(vault / IN_VAULT for vault in survey.vaults(Path.home())), home.notes_dir]
    click.echo("Where should the notes go?")
    for number, place in enumerate(places, 1):
        click.echo(f"{number:2}  {safe(str(place))}")
    while True:
        answer = click.prompt("A number, or another folder", default="1").strip()
        if answer.isdigit() and 1 <= int(answer) <= len(places):
            return f"vault:{places[int(answer) - 1]}"
        try:
            return str(config.options("folder")["output"].check(f"vault:{answer}"))
        except ValueError as mistake:
            click.echo(f"That cannot be: {mistake}.")


def _watch(home: Home, chosen: list[Find], **values: Any) -> None:
    for each in chosen:
        folder = config.add_folder(home, each.path, preset=each.preset, **values)
        click.echo(
            f"Watching {safe(str(each.path))}: {folder.level.value} notes in {safe(folder.output.removeprefix('vault:'))}; $0."
        )
    if not services.refresh(services.service_of(home)):
        config.poke(home)


def _see_to_service(home: Home, wanted: bool | None, asks: bool) -> None:
    """Install the service, or say how the daemon is started; what the platform refuses is told and stops nothing."""
    service = services.service_of(home)
    if wanted is None:
        is_there = service.path.exists()
        wanted = (
            is_there
            or not asks
            or click.confirm("Run the daemon as a service, from now on and at each login?", default=True)
        )
    if not wanted:
        click.echo("Start the daemon with: sessiontrackd run")
        return
    try:
        home.prepare()
        changed = services.install(service)
    except SessiontrackdError as error:
        click.echo(f"The service could not be installed: {safe(str(error))}\nStart the daemon with: sessiontrackd run")
    else:
        click.echo(
            f"The service {'is installed and running' if changed else 'was installed already and is running'}: {safe(str(service.path))}"
        )


def _notify(home: Home, now: datetime) -> None:
    logging.getLogger("sessiontrackd").addHandler(logging.NullHandler())  # what it says is said here
    settings = config.load(home)
    told = asyncio.run(channels.tell(doctor.sample_alert(settings, now), settings, home))
    arrived = [name for name, reason in told.items() if reason is None]
    if arrived:
        click.echo(
            f"A test notification was sent and accepted ({', '.join(arrived)}). If you do not see it: sessiontrackd doctor"
        )
    else:
        click.echo(
            "No notification arrives on this machine; alerts are in the log and in `status`. More: sessiontrackd doctor"
        )


def _document(found: list[Find]) -> dict[str, Any]:
    tools = [
        {"preset": each.preset, "path": str(each.path), "transcripts": each.count.transcripts,
         "recent": each.count.recent, "exact": each.count.is_exact, "watched": each.is_watched}
        for each in found
    ]  # fmt: skip
    return {"tools": tools, "vaults": [str(vault) for vault in survey.vaults(Path.home())]}
