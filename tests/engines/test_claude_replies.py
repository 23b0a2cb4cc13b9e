"""What a reply states of usage, and what stands between us and the server, against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from sessiontrackd.engines._claude_reply import outcome_of
from sessiontrackd.engines.claude import ClaudeEngine
from sessiontrackd.errors import Refused, Unknown
from sessiontrackd.model import Reply, Usage
from tests.counterpart import Counterpart, Fault
from tests.engines.test_claude import KEY, ask, attempt

MESSAGE: dict[str, Any] = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "stop_reason": "end_turn",
    "stop_sequence": None, "content": [{"type": "text", "text": "{}"}],
}  # fmt: skip
PLAIN: dict[str, Any] = {"input_tokens": 10, "output_tokens": 5}


def said(usage: object, **other: object) -> Reply:
    """Return the reply to a message with this usage, as the API's package hands it over."""
    body = json.dumps(MESSAGE | {"usage": usage} | other).encode()
    with Counterpart() as server:
        return attempt(server, Fault("body", body=body, headers={"content-type": "application/json"}))


IMPOSSIBLE: dict[str, object] = {
    "null": {"input_tokens": None, "output_tokens": 5},
    "missing": {"input_tokens": 10},
    "negative": {"input_tokens": -1_000_000, "output_tokens": 5},
    "a text": {"input_tokens": "10", "output_tokens": 5},
    "a fraction": {"input_tokens": 10.5, "output_tokens": 5},
    "a truth": {"input_tokens": True, "output_tokens": 5},
    "beyond the ledger": {"input_tokens": 10**30, "output_tokens": 5},
    "negative cache": PLAIN | {"cache_read_input_tokens": -(10**9)},
    "a cache of text": PLAIN
    | {"cache_creation": {"ephemeral_1h_input_tokens": "many", "ephemeral_5m_input_tokens": 0}},
    "a list": [10, 5],
    "an empty list": [],
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_usage_that_cannot_be_billed_is_unknown(name: str) -> None:
    """Nobody knows what such a request costs: what was reserved counts as spent, and nothing is ever given back."""
    with pytest.raises(Unknown, match="may have been billed"):
        said(IMPOSSIBLE[name])


@pytest.mark.parametrize(
    ("stated", "counted"),
    [
        (PLAIN | {"cache_read_input_tokens": None, "cache_creation_input_tokens": None}, Usage(10, 5)),
        (PLAIN | {"cache_creation_input_tokens": 7, "cache_creation": None}, Usage(10, 5, 0, 7)),
        (
            PLAIN | {"cache_creation_input_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 7, "ephemeral_5m_input_tokens": 0}},
            Usage(10, 5, 0, 0, 7),
        ),
        (
            PLAIN | {"cache_creation": {"ephemeral_1h_input_tokens": 3, "ephemeral_5m_input_tokens": 4}},
            Usage(10, 5, 0, 4, 3),
        ),
    ],
)  # fmt: skip
def test_cache_writes_are_counted_wherever_they_are_stated(stated: dict[str, Any], counted: Usage) -> None:
    """In the sum, in the two parts of it, or in both; null is nothing."""
    assert said(stated).usage == counted


@pytest.mark.parametrize(
    ("stated", "factor"),
    [
        ({"inference_geo": "us"}, "1.1"),
        ({"inference_geo": "global", "service_tier": "standard"}, "1"),
        ({"inference_geo": "not_available", "speed": "standard"}, "1"),
        ({"speed": "fast"}, "2"),
        ({"service_tier": "a new one"}, "1"),
    ],
)
def test_what_makes_a_request_dearer_is_told_with_it(stated: dict[str, Any], factor: str) -> None:
    """A workspace may keep inference in the US, which costs a tenth more, though the request does not ask for it."""
    assert said(PLAIN | stated).price_factor == Decimal(factor)


def test_what_a_server_did_beside_answering_is_unknown() -> None:
    """A web search has a price of its own, which tokens do not tell; no request of ours asks for one."""
    assert said(PLAIN | {"server_tool_use": {"web_search_requests": 0}}).usage == Usage(10, 5)
    with pytest.raises(Unknown):
        said(PLAIN | {"server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 0}})


@pytest.mark.parametrize(
    "content", [None, [], [None], [{"type": "text"}], [{"type": "text", "text": None}], [{"type": "later", "text": 7}], 5]
)  # fmt: skip
def test_a_reply_without_text_is_booked_all_the_same(content: object) -> None:
    """Its usage stands, and its text is empty."""
    reply = said(PLAIN, content=content)

    assert (reply.usage, reply.text) == (Usage(10, 5), "")


@pytest.mark.parametrize("reason", [["end_turn"], {"a": 1}, 5])
def test_a_reply_that_ends_for_no_known_reason_is_unknown(reason: object) -> None:
    """What is no word is no message of the API."""
    with pytest.raises(Unknown):
        said(PLAIN, stop_reason=reason)


def line(kind: str, **result: object) -> str:
    return json.dumps({"custom_id": "attempt-1", "result": {"type": kind} | result})


def test_a_line_of_a_batch_that_is_new_to_us_is_unknown_by_itself() -> None:
    """It neither frees what was reserved for it nor keeps the other answers back."""
    message = MESSAGE | {"usage": PLAIN, "content": [{"type": "from_next_year"}, {"type": "text", "text": "{}"}]}
    succeeded = outcome_of(line("succeeded", message=message))[1]
    refused = outcome_of(line("errored", error={"type": "error", "error": {"type": "a_new_error", "message": ""}}))[1]

    assert isinstance(succeeded, Reply)
    assert (succeeded.usage, succeeded.text) == (Usage(10, 5), "{}")
    assert isinstance(refused, Refused)
    for odd in (line("half_done"), line("succeeded"), line("succeeded", message={}), '{"custom_id": "attempt-1"}'):
        assert outcome_of(odd)[0] == "attempt-1"
        assert isinstance(outcome_of(odd)[1], Unknown)
    assert isinstance(outcome_of(line("expired"))[1], Refused)
    assert isinstance(outcome_of(line("canceled"))[1], Refused)


AMISS = {
    "a SOCKS proxy": {"ALL_PROXY": "socks5://127.0.0.1:1"},
    "a proxy of the desktop": {"ALL_PROXY": "socks://127.0.0.1:1"},
    "a proxy without a port": {"HTTPS_PROXY": "http://someone:geheim@127.0.0.1:no"},
    "no certificates": {"SSL_CERT_FILE": "/nonexistent/ca.pem"},
}


@pytest.mark.parametrize("name", AMISS)
def test_a_connection_that_cannot_be_set_up_sends_and_costs_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the package cannot use is the machine's fault, and surely nothing was billed."""
    for variable, value in AMISS[name].items():
        monkeypatch.setenv(variable, value)
    engine = ClaudeEngine(model="claude-haiku-5-5", api_key=KEY, base_url="https://api.anthropic.com")

    with pytest.raises(Refused, match="ALL_PROXY") as caught:
        asyncio.run(engine.attempt(ask()))
    assert caught.value.circuit
    assert "geheim" not in str(caught.value)


def test_the_environment_neither_redirects_nor_adds_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and key are those of the settings, whatever other programs are told, and on this machine there is no proxy."""
    with Counterpart() as server, Counterpart() as other:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", other.base_url)
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "a-token-of-another-tool")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key-of-another-tool")
        monkeypatch.setenv("ANTHROPIC_PROFILE", "none")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, other.base_url)
        attempt(server)

        assert (len(server.requests), len(other.requests), other.headers) == (1, 0, [])
        assert KEY.encode() in server.headers[0]
        assert b"another-tool" not in server.headers[0]
