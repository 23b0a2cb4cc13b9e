"""Which transcripts wait, run, are done, held or failed. Any number of processes may share it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import structs

from sessiontrackd.errors import StoreError
from sessiontrackd.model import Degraded, Fingerprint, Job, JobState
from sessiontrackd.queue._tables import EPOCH, SCHEMA, at_of, degraded_of, fingerprint_of, job_of, ms_of, written
from sessiontrackd.store import Lease, Store, is_held

__all__ = ["CRASHES_MOST", "GROWING_LOOK_S", "SCHEMA", "SWITCHES", "UNFINISHED", "Queue"]

CRASHES_MOST = 3  # a transcript that ended this many workers is not given to a fourth
GROWING_LOOK_S = 20.0  # between two looks at what the transcript of a session that goes on records
UNFINISHED = ("waiting", "running")
SWITCHES = {"paused": False, "ai": True}  # with their state on a new machine

_OFFER = """
INSERT INTO job
    (path, display, fingerprint, folder, state, not_before_at, waiting_at, level, engine, again, named, ended)
VALUES
    (:path, :display, :fingerprint, :folder, 'waiting', :not_before_at, :now, :level, :engine, :again, :named, :ended)
"""
_OFFER_ANEW = """
UPDATE job SET
    display = :display, fingerprint = :fingerprint, folder = :folder,
    level = CASE WHEN :asked OR state NOT IN ('waiting', 'running') THEN :level ELSE level END,
    engine = CASE WHEN :asked OR state NOT IN ('waiting', 'running') THEN :engine ELSE engine END,
    again = CASE state WHEN 'waiting' THEN max(again, :again) ELSE :again END,
    named = CASE state WHEN 'waiting' THEN max(named, :named) ELSE :named END,
    changed = state = 'running',
    waiting_at = CASE state WHEN 'waiting' THEN waiting_at ELSE :now END,
    attempts = CASE state WHEN 'running' THEN attempts ELSE 0 END,
    crashes = CASE state WHEN 'running' THEN crashes ELSE 0 END,
    reason = CASE state WHEN 'running' THEN reason ELSE NULL END,
    ended = max(ended, :ended),
    not_before_at = CASE WHEN state != 'waiting' OR :asked OR :ended THEN :not_before_at
        WHEN grows THEN min(not_before_at, max(:not_before_at, finished_at + :look_ms))
        ELSE max(not_before_at, :not_before_at) END,
    state = CASE state WHEN 'running' THEN 'running' ELSE 'waiting' END
WHERE path = :path
"""
_NEXT = """
SELECT * FROM job
WHERE state = 'waiting' AND not_before_at <= :now AND named >= :least_named AND (:path IS NULL OR path = :path)
ORDER BY named DESC, waiting_at, id LIMIT 1
"""


class Queue:
    """The jobs in the store.

    Args:
        store: opened with SCHEMA.
        now: the clock.
        workers: the folder of the leases; beside the database unless said otherwise.
    """

    def __init__(
        self, store: Store, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), workers: Path | None = None
    ) -> None:
        """Keep the parts."""
        self._store = store
        self._now = now
        self._workers = workers or (store.path.parent / "workers" if store.path else None)

    def offer(
        self,
        path: bytes,
        display: str,
        fingerprint: Fingerprint,
        folder: str | None,
        *,
        level: str | None = None,
        engine: str | None = None,
        again: bool = False,
        named: bool = False,
        finished: bool = False,
        delay_s: float = 0.0,
        ended: bool = False,
    ) -> bool:
        """Let a transcript wait for its turn if it is new, has changed, or a person asked for it.

        One that is worked on just now waits again as soon as that is done.

        Args:
            path: as the kernel takes it.
            display: as people read it.
            fingerprint: how the file looks now.
            folder: the watched folder it lies in.
            level: asked for by name; else the folder's.
            engine: asked for by name; else the folder's.
            again: make the insight anew.
            named: a person asked for this path; it goes first, and an unchanged one is offered too.
            finished: a person asked for its folder; an unchanged one that is done is offered too.
            delay_s: not before then, because the file is not yet at rest.
            ended: its session does not go on, so that nothing is to be waited for.

        Returns:
            Whether it now waits (or will, when the present work on it is done).
        """
        seen = written(fingerprint)
        now = ms_of(self._now())
        values = {
            "path": path, "display": display, "fingerprint": seen, "folder": folder, "level": level, "engine": engine,
            "again": again, "named": named, "now": now, "not_before_at": self._due_ms(delay_s) if delay_s else 0,
            "look_ms": int(GROWING_LOOK_S * 1000), "ended": ended,
            "asked": named or again or level is not None or engine is not None,
        }  # fmt: skip
        with self._store.immediate() as connection:
            known = connection.execute("SELECT fingerprint, state FROM job WHERE path = ?", (path,)).fetchone()
            if known is None:
                connection.execute(_OFFER, values)
            elif (
                known["fingerprint"] != seen
                or values["asked"]
                or (ended and known["state"] in UNFINISHED)
                or (finished and known["state"] == "done")
            ):
                connection.execute(_OFFER_ANEW, values)
            else:
                return False
        return True

    def take(self, owner: str, *, path: bytes | None = None) -> Job | None:
        """Start the next job: what a person named goes first, then the one that waits longest.

        While work is paused only what a person named is given out: named jobs, and one asked for by its path.

        Args:
            owner: the lease of the caller, which tells whether it still lives.
            path: this transcript or none.
        """
        args = {"now": ms_of(self._now()), "path": path, "least_named": 0}
        with self._store.immediate() as connection:
            args["least_named"] = int(path is None and self.is_on("paused"))
            row = connection.execute(_NEXT, args).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE job SET state = 'running', owner = ?, attempts = attempts + 1, changed = 0, reason = NULL "
                "WHERE id = ?",
                (owner, row["id"]),
            )
        return structs.replace(job_of(row), state=JobState.RUNNING, attempts=row["attempts"] + 1, reason=None)

    def finish(
        self,
        job: Job,
        state: JobState,
        reason: str | None = None,
        delay_s: float = 0.0,
        *,
        read: Fingerprint | None = None,
        content_sha256: str | None = None,
        grows: bool = False,
    ) -> JobState:
        """End the work on a job, or put it off.

        Args:
            job: as `take` gave it; one that is no longer this caller's is left alone.
            state: where it goes.
            reason: why, in words for people.
            delay_s: a waiting one is not given out before then.
            read: how the file looked when it was read. Where that is how it was last seen, a change that was
                noticed meanwhile is already in the work.
            content_sha256: of what was read.
            grows: it waits because its session goes on; when its file changes it is looked at before its time.

        Returns:
            Where it went: a job whose file changed meanwhile waits again.
        """
        now = ms_of(self._now())
        with self._store.immediate() as connection:
            row = connection.execute(
                "SELECT * FROM job WHERE id = ? AND state = 'running' AND attempts = ?", (job.id, job.attempts)
            ).fetchone()
            if row is None:
                return state
            is_put_off = state is JobState.WAITING
            if grows and row["changed"]:
                delay_s = min(delay_s, GROWING_LOOK_S)
            if _is_to_do_again(row, read) and not is_put_off:
                state, reason = JobState.WAITING, None
            connection.execute(
                "UPDATE job SET state = :state, reason = :reason, owner = NULL, changed = 0, crashes = 0, "
                "not_before_at = CASE WHEN :put_off THEN :due WHEN :waits THEN not_before_at ELSE 0 END, "
                "attempts = CASE WHEN :put_off AND NOT changed OR :state IN ('failed', 'held') THEN attempts ELSE 0 END, "
                "waiting_at = CASE WHEN :waits THEN :now ELSE waiting_at END, "
                "named = named AND :waits, again = again AND :waits, finished_at = :now, grows = :grows, "
                "ended = ended AND :waits, "
                "fingerprint = CASE WHEN :read IS NULL OR changed THEN fingerprint ELSE :read END, "
                "content_sha256 = coalesce(:content_sha256, content_sha256) WHERE id = :id",
                {
                    "state": state, "reason": reason, "put_off": is_put_off, "waits": state is JobState.WAITING,
                    "due": self._due_ms(delay_s), "now": now, "read": written(read) if read else None,
                    "content_sha256": content_sha256, "id": job.id, "grows": grows,
                },
            )  # fmt: skip
        return state

    def _due_ms(self, delay_s: float) -> int:
        """Return the first millisecond that is not before the end of the delay."""
        return -((EPOCH - self._now() - timedelta(seconds=delay_s)) // timedelta(milliseconds=1))

    def recover(self) -> int:
        """Give back the jobs of processes that died, behind those that wait already; call it at every start.

        Returns:
            How many.
        """
        dead = self._dead()
        if not dead:
            return 0
        reason = f"{CRASHES_MOST} workers ended while they worked on it. `sessiontrackd retry` tries again."
        given_back = 0
        with self._store.immediate() as connection:
            for owner in dead:
                given_back += connection.execute(
                    "UPDATE job SET owner = NULL, changed = 0, crashes = crashes + 1, waiting_at = :now, "
                    "state = CASE WHEN crashes + 1 >= :most THEN 'failed' ELSE 'waiting' END, "
                    "reason = CASE WHEN crashes + 1 >= :most THEN :reason END "
                    "WHERE state = 'running' AND owner IS :owner",
                    {"most": CRASHES_MOST, "reason": reason, "owner": owner, "now": ms_of(self._now())},
                ).rowcount
        return given_back

    def abandoned(self) -> set[int]:
        """Return the ids of jobs that run no longer, for their process died; `recover` gives them back."""
        running, dead = self._store.read("SELECT id, owner FROM job WHERE state = 'running'"), self._dead()
        return {row["id"] for row in running if row["owner"] in dead}

    def jobs(self, states: Collection[JobState] | None = None, limit: int = -1) -> list[Job]:
        """Return jobs, the latest change first; all of them by default."""
        wanted = tuple(JobState) if states is None else tuple(states)
        marks = ", ".join("?" * len(wanted))
        rows = self._store.read(
            f"SELECT * FROM job WHERE state IN ({marks}) ORDER BY coalesce(finished_at, waiting_at) DESC, id DESC LIMIT ?",
            (*wanted, limit),
        )
        return [job_of(row) for row in rows]

    def job(self, path: bytes) -> Job | None:
        """Return the job of this path."""
        row = self._store.one("SELECT * FROM job WHERE path = ?", (path,))
        return job_of(row) if row else None

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs stand where."""
        found = {row[0]: row[1] for row in self._store.read("SELECT state, count(*) FROM job GROUP BY state")}
        return {state: found.get(state.value, 0) for state in JobState}

    def fingerprints(self, folder: str | None = None) -> dict[bytes, Fingerprint]:
        """Return how each known file looked when it was last seen, in one folder or in all."""
        where = "" if folder is None else "WHERE folder = ?"
        rows = self._store.read(f"SELECT path, fingerprint FROM job {where}", () if folder is None else (folder,))
        return {row["path"]: fingerprint_of(row["fingerprint"]) for row in rows}

    def content_sha256(self, path: bytes) -> str | None:
        """Return the digest of what was last read from this path."""
        row = self._store.one("SELECT content_sha256 FROM job WHERE path = ?", (path,))
        return row[0] if row else None

    def retry(self, path: bytes | None = None) -> int:
        """Let failed and held jobs wait for their turn again; all of them, or the one of this path.

        Returns:
            How many.
        """
        with self._store.immediate() as connection:
            return connection.execute(
                "UPDATE job SET state = 'waiting', reason = NULL, attempts = 0, crashes = 0, not_before_at = 0, "
                "waiting_at = :now, named = :path IS NOT NULL "
                "WHERE state IN ('failed', 'held') AND (:path IS NULL OR path = :path)",
                {"path": path, "now": ms_of(self._now())},
            ).rowcount

    def release(self, reason: str) -> int:
        """Let the jobs wait again that are held for this very reason; return how many."""
        with self._store.immediate() as connection:
            return connection.execute(
                "UPDATE job SET state = 'waiting', reason = NULL, attempts = 0, not_before_at = 0, waiting_at = ? "
                "WHERE state = 'held' AND reason = ?",
                (ms_of(self._now()), reason),
            ).rowcount

    def hasten(self, paths: Collection[bytes]) -> None:
        """Let these jobs, where they wait, be taken at once."""
        with self._store.immediate() as connection:
            connection.executemany(
                "UPDATE job SET not_before_at = 0 WHERE state = 'waiting' AND path = ?", [(path,) for path in paths]
            )

    def degrade(self, job: Job, degraded: Degraded | None) -> None:
        """Note what a transcript got less than was asked for; None: nothing, any more."""
        with self._store.immediate() as connection:
            if degraded is None:
                connection.execute("DELETE FROM degraded WHERE job = ?", (job.id,))
                return
            values = (job.id, degraded.level, degraded.engine, degraded.given, degraded.period)
            amounts = (degraded.sessions, degraded.cost_picousd)
            connection.execute("INSERT OR REPLACE INTO degraded VALUES (?, ?, ?, ?, ?, ?, ?)", values + amounts)

    def degraded(self) -> list[tuple[Job, Degraded]]:
        """Return what was degraded and is done, the latest first; what is held or waits again tells so itself."""
        rows = self._store.read(
            "SELECT job.*, d.level AS asked_level, d.engine AS asked_engine, given, period, sessions, cost_picousd "
            "FROM degraded AS d JOIN job ON job.id = d.job WHERE state = 'done' ORDER BY finished_at DESC, job.id DESC"
        )
        return [(job_of(row), degraded_of(row)) for row in rows]

    def upgrade(self, path: bytes | None = None, *, before: str | None = None, held_only: bool = False) -> int:
        """Let what was degraded wait for its turn again, as it was asked for at first.

        Args:
            path: the one of this path; else all.
            before: only what was degraded in an earlier month than this one.
            held_only: only what is held until then.

        Returns:
            How many.
        """
        with self._store.immediate() as connection:
            return connection.execute(
                "UPDATE job SET state = 'waiting', reason = NULL, attempts = 0, crashes = 0, not_before_at = 0, "
                "waiting_at = :now WHERE (state = 'held' OR (state = 'done' AND NOT :held_only)) "
                "AND (:path IS NULL OR path = :path) "
                "AND id IN (SELECT job FROM degraded WHERE :before IS NULL OR period < :before)",
                {"path": path, "before": before, "held_only": held_only, "now": ms_of(self._now())},
            ).rowcount

    def look_again(self, path: bytes) -> None:
        """Let a transcript that is done wait again, although it has not changed."""
        with self._store.immediate() as connection:
            connection.execute(
                "UPDATE job SET state = 'waiting', attempts = 0, not_before_at = 0, waiting_at = ? "
                "WHERE path = ? AND state = 'done'",
                (ms_of(self._now()), path),
            )

    def leave(self, path: bytes, reason: str) -> None:
        """Leave a transcript alone until it changes or a person names it."""
        with self._store.immediate() as connection:
            connection.execute(
                "UPDATE job SET state = 'skipped', reason = ?, content_sha256 = NULL WHERE path = ? AND state != 'running'",
                (reason, path),
            )

    def forget(self, path: bytes) -> bool:
        """Remove a job; its file counts as new when it is seen again. Return whether it was known."""
        with self._store.immediate() as connection:
            return connection.execute("DELETE FROM job WHERE path = ?", (path,)).rowcount > 0

    def next_due(self) -> datetime | None:
        """Return when the next waiting job may be taken (it may have passed), or None where none waits."""
        row = self._store.one(
            "SELECT min(not_before_at) FROM job WHERE state = 'waiting' AND named >= ?", (int(self.is_on("paused")),)
        )
        return None if row is None or row[0] is None else at_of(row[0])

    def is_on(self, switch: str) -> bool:
        """Say how a switch stands: `paused` or `ai`."""
        row = self._store.one("SELECT is_on FROM switch WHERE name = ?", (switch,))
        return SWITCHES[switch] if row is None else bool(row[0])

    def turn(self, switch: str, on: bool) -> bool:
        """Set a switch and return how it stood before."""
        with self._store.immediate() as connection:
            before = self.is_on(switch)
            connection.execute("INSERT OR REPLACE INTO switch VALUES (?, ?)", (switch, on))
        return before

    def lease(self) -> Lease:
        """Return a new lease for this process, to be given to `take` and kept as long as it works."""
        if self._workers is None:
            raise StoreError("a queue in memory has no leases")
        return Lease(self._workers)

    def _dead(self) -> list[str | None]:
        """Return the owners of running jobs that do not live."""
        owners = [row[0] for row in self._store.read("SELECT DISTINCT owner FROM job WHERE state = 'running'")]
        return [owner for owner in owners if owner is None or not self._is_alive(owner)]

    def _is_alive(self, owner: str) -> bool:
        return self._workers is not None and is_held(self._workers / owner)


def _is_to_do_again(row: sqlite3.Row, read: Fingerprint | None) -> bool:
    """Say whether what changed while the job ran is not in the work already, or a person asked for it meanwhile."""
    is_in_the_work = read is not None and written(read) == row["fingerprint"] and not row["named"]
    return bool(row["changed"]) and not is_in_the_work
