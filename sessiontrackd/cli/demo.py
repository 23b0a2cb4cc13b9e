"""Show the whole thing at work in a few seconds: `demo`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import click

from sessiontrackd import budget, config
from sessiontrackd.cli._command import command
from sessiontrackd.cli._screen import safe, terminal_width, wrap
from sessiontrackd.cli._usage import print_usage
from sessiontrackd.config import Home
from sessiontrackd.errors import Failed
from sessiontrackd.store import open_store

SAMPLES = ("tide-import.jsonl", "conversations.json", "harbour-meeting.md")
PLACEHOLDER = "@FAKE_TOKEN@"  # where a secret goes; the samples themselves hold none, for the sake of scanners
STABLE_S = 0.3  # a sample is copied whole, so it need not rest for the usual two seconds
REPORT_S = 15.0  # a note takes a fraction of a second; a machine that needs this long is stuck
POLL_S = 0.02
STOP_S = 5.0
NOTE_LINES = 30
RECEIPT_LINES = 3
NOTE_CELLS = 100
INDENT = "   "


@command("demo", example="sessiontrackd demo")
def demo() -> None:
    """Run the real daemon on sample transcripts in a temporary folder, show its notes, then clean up.

    Nothing outside that folder is read or written, and nothing leaves this machine.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sessiontrackd-demo-") as temporary:
        home, folder = Home.find(Path(temporary) / "home"), Path(temporary) / "transcripts"
        folder.mkdir()
        config.add_folder(home, folder, stable_s=STABLE_S)
        click.echo(f"A daemon is watching {folder}. Transcripts are dropped in one by one.")
        with _daemon(home) as process:
            _await_start(home, process)
            for name in SAMPLES:
                _show_arrival(folder, name, process)
        click.secho("\nWhat it cost", bold=True)
        with open_store(home.db_path, budget.SCHEMA) as store:
            print_usage(budget.TokenManager(store=store).usage(by="level"), "level")
    click.echo(f"\nThe daemon has stopped and everything has been removed ({time.monotonic() - began:.1f} s in all).")
    click.echo("To see your own newest session: sessiontrackd try")


def _show_arrival(folder: Path, name: str, process: subprocess.Popen[bytes]) -> None:
    _drop(folder, name)
    began = time.monotonic()
    notes = _await_notes(folder, name, process)
    waited_ms = (time.monotonic() - began) * 1000
    click.echo()
    click.secho(f"── {name} → {notes[0].relative_to(folder)}  ({waited_ms:,.0f} ms)", bold=True)
    for line in _excerpt(notes[0].read_text(encoding="utf-8")):
        click.echo(line)
    for other in notes[1:]:
        click.echo(f"{INDENT}also {other.relative_to(folder)}")


def _await_start(home: Home, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + REPORT_S
    while config.daemon_pid(home) is None:
        if process.poll() is not None or time.monotonic() > deadline:
            raise Failed("The daemon did not start. `sessiontrackd run` says why.")
        time.sleep(POLL_S)


def _drop(folder: Path, name: str) -> None:
    """Put a sample into the folder whole, with a made-up secret in it for the redactor to find."""
    sample = resources.files("sessiontrackd") / "samples" / name
    secret = "ghp_" + hashlib.sha256(b"a made-up token").hexdigest()[:36]
    partial = folder / f".{name}.tmp"
    partial.write_text(sample.read_text(encoding="utf-8").replace(PLACEHOLDER, secret), encoding="utf-8")
    partial.rename(folder / name)


def _await_notes(folder: Path, name: str, process: subprocess.Popen[bytes]) -> list[Path]:
    """Wait until the notes of a sample are on disk: one beside it, or a folder of them with its index."""
    deadline = time.monotonic() + REPORT_S
    single, many = folder / f"{name}.insights.md", folder / f"{name}.insights"
    while time.monotonic() < deadline and process.poll() is None:
        if single.exists():
            return [single]
        found = sorted(many.glob("*.md"))
        index = [path for path in found if path.name == "index.md"]
        if index:
            return [path for path in found if path not in index] + index
        time.sleep(POLL_S)
    raise Failed(f"The daemon wrote no note for {name}. `sessiontrackd process` on a transcript of yours says why.")


def _excerpt(note: str) -> Iterator[str]:
    """Return a note without its front matter, wrapped, and without its middle where it is long."""
    body = note.split("\n---\n", 1)[-1].strip("\n").split("\n")
    width = min(terminal_width(), NOTE_CELLS) - len(INDENT)
    lines = [piece for line in body for piece in wrap(safe(line), width)]
    if len(lines) > NOTE_LINES:
        lines[NOTE_LINES - RECEIPT_LINES : -RECEIPT_LINES] = ["…"]
    return (INDENT + line for line in lines)


@contextmanager
def _daemon(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """Run `sessiontrackd run` on the home and stop it at the end, whatever happens."""
    words = [sys.executable, "-m", "sessiontrackd", "--home", str(home.root), "run"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
