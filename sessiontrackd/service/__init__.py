"""Install, remove and inspect the service: a systemd user unit, or a launchd agent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from sessiontrackd.config import Home
from sessiontrackd.errors import Failed
from sessiontrackd.service._agent import AGENT_KEYS, LABEL, Agent, read_agent
from sessiontrackd.service._platform import Answer, Runner, Service, run
from sessiontrackd.service._unit import FAILED_UNIT, UNIT, Unit

__all__ = [
    "AGENT_KEYS", "FAILED_UNIT", "LABEL", "UNIT", "Agent", "Answer", "Runner", "Service", "Unit", "install",
    "read_agent", "refresh", "run", "service_of", "standing", "uninstall",
]  # fmt: skip


RESTARTED = "The service restarts: its sandbox lists the watched folders, and they have changed."


def service_of(
    home: Home, *, hardened: bool | None = None, platform: str = sys.platform, runner: Runner = run
) -> Service:
    """Return the service of this platform.

    Args:
        home: whose daemon.
        hardened: with the mount sandbox, or without; None: as it is installed.
        platform: as `sys.platform` names it.
        runner: runs the platform's commands.

    Raises:
        Failed: this platform has no such sandbox.
    """
    if platform != "darwin":
        return Unit(home, runner, hardened)
    if hardened:
        raise Failed("launchd has no such sandbox. Install without --hardened.")
    return Agent(home, runner)


def install(service: Service) -> bool:
    """Write the files, enable and start it; run twice, the second time changes nothing. Return whether anything changed."""
    was_there = service.path.exists()
    if not _write(service) and was_there:
        service.start()
        return False
    try:
        service.load()
    except Failed:
        if not was_there:  # nothing took it up, so nothing shall lie there
            for path in service.files():
                path.unlink(missing_ok=True)
        raise
    return True


def _write(service: Service) -> bool:
    """Make the files what they should be; return whether any was not."""
    files = service.files()  # all of them first: where one cannot be made, none is written
    wrong = [path for path, text in files.items() if _present(path) != text]
    for path in wrong:
        text = files[path]
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(text)
        fresh.replace(path)
    return bool(wrong)


def _present(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def uninstall(service: Service) -> bool:
    """Stop and remove it; return whether it was installed."""
    if not service.path.exists():
        return False
    service.unload()
    service.path.unlink(missing_ok=True)
    return True


def refresh(service: Service) -> bool:
    """Give the sandbox the folders that are watched now; return whether that changed it, so that it starts anew."""
    if not (service.is_hardened and service.path.exists()):
        return False
    if service.path.read_bytes() != service.files()[service.path]:
        return False  # it is another home's, or another program's: `status` tells of that
    if not _write(service):
        return False
    service.restart_soon()
    return True


def standing(service: Service) -> dict[str, Any]:
    """Return how the service stands: installed, state, and what is wrong with it, with the remedy."""
    installed = service.path.exists()
    problem = None
    if installed and any(_present(path) != text for path, text in service.files().items()):
        problem = (
            "The installed file does not match this program (it was moved or updated): sessiontrackd service install"
        )
    return {
        "installed": installed,
        "path": str(service.path),
        "hardened": installed and service.is_hardened,
        "state": service.state() if installed else "not installed",
        "problem": problem,
        "key_given": installed and service.is_given_a_key(),
    }
