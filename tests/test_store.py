"""The one SQLite file."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sessiontrackd.errors import Busy, StoreDamaged, StoreError
from sessiontrackd.store import Lease, Schema, Store, is_held, open_store

NOTES = Schema("notes", ("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;",))
GROWN = Schema(
    "notes", (*NOTES.migrations, "ALTER TABLE note ADD COLUMN at INTEGER; -- a ; here\nCREATE INDEX n ON note(at);")
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """The database, its log and its index are 0600, the folder is 0700."""
    path = tmp_path / "home" / "state" / "state.db"
    before = os.umask(umask)
    try:
        with open_store(path, NOTES) as store, store.immediate() as connection:
            connection.execute("INSERT INTO note(text) VALUES ('a')")
            found = {file.name: mode(file) for file in path.parent.iterdir()}
    finally:
        os.umask(before)

    assert found == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert mode(path.parent) == mode(path.parent.parent) == 0o700


def test_a_database_that_is_too_wide_is_tightened(tmp_path: Path) -> None:
    """Rights that others got are taken away when the file is opened."""
    path = tmp_path / "home" / "state.db"
    open_store(path, NOTES).close()
    path.chmod(0o644)
    path.parent.chmod(0o755)

    open_store(path).close()

    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_migrations_are_applied_once_and_appended(tmp_path: Path) -> None:
    """A newer schema brings the tables of an older one up to date and keeps their rows."""
    path = tmp_path / "state.db"
    with open_store(path, NOTES) as store, store.immediate() as connection:
        connection.execute("INSERT INTO note(text) VALUES ('kept')")

    with open_store(path, GROWN) as store:
        rows = store.read("SELECT text, at FROM note")

    assert [tuple(row) for row in rows] == [("kept", None)]


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    """All owners' migrations are one transaction."""
    wrong = Schema("other", ("CREATE TABLE half (a INTEGER) STRICT; CREATE TABLE half (a INTEGER) STRICT;",))
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        open_store(tmp_path / "state.db", NOTES, wrong)

    with open_store(tmp_path / "state.db") as store:
        assert store.read("SELECT name FROM sqlite_master") == []


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """An old program does not write into tables that it does not know."""
    open_store(tmp_path / "state.db", GROWN).close()

    with pytest.raises(StoreError, match="newer version"):
        open_store(tmp_path / "state.db", NOTES)


def test_sqlite_utils_is_imported_only_for_a_migration(tmp_path: Path) -> None:
    """An idle daemon does not carry what only migrations need."""
    open_store(tmp_path / "state.db", NOTES).close()
    code = (
        "import sys; from pathlib import Path; from sessiontrackd.store import *\n"
        f"open_store(Path({str(tmp_path / 'state.db')!r}), Schema('notes', ('x',))).read('SELECT * FROM note')\n"
        "assert 'sqlite_utils' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_tables_are_strict(tmp_path: Path) -> None:
    """A float does not fit an integer column."""
    with (
        open_store(tmp_path / "state.db", GROWN) as store,
        pytest.raises(sqlite3.IntegrityError, match="REAL"),
        store.immediate() as connection,
    ):
        connection.execute("INSERT INTO note(text, at) VALUES ('a', 0.5)")


def test_an_exception_undoes_the_transaction(tmp_path: Path) -> None:
    """Nothing of a block that failed is kept, and the store stays usable."""
    with open_store(tmp_path / "state.db", NOTES) as store:
        with pytest.raises(KeyboardInterrupt), store.immediate() as connection:
            connection.execute("INSERT INTO note(text) VALUES ('a')")
            raise KeyboardInterrupt

        assert store.read("SELECT * FROM note") == []


def test_an_inner_transaction_joins_the_outer(tmp_path: Path) -> None:
    """What two rooms write in one block stands or falls together."""
    with open_store(tmp_path / "state.db", NOTES) as store:
        with pytest.raises(ValueError, match="stop"), store.immediate() as connection:
            with store.immediate() as inner:
                inner.execute("INSERT INTO note(text) VALUES ('a')")
            connection.execute("INSERT INTO note(text) VALUES ('b')")
            raise ValueError("stop")

        assert store.one("SELECT count(*) FROM note")[0] == 0  # type: ignore[index]


def test_a_durable_transaction_syncs_its_commit(tmp_path: Path) -> None:
    """Money is written with synchronous=FULL, the rest with NORMAL."""
    with open_store(tmp_path / "state.db", NOTES) as store:
        found = []
        for durable in (True, False, True):
            with store.immediate(durable=durable) as connection:
                found.append(connection.execute("PRAGMA synchronous").fetchone()[0])

    assert found == [2, 1, 2]


def test_a_locked_database_is_told_as_busy(tmp_path: Path) -> None:
    """The caller learns that another process holds the file, in words."""
    path = tmp_path / "state.db"
    with (
        open_store(path, NOTES) as holder,
        open_store(path, timeout_s=0.01) as other,
        holder.immediate(),
        pytest.raises(Busy, match="locked by another process"),
        other.immediate(),
    ):
        pass


def test_a_damaged_database_is_told_with_the_remedy(tmp_path: Path) -> None:
    """A file that is no database names the way back."""
    path = tmp_path / "state.db"
    path.write_bytes(random.Random(1).randbytes(8192))

    with pytest.raises(StoreDamaged, match="budget restore"):
        open_store(path, NOTES)


def test_text_that_is_no_utf8_is_damage(tmp_path: Path) -> None:
    """Bytes that were overwritten are told like other damage, whatever reads them."""
    with open_store(tmp_path / "state.db", NOTES) as store:
        for read in (store.read, store.one):
            with pytest.raises(StoreDamaged, match="budget restore"):
                read("SELECT CAST(x'ff' AS TEXT)")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is a file gives one clear sentence."""
    (tmp_path / "home").write_text("a file")

    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path / "home" / "state.db", NOTES)


def test_each_thread_has_its_own_connection(tmp_path: Path) -> None:
    """Threads write through one store without sharing a connection."""
    with open_store(tmp_path / "state.db", NOTES) as store:

        def write() -> None:
            for _ in range(20):
                with store.immediate() as connection:
                    connection.execute("INSERT INTO note(text) VALUES ('a')")

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [row[0] for row in store.read("SELECT count(*) FROM note")] == [80]


def _open_and_write(path: Path) -> None:
    with open_store(path, GROWN) as store, store.immediate() as connection:
        connection.execute("INSERT INTO note(text) VALUES ('a')")


def test_processes_that_open_a_new_database_at_once_all_succeed(tmp_path: Path) -> None:
    """The first start of daemon and command line together loses nothing."""
    path = tmp_path / "home" / "state.db"
    with multiprocessing.get_context("fork").Pool(6) as pool:
        pool.map(_open_and_write, [path] * 12, chunksize=1)

    with Store(path) as store:
        assert [row[0] for row in store.read("SELECT count(*) FROM note")] == [12]


def test_a_backup_is_a_whole_private_database(tmp_path: Path) -> None:
    """A copy is complete, 0600, and replaces the one before."""
    with open_store(tmp_path / "state.db", NOTES) as store:
        for _ in range(2):
            with store.immediate() as connection:
                connection.execute("INSERT INTO note(text) VALUES ('a')")
            store.back_up(tmp_path / "backup" / "copy.db")

    copy = tmp_path / "backup" / "copy.db"
    with Store(copy) as store:
        assert [row[0] for row in store.read("SELECT count(*) FROM note")] == [2]
    assert (mode(copy), sorted(file.suffix for file in copy.parent.iterdir())) == (0o600, [".db"])


def test_a_store_survives_a_fork(tmp_path: Path) -> None:
    """A child process opens its own connection instead of using its parent's."""
    with open_store(tmp_path / "state.db", NOTES) as store:
        assert store.read("SELECT * FROM note") == []
        child = os.fork()
        if child == 0:
            with store.immediate() as connection:
                connection.execute("INSERT INTO note(text) VALUES ('child')")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

        assert [row[0] for row in store.read("SELECT text FROM note")] == ["child"]


def in_child(work: Callable[[], None]) -> int:
    """Start a child process that ends by SIGKILL; return its number once it is dead."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return child


def hold(folder: Path) -> None:
    Lease(folder)


def test_a_lease_is_held_until_its_process_ends(tmp_path: Path) -> None:
    """The kernel releases it; what the dead left is swept up by the next."""
    in_child(lambda: hold(tmp_path))
    left = next(tmp_path.iterdir())
    assert not is_held(left)

    with Lease(tmp_path) as lease:
        assert is_held(tmp_path / lease.owner)
        assert [path.name for path in tmp_path.iterdir()] == [lease.owner]
    assert list(tmp_path.iterdir()) == []


def test_a_store_tells_its_process_from_the_dead(tmp_path: Path) -> None:
    """The owner is alive until its store is closed; a child process has its own."""
    with open_store(tmp_path / "state.db") as store, Store(tmp_path / "state.db") as other:
        owner = store.owner
        assert (other.is_alive(owner), other.is_alive("1-dead"), other.owner == owner) == (True, False, False)

    with Store(tmp_path / "state.db") as later:
        assert not later.is_alive(owner)


def test_a_store_that_nobody_holds_any_more_is_closed(tmp_path: Path) -> None:
    """Whoever forgets to close leaves neither a connection nor a lease behind."""
    store = open_store(tmp_path / "state.db")
    connection, lease = store.connection, tmp_path / "workers" / store.owner
    assert lease.exists()
    del store

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
    assert not lease.exists()
