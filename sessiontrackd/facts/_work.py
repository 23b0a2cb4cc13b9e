"""The fold over tool calls: files, commands, problems and their fixes, commits, tests, to-dos, sub-agents."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from sessiontrackd.facts import _actions as actions
from sessiontrackd.facts._best import Best
from sessiontrackd.facts._results import error_line, last_test_line
from sessiontrackd.facts._text import Clip, clip
from sessiontrackd.model import Message, ToolCall
from sessiontrackd.patterns import lazy_regex

MAX_FILES = 2_000
MAX_COMMANDS = 1_000
MAX_PROBLEMS = 300
MAX_TESTS = 100

_COMMIT = lazy_regex(r"^\[([^\]\s]+)(?: \([^)\n]*\))? ([0-9a-f]{7,40})\] (\S[^\n]*)$", re.MULTILINE)
_PULL = lazy_regex(r"https://[\w.-]+/[\w./-]+/(?:pull|merge_requests)/\d+")
_REFUSED = (
    "doesn't want to proceed", "doesn't want to take this action", "user rejected", "was rejected", "permission to use", "permission for this",
    "not allowed to", "sandbox", "operation not permitted", "approval", "blocked by", "user cancelled", "user denied", "user interrupted",
    "user aborted", "request interrupted", "command aborted", "aborted by", "hook blocked", "hook denied",
)  # fmt: skip
"""How a tool says that a command was not run."""
_FIGURES = lazy_regex(r"[\d\W_]+")
_SHA_TASK = lazy_regex(r"#?(\d+)")


class FileChange(Struct):
    """All changes of one file."""

    path: str
    first: int
    last: int
    added: int = 0
    removed: int = 0
    edits: int = 0
    new: bool = False


class Run(Struct):
    """All runs of one command: how often, and how the last one ended."""

    command: actions.Command
    last: int
    times: int = 0
    failures: int = 0
    failed: bool = False

    @property
    def shown(self) -> Clip:
        """What acts in it; of all its runs only the last one is shown."""
        return _shown(self.command, self.last)


class Problem(Struct):
    """A failed command, what was done about it, and whether it passed later."""

    line: Clip
    command: actions.Command
    typed: Clip
    at: int
    times: int = 1
    cause: Clip | None = None
    edited: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=20))
    fixed_at: int | None = None
    fixed_by: Clip | None = None


class TestRun(Struct):
    """The last result of one test command."""

    command: actions.Command
    call: ToolCall
    at: int
    passed: bool
    times: int = 1
    failed_at: int | None = None

    @property
    def typed(self) -> Clip:
        """What acts in the command."""
        return _shown(self.command, self.at)

    @property
    def line(self) -> Clip | None:
        """The line of its result that says how the tests went."""
        return _test_line(self.call, self.at)


class SubAgent(Struct):
    """A task given to a sub-agent and what it gave back."""

    task: Clip
    result: Clip | None
    at: int


class Todo(Struct):
    """One item of the agent's own plan."""

    text: Clip
    done: bool


class Work:
    """Follow the tool calls of a session.

    Args:
        searches: follow commands and what broke too, not only files, tests, commits and plans.
    """

    def __init__(self, *, searches: bool = True) -> None:
        """Start with nothing done."""
        self._searches = searches
        self.files: dict[str, FileChange] = {}
        self.runs: dict[str, Run] = {}
        self.problems: list[Problem] = []
        self.tests: dict[str, TestRun] = {}
        self.commits: dict[str, tuple[Clip, str, str]] = {}
        self.pulls: dict[str, Clip] = {}
        self.agents: Best[SubAgent] = Best(40)
        self.todos: list[Todo] = []
        self.answers: list[tuple[Clip, Clip]] = []
        self.asked: list[Clip] = []
        self.calls = self.commands = self.failures = 0
        self._open: dict[str, Problem] = {}
        self._tasks: dict[str, Todo] = {}

    def follow(self, message: Message) -> None:
        """Take in the tool calls of one message."""
        for call in message.tool_calls:
            self.calls += 1
            if actions.is_shell(call):
                self._shell(call, message.index)
            elif actions.is_todo(call):
                self._plan(call, message.index)
            elif actions.is_agent(call):
                self._agent(call, message.index)
            else:
                self._other(call, message.index)

    def follow_side(self, message: Message) -> None:
        """Take in what a sub-agent changed: its files are the session's too."""
        for call in message.tool_calls:
            if not call.failed and not actions.is_shell(call):
                self._edited(call, message.index)

    def explained(self, cause: Clip) -> None:
        """Tie a sentence that names a cause to the newest problem that is still open."""
        for problem in reversed(self._open.values()):
            if problem.cause is None and cause.message - problem.at < 60:
                problem.cause = cause
            return

    def _other(self, call: ToolCall, index: int) -> None:
        name = call.name
        if name == "AskUserQuestion":
            self._asked(call, index)
        elif name in {"TaskCreate", "TaskUpdate"}:
            self._task(call, index)
        elif not call.failed:
            self._edited(call, index)

    def _edited(self, call: ToolCall, index: int) -> None:
        for edit in actions.edits(call):
            if "/.claude/plans/" in edit.path:
                continue
            change = self.files.get(edit.path)
            if change is None:
                if len(self.files) >= MAX_FILES:
                    continue
                change = self.files[edit.path] = FileChange(edit.path, index, index, new=edit.new)
            change.added += edit.added
            change.removed += edit.removed
            change.edits += 1
            change.last = index
            for problem in self._open.values() if self._open else ():
                problem.edited.append((edit.path, index))

    def _shell(self, call: ToolCall, index: int) -> None:
        command = actions.command(call)
        if command is None:
            return
        self.commands += 1
        if "*** Begin Patch" in command.typed:
            if not command.failed:
                self._edited(call, index)
            return
        if not command.acts and not command.failed:
            return
        if self._searches:
            if command.acts:
                self._count(command, index)
            if command.failed:
                self._broke(call, command, index)
            else:
                self._mended(command, index)
        if not command.failed:
            self._passed(call, command, index)
        if command.tests:
            self._tested(call, command, index)

    def _count(self, command: actions.Command, index: int) -> None:
        run = self.runs.get(command.key)
        if run is None:
            if len(self.runs) >= MAX_COMMANDS:
                return
            run = self.runs[command.key] = Run(command, index)
        run.command, run.last = command, index
        run.times += 1
        run.failed = command.failed and not command.is_quiet_failure
        run.failures += run.failed

    def _broke(self, call: ToolCall, command: actions.Command, index: int) -> None:
        head = (call.result or "")[:600].lower()
        if command.only_looks or command.is_quiet_failure or any(said in head for said in _REFUSED):
            return
        self.failures += 1
        line, shown = error_line(call), _shown(command, index)
        found = clip(line[0], line[1], index) if line else shown
        known = self._open.get(command.key) or next(
            (one for one in self._open.values() if one.line.raw == found.raw), None
        )
        if known:
            self._open[command.key] = known
            known.times += 1
            if known.edited and _unlike(known.line.raw, found.raw):  # what was edited so far mended another error
                known.edited.clear()
                known.cause = None
            known.line = found
            return
        problem = Problem(found, command, shown, index)
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
            self._open[command.key] = problem

    def _mended(self, command: actions.Command, index: int) -> None:
        problem = self._open.pop(command.key, None)
        if problem and problem.fixed_at is None:
            problem.fixed_at = index
            problem.fixed_by = _shown(command, index)
            self._open = {key: one for key, one in self._open.items() if one is not problem}

    def _passed(self, call: ToolCall, command: actions.Command, index: int) -> None:
        result = call.result or ""
        if "commit" in command.bare or "] " in result[:200]:
            self._committed(call, index)
        if " create" in command.bare or "push" in command.bare:
            self._pulled(result, index)

    def _committed(self, call: ToolCall, index: int) -> None:
        for text, start, end in actions.whole_parts(call):
            for match in _COMMIT.finditer(text, start, end):
                self.commits[match[2]] = (clip(text, match.span(3), index), match[2], match[1])

    def _pulled(self, result: str, index: int) -> None:
        match = _PULL.search(result)
        if match and "/pull/new/" not in match.group():
            self.pulls.setdefault(match.group(), clip(result, match.span(), index))

    def _tested(self, call: ToolCall, command: actions.Command, index: int) -> None:
        passed = not command.failed and not (_may_tell_failure(call) and _tells_failure(_test_line(call, index)))
        before = self.tests.pop(command.key, None)
        failed_at = before.failed_at if before else None
        failed_at = failed_at if passed else index
        times = before.times + 1 if before else 1
        self.tests[command.key] = TestRun(command, call, index, passed, times, failed_at)
        while len(self.tests) > MAX_TESTS:
            del self.tests[next(iter(self.tests))]

    def _plan(self, call: ToolCall, index: int) -> None:
        items = call.arguments.get("todos") or call.arguments.get("plan") or call.arguments.get("todoList")
        if not isinstance(items, list):
            return
        self.todos = [todo for todo in (_todo(item, index) for item in items[:200]) if todo]

    def _task(self, call: ToolCall, index: int) -> None:
        subject = call.arguments.get("subject")
        if call.name == "TaskCreate" and isinstance(subject, str) and subject.strip():
            match = _SHA_TASK.search((call.result or "")[:80])
            key = match[1] if match else str(len(self._tasks) + 1)
            self._tasks[key] = Todo(clip(subject, (0, len(subject)), index), done=False)
        elif str(call.arguments.get("taskId", "")) in self._tasks:
            state = call.arguments.get("status")
            if state in {"completed", "deleted"}:
                self._tasks[str(call.arguments["taskId"])].done = True
        self.todos = list(self._tasks.values())

    def _agent(self, call: ToolCall, index: int) -> None:
        task = next(
            (
                value
                for name in ("description", "task", "objective", "prompt", "message")
                if isinstance(value := call.arguments.get(name), str) and value.strip()
            ),
            "",
        )
        if not task:
            return
        result = call.result if isinstance(call.result, str) and not call.failed else None
        parts = (
            actions.whole_parts(call)
            if result and result.strip() and not result.startswith("Async agent launched")
            else []
        )
        kept = clip(parts[0][0], (parts[0][1], parts[0][2]), index) if parts else None
        self.agents.offer(1.0, SubAgent(clip(task, (0, len(task)), index), kept, index))

    def _asked(self, call: ToolCall, index: int) -> None:
        questions = call.arguments.get("questions")
        asked = (
            [str(item.get("question", "")) for item in questions if isinstance(item, Mapping)]
            if isinstance(questions, list)
            else []
        )
        result = call.result or ""
        for question in asked[:8]:
            shown = clip(question, (0, len(question)), index)
            at = result.find(f'"{question}"="')
            if at < 0 or call.failed:
                self.asked.append(shown)
                continue
            start = at + len(question) + 4
            end = result.find('"', start)
            if len(self.answers) < 50 and end > start:
                self.answers.append((shown, clip(result, (start, end), index)))


def _unlike(one: str, two: str) -> bool:
    """Say whether two error lines differ in more than figures and space."""
    return _FIGURES.sub("", one) != _FIGURES.sub("", two)


def _test_line(call: ToolCall, index: int) -> Clip | None:
    found = last_test_line(call)
    return clip(found[0], found[1], index) if found else None


def _may_tell_failure(call: ToolCall) -> bool:
    """Say whether it is worth a closer look: most results name no failure at all."""
    result = call.result or ""
    return "fail" in result or "FAIL" in result


def _tells_failure(line: Clip | None) -> bool:
    return line is not None and re.search(r"[1-9]\d* (?:failed|failing)|\bFAIL", line.raw) is not None


def _shown(command: actions.Command, index: int) -> Clip:
    """Return what acts in a command, as it stands in what was typed."""
    at = command.typed.find(command.bare[:200])
    start = max(at, 0)
    end = min(len(command.typed), start + (actions.shown_length(command.bare) if at >= 0 else len(command.bare)))
    return clip(command.typed, (start, end), index)


def _todo(item: Any, index: int) -> Todo | None:
    if not isinstance(item, Mapping):
        return None
    text = next(
        (
            value
            for name in ("content", "step", "description", "title", "text")
            if isinstance(value := item.get(name), str) and value.strip()
        ),
        "",
    )
    done = str(item.get("status", "")) in {"completed", "done", "cancelled", "deleted"} or item.get("completed") is True
    return Todo(clip(text, (0, len(text)), index), done) if text else None
