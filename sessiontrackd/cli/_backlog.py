"""What waits in a folder before it is watched: how many transcripts, what they would cost, how far back to go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click

from sessiontrackd import config, engines, survey
from sessiontrackd.cli import _cost
from sessiontrackd.cli._command import current_home
from sessiontrackd.cli._progress import Progress
from sessiontrackd.cli._screen import count, safe
from sessiontrackd.errors import Unpriced
from sessiontrackd.estimate import Estimates
from sessiontrackd.model import Folder
from sessiontrackd.pricing import prices_of
from sessiontrackd.survey import DAYS
from sessiontrackd.watch import Found, scan

SAMPLE = 60  # transcripts that are read for a question that a person waits for


class Backlog:
    """The transcripts of a folder that is going to be watched.

    Args:
        folder: with the engine and level that it will have.
        now: the clock.
    """

    def __init__(self, folder: Folder, now: datetime) -> None:
        """Look which files are transcripts."""
        self.folder, self.engine, self._now = folder, folder.engine, now
        self.is_paid = engines.engine_class(folder.engine).leaves_machine
        self.files = list(_transcripts(folder))
        settings = config.load(current_home())
        self._estimates = Estimates(prices_of(settings), now)
        self._asked = _cost.asked_of(self.engine, settings, folder.level)

    def tell(self) -> None:
        """Print how many there are and what they would cost."""
        start = self._now - timedelta(days=DAYS)
        recent = self._since(start.isoformat())
        click.echo(
            f"{safe(str(self.folder.path))}: {count(len(self.files), 'transcript')}, {len(recent):,} of the last {DAYS} days."
        )
        if not self.is_paid:
            click.echo("The local engine costs $0.")
        elif self.files:
            parts = [f"all of them {self._cost(self.files)}"]
            if 0 < len(recent) < len(self.files):
                parts.append(f"those of the last {DAYS} days {self._cost(recent)}")
            click.echo(f"With {safe(self._asked.model)}: {'; '.join(parts)}.")

    def told(self, since: str | None) -> str | None:
        """Return the day that a person answered with, after saying what that means where it costs."""
        files = self._since(since)
        if self.is_paid and files:
            click.echo(f"{count(len(files), 'transcript')}, {self._cost(files)}.")
        return since

    def agreed(self, since: str | None) -> str | None:
        """Return the day that was said beforehand, where the person agrees to its cost; else now."""
        files = self._since(since)
        if not self.is_paid or not files:
            return since
        what = f"{count(len(files), 'transcript')}, {self._cost(files)}"
        return since if click.confirm(f"Send what is there already ({what})?", default=False) else self._from_now()

    def ask_mode(self, since: str | None) -> str | None:
        """Offer to send what is there already as a batch; None where nothing could go as one."""
        if not self._since(since) or not engines.takes_batches(self.engine):
            return None
        text = "Send what is there already as a batch, at half the price? Its notes may then take a day."
        return "backlog" if click.confirm(text, default=True) else None

    def left_out(self) -> str:
        """Say that history is not sent, and return the day from which on it is."""
        if self.files:
            click.echo(
                "What is there already is not sent, because nobody agreed to its cost; --yes agrees, as far back as --since says."
            )
        return self._from_now()

    def _from_now(self) -> str:
        return self._now.isoformat(timespec="seconds")

    def _since(self, since: str | None) -> list[Found]:
        """Return the files that changed since a day; None is all."""
        start = 0.0 if since is None else datetime.fromisoformat(since).astimezone().timestamp()
        return [file for file in self.files if file.fingerprint.mtime_ns / 1e9 >= start]

    def _cost(self, files: list[Found]) -> str:
        """Say what files would cost, and from how many of them that was scaled."""
        planned = [_cost.planned(Path(os.fsdecode(file.path)), self.folder.level, self._asked) for file in files]
        try:
            total = self._estimates.total(planned, SAMPLE)
        except Unpriced:
            return "at an unknown price"
        sampled = f", scaled from {total.read:,} of them" if total.read < total.files else ""
        return _cost.about(total) + sampled


def _transcripts(folder: Folder) -> Iterator[Found]:
    """Yield the files below the folder that are transcripts by their content."""
    found = list(scan(folder))
    with Progress("looking", len(found)) as progress:
        for each in found:
            if survey.is_transcript(each):
                yield each
            progress.step(os.fsdecode(each.path).rpartition("/")[2])
