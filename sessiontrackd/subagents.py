"""A session's sub-agents that have transcripts of their own: one line each in its note."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from msgspec import Struct, structs

from sessiontrackd.contracts import OpenSession
from sessiontrackd.model import Finding, Insight, Role, Session
from sessiontrackd.privacy import Redactor

TASK_CHARS = 70
RESULT_CHARS = 180


class SubAgent(Struct, frozen=True):
    """What a sub-agent was asked and what it answered at last, both redacted, and its session."""

    session: Session
    task: str
    result: str

    @property
    def tokens(self) -> str:
        """What it used, as far as it is recorded."""
        usage = self.session.usage
        if usage is None or not (usage.total_tokens or usage.complete):
            return "tokens unknown"
        return f"{'' if usage.complete else 'at least '}{usage.total_tokens:,} tokens"


def read_agent(opened: OpenSession, *, personal: bool = False) -> SubAgent:
    """Read a sub-agent's session once.

    Args:
        opened: as a reader gave it.
        personal: replace personal data, too.
    """
    task = result = ""
    for message in opened:
        if message.role is Role.USER and not task:
            task = message.text
        elif message.role is Role.ASSISTANT and message.text.strip():
            result = message.text
    redactor = Redactor(personal=personal)
    session = opened.close()
    session = structs.replace(session, title=redactor.redact(session.title or "") or None)
    return SubAgent(session, *(" ".join(redactor.redact(text).split()) for text in (task, result)))


def told(insight: Insight, agents: Sequence[SubAgent]) -> tuple[Insight, list[Finding]]:
    """Return the insight without the calls of these sub-agents, and a line for each of them.

    A call in the session and a sub-agent's transcript are one where the call's result opens the last answer; the line
    then says where the call stands.
    """
    calls = [one for one in insight.findings if one.kind == "subagent"]
    lines: list[Finding] = []
    for agent in agents:
        call = next((one for one in calls if _is_call_of(one, agent)), None)
        lines.append(_line(agent, call))
        if call is not None:
            calls.remove(call)
    others = [one for one in insight.findings if one.kind != "subagent"]
    return structs.replace(insight, findings=(*others, *calls)), lines


def _is_call_of(call: Finding, agent: SubAgent) -> bool:
    said = [" ".join((part.quote or part.text).rstrip("… ").split()) for part in call.parts]
    asked = " ".join((call.quote or call.text).rstrip("… ").split())
    return any(text and agent.result.startswith(text) for text in said) or bool(asked and agent.task.startswith(asked))


def _line(agent: SubAgent, call: Finding | None) -> Finding:
    task = (call.quote or call.text) if call is not None else agent.task
    title = textwrap.shorten(task, TASK_CHARS, placeholder=" …") or agent.session.session_id
    result = textwrap.shorten(agent.result, RESULT_CHARS, placeholder=" …")
    return Finding(
        "subagent",
        f"{title} ({agent.tokens})",
        messages=call.messages if call is not None else (),
        origin="computed",
        parts=(Finding("result", result, origin="computed"),) if result else (),
    )
