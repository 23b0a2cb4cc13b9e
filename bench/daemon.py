"""Measure the real daemon on a temporary home: time to a note, memory at rest, and what a kill loses. Linux."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from sessiontrackd import budget, config
from sessiontrackd.config import Home
from sessiontrackd.store import open_store

DROPPED = 20
KILLED = 50
KILLED_AFTER = 10  # notes on disk, so that the kill falls into the middle
STABLE_S = 2.0  # the default of a folder
WORKER_IDLE_S = 5.0  # longer than the rest between two drops, so that the worker stays warm; the default is 60
PATIENCE_S = 60.0
POLL_S = 0.02
SAMPLE = (resources.files("sessiontrackd") / "samples" / "tide-import.jsonl").read_text(encoding="utf-8")
SAMPLE_ID = "7d1c4b52-0f3e-4a86-9b1d-2c5e8a6f4e10"


def until(is_so: Callable[[], object], what: str) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not happen in {PATIENCE_S:.0f} s")
        time.sleep(POLL_S)


@contextmanager
def daemon(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """Run `sessiontrackd run` on a home."""
    words = [sys.executable, "-m", "sessiontrackd", "--home", str(home.root), "run"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: (config.heard(home) or {}).get("folders"), "the daemon's start")
        yield process
    finally:
        process.terminate()
        process.wait()


def drop(folder: Path, number: int) -> Path:
    """Put a small transcript of its own session into the folder, whole."""
    partial, path = folder / f".{number}.tmp", folder / f"{number:02}.jsonl"
    text = SAMPLE.replace(SAMPLE_ID, f"{number:08}{SAMPLE_ID[8:]}").replace("on Sunday", f"on Sunday {number}")
    partial.write_text(text, encoding="utf-8")  # of its own: a copy would get its note from the stored insight
    partial.rename(path)
    return path


def note_of(path: Path) -> Path:
    """Return where the note of a transcript will stand."""
    return path.with_name(f"{path.name}.insights.md")


def lateness_ms(folder: Path, number: int) -> float:
    """Drop one transcript; return how long after the end of its stable time the note had its name."""
    path = drop(folder, number)
    until(note_of(path).exists, "a note")
    return (note_of(path).stat().st_ctime_ns - path.stat().st_mtime_ns) / 1e6 - STABLE_S * 1000


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that this one started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def resident_mb(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process, and the part of it that no file backs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {line.partition(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssAnon"))}
    return kib["VmRSS"] * 1024 / 1e6, kib["RssAnon"] * 1024 / 1e6


def measure_lateness(root: Path) -> None:
    """Print times to a note and the memory of the daemon before its first job and after its last."""
    home, folder = Home.find(root / "home"), root / "talks"
    folder.mkdir()
    config.add_folder(home, folder)
    config.set_value(home, "daemon.worker_idle_s", WORKER_IDLE_S)
    with daemon(home) as process:
        print(
            "daemon that has had no job: {:.1f} MB resident, {:.1f} of them its own".format(*resident_mb(process.pid))
        )
        cold = lateness_ms(folder, 0)
        late = sorted(lateness_ms(folder, number) for number in range(1, DROPPED + 1))
        (worker,) = children(process)
        print("its worker, warm: {:.1f} MB resident, {:.1f} of them its own".format(*resident_mb(worker)))
        until(lambda: not children(process), "the worker's end")
        print(f"idle daemon after {DROPPED + 1} jobs: {resident_mb(process.pid)[0]:.1f} MB resident")
    print(
        f"{DROPPED} transcripts one by one, from the end of the stable time to the note on disk: "
        f"median {statistics.median(late):.0f} ms, p95 {late[round(0.95 * DROPPED) - 1]:.0f} ms, most {late[-1]:.0f} ms; "
        f"the first, which starts the worker: {cold:.0f} ms"
    )


def measure_kill(root: Path) -> None:
    """Kill daemon and worker in the middle of their work; print what the next run makes of it."""
    home, folder = Home.find(root / "killed"), root / "many"
    folder.mkdir()
    config.add_folder(home, folder)
    for number in range(KILLED):
        os.utime(drop(folder, number), (1_700_000_000, 1_700_000_000))
    with daemon(home) as process:
        until(lambda: len(list(folder.glob("*.md"))) >= KILLED_AFTER, "the first notes")
        workers = children(process)
        process.kill()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
    there = len(list(folder.glob("*.md")))
    words = [sys.executable, "-m", "sessiontrackd", "--home", str(home.root), "run", "--until-idle"]
    subprocess.run(words, check=True, capture_output=True, timeout=PATIENCE_S)
    notes = len(list(folder.glob("*.md")))
    with open_store(home.db_path, budget.SCHEMA) as store:
        booked = budget.TokenManager(store=store).usage(by="level")["total"]["sessions"]
    print(f"killed with {there} of {KILLED} notes on disk; after the next run {notes} notes, {booked} sessions booked")
    if not notes == booked == KILLED:
        sys.exit("a kill lost or doubled something")


def main() -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory(prefix="sessiontrackd-bench-") as temporary:
        measure_lateness(Path(temporary))
        measure_kill(Path(temporary))


if __name__ == "__main__":
    main()
