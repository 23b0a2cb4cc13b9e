"""The mount sandbox of the hardened unit: made from the watched folders, with what this machine's manager can do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sessiontrackd.config import Home, Settings

HEAD = """\
# Written by `sessiontrackd service install --hardened` from the watched folders, and again when they change.
"""
LEFT_OUT = "# Left out, because this machine's manager refuses it: "
MOUNTS = (
    "PrivateUsers=yes",
    "PrivateMounts=yes",
    "ProtectSystem=strict",
    "ProtectHome=read-only",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "RemoveIPC=yes",
    "KeyringMode=private",
)
SECRET = (".ssh", ".gnupg", ".aws")  # of the person's home: hidden; whole paths, for a probe knows no %h
NEEDED = MOUNTS[:4]  # without these it is no sandbox
TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - what PrivateTmp hides

Probe = Callable[[Sequence[str]], bool]


def writable(home: Home, settings: Settings) -> list[Path]:
    """Return what the daemon writes to: the watched folders, their vaults, its own folders."""
    folders = [folder for folder in settings.folders if folder.enabled]
    vaults = [Path(each.output.removeprefix("vault:")) for each in folders if each.output.startswith("vault:")]
    beside = [each.path for each in folders if each.output == "beside"]
    return list(dict.fromkeys([home.state_dir, home.config_path.parent, home.log_dir, *beside, *vaults]))


def refused(lines: Sequence[str], probe: Probe) -> list[str]:
    """Return the lines that the manager cannot do: it is asked for all of them, and if it fails for each."""
    if probe(lines):
        return []
    bad = [line for line in lines if not probe([line])]
    good = [line for line in lines if line not in bad]
    while good and not probe(good):  # some fail only together
        bad.append(good.pop())
    return bad


def wanted(places: Iterable[Path]) -> list[str]:
    """Return the lines that make sense here: a program or folder in /tmp would be hidden from itself."""
    used = [*places, Path(sys.prefix)]
    hides = any(place.is_relative_to(temporary) for place in used for temporary in TEMPORARY)
    hidden = " ".join(path_word(Path.home() / name) for name in SECRET)
    lines = [*MOUNTS, f"InaccessiblePaths={hidden}"]
    return [line for line in lines if not (hides and line.startswith("PrivateTmp"))]


def drop_in(places: Iterable[Path], without: Iterable[str], reload_line: str) -> bytes:
    """Return the drop-in.

    Args:
        places: what may be written.
        without: lines that the manager refuses.
        reload_line: what `systemctl reload` runs, outside of the sandbox.
    """
    places, without = list(places), list(without)
    kept = [line for line in wanted(places) if line not in without]
    lines = [
        *(LEFT_OUT + line for line in without),
        "[Service]",
        *kept,
        *(f"ReadWritePaths={path_word(place)}" for place in places),
        "ExecReload=",
        f"ExecReload=+{reload_line}",
    ]
    return (HEAD + "\n".join(lines) + "\n").encode()


def left_out(text: bytes) -> list[str]:
    """Return the lines that a drop-in was written without."""
    return [line.removeprefix(LEFT_OUT) for line in text.decode().splitlines() if line.startswith(LEFT_OUT)]


def path_word(path: Path) -> str:
    """Return a path as ReadWritePaths= takes it; one that is not there is no error."""
    escaped = f"-{path}".replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if set(escaped) & set(" \t\"'\\") else escaped
