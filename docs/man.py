"""The man page, from the commands' own help: python docs/man.py > docs/sessiontrackd.1."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click

from sessiontrackd import __version__
from sessiontrackd.cli.main import cli

HEAD = f""".\\" Made from the commands' help: python docs/man.py > docs/sessiontrackd.1
.TH SESSIONTRACKD 1 "" "sessiontrackd {__version__}" "User Commands"
.SH NAME
sessiontrackd \\- short Markdown notes for transcripts of AI conversations
.SH SYNOPSIS
.B sessiontrackd
[\\fB\\-\\-home\\fR \\fIDIR\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR ...]
.SH DESCRIPTION
"""
TAIL = """.SH EXIT STATUS
0 success, 1 a failure with one line on stderr, 2 wrong usage, 75 another process holds what is needed, 130 interrupted.
.SH ENVIRONMENT
.TP
.B SESSIONTRACKD_HOME
Where everything is kept, instead of the platform's folders; the option \\fB\\-\\-home\\fR wins.
.TP
.B NO_COLOR
No colours.
.SH FILES
\\fBsessiontrackd config path\\fR prints where the settings are.
"""


def page() -> str:
    """Return the page in troff."""
    return HEAD + _escaped(_text(cli)) + "\n.SH COMMANDS\n" + "".join(_commands()) + TAIL


def _commands() -> Iterator[str]:
    root = click.Context(cli, info_name="sessiontrackd")
    for name in cli.list_commands(root):
        found = cli.get_command(root, name)
        assert found is not None
        yield from _command(found, f"sessiontrackd {name}", root)


def _command(found: click.Command, words: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(found, info_name=words.rpartition(" ")[2], parent=parent)
    usage = " ".join(found.collect_usage_pieces(context))
    yield f".SS {_escaped(words)} {_escaped(usage)}\n{_escaped(_text(found))}\n"
    for parameter in found.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in record[0] and parameter.name != "home":
            yield f".TP\n.B {_escaped(record[0])}\n{_escaped(record[1])}\n"
    if found.epilog and not isinstance(found, click.Group):
        lines = "".join(f"{_escaped(line)}\n" for line in found.epilog.splitlines())
        yield f".PP\n.nf\n.RS\n{lines}.RE\n.fi\n"
    if isinstance(found, click.Group):
        for name in found.list_commands(context):
            member = found.get_command(context, name)
            assert member is not None
            yield from _command(member, f"{words} {name}", context)


def _text(found: click.Command) -> str:
    """Return the help, its paragraphs parted as troff has it."""
    paragraphs = re.split(r"\n\s*\n", (found.help or "").strip())
    return "\n.PP\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _escaped(text: str) -> str:
    """Return text that troff shows as it stands; `.PP` on a line of its own is ours."""
    lines = []
    for line in text.split("\n"):
        plain = line.replace("\\", "\\e").replace("-", "\\-")
        is_ours = line == ".PP"
        lines.append(plain if is_ours or not plain.startswith((".", "'")) else f"\\&{plain}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page())
