"""The ledger: entries that are only added, chained by hashes, and the balances they come to."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from sessiontrackd.budget._entries import (
    COLUMNS,
    KEEP,
    TOTAL,
    Attempt,
    Balance,
    Entry,
    Holding,
    Limit,
    blank,
    entry_of,
    folded,
    holding_after,
    least_left,
    problem,
)
from sessiontrackd.budget._period import period_of, share_passed
from sessiontrackd.budget._steps import assumption, following_by
from sessiontrackd.errors import LedgerDamaged, OverBudget, StoreDamaged
from sessiontrackd.store import Store

REMEDY = (
    "Nothing more is spent until it is repaired; notes go on. `sessiontrackd doctor` says more, and "
    "`sessiontrackd budget restore` restores the newest intact daily backup."
)
_INSERT = f"INSERT INTO ledger VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"
_PUT_BALANCE = f"INSERT OR REPLACE INTO balance VALUES ({', '.join('?' * (len(Balance._fields) + 3))})"
_START = b"sessiontrackd ledger"
KEPT = (
    " What other folders keep for themselves (`keep`) is not counted as left until four fifths of the month are over."
)
KEPT_SHARE = 0.8  # of the month; after it, what was kept and not used is anyone's
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ledger:
    """The entries in the store.

    Args:
        store: opened with the budget's schema.
        zone: whose months are counted.
        now: the clock.
    """

    def __init__(self, store: Store, zone: ZoneInfo, now: Callable[[], datetime]) -> None:
        """Keep the parts; nothing is read yet."""
        self.store = store
        self.zone = zone
        self._now = now
        self._verified = (0, _START)

    # -- adding -------------------------------------------------------------------------------------------------

    def reserve(self, entry: Entry, argument: Limit, *, hard: Entry | None = None, edge_picousd: int = 0) -> Entry:
        """Add a reservation if it fits every budget it counts against.

        Args:
            entry: everything but its id; the period is that of the clock, but never one before the newest.
            argument: a limit of the caller's own, which can only tighten the total.
            hard: in place of `entry` where less than `edge_picousd` is left in one of the budgets.
            edge_picousd: see `hard`.

        Raises:
            OverBudget: it does not fit, or there is no budget at all.
            LedgerDamaged: the entries cannot be trusted.
        """
        with self.store.immediate(durable=True) as connection, self._trusted():
            self._verify_tail(connection)
            entry = self._dated(entry)
            held = {scope: self.balance(scope, entry.period, must_hold=True) for scope in entry.scopes}
            limits = self.in_force(held, argument, entry.period)
            left = least_left(held, limits)[0]
            if hard and left is not None and left < edge_picousd:
                entry = self._dated(hard)
            _check(entry, held, limits)
            return self._append(connection, entry)

    def book(self, entry: Entry) -> Entry:
        """Add a reservation without asking whether it fits: for what was spent already."""
        with self.store.immediate(durable=True) as connection:
            return self._append(connection, self._dated(entry))

    def go_on(self, attempt_id: int, kinds: Iterable[str], change: Callable[[Attempt], Entry]) -> Entry:
        """Add the next entry of an attempt.

        Args:
            attempt_id: the reservation.
            kinds: what its last entry may be.
            change: makes the entry from what it was.

        Raises:
            ValueError: there is no such attempt, or it is beyond that.
        """
        with self.store.immediate(durable=True) as connection:
            attempt = self.attempt(attempt_id)
            if attempt.last.kind not in kinds:
                raise ValueError(f"attempt {attempt_id} is {attempt.state} already")
            return self._append(connection, change(attempt), attempt)

    def end_orphans(self) -> list[Attempt]:
        """End the attempts of processes that died; a batch that was sent is collected later, whoever sent it."""
        ended = []
        for attempt in self.open_attempts():
            owner = attempt.reserve.owner
            if attempt.last.batch_id or (owner is not None and self.store.is_alive(owner)):
                continue
            note = "its process ended"
            change = following_by("release", self._now(), note=note)
            if attempt.last.kind == "send":
                change = assumption(self._now(), note)
            with contextlib.suppress(ValueError):  # another process was faster
                self.go_on(attempt.reserve.id, (attempt.last.kind,), change)
                ended.append(self.attempt(attempt.reserve.id))
        return ended

    def set_limits(self, limits: dict[str, Limit]) -> bool:
        """Put limits in force; scopes that are not named lose theirs. Return whether anything changed."""
        with self.store.immediate(durable=True) as connection:
            before = self.limits(must_hold=True)
            changed = {s: limits.get(s, Limit()) for s in before.keys() | limits.keys()}
            changed = {s: limit for s, limit in changed.items() if limit != before.get(s, Limit())}
            for scope, limit in sorted(changed.items()):
                dated = self._dated(blank("limit", scope=scope))
                self._append(connection, dated._replace(picousd=limit.picousd, tokens=limit.tokens))
                values = (scope, limit.picousd, limit.tokens)
                connection.execute("INSERT OR REPLACE INTO budget VALUES (?, ?, ?, ?)", (*values, _seal(values)))
        return bool(changed)

    def _dated(self, entry: Entry) -> Entry:
        """Fix time, zone, day and period."""
        now = self._now()
        period = self._period(now)
        day = now.astimezone(self.zone).date().isoformat()
        at = (now - _EPOCH) // timedelta(milliseconds=1)
        return entry._replace(at=at, period=period, zone=self.zone.key, day=day)

    def _append(self, connection: sqlite3.Connection, entry: Entry, attempt: Attempt | None = None) -> Entry:
        """Add an entry to the chain and move the balances."""
        last = connection.execute("SELECT id, hash FROM ledger ORDER BY id DESC LIMIT 1").fetchone()
        entry_id, before = (last["id"] + 1, last["hash"]) if last else (1, _START)
        entry = entry._replace(id=entry_id, attempt=entry_id if entry.kind == "reserve" else entry.attempt)
        digest = _chained(before, entry)
        connection.execute(_INSERT, (*entry, digest))
        if self._verified == (entry_id - 1, before):
            self._verified = (entry_id, digest)
        if entry.kind not in ("limit", "send"):
            old = attempt.holding if attempt else None
            self._move(connection, entry, old, holding_after(entry, old))
        return entry

    def _move(self, connection: sqlite3.Connection, entry: Entry, old: Holding | None, new: Holding | None) -> None:
        for scope in entry.scopes:
            try:
                balance = self.balance(scope, entry.period, must_hold=True)
            except LedgerDamaged:
                continue  # the entry counts; what is damaged stays so that it is noticed before the next spend
            moved = balance.moved(old, new, entry.id)
            values = (entry.period, scope, *moved)
            connection.execute(_PUT_BALANCE, (*values, _seal(values)))

    # -- reading ------------------------------------------------------------------------------------------------

    def period(self) -> str:
        """Return the month that a reservation made now would belong to."""
        return self._period(self._now())

    def _period(self, now: datetime) -> str:
        """Return the month of a moment. One before the newest is closed and does not open again."""
        row = self.store.one("SELECT max(period) FROM balance")
        return max(period_of(now, self.zone), (row and row[0]) or "")

    def balance(self, scope: str, period: str, *, must_hold: bool = False) -> Balance:
        """Return what a scope holds in a month.

        Raises:
            LedgerDamaged: `must_hold`, and the row is not what was written.
        """
        row = self.store.one("SELECT * FROM balance WHERE period = ? AND scope = ?", (period, scope))
        if row is None:
            return Balance()
        if must_hold and _seal(tuple(row)[:-1]) != row["seal"]:
            raise LedgerDamaged(f"The balance of {scope} in {period} is damaged. {REMEDY}")
        return Balance(*tuple(row)[2:-1])

    def limits(self, wanted: Iterable[str] | None = None, *, must_hold: bool = False) -> dict[str, Limit]:
        """Return the limits in force.

        Raises:
            LedgerDamaged: `must_hold`, and a row is not what was written.
        """
        found = {}
        names = None if wanted is None else tuple(wanted)
        where = "" if names is None else f"WHERE scope IN ({', '.join('?' * len(names))})"
        for row in self.store.read(f"SELECT * FROM budget {where}", names or ()):
            if must_hold and _seal(tuple(row)[:-1]) != row["seal"]:
                raise LedgerDamaged(f"A limit ({row['scope']!r}) is damaged. {REMEDY}")
            found[row["scope"]] = Limit(row["picousd"], row["tokens"])
        return found

    def in_force(self, held: Mapping[str, Balance], argument: Limit, period: str) -> dict[str, Limit]:
        """Return the limits that a reservation has to fit, the total without what is kept for other folders.

        Args:
            held: the scopes that it counts against.
            argument: a limit of the caller's own, which can only tighten the total.
            period: of the reservation.

        Raises:
            LedgerDamaged: a row is not what was written.
        """
        limits = self.limits(must_hold=True)
        total = limits.get(TOTAL, Limit()).tighter(argument)
        kept = self.kept(limits, held, period)
        limits[TOTAL] = Limit(_less(total.picousd, kept.picousd), _less(total.tokens, kept.tokens))
        return limits

    def kept(self, limits: Mapping[str, Limit], held: Collection[str], period: str) -> Limit:
        """Return what is kept for folders that are not among those of a reservation, and that they have not used yet."""
        money = tokens = 0
        if share_passed(self._now(), period, self.zone) < KEPT_SHARE:
            for scope, keep in limits.items():
                folder = f"folder:{scope.removeprefix(KEEP)}"
                if scope.startswith(KEEP) and folder not in held:
                    balance = self.balance(folder, period, must_hold=True)
                    money += max(0, (keep.picousd or 0) - balance.used_picousd)
                    tokens += max(0, (keep.tokens or 0) - balance.used_tokens)
        return Limit(money, tokens)

    def attempt(self, attempt_id: int) -> Attempt:
        """Return one attempt.

        Raises:
            ValueError: there is none with this number.
        """
        rows = self.store.read("SELECT * FROM ledger WHERE attempt = ? AND attempt > 0 ORDER BY id", (attempt_id,))
        found = folded(entry_of(row) for row in rows)
        if found:
            return found[attempt_id]
        raise ValueError(f"there is no attempt {attempt_id}")

    def attempts(self, period: str | None = None, day: str | None = None) -> list[Attempt]:
        """Return all attempts, or those reserved in one month or on one local day, in the order of reservation."""
        rows = self.store.read(
            "SELECT * FROM ledger WHERE (:period IS NULL OR period = :period) AND (:day IS NULL OR day = :day) ORDER BY id",
            {"period": period, "day": day},
        )
        return list(folded(entry_of(row) for row in rows).values())

    def last_entry(self) -> int:
        """Return the number of the last entry."""
        row = self.store.one("SELECT max(id) FROM ledger")
        return (row and row[0]) or 0

    def ended_between(self, after: int, until: int) -> list[Attempt]:
        """Return the attempts that were settled or assumed between two entries, the second included, in that order."""
        rows = self.store.read(
            "SELECT attempt FROM ledger WHERE id > ? AND id <= ? AND kind IN ('settle', 'assume') "
            "GROUP BY attempt ORDER BY max(id)",
            (after, until),
        )
        return [self.attempt(row["attempt"]) for row in rows]

    def open_attempts(self) -> list[Attempt]:
        """Return what is reserved or sent and not yet ended, the oldest first."""
        months = self.store.read(
            "SELECT period FROM balance WHERE scope = ? AND (reserved_tokens > 0 OR reserved_picousd > 0)", (TOTAL,)
        )
        return [attempt for row in months for attempt in self.attempts(row[0]) if attempt.is_open]

    def overruns(self, period: str | None = None) -> list[Attempt]:
        """Return the attempts that were settled above their reservation."""
        rows = self.store.read(
            "SELECT after.attempt FROM ledger after JOIN ledger before ON before.id = after.attempt WHERE after.kind = "
            "'settle' AND after.picousd > before.picousd AND (:period IS NULL OR after.period = :period) ORDER BY after.attempt",
            {"period": period},
        )
        return [self.attempt(row[0]) for row in rows]

    # -- trusting -----------------------------------------------------------------------------------------------

    def verify(self) -> None:
        """Read everything and compare: the chain, the balances, the limits.

        Raises:
            LedgerDamaged: something is not what was written.
        """
        with self.store.immediate() as connection, self._trusted():
            self._verified = (0, _START)
            broken = [row[0] for row in connection.execute("PRAGMA integrity_check('ledger')") if row[0] != "ok"]
            if broken:
                raise LedgerDamaged(f"The ledger is damaged: {broken[0]}. {REMEDY}")
            self._compare(list(self._chain(connection)))

    def _verify_tail(self, connection: sqlite3.Connection) -> None:
        """Read what was added since the last look; everything at the first, or where that no longer stands."""
        known, digest = self._verified
        row = connection.execute("SELECT hash FROM ledger WHERE id = ?", (known,)).fetchone()
        if row is None or row["hash"] != digest:
            self.verify()
        for _ in self._chain(connection):
            pass

    def _chain(self, connection: sqlite3.Connection) -> Iterator[Entry]:
        """Read the entries after the last verified one and check that each follows from the one before."""
        for row in connection.execute("SELECT * FROM ledger WHERE id > ? ORDER BY id", (self._verified[0],)):
            known, digest = self._verified
            values = tuple(row)
            if values[0] != known + 1 or _chained(digest, values[:-1]) != values[-1]:
                raise LedgerDamaged(f"Entry {known + 1} of the ledger is not what was written. {REMEDY}")
            self._verified = (values[0], values[-1])
            yield entry_of(row)

    def _compare(self, entries: list[Entry]) -> None:
        """Compare what the entries come to with the balances and limits that are kept."""
        balances: dict[tuple[str, str], Balance] = {}
        limits: dict[str, Limit] = {}
        holdings: dict[int, Holding | None] = {}
        for entry in entries:
            if entry.kind == "limit":
                limits[entry.scope] = Limit(entry.picousd, entry.tokens)
            elif entry.kind != "send":
                old = holdings.get(entry.attempt)
                new = holdings[entry.attempt] = holding_after(entry, old)
                for scope in entry.scopes:
                    key = (entry.period, scope)
                    balances[key] = balances.get(key, Balance()).moved(old, new, entry.id)
        if self.limits(must_hold=True) != limits:
            raise LedgerDamaged(f"The limits are not those that were set. {REMEDY}")
        kept = {(row["period"], row["scope"]): row for row in self.store.read("SELECT * FROM balance")}
        if kept.keys() != balances.keys():
            raise LedgerDamaged(f"The entries of the ledger and its balances name different months. {REMEDY}")
        for (period, scope), balance in balances.items():
            if self.balance(scope, period, must_hold=True) != balance:
                raise LedgerDamaged(f"The balance of {scope} in {period} is not the sum of its entries. {REMEDY}")

    def _trusted(self) -> _Trusted:
        return _Trusted()


class _Trusted:
    """What SQLite cannot read, or not decode, is damage too."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Say that the ledger is damaged."""
        if isinstance(error, (StoreDamaged, sqlite3.DatabaseError, UnicodeDecodeError, TypeError)):
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (0, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_IOERR):
                raise LedgerDamaged(f"The ledger cannot be read ({error}). {REMEDY}") from error


def _check(entry: Entry, held: dict[str, Balance], limits: dict[str, Limit]) -> None:
    """Refuse what does not fit.

    Raises:
        OverBudget: the text says where, and by how much.
    """
    if not limits[TOTAL].is_set and entry.picousd:
        raise OverBudget("No monthly budget is set, so no paid engine runs. Set one: `sessiontrackd budget set 5usd`.")
    for scope, balance in held.items():
        why = problem(scope, balance, limits.get(scope, Limit()), entry)
        if why:
            kept = any(name.startswith(KEEP) for name in limits) and scope == TOTAL
            raise OverBudget(why + (KEPT if kept else ""), entry.picousd)


def _less(limit: int | None, kept: int | None) -> int | None:
    return None if limit is None else max(0, limit - (kept or 0))


def _chained(before: bytes, values: tuple[Any, ...]) -> bytes:
    return hashlib.sha256(before + msgspec.json.encode(values)).digest()


def _seal(values: tuple[Any, ...]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(values)).digest()[:16]
