"""The answer of a server with Anthropic's protocol: read leniently, except for what is billed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sessiontrackd.errors import EngineError, Refused, Unknown
from sessiontrackd.model import Reply, Usage

FACTORS = {("inference_geo", "us"): Decimal("1.1"), ("speed", "fast"): Decimal(2)}
"""What makes every token of a request dearer; a workspace may ask for it by itself. Source: documentation, 2026-11."""

HOPELESS_IN_BATCH = frozenset({"invalid_request_error", "request_too_large"})  # of one request; the others may go on


def reply_of(message: Mapping[str, Any], request_id: str | None = None) -> Reply:
    """Return the reply that a message holds, not yet parsed.

    Raises:
        Unknown: it is no finished message of the API (other JSON came with status 200), or states no usage that can be
            billed; the request may have been billed.
    """
    stop_reason, model = message.get("stop_reason"), message.get("model")
    if not message.get("id") or not isinstance(stop_reason, str):
        raise Unknown("the answer is not a finished message of the API: it may have been billed")
    stated = _object(message.get("usage"))
    return Reply(
        title="",
        summary="",
        findings=(),
        usage=_usage(stated),
        model=model if isinstance(model, str) else None,
        stop_reason=stop_reason,
        text=_text(message.get("content")),
        request_id=request_id,
        price_factor=_factor(stated),
    )


def outcome_of(line: str) -> tuple[str, Reply | EngineError]:
    """Return the id of a request of a batch and what came of it; only one that succeeded is billed.

    Raises:
        Unknown: the line is cut, so that none of the batch is known.
    """
    try:
        found = _object(json.loads(line))
    except (ValueError, RecursionError):
        found = {}
    name, result = found.get("custom_id"), _object(found.get("result"))
    if not isinstance(name, str):
        raise Unknown("the results of the batch are cut")
    match result.get("type"):
        case "succeeded":
            try:
                return name, reply_of(_object(result.get("message")))
            except Unknown as problem:
                return name, problem
        case "errored":
            kind = _object(_object(result.get("error")).get("error")).get("type")
            known = kind if isinstance(kind, str) and kind.isidentifier() else "for no reason that it names"
            return name, Refused(f"The server refused it ({known})", is_for_now=known not in HOPELESS_IN_BATCH)
        case "expired" | "canceled" as kind:
            return name, Refused(f"The batch ended before it was worked on ({kind})", is_for_now=True)
        case _:
            return name, Unknown("the batch has no usable result for it: it may have been billed")


def _usage(stated: Mapping[str, Any]) -> Usage:
    """Return the five buckets; `input_tokens` of the API is without cache already."""
    written = _object(stated.get("cache_creation"))
    five_min, one_hour = (_count(written.get(f"ephemeral_{each}_input_tokens") or 0) for each in ("5m", "1h"))
    writes = max(_count(stated.get("cache_creation_input_tokens") or 0), five_min + one_hour)
    beside = _object(stated.get("server_tool_use"))
    if any(beside.values()):
        raise Unknown("the server did more than it was asked for, at an unknown price: it may have been billed")
    return Usage(
        input_tokens=_count(stated.get("input_tokens")),
        output_tokens=_count(stated.get("output_tokens")),
        cache_read_tokens=_count(stated.get("cache_read_input_tokens") or 0),
        cache_write_5m_tokens=writes - one_hour,
        cache_write_1h_tokens=one_hour,
    )


def _count(stated: object) -> int:
    """Return a number of tokens; one that is missing or makes no sense is no zero."""
    if isinstance(stated, int) and not isinstance(stated, bool) and Usage(stated).is_possible:
        return stated
    raise Unknown("the answer states no plausible usage: it may have been billed")


def _factor(stated: Mapping[str, Any]) -> Decimal:
    factor = Decimal(1)
    for (name, value), times in FACTORS.items():
        factor *= times if stated.get(name) == value else 1
    return factor


def _text(content: object) -> str:
    blocks = [_object(block) for block in content] if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if block.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
