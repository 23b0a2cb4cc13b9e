"""What is examined, and the result of a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from sessiontrackd import alerts, budget, history, pricing, privacy, queue
from sessiontrackd.config import Home, Settings
from sessiontrackd.engines import engine_class, provider_of
from sessiontrackd.errors import UsageError
from sessiontrackd.model import Folder
from sessiontrackd.store import Store, open_store

OK, WARNING, FAILURE = "ok", "warning", "failure"
LOOK_TIMEOUT_S = 5.0  # a database that is locked for longer is told of


class Check(NamedTuple):
    """What was looked at and how it is: ok, warning (something is lost) or failure (something does not work)."""

    name: str
    state: str
    text: str
    remedy: str | None = None


class Patient(Struct, frozen=True):
    """What is looked at. Where the settings are broken, their defaults stand in."""

    home: Home
    settings: Settings
    mistake: str | None
    now: datetime

    @property
    def sending_folders(self) -> list[Folder]:
        """The folders whose engine sends text away. One that cannot be found is told of elsewhere."""
        return [each for each in self.settings.folders if each.enabled and leaves_machine(each.engine)]

    @property
    def has_paid_folders(self) -> bool:
        """Whether an engine may cost something; what runs on a plan of the user's does not."""
        sold = (provider_of(folder.engine, self.settings) or "" for folder in self.sending_folders)
        return any(not provider.startswith(pricing.FLAT_RATE_PROVIDER) for provider in sold)


Look = Callable[[Patient], Iterator[Check]]


def opened(patient: Patient) -> Store:
    schemas = (queue.SCHEMA, history.SCHEMA, budget.SCHEMA, alerts.SCHEMA, privacy.SCHEMA)
    return open_store(patient.home.db_path, *schemas, timeout_s=LOOK_TIMEOUT_S)


def nearest(path: Path) -> Path:
    """Return the path, or the folder in which it would be made."""
    return next(each for each in (path, *path.parents) if each.exists())


def leaves_machine(engine: str) -> bool:
    with suppress(UsageError):
        return engine_class(engine).leaves_machine
    return False
