"""What waits, and the switches: `queue`, `retry`, `pause`, `resume`, `ai`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sessiontrackd import circuit, config
from sessiontrackd import queue as jobs
from sessiontrackd.cli._command import command, current_home, existing_store, json_option
from sessiontrackd.cli._screen import count, cut_path, print_json, print_table, safe
from sessiontrackd.errors import UsageError
from sessiontrackd.model import Job, JobState
from sessiontrackd.store import open_store

LISTED = (JobState.RUNNING, JobState.WAITING, JobState.HELD, JobState.FAILED)
PATH_CELLS = 48


@command("queue", example="sessiontrackd queue\nsessiontrackd queue --all --json")
@click.option("--all", "everything", is_flag=True, help="Also what is done and what was skipped.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@json_option
def queue(everything: bool, limit: int, as_json: bool) -> None:
    """List transcripts that wait, run, are held or failed, each with its reason."""
    found, total = _look(None if everything else LISTED, limit)
    if as_json:
        print_json({"jobs": [_document(job) for job in found]})
        return
    if not found:
        click.echo("Nothing waits, nothing is held, nothing failed.")
        return
    rows = [(job.state.value, cut_path(safe(job.display), PATH_CELLS), job.reason or "") for job in found]
    print_table(("state", "transcript", "reason"), rows)
    if total > len(found):
        click.echo(f"… {total - len(found):,} more; --limit {total} shows all.")
    if any(job.state in (JobState.HELD, JobState.FAILED) for job in found):
        click.echo("\nTry again with: sessiontrackd retry [PATH]")


def _look(states: tuple[JobState, ...] | None, limit: int) -> tuple[list[Job], int]:
    """Return the jobs in these states, and how many there are without the limit."""
    with existing_store(jobs.SCHEMA) as store:
        if store is None:
            return [], 0
        known = jobs.Queue(store)
        counts = known.counts()
        return known.jobs(states, limit), sum(counts[state] for state in states or JobState)


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


@command("retry", example="sessiontrackd retry\nsessiontrackd retry ~/transcripts/talk.jsonl")
@click.argument("path", required=False, type=click.Path(path_type=Path))
def retry(path: Path | None) -> None:
    """Put failed and held transcripts back into the queue: all of them, or the one at PATH."""
    with existing_store(jobs.SCHEMA, circuit.SCHEMA) as store:
        number = jobs.Queue(store).retry(None if path is None else os.fsencode(path.absolute())) if store else 0
        if store and path is None:
            circuit.Circuits(store, str).close()
    config.poke(current_home())
    if path is not None and not number:
        raise UsageError(f"{path} is neither held nor failed. `sessiontrackd queue` lists those that are.")
    click.echo(
        f"{count(number, 'transcript')} will be tried again." if number else "Nothing is held and nothing failed."
    )


@command("pause", example="sessiontrackd pause")
def pause() -> None:
    """Start no new work until `resume`; what a person names with `process` is still done."""
    was = _turn("paused", True)
    click.echo("Already paused." if was else "Paused. New transcripts wait until you type: sessiontrackd resume")


@command("resume", example="sessiontrackd resume")
def resume() -> None:
    """Go on after `pause`."""
    was = _turn("paused", False)
    click.echo("Going on." if was else "It was not paused.")


@command("ai", example="sessiontrackd ai off")
@click.argument("state", metavar="on|off", type=click.Choice(["on", "off"]))
def ai(state: str) -> None:
    """Stop every engine that leaves this machine, or let them go on; the local engine always does.

    Kept in the state, so that it holds even where the settings are broken.
    """
    on = state == "on"
    if _turn("ai", on) == on:
        click.echo(f"Already {state}.")
    elif on:
        click.echo(
            "On: engines may send text again, where consent was given. Held work goes on with: sessiontrackd retry"
        )
    else:
        click.echo("Off: nothing leaves this machine until you type: sessiontrackd ai on")


def _turn(switch: str, on: bool) -> bool:
    """Set a switch of the current home, without looking at its settings; return how it stood."""
    home = current_home()
    home.prepare()
    with open_store(home.db_path, jobs.SCHEMA) as store:
        was = jobs.Queue(store).turn(switch, on)
    config.poke(home)
    return was
