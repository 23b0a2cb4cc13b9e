"""`status --follow`: each settled call on a line of its own, within a second, whoever made it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import pytest

from sessiontrackd import budget, config
from sessiontrackd.budget import TokenManager
from sessiontrackd.config import Home
from sessiontrackd.model import Usage
from sessiontrackd.store import open_store

SOON_S = 30.0  # far more than a start takes


class Following:
    """A running `status --follow`, and its lines as they come."""

    def __init__(self, home: Path, *words: str) -> None:
        """Start it."""
        command = [sys.executable, "-m", "sessiontrackd", "--home", str(home), "status", "--follow", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def line(self, within_s: float = SOON_S) -> str:
        """Return the next line, or nothing."""
        try:
            return self._lines.get(timeout=within_s)
        except Empty:
            return ""

    def interrupt(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit status and what stands on stderr."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr is not None
        return self.process.wait(SOON_S), self.process.stderr.read()

    def close(self) -> None:
        """End it whatever happens."""
        self.process.kill()
        with self.process:
            self._reader.join(SOON_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)


Follow = Callable[..., Following]


@pytest.fixture
def follow(home: Path) -> Iterator[Follow]:
    """Return what starts it on the home."""
    started: list[Following] = []
    config.set_value(Home.find(home), "timezone", "UTC")

    def start(*words: str) -> Following:
        started.append(Following(home, *words))
        return started[-1]

    yield start
    for each in started:
        each.close()


def spend(home: Path, tokens: int, *, knows: bool = True) -> None:
    """Be another process that asks an engine."""
    with open_store(home / "state.db", budget.SCHEMA) as store:
        manager = TokenManager(store=store, timezone="UTC")
        manager.set_limits(budget.Limit(10**12))
        held = manager.reserve(
            Usage(tokens, 0), model="claude-haiku-5-5", level="standard", session_id="s1", source=b"/talks/a\x1b.jsonl"
        )
        manager.send(held)
        if knows:
            manager.settle(held, Usage(tokens, 0))
        else:
            manager.assume(held)


def test_a_settled_call_is_a_line_within_a_second(home: Path, follow: Follow) -> None:
    """With what the day and the month came to; what was there before is not told; Ctrl-C ends it in order."""
    spend(home, 1_000)
    following = follow()
    while "Ctrl-C" not in (said := following.line()):
        assert said
    took_s = []
    for _ in range(3):  # the machine may be busy with other things
        spend(home, 20_000)
        began_s = time.monotonic()
        told = following.line()
        took_s.append(time.monotonic() - began_s)

    assert min(took_s) < 1.0
    assert "$0.002  20,000 tokens  claude-haiku-5-5  standard  a\\x1b.jsonl" in told
    assert "($0.0061 today, $0.0061 in " in told
    spend(home, 30_000, knows=False)
    assert "$0.003 at most: outcome unknown" in following.line()
    assert following.interrupt() == (0, "")


def test_following_as_json_is_one_document_a_line(home: Path, follow: Follow) -> None:
    """Also where there is no database at first."""
    following, told, tries = follow("--json"), "", 0
    while not told and tries < SOON_S:  # it says nothing before the first call, so nobody knows since when it looks
        spend(home, 20_000)
        told, tries = following.line(1.0), tries + 1

    document = json.loads(told)
    assert (document["state"], document["cost_usd"], document["session_id"]) == ("settled", "0.002000", "s1")
