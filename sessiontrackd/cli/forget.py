"""Remove what is stored about a transcript or session: `forget`."""

from __future__ import annotations

import os
import sys

import click
from msgspec import structs

from sessiontrackd import batches, budget, config, history, pipeline, queue
from sessiontrackd.cli._command import command, current_home, existing_store, json_option
from sessiontrackd.cli._screen import count, print_json, safe
from sessiontrackd.errors import SessiontrackdError, UsageError
from sessiontrackd.pipeline import Forgotten, Memory


@command("forget", example="sessiontrackd forget talk.jsonl\nsessiontrackd forget 5f0c2d1e --yes")
@click.argument("what", metavar="PATH|SESSION")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def forget(what: str, yes: bool, as_json: bool) -> None:
    """Remove notes, insights, index lines and search text, also from the backups of the database.

    PATH is a transcript, a folder of them, or a note. The transcript itself stays, and so do the amounts spent, without a name. Digests that were
    written before stay as they are.
    """
    home = current_home()
    settings = config.load(home)
    with existing_store(queue.SCHEMA, history.SCHEMA, budget.SCHEMA, batches.SCHEMA) as store:
        if store is None:
            raise UsageError(f"Nothing is known about {safe(what)}: nothing has been read yet.")
        memory = pipeline.memory_of(store, settings, what)
        if not yes and not _is_meant(memory, as_json):
            return
        done = pipeline.forget(home, settings, store, memory)
    if as_json:
        print_json({"sessions": list(memory.session_ids), **structs.asdict(done)})
    else:
        _print(memory, done)


def _is_meant(memory: Memory, as_json: bool) -> bool:
    """Say what would be removed, and ask.

    Raises:
        SessiontrackdError: there is nobody to ask.
    """
    notes = count(len(memory.notes), "note")
    if memory.own_words:
        notes += f", {len(memory.own_words)} of them with words of your own"
    what = f"{count(len(memory.session_ids), 'session')} with {notes}"
    if as_json or not sys.stdin.isatty():
        raise SessiontrackdError(f"This would forget {what}, so nothing was removed. Confirm with --yes.")
    for path in memory.notes:
        click.echo(f"  {safe(str(path))}{' (with words of your own)' if path in memory.own_words else ''}")
    return click.confirm(f"Forget {what}?", default=False)


def _print(memory: Memory, done: Forgotten) -> None:
    click.echo(
        f"Removed: {count(done.notes, 'note')}, {count(done.insights, 'row')} of insights and notes, the words of "
        f"{count(done.words, 'session')}, and what {count(done.copies, 'copy')} of the database held.".replace(
            "copys", "copies"
        )
    )
    still = [source for source in memory.sources if os.path.lexists(source)]
    if still:
        click.echo(
            f"{count(len(still), 'transcript')} still there and left alone until it changes or you name it with `process`. "
            "Delete or move it, or add its name to `ignore` of its folder."
        )
