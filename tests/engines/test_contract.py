"""What holds for every engine in the register: one attempt is one request, answered or told apart."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessiontrackd import engines
from sessiontrackd.config import Home, Settings
from sessiontrackd.contracts import Engine
from sessiontrackd.engines.local import LocalEngine
from sessiontrackd.errors import EngineError
from sessiontrackd.model import Ask, InsightLevel, Reply, Session
from tests.counterpart import Counterpart

COUNTING = f"""#!{sys.executable}
import pathlib, sys
log = pathlib.Path(__file__).with_suffix(".asked")
log.write_text((log.read_text() if log.exists() else "") + "x")
sys.stdin.read()
print('{{"title": "A talk", "summary": "They talked.", "findings": []}}')
"""


@pytest.fixture
def server() -> Iterator[Counterpart]:
    """A server on loopback."""
    with Counterpart() as counterpart:
        yield counterpart


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that counts how often it was asked."""
    path = tmp_path / "thinker"
    path.write_text(COUNTING)
    path.chmod(0o755)
    return path


@pytest.fixture
def asked(server: Counterpart, program: Path) -> Callable[[], int]:
    """Say how many requests reached anybody."""
    log = program.with_suffix(".asked")
    return lambda: len(server.requests) + (len(log.read_text()) if log.exists() else 0)


def made(name: str, home: Home, server: Counterpart, program: Path) -> Engine:
    """Make an engine that has all it needs."""
    settings = Settings(claude_base_url=server.base_url, command_argv=(str(program),))
    return engines.make_engine(name, home, settings, "claude-haiku-5-5")


def attempt(engine: Engine) -> Reply:
    """Make one attempt."""
    session = Session("s1", "made")
    ask = Ask(
        session,
        InsightLevel.MINIMAL,
        title="A talk",
        text="Say what was decided.",
        schema={"type": "object"},
        model=engine.price_model,
        max_output_tokens=400,
    )

    async def once() -> Reply:
        try:
            return await engine.attempt(ask)
        finally:
            if close := getattr(engine, "close", None):
                await close()

    return asyncio.run(once())


@pytest.mark.parametrize("name", engines.names())
class TestEngine:
    """Run for each name in the register, those of other packages too."""

    def test_it_answers_by_one_request(
        self, name: str, tmp_path: Path, server: Counterpart, program: Path, asked: Callable[[], int]
    ) -> None:
        """No attempt is made again in silence, and what comes back has text or a title."""
        engine = made(name, Home.find(tmp_path / "home"), server, program)
        reply = attempt(engine)

        assert asked() == int(engine.leaves_machine)
        assert reply.text or reply.title
        assert reply.usage.total_tokens > 0 or not engine.leaves_machine

    def test_it_says_where_the_text_goes(self, name: str, tmp_path: Path, server: Counterpart, program: Path) -> None:
        """One that leaves the machine names who gets the text and what is priced; another one neither."""
        engine = made(name, Home.find(tmp_path / "home"), server, program)
        settings = Settings(claude_base_url=server.base_url, command_argv=(str(program),))

        assert name == engine.NAME
        assert (engine.price_model is not None) == engine.leaves_machine
        assert (engines.provider_of(name, settings) is not None) == engine.leaves_machine
        assert isinstance(engine, LocalEngine) or engines.provider_of(name, settings) == getattr(
            engine, "provider", name
        )

    def test_without_its_settings_it_refuses(self, name: str, tmp_path: Path) -> None:
        """An engine that lacks something says so by an EngineError, before anything is sent."""
        engine = engines.make_engine(name, Home.find(tmp_path / "home"), Settings(), "claude-haiku-5-5")
        if engine.leaves_machine:
            with pytest.raises(EngineError, match=r"needs|do not name one"):
                attempt(engine)
