"""What waits, and the switches: `queue`, `retry`, `pause`, `resume`, `ai`."""

from __future__ import annotations

import os
from pathlib import Path

import click
from msgspec import structs

from sessiontrackd import circuit, config
from sessiontrackd import queue as jobs
from sessiontrackd.cli._command import command, current_home, existing_store, json_option, path_type
from sessiontrackd.cli._screen import count, cut_path, print_json, print_table, safe, usd
from sessiontrackd.errors import UsageError
from sessiontrackd.model import Degraded, Job, JobState
from sessiontrackd.pricing import usd_text
from sessiontrackd.store import open_store

LISTED = (JobState.RUNNING, JobState.WAITING, JobState.HELD, JobState.FAILED)
PATH_CELLS = 48
ABANDONED = "the process that worked on it is gone; the next one takes it up"


@command("queue", example="sessiontrackd queue\nsessiontrackd queue --all --json")
@click.option("--all", "everything", is_flag=True, help="Include done and skipped transcripts.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Maximum number to list.")
@json_option
def queue(everything: bool, limit: int, as_json: bool) -> None:
    """List waiting, running, held and failed transcripts with reasons, and degraded ones with the cost of an upgrade."""
    found, total, less, is_paused = _look(None if everything else LISTED, limit)
    if as_json:
        print_json({"jobs": [_document(job) for job in found], "degraded": [_less(*each) for each in less]})
        return
    _print_jobs(found, total)
    if any(job.state is JobState.WAITING for job in found):
        _print_standstill(is_paused)
    if less:
        _print_degraded(less, limit)


def _print_jobs(found: list[Job], total: int) -> None:
    if not found:
        click.echo("Nothing is waiting, held or failed.")
        return
    rows = [(job.state.value, cut_path(safe(job.display), PATH_CELLS), job.reason or "") for job in found]
    print_table(("state", "transcript", "reason"), rows, wraps=True)
    if total > len(found):
        click.echo(f"… {total - len(found):,} more; --limit {total} shows all.")
    if any(job.state in (JobState.HELD, JobState.FAILED) for job in found):
        click.echo("\nTry again with: sessiontrackd retry [PATH]")


def _print_standstill(is_paused: bool) -> None:
    """Print why nothing that waits goes on, if so."""
    if is_paused:
        click.echo("\nPaused: what waits goes on after: sessiontrackd resume")
    elif config.heard(current_home()) is None:
        click.echo("\nThe daemon is not running, so nothing goes on; start it with: sessiontrackd run")


def _print_degraded(less: list[tuple[Job, Degraded]], limit: int) -> None:
    """Print what was degraded for want of room in the budget, with what the rest may cost."""
    costs = [each.cost_picousd for _, each in less]
    whole = usd(sum(cost or 0 for cost in costs)) + (" and what has no price" if None in costs else "")
    click.secho(f"\nDegraded for lack of budget: {count(len(less), 'transcript')}, up to {whole}", bold=True)
    rows = [
        (
            cut_path(safe(job.display), PATH_CELLS),
            f"{each.engine} {each.level}",
            each.given,
            "unknown" if each.cost_picousd is None else usd(each.cost_picousd),
        )
        for job, each in less[:limit]
    ]
    print_table(("transcript", "asked for", "given", "at most"), rows, right=(3,))
    if len(less) > limit:
        click.echo(f"… {len(less) - limit:,} more.")
    click.echo("\nUpgrade them, as far as the budget goes: sessiontrackd retry --upgrade [PATH]")


def _look(states: tuple[JobState, ...] | None, limit: int) -> tuple[list[Job], int, list[tuple[Job, Degraded]], bool]:
    """Return the jobs in these states, how many there are without the limit, what was degraded, and whether work is paused."""
    with existing_store(jobs.SCHEMA) as store:
        if store is None:
            return [], 0, [], False
        known = jobs.Queue(store)
        counts, abandoned = known.counts(), known.abandoned()
        found = [_as_it_is(job) if job.id in abandoned else job for job in known.jobs(states, limit)]
        total = sum(counts[state] for state in states or JobState)
        return found, total, known.degraded(), known.is_on("paused")


def _as_it_is(job: Job) -> Job:
    """Return a job whose process died as it is; only who works takes it back."""
    return structs.replace(job, state=JobState.WAITING, reason=ABANDONED)


def _less(job: Job, less: Degraded) -> dict[str, object]:
    return {
        "path": job.display,
        "level": less.level.value,
        "engine": less.engine,
        "given": less.given,
        "sessions": less.sessions,
        "cost_usd": None if less.cost_picousd is None else usd_text(less.cost_picousd),
        "period": less.period,
    }


def _document(job: Job) -> dict[str, object]:
    return {
        "path": job.display,
        "state": job.state.value,
        "reason": job.reason,
        "folder": job.folder,
        "attempts": job.attempts,
        "not_before_at": job.not_before_at.isoformat() if job.not_before_at else None,
        "size_bytes": job.fingerprint.size_bytes,
    }


@command(
    "retry",
    example="sessiontrackd retry\nsessiontrackd retry ~/transcripts/talk.jsonl\nsessiontrackd retry --upgrade",
)
@click.argument("path", required=False, type=path_type)
@click.option("--upgrade", is_flag=True, help="Retry those that were degraded for lack of budget instead.")
def retry(path: Path | None, upgrade: bool) -> None:
    """Put failed and held transcripts back into the queue: all of them, or the one at PATH."""
    with existing_store(jobs.SCHEMA, circuit.SCHEMA) as store:
        known = jobs.Queue(store) if store else None
        again = known and (known.upgrade if upgrade else known.retry)
        number = again(None if path is None else os.fsencode(path.absolute())) if again else 0
        if store and path is None and not upgrade:
            circuit.Circuits(store, str).close()
    config.poke(current_home())
    if path is not None and not number:
        what = "was not degraded" if upgrade else "is neither held nor failed"
        raise UsageError(f"{path} {what}. `sessiontrackd queue` lists those that {'were' if upgrade else 'are'}.")
    if number:
        click.echo(f"{count(number, 'transcript')} will be {'made again' if upgrade else 'tried again'}.")
    else:
        click.echo("Nothing was degraded." if upgrade else "Nothing is held and nothing failed.")


@command("pause", example="sessiontrackd pause")
def pause() -> None:
    """Start no new work until `resume`; transcripts named with `process` are still processed."""
    was = _turn("paused", True)
    click.echo("Already paused." if was else "Paused. New transcripts wait until: sessiontrackd resume")


@command("resume", example="sessiontrackd resume")
def resume() -> None:
    """Resume work after `pause`."""
    was = _turn("paused", False)
    click.echo("Going on." if was else "It was not paused.")


@command("ai", example="sessiontrackd ai off")
@click.argument("state", metavar="on|off", type=click.Choice(["on", "off"]))
def ai(state: str) -> None:
    """Switch engines that send text elsewhere off or on; the local engine always works.

    The switch is kept apart from the settings, so that it holds even if they are broken.
    """
    on = state == "on"
    if _turn("ai", on) == on:
        click.echo(f"Already {state}.")
    elif on:
        click.echo(
            "On: engines may send text again where consent was given. To go on with held work: sessiontrackd retry"
        )
    else:
        click.echo("Off: nothing leaves this machine until: sessiontrackd ai on")


def _turn(switch: str, on: bool) -> bool:
    """Set a switch of the current home, without looking at its settings; return how it stood."""
    home = current_home()
    home.prepare()
    with open_store(home.db_path, jobs.SCHEMA) as store:
        was = jobs.Queue(store).turn(switch, on)
    config.poke(home)
    return was
