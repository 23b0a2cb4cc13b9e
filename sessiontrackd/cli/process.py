"""Process transcripts now: `process`, `try`."""

from __future__ import annotations

import asyncio
import heapq
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sessiontrackd import config, engines, pipeline, readers, worker
from sessiontrackd.cli import _cost
from sessiontrackd.cli._command import command, current_home, existing, json_option, known_engine, path_type
from sessiontrackd.cli._named import Named, expanded
from sessiontrackd.cli._progress import Progress
from sessiontrackd.cli._screen import count, print_json, print_table, safe, safe_block, usd
from sessiontrackd.config import PRESETS
from sessiontrackd.errors import JobError, NotAConversation, Skipped
from sessiontrackd.estimate import Estimates, Planned
from sessiontrackd.model import FLAT_RATE, Folder, InsightLevel
from sessiontrackd.pricing import prices_of
from sessiontrackd.watch import scan

LEVELS = [level.value for level in InsightLevel]
LOOKED_AT = 20  # of the newest files; a note of the first that holds a conversation is shown


@command(
    "process",
    example="sessiontrackd process talk.jsonl\n"
    "sessiontrackd process ~/exports --level comprehensive --json\n"
    "sessiontrackd process talk.jsonl --stdout",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=path_type)
@click.option("--level", type=click.Choice(LEVELS), help="Depth of the insights; defaults to the folder's setting.")
@click.option(
    "--engine", metavar="NAME", callback=known_engine, help="Engine to use; defaults to the folder's setting."
)
@click.option("--again", is_flag=True, help="Make the insight again too, not only the note.")
@click.option("--stdout", "to_stdout", is_flag=True, help="Print the note instead of writing it.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent, written and spent, and do none of it.")
@click.option("--yes", is_flag=True, help="Do not ask to confirm number and cost.")
@json_option
def process(
    paths: tuple[Path, ...],
    *,
    level: str | None,
    engine: str | None,
    again: bool,
    to_stdout: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Process transcripts now, through the daemon's own queue; a folder means every transcript in it."""
    del yes  # nothing is asked while the local engine is the only one
    named = expanded(paths)
    if to_stdout:
        _print_notes(named, level)
        return
    asked = {"level": level, "engine": engine}
    if dry_run:
        results, cost = _rehearsed(named, **asked)
    else:
        results, cost = _results(named, **asked, again=again)
    if as_json:
        print_json({"results": results})
    elif dry_run:
        _print_rehearsal(results, cost)
    else:
        _print_results(results, cost)
    if any(_has_failed(result, each.by_name) for result, each in zip(results, named, strict=True)):
        click.get_current_context().exit(1)


def _results(named: list[Named], **asked: Any) -> tuple[list[dict[str, Any]], str]:
    """Work on transcripts; return what became of each, and what all of it cost now: an insight that was found cost nothing."""
    rooms = pipeline.open_rooms(current_home())
    try:
        before = rooms.budget.last_entry()
        results = asyncio.run(_worked(rooms, named, **asked))  # once: a loop costs about as much as a small transcript
        ended = rooms.budget.ended_between(before, rooms.budget.last_entry())
        own = [each for each in ended if each.reserve.owner == rooms.store.owner]
        spent = usd(sum(each.holding.picousd for each in own if each.holding))
        return results, f"{spent} and {FLAT_RATE}" if any(each.is_flat_rate for each in own) else spent
    finally:
        pipeline.write_indexes(rooms)
        rooms.close()


async def _worked(rooms: pipeline.Rooms, named: list[Named], **asked: Any) -> list[dict[str, Any]]:
    results = []
    with Progress("processing", len(named)) as progress:
        for each in named:
            results.append(await worker.process_path(rooms, each.path, by_name=each.by_name, **asked))
            progress.step(each.path.name)
            await asyncio.sleep(0)  # where nothing is waited for, Ctrl-C is heeded here
    return results


def _rehearsed(named: list[Named], level: str | None, engine: str | None) -> tuple[list[dict[str, Any]], str]:
    """Say of each transcript what would be done, and what all would cost; nothing is made, not even a state folder.

    Raises:
        Unpriced: the price of a model that would be asked is unknown.
    """
    settings = config.load(current_home())
    results, planned = [], list[Planned]()
    estimates = Estimates(prices_of(settings), datetime.now(UTC))
    with Progress("looking", len(named)) as progress:
        for each in named:
            folder = settings.folder_of(each.path) or Folder(each.path.parent)
            lower = config.lowered(folder, os.fsencode(each.path))
            maker = "local" if lower.kept_local else engine or folder.engine
            chosen = {"level": level or lower.level.value, "engine": maker, "output": folder.output}
            results.append(_rehearsal(each.path) | chosen)
            if results[-1]["state"] == "waiting" and engines.engine_class(maker).leaves_machine:
                asked = _cost.asked_of(maker, settings, depth := InsightLevel(chosen["level"]))
                planned.append(_cost.planned(each.path, depth, asked, named=each.by_name))
                results[-1]["cost_usd"] = _cost.money(estimates.total(planned[-1:]))
            progress.step(each.path.name)
    return results, _cost.about(estimates.total(planned)) if planned else "$0"


def _rehearsal(path: Path) -> dict[str, Any]:
    shown = _text(path)
    try:
        document = readers.inspect_document(path)
    except JobError as error:
        return {"path": shown, "state": error.state.value, "reason": str(error), "sessions": []}
    if not document["is_conversation"]:
        return {"path": shown, "state": "skipped", "reason": document["warnings"][0], "sessions": []}
    sessions = [{name: each[name] for name in ("session_id", "title", "human_turns")} for each in document["sessions"]]
    return {"path": shown, "state": "waiting", "reason": None, "sessions": sessions}


def _has_failed(result: dict[str, Any], by_name: bool) -> bool:
    """Say whether a result fails the command: inside a folder, what is skipped does not."""
    return result["state"] in ("failed", "held") or (by_name and result["state"] == "skipped")


def _text(path: Path) -> str:
    """Return a path as JSON can carry it: bytes that are no UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def _print_results(results: list[dict[str, Any]], cost: str) -> None:
    """Print a line per transcript, with its notes below it."""
    for result in results:
        reason = f": {result['reason']}" if result["reason"] else ""
        click.echo(f"{safe(result['path'])}  {result['state']}{safe(reason)}")
        for session in result["sessions"]:
            if session["report"]:
                title = f"  “{safe(session['title'])}”" if session["title"] else ""
                click.echo(f"  → {safe(session['report'])}{title}")
    _print_total(results, cost)


def _print_total(results: list[dict[str, Any]], cost: str) -> None:
    states = Counter(result["state"] for result in results)
    notes = sum(bool(session["report"]) for result in results for session in result["sessions"])
    if len(results) > 1:
        parts = ", ".join(f"{number:,} {state}" for state, number in states.most_common())
        click.echo(f"{count(len(results), 'transcript')}: {parts}. {count(notes, 'note')}, {cost}.")


def _print_rehearsal(results: list[dict[str, Any]], cost: str) -> None:
    rows = []
    for result in results:
        does = result["reason"] or f"{count(len(result['sessions']), 'session')}, {result['level']}"
        rows.append((result["path"], does))
    print_table(("transcript", "what would be done"), rows, wraps=True)
    working = [result for result in results if result["state"] == "waiting"]
    sends = sorted({result["engine"] for result in working} - {"local"})
    said = f"sent by {', '.join(sends)}, {cost}" if sends else "nothing would be sent, $0 spent"
    click.echo(f"\n{count(len(working), 'transcript')} would be processed; {said}. Nothing was done.")


def _print_notes(named: list[Named], level: str | None) -> None:
    for each in named:
        try:
            note = _preview(each.path, InsightLevel(level or InsightLevel.STANDARD))
        except Skipped:
            if each.by_name:
                raise
            continue
        click.echo(safe_block(note))


@command("try", example="sessiontrackd try\nsessiontrackd try talk.jsonl --level minimal")
@click.argument("path", required=False, type=path_type)
@click.option("--level", type=click.Choice(LEVELS), default=InsightLevel.STANDARD.value, show_default=True)
@json_option
def try_(path: Path | None, level: str, as_json: bool) -> None:
    """Show the note of your newest session, or of PATH. Nothing is written and nothing leaves this machine."""
    found, note = _newest(InsightLevel(level)) if path is None else (path, _named(path, InsightLevel(level)))
    if as_json:
        print_json({"path": _text(found), "note": note})
        return
    click.echo(safe_block(note).rstrip())
    click.echo(f"\n({safe(str(found))}; nothing was written. Notes for all: sessiontrackd watch add DIR)", err=True)


def _named(path: Path, level: InsightLevel) -> str:
    try:
        return _preview(existing(path), level)
    except NotAConversation as reason:
        raise NotAConversation(
            f"{path}: {reason}, so there is no note to show. To see what is read from it: sessiontrackd inspect"
        ) from None


def _preview(path: Path, level: InsightLevel) -> str:
    home = current_home()
    return pipeline.preview(path, level, config.load(home).zone, home.templates_dir)


def _newest(level: InsightLevel) -> tuple[Path, str]:
    """Return the newest transcript of the tools on this machine that holds a conversation, and its note."""
    roots = [(root, preset.name) for preset in PRESETS.values() for root in preset.roots(Path.home(), os.environ)]
    found = [each for root, name in roots for each in scan(Folder(root, preset=name))]
    for each in heapq.nlargest(LOOKED_AT, found, key=lambda file: file.fingerprint.mtime_ns):
        path = Path(os.fsdecode(each.path))
        try:
            return path, _preview(path, level)
        except JobError:
            continue
    tools = ", ".join(preset.text for preset in PRESETS.values())
    raise NotAConversation(
        f"No session was found in the folders of {tools}. Name one: sessiontrackd try PATH. Or see sample notes: sessiontrackd demo"
    )
