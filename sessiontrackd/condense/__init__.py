"""A shorter Session that keeps what matters: redacted, then cut, with the same message numbers."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, structs

from sessiontrackd.condense._lines import (
    COMMIT,
    SALIENT,
    TEST,
    back,
    front,
    header_end,
    line_ends,
    lines_with,
    names_in,
    salient,
    spoken,
    telling,
)
from sessiontrackd.condense._parts import MOST_TOKENS, parts, render, text_of
from sessiontrackd.facts import command, edits, is_shell, is_todo, typed_command, whole_parts
from sessiontrackd.model import InsightLevel, Message, Origin, Role, Session, ToolCall
from sessiontrackd.privacy import Redactor
from sessiontrackd.tokens import byte_classes, expected_tokens

__all__ = ["MOST_TOKENS", "Condenser", "parts", "render", "text_of"]


class _Limits(Struct, frozen=True):
    """How many characters of each block are kept, from its head and from its tail; (0, 0) is none."""

    human: tuple[int, int]
    outcome: tuple[int, int]
    other: tuple[int, int]
    typed: tuple[int, int]
    looked: tuple[int, int]
    tool: tuple[int, int]
    failed: tuple[int, int]
    result: tuple[int, int]
    new: int
    line: int
    telling: int = 0  # of a reply's middle
    commands: int = 0  # the most frequent of a digest; 0: each stands where it was run
    failures: int = 0
    files: int = 0
    tests: int = 0


_WHOLE = (24_000, 8_000)  # longer ones are pasted material

LIMITS = {
    InsightLevel.COMPREHENSIVE: _Limits(
        _WHOLE, _WHOLE, _WHOLE, (400, 100), (400, 100), (400, 100), (800, 400), (300, 300), 240, 160, 2_000
    ),
    InsightLevel.STANDARD: _Limits(
        (1_600, 400), (2_000, 600), (400, 0), (400, 0), (90, 0), (120, 0), (400, 80), (0, 0), 0, 160, 560
    ),
    InsightLevel.MINIMAL: _Limits(
        (400, 80), (500, 200), (0, 0), (64, 0), (0, 0), (0, 0), (100, 0), (0, 0), 0, 80, 0, 40, 25, 60, 12
    ),
}
_SIDE_MESSAGES = 400  # of a sub-agent, in a file that holds nothing else
_NAME_CHARS = 80
_OUTCOME_TELLS = 3  # times as much of an outcome's middle
_STEERING_CHARS = 1_000
_JOIN_CHARS = 24  # a middle that is no longer than its mark is kept
_CHEAP_CHARS = 300  # and a longer one that has no more tokens, which is mostly white space

_LOOKS = re.compile(r"read|view|grep|glob|search|list|\bls\b|fetch|find|open", re.IGNORECASE)
_MACHINE = re.compile(r"[^\w\s\"'¿¡*-]|Caveat: |This session is |Summary of |Context ")
_MAIN = ("command", "file_path", "filePath", "path", "pattern", "query", "url", "description", "prompt")
_NEW = ("new_string", "newString", "newText", "new_str", "new_source", "insert_text", "content", "file_text", "patch", "input")  # fmt: skip


class _Kept(Struct):
    """A message while its text may still turn out to be the outcome of an ask."""

    message: Message
    text: str = ""
    calls: list[ToolCall] = []


class Condenser:
    """Takes the messages of a session as they stream past and keeps what a level asks for.

    Every kept piece is redacted as a part of its uncut text. What is kept in memory is what will be sent, and one reply.
    """

    def __init__(self, level: InsightLevel, redactor: Redactor) -> None:
        """Start with nothing."""
        self._main = _Fold(LIMITS[level], redactor)
        self._side = _Fold(LIMITS[level], redactor)  # used where a file holds nothing but a sub-agent's conversation
        self._side_left = _SIDE_MESSAGES

    def take(self, message: Message) -> None:
        """Take the next message."""
        if message.origin in (Origin.HUMAN, Origin.MODEL) or _is_steering(message):
            self._main.take(message)
        elif message.origin is Origin.SIDECHAIN and self._side_left and not self._main.kept:
            self._side_left -= 1
            self._side.take(message)

    def finish(self, session: Session) -> Session:
        """Return the session with its shortened messages."""
        fold = self._main if self._main.kept else self._side
        title = fold.redactor.redact(session.title) if session.title else session.title
        return structs.replace(session, title=title, messages=tuple(fold.messages()))


def _is_steering(message: Message) -> bool:
    """Say whether a person seems to have typed what stands beside a tool's result: it begins as no tool's text does."""
    text = message.text.lstrip()
    is_short = 0 < len(text) <= _STEERING_CHARS
    return message.origin is Origin.INJECTED and message.role is Role.USER and is_short and not _MACHINE.match(text)


class _Fold:
    """What is kept of one line of messages."""

    def __init__(self, limits: _Limits, redactor: Redactor) -> None:
        self.kept: list[_Kept] = []
        self.redactor = redactor
        self._limits = limits
        self._last_said: _Kept | None = None
        self._seen: dict[bytes, int] = {}  # digest of a result, or of what was looked at → message
        self._digest: dict[str, Counter[str]] = {"file": Counter(), "command": Counter(), "failure": Counter()}
        self._first: dict[tuple[str, str], _Kept] = {}
        self._tests: list[tuple[_Kept, ToolCall]] = []
        self._names: dict[str, str] = {}
        self._lines: set[str] = set()  # of results, that are kept already
        self._said: set[str] = set()  # names and links that what is kept holds already

    def take(self, message: Message) -> None:
        kept = _Kept(message)
        self.kept.append(kept)
        if message.role is Role.ASSISTANT and message.origin is not Origin.HUMAN:
            if message.text.strip():
                self._settle(self._limits.other, self._limits.telling)
                self._last_said = kept
            for call in message.tool_calls:
                self._call(kept, structs.replace(call, name=self._name(call.name)))
        else:
            self._settle(self._limits.outcome, self._limits.telling * _OUTCOME_TELLS)
            kept.text = self._short(message.text, self._limits.human, list(spoken(message.text)))
            self._said.update(names_in(kept.text))
        kept.message = structs.replace(message, text="", tool_calls=()) if kept is not self._last_said else message

    def messages(self) -> Iterator[Message]:
        """Yield what is left, in order."""
        self._settle(self._limits.outcome, self._limits.telling * _OUTCOME_TELLS)
        if self._limits.commands:
            self._write_digest()
        for kept in self.kept:
            if kept.text or kept.calls:
                speaker = kept.message.speaker and self.redactor.redact(kept.message.speaker)
                yield structs.replace(kept.message, text=kept.text, tool_calls=tuple(kept.calls), speaker=speaker)

    def _name(self, name: str) -> str:
        """Return a tool's name, redacted: it is whatever the transcript says."""
        if name not in self._names:
            self._names[name] = " ".join(self.redactor.cut(name, 0, _NAME_CHARS).split())
        return self._names[name]

    def _settle(self, limits: tuple[int, int], most: int) -> None:
        """Shorten the reply that waited, now that it is known whether another one follows."""
        if self._last_said is not None:
            kept, self._last_said = self._last_said, None
            kept.text = self._short(kept.message.text, limits, most=most)
            self._said.update(names_in(kept.text))
            kept.message = structs.replace(kept.message, text="", tool_calls=())

    def _call(self, kept: _Kept, call: ToolCall) -> None:
        if is_todo(call):
            return
        changed = list(edits(call))
        if changed and call.failed:
            self._failed(kept, call, f"{call.name} {self.redactor.redact(changed[0].path)}")
        elif changed:
            for edit in changed:
                self._edited(kept, call, edit.path, f"−{edit.removed} +{edit.added}")
        elif is_shell(call):
            self._shell(kept, call)
        else:
            self._other(kept, call)

    def _edited(self, kept: _Kept, call: ToolCall, path: str, size: str) -> None:
        shown = self.redactor.redact(path)
        if not self._limits.files and not self._limits.new:
            shown = self._again(shown)
        if self._limits.files:
            self._counted("file", shown, kept)
        else:
            new = next((value for name in _NEW if isinstance(value := call.arguments.get(name), str)), "")
            result = self._short(new, (self._limits.new, 0)) if self._limits.new else ""
            kept.calls.append(ToolCall(call.name, {"edited": f"{shown} {size}"}, result or None))

    def _again(self, path: str) -> str:
        """Return a path, of one that was shown before only its last part."""
        if path not in self._names:
            self._names[path] = path
            return path
        return f"…/{path.rpartition('/')[2]}" if "/" in path.strip("/") else path

    def _shell(self, kept: _Kept, call: ToolCall) -> None:
        typed = typed_command(call) or _argument(call)
        ran = command(call)
        failed = call.failed or bool(ran and ran.failed and not ran.is_quiet_failure)
        line = " ".join(self._short(typed, self._limits.typed).split()) if typed else ""
        if self._limits.commands:
            self._counted("command", line, kept)
            if failed:
                self._counted("failure", self._result(call, kept.message.index, failed=True), kept)
            self._noted_tests(kept, call)
            return
        result = self._result(call, kept.message.index, failed=failed)
        kept.calls.append(ToolCall(call.name, {"command": line}, result or None, failed=failed))

    def _other(self, kept: _Kept, call: ToolCall) -> None:
        looks = bool(_LOOKS.search(call.name))
        limits = self._limits.looked if looks else self._limits.tool
        key = _digest(f"{call.name}\0{_argument(call)}")
        again = looks and not call.failed and not self._limits.new and key in self._seen
        self._seen.setdefault(key, kept.message.index)
        if any(limits) and not again:
            line = " ".join(self._short(_argument(call), limits).split())
            if looks and not self._limits.new:
                line = _end_of_path(line)
            size = f"({call.result_bytes} bytes)" if self._limits.new and call.result and not call.failed else ""
            kept.calls.append(ToolCall(call.name, {"argument": line}, size or None))
        if call.failed:
            self._failed(kept, call, call.name)

    def _failed(self, kept: _Kept, call: ToolCall, name: str) -> None:
        """Keep what a tool that is no shell said when it failed."""
        result = self._result(call, kept.message.index, failed=True)
        if self._limits.failures:
            self._counted("failure", result, kept)
        else:
            kept.calls.append(ToolCall(name, {}, result, failed=True))

    def _result(self, call: ToolCall, index: int, *, failed: bool) -> str:
        """Return what is kept of a result: of a failed one head and tail, of another what a level wants; and salient lines."""
        text = call.result or ""
        if not text.strip():
            return ""
        if not failed and self._limits.new and len(text) > _JOIN_CHARS:
            first = self._seen.setdefault(_digest(text), index)
            if first != index:
                return f"(the same as in m{first})"
        spans = [(start, end) for _, start, end in whole_parts(call)]
        head, tail = self._limits.failed if failed else self._limits.result
        ends = line_ends(text, spans, failed) if head and spans else []
        head += header_end(text) if failed and head else 0
        shown = self._short(text, (head, tail), ends) if ends else ""
        if self._limits.failures and failed:
            return " ".join(shown.split())
        extra = [line for span in salient(text, spans) if (line := self._line(text, span)) and line not in shown]
        extra = [line for line in extra if self._limits.new or line not in self._lines]
        self._lines.update(extra)
        return "\n".join(part for part in (shown, *extra) if part)

    def _noted_tests(self, kept: _Kept, call: ToolCall) -> None:
        """Keep the last test lines of the whole session, and every commit."""
        text = call.result or ""
        spans = [(start, end) for _, start, end in whole_parts(call)]
        commits = [self._line(text, span) for span in lines_with(COMMIT, text, spans)]
        if commits:
            kept.calls.append(ToolCall("commit", {}, "\n".join(commits)))
        for span in lines_with(TEST, text, spans)[-SALIENT:]:
            self._tests.append((kept, ToolCall("tests", {}, self._line(text, span))))
        del self._tests[: -self._limits.tests]

    def _counted(self, kind: str, text: str, kept: _Kept) -> None:
        if text:
            self._digest[kind][text] += 1
            self._first.setdefault((kind, text), kept)

    def _write_digest(self) -> None:
        """Put the most frequent files, commands and failures where they first occurred, and the last test lines."""
        limits = self._limits
        for kind, most in (("file", limits.files), ("command", limits.commands), ("failure", limits.failures)):
            for text, times in self._digest[kind].most_common(most):
                shown = f"{text} ×{times}" if times > 1 else text
                self._first[kind, text].calls.append(ToolCall(kind, {"": shown}, failed=kind == "failure"))
            self._digest[kind].clear()
        for kept, call in self._tests:
            kept.calls.append(call)
        self._tests.clear()

    def _short(
        self, text: str, limits: tuple[int, int], spans: list[tuple[int, int]] | None = None, most: int = 0
    ) -> str:
        """Return head and tail of the given spans of a text, redacted as parts of the whole text.

        Of what is left out between them `most` characters stay: reasons, names and links that nothing kept holds yet.
        """
        spans = [(0, len(text))] if spans is None else spans
        left_out = sum(end - start for start, end in spans) - sum(limits)
        if not any(limits) or not spans:
            return ""
        first, last = list(front(text, spans, limits[0])), list(back(spans, limits[1]))
        low, high = first[-1][1], last[0][0] if last else spans[-1][1]
        if left_out <= _JOIN_CHARS or high - low <= _JOIN_CHARS:
            return "".join(self.redactor.cut(text, *span) for span in spans).strip()
        head = "".join(self.redactor.cut(text, *span) for span in first).strip()
        tail = "".join(self.redactor.cut(text, *span) for span in last).strip()
        mark = f"…[{left_out} chars]…{self._telling(text, (low, high), most, head + tail) if most else ''}"
        if (left_out <= _CHEAP_CHARS or 2 * len(mark) > left_out) and len(spans) == 1:
            middle = self.redactor.cut(text, low, high)
            mark = middle if _size(middle) <= _size(mark) else mark
        return f"{head}{mark}{tail}"

    def _telling(self, text: str, left_out: tuple[int, int], most: int, kept: str) -> str:
        """Return what must not be lost of what is left out, `most` characters of it."""
        pieces = []
        for span in telling(text, *left_out, self._said | set(names_in(kept))):
            most -= span[1] - span[0]
            if most < 0:
                break
            pieces.append(" ".join(self.redactor.cut(text, *span).split()))
        return "".join(f"{piece} … " for piece in pieces)

    def _line(self, text: str, span: tuple[int, int, int]) -> str:
        """Return a line, or as much of it around what was found as is kept."""
        start, end, at = span
        if at - start >= self._limits.line:
            start = at - self._limits.line // 4
        return " ".join(self.redactor.cut(text, start, min(end, start + self._limits.line)).split())


def _size(text: str) -> float:
    """Return the tokens of a text."""
    return expected_tokens(byte_classes(text), "new")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _end_of_path(line: str) -> str:
    """Return the end of a long path, which tells most; any other text as it is."""
    parts = line.split("/")
    return "…/" + "/".join(parts[-3:]) if line.startswith("/") and len(parts) > 5 and " " not in line else line


def _argument(call: ToolCall) -> str:
    """Return what tells most about a call: its path, pattern or query, else all of its arguments."""
    for name in _MAIN:
        value = call.arguments.get(name)
        if isinstance(value, str) and value:
            return value
    return json.dumps(dict(call.arguments), ensure_ascii=False, default=str) if call.arguments else ""
