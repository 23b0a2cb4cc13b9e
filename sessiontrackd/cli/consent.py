"""What may be sent, and to whom: `consent grant`, `consent revoke`, `consent list`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from sessiontrackd import privacy
from sessiontrackd.cli._command import Group, existing_store, home_option, json_option, subcommand
from sessiontrackd.cli._consent import allow, folder_scope
from sessiontrackd.cli._screen import cut_path, local_time, print_json, print_table, safe
from sessiontrackd.errors import UsageError
from sessiontrackd.privacy import API, Consent, Consents

PATH_CELLS = 56

folder_argument = click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
api_option = click.option("--api", is_flag=True, help="For calls of the Python API without a folder.")


@click.group(
    "consent",
    cls=Group,
    epilog="sessiontrackd consent grant ~/transcripts --provider anthropic\nsessiontrackd consent list",
)
@home_option
def consent() -> None:
    """Allow sending text of a folder to a provider, or withdraw that consent."""


@subcommand(
    consent,
    "grant",
    example="sessiontrackd consent grant ~/transcripts --provider anthropic\n"
    "sessiontrackd consent grant --api --provider 127.0.0.1:8080",
)
@folder_argument
@api_option
@click.option(
    "--provider", metavar="NAME", required=True, help="Who receives the text: 'anthropic', or host:port of a base_url."
)
def grant(directory: Path | None, api: bool, provider: str) -> None:
    """Grant consent for one folder and one provider, until it is revoked."""
    scope = _scope(directory, api)
    if directory is not None and not Path(scope).is_dir():
        raise UsageError(f"{directory} is no folder. Name the watched folder.")
    if not re.fullmatch(r"[^\s/]{1,253}", provider) or not provider.isprintable():
        raise UsageError(f"--provider cannot be {provider!r}. Write 'anthropic', or host:port such as 127.0.0.1:8080.")
    allow(scope, provider)
    click.echo(f"Text of {_shown(scope)} may now be sent to {safe(provider)}, condensed and redacted.")
    click.echo("To go on with what was held: sessiontrackd retry")


@subcommand(consent, "revoke", example="sessiontrackd consent revoke ~/transcripts\nsessiontrackd consent revoke --all")
@folder_argument
@api_option
@click.option("--provider", metavar="NAME", help="Only for this provider; defaults to all.")
@click.option("--all", "everything", is_flag=True, help="For all folders and the Python API.")
def revoke(directory: Path | None, api: bool, provider: str | None, everything: bool) -> None:
    """Revoke consent, at once: no request starts afterwards."""
    if everything and (directory or api):
        raise UsageError("--all stands alone, or with --provider.")
    scope = None if everything else _scope(directory, api)
    with existing_store(privacy.SCHEMA) as store:
        taken = _taken_back(Consents(store), scope, provider) if store else []
    for each in taken:
        click.echo(f"Nothing of {_shown(each.scope)} is sent to {safe(each.provider)} any more.")
    if not taken:
        raise UsageError(
            "No such consent holds, so there is nothing to revoke. `sessiontrackd consent list` shows all."
        )


def _taken_back(consents: Consents, scope: str | None, provider: str | None) -> list[Consent]:
    """Revoke what matches (None: any), and return it."""
    matching = [each for each in consents.listed() if scope in (None, each.scope) and provider in (None, each.provider)]
    return [each for each in matching if consents.revoke(each.scope, each.provider)]


@subcommand(consent, "list", example="sessiontrackd consent list\nsessiontrackd consent list --json")
@json_option
def list_(as_json: bool) -> None:
    """List every consent with the times it was granted and revoked."""
    with existing_store(privacy.SCHEMA) as store:
        known = Consents(store).listed() if store else []
    if as_json:
        print_json({"consents": [_document(each) for each in known]})
    elif not known:
        click.echo("No consent was ever granted.")
    else:
        print_table(("for", "provider", "allowed", "revoked"), [_row(each) for each in known])


def _document(each: Consent) -> dict[str, str | None]:
    revoked_at = each.revoked_at.isoformat() if each.revoked_at else None
    return {
        "scope": each.scope,
        "provider": each.provider,
        "granted_at": each.granted_at.isoformat(),
        "revoked_at": revoked_at,
    }


def _row(each: Consent) -> tuple[str, ...]:
    revoked = local_time(each.revoked_at) if each.revoked_at else ""
    return cut_path(_shown(each.scope), PATH_CELLS), each.provider, local_time(each.granted_at), revoked


def _scope(directory: Path | None, api: bool) -> str:
    if (directory is None) is not api:
        raise UsageError("Name a folder, or --api for the Python API without a folder: one of the two.")
    return API if directory is None else folder_scope(directory)


def _shown(scope: str) -> str:
    return "the Python API" if scope == API else safe(scope)
