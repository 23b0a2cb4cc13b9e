"""What a session contains, without a model: asks, outcome, decisions, files, problems and their fixes, open work.

Everything is a verbatim quote (after redaction, white space collapsed) with the number of its message, or computed
from the tool calls. One pass, bounded memory: candidates keep their uncut source until they are redacted and cut.

Kinds and what they carry (`text` is for showing, with an ellipsis where a quote was cut):
    goal, outcome (parts: what else the last reply says; unfinished)
    ask, segment (number; segment: calls, until, parts answer)
    decision (by: person, parts answer, where a question was asked), cause, point (what stands for a chat);
    who: said it, in a talk among people, of decision, point and todo
    problem (command, exit_status, times, fixed; parts cause, fix), fix (edited, passes_at)
    file (added, removed, edits, new), command (times, failures, failed), test (command, passed)
    commit (sha, branch), pull_request, link, todo (done, planned), question (by, offer)
    subagent (parts result), figures (asks, replies, calls, commands, failures, files, added, removed, commits, decisions)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from sessiontrackd.facts._actions import command, edits, is_shell, is_todo, typed_command, whole_parts
from sessiontrackd.facts._findings import KINDS, Maker
from sessiontrackd.facts._human import gist, recorded_title, shortened, spoken, title_of
from sessiontrackd.facts._scorer import Unit, keywords, phrase, ranked, scores, select
from sessiontrackd.facts._talk import Talk
from sessiontrackd.facts._text import Cutter, clip, outside, quoted, sentences
from sessiontrackd.facts._words import STOP_WORDS, may_be_keyword, stem, tokens
from sessiontrackd.facts._work import SubAgent, Work
from sessiontrackd.model import Finding, InsightLevel, Message, Origin, Role, Session

__all__ = [
    "KINDS",
    "STOP_WORDS",
    "Facts",
    "Unit",
    "command",
    "edits",
    "extract",
    "gist",
    "is_shell",
    "is_todo",
    "key_messages",
    "outside",
    "ranked",
    "recorded_title",
    "scores",
    "select",
    "sentences",
    "spoken",
    "title_of",
    "typed_command",
    "whole_parts",
]

KEYWORDS = 8
MANY_TURNS = 20


class Facts(Struct, frozen=True):
    """What a session contains; redacted."""

    findings: tuple[Finding, ...] = ()
    keywords: tuple[str, ...] = ()
    title: str = ""
    counts: Mapping[str, int] = {}

    def of(self, kind: str) -> tuple[Finding, ...]:
        """Return the findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)


def extract(
    messages: Iterable[Message],
    redactor: Cutter,
    *,
    title: str | None = None,
    level: InsightLevel = InsightLevel.COMPREHENSIVE,
) -> Facts:
    """Read a session's messages once and return what it contains.

    Args:
        messages: in order; they may stream.
        redactor: replaces what is private; it sees the uncut text around each kept span.
        title: the recorded title, which wins over one made from the first ask.
        level: lower levels want less, which is faster.
    """
    searches = level is not InsightLevel.MINIMAL
    talk, work = Talk(searches=searches), Work(searches=searches)
    side = _SideChain()
    for message in messages:
        if message.origin is Origin.SIDECHAIN:
            side.follow(message)
            work.follow_side(message)
        elif message.role is Role.ASSISTANT:
            cause = talk.said(message)
            if cause:
                work.explained(cause)
            if message.tool_calls:
                talk.forget_chat()
                work.follow(message)
        elif message.origin is Origin.HUMAN:
            talk.heard(message)
        elif message.origin is Origin.INJECTED:
            talk.commanded(message)
    if talk.asks == 0 and talk.replies == 0:
        side.replay(talk, work)
    talk.end()
    maker = Maker(talk, work, redactor, level)
    with redactor.foreseeing(maker.sources()):
        findings = tuple(maker.findings())
        terms = _keywords(talk, findings)
        title = _title(title, talk, work, redactor, terms)
    counts = {key: value for key, value in findings[-1].details.items() if isinstance(value, int)}
    return Facts(findings, terms, title, counts)


class _SideChain:
    """A file may hold nothing but a sub-agent's conversation: then it is the main one. Keeps its first and last part."""

    def __init__(self) -> None:
        self._first: list[Message] = []
        self._last: Message | None = None

    def follow(self, message: Message) -> None:
        if len(self._first) < 400:
            self._first.append(message)
        elif message.text:
            self._last = message

    def replay(self, talk: Talk, work: Work) -> None:
        for message in [*self._first, *([self._last] if self._last else [])]:
            if message.role is Role.ASSISTANT:
                cause = talk.said(message)
                if cause:
                    work.explained(cause)
                work.follow(message)
                if message.tool_calls:
                    talk.forget_chat()
            else:
                talk.heard(message)


def _title(recorded: str | None, talk: Talk, work: Work, redactor: Cutter, terms: tuple[str, ...]) -> str:
    if recorded and (told := recorded_title(redactor.redact(recorded))):
        return told
    if not talk.replies and talk.asks > MANY_TURNS:
        return shortened(_talk_title(talk, terms))
    thin = ""
    for segment in sorted(
        talk.first, key=lambda one: one.thin
    ):  # a command that steers the tool only where nothing else was said
        made = title_of(redactor.redact(segment.whole))
        if len(tokens(made)) >= 3:
            return made
        thin = thin or made
    agents: list[SubAgent] = work.agents.all()
    if not thin and agents:
        return shortened(quoted(agents[0].task, redactor, 200).quote)
    if not thin and talk.first_reply:
        first = next(sentences(talk.first_reply.source), None)
        if first:
            return shortened(
                quoted(clip(talk.first_reply.source, first, talk.first_reply.message), redactor, 200).quote
            )
    return thin


def _talk_title(talk: Talk, terms: tuple[str, ...]) -> str:
    """Name a long talk between people by its subject: its first sentence is small talk."""
    who = " and ".join(sorted(talk.speakers)) if 1 <= len(talk.speakers) <= 2 else f"{len(talk.speakers)} speakers"
    subject = phrase([message.text for message in talk.chat])
    named = [*([subject] if subject else []), *(term for term in terms if stem(term) not in map(stem, subject.split()))]
    return f"{', '.join(named[:3]).capitalize()} ({who})" if named else who


def _keywords(talk: Talk, findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return the words by tf-idf that also stand in a redacted finding: so none of them can be a part of a secret."""
    shown: set[str] = set()
    for finding in findings:
        if finding.kind in {"goal", "ask", "outcome", "decision", "cause", "segment", "point"}:
            shown.update(tokens(finding.text))
            for part in finding.parts:
                shown.update(tokens(part.text))
    counts = {
        term: talk.counts[term]
        for term in shown & talk.counts.keys()
        if may_be_keyword(term) and (term.isascii() or len(term) > 2 or talk.counts[term] > 1)
    }
    return tuple(_distinct(keywords(counts, talk.spread, max(talk.units, 1))))


def _distinct(best: Iterable[str]) -> list[str]:
    """Return the first few terms, of "control" and "controls" the first only."""
    found: dict[str, str] = {}
    for term in best:
        if len(found) >= KEYWORDS:
            break
        found.setdefault(stem(term), term)
    return list(found.values())


def key_messages(session: Session | Iterable[Message], count: int) -> list[Message]:
    """Return the messages that best stand for a conversation, in source order.

    Args:
        session: a session, or its messages.
        count: how many, at least 1.
    """
    messages = session.messages if isinstance(session, Session) else session
    said = [message for message in messages if message.text.strip() and message.origin in {Origin.HUMAN, Origin.MODEL}]
    units = [Unit(message.text, turn, message.speaker or message.role.value) for turn, message in enumerate(said)]
    values, bags = scores(units)
    return [said[at] for at in select(values, bags, max(count, 1))]
