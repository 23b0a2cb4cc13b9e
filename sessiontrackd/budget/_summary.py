"""How the month stands in every budget, in the shape of `budget --json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sessiontrackd.budget._entries import KEEP, TOTAL, Balance, Limit
from sessiontrackd.budget._ledger import Ledger
from sessiontrackd.pricing import usd_text


def summary(ledger: Ledger, argument: Limit, thresholds: Sequence[int]) -> dict[str, Any]:
    """Put the total, each folder and each project that has a budget into one document.

    Args:
        ledger: whose balances and limits.
        argument: a limit of the caller's own, which can only tighten the total.
        thresholds: per cent of the budget at which alerts are due.
    """
    period, limits = ledger.period(), ledger.limits()
    limits[TOTAL] = limits.get(TOTAL, Limit()).tighter(argument)
    kept = {scope.removeprefix(KEEP): limits.pop(scope) for scope in list(limits) if scope.startswith(KEEP)}
    limits |= {scope: Limit() for name in kept if (scope := f"folder:{name}") not in limits}
    shown = {scope: _shown(ledger.balance(scope, period), limit) for scope, limit in sorted(limits.items())}
    for name, keep in kept.items():
        shown[f"folder:{name}"] |= _kept(keep)
    parts: dict[str, list[dict[str, Any]]] = {"folder": [], "project": []}
    for kind, _, name in (scope.partition(":") for scope in shown if scope != TOTAL):
        parts[kind].append({kind: name, **shown[f"{kind}:{name}"]})
    names = {"thresholds": list(thresholds), "folders": parts["folder"], "projects": parts["project"]}
    return {"period": period, **shown[TOTAL], **names}


def _shown(balance: Balance, limit: Limit) -> dict[str, Any]:
    """Put one budget into the shape of `budget --json`."""
    spent = balance.settled_picousd + balance.assumed_picousd
    left = None if limit.picousd is None else limit.picousd - spent - balance.reserved_picousd
    return {
        "limit_usd": None if limit.picousd is None else usd_text(limit.picousd),
        "spent_usd": usd_text(spent),
        "reserved_usd": usd_text(balance.reserved_picousd),
        "assumed_usd": usd_text(balance.assumed_picousd),
        "remaining_usd": None if left is None else usd_text(max(0, left)),
        "over_by_usd": None if left is None or left >= 0 else usd_text(-left),
        "limit_tokens": limit.tokens,
        "used_tokens": balance.used_tokens,
        "remaining_tokens": None if limit.tokens is None else max(0, limit.tokens - balance.used_tokens),
        "over_by_tokens": max(0, balance.used_tokens - limit.tokens) or None if limit.tokens is not None else None,
    }


def _kept(keep: Limit) -> dict[str, Any]:
    """Say what of the month's budget is kept for a folder."""
    return {"kept_usd": None if keep.picousd is None else usd_text(keep.picousd), "kept_tokens": keep.tokens}
