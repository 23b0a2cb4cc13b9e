"""docs/settings.md, written from the register of options."""

from __future__ import annotations

from sessiontrackd.config._options import Option, options

EXAMPLE = """\
timezone = "Europe/Berlin"

[budget]
monthly = "50usd"

[[folder]]
path = "~/transcripts"
level = "standard"

[[folder]]
path = "~/.claude/projects"
preset = "claude-code"
output = "vault:~/notes/ai"
since = "2026-03-01"

[[prices]]
model = "my-model"
input = 0.2
output = 0.8
from = "2026-11-01"

[[prices]]
provider = "127.0.0.1:11434"
free = true
"""


def document() -> str:
    """Write docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "One TOML file; `sessiontrackd config path` says where, `sessiontrackd config show` prints what is in force.",
        "Everything has a default, so the file may be missing. `watch add` edits it and keeps your comments.",
        "This page is made from the program's own register of options.",
    ]
    titles = {
        "global": "The whole program",
        "folder": "A watched folder: one `[[folder]]` each",
        "price": "A price of your own: one `[[prices]]` each; it overrides the genai-prices package",
    }
    for scope, title in titles.items():
        lines += ["", f"## {title}", "", "| option | write | default | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{option.name}` | {option.kind} | {default_text(option)} | {option.text} |"
            for option in options(scope).values()
        ]
    lines += ["", "## Example", "", "```toml", EXAMPLE.rstrip(), "```", ""]
    return "\n".join(lines)


def default_text(option: Option) -> str:
    """Show the default of an option the way the file would have it; `none` where there is no value."""
    if option.default == "":
        return "none" if option.name != "path" else "must be given"
    if isinstance(option.default, bool):
        return "`true`" if option.default else "`false`"
    return f"`{option.default!r}`" if not isinstance(option.default, str) else f'`"{option.default}"`'
