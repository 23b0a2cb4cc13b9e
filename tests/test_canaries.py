"""Secrets and personal data that stand all over a transcript, and the key: where they are found after every way to fail."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sessiontrackd import channels, config, engines, worker
from sessiontrackd.config import Home, start_logging
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.model import Alert, Ask, Reply
from sessiontrackd.pipeline import Rooms, open_rooms
from sessiontrackd.worker import process_path
from tests.counterpart import Counterpart, Fault
from tests.engines.test_claude import FAULTS
from tests.test_insights import answer

LETTERS = "Zk3Qw9Rt7Yp2Ls5Dx8Vb4Nm6Hj1Gf0Ca"


def made(prefix: str, length: int, tail: str = "") -> str:
    """Return a credential of a known form; put together here, so that no scanner takes this file for a leak."""
    return prefix + (LETTERS * 8)[len(prefix) : len(prefix) + length] + tail


KEY = made("sk-ant-" + "api03-", 93, "AA")
SECRETS = {
    "github": made("gh" + "p_", 36),
    "anthropic": made("sk-ant-" + "admin01-", 93, "AA"),
    "aws": "AK" + "IA" + "Z7Q2W5RTYPLSDX3V",
    "gitlab": made("glpat" + "-", 20),
    "npm": made("npm" + "_", 36),
    "slack": "xoxb" + "-123456789012-123456789012-" + LETTERS[:24],
    "google": made("AI" + "za", 35),
    "stripe": made("sk_" + "live_", 30),
    "password": "Tr0ub4dor" + "&3xyzzy",
    "bearer": LETTERS[3:31],
    "private key": "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" + LETTERS,
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + LETTERS[:30],
}
PERSONAL = {
    "email": "marta.lindqvist" + "@" + "harbour-club.org",
    "phone": "+46 70 123 " + "45 67",
    "card": "4929 3813 " + "3266 4295",
    "iban": "DE89 3704 0044 " + "0532 0130 00",
    "ip": "203.0.113." + "77",
    "ssn": "536-90-" + "4399",
    "username": "mlindqvist7",
}
WRITTEN = {
    "password": 'password = "{}"',
    "bearer": "curl -H 'Authorization: Bearer {}' https://tide.example/x",
    "private key": "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "phone": "call me at {}",
    "ssn": "my SSN is {}",
    "card": "the credit card {}",
    "iban": "IBAN {}",
    "username": "in /home/{}/tide",
}
ALL = SECRETS | PERSONAL


def line(number: int, role: str, content: object) -> str:
    """Return one record of a Claude Code transcript."""
    return json.dumps(
        {
            "type": role, "sessionId": "s1", "uuid": str(number), "parentUuid": None, "isSidechain": False,
            "cwd": f"/home/{PERSONAL['username']}/tide", "timestamp": f"2026-03-14T09:{number:02}:00Z",
            "message": {"role": role, "content": content},
        }
    )  # fmt: skip


def transcript() -> str:
    """Return a transcript that has each canary in an ask, in a reply, in a call and in its result; one beside a cut."""
    lines, number = [line(0, "user", "Why does the tide import stop? We decided to take SQLite.")], 0
    for kind, value in ALL.items():
        said = WRITTEN.get(kind, "use {} for it").format(value)
        call = {"type": "tool_use", "id": f"t{number}", "name": "Bash", "input": {"command": f"echo; {said}"}}
        result = {
            "type": "tool_result",
            "tool_use_id": f"t{number}",
            "content": f"error: {said}\n" * 3,
            "is_error": True,
        }
        for role, content in (
            ("user", f"Please remember: {said}"),
            ("assistant", [{"type": "text", "text": f"Decided because of that: {said}."}, call]),
            ("user", [result]),
            ("user", "x " * 880 + f"\n{said}\n" + "y " * 700),
        ):
            number += 1
            lines.append(line(number % 60, role, content))
    lines.append(line(59, "assistant", "Done. " + " ".join(WRITTEN.get(k, "use {}").format(v) for k, v in ALL.items())))
    return "\n".join(lines) + "\n"


def traces(text: str, value: str) -> bool:
    """Say whether a text holds a value, or its first, last or middle half."""
    half = max(len(value) // 2, 8)
    middle = (len(value) - half) // 2
    return any(part in text for part in (value[:half], value[-half:], value[middle : middle + half]))


class Broken:
    """An engine with a fault of its own, whose error quotes everything it was given."""

    NAME = "claude"
    leaves_machine = True
    price_model = "claude-haiku-5-5"

    def __init__(self, provider: str) -> None:
        """Be consented to as the server is."""
        self.provider = provider

    async def attempt(self, ask: Ask) -> Reply:
        """Fail with the whole text, and the key, in the error."""
        raise KeyError(f"{KEY} {transcript()} {ask.text}")


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Counterpart], Rooms]]:
    """Return what opens a home that may send to a server; the key and other secrets stand in the environment."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", SECRETS["bearer"])
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"X-Canary: {SECRETS['password']}")
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    opened: list[Rooms] = []

    def open_(server: Counterpart) -> Rooms:
        home, folder = Home.find(tmp_path / "home"), tmp_path / "talks"
        folder.mkdir()
        (folder / "talk.jsonl").write_text(transcript())
        config.set_value(home, "claude.base_url", server.base_url)
        config.set_value(home, "budget.monthly", "50usd")
        config.set_value(home, "log_level", "debug")
        config.add_folder(home, folder, engine="claude")
        opened.append(open_rooms(home))
        opened[0].consents.grant(str(folder), f"127.0.0.1:{server.port}")
        return opened[0]

    yield open_
    for each in opened:
        each.close()


def echoing() -> list[Fault]:
    """Return refusals whose bodies repeat the key and the text, as a hostile or careless server may."""
    body = json.dumps({"type": "error", "error": {"type": "x", "message": f"{KEY} {transcript()}"}}).encode()
    statuses = (400, 401, 402, 403, 404, 413, 422, 429, 500, 503, 529)
    return [Fault("status", status=status, body=body, headers={"retry-after": "60"}) for status in statuses]


SOME = {400, 401, 500}


@pytest.mark.parametrize("everything", [False, pytest.param(True, marks=pytest.mark.prove)])
def test_after_every_way_to_fail_no_secret_is_found_and_nothing_personal_was_sent(
    everything: bool,
    rooms: Callable[[Counterpart], Rooms],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bytes that the server received, log at level debug, database, backups, notes, notifications, results."""
    told: list[str] = []

    class Heard:
        NAME = "desktop"

        async def send(self, alert: Alert) -> None:
            told.append(alert.text)

    monkeypatch.setattr(channels, "channel_class", lambda _: Heard)
    caplog.set_level(logging.DEBUG)
    hostile = answer({"kind": "todo", "text": " ".join(ALL.values()), "quote": KEY, "messages": [1]}, title=KEY)
    said = iter([answer(title=SECRETS["github"], summary=" ".join(ALL.values())), hostile, *["no shape " + KEY] * 2])
    with Counterpart(lambda _: next(said, answer())) as server:
        place = rooms(server)
        path = place.settings.folders[0].path / "talk.jsonl"

        def again() -> None:
            results.append(asyncio.run(process_path(place, path, again=True)))

        results: list[object] = []
        for _ in range(3):  # answers that repeat secrets, and one without shape
            again()
        for fault in (*echoing(), *FAULTS.values()):
            if not (everything or fault.status in SOME):
                continue
            server.script.append(fault)
            again()
            server.script.clear()
        monkeypatch.setattr(engines, "make_engine", lambda *_: Broken(f"127.0.0.1:{server.port}"))
        again()
        monkeypatch.undo()
        place.consents.revoke(str(path.parent), f"127.0.0.1:{server.port}")
        again()
        place.queue.retry()
        sent = b"\n".join(server.requests).decode()
        heads = b"\n".join(server.headers).decode()
        assert len(server.requests) >= len(results) - 2  # the broken engine and the missing consent
    kept = {
        each: each.read_bytes().decode("utf-8", "replace")
        for each in tmp_path.rglob("*")
        if each.is_file() and each != path
    }
    spoken = "\n".join([json.dumps(results), caplog.text, *told, *map(repr, caplog.records)])

    for kind, value in {**SECRETS, "key": KEY}.items():
        assert not traces(sent, value), kind
        assert not traces(spoken, value), kind
        assert [each.name for each, text in kept.items() if traces(text, value)] == [], kind
    for kind, value in PERSONAL.items():
        assert value not in sent, kind
        assert value not in caplog.text.replace(str(tmp_path), "") + " ".join(told), kind
    assert heads.count(KEY) == len(server.headers)  # in its one header
    assert not any(traces(heads.replace(KEY, ""), value) for value in SECRETS.values())
    assert "x-stainless" not in heads.lower()
    assert "Please remember" not in caplog.text
    assert any("401" in each for each in told)


def test_the_key_has_no_way_into_a_repr() -> None:
    """Whoever prints the engine, or an error with it, prints no key."""
    engine = ClaudeEngine(model="m", api_key=KEY, base_url="http://127.0.0.1:9")

    assert KEY not in repr(engine)
    assert KEY not in repr(vars(Broken))


def test_logging_at_debug_leaves_the_packages_quiet() -> None:
    """They would write every request."""
    before = logging.getLogger().level
    try:
        start_logging("debug")
        assert not logging.getLogger("httpx2").isEnabledFor(logging.INFO)
    finally:
        logging.getLogger().setLevel(before)
        assert os.environ.get("ANTHROPIC_LOG") is None
    assert worker.KILLED
