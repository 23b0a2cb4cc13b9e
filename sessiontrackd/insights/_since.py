"""A session that was asked about before: asked about again with the earlier insight and the messages since."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from sessiontrackd import condense
from sessiontrackd.insights._ask import KINDS, asked_since, sent_text
from sessiontrackd.insights._reading import Reading
from sessiontrackd.insights._record import Record
from sessiontrackd.model import Ask, Finding, Insight, InsightLevel

PATCHES_MOST = 7  # the eighth time the whole is asked about, so that small errors do not add up


class Since(Struct, frozen=True):
    """The question about what was said since an insight was made, and that insight's findings, redacted."""

    ask: Ask
    before: tuple[Finding, ...]
    messages: int
    patches: int

    def kept(self, outdated: Sequence[int]) -> list[Finding]:
        """Return the earlier findings that still hold; they are numbered from 1."""
        return [finding for number, finding in enumerate(self.before, 1) if number not in outdated]

    @property
    def about(self) -> dict[str, Any]:
        """What the receipt says of it."""
        noun = "message" if self.messages == 1 else "messages"
        return {"patches": self.patches, "note": f"from the insight before and {self.messages} new {noun}"}


def last_message(reading: Reading) -> int:
    """Return up to which message a session was read."""
    return max((message.index for message in reading.condensed.messages), default=0) if reading.condensed else 0


def since(reading: Reading, prior: Insight, whole: Sequence[Ask], user_dir: Path | None, room: int) -> Since | None:
    """Return the question about what is new; None where the whole is to be asked about.

    That is so where it is no longer than the new part, where a quote of the insight before no longer stands, and every
    eighth time.
    """
    upto, patches = prior.provenance.get("upto"), int(prior.provenance.get("patches", 0))
    condensed = reading.condensed
    if condensed is None or not isinstance(upto, int) or prior.model != whole[0].model or patches >= PATCHES_MOST:
        return None
    new = tuple(message for message in condensed.messages if message.index > upto)
    kept = before(reading, prior, whole[0].level)
    if not new or kept is None or len(condense.parts(structs.replace(condensed, messages=new), room)) > 1:
        return None
    ask = asked_since(
        reading, structs.replace(condensed, messages=new), _told(prior, kept, reading), whole[0], user_dir
    )
    if len(sent_text(ask)) >= sum(len(sent_text(one)) for one in whole):
        return None
    return Since(ask, kept, len(new), patches + 1)


def before(reading: Reading, prior: Insight, level: InsightLevel) -> tuple[Finding, ...] | None:
    """Return the model's findings from then, redacted; None where a quote stands no more: the session was rewritten."""
    record, found = Record(reading.condensed.messages if reading.condensed else ()), list[Finding]()
    for finding in prior.findings:
        if finding.origin != "model" or finding.kind not in KINDS[level] or not finding.quote:
            continue
        quote = reading.redactor.redact(finding.quote)
        if not record.places(quote, finding.messages):
            return None
        found.append(structs.replace(finding, text=reading.redactor.redact(finding.text), quote=quote))
    return tuple(found)


def _told(prior: Insight, before: Sequence[Finding], reading: Reading) -> str:
    """Return the insight from then as a model is given it."""
    findings = [
        {"number": number, "kind": each.kind, "text": each.text, "quote": each.quote, "messages": list(each.messages)}
        for number, each in enumerate(before, 1)
    ]
    redact = reading.redactor.redact
    document = {"title": redact(prior.title), "summary": redact(prior.summary), "findings": findings}
    return json.dumps(document, ensure_ascii=False)
