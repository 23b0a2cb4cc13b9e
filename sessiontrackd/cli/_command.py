"""What every command shares: `--home`, `--json`, an example in the help, and the home it works on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from sessiontrackd import config, engines
from sessiontrackd.config import Home
from sessiontrackd.errors import Failed, UsageError
from sessiontrackd.store import Schema, Store, open_store

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _keep_home(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    """Keep the home; what was typed, before or after the command's name, wins over the environment."""
    typed = ctx.get_parameter_source(param.name or "") is ParameterSource.COMMANDLINE
    root = ctx.find_root()
    if value is not None and (typed or root.obj is None):
        root.obj = value


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="SESSIONTRACKD_HOME",
    expose_value=False,
    callback=_keep_home,
    metavar="DIR",
    help="Keep settings, state and log under DIR.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


path_type = click.Path(path_type=Path, readable=False)  # what is wrong with it we say ourselves


def existing(path: Path) -> Path:
    """Return a file that a person named, links followed, or say what is wrong with it."""
    real = Path(os.path.realpath(path))
    if not real.exists():
        raise Failed(f"There is no {path}. Check the spelling; a name with spaces needs quotes.")
    if not os.access(real, os.R_OK):
        raise Failed(f"{path} cannot be read. Give yourself permission: chmod u+r {shlex.quote(str(path))}")
    return real


def known_engine(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Refuse an engine that is not there before anything is done with it."""
    if value is not None and value not in engines.names():
        raise UsageError(f"There is no engine '{value}'. Engines: {', '.join(engines.names())}.")
    return value


def whole_place(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Take a vault's folder from where the command is typed, as every other folder."""
    kind, _, folder = (value or "").partition(":")
    if kind == "vault" and folder and not folder.startswith("~"):
        return f"vault:{os.path.abspath(folder)}"
    return value


def check_options(**chosen: str | None) -> None:
    """Refuse a wrong value by the option's own rule, before anything is counted or asked."""
    known = config.options("folder")
    for name, value in chosen.items():
        try:
            if value is not None:
                known[name].check(value)
        except ValueError as mistake:
            raise UsageError(f"--{name} cannot be '{value}': {mistake}.") from None


class Command(click.Command):
    """A command whose epilog is its examples, one a line."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they would be typed."""
        _write_examples(self.epilog, formatter)


class Group(click.Group):
    """A group of commands (`watch add`) with examples too."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each one does, in its whole first sentence."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(member)) for name, member in sorted(self.commands.items())])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they would be typed."""
        _write_examples(self.epilog, formatter)


def _sentence(member: click.Command) -> str:
    text = " ".join((member.help or "").split())
    return text.partition(". ")[0].removesuffix(".") + "."


def _write_examples(examples: str | None, formatter: click.HelpFormatter) -> None:
    if examples:
        with formatter.section("Example"):
            for line in examples.splitlines():
                formatter.write(f"{' ' * formatter.current_indent}{line}\n")


def command(name: str, *, example: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function a command.

    Args:
        name: as typed.
        example: one or more lines, as they would be typed.
    """

    def wrap(function: Callable[..., None]) -> click.Command:
        return click.command(name, cls=Command, epilog=example)(home_option(function))

    return wrap


def subcommand(group: click.Group, name: str, *, example: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function a member of a group."""

    def wrap(function: Callable[..., None]) -> click.Command:
        made = command(name, example=example)(function)
        group.add_command(made)
        return made

    return wrap


def current_home() -> Home:
    """Return the home that the command line or the environment names, else the platform's own."""
    return Home.find(click.get_current_context().find_root().obj)


@contextmanager
def existing_store(*schemas: Schema) -> Iterator[Store | None]:
    """Open the database of the current home for looking; None where there is none yet, and none is made."""
    path = current_home().db_path
    if not path.exists():
        yield None
        return
    with open_store(path, *schemas) as store:
        yield store
