"""Our entry in the settings of other tools: Claude Code's SessionEnd hook and Codex' notify. Their other settings are kept."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from sessiontrackd import hook
from sessiontrackd.config._edit import write_private
from sessiontrackd.config._home import Home
from sessiontrackd.errors import SettingsError

EVENT = "SessionEnd"
TIMEOUT_S = 5  # what the tool allows; we need less than a tenth
MARK = "sessiontrackd/hook.py"


class ToolHook(Struct, frozen=True):
    """How one tool is told to call us."""

    tool: str
    place: Callable[[Path, Mapping[str, str]], Path]  # its settings, of (the person's home, the environment)
    edit: Callable[[str, list[str] | None], str]  # its settings with our words in them, or with None without

    def path(self) -> Path:
        """Return the file of the tool's settings."""
        return self.place(Path.home(), os.environ)

    def put(self, home: Home) -> bool:
        """Have the tool call us; return whether anything changed.

        Raises:
            SettingsError: the tool's settings cannot be read; they are untouched.
        """
        return _change(self, words(home))

    def take(self) -> bool:
        """Have the tool call us no more; return whether it did."""
        return _change(self, None)

    def problem(self, home: Home) -> str | None:
        """Say what is wrong with our entry, if there is one."""
        try:
            text = _text(self.path())
        except SettingsError as error:
            return str(error)
        if MARK not in text or all(json.dumps(word, ensure_ascii=False)[1:-1] in text for word in words(home)):
            return None
        return f"{self.path()} calls a program that was moved, or one for another home"

    def is_there(self) -> bool:
        """Say whether our entry is in the tool's settings."""
        try:
            return MARK in _text(self.path())
        except SettingsError:
            return False


def words(home: Home) -> list[str]:
    """Return what a tool runs: absolute paths, nothing of its environment, no site-packages."""
    return [sys.executable, "-I", "-S", hook.FILE, "--state", str(home.state_dir)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}), so nothing was changed in it.") from error


def _change(which: ToolHook, ours: list[str] | None) -> bool:
    path = Path(os.path.realpath(which.path()))  # a symlink stays one
    before = _text(path)
    if ours is None and MARK not in before:
        return False
    try:
        after = which.edit(before, ours)
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path} is not as expected ({error}), so nothing was changed in it.") from error
    if after == before:
        return False
    if ours is None and after.strip() in ("", "{}") and not which.path().is_symlink():
        path.unlink()  # nothing else is in it: most likely we made it
        return True
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, after.encode(), mode=mode)
    return True


def _claude_place(person: Path, environ: Mapping[str, str]) -> Path:
    chosen = environ.get("CLAUDE_CONFIG_DIR", "").split(",")[0]
    return (Path(chosen).expanduser() if chosen else person / ".claude") / "settings.json"


def _claude_edit(text: str, ours: list[str] | None) -> str:
    document = json.loads(text) if text.strip() else {}
    hooks = document.setdefault("hooks", {})
    groups = hooks.setdefault(EVENT, [])
    kept = [group for group in map(_without_us, groups) if group is not None]
    if ours is not None:
        line = " ".join(shlex.quote(word) for word in ours)
        kept.append({"hooks": [{"type": "command", "command": line, "timeout": TIMEOUT_S}]})
    hooks[EVENT] = kept
    if not kept:
        del hooks[EVENT]
    if not hooks:
        del document["hooks"]
    indent = re.search(r'\n([ \t]+)"', text)
    end = "\n" if text.endswith("\n") or not text else ""
    return json.dumps(document, indent=indent[1] if indent else 2, ensure_ascii=False) + end


def _without_us(group: dict[str, Any]) -> dict[str, Any] | None:
    """Return a group of hooks without ours; None where nothing else was in it."""
    there = group.get("hooks", [])
    hooks = [each for each in there if MARK not in str(each.get("command"))]
    return None if there and not hooks else group | {"hooks": hooks}


def _codex_place(person: Path, environ: Mapping[str, str]) -> Path:
    return Path(environ.get("CODEX_HOME") or person / ".codex") / "config.toml"


def _codex_edit(text: str, ours: list[str] | None) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    there = [str(word) for word in document.get("notify", [])]
    theirs = there if not any(word.endswith(MARK) for word in there) else _after(there, "--then")
    wanted = [*ours, *(["--then", *theirs] if theirs else [])] if ours is not None else theirs
    if wanted == there:
        return text
    if wanted and "notify" in document:
        document["notify"] = wanted
    elif wanted:
        return f"notify = {json.dumps(wanted, ensure_ascii=False)}\n{text}"  # above the first table, as it must be
    else:
        del document["notify"]
    return document.as_string()


def _after(words: list[str], mark: str) -> list[str]:
    return words[words.index(mark) + 1 :] if mark in words else []


HOOKS = {
    each.tool: each
    for each in (ToolHook("claude-code", _claude_place, _claude_edit), ToolHook("codex", _codex_place, _codex_edit))
}
