"""The systemd user unit, the one that reports its failure, and the sandbox of the hardened one."""

from __future__ import annotations

import os
import string
from collections.abc import Sequence
from pathlib import Path

from sessiontrackd.config import KEY_CREDENTIAL, KEY_VARIABLE, Home, load
from sessiontrackd.errors import Failed
from sessiontrackd.service import _sandbox
from sessiontrackd.service._platform import Runner, shipped, why

UNIT = "sessiontrackd.service"
FAILED_UNIT = "sessiontrackd-failed.service"
RESTART_IN = "500ms"


class Unit:
    """A user unit of systemd.

    Args:
        home: whose daemon.
        runner: runs the platform's commands.
        hardened: with the mount sandbox, or without; None: as it is installed.
    """

    def __init__(self, home: Home, runner: Runner, hardened: bool | None = None) -> None:
        """Name its files."""
        base = os.environ.get("XDG_CONFIG_HOME", "")
        folder = (Path(base) if base.startswith("/") else Path.home() / ".config") / "systemd" / "user"
        self.path = folder / UNIT
        self.failed_path = folder / FAILED_UNIT
        self.drop_in_path = folder / f"{UNIT}.d" / "hardened.conf"
        self._home = home
        self._run = runner
        self.is_hardened = self.drop_in_path.exists() if hardened is None else hardened
        self._probes = bool(hardened)

    def files(self) -> dict[Path, bytes | None]:
        """Return the units with this program's own paths, and the drop-in where the unit is hardened.

        Raises:
            Failed: this machine's manager cannot make the sandbox.
        """
        return {
            self.path: self._filled(UNIT, "run"),
            self.failed_path: self._filled(FAILED_UNIT, "service", "failed"),
            self.drop_in_path: self._drop_in() if self.is_hardened else None,
        }

    def load(self) -> None:
        """Read it, enable it, and start it anew."""
        self._make_places()
        self._tell("daemon-reload")
        self._tell("enable", UNIT)
        self._tell("restart", UNIT)

    def unload(self) -> None:
        """Stop, disable, and forget that it ever failed."""
        self._tell("disable", "--now", UNIT)
        for path in self.files():
            path.unlink(missing_ok=True)
        if self.drop_in_path.parent.is_dir() and not any(self.drop_in_path.parent.iterdir()):
            self.drop_in_path.parent.rmdir()
        self._tell("daemon-reload")
        self._run(["systemctl", "--user", "reset-failed", UNIT, FAILED_UNIT])

    def start(self) -> None:
        """Start it and wait until it has looked at every folder."""
        self._tell("start", UNIT)

    def stop(self) -> None:
        """Stop it."""
        self._tell("stop", UNIT)

    def restart_soon(self) -> None:
        """Reload its files, and restart it when the caller has ended: the caller may be its own reload."""
        self._make_places()
        self._tell("daemon-reload")
        again = ["systemctl", "--user", "restart", UNIT]
        self._answer(["systemd-run", "--user", "--collect", "--quiet", f"--on-active={RESTART_IN}", *again])

    def state(self) -> str:
        """Return `active: watching 4 folders`."""
        fields = ("ActiveState", "StatusText")
        answer = self._run(["systemctl", "--user", "show", UNIT, *(f"-p{field}" for field in fields)])
        found = dict(line.partition("=")[::2] for line in answer.text.splitlines())
        return ": ".join(value for field in fields if (value := found.get(field)))

    def is_given_a_key(self) -> bool:
        """Say whether the manager hands the API key to the unit; the key itself is not kept."""
        fields = ("Environment", "LoadCredential", "LoadCredentialEncrypted", "SetCredential")
        own = self._run(["systemctl", "--user", "show", UNIT, *(f"-p{field}" for field in fields)])
        everybodys = self._run(["systemctl", "--user", "show-environment"])
        names = (f"{KEY_VARIABLE}=", KEY_CREDENTIAL)
        is_own = own.status == 0 and any(name in own.text for name in names)
        return is_own or (everybodys.status == 0 and f"\n{KEY_VARIABLE}=" in f"\n{everybodys.text}")

    def _filled(self, name: str, *command: str) -> bytes:
        line = " ".join(_exec_word(word) for word in self._home.words(*command))
        return string.Template(shipped(f"systemd/{name}").decode()).substitute(exec=line).encode()

    def _drop_in(self) -> bytes:
        places = _sandbox.writable(self._home, load(self._home))
        without = _sandbox.left_out(self.drop_in_path.read_bytes()) if self.drop_in_path.exists() else []
        if self._probes:
            lines = [*_sandbox.wanted(places), *(f"ReadWritePaths={_sandbox.path_word(place)}" for place in places)]
            without = _sandbox.refused(lines, self._can)
            if missing := [line for line in without if line in _sandbox.NEEDED or line.startswith("ReadWritePaths")]:
                raise Failed(
                    f"This machine's service manager cannot create the sandbox ({', '.join(missing)} fails; it needs user "
                    "namespaces). Nothing was changed. Without --hardened the unit is confined by its system calls."
                )
        reload_line = " ".join(_exec_word(word) for word in self._home.words("service", "reload"))
        return _sandbox.drop_in(places, without, reload_line)

    def _make_places(self) -> None:
        """Make what the daemon writes to: from inside of the sandbox it could not."""
        for place in _sandbox.writable(self._home, load(self._home)) if self.is_hardened else ():
            if place.parent.is_dir():
                place.mkdir(exist_ok=True)

    def _can(self, lines: Sequence[str]) -> bool:
        """Ask the manager to run a command that way."""
        options = [part for line in lines for part in ("-p", line)]
        words = ["systemd-run", "--user", "--wait", "--collect", "--quiet", *options, "/bin/true"]
        return self._run(words).status == 0

    def _tell(self, *words: str) -> None:
        self._answer(["systemctl", "--user", *words])

    def _answer(self, words: Sequence[str]) -> None:
        answer = self._run(words)
        if answer.status != 0:
            raise Failed(f"{' '.join(words)} failed: {why(answer, 'systemctl --user status sessiontrackd')}.")


def _exec_word(word: str) -> str:
    """Return a word as ExecStart takes it. Source: systemd.service(5), command lines."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if set(escaped) & set(" \t\"'\\;") else escaped
