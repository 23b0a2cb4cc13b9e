"""The monthly budget: `budget`, `budget set`, `assumed`, `settle`, `release`, `restore`."""

from __future__ import annotations

import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import click

from sessiontrackd import budget as ledger
from sessiontrackd import config
from sessiontrackd.budget import SCHEMA, Attempt, Pace, TokenManager, limits_of
from sessiontrackd.cli._command import Group, current_home, home_option, json_option, subcommand
from sessiontrackd.cli._screen import count, local_time, print_json, print_table, safe, usd
from sessiontrackd.cli._usage import money
from sessiontrackd.config import Settings
from sessiontrackd.errors import LedgerDamaged, SessiontrackdError, UsageError
from sessiontrackd.forecast import Forecast
from sessiontrackd.pricing import STALE_DAYS, picousd, told_age, usd_text
from sessiontrackd.prove import Chaos, Verdict
from sessiontrackd.store import open_store

LIFTED = "none"
PROVE_S = 20.0
PROVE_LIMIT = 10**12  # pico-USD: a dollar a month, so that many months are used up


@click.group(
    "budget",
    cls=Group,
    invoke_without_command=True,
    epilog="sessiontrackd budget\nsessiontrackd budget set 5usd",
)
@home_option
@json_option
@click.pass_context
def budget(context: click.Context, as_json: bool) -> None:
    """Show the month's budget and where spending is heading, or change the budget."""
    if context.invoked_subcommand is not None:
        return
    settings = config.load(current_home())
    with _manager(settings) as manager:
        document = manager.summary(settings.thresholds)
        forecast, overruns, damage = manager.forecast(), manager.overruns(), _damage(manager)
        pace = manager.pace()
    document |= {
        "pace": _pace(pace, settings),
        "forecast": _forecast(forecast, document["period"]),
        "overruns": [each.reserve.id for each in overruns],
        "prices_age_days": manager.prices.age_days(datetime.now(UTC)),
        "damage": damage,
    }
    if as_json:
        print_json(document)
    else:
        _print(document)


@contextmanager
def _manager(settings: Settings, *, must_exist: bool = False) -> Iterator[TokenManager]:
    """Open the ledger of the home with the limits of its settings in force; looking makes no database."""
    home = current_home()
    if must_exist and not home.db_path.exists():
        raise SessiontrackdError("Nothing has been spent here: there is no ledger yet.")
    with open_store(home.db_path if home.db_path.exists() else None, SCHEMA) as store:
        manager = TokenManager(store=store, timezone=settings.timezone)
        with suppress(LedgerDamaged):  # what can be told is told
            manager.hold_to(settings)
        yield manager


def _damage(manager: TokenManager) -> str | None:
    try:
        manager.verify()
    except LedgerDamaged as error:
        return str(error)
    return None


def _pace(pace: Pace | None, settings: Settings) -> dict[str, Any] | None:
    """Return how the month's budget compares with the calendar; None without a budget."""
    if pace is None:
        return None
    shares = {"used": pace.used_percent, "passed": pace.passed_percent, "ahead": pace.ahead_percent}
    document: dict[str, Any] = {f"{name}_percent": round(share, 1) for name, share in shares.items()}
    most = settings.may_run_ahead
    return document | {"may_run_ahead_percent": most, "is_held_back": pace.ahead_percent > most}


def _print_pace(pace: dict[str, Any]) -> None:
    ahead = pace["ahead_percent"]
    words = "ahead of" if ahead > 0 else "behind"
    held = "; new requests are degraded until that is below " if pace["is_held_back"] else ""
    most = f"{pace['may_run_ahead_percent']:g} %" if held else ""
    click.echo(
        f"{pace['used_percent']:g} % of the budget is used, {pace['passed_percent']:g} % of the month has passed: "
        f"{abs(ahead):g} % {words} the month{held}{most}."
    )


def _forecast(forecast: Forecast, period: str) -> dict[str, Any]:
    day = forecast.runs_out_on_day
    return {
        "low_usd": usd_text(forecast.low_picousd),
        "expected_usd": usd_text(forecast.expected_picousd),
        "high_usd": usd_text(forecast.high_picousd),
        "runs_out_on": None if day is None else f"{period}-{day:02}",
        "method": forecast.method,
        "days": forecast.days,
    }


def _print(document: dict[str, Any]) -> None:
    scopes = [("all", document)]
    scopes += [(each["folder"], each) for each in document["folders"]]
    scopes += [(f"project {each['project']}", each) for each in document["projects"]]
    click.secho(f"Budget of {document['period']}", bold=True)
    if document["damage"]:
        click.secho(safe(document["damage"]), fg="red")
    headers = ("limit", "spent", "set aside", "left", "of")
    print_table(headers, [_row(name, each) for name, each in scopes], right=range(4))
    if document["pace"]:
        _print_pace(document["pace"])
    for each in document["folders"]:
        if "kept_usd" in each:
            amounts = (
                each["kept_usd"] and money(each["kept_usd"]),
                each["kept_tokens"] and f"{each['kept_tokens']:,} tok",
            )
            what = ", ".join(filter(None, amounts))
            click.echo(
                f"{what} is kept for {safe(each['folder'])}; what is left of it is open to all in the last fifth of the month."
            )
    heading = document["forecast"]
    if float(heading["expected_usd"]):
        low, expected, high = (money(heading[f"{name}_usd"]) for name in ("low", "expected", "high"))
        out = f"; at this rate the budget is used up on {heading['runs_out_on']}" if heading["runs_out_on"] else ""
        click.echo(f"The month may come to {expected} ({low} to {high}), an estimate from {_days(heading)}{out}.")
    if float(document["assumed_usd"]):
        click.echo(f"{money(document['assumed_usd'])} of it is assumed. See: sessiontrackd budget assumed")
    if document["overruns"]:
        click.echo(f"{count(len(document['overruns']), 'request')} cost more than was set aside for them.")
    age = document["prices_age_days"]
    if age is None or age > STALE_DAYS:
        click.echo(f"The prices behind these figures were compared {told_age(age)}; see: sessiontrackd prices")
    if document["limit_usd"] is None and document["limit_tokens"] is None:
        click.echo("No monthly budget is set, so no paid engine runs. Set one: sessiontrackd budget set 5usd")


def _days(heading: dict[str, Any]) -> str:
    """Say what a forecast rests on."""
    return "the present day alone" if heading["days"] <= 1 else f"{heading['days']} days"


def _row(name: str, held: dict[str, Any]) -> tuple[str, ...]:
    """Return the line of one budget: its dollars, its tokens, or both."""
    money_, tokens = _dollars(held), _tokens(held)
    if held["limit_tokens"] is None:
        return (*money_, name)
    if held["limit_usd"] is None:
        return (*tokens, name)
    return (*(", ".join(filter(None, pair)) for pair in zip(money_, tokens, strict=True)), name)


def _dollars(held: dict[str, Any]) -> tuple[str, ...]:
    limit = "none" if held["limit_usd"] is None else money(held["limit_usd"])
    left = "–" if held["remaining_usd"] is None else money(held["remaining_usd"])  # "none" would read as used up
    over = f" (over by {money(held['over_by_usd'])})" if held["over_by_usd"] else ""
    return (limit, money(held["spent_usd"]), money(held["reserved_usd"]), left + over)


def _tokens(held: dict[str, Any]) -> tuple[str, ...]:
    """Return the tokens of a budget; what is set aside is among the used ones."""
    if held["limit_tokens"] is None:
        return ("", "", "", "")
    over = f" (over by {held['over_by_tokens']:,} tok)" if held["over_by_tokens"] else ""
    left = f"{held['remaining_tokens']:,} tok{over}"
    return (f"{held['limit_tokens']:,} tok", f"{held['used_tokens']:,} tok", "", left)


@subcommand(
    budget,
    "set",
    example="sessiontrackd budget set 5usd\nsessiontrackd budget set 2Mtok --folder ~/transcripts\n"
    "sessiontrackd budget set 1usd --project website\nsessiontrackd budget set none",
)
@click.argument("amount")
@click.option("--folder", metavar="DIR", type=click.Path(path_type=Path), help="The budget of a watched folder.")
@click.option("--project", metavar="NAME", help="The budget of a project.")
def set_(amount: str, folder: Path | None, project: str | None) -> None:
    """Set the monthly budget of paid engines: dollars (5usd), tokens (2Mtok) or both; `none` removes it."""
    if folder is not None and project is not None:
        raise UsageError("Name a folder or a project, not both; each has its own budget.")
    value = None if amount == LIFTED else _amount(amount)
    home = current_home()
    if project is not None:
        settings = config.set_project_budget(home, project, value)
    elif folder is not None:
        settings = config.set_value(home, "budget", value, folder)
    else:
        settings = config.set_value(home, "budget.monthly", value)
    with open_store(home.db_path, SCHEMA) as store:
        TokenManager(store=store, timezone=settings.timezone).hold_to(settings)
    config.poke(home)
    of = f"The budget of {safe(str(project or folder))}" if project or folder else "The monthly budget"
    click.echo(f"{of} is {value} now." if value else f"{of} is removed.")
    if settings.monthly_budget_picousd is None and settings.monthly_budget_tokens is None:
        click.echo("No monthly budget is set, so no paid engine runs.")


def _amount(text: str) -> str:
    try:
        return config.format_amount(config.parse_amount(text))
    except ValueError as error:
        raise UsageError(f"The amount cannot be '{text}': {error}, or '{LIFTED}'.") from error


@subcommand(budget, "assumed", example="sessiontrackd budget assumed\nsessiontrackd budget assumed --json")
@json_option
def assumed(as_json: bool) -> None:
    """List the requests whose outcome is unknown; each counts as spent at the most it can have cost."""
    with _manager(config.load(current_home())) as manager:
        manager.recover()
        rows = [_assumed(attempt, *manager.purpose(attempt.reserve.id)) for attempt in manager.assumed()]
    if as_json:
        print_json({"assumed": rows})
    elif not rows:
        click.echo("Nothing is assumed: the outcome of every request is known.")
    else:
        keys = ("id", "at", "cost_usd", "model", "session_id", "note")
        cells = [
            {**row, "at": local_time(datetime.fromisoformat(row["at"])), "cost_usd": money(row["cost_usd"])}
            for row in rows
        ]
        headers = ("id", "sent", "at most", "model", "session", "why")
        print_table(headers, [_cells(row, keys) for row in cells], right=(0, 2), wraps=True)
        click.echo("Once your provider's bill tells: sessiontrackd budget settle ID USD, or: budget release ID")


def _assumed(attempt: Attempt, session_id: str | None, source: bytes | None, title: str | None) -> dict[str, Any]:
    return {
        "id": attempt.reserve.id,
        "at": attempt.reserve.made_at.isoformat(),
        "cost_usd": usd_text(attempt.holding.picousd if attempt.holding else 0),
        "model": attempt.reserve.model,
        "folder": attempt.reserve.folder,
        "project": attempt.reserve.project,
        "session_id": session_id,
        "source": source.decode("utf-8", "replace") if source else None,
        "title": title,
        "note": attempt.last.note,
    }


def _cells(row: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    return ["?" if row[key] is None else str(row[key]) for key in keys]


@subcommand(budget, "settle", example="sessiontrackd budget settle 17 0.0123")
@click.argument("attempt", metavar="ID", type=int)
@click.argument("cost", metavar="USD")
def settle(attempt: int, cost: str) -> None:
    """Replace an assumed cost with the amount on your provider's bill."""
    try:
        amount = picousd(Decimal(cost.removeprefix("$")))
    except (InvalidOperation, ValueError) as error:
        raise UsageError(f"The cost cannot be '{cost}'. Write dollars, such as 0.0123.") from error
    _correct(attempt, amount)


@subcommand(budget, "release", example="sessiontrackd budget release 17")
@click.argument("attempt", metavar="ID", type=int)
def release(attempt: int) -> None:
    """Release the money of an assumed request that certainly was not billed."""
    _correct(attempt, 0)


def _correct(attempt: int, cost_picousd: int) -> None:
    with _manager(config.load(current_home()), must_exist=True) as manager:
        try:
            change = manager.correct(attempt, cost_picousd)
        except ValueError as error:
            hint = "only assumed ones can be corrected. `sessiontrackd budget assumed` lists them"
            raise SessiontrackdError(f"Nothing was changed: {error}; {hint}.") from error
    config.poke(current_home())
    click.echo(
        f"Request {attempt} counts as {usd(cost_picousd)} now ({usd(abs(change))} {'less' if change < 0 else 'more'})."
    )


@subcommand(budget, "restore", example="sessiontrackd budget restore\nsessiontrackd budget restore --anew --yes")
@click.option("--anew", is_flag=True, help="Start with an empty database if there is no intact backup.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def restore(anew: bool, yes: bool) -> None:
    """Restore the newest intact daily backup of a damaged database; what was left of the month counts as spent."""
    home = current_home()
    settings = config.load(home)
    if not home.db_path.exists():
        raise SessiontrackdError("There is no database here, so there is nothing to restore.")
    if not yes:
        question = _question(home.db_path, settings)
        if not sys.stdin.isatty():
            raise SessiontrackdError(
                f"{question}: nothing was changed, because there is no terminal to ask on. Use --yes."
            )
        if not click.confirm(question, default=False):
            raise SessiontrackdError("Nothing was changed.")
    with config.hold(home):
        made = ledger.restore(home.db_path, settings.zone, datetime.now(UTC), limits=limits_of(settings), anew=anew)
    source = f"The backup of {made.copy.stem[-10:]}" if made.copy else "An empty database"
    click.echo(f"{source} is in use now; the damaged one is kept as {safe(str(made.aside))}.")
    click.echo("Transcripts and notes are unchanged; what is newer than the backup is read again.")
    if made.assumed:
        number, cost = made.assumed.reserve.id, made.assumed.holding.picousd if made.assumed.holding else 0
        click.echo(
            f"What was spent since is unknown, so what was left of the month ({usd(cost)}) counts as spent. Once you "
            f"have checked your provider's bill: sessiontrackd budget settle {number} USD, or budget release {number}"
        )


def _question(path: Path, settings: Settings) -> str:
    """Ask before a database is replaced; say so where it needs no such thing."""
    try:
        with open_store(path, SCHEMA) as store:
            TokenManager(store=store, timezone=settings.timezone).verify()
    except SessiontrackdError as error:
        return f"{error}\nRestore now? The damaged file is kept"
    return "The ledger is intact, so there is no need to restore it, and what is newer than the backup would be lost. Restore anyway"


@subcommand(
    budget, "prove", example="sessiontrackd budget prove\nsessiontrackd budget prove --seconds 60 --processes 16"
)
@click.option(
    "--seconds", type=click.FloatRange(0.5, 3600), default=PROVE_S, show_default=True, help="Duration in seconds."
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Number of processes that spend at once.",
)
@json_option
@click.pass_context
def prove(context: click.Context, seconds: float, processes: int, as_json: bool) -> None:
    """Try to overspend on this machine: processes share a budget and are killed at random. Your data is not touched."""
    if not as_json:
        click.echo(f"{processes} processes spend from a budget of {usd(PROVE_LIMIT)} a month for {seconds:g} s …")
    with tempfile.TemporaryDirectory(prefix="sessiontrackd-prove-") as folder:
        verdict = Chaos(Path(folder), PROVE_LIMIT, processes).run(seconds=seconds, seed=secrets.randbelow(10**6))
    if as_json:
        print_json(_verdict(verdict))
    else:
        _print_verdict(verdict)
    if not verdict.holds:
        context.exit(1)


def _verdict(verdict: Verdict) -> dict[str, Any]:
    amounts = {
        f"{name}_usd": usd_text(getattr(verdict, f"{name}_picousd")) for name in ("billed", "settled", "assumed")
    }
    counts = ("calls", "refused", "killed", "failed", "months", "over", "wrong", "missing", "above")
    return {"holds": verdict.holds} | {name: getattr(verdict, name) for name in counts} | amounts


def _print_verdict(verdict: Verdict) -> None:
    billed, settled, assumed = (usd(getattr(verdict, f"{name}_picousd")) for name in ("billed", "settled", "assumed"))
    click.echo(
        f"{verdict.calls:,} requests were granted and {verdict.refused:,} refused, in {count(verdict.months, 'month')}; "
        f"{count(verdict.killed, 'process').replace('processs', 'processes')} killed with kill -9 at random moments."
    )
    click.echo(f"Billed: {billed}. In the ledger: {settled} settled, {assumed} assumed for requests that were killed.")
    for bad, good, wrong in (
        (verdict.over, "no month went past its budget", "months went past their budget"),
        (verdict.missing, "every billed request counts as spent", "billed requests do not count as spent"),
        (verdict.wrong, "every settled request costs what was billed, to the pico-dollar", "settled ones differ"),
        (verdict.failed, "no request failed, neither for a locked database nor anything else", "requests failed"),
    ):
        mark = click.style("failure", fg="red") if bad else click.style("ok", fg="green")
        click.echo(f"{mark} {f'{bad:,} {wrong}' if bad else good}")
    click.echo(
        "ok every entry of the ledger is as it was written"
        if verdict.calls
        else "Nothing was granted: the run was too short."
    )
