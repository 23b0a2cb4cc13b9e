"""The agent of launchd."""

from __future__ import annotations

import os
import plistlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.parsers.expat import ExpatError

from sessiontrackd.config import KEY_VARIABLE, Home
from sessiontrackd.errors import Failed, SessiontrackdError
from sessiontrackd.service._platform import Runner, shipped

LABEL = "io.sessiontrackd.daemon"
LET_GO_S, LOOK_S = 40.0, 0.5  # ExitTimeOut, and about 5 s in which launchd tidies up
STILL_THERE = (5, 37)  # EIO and EALREADY (of a Mac), the answers of `bootstrap` until then


class Agent:
    """An agent of launchd."""

    is_hardened = False

    def __init__(self, home: Home, runner: Runner, pause: Callable[[float], None] = time.sleep) -> None:
        """Name its file."""
        self._pause = pause
        self.path = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self._home = home
        self._run = runner
        self._domain = f"gui/{os.getuid()}"

    def files(self) -> dict[Path, bytes | None]:
        """Return the property list with this program's own paths."""
        agent = read_agent(shipped("launchd/sessiontrackd.plist"))
        log = str(self._home.log_dir / "launchd.log")  # what it says before its own log begins, and a crash
        own = {"ProgramArguments": self._home.words("run"), "StandardOutPath": log, "StandardErrorPath": log}
        return {self.path: plistlib.dumps(agent | own)}

    def load(self) -> None:
        """Load it anew; it starts by itself."""
        self._run(["launchctl", "bootout", f"{self._domain}/{LABEL}"])  # fails where it was not loaded
        self._bootstrap()

    def unload(self) -> None:
        """Stop it and forget it."""
        self._run(["launchctl", "bootout", f"{self._domain}/{LABEL}"])

    def start(self) -> None:
        """Start it, loaded or not."""
        if self._run(["launchctl", "print", f"{self._domain}/{LABEL}"]).status != 0:
            self._bootstrap()
        self._tell("kickstart", f"{self._domain}/{LABEL}")

    def stop(self) -> None:
        """Stop it; KeepAlive does not start it again after a clean exit."""
        self._tell("kill", "SIGTERM", f"{self._domain}/{LABEL}")

    def restart_soon(self) -> None:
        """Start it anew."""
        self._tell("kickstart", "-k", f"{self._domain}/{LABEL}")

    def state(self) -> str:
        """Return launchd's word for it, such as `running`."""
        answer = self._run(["launchctl", "print", f"{self._domain}/{LABEL}"])
        lines = [line.strip() for line in answer.text.splitlines()] if answer.status == 0 else []
        return next((line.partition("= ")[2] for line in lines if line.startswith("state = ")), "not loaded")

    def is_given_a_key(self) -> bool:
        """Say whether launchd hands the API key to the agent; the key itself is not kept."""
        answer = self._run(["launchctl", "getenv", KEY_VARIABLE])
        return answer.status == 0 and bool(answer.text.strip())

    def _bootstrap(self) -> None:
        """Load it, as soon as launchd has let go of the one before: `bootout` returns while that one still ends."""
        words = ["launchctl", "bootstrap", self._domain, str(self.path)]
        for _ in range(int(LET_GO_S / LOOK_S)):
            answer = self._run(words)
            if answer.status not in STILL_THERE:
                break
            self._pause(LOOK_S)
        if answer.status != 0:
            raise Failed(f"{' '.join(words)} failed: {answer.text or answer.status}.")

    def _tell(self, *words: str) -> None:
        answer = self._run(["launchctl", *words])
        if answer.status != 0:
            raise Failed(f"launchctl {' '.join(words)} failed: {answer.text or answer.status}.")


AGENT_KEYS: dict[str, type | tuple[type, ...]] = {
    "Label": str, "RunAtLoad": bool, "KeepAlive": dict, "ThrottleInterval": int, "ProcessType": str,
    "LowPriorityIO": bool, "Nice": int, "Umask": int, "ExitTimeOut": int, "LimitLoadToSessionType": str,
    "ProgramArguments": list, "StandardOutPath": str, "StandardErrorPath": str,
}  # fmt: skip
"""The keys of an agent and their types. Source: launchd.plist(5)."""


def read_agent(text: bytes) -> dict[str, Any]:
    """Read a property list and check its keys and types.

    Raises:
        SessiontrackdError: it is broken, or has a key or type that launchd does not know.
    """
    try:
        agent = plistlib.loads(text)
    except (ValueError, plistlib.InvalidFileException, ExpatError) as error:
        raise SessiontrackdError(f"The launchd agent cannot be read: {error}.") from error
    wrong = [key for key, value in agent.items() if type(value) is not AGENT_KEYS.get(key)]
    if wrong:
        raise SessiontrackdError(f"The launchd agent has a wrong key or type: {', '.join(wrong)}.")
    return dict(agent)
