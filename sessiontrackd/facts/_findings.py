"""From candidates to findings: choose, cut, redact."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise

from msgspec import structs

from sessiontrackd.facts import _cues as cues
from sessiontrackd.facts._human import is_greeting
from sessiontrackd.facts._replies import is_cut_off, lead, questions, tells_something
from sessiontrackd.facts._scorer import scores
from sessiontrackd.facts._talk import LISTED, Segment, Talk, units_of
from sessiontrackd.facts._text import Clip, Cutter, Quote, has_words, quoted, squeeze, words
from sessiontrackd.facts._work import FileChange, Problem, Run, SubAgent, Work
from sessiontrackd.model import Finding, InsightLevel, Role

_STANDARD = (
    "goal", "ask", "outcome", "decision", "problem", "cause", "file", "command", "test", "commit", "pull_request",
    "todo", "question", "subagent", "point", "figures",
)  # fmt: skip
KINDS: Mapping[InsightLevel, tuple[str, ...]] = {
    InsightLevel.MINIMAL: ("goal", "outcome", "file", "test", "todo", "question", "point", "figures"),
    InsightLevel.STANDARD: _STANDARD,
    InsightLevel.COMPREHENSIVE: (*_STANDARD[:-2], "segment", "point", "link", "figures"),
}
"""Which kinds of findings a level shows, in the order of a report."""

NAME_CHARS = 3  # of a part of a speaker's name that can be told from a word
FEW_SPACES = 3  # in a sentence that says too little to be a main point
SHORT_GREETING = 40  # characters
SECTION = 7
"""Few people read more than about seven items."""
TIMELINE = 400
"""How much of everything the deepest level tells."""
MOST_FILES = {InsightLevel.MINIMAL: 5, InsightLevel.STANDARD: 40, InsightLevel.COMPREHENSIVE: TIMELINE}
_LEADS_ON = ("?", "？", ":", "：")
"""How a sentence ends that is no part of an outcome: it asks, or what it introduces is not shown."""
FIRM, FEW = 1.5, 3
"""A sentence that only tells what was changed weighs less than this: of those a few are enough."""
SHORT_CHAT = 40
"""Sentences: below this, goal and outcome tell a chat."""
SMALL_TALK_WORDS = 6
MANY_EDITS = 4
"""Where more files than that were edited before a command passed, nobody can say which of them mended it."""
LEAST_RUN_WEIGHT = 0.6
_CHORES = frozenset(("mkdir", "touch", "rm", "cp", "mv", "chmod", "python", "python3", "node", "sleep", "kill", "printf", "echo", "cat", "sed"))  # fmt: skip
LONG_CHARS, SHORT_CHARS, LINE_CHARS = 400, 240, 160


class Maker:
    """Turn what the folds kept into findings.

    Args:
        talk: what was said.
        work: what was done.
        redactor: replaces what is private, in the uncut sources.
        level: how much of it is wanted.
    """

    def __init__(self, talk: Talk, work: Work, redactor: Cutter, level: InsightLevel) -> None:
        """Keep the parts."""
        self._talk, self._work, self._redactor, self._level = talk, work, redactor, level
        self._cut: dict[tuple[int, int, int, int], Quote] = {}
        self._telling: dict[int, bool] = {}  # by the id of a reply, which the talk keeps
        self.is_chat = work.calls == 0
        self.has_model = talk.replies > 0
        self._makers: dict[str, Callable[[], Iterator[Finding]]] = {
            "goal": self._goal, "ask": self._asks, "outcome": self._outcome, "decision": self._decisions,
            "problem": self._problems, "cause": self._causes, "file": self._files, "command": self._commands,
            "test": self._tests, "commit": self._commits, "pull_request": self._pulls, "todo": self._todos,
            "question": self._questions, "subagent": self._agents, "segment": self._segments, "point": self._points,
            "link": self._links, "figures": self._figures,
        }  # fmt: skip

    def sources(self) -> Iterator[str]:
        """Yield the texts that most findings quote; the rest is looked at when it is cut."""
        shown, segments = KINDS[self._level], self._talk.segments.top(TIMELINE)
        if "ask" in shown:
            yield from (segment.ask.source for segment in segments)
            agents = self._work.agents.top(SECTION)
            yield from (clip.source for agent in agents for clip in (agent.task, agent.result) if clip)
        if "segment" in shown:
            yield from (segment.replies[-1].source for segment in segments if segment.replies)

    def findings(self) -> Iterator[Finding]:
        """Yield what the level shows, kind by kind."""
        for kind in KINDS[self._level]:
            yield from self._makers[kind]()

    def _quote(
        self, kind: str, kept: Clip, limit: int, parts: Iterable[Finding] = (), **details: str | int | bool
    ) -> Finding:
        key = (id(kept.source), kept.start, kept.end, limit)
        found = self._cut.get(key)
        if found is None:
            found = self._cut[key] = quoted(kept, self._redactor, limit)
        return Finding(kind, found.text, found.quote, (kept.message,), "quoted", tuple(parts), details)

    @cached_property
    def _left(self) -> list[Clip]:
        """What the talk leaves open; looked for once."""
        return self._talk.left()

    def _tells(self, reply: Clip) -> bool:
        if id(reply) not in self._telling:
            self._telling[id(reply)] = tells_something(reply)
        return self._telling[id(reply)]

    def _goal(self) -> Iterator[Finding]:
        asked = [segment for segment in self._talk.first if not segment.thin] or self._talk.first
        first = next((segment for segment in asked if has_words(segment.ask.raw, 3)), None) or next(iter(asked), None)
        if first and self.has_model:
            yield self._quote("goal", first.ask, LONG_CHARS)

    def _asks(self) -> Iterator[Finding]:
        if not self.has_model:
            return
        segments = [segment for segment in self._talk.segments.top(TIMELINE) if not segment.again]
        said = [segment for segment in segments if not segment.thin] or segments[:1]
        asked: dict[str, Finding] = {}
        for segment in said:
            ask = _also(self._quote("ask", segment.ask, SHORT_CHARS, number=segment.number), segment)
            first = asked.setdefault(ask.text.lower(), ask)
            if first is not ask:  # the same was asked again, and is told once
                asked[ask.text.lower()] = structs.replace(first, messages=(*first.messages, *ask.messages))
        yield from asked.values()

    def _outcome(self) -> Iterator[Finding]:
        reply = self.outcome_reply()
        if reply is None or (not self._talk.asks and not self._tells(reply)):
            return
        first, *more = lead(reply) or [reply]
        if cues.is_greeting_question(first.raw) or (len(first.raw) < SHORT_GREETING and is_greeting(first.raw)):
            return
        left = {squeeze(kept.raw) for kept in self._left if kept.weight >= LISTED}  # which are told as open
        more = [kept for kept in more if squeeze(kept.raw).removeprefix("[ ] ") not in left]
        parts = [self._quote("outcome", kept, SHORT_CHARS) for kept in more if not kept.raw.endswith(_LEADS_ON)]
        current = self._talk.current
        stopped = current is not None and (current.tools_after > 0 or current.stopped)
        unfinished = stopped or not self._tells(reply) or is_cut_off(reply)
        yield self._quote("outcome", first, LONG_CHARS, parts, **({"unfinished": True} if unfinished else {}))

    def outcome_reply(self) -> Clip | None:
        """Return the last reply worth the name: the end of the last turn, else the last text."""
        talk = self._talk
        *earlier, last = talk.current.replies if talk.current and talk.current.replies else [None]
        finals = [final.reply for final in reversed(talk.finals)]
        said = [reply for reply in (last, *finals, *reversed(earlier)) if reply is not None]
        tried = [reply for reply in said if not cues.is_farewell(reply.raw)] or said
        if self.is_chat and last is not None and last in tried[:1] and lead(last, 1):
            return last
        if (worked := self._worked()) is not None:
            tried.insert(0, worked)
        told = next((reply for reply in tried if has_words(reply.source[:400], 4) and self._tells(reply)), None)
        return told or (tried[0] if tried else talk.last_reply)

    def _worked(self) -> Clip | None:
        """Return the last reply that ended work, where a short question about it came after and was only answered."""
        current, finals = self._talk.current, self._talk.finals
        if self.is_chat or current is None or current.calls or words(current.ask.raw) > SMALL_TALK_WORDS:
            return None
        return next((final.reply for final in reversed(finals) if final.calls), None)

    def _decisions(self) -> Iterator[Finding]:
        choices = self._talk.choices[-FEW:]
        chosen = [*self._work.answers[:SECTION], *choices][:SECTION]
        for question, answer in chosen:
            part = self._quote("answer", answer, SHORT_CHARS)
            yield self._quote("decision", question, SHORT_CHARS, [part], by="person")
        goal = squeeze(self._talk.first[0].ask.raw).lower() if self._talk.first else ""
        told = {answer.message for _, answer in chosen}
        found = [
            kept
            for kept in self._talk.decisions.top(14)
            if squeeze(kept.raw).lower() != goal and kept.message not in told
        ]
        kept_ones = _unlike(found, SECTION - len(choices))
        plain = [kept for kept in kept_ones if kept.weight < FIRM][:FEW]
        for kept in [kept for kept in kept_ones if kept.weight >= FIRM or kept in plain]:
            yield self._quote("decision", kept, LONG_CHARS, (), **self._who(kept))

    def _problems(self) -> Iterator[Finding]:
        ranked = sorted(self._work.problems, key=lambda problem: (-_problem_weight(problem), problem.at))
        chosen = [problem for problem in ranked if _problem_weight(problem) >= 1][:SECTION]
        for problem in sorted(chosen, key=lambda one: one.at):
            yield self._problem(problem)
        if self._level is InsightLevel.COMPREHENSIVE:
            for problem in [one for one in self._work.problems if one not in chosen][:TIMELINE]:
                yield self._problem(problem)

    def _problem(self, problem: Problem) -> Finding:
        details: dict[str, str | int | bool] = {
            "command": quoted(problem.typed, self._redactor, LINE_CHARS).text,
            "times": problem.times,
            "fixed": problem.fixed_at is not None,
        }
        if problem.command.exit_status is not None:
            details["exit_status"] = problem.command.exit_status
        parts = [self._quote("cause", problem.cause, SHORT_CHARS)] if problem.cause else []
        if problem.fixed_at is not None:
            parts.append(self._fix(problem, problem.fixed_at))
        if problem.line.raw == problem.typed.raw:  # its result names no error
            places = (problem.line.message,)
            return Finding("problem", _failing(details), None, places, "computed", tuple(parts), details)
        return self._quote("problem", problem.line, SHORT_CHARS, parts, **details)

    def _fix(self, problem: Problem, fixed_at: int) -> Finding:
        paths = _mending(problem, fixed_at)
        if paths:
            places = tuple(dict.fromkeys([index for path, index in problem.edited if path in paths][-2:]))
            text = ", ".join(self._redactor.redact(path) for path in paths)
            return Finding(
                "fix", text, None, (*places, fixed_at), "computed", (), {"passes_at": fixed_at, "edited": True}
            )
        assert problem.fixed_by
        shown = quoted(problem.fixed_by, self._redactor, LINE_CHARS)
        return Finding(
            "fix", shown.text, shown.quote, (fixed_at,), "quoted", (), {"passes_at": fixed_at, "edited": False}
        )

    def _causes(self) -> Iterator[Finding]:
        tied = {id(problem.cause) for problem in self._work.problems if problem.cause and _problem_weight(problem) >= 1}
        for kept in _unlike([kept for kept in self._talk.causes.top(14) if id(kept) not in tied], 4):
            yield self._quote("cause", kept, LONG_CHARS)

    def _files(self) -> Iterator[Finding]:
        changes = sorted(self._work.files.values(), key=lambda change: (-(change.added + change.removed), change.first))
        chosen = changes[: MOST_FILES[self._level]]
        paths = [change.path for change in chosen]
        shown = self._redactor.redact("\n".join(paths)).split("\n")  # together: each scan has its price
        if len(shown) != len(paths):
            shown = [self._redactor.redact(path) for path in paths]
        for change, path in zip(chosen, shown, strict=True):
            yield self._file(change, path)

    def _file(self, change: FileChange, shown: str) -> Finding:
        details: dict[str, str | int | bool] = {
            "added": change.added,
            "removed": change.removed,
            "edits": change.edits,
            "new": change.new,
        }
        places = tuple(dict.fromkeys((change.first, change.last)))
        return Finding("file", shown, None, places, "computed", (), details)

    def _commands(self) -> Iterator[Finding]:
        runs = sorted(
            [run for run in self._work.runs.values() if not run.command.tests],
            key=lambda run: (-_run_weight(run), run.last),
        )
        chosen = [run for run in runs if _run_weight(run) >= LEAST_RUN_WEIGHT][:SECTION]
        for run in chosen:
            yield self._quote(
                "command", run.shown, LINE_CHARS, times=run.times, failures=run.failures, failed=run.failed
            )

    def _tests(self) -> Iterator[Finding]:
        for test in list(self._work.tests.values())[-3:]:
            command = quoted(test.typed, self._redactor, LINE_CHARS)
            line = quoted(test.line, self._redactor, LINE_CHARS) if test.line else command
            details: dict[str, str | int | bool] = {"command": command.text, "passed": test.passed, "times": test.times}
            if test.failed_at:
                details["failed_at"] = test.failed_at
            yield Finding("test", line.text, line.quote, (test.at,), "quoted", (), details)

    def _commits(self) -> Iterator[Finding]:
        for kept, sha, branch in list(self._work.commits.values())[-SECTION:]:
            yield self._quote("commit", kept, LINE_CHARS, sha=sha, branch=self._redactor.redact(branch))

    def _pulls(self) -> Iterator[Finding]:
        for kept in list(self._work.pulls.values())[:SECTION]:
            yield self._quote("pull_request", kept, LINE_CHARS)

    def _todos(self) -> Iterator[Finding]:
        for todo in [todo for todo in self._work.todos if not todo.done and not self._was_done(todo.text)][:SECTION]:
            yield self._quote("todo", todo.text, SHORT_CHARS, done=False, planned=True)
        left = [kept for kept in self._left if kept.weight >= LISTED or not self.is_chat]  # essays give advice
        chosen = sorted(_unlike(left[: 2 * SECTION], SECTION), key=lambda kept: (kept.message, kept.start))
        for kept in chosen:
            yield self._quote("todo", kept, SHORT_CHARS, done=False)
        for kept in self._promises()[:SECTION]:
            yield self._quote("todo", kept, SHORT_CHARS, (), done=False, **self._who(kept))

    def _promises(self) -> list[Clip]:
        """Return what people among themselves took on."""
        if self.has_model or not self.is_chat:
            return []
        names = {name for speaker in self._talk.speakers for name in speaker.lower().split() if len(name) >= NAME_CHARS}
        settled = {(kept.message, kept.start) for kept in self._talk.decisions.top(SECTION)}
        return [
            kept
            for unit, kept in units_of(self._talk.chat)
            if cues.is_promise(unit.text, words(unit.text), names) and (kept.message, kept.start) not in settled
        ]

    def _who(self, kept: Clip) -> dict[str, str]:
        """Return who said something where people talk among themselves."""
        if self.has_model or len(self._talk.speakers) < 2:
            return {}
        said = next((message.speaker for message in self._talk.chat if message.index == kept.message), None)
        return {"who": self._redactor.redact(said)} if said else {}

    def _was_done(self, todo: Clip) -> bool:
        """Say whether a planned step was taken later without being ticked: a commit, a push."""
        low = todo.raw.lower()
        if "commit" in low and "push" not in low:
            return any(kept.message > todo.message for kept, _, _ in self._work.commits.values())
        if "push" in low:
            runs = self._work.runs.values()
            return any(run.last > todo.message and not run.failed and "git push" in run.command.bare for run in runs)
        return False

    def _questions(self) -> Iterator[Finding]:
        for kept in self._work.asked[-2:]:
            yield self._quote("question", kept, SHORT_CHARS, by="model")
        was_answered = self._talk.current is not None and not self._talk.current.replies  # by the ask that came last
        if self._talk.unanswered and self.has_model:
            yield self._quote("question", self._talk.unanswered, SHORT_CHARS, by="person")
        elif self._talk.last_reply and not was_answered:
            found = questions(self._talk.last_reply)
            for kept in found[:3]:
                yield self._quote("question", kept, SHORT_CHARS, by="model", offer=cues.is_offer(kept.raw))

    def _agents(self) -> Iterator[Finding]:
        for agent in self._work.agents.top(SECTION):
            yield self._agent(agent)

    def _agent(self, agent: SubAgent) -> Finding:
        found = lead(agent.result, 1) if agent.result else []
        parts = [self._quote("result", kept, SHORT_CHARS) for kept in found[:1]]
        return self._quote("subagent", agent.task, LINE_CHARS, parts)

    def _segments(self) -> Iterator[Finding]:
        if not self.has_model:
            return
        for segment in self._talk.segments.top(TIMELINE):
            if not segment.again:
                yield self._segment(segment)

    def _segment(self, segment: Segment) -> Finding:
        told = segment.replies and self._tells(segment.replies[-1])
        found = lead(segment.replies[-1], 1) if told else []
        parts = [self._quote("answer", kept, LONG_CHARS) for kept in found]
        finding = self._quote(
            "segment", segment.ask, SHORT_CHARS, parts, number=segment.number, calls=segment.calls, until=segment.last
        )
        return _also(finding, segment)

    def _points(self) -> Iterator[Finding]:
        is_brief = self._level is InsightLevel.MINIMAL
        if not self.is_chat or not self._talk.chat or (is_brief and self.has_model):
            return
        pairs = units_of(
            [message for message in self._talk.chat if not self.has_model or message.role is Role.ASSISTANT]
        )
        if not pairs or (self.has_model and len(pairs) < SHORT_CHAT):
            return
        values, _ = scores([unit for unit, _ in pairs])
        worth = [
            value + cues.display_worth(unit.text, words(unit.text))
            for value, (unit, _) in zip(values, pairs, strict=True)
        ]
        best = max(range(len(pairs)), key=lambda at: (worth[at], -at), default=-1)
        said = {(kept.message, kept.start) for kept in (*self._talk.decisions.top(14), *self._promises())}
        others = [
            at for at in _one_each(worth) if pairs[at][1].raw.count(" ") >= FEW_SPACES or not pairs[at][1].raw.isascii()
        ]
        others = [at for at in others if (pairs[at][1].message, pairs[at][1].start) not in said]
        for at in [best] if is_brief else sorted({best, *others}):
            yield self._quote("point", pairs[at][1], LONG_CHARS, (), best=at == best, **self._who(pairs[at][1]))

    def _links(self) -> Iterator[Finding]:
        for kept in list(self._talk.links.values())[: 2 * SECTION]:
            yield self._quote("link", kept, 300)

    def _figures(self) -> Iterator[Finding]:
        work = self._work
        details: dict[str, str | int | bool] = {
            "asks": self._talk.asks,
            "replies": self._talk.replies,
            "speakers": len(self._talk.speakers),
            "calls": work.calls,
            "commands": work.commands,
            "failures": work.failures,
            "files": len(work.files),
            "added": sum(change.added for change in work.files.values()),
            "removed": sum(change.removed for change in work.files.values()),
            "commits": len(work.commits),
            "decisions": self._talk.decisions.offered,
        }
        yield Finding("figures", "", None, (), "computed", (), details)


def _one_each(worth: list[float]) -> list[int]:
    """Return the best place of each of a few equal stretches, so that every part of a talk has its word."""
    count = min(SECTION - 1, len(worth))
    edges = [len(worth) * part // count for part in range(count + 1)] if count else []
    return [max(range(low, high), key=lambda at: (worth[at], -at)) for low, high in pairwise(edges) if high > low]


def _also(finding: Finding, segment: Segment) -> Finding:
    """Name the messages, too, in which the same was asked before without an answer."""
    return structs.replace(finding, messages=(*finding.messages, *segment.also)) if segment.also else finding


def _problem_weight(problem: Problem) -> float:
    """Say how much a problem tells: explained, mended by an edit, met more than once, or never solved."""
    weight = (
        2.0 * (problem.cause is not None)
        + 2.0 * bool(problem.edited and problem.fixed_at)
        + 0.5 * min(problem.times - 1, 2)
    )
    weight += 1.0 * (
        problem.command.tests or "build" in problem.command.bare[:80] or "lint" in problem.command.bare[:80]
    )
    weight += 0.5 * (problem.fixed_at is None or problem.fixed_at - problem.at > 3) + 0.5 * (
        "rror" in problem.line.raw[:200]
    )
    return weight


def _failing(details: Mapping[str, str | int | bool]) -> str:
    """Return how a command without an error line is told."""
    status = details.get("exit_status")
    return f"`{details['command']}` {'fails' if status is None else f'exits {status}'}"


def _mending(problem: Problem, fixed_at: int) -> list[str]:
    """Return the files whose edits most likely mended a problem: those it names, else the last before it passed."""
    edited = [path for path, index in problem.edited if index <= fixed_at]
    paths = list(dict.fromkeys(reversed(edited)))
    named = [path for path in paths if path.replace("\\", "/").rpartition("/")[2] in problem.line.raw]
    if not named and len(paths) > MANY_EDITS:
        return []
    return (named or paths)[:2]


def _run_weight(run: Run) -> float:
    name = run.command.words[0].rsplit("/", 1)[-1] if run.command.words else ""
    bare = run.command.bare[:120]
    weight = 3.0 * run.command.tests + 2.0 * any(
        word in bare
        for word in ("build", "deploy", "publish", "release", "migrate", "install", "lint", "push", "create")
    )
    weight += min(run.times, 6) * 0.3 + 0.5 * run.failed
    if name in _CHORES or bare.startswith(("git add", "git checkout", "gh pr create")):
        weight -= 2.0
    if len(run.command.bare) > 150 or "git commit" in run.command.bare:
        weight -= 2.0
    return weight


def _unlike(kept: list[Clip], count: int) -> list[Clip]:
    """Drop what says the same as an earlier one; at most `count`."""
    seen: list[set[str]] = []
    found: list[Clip] = []
    for one in kept:
        bag = set(squeeze(one.raw).lower().split())
        if bag and all(len(bag & other) <= 0.7 * min(len(bag), len(other)) for other in seen):
            seen.append(bag)
            found.append(one)
    return found[:count]
