"""The fold over what was said: asks, outcome, decisions, causes, open work, questions, links, segments."""

from __future__ import annotations

import re
from collections import Counter, deque
from itertools import islice
from typing import NamedTuple

from msgspec import Struct, field

from sessiontrackd.facts import _cues as cues
from sessiontrackd.facts._best import Best
from sessiontrackd.facts._human import gist, is_thin, noise, spoken
from sessiontrackd.facts._replies import is_aside, lays_open, questions
from sessiontrackd.facts._scorer import Unit
from sessiontrackd.facts._text import (
    MAX_TURN_CHARS,
    Clip,
    Span,
    clip,
    has_words,
    is_code,
    is_structural,
    lines,
    sentences,
    squeeze,
    trimmed,
    words,
)
from sessiontrackd.facts._words import terms, tokens
from sessiontrackd.model import Message, Origin, Role
from sessiontrackd.patterns import lazy_regex

MAX_CHAT_CHARS = 2_000_000
"""A conversation without tools is scored up to this size; beyond it, its first part."""

OWN_SENTENCES, FIRST_SENTENCES = 12, 4
"""How many of a turn's own sentences are looked at; what is asked for stands among the first."""
COUNTED_CHARS = 800
"""How much of an ask and of its answer is counted for keywords."""

MOST_TOGETHER = 240  # characters of two sentences that are shown as one
_POINTS_BACK = lazy_regex(r"(?:that|this|it|these|they|das|dies|eso|esto|ça|cela|isso|questo|это)\b", re.IGNORECASE)
MOST_CHOICES, ANSWER_WORDS = 50, 20
"""Of a question with its answer; who writes more than that answers something else, too."""
LISTED = 2.0
"""The weight of open work that stands in a list of it, or behind a box."""
_COMMAND = lazy_regex(r"<command-name>\s*(/?[^\s<]+)")
_COMMAND_ARGS = lazy_regex(r"<command-args>\s*([^<\s](?:[^<]*[^<\s])?)")
_MARK = lazy_regex(r"\{[a-z]+\}")
_SAYS_DONE = frozenset(("task_complete", "attempt_completion", "finish", "submit_result"))
"""Tools by which an agent only says that it is done."""
_LINK = lazy_regex(r"https?://[^\s<>\])\"'`|\\]+")
_LOCAL = lazy_regex(r"https?://(?:localhost|127\.|0\.0\.0\.0|\[?::1|example\.(?:com|org)|[\w-]+\.local\b)")
_BOX = lazy_regex(r"^[ \t]*[-*+] \[ \] +(\S[^\n]*)$", re.MULTILINE)


class Segment(Struct):
    """From one ask to the next."""

    ask: Clip
    whole: str
    number: int
    replies: deque[Clip] = field(default_factory=lambda: deque(maxlen=3))
    tools_after: int = 0
    calls: int = 0
    last: int = 0
    thin: bool = False
    stopped: bool = False  # by an error or a limit of the tool, before it was answered
    again: bool = False  # asked once more before anything was answered
    also: tuple[int, ...] = ()  # where the same was asked before


class Final(NamedTuple):
    """The reply that ended a segment, the number of its ask, and how many tools were called for it."""

    reply: Clip
    number: int
    calls: int


class Talk:
    """Follow what people and the model say.

    Args:
        searches: look for decisions, causes and links too.
    """

    def __init__(self, *, searches: bool = True) -> None:
        """Start with nothing said."""
        self._searches = searches
        self.segments: Best[Segment] = Best(400)
        self.speakers: set[str] = set()
        self.first: list[Segment] = []
        self.current: Segment | None = None
        self.finals: deque[Final] = deque(maxlen=4)
        self.decisions: Best[Clip] = Best(60)
        self.causes: Best[Clip] = Best(30)
        self.choices: list[tuple[Clip, Clip]] = []
        self.links: dict[str, Clip] = {}
        self.first_reply: Clip | None = None
        self.last_reply: Clip | None = None
        self.unanswered: Clip | None = None
        self._command: Clip | None = None
        self.asks = self.replies = 0
        self.counts: Counter[str] = Counter()
        self.spread: Counter[str] = Counter()
        self.units = 0
        self.chat: list[Message] = []
        self.chat_chars = 0

    def heard(self, message: Message) -> None:
        """Take in what a person said."""
        text = message.text
        self._keep(message)
        if message.speaker and len(self.speakers) < 100:
            self.speakers.add(message.speaker)
        own = list(islice(spoken(text), OWN_SENTENCES if self._searches else FIRST_SENTENCES))
        span = gist(text, own)
        if span is None:
            self.commanded(message)
            return
        typed, self._command = self._command, None
        if typed is not None and typed.weight:  # this is what a command stands for, and nobody typed it
            self._open(typed, typed.raw, typed.weight)
            return
        ask = clip(text, span, message.index)
        if self._searches:
            self._answered(ask)
        self._open(ask, _head(text), 0.0 if is_thin(ask.raw) else min(words(ask.raw), 30) / 30)
        if self._searches:
            if self.asks > 1:
                self._settled(text, own, message.index, spoken=message.speaker is not None)
            self._linked(text, message.index, noise(text) if "http" in text else [])
        self._counted(text[span[0] : span[0] + COUNTED_CHARS])

    def _answered(self, ask: Clip) -> None:
        """Keep a choice that the model laid before the person, with an answer that takes up its words."""
        reply = self.current.replies[-1] if self.current and self.current.replies else None
        if reply is None or not reply.raw.rstrip("*_) ").endswith(("?", "？")) or len(self.choices) >= MOST_CHOICES:
            return
        if words(ask.raw) <= ANSWER_WORDS and not ask.raw.rstrip().endswith(("?", "？")) and not is_aside(ask.raw):
            said = set(terms(tokens(ask.raw)))
            asked = [one for one in questions(reply) if lays_open(one.raw) and said & set(terms(tokens(one.raw)))]
            self.choices += [(one, ask) for one in asked[-1:]]

    def commanded(self, message: Message) -> None:
        """Take in a command of the tool (`/review the parser`): what was typed behind it is an ask, once it is answered."""
        text = message.text
        if "<command-name>" not in text:
            return
        is_typed = message.origin is Origin.HUMAN  # then what the command stands for follows as if a person said it
        named, given = _COMMAND.search(text), _COMMAND_ARGS.search(text)
        if given and words(given[1]) >= 3:
            self._command = clip(text, given.span(1), message.index, 1.0 if is_typed else 0.0)
        elif named and is_typed:
            self._command = clip(text, named.span(1), message.index, 0.1)

    def _open(self, ask: Clip, whole: str, weight: float) -> None:
        """Begin a segment with an ask."""
        self._close()
        self.asks += 1
        before = self.current
        self.current = Segment(ask, whole, self.asks, last=ask.message, thin=weight == 0)
        if before and not before.replies and not before.calls:
            before.again = _alike(before.ask.raw, self.current.ask.raw)
            self.current.also = (*before.also, before.ask.message) if before.again else ()
        if len(self.first) < 12:
            self.first.append(self.current)
        self.segments.offer(weight + 10 * (self.asks == 1), self.current)
        self.unanswered = ask if ask.raw.rstrip().endswith(("?", "？")) else None

    def said(self, message: Message) -> Clip | None:
        """Take in what the model said; return the sentence that names a cause, if one does."""
        text = message.text
        cause: Clip | None = None
        if self._command is not None:
            typed, self._command = self._command, None
            self._open(typed, typed.raw, typed.weight or 1.0)
        if text and not text.isspace() and not cues.is_filler(text):
            self._keep(message)
            self.replies += 1
            self.unanswered = None
            kept = clip(text, (0, len(text)), message.index)
            self.first_reply = self.first_reply or kept
            self.last_reply = kept
            if self.current:
                self.current.replies.append(kept)
                self.current.tools_after = 0
            cause = self._searched(text, message.index) if self._searches else None
        elif self.current and not text.isspace() and text:
            self.current.stopped = not self.current.replies
        if self.current:
            self.current.last = message.index
            for call in message.tool_calls:
                self.current.calls += 1
                self.current.tools_after += call.name not in _SAYS_DONE
        return cause

    def end(self) -> None:
        """Close the last segment."""
        self._close()

    def _keep(self, message: Message) -> None:
        if self.chat_chars < MAX_CHAT_CHARS and message.text:
            self.chat.append(message)
            self.chat_chars += len(message.text)

    def forget_chat(self) -> None:
        """Let go of the texts: a session with tools is told by its structure."""
        self.chat.clear()
        self.chat_chars = MAX_CHAT_CHARS

    def _close(self) -> None:
        segment = self.current
        if not segment or not segment.replies:
            return
        reply = segment.replies[-1]
        if segment.tools_after == 0 and has_words(reply.source[:400], 4):
            self.finals.append(Final(reply, segment.number, segment.calls))
            self._counted(reply.raw[:COUNTED_CHARS])

    def _counted(self, text: str) -> None:
        plain = _LINK.sub(" ", text) if "http" in text else text
        plain = _MARK.sub(" ", plain) if "{" in plain else plain
        found = tokens(plain)
        self.counts.update(found)
        self.spread.update(set(found))
        self.units += 1

    def _searched(self, text: str, index: int) -> Clip | None:
        """Look for decisions and causes; return the last sentence that names a cause."""
        if "http" in text:
            self._linked(text, index, [])
        cause = None
        for paragraph in cues.near_decisions(text):
            for start, end in sentences(text, paragraph):
                if end - start <= 600:
                    cause = self._weighed(text, (start, end), index) or cause
        return cause

    def _weighed(self, text: str, span: Span, index: int) -> Clip | None:
        low = cues.lowered(text[span[0] : span[1]])
        explains, decides = cues.may_explain(low), cues.may_decide(low)
        count = words(low) if explains or decides else 0
        if explains and cues.is_cause(low, count):
            cause = clip(text, span, index)
            self.causes.offer(1.0 + ("root cause" in low), cause)
            return cause
        weight = cues.decision_weight(low, count) if decides else 0.0
        if weight >= 1:
            self.decisions.offer(weight, clip(text, span, index, weight))
        return None

    def _settled(self, text: str, own: list[Span], index: int, *, spoken: bool) -> None:
        for start, end in own[:12]:
            sentence = text[start:end]
            weigh = cues.spoken_decision_weight if spoken else cues.human_decision_weight
            weight = weigh(sentence, words(sentence))
            if weight:
                self.decisions.offer(weight, clip(text, (start, end), index, weight))

    def left(self) -> list[Clip]:
        """Return the work that the last two replies at the end of a turn leave open, boxes and lists first."""
        found: list[Clip] = []
        for final in self.finals:
            if final.number >= self.asks - 1:
                found += _left(final.reply)
        return sorted(found, key=lambda kept: (-kept.weight, -kept.message, kept.start))

    def _linked(self, text: str, index: int, holes: list[Span]) -> None:
        if len(self.links) >= 100 or "http" not in text:
            return
        for match in _LINK.finditer(text, 0, MAX_TURN_CHARS):
            url = match.group().rstrip(".,;:!?*_)")
            if (
                len(url) < 300
                and not _LOCAL.match(url)
                and not any(start <= match.start() < end for start, end in holes)
            ):
                self.links.setdefault(url, clip(text, (match.start(), match.start() + len(url)), index))


def _alike(one: str, two: str) -> bool:
    first, second = set(tokens(one)), set(tokens(two))
    return len(first & second) >= 0.6 * max(1, min(len(first), len(second)))


def _head(text: str) -> str:
    return text if len(text) <= 2 * MAX_TURN_CHARS else text[: 2 * MAX_TURN_CHARS]


def _left(reply: Clip) -> list[Clip]:
    text = reply.source
    found: dict[int, Clip] = {}
    for match in _BOX.finditer(text) if "[ ]" in text else ():
        found[match.start(1)] = clip(text, match.span(1), reply.message, LISTED)
    for _, at in cues.todo_headings(text):
        for span in _items(text, at):
            found.setdefault(span[0], clip(text, span, reply.message, LISTED))
    for paragraph in cues.near_todos(text):
        before: Span | None = None
        for start, end in sentences(text, paragraph):
            sentence = text[start:end]
            if end - start < 500 and cues.is_todo(sentence, words(sentence)):
                first = before[0] if before and _hangs_on(text, before, (start, end)) else start
                found.setdefault(first, clip(text, (first, end), reply.message, 1.0))
            before = (start, end)
    return list(found.values())


def _hangs_on(text: str, before: Span, span: Span) -> bool:
    """Say whether a sentence cannot be understood without the one before it."""
    is_near = span[0] - before[1] <= 2 and span[1] - before[0] <= MOST_TOGETHER
    return is_near and _POINTS_BACK.match(text, *span) is not None


def _items(text: str, at: int) -> list[Span]:
    """Return the list items that follow a heading, up to seven."""
    found: list[Span] = []
    for start, end in lines(text, (at, len(text))):
        line = text[start:end]
        if not line.strip():
            continue
        if not is_structural(text, start) or line.lstrip().startswith("#") or len(found) >= 7:
            break
        span = trimmed(text, start, end)
        if span and not text[span[0] : span[1]].lstrip("*").endswith(":"):
            found.append(span)
    return found


def units_of(messages: list[Message]) -> list[tuple[Unit, Clip]]:
    """Return the sentences of a conversation that may stand for it, each with its place."""
    found: list[tuple[Unit, Clip]] = []
    for turn, message in enumerate(messages):
        speaker = message.speaker or message.role.value
        human = message.role is not Role.ASSISTANT and message.origin is Origin.HUMAN
        for start, end in spoken(message.text) if human else sentences(message.text):
            text = message.text[start:end]
            if has_words(text, 3) and not _MARK.search(text) and not is_code(text):
                found.append((Unit(squeeze(text), turn, speaker), Clip(message.text, start, end, message.index)))
    return found
