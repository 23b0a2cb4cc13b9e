"""How far back history goes: `30d`, a day, `now` or `all`, read or asked for."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click

from sessiontrackd.errors import UsageError
from sessiontrackd.survey import DAYS


def since_of(text: str, now: datetime) -> str | None:
    """Turn `30d`, `now`, `all` or a day into what the settings file says; None means all."""
    if text == "all":
        return None
    if text == "now":
        return now.isoformat(timespec="seconds")
    days = re.fullmatch(r"([0-9]{1,5})d", text)
    if days:
        return (now - timedelta(days=int(days[1]))).date().isoformat()
    try:
        return (
            datetime.fromisoformat(text).isoformat() if "T" in text else datetime.fromisoformat(text).date().isoformat()
        )
    except ValueError:
        raise UsageError(f"--since cannot be '{text}'. Write 30d, a day such as 2026-03-14, all or now.") from None


def ask_since(now: datetime) -> str | None:
    """Ask until the answer means something."""
    while True:
        answer = click.prompt(f"How far back? ({DAYS}d, a day, all, now)", default=f"{DAYS}d")
        try:
            return since_of(answer.strip(), now)
        except UsageError as mistake:
            click.echo(mistake)
