"""A real model behind a real server: what it says it used is what the ledger holds. Opt in with `make test-real-model`.

The text of a model this small is junk; arithmetic is tested with it, never quality.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd.budget import SCHEMA, Limit, TokenManager
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.errors import Held
from sessiontrackd.insights import AIInsightGenerator
from sessiontrackd.store import Store, open_store
from tests.test_insights import TALK, USD, agreed

CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = CHECKOUT / ".venv" / "real-model"
START_S = 120.0
BUCKETS = ("input_tokens", "output_tokens", "cache_read_input_tokens")

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(not INSTALLED.is_dir(), reason="no .venv/real-model: make test-real-model installs it"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Return the address of a server with the real model."""
    command = [sys.executable, str(CHECKOUT / "tests" / "real_model_server.py")]
    there = {**os.environ, "PYTHONPATH": str(INSTALLED)}
    with subprocess.Popen(command, env=there, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        found = process.stdout.readline().strip()
        deadline = time.monotonic() + START_S
        while not is_well(found):
            assert process.poll() is None
            assert time.monotonic() < deadline
        yield found
        process.terminate()


def is_well(address: str) -> bool:
    """Ask the server whether it can answer."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@contextlib.asynccontextmanager
async def overheard(address: str, usages: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Pass bytes on to a server and note what usage its answers name, without the program's own reading of them."""
    host, port = address.removeprefix("http://").split(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray | None) -> None:
        while data := await reader.read(65_536):
            if seen is not None:
                seen += data
            writer.write(data)
            await writer.drain()
        writer.close()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = bytearray()
        back, forth = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, forth, None), pump(back, writer, seen), return_exceptions=True)
        text, decoder = seen.decode("utf-8", "replace"), json.JSONDecoder()
        usages.extend(decoder.raw_decode(part.lstrip())[0] for part in text.split('"usage":')[1:])

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
    await asyncio.sleep(0.2)  # the last connection is read to its end


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "state.db", SCHEMA) as opened:
        yield opened


def test_the_ledger_holds_what_the_server_says_it_used(address: str, store: Store) -> None:
    """In each bucket, for each request, whatever the text is worth; nothing passes its reservation."""
    money = TokenManager(store=store, timezone="UTC")
    money.set_limits(Limit(5 * USD))
    usages: list[dict[str, Any]] = []

    async def work() -> None:
        async with overheard(address, usages) as through:
            engine = ClaudeEngine(model="claude-haiku-5-5", api_key=None, base_url=through)
            generator = AIInsightGenerator(money, engine=engine, consent=agreed)
            async with contextlib.aclosing(generator):
                for number in range(2):
                    with contextlib.suppress(Held):  # what it writes is seldom JSON
                        talk = [*TALK, {"role": "user", "content": f"And that was item {number}."}]
                        await generator.generate_insights(talk, "minimal")

    asyncio.run(work())
    attempts = money._ledger.attempts()
    booked = [
        (each.last.usage.input_tokens, each.last.usage.output_tokens, each.last.usage.cache_read_tokens)
        for each in attempts
    ]
    said = [tuple(usage.get(bucket) or 0 for bucket in BUCKETS) for usage in usages]
    print(f"\n{len(said)} requests; the server said {said}; the ledger holds {booked}")

    assert len(attempts) >= 2
    assert {each.state for each in attempts} == {"settled"}
    assert booked == said
    assert all(tokens > 0 for _, tokens, _ in said)
    assert money.overruns() == []
