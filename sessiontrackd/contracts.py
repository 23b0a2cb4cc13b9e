"""The three contracts through which the program is extended: Reader, Engine, Channel."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Protocol

from sessiontrackd.model import Alert, Ask, Message, Reply, Session, Transcript
from sessiontrackd.records import Source


class OpenSession:
    """A session while it is being read: its messages are streamed once, and its figures are complete at the end.

    Args:
        steps: a generator that yields the messages in order and returns the Session, without messages.
    """

    def __init__(self, steps: Generator[Message, None, Session]) -> None:
        """Wrap the generator of a reader."""
        self._steps = steps
        self._session: Session | None = None

    def __iter__(self) -> Iterator[Message]:
        """Yield the messages; a second pass yields nothing."""
        if self._session is None:
            self._session = yield from self._steps

    def close(self) -> Session:
        """Read what is left and return the session, whose figures are now complete."""
        for _ in self:
            pass
        assert self._session is not None
        return self._session


class Reader(Protocol):
    """A module that reads one format."""

    NAME: str

    def recognises(self, source: Source) -> bool:
        """Say whether the first bytes (`source.head`), decompressed, are of this format."""
        ...

    def read(self, source: Source) -> Transcript:
        """Return the transcript; its sessions are read while they are iterated (OpenSession)."""
        ...


class Engine(Protocol):
    """A class that makes an insight from an Ask by exactly one request."""

    NAME: str
    leaves_machine: bool
    price_model: str | None

    async def attempt(self, ask: Ask) -> Reply:
        """Make one request. Never retry, sleep, fall back or touch money.

        Raises:
            Refused: certainly nothing was billed.
            Unknown: it may have been billed.
        """
        ...


class Channel(Protocol):
    """A class that tells the user something."""

    NAME: str

    async def send(self, alert: Alert) -> None:
        """Deliver the alert within bounded time; raise if it certainly did not arrive."""
        ...
