"""Backups of the database, one a day for a week, and restoring the newest intact one."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sessiontrackd.budget._entries import TOTAL, Attempt, Limit
from sessiontrackd.budget._ledger import Ledger
from sessiontrackd.budget._steps import assumption, reservation_of
from sessiontrackd.budget._tables import SCHEMA
from sessiontrackd.errors import Busy, SessiontrackdError, StoreError
from sessiontrackd.model import Usage
from sessiontrackd.pricing import FREE
from sessiontrackd.store import Store, is_held, open_store

KEPT_DAYS = 7
_SIDES = ("", "-wal", "-shm")


def backups(path: Path) -> list[Path]:
    """Return the copies of the database at this path, the newest first."""
    return sorted((path.parent / "backup").glob(f"{path.stem}-????-??-??{path.suffix}"), reverse=True)


def back_up_daily(ledger: Ledger, now: datetime) -> Path | None:
    """Copy the database once a day, if its ledger holds, and remove copies that are too old.

    Returns:
        The copy, or None where today's was made already.

    Raises:
        LedgerDamaged: then the copies of better days stay.
    """
    path = ledger.store.path
    if path is None:
        return None
    day = now.astimezone(ledger.zone).date().isoformat()
    target = path.parent / "backup" / f"{path.stem}-{day}{path.suffix}"
    if target.exists():
        return None
    ledger.verify()
    ledger.store.back_up(target)
    for old in backups(path)[KEPT_DAYS:]:
        old.unlink(missing_ok=True)
    return target


class Restored(NamedTuple):
    """What a way back came to: the copy (None: there was none), where the damaged file lies, what counts as spent."""

    copy: Path | None
    aside: Path
    assumed: Attempt | None


def restore(
    path: Path, zone: ZoneInfo, now: datetime, *, limits: Mapping[str, Limit] | None = None, anew: bool = False
) -> Restored:
    """Put the newest whole copy in the place of a damaged database, which is moved aside.

    What was spent since the copy is unknown, so what was left of the month counts as spent: one assumed entry, which
    a person settles or releases.

    Args:
        path: of the database.
        zone: whose months are counted.
        now: the time.
        limits: those that hold, by scope; else those of the copy.
        anew: where there is no whole copy, start an empty database.

    Raises:
        Busy: another process uses the database.
        StoreError: there is no whole copy.
    """
    workers = path.parent / "workers"
    if workers.is_dir() and any(is_held(lease) for lease in workers.iterdir()):
        raise Busy(f"Another process uses {path}. Stop it first: `sessiontrackd service stop`.")
    copy = next((copy for copy in backups(path) if _is_whole(copy, zone, now)), None)
    if copy is None and not anew:
        raise StoreError(
            f"There is no intact backup of {path} in the folder backup beside it, so it was left as it is. To go on "
            "without what it holds: `sessiontrackd budget restore --anew`; the month then counts as spent."
        )
    fresh, aside = path.with_name(path.name + ".restored"), path.with_name(f"{path.name}.corrupt-{now:%Y%m%dT%H%M%S}")
    if copy is not None:
        with Store(copy) as source:
            source.back_up(fresh)
    for side in _SIDES:
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{side}", f"{aside}{side}")
    if copy is not None:
        fresh.rename(path)
    with open_store(path, SCHEMA) as store:
        ledger = Ledger(store, zone, lambda: now)
        if limits is not None:
            ledger.set_limits(dict(limits))
        note = f"restored from {copy.name if copy else 'nothing'}; what was spent since is unknown"
        return Restored(copy, aside, _spend_the_rest(ledger, now, note))


def _is_whole(copy: Path, zone: ZoneInfo, now: datetime) -> bool:
    try:
        with Store(copy) as store:
            Ledger(store, zone, lambda: now).verify()
    except (SessiontrackdError, sqlite3.Error):
        return False
    return True


def _spend_the_rest(ledger: Ledger, now: datetime, note: str) -> Attempt | None:
    """Assume that everything that was left was spent."""
    limit, period = ledger.limits().get(TOTAL, Limit()), ledger.period()
    balance = ledger.balance(TOTAL, period)
    money = max(0, (limit.picousd or 0) - balance.used_picousd)
    tokens = max(0, (limit.tokens or 0) - balance.used_tokens)
    if not money and not tokens:
        return None
    booked = ledger.book(reservation_of(Usage(tokens), money, FREE, engine="unknown"))
    ledger.go_on(booked.id, ("reserve",), assumption(now, note))
    return ledger.attempt(booked.id)
