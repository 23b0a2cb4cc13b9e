"""This machine: versions, clock, disk, and what runs on it."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from sessiontrackd import config
from sessiontrackd.doctor._patient import FAILURE, OK, WARNING, Check, Patient, nearest

LEAST_FREE_BYTES = 100_000_000  # below, a database that grows may fill the disk in a day
LITTLE_FREE_BYTES = 1_000_000_000
CLOCK_SLACK_S = 120.0  # file systems and clocks differ by so much


def versions(_: Patient) -> Iterator[Check]:
    known = f"sessiontrackd {version('sessiontrackd')}, Python {platform.python_version()}"
    yield Check("versions", OK, f"{known}, SQLite {sqlite3.sqlite_version}, {platform.system()}")


def timezone(patient: Patient) -> Iterator[Check]:
    zone = patient.settings.timezone
    ours = patient.now.astimezone(patient.settings.zone).utcoffset()
    if ours != patient.now.astimezone().utcoffset():
        text = f"months are counted in {zone}, while the clock of this machine follows another zone"
        yield Check("time zone", WARNING, text, 'Name yours in the settings, such as timezone = "Europe/Berlin".')
    else:
        yield Check("time zone", OK, f"months are counted in {zone}")


def clock(patient: Patient) -> Iterator[Check]:
    """Say whether the clock has gone back since something was last written here."""
    try:
        written_s = patient.home.db_path.stat().st_mtime
    except OSError:
        return
    ahead_s = written_s - patient.now.timestamp()
    if ahead_s > CLOCK_SLACK_S:
        text = (
            f"the clock of this machine is {ahead_s / 3600:.1f} h behind the last time that something was written here"
        )
        yield Check("clock", WARNING, text, "Correct it: the date decides which month's budget is used.")
    else:
        yield Check("clock", OK, f"{patient.now:%Y-%m-%d %H:%M} UTC, and it has not gone back")


def disk(patient: Patient) -> Iterator[Check]:
    place = nearest(patient.home.state_dir)
    free_bytes = shutil.disk_usage(place).free
    text = f"{free_bytes / 1e9:.1f} GB are free where {patient.home.state_dir} lies"
    if free_bytes < LITTLE_FREE_BYTES:
        state = FAILURE if free_bytes < LEAST_FREE_BYTES else WARNING
        yield Check("disk", state, text, "Free some space, or choose another place with --home DIR.")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield Check("disk", FAILURE, f"{place} cannot be written", "Give yourself that permission, or use --home DIR.")
    else:
        yield Check("disk", OK, text)


def daemon(patient: Patient) -> Iterator[Check]:
    heard = config.heard(patient.home)
    if heard is None:
        yield Check(
            "daemon", WARNING, "it is not running, so no transcript is processed", "Start it: sessiontrackd run"
        )
    elif heard["problem"]:
        yield Check("daemon", FAILURE, heard["problem"], "It resumes by itself when that is over.")
    else:
        yield Check("daemon", OK, f"it runs (process {heard['pid']})")


def hooks(patient: Patient) -> Iterator[Check]:
    """Say which tools call us at a session's end."""
    for tool, hook in config.HOOKS.items():
        problem = hook.problem(patient.home)
        if problem:
            yield Check("hook", WARNING, problem, f"Write it again: sessiontrackd capture install {tool}")
        elif hook.is_there():
            yield Check("hook", OK, f"{tool} says when a session ends")


def service(standing: dict[str, Any]) -> Check:
    state = standing["state"]
    if not standing["installed"]:
        return Check("service", OK, "it is not installed; to start at each login: sessiontrackd service install")
    if standing["problem"]:
        return Check("service", FAILURE, standing["problem"], "Write it again: sessiontrackd service install")
    if state.startswith("failed"):
        return Check("service", FAILURE, f"systemd gave it up: {state}", "Why: systemctl --user status sessiontrackd")
    is_up = state.startswith(("active", "activating", "reloading", "running"))
    return Check("service", OK if is_up else WARNING, state, None if is_up else "Start it: sessiontrackd service start")
