"""`status --follow`: a line for each call as soon as it is settled, read from the ledger whoever wrote it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from sessiontrackd import budget
from sessiontrackd.budget import Attempt, TokenManager
from sessiontrackd.cli._screen import print_json, safe, usd
from sessiontrackd.config import Home, Settings
from sessiontrackd.pricing import usd_text
from sessiontrackd.store import Store, open_store

LOOK_S = 0.25  # between two looks at a number that SQLite keeps


def follow(home: Home, settings: Settings, *, as_json: bool) -> None:
    """Print what is settled or assumed from now on, until Ctrl-C.

    Args:
        home: whose ledger.
        settings: name the time zone.
        as_json: one document a line.
    """
    try:
        known = _last_entry(home.db_path)
        if not as_json:
            click.echo("\nEach call as it is settled (Ctrl-C ends this):")
        while True:
            known = _follow_file(home.db_path, settings, known, as_json)
    except KeyboardInterrupt:
        return


def _last_entry(path: Path) -> int:
    if not path.exists():
        return 0
    with open_store(path, budget.SCHEMA) as store:
        return TokenManager(store=store).last_entry()


def _follow_file(path: Path, settings: Settings, known: int, as_json: bool) -> int:
    """Print what is added to this file until another one takes its place; return the last entry that was seen."""
    while not path.exists():
        time.sleep(LOOK_S)
    with open_store(path, budget.SCHEMA) as store:
        manager, file = TokenManager(store=store, timezone=settings.timezone), path.stat().st_ino
        for _ in _changes(store, path, file):
            last = manager.last_entry()
            for attempt in manager.ended_between(known, last):
                _print(manager, attempt, settings, as_json)
            known = last
        return known


def _changes(store: Store, path: Path, file: int) -> Iterator[None]:
    """Yield at once and each time another process has written, while the path still names this file."""
    seen = None
    while path.exists() and path.stat().st_ino == file:
        version = store.read("PRAGMA data_version")[0][0]
        if version != seen:
            seen = version
            yield
        time.sleep(LOOK_S)


def _print(manager: TokenManager, attempt: Attempt, settings: Settings, as_json: bool) -> None:
    """Print one call, and how day and month stand after it."""
    day, status = manager.spent_on(datetime.fromisoformat(attempt.reserve.day).date()), manager.status()
    session_id, source, _ = manager.purpose(attempt.reserve.id)
    cost = attempt.holding.picousd if attempt.holding else 0
    if not as_json:
        tokens = f"{attempt.last.tokens or 0:,} tokens"
        name = safe(os.fsdecode(os.path.basename(source))) if source else session_id or ""
        mark = " at most: outcome unknown" if attempt.state == "assumed" else ""
        words = (
            f"{attempt.last.made_at.astimezone(settings.zone):%H:%M:%S}",
            usd(cost) + mark,
            tokens,
            attempt.reserve.model,
            attempt.reserve.level,
        )
        shown = "  ".join(str(word) for word in (*words, name) if word)
        click.echo(f"{shown}  ({usd(day)} today, {usd(status.spent_picousd)} in {status.period})")
        return
    document: dict[str, Any] = {
        "id": attempt.reserve.id,
        "at": attempt.last.made_at.isoformat(),
        "state": attempt.state,
        "cost_usd": usd_text(cost),
        "model": attempt.reserve.model,
        "level": attempt.reserve.level,
        "folder": attempt.reserve.folder,
        "project": attempt.reserve.project,
        "session_id": session_id,
        "source": source.decode("utf-8", "replace") if source else None,
        "input_tokens": attempt.last.usage.total_tokens - attempt.last.output_tokens,
        "output_tokens": attempt.last.output_tokens,
        "spent_today_usd": usd_text(day),
        "spent_usd": usd_text(status.spent_picousd),
    }
    print_json(document)
