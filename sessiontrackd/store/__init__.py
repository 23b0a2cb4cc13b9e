"""The one SQLite file: open, migrate, BEGIN IMMEDIATE, back up."""

from __future__ import annotations

import contextlib
import os
import pwd
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from sessiontrackd.errors import Busy, SessiontrackdError, StoreDamaged, StoreError, StoreFull
from sessiontrackd.store._lease import Lease, is_held
from sessiontrackd.store._private import PRIVATE_FILE, PRIVATE_FOLDER, create_private, private_folder

__all__ = ["Lease", "Schema", "Store", "is_held", "open_store", "private_folder"]

BUSY_TIMEOUT_S = 30.0  # a writer holds the lock for milliseconds; longer means that something hangs
WORKERS = "workers"  # the folder of the leases, beside the database
READING = (sqlite3.Error, UnicodeDecodeError)  # what damaged bytes raise while they are read
RETRY_S = 0.02  # switching to WAL answers "locked" at once, whatever the timeout


class Schema(Struct, frozen=True):
    """The tables of one owner. `migrations` are SQL scripts; append to them, never change one."""

    name: str
    migrations: tuple[str, ...]


class Store:
    """The open database. Each thread has its own connection; every error is told in words for people."""

    def __init__(self, path: Path | None, timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Keep the place; None is a database in memory, which belongs to the thread that asks first."""
        self.path = path
        self._timeout_s = timeout_s
        self._own = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._pid = os.getpid()
        self._lease: Lease | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection; prefer `read` and `immediate`."""
        self._notice_fork()
        connection: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            with self._told((*READING, OSError)):
                connection = self._own.connection = self._connect()
            self._own.synchronous = None
            self._all.append(connection)
        return connection

    def read(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        connection = self.connection
        try:  # without `_told`, which takes longer than most queries
            return connection.execute(sql, args).fetchall()
        except READING as error:
            self._tell(error)
            raise

    def one(self, sql: str, args: Sequence[Any] | dict[str, Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        connection = self.connection
        try:
            row: sqlite3.Row | None = connection.execute(sql, args).fetchone()
        except READING as error:
            self._tell(error)
            raise
        return row

    @contextlib.contextmanager
    def immediate(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Run the block in one write transaction; an exception undoes all of it.

        BEGIN IMMEDIATE takes the write lock before the first read, so that what is read still holds when it is
        acted on. Inside another such block it joins that one.

        Args:
            durable: the commit survives a power cut (synchronous=FULL); without it only a crash of the program.

        Raises:
            Busy: another process held the lock for the whole timeout.
            StoreError: the database cannot be written.
        """
        connection = self.connection
        if connection.in_transaction:
            if durable and self._own.synchronous != "FULL":
                raise AssertionError("a durable transaction cannot join one that is not")
            yield connection
            return
        with self._told():
            self._begin(connection, "FULL" if durable else "NORMAL")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()  # does nothing where SQLite itself has rolled back
                raise

    @property
    def owner(self) -> str:
        """The lease by which other processes tell that this one lives; it is taken when it is first asked for."""
        self._notice_fork()
        if self.path is None:
            return "memory"
        if self._lease is None:
            with self._told((OSError,)):
                self._lease = Lease(self.path.parent / WORKERS)
        return self._lease.owner

    def is_alive(self, owner: str) -> bool:
        """Say whether the process with this lease still lives."""
        return owner == "memory" if self.path is None else is_held(self.path.parent / WORKERS / owner)

    def damage(self) -> list[str]:
        """Return what SQLite's own check finds wrong; it notices about a quarter of flipped bytes."""
        connection = self.connection
        try:
            rows = connection.execute("PRAGMA quick_check").fetchall()
        except sqlite3.DatabaseError as error:
            return [str(error)]
        return [row[0] for row in rows if row[0] != "ok"]

    def scrub(self) -> None:
        """Write the file anew without what was deleted, so that it stands in no free page and no log."""
        connection = self.connection
        with self._told():
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def back_up(self, target: Path) -> None:
        """Write a whole, consistent copy to `target`, replacing it at once when it is complete."""
        partial = target.with_name(target.name + ".part")
        with self._told((sqlite3.Error, OSError)):
            private_folder(target.parent)
            partial.unlink(missing_ok=True)
            create_private(partial)
            with contextlib.closing(sqlite3.connect(partial)) as copy:
                self.connection.backup(copy)
            partial.replace(target)

    def close(self) -> None:
        """Close the connections of all threads."""
        if self._pid == os.getpid():
            for connection in self._all:
                connection.close()
            if self._lease:
                self._lease.release()
        self._own, self._all, self._lease = threading.local(), [], None

    def __enter__(self) -> Store:
        """Close at the end of a with block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __del__(self) -> None:
        """Close: who makes a `TokenManager` for a moment does not know of us."""
        self.close()

    def _notice_fork(self) -> None:
        """Start anew in a child process: SQLite forbids carrying a connection over a fork."""
        if self._pid != os.getpid():
            self._own, self._all, self._pid, self._lease = threading.local(), [], os.getpid(), None

    def _begin(self, connection: sqlite3.Connection, synchronous: str) -> None:
        """Take the write lock; how firmly it commits can only be set before."""
        if self._own.synchronous != synchronous:
            connection.execute(f"PRAGMA synchronous={synchronous}")
            self._own.synchronous = synchronous
        connection.execute("BEGIN IMMEDIATE")

    def _connect(self) -> sqlite3.Connection:
        """Open a connection in autocommit mode, set up as this program needs it."""
        if self.path is not None and not self.path.exists():
            private_folder(self.path.parent)
            create_private(self.path)
        name = ":memory:" if self.path is None else os.fspath(self.path)
        connection = sqlite3.connect(name, timeout=self._timeout_s, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys=ON")
            if self.path is not None:
                self._use_wal(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Switch to the write-ahead log, which is remembered in the file."""
        deadline = time.monotonic() + self._timeout_s
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode=WAL").fetchone()
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(RETRY_S)

    @contextlib.contextmanager
    def _told(self, kinds: tuple[type[Exception], ...] = (sqlite3.Error,)) -> Iterator[None]:
        """Turn what SQLite raises into an error for people."""
        try:
            yield
        except kinds as error:
            self._tell(error)
            raise

    def _tell(self, error: Exception) -> None:
        """Raise the error for people in place of what SQLite raised; nothing for a fault of the program itself."""
        told = _for_people(error, self.path)
        if told is not None:
            raise told from error


def open_store(path: Path | None, *schemas: Schema, timeout_s: float = BUSY_TIMEOUT_S) -> Store:
    """Open the database, make it if it is missing, and bring the given owners' tables up to date.

    The file is 0600 in a 0700 folder whatever the umask (SQLite gives -wal and -shm the mode of the file).

    Args:
        path: None for a database in memory.
        schemas: the tables that the caller is going to use.
        timeout_s: how long to wait for another process.

    Raises:
        Busy: another process held the lock for the whole timeout.
        StoreError: it cannot be opened, or was made by a newer version.
    """
    store = Store(path, timeout_s)
    try:
        if path is not None:
            store.connection  # noqa: B018  (opening it makes the file)
            _tighten(path)
        if any(_is_due(store, schema) for schema in schemas):
            _migrate(store, schemas)
    except BaseException:
        store.close()
        raise
    return store


def _tighten(path: Path) -> None:
    """Take the rights of others away from a database and its folder that were made too wide."""
    with contextlib.suppress(PermissionError):
        for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(PRIVATE_FILE)
        if _is_ours(path.parent):
            path.parent.chmod(PRIVATE_FOLDER)


def _is_ours(folder: Path) -> bool:
    """Say whether the folder is wider than it must be and no place that others share: /, /tmp, the user's home."""
    found = folder.stat()
    shared = found.st_mode & stat.S_ISVTX or folder == Path(folder.anchor)
    if shared or found.st_uid != os.getuid() or not stat.S_IMODE(found.st_mode) & 0o077:
        return False
    try:
        return folder.resolve() != Path(pwd.getpwuid(os.getuid()).pw_dir).resolve()
    except KeyError:
        return True


def _is_due(store: Store, schema: Schema) -> bool:
    """Say whether migrations of this owner are missing; refuse a database of a newer version."""
    known = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlite_migrations'"
    applied = 0
    if store.read(known)[0][0]:
        applied = store.read("SELECT count(*) FROM _sqlite_migrations WHERE migration_set = ?", (schema.name,))[0][0]
    if applied > len(schema.migrations):
        raise StoreError(
            f"{store.path} was written by a newer version of sessiontrackd (its {schema.name} tables are at "
            f"{applied}, this version knows {len(schema.migrations)}). Install that version again, or use another --home."
        )
    return applied < len(schema.migrations)


def _migrate(store: Store, schemas: Sequence[Schema]) -> None:
    """Apply what is missing, all or nothing, one process at a time."""
    from sqlite_utils import Database, Migrations

    with store.immediate(durable=True) as connection:
        database = Database(connection, execute_plugins=False)
        for schema in schemas:
            steps = Migrations(schema.name)
            for number, script in enumerate(schema.migrations, start=1):
                steps(name=f"{number:03}")(_Script(f"{schema.name}_{number:03}", script))
            steps.apply(database)


class _Script:
    """A migration made of SQL statements, as sqlite-utils calls it."""

    def __init__(self, name: str, script: str) -> None:
        """Keep the script and a name for error messages."""
        self.__name__ = name
        self._script = script

    def __call__(self, database: Any) -> None:
        """Run the statements one by one: `executescript` would commit the transaction around them."""
        for statement in _statements(self._script):
            database.conn.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Split a script at the semicolons that end a statement."""
    statement = ""
    for piece in script.split(";")[:-1]:
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _code(error: Exception) -> int:
    """Return SQLite's primary result code, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _for_people(error: Exception, path: Path | None) -> SessiontrackdError | None:
    """Say what happened, what it means and what to do; None for a fault of the program itself."""
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Busy(f"{path} is locked by another process, so nothing was changed. Try again when it is done.")
    if code == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == 28:
        return StoreFull(
            f"The disk that holds {path} is full, so nothing was written. Free some space; work goes on by itself."
        )
    undecodable = isinstance(error, UnicodeDecodeError) or str(error).startswith("Could not decode to UTF-8")
    if undecodable or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreDamaged(
            f"{path} is damaged ({error}), so nothing was changed. Restore the newest daily backup: "
            "`sessiontrackd budget restore`; it keeps the damaged file beside it."
        )
    if code == sqlite3.SQLITE_READONLY or isinstance(error, PermissionError):
        return StoreError(f"{path} cannot be written ({error}). Give yourself write access to it and to its folder.")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PERM) or isinstance(error, OSError):
        return StoreError(
            f"{path} cannot be opened ({error}). Check that its folder exists and is yours, or use another --home."
        )
    return None
