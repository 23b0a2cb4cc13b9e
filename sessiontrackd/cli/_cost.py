"""What an estimate covers, and how it is printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sessiontrackd import engines
from sessiontrackd.cli._command import current_home
from sessiontrackd.cli._screen import count, usd
from sessiontrackd.config import Settings
from sessiontrackd.errors import Held
from sessiontrackd.estimate import Planned, Range, Total
from sessiontrackd.insights import LEVELS
from sessiontrackd.model import FLAT_RATE, InsightLevel
from sessiontrackd.pricing import usd_text

PAID = "claude"  # whose price is told where the local engine would do the work


class Asked(NamedTuple):
    """Which model of which provider would be asked."""

    model: str
    provider: str | None


def asked_of(engine: str, settings: Settings, level: InsightLevel) -> Asked:
    """Return what an engine would ask at a level; of the local engine, what the paid default would."""
    usual = LEVELS[level].model
    name = engine if engines.engine_class(engine).leaves_machine else PAID
    try:
        model = engines.make_engine(name, current_home(), settings, usual).price_model or usual
    except Held:  # it lacks something that only asking it needs
        model = settings.claude_model or usual
    return Asked(model, engines.provider_of(name, settings))


def planned(path: Path, level: InsightLevel, asked: Asked, *, named: bool = False) -> Planned:
    """Return a transcript as it would be asked about."""
    return Planned(path, path.stat().st_size, level, asked.model, asked.provider, named)


def about(total: Total) -> str:
    """Return the cost for people, with its range."""
    if total.is_flat_rate:
        return f"at the {FLAT_RATE} of your plan"
    low, expected, most = map(usd, total.cost_picousd)
    return f"about {expected}" if most == "$0" else f"about {expected} (from {low} to at most {most})"


def tokens_text(tokens: Range) -> str:
    """Return tokens for people, with their range."""
    return f"about {tokens.expected:,} (from {tokens.low:,} to at most {tokens.most:,})"


def scaled_text(total: Total) -> str:
    """Say what the figures were scaled from; nothing where everything was read."""
    if total.read == total.files:
        return ""
    return f"{total.read:,} of {count(total.files, 'transcript')}, spread over their sizes, were read; the rest is scaled from them."


def as_range(value: Range) -> dict[str, Any]:
    """Return a range for JSON."""
    return {"low": value.low, "expected": value.expected, "max": value.most}


def money(total: Total) -> dict[str, Any]:
    """Return the range of a cost for JSON; what a plan covers has none."""
    cost = as_range(total.cost_picousd)
    return {name: None if total.is_flat_rate else usd_text(amount) for name, amount in cost.items()}
