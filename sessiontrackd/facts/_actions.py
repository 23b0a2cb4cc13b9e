"""What a tool call did: which file it changed and by how much, which command it ran and how that ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from sessiontrackd.model import ToolCall
from sessiontrackd.patterns import lazy_regex

CUT_MARGIN_CHARS = 4_096
"""A long result was cut in its middle before anything recognised what is private in it: stay this far away."""


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


_SHELLS = _set(
    "bash shell exec_command local_shell run_shell_command execute_command run_terminal_cmd run_in_terminal "
    "container.exec terminal powershell shell_command execute exec developer__shell"
)
_TODOS = _set("todowrite update_plan todo_write write_todos todo update_todo_list manage_todo_list")
_AGENTS = _set(
    "task agent spawn_agent delegate_to_agent codebase_investigator delegate run_subagent runsubagent subagent"
)
_EDIT = lazy_regex(r"edit|write|create|replace|patch|insert|delete_file", re.IGNORECASE)
_PATHS = ("file_path", "filePath", "path", "notebook_path", "target_file", "absolute_path", "filename", "file")
_OLD = ("old_string", "oldString", "oldText", "old_str")
_NEW = ("new_string", "newString", "newText", "new_str", "new_source", "insert_text", "code_edit")
_WHOLE = ("content", "file_text", "contents", "fileText")
_PATCH_FILE = lazy_regex(r"^\*\*\* (Update|Add|Delete) File: (.*\S)", re.MULTILINE)
_LEAD = lazy_regex(
    r"\s*(?:cd\s+(?:\"[^\"]*\"|'[^']*'|\S+)\s*(?:&&|;|\n)\s*|(?:export\s+)?[A-Z_][A-Z0-9_]*=(?:\"[^\"]*\"|'[^']*'|\S*)\s*(?:&&\s*|;\s*)?(?=\S)"
    r"|sudo\s+|time\s+|command\s+(?!-)|set -\w+(?: pipefail)?\s*(?:&&|;|\n)\s*|source \S+\s*(?:&&|;|\n)\s*|\. \S+\s*(?:&&|;|\n)\s*|timeout \S+\s+|#[^\n]*\n)+"
)
_WRAPPED = lazy_regex(r"\s*(?:/\S*/)?(?:bash|sh|zsh) -l?c (['\"])(.*)\1\s*$", re.DOTALL)
_READ_ONLY = _set(
    "cat ls rg grep egrep find sed awk head tail wc pwd echo printf which type stat file tree du df nl sort uniq cut "
    "tr diff cmp jq yq ps env date whoami less more test [ true false sleep history cd realpath basename dirname "
    "readlink xxd od strings lsof pgrep ag fd bat uname hostname id printenv command true false : done column comm "
    "read wait top nproc free man help sha256sum md5sum hexdump get-content get-childitem select-string"
)
_LOOKERS = _set("git gh glab curl sed fi } )")
_GIT_READ = _set(
    "status diff log show branch blame ls-files ls-tree ls-remote rev-parse rev-list remote describe grep cat-file "
    "config reflog shortlog merge-base name-rev show-ref symbolic-ref for-each-ref fetch check-ignore var help "
    "version whatchanged count-objects"
)
_GH_READ = _set("view list status diff checks api search browse")
_QUIET_ONE = _set("grep egrep rg ag diff cmp test [ pgrep which type ls find fd command lsof git-diff kill pkill")
_TEST = lazy_regex(
    r"\b(?:pytest|py\.test|unittest|jest|vitest|mocha|ava|playwright|cypress|rspec|phpunit|ctest|gotestsum|nextest|tox|nox|behave|bats|minitest"
    r"|(?:go|cargo|npm|pnpm|yarn|bun|deno|dotnet|swift|mix|gradle|mvn|make|just|rake|rails|composer|sbt|stack|zig|bazel|mise|task)"
    r"(?:\s+(?:run|exec|-\S+)){0,20}\s+(?:test|check|tests|verify|spec|t)\b\S*|gradlew\s+\S*test\S*|run[-_]?tests?\S*|test\.sh)"
)
_INLINE = _set("python python3 node ruby perl bash sh deno bun php")
_REDIRECTION = lazy_regex(r"\d?>&\d|[\d&]?>+\s*/dev/null")
_SENDS = _set("-X -d --data -o -O --output -F -T --request --upload-file --data-raw --data-binary --json")
_HEREDOC = lazy_regex(
    r"(?<!\s)\s*cat\s*>{1,2}\s*\S{1,300}\s*<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n.*?\n\1[ \t]*(?:\n|$)", re.DOTALL
)
_QUOTED = lazy_regex(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"")
_READ_VERBS = _set(
    "status version list show info ls help logs log view describe get whoami doctor ps images inspect search outdated"
)
_SEPARATOR = lazy_regex(r"&&|\|\||;|\||\n")
_SHAPES = lazy_regex(r"[\n<>|;&]")
_AFTERTHOUGHT = lazy_regex(
    r"\n|<<|(?<!\s)\s+(?:\d?>&\d|[\d&]?>+\s*/dev/null)|(?<!\s)\s*\|\s*(?:head|tail|grep|egrep|rg|sed|awk|cat|jq|less|wc|sort|uniq|tee|cut|tr|column|python3? -c)\b"
    r"|(?<!\s)\s*(?:\|\||;)\s*(?:true|echo|exit)\b"
)
"""What only shapes or hides the output of a command."""
_EXIT = lazy_regex(r"(?:exit(?:ed)?(?: with)?(?: code|_code\"?)?|Exit code):? ?(-?\d+)", re.IGNORECASE)


class Edit(Struct, frozen=True):
    """One change of one file."""

    path: str
    added: int
    removed: int
    new: bool = False


class Command(Struct, frozen=True):
    """One shell command: as typed, without what only leads to it, and how it ended."""

    typed: str
    bare: str
    words: tuple[str, ...]
    key: str  # what makes two runs the same command
    acts: bool  # it may change or check something, rather than only read
    tests: bool
    failed: bool
    exit_status: int | None

    @property
    def is_quiet_failure(self) -> bool:
        """Whether status 1 is only this command's way to say no: grep, diff, test."""
        return self.exit_status in {1, None} and (self._last in _QUIET_ONE or self.only_looks)

    @property
    def only_looks(self) -> bool:
        """Whether it is one of the well-known tools that only read; another one's `status` that fails is broken."""
        return not self.acts and (self._last in _READ_ONLY or self._last in _LOOKERS)

    @property
    def _last(self) -> str:
        parts = _parts(self.bare)
        return parts[-1].split(None, 1)[0].rsplit("/", 1)[-1] if parts and parts[-1].split() else ""


def is_shell(call: ToolCall) -> bool:
    """Say whether the call ran a shell command."""
    return call.name.lower() in _SHELLS


def is_todo(call: ToolCall) -> bool:
    """Say whether the call wrote a plan or to-do list."""
    return call.name.lower() in _TODOS


def is_agent(call: ToolCall) -> bool:
    """Say whether the call started a sub-agent."""
    return call.name.lower() in _AGENTS


def typed_command(call: ToolCall) -> str:
    """Return the shell command of a call as it was typed."""
    arguments = call.arguments
    value = arguments.get("command") or arguments.get("cmd") or arguments.get("script") or ""
    if isinstance(value, list):
        parts = [str(part) for part in value]
        value = parts[2] if len(parts) == 3 and parts[1] in {"-lc", "-c"} else " ".join(parts)
    return value if isinstance(value, str) else ""


def command(call: ToolCall) -> Command | None:
    """Return the shell command of a call with its outcome; None if there is none."""
    typed = typed_command(call)
    if not typed.strip():
        return None
    status = exit_status(call)
    return Command(typed, *_understood(typed), call.failed or bool(status), status)


@lru_cache(64)  # few commands are run again and again
def _understood(typed: str) -> tuple[str, tuple[str, ...], str, bool, bool]:
    """Return a command without what only leads to it, its first words, its key, whether it acts and whether it tests."""
    wrapped = _WRAPPED.match(typed)
    inner = wrapped[2] if wrapped else typed
    lead = _LEAD.match(inner)
    bare = (inner[lead.end() :] if lead else inner).strip() or inner.strip()
    if bare.startswith("cat") and "<<" in bare:
        bare = _HEREDOC.sub("", bare, count=1).strip() or bare
    first = tuple(_SEPARATOR.split(bare[:300], maxsplit=1)[0].split()[:8])
    acts = not all(_only_reads(part) for part in _parts(bare))
    return bare, first, _key(first, bare), acts, bool(_TEST.search(bare[:400]))


@lru_cache(64)
def shown_length(bare: str) -> int:
    """Return how much of a command is worth showing: up to where its output is only shaped, or where it only reads."""
    if not _SHAPES.search(bare):
        return len(bare)
    after = _AFTERTHOUGHT.search(_QUOTED.sub(lambda match: "x" * len(match[0]), bare[:2_000]))
    end = after.start() if after and after.start() else len(bare)
    at = bare.find(" && ", 0, end)
    while at > 0:
        if not _only_reads(bare[:at].rpartition(" && ")[2]) and all(
            _only_reads(part) for part in _parts(bare[at + 4 : end])
        ):
            return at
        at = bare.find(" && ", at + 4, end)
    return end


def _key(first: tuple[str, ...], bare: str) -> str:
    """Return the first three words that are no options; a script given in the command counts as a whole."""
    if first and first[0].rsplit("/", 1)[-1] in _INLINE and set(first) & {"-c", "-e", "-"}:
        return bare[:300]
    return " ".join([word for word in first if not word.startswith(("-", "2>", ">", "|", "&"))][:3])


def exit_status(call: ToolCall) -> int | None:
    """Return the exit status that a result states: in Claude Code its first line, in Codex its header or its JSON."""
    result = call.result
    if not result:
        return None
    head = result[:240]
    if "xit" in head:
        match = _EXIT.search(head)
        if match:
            return int(match[1])
    if '"exit_code":' in result[-160:]:
        match = _EXIT.search(result[-160:])
        if match:
            return int(match[1])
    return None


def _parts(bare: str) -> list[str]:
    first = _QUOTED.sub("''", bare.split("<<", 1)[0][:1_000])[:400]
    plain = _REDIRECTION.sub("", first) if ">" in first else first
    parts = (part.strip() for part in _SEPARATOR.split(plain))
    return [bare for part in parts if not part.startswith("#") and (bare := part.strip("() "))]


def _only_reads(part: str) -> bool:
    found = part.split()
    while found and (
        "=" in found[0] or found[0] in {"sudo", "time", "do", "then", "!", "(", "{", "for", "while", "if"}
    ):
        found = found[1:]
    if not found:
        return True
    name = found[0].rsplit("/", 1)[-1].lower()
    verb = next((word for word in found[1:] if not word.startswith("-")), "")
    if name == "git":
        return verb in _GIT_READ or found[-1] == "list" or "list" in found[2:3] or "--help" in found
    if name in {"gh", "glab"}:
        return (len(found) > 2 and found[2] in _GH_READ) or verb in _GH_READ
    if name == "curl":
        return not _SENDS & set(found)
    if name == "sed":
        return not any(word.startswith("-i") or word == "--in-place" for word in found)
    if name in _READ_ONLY:
        return ">" not in part if name in {"cat", "echo", "printf"} else True
    return name in {"done", "fi", "}", ")"} or verb in _READ_VERBS or found[-1] in {"--version", "--help", "-h"}


def edits(call: ToolCall) -> Iterator[Edit]:
    """Yield the files that a call changed, with lines added and removed."""
    arguments = call.arguments
    patch = _patch_text(call)
    if patch:
        yield from _patched(patch)
        return
    if not _may_edit(call.name):
        return
    path = _first(arguments, _PATHS)
    if not path or str(arguments.get("command", "")) in {"view", "undo_edit"}:
        return
    several = arguments.get("edits")
    if isinstance(several, list):
        pairs = [_changed(_first(part, _OLD), _first(part, _NEW)) for part in several if isinstance(part, Mapping)]
        yield Edit(path, sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs))
        return
    whole = _first(arguments, _WHOLE)
    old, new = _first(arguments, _OLD), _first(arguments, _NEW)
    if whole and not new:
        yield Edit(path, _line_count(whole), 0, new=_says_created(call))
    elif new or old:
        yield Edit(path, *_changed(old, new))
    elif "delete" in call.name.lower():
        yield Edit(path, 0, 0)


@lru_cache(256)  # few names are used again and again
def _may_edit(name: str) -> bool:
    return bool(_EDIT.search(name)) and name.lower() not in _TODOS


def _says_created(call: ToolCall) -> bool:
    head = (call.result or "")[:200].lower()
    return "created" in head or "new file" in head or (call.name == "write" and "wrote" not in head)


def _first(arguments: Mapping[str, Any], names: tuple[str, ...]) -> str:
    for name in names:
        value = arguments.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _line_count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n")) if text else 0


def _changed(old: str, new: str) -> tuple[int, int]:
    """Return lines added and removed between two texts, common head and tail left out."""
    before, after = old.split("\n") if old else [], new.split("\n") if new else []
    head = 0
    for one, two in zip(before, after, strict=False):
        if one != two:
            break
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return len(after) - head - tail, len(before) - head - tail


def _patch_text(call: ToolCall) -> str:
    for name in ("input", "patch", "patchText", "patch_text", "command", "cmd"):
        value = call.arguments.get(name)
        if isinstance(value, list) and value:
            value = value[-1]
        if isinstance(value, str) and "*** Begin Patch" in value:
            return value
    return ""


def _patched(patch: str) -> Iterator[Edit]:
    heads = list(_PATCH_FILE.finditer(patch))
    for at, head in enumerate(heads):
        body = patch[head.end() : heads[at + 1].start() if at + 1 < len(heads) else len(patch)]
        added, removed = body.count("\n+"), body.count("\n-")
        yield Edit(head[2].strip(), added, removed, new=head[1] == "Add")


def whole_parts(call: ToolCall) -> list[tuple[str, int, int]]:
    """Return what may be quoted of a result: (text, start, end), far enough from the place where it was cut."""
    result = call.result or ""
    if call.result_cut_at is None:
        return [(result, 0, len(result))]
    cut = call.result_cut_at
    parts = [(result, 0, cut - CUT_MARGIN_CHARS), (result, min(len(result), cut + CUT_MARGIN_CHARS), len(result))]
    return [part for part in parts if part[2] > part[1]]
