"""Everything that one process works with, opened once."""

from __future__ import annotations

import contextlib

from msgspec import Struct, field

from sessiontrackd import alerts, batches, budget, channels, circuit, config, history, privacy, queue, search, tokens
from sessiontrackd.config import Home, Settings, load
from sessiontrackd.errors import LedgerDamaged
from sessiontrackd.insights import Calls
from sessiontrackd.model import Fingerprint
from sessiontrackd.store import Store, open_store


class Agent(Struct, frozen=True):
    """A sub-agent's transcript that was read for its parent's note: how it looked, and whose usage it is."""

    fingerprint: Fingerprint
    folder: str | None
    project: str | None
    parent_id: str


class Rooms(Struct, frozen=True):
    """Everything that one process works with, opened once."""

    home: Home
    settings: Settings
    store: Store
    queue: queue.Queue
    history: history.History
    budget: budget.TokenManager
    consents: privacy.Consents
    alerts: alerts.Alerts
    circuits: circuit.Circuits
    calls: Calls
    batches: batches.Batches
    search: search.Search
    agents: dict[bytes, Agent] = field(default_factory=dict)  # read here for their parents, until their own jobs come

    def close(self) -> None:
        """Close the store and the words beside it."""
        self.store.close()
        self.search.close()


def open_rooms(home: Home) -> Rooms:
    """Open the store of a home and everything that lives in it."""
    home.prepare()
    settings = load(home)
    schemas = (
        queue.SCHEMA,
        history.SCHEMA,
        budget.SCHEMA,
        privacy.SCHEMA,
        alerts.SCHEMA,
        tokens.SCHEMA,
        circuit.SCHEMA,
        batches.SCHEMA,
        channels.SCHEMA,
    )
    store = open_store(home.db_path, *schemas)
    manager = budget.TokenManager(store=store, timezone=settings.timezone)
    with contextlib.suppress(LedgerDamaged):  # then nothing is spent; notes go on
        manager.hold_to(settings)
        manager.recover()
    jobs, known, consents = queue.Queue(store), history.History(store, prices=manager.prices), privacy.Consents(store)
    circuits = circuit.Circuits(store, lambda: config.condition(home, settings))
    told, calls, words = alerts.Alerts(store), Calls(), search.Search.open(home.state_dir)
    book = batches.Batches(store)
    return Rooms(home, settings, store, jobs, known, manager, consents, told, circuits, calls, book, words)
