"""The command line: finds a command, imports only its module, and turns every failure into one clear line."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem, shell_complete

from sessiontrackd.cli._command import home_option
from sessiontrackd.cli._screen import safe
from sessiontrackd.errors import SessiontrackdError

COMPLETE_VARIABLE = "_SESSIONTRACKD_COMPLETE"  # by which a shell asks while one types
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
FULL = (errno.ENOSPC, errno.EDQUOT)


class Entry(NamedTuple):
    """Where a command lives, and its line in the overview, so that `--help` imports none of them."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "setup": Entry("setup", "setup", "Find your AI tools, exports and vaults, and start watching."),
    "try": Entry("process", "try_", "Show the note of your newest session; nothing is written."),
    "demo": Entry("demo", "demo", "Watch the daemon work on sample transcripts, then clean up."),
    "process": Entry("process", "process", "Process transcripts now, through the same queue."),
    "run": Entry("run", "run", "Run the daemon in the foreground."),
    "watch": Entry("folders", "watch", "Add, list or remove watched folders."),
    "inspect": Entry("look", "inspect", "Show what is read from a transcript."),
    "show": Entry("look", "show", "Print the messages of a transcript."),
    "digest": Entry("digest", "digest", "Summarise a day, a week or a month in one note."),
    "search": Entry("find", "search", "Find sessions by the words in them."),
    "forget": Entry("forget", "forget", "Remove what is stored about a transcript or session."),
    "status": Entry("state", "status", "Show what is running, waiting and held."),
    "usage": Entry("usage", "usage", "Show what was spent, or what transcripts record."),
    "budget": Entry("budget", "budget", "Show or set the monthly budget."),
    "prices": Entry("prices", "prices", "Show what tokens cost and how old the prices are, or confirm them."),
    "alerts": Entry("alerts", "alerts", "List past alerts, or silence alerts for a while."),
    "reports": Entry("state", "reports", "List the newest reports with their paths."),
    "queue": Entry("waiting", "queue", "List waiting, held and failed transcripts with reasons."),
    "retry": Entry("waiting", "retry", "Put failed and held transcripts back into the queue."),
    "pause": Entry("waiting", "pause", "Start no new work until `resume`."),
    "resume": Entry("waiting", "resume", "Resume work after `pause`."),
    "ai": Entry("waiting", "ai", "Switch engines that send text elsewhere off or on."),
    "capture": Entry("capture", "capture", "Let Claude Code or Codex report when a session ends."),
    "consent": Entry("consent", "consent", "Allow sending text of a folder, or withdraw that consent."),
    "key": Entry("key", "key", "Store, remove or look for the API key of the engine 'claude'."),
    "estimate": Entry("estimate", "estimate", "Estimate what transcripts would cost; nothing is sent."),
    "condense": Entry("private", "condense", "Print what an engine would receive of a transcript."),
    "redact": Entry("private", "redact", "Print stdin with secrets and personal data replaced."),
    "service": Entry("service", "service", "Run the daemon as a service of systemd or launchd."),
    "doctor": Entry("doctor", "doctor", "Check everything that could go wrong, with the remedy."),
    "completion": Entry("completion", "completion", "Complete commands in bash, zsh or fish."),
    "config": Entry("settings", "config", "Show the settings, or where they are."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one only when it is invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the register: what a new user needs comes first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(f"sessiontrackd.cli.{entry.module}"), entry.attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(name, COMMANDS, 1)
            hint = f" Did you mean '{close[0]}'?" if close else ""
            raise click.UsageError(f"No such command '{safe(name)}'.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names from the register alone, options as click does."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=entry.help) for name, entry in COMMANDS.items() if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview from the register alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib import metadata

        click.echo(f"sessiontrackd {metadata.version('sessiontrackd')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: sessiontrackd try  (or: sessiontrackd demo)",
)
@home_option
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Turn conversation transcripts into short Markdown notes, as they appear in the folders you watch.

    With the local engine nothing leaves this machine, no key is needed, and every note costs $0.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line.

    Returns:
        The exit status: 0, 1 failure, 2 wrong usage, 75 busy, 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    if asked := os.environ.get(COMPLETE_VARIABLE):
        return shell_complete(cli, {}, "sessiontrackd", COMPLETE_VARIABLE, asked)
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:
        return _leave_quietly()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    try:
        color = False if os.environ.get("NO_COLOR") else None
        with cli.make_context("sessiontrackd", arguments, color=color) as context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as mistake:
        mistake.show()
        return mistake.exit_code
    except SessiontrackdError as error:
        return _fail(str(error), error.exit_status)
    except OSError as error:
        if error.errno in FULL:
            return _leave_quietly(
                _fail(f"Not everything could be written: {error.strerror}. Free some space, then try again.", 1)
            )
        if error.errno == errno.EPIPE or error.filename is None:
            raise
        return _fail(f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}.", 1)
    return 0


def _fail(text: str, exit_status: int) -> int:
    click.echo(f"sessiontrackd: {safe(text)}", err=True)
    return exit_status


def _leave_quietly(exit_status: int = 0) -> int:
    """Keep the interpreter from complaining about a reader that has gone (`| head`), or that takes no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_status
