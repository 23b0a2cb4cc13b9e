"""What tokens cost, and how old the prices are: `prices`, `prices confirm`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from sessiontrackd import config
from sessiontrackd.cli._command import Group, current_home, home_option, json_option, subcommand
from sessiontrackd.cli._screen import print_json, print_table
from sessiontrackd.config import Settings
from sessiontrackd.engines import provider_of
from sessiontrackd.errors import Unpriced
from sessiontrackd.insights import LEVELS
from sessiontrackd.pricing import BUCKETS, STALE_DAYS, UNFIT_DAYS, Prices, data_date, package, prices_of, told_age

VENDOR = "anthropic"  # sells the models of the engine 'claude' where no other server is named
HEADERS = ("model", "above", "input", "output", "cache read", "write 5 min", "write 1 h", "")


@click.group(
    "prices",
    cls=Group,
    invoke_without_command=True,
    epilog="sessiontrackd prices\nsessiontrackd prices --model claude-opus-5-5\nsessiontrackd prices confirm",
)
@click.option("--model", "models", multiple=True, metavar="M", help="Also show this model; can be repeated.")
@home_option
@json_option
@click.pass_context
def prices(context: click.Context, models: tuple[str, ...], as_json: bool) -> None:
    """Show what the models in use cost in USD per million tokens, with the source and age of each price."""
    if context.invoked_subcommand is not None:
        return
    settings = config.load(current_home())
    document = _document(settings, models, datetime.now(UTC))
    if as_json:
        print_json(document)
        return
    click.echo("USD per million tokens; above: for prompts of more tokens than that")
    print_table(
        HEADERS, [_cells(row, document["package"]) for row in document["prices"]], right=range(1, 7), wraps=True
    )
    click.echo(_age_line(document))


def _document(settings: Settings, models: tuple[str, ...], now: datetime) -> dict[str, Any]:
    known = prices_of(settings)
    asked: dict[tuple[str | None, str | None], None] = {}
    seller = provider_of("claude", settings)
    for model in filter(None, (settings.claude_model, *(level.model for level in LEVELS.values()), *models)):
        asked.setdefault((model, None if seller == VENDOR else seller))
    for one in known.overrides:
        asked.setdefault((one.model, one.provider))
    compared = data_date()
    return {
        "package": package(),
        "compared_on": compared and compared.isoformat(),
        "confirmed_on": known.confirmed_on and known.confirmed_on.isoformat(),
        "age_days": known.age_days(now),
        "prices": [row for model, provider in asked for row in _rows(known, model, provider, now)],
    }


def _rows(known: Prices, model: str | None, provider: str | None, now: datetime) -> list[dict[str, Any]]:
    """Return a row for each step of a model's price; one of its own for a model without a price."""
    about = {"model": model, "provider": provider}
    is_batch = bool(model and model.endswith(":batch"))
    try:
        name = (model or "any model").removesuffix(":batch")
        tariff = known.tariff(name, now, provider=provider, batch=is_batch)
    except Unpriced:
        return [about | {"above_tokens": None, **dict.fromkeys(BUCKETS), "source": None}]
    return [
        about
        | {"above_tokens": start, **{name: f"{getattr(rates, name):f}" for name in BUCKETS}, "source": rates.source}
        for start, rates in ((0, tariff.base), *tariff.steps)
    ]


def _cells(row: dict[str, Any], usual: str) -> tuple[str, ...]:
    """Return one line; its source only where it is another than the usual one, which is named below the table."""
    name = row["model"] or "every model"
    name += f" at {row['provider']}" if row["provider"] else ""
    above = f"{row['above_tokens']:,}" if row["above_tokens"] else ""
    source = row["source"] or "no price, so nothing is sent to it; add one under [[prices]] in the settings"
    return (name, above, *(row[bucket] or "?" for bucket in BUCKETS), "" if source == usual else source)


def _age_line(document: dict[str, Any]) -> str:
    age, compared = document["age_days"], document["compared_on"]
    line = f"{document['package']}: compared with the providers' prices "
    line += f"on {compared}" if compared else "at an unknown time"
    if document["confirmed_on"]:
        line += f", confirmed by you on {document['confirmed_on']}"
    line += f"; last looked at {told_age(age)}."
    if age is None or age > UNFIT_DAYS:
        return f"{line} That is too long ago: paid engines wait until you run `sessiontrackd prices confirm`."
    if age > STALE_DAYS:
        return f"{line} Compare them with your provider's page, then run `sessiontrackd prices confirm`."
    return line


@subcommand(prices, "confirm", example="sessiontrackd prices confirm")
def confirm() -> None:
    """Confirm that the prices match your provider's today; paid engines use them for another half year."""
    home = current_home()
    today = datetime.now(UTC).date()
    config.set_value(home, "budget.prices_confirmed_on", today)
    config.poke(home)
    click.echo(f"The prices of {package()} are confirmed as of {today}.")
