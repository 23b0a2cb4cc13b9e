"""Install, remove and inspect the service: a systemd user unit, or a launchd agent."""

from __future__ import annotations

import os
import plistlib
import shutil
import string
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from xml.parsers.expat import ExpatError

from sessiontrackd.config import Home
from sessiontrackd.errors import Failed, SessiontrackdError

UNIT = "sessiontrackd.service"
LABEL = "io.sessiontrackd.daemon"
RUN_TIMEOUT_S = 60.0
_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said."""

    status: int
    text: str


Runner = Callable[[Sequence[str]], Answer]


def run(words: Sequence[str]) -> Answer:
    """Run a command of the platform, bounded in time.

    Raises:
        Failed: there is no such command, or it hangs.
    """
    if shutil.which(words[0]) is None:
        raise Failed(f"There is no {words[0]} on this machine, so no service can be managed. Use `sessiontrackd run`.")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(words)} did not answer within {RUN_TIMEOUT_S:.0f} s.") from error
    return Answer(done.returncode, (done.stdout + done.stderr).strip())


class Service(Protocol):
    """One platform's way."""

    path: Path

    def text(self) -> bytes:
        """Return the file as it would be installed."""
        ...

    def load(self) -> None:
        """Make the platform take the file up, also after a change."""
        ...

    def unload(self) -> None:
        """Stop it, and make the platform forget it."""
        ...

    def start(self) -> None:
        """Start it."""
        ...

    def stop(self) -> None:
        """Stop it until it is started again."""
        ...

    def state(self) -> str:
        """Return how it stands, in the platform's words."""
        ...


def service_of(home: Home, *, platform: str = sys.platform, runner: Runner = run) -> Service:
    """Return the service of this platform.

    Args:
        home: whose daemon.
        platform: as `sys.platform` names it.
        runner: runs the platform's commands.
    """
    return Agent(home, runner) if platform == "darwin" else Unit(home, runner)


def install(service: Service) -> bool:
    """Write the file, enable and start it; run twice, the second time changes nothing. Return whether anything changed."""
    text, was_there = service.text(), service.path.exists()
    if was_there and service.path.read_bytes() == text:
        service.start()
        return False
    service.path.parent.mkdir(parents=True, exist_ok=True)
    fresh = service.path.with_name(f".{service.path.name}.new")
    fresh.write_bytes(text)
    fresh.replace(service.path)
    try:
        service.load()
    except Failed:
        if not was_there:  # nothing took it up, so nothing shall lie there
            service.path.unlink()
        raise
    return True


def uninstall(service: Service) -> bool:
    """Stop and remove it; return whether it was installed."""
    if not service.path.exists():
        return False
    service.unload()
    service.path.unlink(missing_ok=True)
    return True


def standing(service: Service) -> dict[str, Any]:
    """Return how the service stands: installed, state, and what is wrong with it, with the remedy."""
    installed = service.path.exists()
    problem = None
    if installed and service.path.read_bytes() != service.text():
        problem = (
            "The installed file is not that of this program (it was moved or updated): sessiontrackd service install"
        )
    return {
        "installed": installed,
        "path": str(service.path),
        "state": service.state() if installed else "not installed",
        "problem": problem,
    }


def command(home: Home) -> list[str]:
    """Return the daemon's command with absolute paths."""
    return home.words("run")


def shipped(name: str) -> bytes:
    """Return a file of systemd/ or launchd/: in the installed package, else in the checkout."""
    installed = _PACKAGE / "_shipped" / name
    return (installed if installed.exists() else _PACKAGE.parent / name).read_bytes()


class Unit:
    """A user unit of systemd."""

    def __init__(self, home: Home, runner: Runner) -> None:
        """Name its file."""
        base = os.environ.get("XDG_CONFIG_HOME", "")
        folder = Path(base) if base.startswith("/") else Path.home() / ".config"
        self.path = folder / "systemd" / "user" / UNIT
        self._home = home
        self._run = runner

    def text(self) -> bytes:
        """Return the unit with this program's own paths."""
        exec_line = " ".join(_unit_word(word) for word in command(self._home))
        return string.Template(shipped(f"systemd/{UNIT}").decode()).substitute(exec=exec_line).encode()

    def load(self) -> None:
        """Read it, enable it, and start it anew."""
        self._tell("daemon-reload")
        self._tell("enable", UNIT)
        self._tell("restart", UNIT)

    def unload(self) -> None:
        """Stop, disable, and forget that it ever failed."""
        self._tell("disable", "--now", UNIT)
        self.path.unlink(missing_ok=True)
        self._tell("daemon-reload")
        self._run(["systemctl", "--user", "reset-failed", UNIT])

    def start(self) -> None:
        """Start it and wait until it has looked at every folder."""
        self._tell("start", UNIT)

    def stop(self) -> None:
        """Stop it."""
        self._tell("stop", UNIT)

    def state(self) -> str:
        """Return `active: watching 4 folders`."""
        fields = ("ActiveState", "StatusText")
        answer = self._run(["systemctl", "--user", "show", UNIT, *(f"-p{field}" for field in fields)])
        found = dict(line.partition("=")[::2] for line in answer.text.splitlines())
        return ": ".join(value for field in fields if (value := found.get(field)))

    def _tell(self, *words: str) -> None:
        answer = self._run(["systemctl", "--user", *words])
        if answer.status != 0:
            raise Failed(
                f"systemctl --user {' '.join(words)} failed: {answer.text or answer.status}. "
                "`systemctl --user status sessiontrackd` says more."
            )


class Agent:
    """An agent of launchd."""

    def __init__(self, home: Home, runner: Runner) -> None:
        """Name its file."""
        self.path = Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"
        self._home = home
        self._run = runner
        self._domain = f"gui/{os.getuid()}"

    def text(self) -> bytes:
        """Return the property list with this program's own paths."""
        agent = read_agent(shipped("launchd/sessiontrackd.plist"))
        log = str(self._home.log_dir / "daemon.log")
        return plistlib.dumps(
            agent | {"ProgramArguments": command(self._home), "StandardOutPath": log, "StandardErrorPath": log}
        )

    def load(self) -> None:
        """Load it anew; it starts by itself."""
        self._run(["launchctl", "bootout", f"{self._domain}/{LABEL}"])  # fails where it was not loaded
        self._tell("bootstrap", self._domain, str(self.path))

    def unload(self) -> None:
        """Stop it and forget it."""
        self._run(["launchctl", "bootout", f"{self._domain}/{LABEL}"])

    def start(self) -> None:
        """Start it, loaded or not."""
        if self._run(["launchctl", "print", f"{self._domain}/{LABEL}"]).status != 0:
            self._tell("bootstrap", self._domain, str(self.path))
        self._tell("kickstart", f"{self._domain}/{LABEL}")

    def stop(self) -> None:
        """Stop it; KeepAlive does not start it again after a clean exit."""
        self._tell("kill", "SIGTERM", f"{self._domain}/{LABEL}")

    def state(self) -> str:
        """Return launchd's word for it, such as `running`."""
        answer = self._run(["launchctl", "print", f"{self._domain}/{LABEL}"])
        lines = [line.strip() for line in answer.text.splitlines()] if answer.status == 0 else []
        return next((line.partition("= ")[2] for line in lines if line.startswith("state = ")), "not loaded")

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


def _unit_word(word: str) -> str:
    """Return a word as ExecStart takes it. Source: systemd.service(5), command lines."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" \t\"'\\;") else escaped
