"""The texts of an insight: redacted, put back for this machine, or replaced by the model's own."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from sessiontrackd.engines.local import LocalEngine
from sessiontrackd.insights._reading import Reading
from sessiontrackd.model import Finding, Insight
from sessiontrackd.privacy import Redactor


def told(finding: Finding, summary: str) -> Finding:
    """Return the outcome in the model's words, at its place in the session; any other finding as it is."""
    if finding.kind != "outcome" or not summary:
        return finding
    return structs.replace(finding, text=summary, quote=None, origin="model", parts=())


def restored(insight: Insight, reading: Reading) -> Insight:
    """Put personal data back into an insight that stays on this machine; credentials stay replaced."""
    return structs.replace(
        insight,
        title=reading.shown(insight.title),
        summary=reading.shown(insight.summary),
        findings=tuple(_changed(finding, reading.shown) for finding in insight.findings),
        keywords=tuple(map(reading.shown, insight.keywords)),
    )


def as_allowed(insight: Insight, reading: Reading) -> Insight:
    """Return a stored insight, which may have been made for another folder, as it may be shown in this one.

    Its title is the session's present one, unless a model gave it: a person may have renamed the session since.
    """
    if insight.engine == LocalEngine.NAME or "title" in insight.provenance.get("replaced", ()):
        insight = structs.replace(insight, title=reading.shown(reading.title))
    if reading.restores:
        return insight
    redactor = reading.redactor
    return structs.replace(
        insight,
        title=redactor.redact(insight.title),
        summary=redactor.redact(insight.summary),
        findings=tuple(redacted(finding, redactor) for finding in insight.findings),
        keywords=tuple(map(redactor.redact, insight.keywords)),
    )


def redacted(finding: Finding, redactor: Redactor) -> Finding:
    """Return the finding with text and quote redacted, and its parts likewise."""
    return _changed(finding, redactor.redact)


def _changed(finding: Finding, change: Callable[[str], str]) -> Finding:
    return structs.replace(
        finding,
        text=change(finding.text),
        quote=change(finding.quote) if finding.quote else finding.quote,
        parts=tuple(_changed(part, change) for part in finding.parts),
    )
