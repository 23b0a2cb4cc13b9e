"""What a platform's way of running a service has in common: its files, and its commands, bounded in time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from sessiontrackd.errors import Failed

RUN_TIMEOUT_S = 60.0
_PACKAGE = Path(__file__).resolve().parent.parent


class Answer(Struct, frozen=True):
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


NO_SESSION = "Failed to connect to bus"


def why(answer: Answer, look: str) -> str:
    """Return a service manager's error and what to do about it; `look` is the command that shows more."""
    if NO_SESSION in answer.text:
        return (
            f"{answer.text}. Nobody is logged in here whose service manager could run it. Log in as that person (not with "
            "su or sudo), or: sessiontrackd run"
        )
    return f"{answer.text or answer.status}. `{look}` says more"


class Service(Protocol):
    """One platform's way."""

    path: Path
    is_hardened: bool

    def files(self) -> dict[Path, bytes | None]:
        """Return every file as it would be installed; None for one that must not be there."""
        ...

    def load(self) -> None:
        """Make the platform take the files up, also after a change."""
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

    def restart_soon(self) -> None:
        """Restart it in a moment, when the caller has ended."""
        ...

    def state(self) -> str:
        """Return how it stands, in the platform's words."""
        ...

    def is_given_a_key(self) -> bool:
        """Say whether the manager hands the API key to the service; the key itself is not kept."""
        ...


def shipped(name: str) -> bytes:
    """Return a file of systemd/ or launchd/: in the installed package, else in the checkout."""
    installed = _PACKAGE / "_shipped" / name
    return (installed if installed.exists() else _PACKAGE.parent / name).read_bytes()
