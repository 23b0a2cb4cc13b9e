"""A session bus of a test's own, with a notification server at its other end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any


class Desktop:
    """A session bus of its own, with a notification server or without."""

    def __init__(self, *words: str) -> None:
        """Start both; they end together."""
        server = Path(__file__).parent / "notification_server.py"
        self._process = subprocess.Popen(
            ["dbus-run-session", "--", sys.executable, str(server), *words], stdout=subprocess.PIPE, text=True
        )
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._reader = Thread(target=self._read)
        self._reader.start()
        hello = json.loads(self._lines.get(timeout=20))
        self.address, self.pid = hello["address"], hello["pid"]

    def shown(self) -> list[dict[str, Any]]:
        """Return what was shown since the last look; whoever was told of its dispatch has written it before."""
        found = []
        while True:
            try:
                found.append(json.loads(self._lines.get(timeout=0.2)))
            except Empty:
                return found

    def freeze(self) -> None:
        """Let the server hang, with its name still on the bus."""
        os.kill(self.pid, signal.SIGSTOP)

    def close(self) -> None:
        """End server and bus."""
        with contextlib.suppress(ProcessLookupError):  # it was closed before
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait(10)
        self._reader.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)


StartDesktop = Callable[..., Desktop]
