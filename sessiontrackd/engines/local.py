"""The local engine: an insight without a model, chosen from the extracted facts; everything is quoted or computed."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from sessiontrackd.facts import KINDS
from sessiontrackd.model import Ask, Finding, InsightLevel, Reply, Session, Usage

SECTION = 7
"""Few people read more than about seven items."""
EVERY = frozenset(("segment", "ask", "file", "problem", "todo", "question", "link"))
"""What the deepest level tells whole; its note folds what does not fit a section."""
FEW = 5
SHORT_CHARS = 60
"""A lead sentence shorter than this ("All tests pass.") is shown with the next one."""


class LocalEngine:
    """Choose from a session's facts what a level shows. Nothing leaves the machine and nothing is paid."""

    NAME = "local"
    leaves_machine = False
    price_model: str | None = None

    async def attempt(self, ask: Ask) -> Reply:
        """Return the insight of the level asked for."""
        chosen = tuple(_chosen(ask))
        return Reply(title=ask.title, summary=_summary(ask.facts), findings=chosen, usage=Usage())


def _chosen(ask: Ask) -> Iterable[Finding]:
    for kind in KINDS[ask.level]:
        found = [finding for finding in ask.facts if finding.kind == kind]
        if kind in {"file", "problem"}:
            found = [_relative(finding, ask.session) for finding in found]
        if kind == "point" and ask.level is InsightLevel.STANDARD and _has_pairs(ask.facts):
            found = found[:FEW]
        yield from _thinned(kind, found, ask.level)


def _has_pairs(facts: Iterable[Finding]) -> bool:
    return any(finding.kind == "segment" for finding in facts)


def _thinned(kind: str, found: list[Finding], level: InsightLevel) -> list[Finding]:
    if level is InsightLevel.COMPREHENSIVE and kind in EVERY:
        return found
    if kind == "ask":
        return _spread(found, SECTION)
    if kind == "question":
        asked = [finding for finding in found if not finding.details.get("offer")]
        return asked or (found[:1] if level is not InsightLevel.MINIMAL else [])
    if kind in {"point", "link"}:
        return found[: 2 * SECTION]
    if level is InsightLevel.MINIMAL:
        if kind == "outcome":
            found = [
                structs.replace(finding, parts=finding.parts[: len(finding.text) < SHORT_CHARS]) for finding in found
            ]
        return found[: FEW if kind in {"file", "todo"} else 2]
    return found[:SECTION]


def _spread(found: list[Finding], count: int) -> list[Finding]:
    """Thin a list in order: its first, its last two, and of the others those that say most."""
    if len(found) <= count:
        return found
    inner = sorted(found[1:-2], key=lambda finding: (-min(len(finding.text), 120), finding.messages))[: count - 3]
    keep = {id(finding) for finding in [found[0], *inner, *found[-2:]]}
    return [finding for finding in found if id(finding) in keep]


def _relative(finding: Finding, session: Session) -> Finding:
    """Show a file as the project sees it."""
    root = (session.project or "").rstrip("/\\")
    if len(root) < 2 or not (finding.parts or root in finding.text):
        return finding
    parts = tuple(_relative(part, session) if part.kind == "fix" else part for part in finding.parts)
    text = finding.text if finding.quote else finding.text.replace(f"{root}/", "").replace(f"{root}\\", "")
    return structs.replace(finding, text=text, parts=parts)


def _summary(facts: Iterable[Finding]) -> str:
    """Quote how it ended; a conversation without a model's reply is told by the point that stands for it best."""
    by_kind: dict[str, Finding] = {}
    for finding in facts:
        by_kind.setdefault(finding.kind, finding)
    best = next((finding for finding in facts if finding.kind == "point" and finding.details.get("best")), None)
    told = by_kind.get("outcome") or best or by_kind.get("point") or by_kind.get("goal")
    if told is None:
        return ""
    return f"{told.text} {told.parts[0].text}" if len(told.text) < SHORT_CHARS and told.parts else told.text
