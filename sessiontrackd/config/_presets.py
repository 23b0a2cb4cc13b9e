"""The presets: where tools write their transcripts, and which of their files those are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Roots = Callable[[Path, Mapping[str, str]], tuple[Path, ...]]


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of one tool. Reports never go into its folder."""

    name: str
    text: str
    roots: Roots  # of (the user's home, the environment): every place the tool may write to, existing or not
    only: tuple[str, ...]  # patterns of file names
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
        Preset(
            "downloads",
            "exports that a browser saves",
            _downloads,
            ("conversations*.json", "*.zip", "*.jsonl", "*.vtt", "*.srt"),
        ),
    )
}
