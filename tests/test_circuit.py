"""An engine that no request can succeed with is not asked again before a person mended something; that is told once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sessiontrackd.circuit import SCHEMA, Circuit, Circuits
from sessiontrackd.errors import CircuitOpen
from sessiontrackd.store import Store, open_store

REASON = "The server answered 401."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state.db", SCHEMA) as opened:
        yield opened


def test_an_open_circuit_stops_everyone_with_the_same_words(store: Store) -> None:
    """The first reason holds, so that its jobs can be found again."""
    circuits = Circuits(store, lambda: "key 1")
    assert str(Circuit(circuits, "claude a m").trip(REASON)) == REASON
    assert str(Circuit(circuits, "claude a m").trip("something later")) == REASON

    with pytest.raises(CircuitOpen, match="401"):
        Circuit(circuits, "claude a m").require()
    Circuit(circuits, "claude a other").require()
    Circuit(circuits, "claude a m", is_heeded=False).require()  # a person who names a transcript may try


def test_another_key_closes_it(store: Store) -> None:
    """And what was held for it may go on."""
    said = ["key 1"]
    circuits = Circuits(store, lambda: said[0])
    circuits.open("claude a m", REASON)
    assert circuits.close(only_mended=True) == []

    said[0] = "key 2"
    Circuit(circuits, "claude a m").require()
    assert circuits.close(only_mended=True) == [REASON]
    assert circuits.close() == []


def test_an_answer_closes_it(store: Store) -> None:
    """Whoever is told of the reason lets its jobs wait again."""
    circuits, mended = Circuits(store, str), list[str]()
    circuits.open("claude a m", REASON)

    Circuit(circuits, "claude a m", mended=mended.append).mend()
    assert mended == [REASON]
    assert circuits.reason("claude a m") is None


def test_a_reason_is_told_once(store: Store) -> None:
    """Also where two models are refused for the same key, and where it opens again under changed settings."""
    said = ["settings 1"]
    circuits = Circuits(store, lambda: said[0])
    circuits.open("claude a m", REASON)
    circuits.open("claude a other", REASON)
    assert circuits.untold() == [REASON]

    said[0] = "settings 2"
    circuits.open("claude a m", REASON)
    assert circuits.untold() == []


def test_the_key_is_not_kept(store: Store) -> None:
    """Only a salted digest of it."""
    Circuits(store, lambda: "sk-secret").open("claude a m", REASON)

    assert "sk-secret" not in repr([tuple(row) for row in store.read("SELECT * FROM circuit")])
