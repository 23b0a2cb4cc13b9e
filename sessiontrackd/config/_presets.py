"""The presets: where tools write their transcripts, and which of their files those are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

VS_CODES = ("Code", "Code - Insiders", "VSCodium")
LLM = "io.datasette.llm"
Roots = Callable[[Path, Mapping[str, str]], tuple[Path, ...]]


class Preset(Struct, frozen=True):
    """What is known of one tool. Reports never go into its folder."""

    name: str
    text: str
    roots: Roots  # of (the user's home, the environment): every place the tool may write to, existing or not
    only: tuple[str, ...]  # patterns of file names, or with a slash of paths below the root
    ignore: tuple[str, ...] = ()  # patterns of file names or of paths below the root


def _claude_code(home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    if chosen := environ.get("CLAUDE_CONFIG_DIR"):
        return tuple(Path(each).expanduser() / "projects" for each in chosen.split(",") if each)
    return home / ".claude" / "projects", home / ".config" / "claude" / "projects"


def _codex(home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    root = Path(environ.get("CODEX_HOME") or home / ".codex")
    return root / "sessions", root / "archived_sessions"


def _gemini(home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    return (Path(environ.get("GEMINI_CLI_HOME") or home) / ".gemini" / "tmp",)


def _copilot(home: Path, _: Mapping[str, str]) -> tuple[Path, ...]:
    return (home / ".copilot" / "session-state",)


def _copilot_chat(home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    bases = [_config(home, environ), home / "Library" / "Application Support"]
    return tuple(base / editor / "User" / "workspaceStorage" for base in bases for editor in VS_CODES)


def _pi(home: Path, _: Mapping[str, str]) -> tuple[Path, ...]:
    return (home / ".pi" / "agent" / "sessions",)


def _llm(home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    if chosen := environ.get("LLM_USER_PATH"):
        return (Path(chosen).expanduser(),)
    return tuple(base / LLM for base in (_config(home, environ), home / "Library" / "Application Support"))


def _config(home: Path, environ: Mapping[str, str]) -> Path:
    named = Path(environ.get("XDG_CONFIG_HOME", ""))
    return named if named.is_absolute() else home / ".config"


def _downloads(home: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    return (Path(environ.get("XDG_DOWNLOAD_DIR") or home / "Downloads"),)


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("claude-code", "Claude Code", _claude_code, ("*.jsonl",), ("journal.jsonl", "*/tool-results/*")),
        Preset("codex", "Codex CLI", _codex, ("rollout-*.jsonl", "rollout-*.jsonl.zst")),
        Preset(
            "gemini", "Gemini CLI", _gemini, ("*.json", "*.jsonl"), ("logs.json", "checkpoint*.json", "settings.json")
        ),
        Preset("copilot", "Copilot CLI", _copilot, ("events.jsonl",)),
        Preset(
            "copilot-chat",
            "Copilot Chat in VS Code",
            _copilot_chat,
            ("*/chatSessions/*.json", "*/chatSessions/*.jsonl"),
        ),
        Preset("pi", "pi", _pi, ("*.jsonl",)),
        Preset("llm", "llm", _llm, ("logs.db",)),
        Preset(
            "downloads",
            "exports that a browser saves",
            _downloads,
            ("conversations*.json", "*.zip", "*.jsonl", "*.vtt", "*.srt"),
        ),
    )
}
