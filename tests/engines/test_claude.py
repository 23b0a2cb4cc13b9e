"""The Claude engine against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from sessiontrackd.engines.claude import ClaudeEngine, is_exposed, provider_name
from sessiontrackd.errors import Refused, Unknown, Unpriced
from sessiontrackd.model import Ask, InsightLevel, Reply, Session
from sessiontrackd.pricing import Prices
from tests.counterpart import Counterpart, Fault

KEY = "not-a-real-key"
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}},
    "required": ["title"],
    "additionalProperties": False,
}


def ask(text: str = "Say what was decided.") -> Ask:
    """Return a small ask."""
    session = Session("s1", "openai_messages")
    return Ask(session, InsightLevel.MINIMAL, text=text, schema=SCHEMA, model="claude-haiku-5-5", max_output_tokens=400)


def attempt(server: Counterpart, fault: Fault | None = None) -> Reply:
    """Make one attempt against the server, which behaves as the fault says."""
    if fault:
        server.script.append(fault)

    async def once() -> Reply:
        engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=server.base_url)
        try:
            return await engine.attempt(ask())
        finally:
            await engine.close()

    return asyncio.run(once())


def test_a_request_is_valid_by_the_sdks_own_types_and_its_usage_equals_the_bill() -> None:
    """The server finds nothing wrong with the request, and both sides count the same."""
    with Counterpart() as server:
        reply = attempt(server)

        assert server.invalid == []
        assert [(c.input_tokens, c.output_tokens) for c in server.bill] == [
            (reply.usage.input_tokens, reply.usage.output_tokens)
        ]
        assert reply.stop_reason == "end_turn"
        assert '"title"' in reply.text


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 429, 529])
def test_a_sure_refusal_is_told_and_sent_once(status: int) -> None:
    """These statuses bill nothing, so the reservation may be released; there is no second request."""
    with Counterpart() as server:
        with pytest.raises(Refused) as caught:
            attempt(server, Fault("status", status=status, headers={"retry-after": "7"}))

        assert len(server.requests) == 1
        assert caught.value.circuit == (status in (401, 402, 403, 404))
        assert caught.value.is_for_now == (status in (429, 529))
        assert caught.value.circuit or caught.value.retry_after_s == 7


AFTER = {
    "7": 7,
    "0": 0,
    "Wed, 25 Nov 2026 12:01:30 GMT": 90,
    "Wed, 25 Nov 2026 11:00:00 GMT": None,  # over already
    "-1": None,
    "nan": None,
    "soon": None,
    "4233600": 86_400,  # 49 days
    "Tue, 25 Nov 2036 12:00:00 GMT": 86_400,
}


@pytest.mark.parametrize("said", AFTER)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(said: str) -> None:
    """A date counts from the server's own clock; what makes no sense is as if nothing were said."""
    headers = {"retry-after": said, "date": "Wed, 25 Nov 2026 12:00:00 GMT"}
    with Counterpart() as server, pytest.raises(Refused) as caught:
        attempt(server, Fault("status", status=429, headers=headers))

    assert caught.value.retry_after_s == AFTER[said]


def test_a_server_that_cannot_be_reached_was_sent_nothing() -> None:
    """No connection, nothing billed: the reservation may be given back, and it is tried later."""
    with Counterpart() as server:
        port = server.port
    engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=f"http://127.0.0.1:{port}")

    with pytest.raises(Refused, match="cannot be reached") as caught:
        asyncio.run(engine.attempt(ask()))
    assert caught.value.is_for_now


def test_a_spend_limit_is_hopeless_whatever_the_status() -> None:
    """The code in the body tells."""
    body = {"type": "error", "error": {"type": "rate_limit_error", "message": "m"}}
    body["error"]["details"] = {"error_code": "enforced_spend_limit_reached"}  # type: ignore[index]
    with Counterpart() as server, pytest.raises(Refused, match="enforced_spend_limit_reached") as caught:
        attempt(server, Fault("status", status=429, body=json.dumps(body).encode()))

    assert caught.value.circuit


FAULTS = {
    "500": Fault("status", status=500),
    "503": Fault("status", status=503),
    "cut after billing": Fault("cut", billed=True),
    "reset after billing": Fault("reset", billed=True),
    "reset before": Fault("reset"),
    "a portal's page": Fault("body", body=b"<html>log in</html>"),
    "other JSON": Fault("body", body=b'{"hello": 1}', headers={"content-type": "application/json"}),
    "broken JSON": Fault("body", body=b'{"id": ', headers={"content-type": "application/json"}),
    "redirect": Fault("status", status=307, headers={"location": "/v1/messages"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_any_other_outcome_is_unknown_and_sent_once(name: str) -> None:
    """What may have been billed is told as unknown, and nothing is sent again behind our back."""
    with Counterpart() as server:
        with pytest.raises(Unknown):
            attempt(server, FAULTS[name])

        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("key", "address", "words"),
    [(KEY, "http://api.example.com", "unencrypted"), (None, "https://api.anthropic.com", "needs an API key")],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(key: str | None, address: str, words: str) -> None:
    """A server elsewhere without TLS, and a missing key: nothing is sent."""
    engine = ClaudeEngine(model="claude-haiku-5-5", api_key=key, base_url=address)

    with pytest.raises(Refused, match=words) as caught:
        asyncio.run(engine.attempt(ask()))
    assert caught.value.circuit


@pytest.mark.parametrize("unencrypted", [False, True])
def test_an_address_on_another_machine_is_reached(unencrypted: bool) -> None:
    """With TLS, or without it where the user said so. The guard of the tests ends the attempt at the look-up."""
    address = "http://api.example.com" if unencrypted else "https://api.anthropic.com"

    with pytest.raises(BaseException, match=r"looked up .*api\.(example|anthropic)\.com"):
        asyncio.run(reach(address, unencrypted))


async def reach(address: str, unencrypted: bool) -> None:
    """Make one attempt at an address."""
    engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url=address, unencrypted=unencrypted)
    try:
        await engine.attempt(ask())
    finally:
        await engine.close()


def test_a_server_of_ones_own_needs_no_key() -> None:
    """Only Anthropic's does; whoever wants one answers 401."""
    with Counterpart() as server:
        engine = ClaudeEngine(model="claude-haiku-5-5", api_key=None, base_url=server.base_url)

        async def once() -> Reply:
            try:
                return await engine.attempt(ask())
            finally:
                await engine.close()

        assert asyncio.run(once()).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://api.anthropic.com", "anthropic"),
        ("https://API.Anthropic.com:443/v1", "anthropic"),
        ("https://api.anthropic.com.example.org", "api.anthropic.com.example.org:443"),
        ("http://Box.lan/path", "box.lan:80"),
        ("https://box.lan", "box.lan:443"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_consent_names_host_and_port(address: str, name: str) -> None:
    """So that consent for one server is none for another on the same host."""
    assert provider_name(address) == name


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("http://127.0.0.1:8080", False),
        ("http://localhost", False),
        ("http://[::1]:1", False),
        ("https://box.lan", False),
        ("http://box.lan", True),
        ("http://192.168.1.9:8080", True),
        ("http://localhost.example.org", True),
    ],
)
def test_only_this_machine_may_be_spoken_to_without_tls(address: str, exposed: bool) -> None:
    """By its number or the name localhost; nothing is looked up."""
    assert is_exposed(address) is exposed


def test_a_server_cannot_pass_for_a_program_with_a_flat_rate() -> None:
    """Whatever its name is, it has a price, or is not asked."""
    name = provider_name("http://command:8080/v1")

    assert name == "command.:8080"
    with pytest.raises(Unpriced):
        Prices().tariff("a-model", datetime.now(UTC), provider=name)
