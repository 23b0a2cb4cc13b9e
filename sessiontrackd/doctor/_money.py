"""The ledger: its database, the budget, the prices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sessiontrackd import budget, config, pricing
from sessiontrackd.budget import TokenManager
from sessiontrackd.doctor._patient import FAILURE, OK, WARNING, Check, Patient, opened
from sessiontrackd.engines import provider_of
from sessiontrackd.errors import SessiontrackdError, StoreDamaged, Unpriced


def database(patient: Patient) -> Iterator[Check]:
    path = patient.home.db_path
    if not path.exists():
        yield Check("database", OK, f"{path} is created when the first transcript is read")
        return
    try:
        with opened(patient) as store:
            damage = store.damage()
            if damage:
                yield Check("database", FAILURE, f"{path} is damaged: {damage[0]}", _way_back(path))
                return
            yield Check("database", OK, f"{path} is intact")
            yield from _ledger(patient, TokenManager(store=store, timezone=patient.settings.timezone))
    except StoreDamaged as error:
        yield Check("database", FAILURE, str(error), _way_back(path))
    except SessiontrackdError as error:
        yield Check("database", FAILURE, str(error), "Do what it says, then run doctor again.")


def _ledger(patient: Patient, manager: TokenManager) -> Iterator[Check]:
    """Say whether the account of spending holds, and how the month stands."""
    try:
        manager.verify()
    except SessiontrackdError as error:
        yield Check("ledger", FAILURE, str(error), _way_back(patient.home.db_path))
        return
    yield Check("ledger", OK, "every entry of the ledger is as it was written")
    assumed, overruns, status = manager.assumed(), manager.overruns(), manager.status()
    if assumed:
        text = f"requests that may or may not have been billed, counted at their maximum cost: {len(assumed)}"
        yield Check("assumed", WARNING, text, "Compare with your provider's bill: sessiontrackd budget assumed")
    if overruns:
        numbers = ", ".join(str(each.reserve.id) for each in overruns[:5])
        text = f"requests that cost more than was set aside for them: {len(overruns)} (numbers {numbers})"
        yield Check(
            "overruns", WARNING, text, "Compare the prices: the model may have become dearer than is known here."
        )
    now = budget.period_of(patient.now, patient.settings.zone)
    if status.period > now:
        text = f"the ledger is in {status.period} already, while the clock says {now}: it was ahead once"
        remedy = "What is spent counts there, for a closed month never opens again. To go back to a copy from before: "
        yield Check("month", WARNING, text, f"{remedy}sessiontrackd budget restore")
    left = status.remaining_picousd
    if left is not None and left <= 0:
        yield Check("spent", WARNING, f"the budget of {status.period} is used up; notes go on with the local engine",
                    "Wait for the next month, or raise it: sessiontrackd budget set AMOUNT")  # fmt: skip


def _way_back(path: Path) -> str:
    copies = budget.backups(path)
    if not copies:
        return "There is no backup yet. Stop the daemon, then start a new ledger: sessiontrackd budget restore --anew"
    return f"Stop the daemon, then restore the backup of {copies[0].stem[-10:]}: sessiontrackd budget restore"


def limits(patient: Patient) -> Iterator[Check]:
    settings = patient.settings
    is_set = settings.monthly_budget_picousd is not None or settings.monthly_budget_tokens is not None
    if is_set:
        amount = config.Amount(settings.monthly_budget_picousd, settings.monthly_budget_tokens)
        yield Check("budget", OK, f"{config.format_amount(amount)} a month")
        kept = sum(folder.keep_picousd or 0 for folder in settings.folders)
        if amount.picousd is not None and kept > amount.picousd:
            text = f"{pricing.usd_shown(kept)} are kept for folders, more than the month has"
            yield Check("kept", WARNING, text, "Lower `keep` of a folder in the settings, or raise the budget.")
    elif patient.has_paid_folders and _is_free(patient):
        yield Check("budget", OK, "none is set, and none is needed: by your own prices nothing is billed")
    elif patient.has_paid_folders:
        text = "no monthly budget is set, so folders with a paid engine wait"
        yield Check("budget", WARNING, text, "Set one: sessiontrackd budget set 5usd")
    else:
        yield Check("budget", OK, "none is set, and none is needed: only the local engine is used")


def _is_free(patient: Patient) -> bool:
    """Say whether the model in use is free by the user's word."""
    model, seller = patient.settings.claude_model or budget.DEFAULT_MODEL, provider_of("claude", patient.settings)
    try:
        tariff = pricing.prices_of(patient.settings).tariff(model, patient.now, provider=seller)
    except Unpriced:
        return False
    return tariff == pricing.FREE_BY_USER


def prices(patient: Patient) -> Iterator[Check]:
    """Say whether the model in use has a price, whose it is, and how old that is."""
    model = patient.settings.claude_model or budget.DEFAULT_MODEL
    known, cannot_pay = pricing.prices_of(patient.settings), FAILURE if patient.has_paid_folders else WARNING
    try:
        tariff = known.tariff(model, patient.now, provider=provider_of("claude", patient.settings))
    except Unpriced as error:
        yield Check("prices", cannot_pay, str(error), "State its price, or: pip install --upgrade genai-prices")
        return
    age_days = known.age_days(patient.now)
    text = f"the prices of {pricing.package()} were compared with the providers' {pricing.told_age(age_days)}"
    remedy = (
        "Check them (sessiontrackd prices), then confirm them: sessiontrackd prices confirm; or bring them "
        "up to date: pip install --upgrade genai-prices"
    )
    if not known.is_packaged(tariff):
        yield Check("prices", OK, f"{model} costs what you stated")
    elif age_days is None or age_days > pricing.UNFIT_DAYS:
        yield Check("prices", cannot_pay, f"{text}, so paid engines wait", remedy)
    elif age_days > pricing.STALE_DAYS:
        yield Check("prices", WARNING, text, remedy)
    else:
        yield Check("prices", OK, f"{model} has a price; {text}")
