"""The present state and the newest reports: `status`, `reports`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sessiontrackd import budget, channels, config, history, queue, report
from sessiontrackd.batches import SCHEMA as BATCHES_SCHEMA
from sessiontrackd.batches import Batches
from sessiontrackd.cli._command import command, current_home, existing_store, json_option
from sessiontrackd.cli._follow import follow
from sessiontrackd.cli._screen import (
    count,
    cut,
    cut_path,
    duration,
    local_time,
    print_json,
    print_table,
    safe,
    terminal_width,
)
from sessiontrackd.cli._usage import money
from sessiontrackd.config import Home, Settings
from sessiontrackd.errors import SettingsError
from sessiontrackd.model import Folder, JobState
from sessiontrackd.pricing import usd, usd_text
from sessiontrackd.store import Store

PATH_CELLS = 56


@command("status", example="sessiontrackd status\nsessiontrackd status --json\nsessiontrackd status --follow")
@click.option(
    "--follow", "follows", is_flag=True, help="Then print a line for each paid call as it is settled, until Ctrl-C."
)
@json_option
def status(follows: bool, as_json: bool) -> None:
    """Show what is running, waiting and held, today's spending and the month's budget."""
    home = current_home()
    settings, mistake = _settings(home)
    if follows and as_json:  # one document a line
        follow(home, settings, as_json=True)
        return
    heard = config.heard(home)
    document = _daemon(heard) | _state(settings) | {"folders": [_folder(each, heard) for each in settings.folders]}
    document["edited"] = _edited()
    document["problem"] = mistake or (heard or {}).get("problem")
    if as_json:
        print_json(document)
    else:
        _print_status(document)
    if follows:
        follow(home, settings, as_json=False)


def _settings(home: Home) -> tuple[Settings, str | None]:
    """Load the settings; where they are broken the status still shows, with what is wrong."""
    try:
        return config.load(home), None
    except SettingsError as mistake:
        return Settings(), str(mistake)


def _daemon(heard: dict[str, Any] | None) -> dict[str, Any]:
    if heard is None:
        return {"daemon": {"running": False, "pid": None, "since": None}, "scanning": None}
    daemon = {"running": True, "pid": heard["pid"], "since": heard["since"]}
    return {"daemon": daemon, "scanning": heard["scanning"]}


def _edited() -> list[dict[str, str]]:
    """Return the notes that a person edited, index notes too, each with the newer version beside it."""
    with existing_store(history.SCHEMA) as store:
        newer = [Path(os.fsdecode(each.path)) for each in history.Reports(store).versions()] if store else []
        indexes = history.Lines(store).indexes() if store else []
    pairs = [(report.numbered(path, report.version(path) - 1), path) for path in newer if report.version(path) > 1]
    for folder, in_vault in indexes:
        output = report.VAULT if in_vault else report.BESIDE_SOURCE
        index = report.index_place(Path(os.fsdecode(folder)), output=output)
        pairs.append((index, report.numbered(index, 2)))
    return [{"report": _text(old), "newer": _text(new)} for old, new in pairs if old.exists() and new.exists()]


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "replace")


def _state(settings: Settings) -> dict[str, Any]:
    """Return switches, queue and budget; where nothing was stored yet, what holds on a new machine."""
    with existing_store(queue.SCHEMA, budget.SCHEMA, BATCHES_SCHEMA, channels.SCHEMA) as store:
        if store is None:
            nothing = {state.value: 0 for state in JobState}
            switches: dict[str, Any] = {"paused": False, "ai": True}
            budget_now = _untouched_budget(settings)
            return {**switches, "queue": nothing, "batches": [], "budget": budget_now, "alerts": []}
        jobs = queue.Queue(store)
        return {
            "paused": jobs.is_on("paused"),
            "ai": jobs.is_on("ai"),
            "queue": _counts(jobs),
            "batches": [{**each, "sent_at": each["sent_at"].isoformat()} for each in Batches(store).progress()],
            "budget": _budget(_manager(store, settings), settings),
            "alerts": [each.document for each in channels.Notices(store).missed()],
        }


def _counts(jobs: queue.Queue) -> dict[str, int]:
    """Return how many jobs stand where; those whose process died wait to be taken up."""
    abandoned = len(jobs.abandoned())
    moved = {JobState.RUNNING: -abandoned, JobState.WAITING: abandoned}
    return {state.value: number + moved.get(state, 0) for state, number in jobs.counts().items()}


def _budget(manager: budget.TokenManager, settings: Settings) -> dict[str, Any]:
    today = datetime.now(settings.zone).date()
    return manager.summary(settings.thresholds) | {"spent_today_usd": usd_text(manager.spent_on(today))}


def _untouched_budget(settings: Settings) -> dict[str, Any]:
    limit = settings.monthly_budget_picousd
    return {
        "period": budget.period_of(datetime.now(UTC), settings.zone),
        "limit_usd": None if limit is None else usd_text(limit),
        "spent_usd": usd_text(0),
        "spent_today_usd": usd_text(0),
        "reserved_usd": usd_text(0),
        "assumed_usd": usd_text(0),
        "remaining_usd": None if limit is None else usd_text(limit),
        "over_by_usd": None,
        "limit_tokens": settings.monthly_budget_tokens,
        "used_tokens": 0,
        "remaining_tokens": settings.monthly_budget_tokens,
        "over_by_tokens": None,
        "thresholds": list(settings.thresholds),
        "folders": [],
        "projects": [],
    }


def _manager(store: Store, settings: Settings) -> budget.TokenManager:
    limit = settings.monthly_budget_picousd
    return budget.TokenManager(None if limit is None else usd(limit), store=store, timezone=settings.timezone)


def _folder(folder: Folder, heard: dict[str, Any] | None) -> dict[str, Any]:
    """Return a folder with its state: watched, offline, new (not scanned yet), disabled or not watched."""
    seen = (heard or {}).get("folders", {}).get(str(folder.path), {})
    state = seen.get("state", "new") if heard else "not watched"
    if not folder.path.is_dir():
        state = "offline"
    return {
        "path": str(folder.path),
        "level": folder.level.value,
        "engine": folder.engine,
        "state": state if folder.enabled else "disabled",
        "seen": seen.get("seen") if state == "watched" else None,
    }


def _print_status(document: dict[str, Any]) -> None:
    for line in (_daemon_line(document), _queue_line(document["queue"]), _budget_line(document["budget"])):
        click.echo(line)
    for batch in document["batches"]:
        click.echo(
            f"batch    {count(batch['requests'], 'request')} since {local_time(batch['sent_at'])}, at half the price"
        )
    if not document["ai"]:
        click.echo("AI       off: nothing leaves this machine")
    if document["problem"]:
        click.secho(f"problem  {safe(document['problem'])}", fg="red")
    for each in document["edited"]:
        click.echo(f"edited   by you; the newer version is beside it: {safe(each['newer'])}")
    for alert in document["alerts"]:
        click.echo(f"not seen {local_time(datetime.fromisoformat(alert['at']))}: {safe(alert['text'])}")
    click.echo()
    if not document["folders"]:
        click.echo("No folder is watched. Add one with: sessiontrackd watch add DIR")
        return
    rows = [
        (cut_path(safe(each["path"]), PATH_CELLS), each["level"], each["engine"], _folder_state(each))
        for each in document["folders"]
    ]
    print_table(("folder", "level", "engine", "state"), rows)


def _daemon_line(document: dict[str, Any]) -> str:
    daemon, scanning = document["daemon"], document["scanning"]
    paused = "; paused, resume with: sessiontrackd resume" if document["paused"] else ""
    if not daemon["running"]:
        return f"daemon   not running; start it with: sessiontrackd run{paused}"
    since = ""
    if daemon["since"]:
        began_at = datetime.fromisoformat(daemon["since"])
        since = f" for {duration((datetime.now(UTC) - began_at).total_seconds())}"
    work = f"; still scanning {safe(scanning['folder'])}, {scanning['seen']:,} files so far" if scanning else ""
    return f"daemon   running{since} (process {daemon['pid']}){work}{paused}"


def _queue_line(counts: dict[str, int]) -> str:
    shown = [f"{number:,} {state}" for state, number in counts.items() if number]
    more = "; reasons: sessiontrackd queue" if counts["held"] or counts["failed"] else ""
    return f"queue    {', '.join(shown) or 'empty'}{more}"


def _budget_line(held: dict[str, Any]) -> str:
    limits = [money(held["limit_usd"])] if held["limit_usd"] is not None else []
    limits += [f"{held['limit_tokens']:,} tokens"] if held["limit_tokens"] is not None else []
    if not limits:
        return f"budget   none set, so no paid engine runs; {_spent(held)}"
    parts = [f"{' and '.join(limits)} for {held['period']}", _spent(held)]
    parts += [f"{money(held[f'{name}_usd'])} {name}" for name in ("reserved", "assumed") if float(held[f"{name}_usd"])]
    return f"budget   {', '.join(parts)}; {_left(held)}"


def _left(held: dict[str, Any]) -> str:
    left = [f"{money(held['remaining_usd'])} left"] if held["limit_usd"] is not None else []
    left += [f"{held['remaining_tokens']:,} tokens left"] if held["limit_tokens"] is not None else []
    left += [f"over by {money(held['over_by_usd'])}"] if held["over_by_usd"] else []
    left += [f"over by {held['over_by_tokens']:,} tokens"] if held["over_by_tokens"] else []
    return ", ".join(left)


def _spent(held: dict[str, Any]) -> str:
    return f"{money(held['spent_usd'])} spent, {money(held['spent_today_usd'])} of it today"


def _folder_state(folder: dict[str, Any]) -> str:
    if folder["seen"] is not None:
        return f"{folder['state']}, {count(folder['seen'], 'file')}"
    return str(folder["state"])


@command("reports", example="sessiontrackd reports\nsessiontrackd reports --limit 100 --json")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Maximum number to list.")
@json_option
def reports(limit: int, as_json: bool) -> None:
    """List the newest reports with their paths."""
    with existing_store(history.SCHEMA) as store:
        found = history.Reports(store).newest(limit) if store else []
    if as_json:
        print_json({"reports": [_document(report) for report in found]})
    elif not found:
        click.echo("No report has been written yet.")
    else:
        for each in found:
            click.secho(cut(f"{local_time(each.at)}  {each.level:13}  {safe(each.title)}", terminal_width()), bold=True)
            click.echo(f"  {safe(_shown(each.path))}")  # whole, and on a line of its own: it is there to be opened


def _document(report: history.Report) -> dict[str, object]:
    return {
        "path": _shown(report.path),
        "source": _shown(report.source),
        "session_id": report.session_id,
        "title": report.title,
        "level": report.level,
        "engine": report.engine,
        "at": report.at.isoformat(),
    }


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")
