"""A server on loopback that speaks the Messages API, checks what it is sent and keeps its own bill.

Its bill is the oracle of the ledger: what it charged, the ledger must know. It can be told to refuse, delay, reset, cut and
answer nonsense (`Counterpart.script`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

BYTES_PER_TOKEN = 3  # the counterpart's own tokenizer: deterministic, and not ours
RATES = {"claude-haiku-5-5": (100_000, 500_000), "claude-sonnet-5-5": (2_000_000, 10_000_000)}  # pico-USD a token


@dataclass(slots=True)
class Charge:
    """What the server billed for one request."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_picousd: int


@dataclass(slots=True)
class Fault:
    """How the server treats one request; `billed` says whether it did the work first."""

    kind: str = "answer"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    billed: bool = False
    body: bytes = b""
    delay_s: float = 0.0


Answer = Callable[[dict[str, Any]], str]


def tokens_of(request: dict[str, Any]) -> int:
    """Count a prompt as this server does."""
    return len(json.dumps(request["messages"]).encode()) // BYTES_PER_TOKEN + 1


def echo_answer(request: dict[str, Any]) -> str:
    """Answer with a well-formed insight that claims nothing."""
    return json.dumps({"title": "A talk", "summary": "They talked.", "findings": []})


class Counterpart:
    """The server, in a thread of its own. Use as a context manager.

    Attributes:
        requests: the body of every request received, whole, as bytes; those about batches aside.
        bill: what was charged.
        counted: how often it was asked to count tokens; `counts` False: it cannot.
        invalid: what the SDK's own types say is wrong with a request.
        batches: the requests of each batch.
        batch_looks: how often a batch is asked about before it has ended.
        batch_outcomes: what becomes of a batch's requests by their number, where they do not succeed.
        script: faults for the next requests, in order; an empty script answers.
        stop_reason: why the answers end.
    """

    def __init__(self, answer: Answer = echo_answer) -> None:
        """Prepare; nothing listens yet."""
        self.requests: list[bytes] = []
        self.counted, self.counts = 0, True
        self.headers: list[bytes] = []
        self.bill: list[Charge] = []
        self.invalid: list[str] = []
        self.script: deque[Fault] = deque()
        self.batches: dict[str, list[dict[str, Any]]] = {}
        self.batch_looks = 0
        self.batch_outcomes: dict[int, str] = {}
        self._billed: set[str] = set()
        self.answer = answer
        self.stop_reason = "end_turn"
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def base_url(self) -> str:
        """The address to give to a client."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def billed_picousd(self) -> int:
        """The sum of the bill."""
        return sum(charge.cost_picousd for charge in self.bill)

    def __enter__(self) -> Counterpart:
        """Listen."""
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _serve(self) -> None:
        """Run the event loop of the server until it is stopped."""
        self._loop.run_until_complete(self._listen())
        self._loop.close()

    async def _listen(self) -> None:
        """Accept connections on a free port of 127.0.0.1."""
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await server.wait_closed()
        await asyncio.sleep(0)  # closed transports say so on the next turn of the loop

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of one connection."""
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._served(reader, writer):
                    pass
        finally:
            writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; return whether another may follow."""
        head = await _head(reader)
        if not head:
            return False
        body = await reader.readexactly(_length(head))
        if b"/batches" not in head[0] and b"/count_tokens" not in head[0]:
            self.requests.append(body)
        self.headers.append(b"\n".join(head))
        return await self._respond(head[0].decode(), body, writer)

    async def _respond(self, request_line: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request as the script says; return whether the connection stays open."""
        if "/batches" in request_line:
            return await self._batch(request_line, body, writer)
        if "/count_tokens" in request_line:
            self.counted += 1
            told = json.dumps({"input_tokens": tokens_of(json.loads(body))}).encode()
            return await _send(writer, 200 if self.counts else 404, told if self.counts else _error("not_found_error"))
        fault = self.script.popleft() if self.script else Fault()
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        message = self._work(request_line, body) if fault.kind == "answer" or fault.billed else b""
        if message is None:
            return await _send(writer, 400, _error("invalid_request_error"))
        match fault.kind:
            case "answer":
                return await _send(writer, 200, message)
            case "status":
                return await _send(writer, fault.status, fault.body or _error("scripted"), fault.headers)
            case "body":
                return await _send(writer, 200, fault.body, {"content-type": "text/html", **fault.headers})
            case "cut":
                writer.write(_response_head(200, len(message), {}) + message[: len(message) // 2])
                await writer.drain()
            case "reset":
                writer.transport.abort()
        return False

    async def _batch(self, request_line: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Take a batch, tell how it stands, or give its results; `batch_looks` questions later it has ended."""
        method, path = request_line.split()[:2]
        fault = self.script.popleft() if self.script and method == "POST" else Fault()
        if fault.kind == "status":
            return await _send(writer, fault.status, _error("scripted"), fault.headers)
        if method == "POST":
            name = f"msgbatch_{len(self.batches) + 1}"
            self.batches[name] = json.loads(body)["requests"]
            if fault.kind == "reset":
                writer.transport.abort()
                return False
            return await _send(writer, 200, _batch_state(name, len(self.batches[name]), "in_progress"))
        name = path.split("/")[4]
        if path.endswith("/results"):
            lines = [self._item(number, one) for number, one in enumerate(self.batches[name])]
            return await _send(
                writer, 200, b"\n".join(reversed(lines)) + b"\n", {"content-type": "application/x-jsonl"}
            )
        self.batch_looks -= 1
        state = "in_progress" if self.batch_looks >= 0 else "ended"
        return await _send(writer, 200, _batch_state(name, len(self.batches[name]), state))

    def _item(self, number: int, one: dict[str, Any]) -> bytes:
        """Return a line of the results, billed at half the price where it succeeded; asked again it is not billed again."""
        kind = self.batch_outcomes.get(number, "succeeded")
        result: dict[str, Any] = {"type": kind}
        if kind == "succeeded":
            bill = len(self.bill)
            result["message"] = json.loads(
                self._work("POST /v1/messages", json.dumps(one["params"]).encode()) or b"null"
            )
            if one["custom_id"] in self._billed:
                del self.bill[bill:]
            elif len(self.bill) > bill:
                self.bill[-1].cost_picousd //= 2
            self._billed.add(one["custom_id"])
        elif kind == "errored":
            result["error"] = {"type": "error", "error": {"type": "invalid_request_error", "message": "scripted"}}
        return json.dumps({"custom_id": one["custom_id"], "result": result}).encode()

    def _work(self, request_line: str, body: bytes) -> bytes | None:
        """Check and bill one request and return the message; None where it is invalid (and so not billed)."""
        assert request_line.startswith("POST /v1/messages"), request_line
        request = json.loads(body)
        errors = [error.message[:200] for error in validator().iter_errors(request)]
        self.invalid += errors
        if errors:
            return None
        text = self.answer(request)
        input_tokens = tokens_of(request)
        output_tokens = min(len(text.encode()) // BYTES_PER_TOKEN + 1, request["max_tokens"])
        rate_in, rate_out = RATES[request["model"]]
        cost = input_tokens * rate_in + output_tokens * rate_out
        self.bill.append(Charge(request["model"], input_tokens, output_tokens, cost))
        return json.dumps(_message(request["model"], text, input_tokens, output_tokens, self.stop_reason)).encode()


@cache
def validator() -> Any:
    """Return a JSON schema validator of a request, made from the SDK's own types, that refuses unknown keys."""
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
    from jsonschema import Draft202012Validator
    from pydantic import TypeAdapter

    schema = TypeAdapter(MessageCreateParamsNonStreaming).json_schema()
    for part in _objects(schema):
        if "properties" in part:
            part.setdefault("additionalProperties", False)
    return Draft202012Validator(schema)


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON schema."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _objects(value)


def _message(model: str, text: str, input_tokens: int, output_tokens: int, stop_reason: str) -> dict[str, Any]:
    """Return a finished message as the API writes it."""
    return {
        "id": "msg_made",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
    }


def _batch_state(name: str, requests: int, state: str) -> bytes:
    """Return a batch as the API describes it."""
    counts = {"processing": requests, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    at = "2026-11-25T12:00:00Z"
    return json.dumps(
        {
            "id": name,
            "type": "message_batch",
            "processing_status": state,
            "request_counts": counts,
            "created_at": at,
            "expires_at": "2026-11-26T12:00:00Z",
            "ended_at": at if state == "ended" else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            "results_url": f"https://elsewhere.example/{name}" if state == "ended" else None,
        }
    ).encode()


def _error(kind: str) -> bytes:
    """Return an error body as the API writes it."""
    return json.dumps({"type": "error", "error": {"type": kind, "message": "scripted"}}).encode()


async def _head(reader: asyncio.StreamReader) -> list[bytes]:
    """Return the lines of a request's head; empty at the end of the connection."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).strip().split(b"\r\n")
    except asyncio.IncompleteReadError:
        return []


def _length(head: list[bytes]) -> int:
    """Return the length of the body that a head announces."""
    found = (line for line in head if line.lower().startswith(b"content-length:"))
    return next((int(line.split(b":")[1]) for line in found), 0)


def _response_head(status: int, length: int, headers: dict[str, str]) -> bytes:
    """Return the head of a response."""
    fields = {"content-type": "application/json", "content-length": str(length), "request-id": "req_made", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Status\r\n{lines}\r\n".encode()


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None) -> bool:
    """Write a whole response; the connection stays open."""
    writer.write(_response_head(status, len(body), headers or {}) + body)
    await writer.drain()
    return True
