"""Everything a user could trip over, with its remedy. Looking changes nothing, but that a notification is shown."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from sessiontrackd import alerts, budget, channels, config, history, kernel, pricing, privacy, queue, templates
from sessiontrackd.budget import TokenManager
from sessiontrackd.channels import desktop
from sessiontrackd.config import Home, Settings
from sessiontrackd.engines import engine_class, provider_of
from sessiontrackd.engines.claude import is_exposed
from sessiontrackd.errors import SessiontrackdError, SettingsError, StoreDamaged, Unpriced, UsageError
from sessiontrackd.insights import AS_OF, LEVELS, known_model
from sessiontrackd.model import Alert, AlertKind, BudgetStatus, Folder
from sessiontrackd.store import Store, open_store

OK, WARNING, FAILURE = "ok", "warning", "failure"
LEAST_FREE_BYTES = 100_000_000  # below, a database that grows may fill the disk in a day
LITTLE_FREE_BYTES = 1_000_000_000
CLOCK_SLACK_S = 120.0  # file systems and clocks differ by so much
LOOK_TIMEOUT_S = 5.0  # a database that is locked for longer is told of
STOPPED = (
    "The daemon stopped and does not start again by itself, so no new notes are made. "
    "Why: sessiontrackd doctor. Again: sessiontrackd service start"
)
SAMPLE = "This is a test: sessiontrackd can reach you here."


class Check(NamedTuple):
    """What was looked at and how it is: ok, warning (something is lost) or failure (something does not work)."""

    name: str
    state: str
    text: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. Where the settings are broken, their defaults stand in."""

    home: Home
    settings: Settings
    mistake: str | None
    now: datetime

    @property
    def sending_folders(self) -> list[Folder]:
        """The folders whose engine sends text away. One that cannot be found is told of elsewhere."""
        return [each for each in self.settings.folders if each.enabled and _leaves_machine(each.engine)]

    @property
    def has_paid_folders(self) -> bool:
        """Whether an engine may cost something; what runs on a plan of the user's does not."""
        sold = (provider_of(folder.engine, self.settings) or "" for folder in self.sending_folders)
        return any(not provider.startswith(pricing.FLAT_RATE_PROVIDER) for provider in sold)


Look = Callable[[Patient], Iterator[Check]]


def examine(home: Home, *, notify: bool = True, service: dict[str, Any] | None = None) -> Iterator[Check]:
    """Yield one check after the other.

    Args:
        home: whose settings, folders, database and daemon.
        notify: show a notification too.
        service: how the service stands, as `service status --json` has it.
    """
    try:
        settings, mistake = config.load(home), None
    except SettingsError as error:
        settings, mistake = Settings(timezone=config.system_timezone()), str(error)
    patient = Patient(home, settings, mistake, datetime.now(UTC))
    for look in LOOKS:
        yield from look(patient)
    if service is not None:
        yield _service(service)
        yield from _service_key(patient, service)
    if notify:
        yield _notification(patient)


def _versions(_: Patient) -> Iterator[Check]:
    known = f"sessiontrackd {version('sessiontrackd')}, Python {platform.python_version()}"
    yield Check("versions", OK, f"{known}, SQLite {sqlite3.sqlite_version}, {platform.system()}")


def _settings(patient: Patient) -> Iterator[Check]:
    path = patient.home.config_path
    if patient.mistake:
        yield Check("settings", FAILURE, patient.mistake, f"Mend the line that it names in {path}.")
    elif not path.exists():
        yield Check("settings", OK, f"{path} is not there yet: everything is at its default")
    else:
        yield Check("settings", OK, f"{path} can be used")


def _folders(patient: Patient) -> Iterator[Check]:
    watched = [folder for folder in patient.settings.folders if folder.enabled]
    if not watched and not patient.mistake:
        yield Check("folders", WARNING, "no folder is watched", "Add one: sessiontrackd watch add DIR")
    for folder in watched:
        yield Check("folder", *_folder(folder))
        kind = kernel.file_system(folder.path)
        if not kernel.gives_all_events(kind):
            text = f"{folder.path} lies on {kind}: what another machine writes there is seen by the next scan only"
            yield Check("file system", WARNING, text, "Scan more often, in the settings: daemon.scan_interval_s = 60")
    if watched:
        yield _watches([folder.path for folder in watched if folder.path.is_dir()])


def _watches(folders: list[Path]) -> Check:
    found = kernel.watches(folders)
    number = f"{'' if found.is_exact else 'more than '}{found.folders:,} folders are watched"
    if found.limit is None:
        return Check("watch limit", OK, f"{number}; this system names no limit")
    text = f"{number}, this system allows {found.limit:,} for all programs together"
    if found.fit:
        return Check("watch limit", OK, text)
    return Check("watch limit", WARNING, f"{text}; what is above is scanned only", kernel.raise_line(found.folders))


def _folder(folder: Folder) -> tuple[str, str, str | None]:
    """Say how one watched folder is."""
    path = folder.path
    if not path.is_dir():
        what = f"{path} is {'no folder' if path.exists() else 'not there'}, so nothing in it is read"
        return WARNING, what, f"Make it or mount it, or: sessiontrackd watch remove {path}"
    if not os.access(path, os.R_OK | os.X_OK):
        return FAILURE, f"{path} cannot be read", f"Give yourself the right to read it: chmod u+rx {path}"
    try:
        engine_class(folder.engine)
    except UsageError as error:
        return FAILURE, f"{path}: {error}", f"Change its engine in the settings, or: sessiontrackd watch remove {path}"
    notes = path if folder.output == "beside" else Path(folder.output.removeprefix("vault:"))
    if not os.access(_nearest(notes), os.W_OK | os.X_OK):
        remedy = f'Give yourself the right to write there, or choose another place: output = "vault:DIR" for {path}'
        return FAILURE, f"notes cannot be written to {notes}", remedy
    return OK, f"{path} can be read, and notes written to {'it' if notes == path else notes}", None


def _nearest(path: Path) -> Path:
    """Return the path, or the folder in which it would be made."""
    return next(each for each in (path, *path.parents) if each.exists())


def _database(patient: Patient) -> Iterator[Check]:
    path = patient.home.db_path
    if not path.exists():
        yield Check("database", OK, f"{path} is made when the first transcript is read")
        return
    try:
        with _opened(patient) as store:
            damage = store.damage()
            if damage:
                yield Check("database", FAILURE, f"{path} is damaged: {damage[0]}", _way_back(path))
                return
            yield Check("database", OK, f"{path} is whole")
            yield from _ledger(patient, TokenManager(store=store, timezone=patient.settings.timezone))
    except StoreDamaged as error:
        yield Check("database", FAILURE, str(error), _way_back(path))
    except SessiontrackdError as error:
        yield Check("database", FAILURE, str(error), "Do what it says, then run doctor again.")


def _opened(patient: Patient) -> Store:
    schemas = (queue.SCHEMA, history.SCHEMA, budget.SCHEMA, alerts.SCHEMA, privacy.SCHEMA)
    return open_store(patient.home.db_path, *schemas, timeout_s=LOOK_TIMEOUT_S)


def _ledger(patient: Patient, manager: TokenManager) -> Iterator[Check]:
    """Say whether the account of spending holds, and how the month stands."""
    try:
        manager.verify()
    except SessiontrackdError as error:
        yield Check("ledger", FAILURE, str(error), _way_back(patient.home.db_path))
        return
    yield Check("ledger", OK, "every entry of the account of spending is what was written")
    assumed, overruns, status = manager.assumed(), manager.overruns(), manager.status()
    if assumed:
        text = (
            f"requests of which nobody knows whether they were billed, so that they count at their most: {len(assumed)}"
        )
        yield Check("assumed", WARNING, text, "Compare with your provider's bill: sessiontrackd budget assumed")
    if overruns:
        numbers = ", ".join(str(each.reserve.id) for each in overruns[:5])
        text = f"requests that cost more than was set aside for them: {len(overruns)} (numbers {numbers})"
        yield Check(
            "overruns", WARNING, text, "Compare the prices: the model may have become dearer than is known here."
        )
    now = budget.period_of(patient.now, patient.settings.zone)
    if status.period > now:
        text = f"the account is in {status.period} already, while the clock says {now}: it was ahead once"
        remedy = "What is spent counts there, for a closed month never opens again. To go back to a copy from before: "
        yield Check("month", WARNING, text, f"{remedy}sessiontrackd budget restore")
    left = status.remaining_picousd
    if left is not None and left <= 0:
        yield Check("spent", WARNING, f"the budget of {status.period} is used up; notes go on with the local engine",
                    "Wait for the next month, or raise it: sessiontrackd budget set AMOUNT")  # fmt: skip


def _way_back(path: Path) -> str:
    copies = budget.backups(path)
    if not copies:
        return (
            "There is no daily copy yet. Stop the daemon, then start a new ledger: sessiontrackd budget restore --anew"
        )
    return f"Stop the daemon, then go back to the copy of {copies[0].stem[-10:]}: sessiontrackd budget restore"


def _budget(patient: Patient) -> Iterator[Check]:
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
        yield Check("budget", OK, "none is set, and none is needed: what is asked costs nothing, as you stated")
    elif patient.has_paid_folders:
        text = "no monthly budget is set, so folders with a paid engine wait"
        yield Check("budget", WARNING, text, "Set one: sessiontrackd budget set 5usd")
    else:
        yield Check("budget", OK, "none is set, and none is needed: only the local engine is used")


def _sending(patient: Patient) -> Iterator[Check]:
    """Say for each folder whose text is sent away to whom, and whether somebody allowed it."""
    if patient.sending_folders and is_exposed(patient.settings.claude_base_url):
        address, remedy = patient.settings.claude_base_url, "Write https in claude.base_url."
        if patient.settings.claude_unencrypted:
            yield Check("address", WARNING, f"text and key go to {address} readable on the way", remedy)
        else:
            yield Check("address", FAILURE, f"nothing is sent to {address}: it would be readable on the way", remedy)
    for folder in patient.sending_folders:
        scope, provider = str(folder.path), provider_of(folder.engine, patient.settings) or folder.engine
        if _is_allowed(patient, scope, provider):
            yield Check("consent", OK, f"text of {scope} may go to {provider}, condensed and redacted")
        else:
            text = f"nobody allowed that text of {scope} goes to {provider}, so its notes are made locally"
            yield Check("consent", WARNING, text, f"Allow it: {privacy.grant_line(scope, provider)}")


def _is_allowed(patient: Patient, scope: str, provider: str) -> bool:
    """Say whether somebody allowed it; of a database that cannot be read nothing is taken for granted."""
    if not patient.home.db_path.exists():
        return False
    try:
        with _opened(patient) as store:
            return privacy.Consents(store).is_granted(scope, provider)
    except SessiontrackdError:
        return False


def _leaves_machine(engine: str) -> bool:
    with suppress(UsageError):
        return engine_class(engine).leaves_machine
    return False


def _is_free(patient: Patient) -> bool:
    """Say whether the model in use is free by the user's word."""
    model, seller = patient.settings.claude_model or budget.DEFAULT_MODEL, provider_of("claude", patient.settings)
    try:
        tariff = pricing.prices_of(patient.settings).tariff(model, patient.now, provider=seller)
    except Unpriced:
        return False
    return tariff == pricing.FREE_BY_USER


def _prices(patient: Patient) -> Iterator[Check]:
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
        "Look at them (sessiontrackd prices), then say that they are right: sessiontrackd prices confirm; or bring them "
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


def _templates(patient: Patient) -> Iterator[Check]:
    try:
        number = templates.compiled(patient.home.templates_dir)
    except SettingsError as error:
        remedy = f"Mend what stands in {patient.home.templates_dir}, or move it away to get ours back."
        yield Check("templates", FAILURE, str(error), remedy)
    else:
        yield Check("templates", OK, f"all {number} of them compile")


def _models(patient: Patient) -> Iterator[Check]:
    """Say whether the models that are asked still exist, as far as this version knows."""
    settings, today = patient.settings, patient.now.date()
    asking = [folder for folder in patient.sending_folders if folder.engine == "claude"]
    for name in sorted({settings.claude_model or LEVELS[folder.level].model for folder in asking}):
        model, remedy = known_model(name), "Choose another: claude.model in the settings, or none for the usual one."
        if model is None and provider_of("claude", settings) == "anthropic":
            text = f"{name} is not among the models known on {AS_OF}; it is asked without thinking and effort"
            yield Check("model", WARNING, text, remedy)
        elif model and model.retires_on and model.retires_on <= today:
            yield Check("model", FAILURE, f"{name} was retired on {model.retires_on}", remedy)
        elif model and model.retires_on:
            yield Check("model", WARNING, f"{name} will be retired on {model.retires_on}", remedy)
        else:
            yield Check("model", OK, f"{name} can be asked, as far as was known on {AS_OF}")


def _timezone(patient: Patient) -> Iterator[Check]:
    zone = patient.settings.timezone
    ours = patient.now.astimezone(patient.settings.zone).utcoffset()
    if ours != patient.now.astimezone().utcoffset():
        text = f"months are counted in {zone}, while the clock of this machine follows another zone"
        yield Check("time zone", WARNING, text, 'Name yours in the settings, such as timezone = "Europe/Berlin".')
    else:
        yield Check("time zone", OK, f"months are counted in {zone}")


def _clock(patient: Patient) -> Iterator[Check]:
    """Say whether the clock has gone back since something was last written here."""
    try:
        written_s = patient.home.db_path.stat().st_mtime
    except OSError:
        return
    ahead_s = written_s - patient.now.timestamp()
    if ahead_s > CLOCK_SLACK_S:
        text = (
            f"the clock of this machine is {ahead_s / 3600:.1f} h behind the last time that something was written here"
        )
        yield Check("clock", WARNING, text, "Set it right: the day decides which month's budget is used.")
    else:
        yield Check("clock", OK, f"{patient.now:%Y-%m-%d %H:%M} UTC, and it has not gone back")


def _key(patient: Patient) -> Iterator[Check]:
    """Say where the key is found, without using it."""
    if not any(folder.engine == "claude" for folder in patient.sending_folders):
        return
    try:
        key = config.find_key(patient.home)
    except SettingsError as error:
        yield Check("key", FAILURE, str(error), "Do what it says, or: sessiontrackd key set")
        return
    if key is None and provider_of("claude", patient.settings) != "anthropic":
        yield Check("key", OK, "there is none; a server of your own may need none")
    elif key is None:
        yield Check("key", WARNING, "there is no key, so notes are made locally", "Keep one: sessiontrackd key set")
    else:
        yield Check("key", OK, "there is one; whether it is valid only a request would tell, and none was made")


def _hooks(patient: Patient) -> Iterator[Check]:
    """Say which tools call us at a session's end."""
    for tool, hook in config.HOOKS.items():
        problem = hook.problem(patient.home)
        if problem:
            yield Check("hook", WARNING, problem, f"Write it again: sessiontrackd capture install {tool}")
        elif hook.is_there():
            yield Check("hook", OK, f"{tool} says when a session ends")


def _service(standing: dict[str, Any]) -> Check:
    state = standing["state"]
    if not standing["installed"]:
        return Check("service", OK, "it is not installed; to start at each login: sessiontrackd service install")
    if standing["problem"]:
        return Check("service", FAILURE, standing["problem"], "Write it again: sessiontrackd service install")
    if state.startswith("failed"):
        return Check("service", FAILURE, f"systemd gave it up: {state}", "Why: systemctl --user status sessiontrackd")
    is_up = state.startswith(("active", "activating", "reloading", "running"))
    return Check("service", OK if is_up else WARNING, state, None if is_up else "Start it: sessiontrackd service start")


def _service_key(patient: Patient, standing: dict[str, Any]) -> Iterator[Check]:
    """Say whether the installed service finds a key: it does not see what stands in this shell only."""
    asks = any(folder.engine == "claude" for folder in patient.sending_folders)
    if not (standing["installed"] and asks and config.KEY_VARIABLE in os.environ):
        return
    with suppress(SettingsError):  # told of elsewhere
        if standing["key_given"] or config.find_key(patient.home, {}):
            yield Check("service key", OK, "the service finds a key without this shell")
        else:
            text = f"the key stands in {config.KEY_VARIABLE} of this shell, which the service does not see"
            yield Check("service key", FAILURE, text, "Keep it where the service looks: sessiontrackd key set")


def _daemon(patient: Patient) -> Iterator[Check]:
    heard = config.heard(patient.home)
    if heard is None:
        yield Check("daemon", WARNING, "it is not running, so nothing is read by itself", "Start it: sessiontrackd run")
    elif heard["problem"]:
        yield Check("daemon", FAILURE, heard["problem"], "It goes on by itself when that is over.")
    else:
        yield Check("daemon", OK, f"it runs (process {heard['pid']})")


def _disk(patient: Patient) -> Iterator[Check]:
    place = _nearest(patient.home.state_dir)
    free_bytes = shutil.disk_usage(place).free
    text = f"{free_bytes / 1e9:.1f} GB are free where {patient.home.state_dir} lies"
    if free_bytes < LITTLE_FREE_BYTES:
        state = FAILURE if free_bytes < LEAST_FREE_BYTES else WARNING
        yield Check("disk", state, text, "Free some space, or choose another place with --home DIR.")
    elif not os.access(place, os.W_OK | os.X_OK):
        yield Check("disk", FAILURE, f"{place} cannot be written", "Give yourself that right, or use --home DIR.")
    else:
        yield Check("disk", OK, text)


def sample_alert(settings: Settings, now: datetime) -> Alert:
    """Return an alert that says only that alerts arrive."""
    return _alert(settings, now, SAMPLE, AlertKind.TEST)


def stopped_alert(settings: Settings, now: datetime) -> Alert:
    """Return the alert that the daemon has stopped for good."""
    return _alert(settings, now, STOPPED, AlertKind.DAEMON)


def _alert(settings: Settings, now: datetime, text: str, kind: AlertKind) -> Alert:
    return Alert(0, BudgetStatus(budget.period_of(now, settings.zone), None, 0, 0), text, kind)


def _notification(patient: Patient) -> Check:
    """Show a notification for real: nothing less tells whether one appears."""
    told = asyncio.run(channels.tell(sample_alert(patient.settings, patient.now), patient.settings, patient.home))
    arrived = [name for name, reason in told.items() if reason is None]
    if arrived:
        server = asyncio.run(desktop.server()) if "desktop" in arrived else None
        by = f" by {server}" if server else ""
        return Check("notification", OK, f"one was sent and taken{by} ({', '.join(arrived)}); you should see it now")
    reasons = "; ".join(f"{name}: {reason}" for name, reason in told.items())
    remedy = "Alerts stand in the log only. On a machine without a desktop that is all there can be; else log in to it."
    return Check("notification", WARNING, f"none arrives ({reasons})", remedy)


LOOKS: tuple[Look, ...] = (
    _versions, _settings, _timezone, _disk, _folders, _templates, _database, _sending, _models, _budget, _prices, _daemon, _clock, _key, _hooks,
)  # fmt: skip
