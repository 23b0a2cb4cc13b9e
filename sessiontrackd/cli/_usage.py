"""The table of tokens and money that `usage` and `demo` print."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import click

from sessiontrackd.cli._screen import print_table, usd
from sessiontrackd.model import FLAT_RATE
from sessiontrackd.pricing import picousd

COUNTS = ("sessions", "calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
COLUMNS = ("key", *COUNTS, "cost_usd")
HEADERS = ("sessions", "calls", "input", "output", "cache read", "cache write", "cost")


def print_usage(document: dict[str, Any], by: str) -> None:
    """Print the rows of a usage document and their total, and what is missing from it."""
    total = document["total"]
    rows = [_row(row["key"] or "unknown", row) for row in document["rows"]]
    if len(rows) > 1:
        rows.append(_row("total", total))
    print_table((by, *HEADERS), rows, right=range(1, len(HEADERS) + 1))
    for line in _missing(total):
        click.echo(line)


def _row(key: str, row: dict[str, Any]) -> tuple[str, ...]:
    counts = tuple(f"{row[name]:,}" for name in COUNTS)
    mark = "+" if row.get("incomplete") or row.get("unpriced_tokens") else ""
    return (key, *counts, _cost(row) + mark)


def _cost(row: dict[str, Any]) -> str:
    if row["cost_usd"] is None:
        return FLAT_RATE if row.get("flat_rate_calls") else "unknown"
    return money(row["cost_usd"]) + (f" + {FLAT_RATE}" if row.get("flat_rate_calls") else "")


def _missing(total: dict[str, Any]) -> Iterator[str]:
    """Say why a total is a lower bound."""
    if total.get("incomplete"):
        yield "+ some transcripts record less than was used; the true figures are higher."
    if float(total.get("assumed_usd") or 0):
        yield f"{money(total['assumed_usd'])} of it is assumed, not measured: the usage is unknown, so its tokens are in no column."
    if total.get("unpriced_tokens"):
        yield f"+ {total['unpriced_tokens']:,} tokens are of models without a known price and are not included in the amounts."


def money(cost_usd: str) -> str:
    """Return an amount of a document for people."""
    return usd(picousd(Decimal(cost_usd)))
