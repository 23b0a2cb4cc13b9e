"""The options: each stated once. `load`, `config show` and docs/settings.md are made from this register."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sessiontrackd.model import InsightLevel

PICOUSD = 10**12  # pico-dollars in a dollar
LARGEST_USD = 9_000_000  # 64 bits of pico-dollars hold 9.2 million
LARGEST_TOKENS = 10**15
LARGEST_RATE_USD = 100_000  # per million tokens; more is a slip of the pen
TOKEN_UNITS = {"tok": 1, "ktok": 1_000, "mtok": 1_000_000, "gtok": 1_000_000_000}
LOG_LEVELS = ("debug", "info", "warning", "error")
DEGRADE = ("lower", "local", "hold")
REDACT_NOTES = ("secrets", "all")
MODES = ("now", "batch", "backlog")


class Amount(NamedTuple):
    """A monthly budget, in dollars, in tokens or both, where the tighter holds; both None means that none was set."""

    picousd: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Option:
    """One setting. `check` turns the value of the file into the value kept and raises ValueError with the remedy."""

    name: str  # as in the file; a dot separates the table from the key
    scope: str  # global, folder or price
    kind: str  # what to write, for people
    default: Any
    text: str
    check: Callable[[Any], Any]
    field: str = ""  # of Settings or Folder, where it is not the name

    @property
    def key(self) -> str:
        """The name without its table."""
        return self.name.rpartition(".")[2]


def parse_amount(value: object) -> Amount:
    """Read `50usd`, `$12.50`, `2Mtok`, `500ktok`, or both kinds: `5usd, 2Mtok`.

    Raises:
        ValueError: it is none of these; the text says what to write.
    """
    remedy = "write an amount with its unit, such as '50usd' or '2Mtok', or both: '5usd, 2Mtok'"
    if not isinstance(value, str):
        raise ValueError(remedy)
    parts = [_amount(part, remedy) for part in value.split(",")]
    money, tokens = ([each[at] for each in parts if each[at] is not None] for at in (0, 1))
    if len(money) > 1 or len(tokens) > 1:
        raise ValueError(remedy)
    return Amount(*(next(iter(each), None) for each in (money, tokens)))


def _amount(part: str, remedy: str) -> Amount:
    text = part.strip().lower().replace("_", "")
    if text.startswith("$"):
        text = text[1:] + "usd"
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(usd|[kmg]?tok(?:ens)?)", text, re.ASCII)
    if match is None:
        raise ValueError(remedy)
    number, unit = Decimal(match[1]), match[2].removesuffix("ens")
    whole = number * (PICOUSD if unit == "usd" else TOKEN_UNITS[unit])
    most = LARGEST_USD * PICOUSD if unit == "usd" else LARGEST_TOKENS
    if whole > most or whole != int(whole):
        raise ValueError(f"{remedy}; this one is too large or too finely divided")
    return Amount(picousd=int(whole)) if unit == "usd" else Amount(tokens=int(whole))


def format_amount(amount: Amount) -> str:
    """Write an amount the way the settings file has it; an empty text where none is set."""
    if amount.picousd is not None:
        usd = f"{Decimal(amount.picousd) / PICOUSD:f}"
        money = (usd.rstrip("0").rstrip(".") if "." in usd else usd) + "usd"
        return ", ".join(filter(None, (money, format_amount(Amount(tokens=amount.tokens)))))
    if amount.tokens is None:
        return ""
    for unit, size in (("Gtok", 10**9), ("Mtok", 10**6), ("ktok", 10**3)):
        if amount.tokens and amount.tokens % size == 0:
            return f"{amount.tokens // size}{unit}"
    return f"{amount.tokens}tok"


def system_timezone() -> str:
    """Name the system's own time zone, from TZ, /etc/timezone or the /etc/localtime link; UTC where nothing tells."""
    candidates = [os.environ.get("TZ", "").removeprefix(":")]
    with suppress(OSError, ValueError):
        candidates.append(Path("/etc/timezone").read_text(encoding="utf-8").strip())
    candidates.append(os.path.realpath("/etc/localtime").rpartition("/zoneinfo/")[2])
    for name in candidates:
        if name and not name.startswith("/") and _zone_exists(name):
            return name
    return "UTC"


def _zone_exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _timezone(value: object) -> str:
    if value == "system":
        return system_timezone()
    if not isinstance(value, str) or not _zone_exists(value):
        raise ValueError("write an IANA time zone such as 'Europe/Berlin', or 'system'")
    return value


def _choice(*choices: str) -> Callable[[Any], str]:
    def check(value: object) -> str:
        if value not in choices:
            raise ValueError("write one of " + ", ".join(f"'{choice}'" for choice in choices))
        return str(value)

    return check


def _number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"write a number from {low:g} to {high:g}")
        return float(value)

    return check


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return value

    return check


def _yes_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false, without quotes")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or any(ord(char) < 32 for char in value):
        raise ValueError("write a short text in quotes")
    return value


def _engine(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", value):
        raise ValueError("write the name of an engine, such as 'local'")
    return value


def _model(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.:/@-]{0,200}", value, re.ASCII):
        raise ValueError("write a model's id such as 'claude-haiku-5-5'")
    return value


def _address(value: object) -> str:
    remedy = "write an address such as 'http://127.0.0.1:8080', without a key in it"
    if not isinstance(value, str) or not re.fullmatch(r"https?://[^\s/@?#]+(?:/[^\s?#]*)?", value):
        raise ValueError(remedy)
    try:
        has_host = bool(urlsplit(value).hostname) and urlsplit(value).port != 0
    except ValueError:  # no such port, or brackets that hold no address
        has_host = False
    if not has_host:
        raise ValueError(remedy)
    return value.rstrip("/")


def _level(value: object) -> InsightLevel:
    return InsightLevel(_choice(*InsightLevel)(value))


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError("write a list of texts, such as ['*.bak', 'old/*']")
    return tuple(value)


def _thresholds(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError("write a list of percentages, such as [50, 80, 95, 100]")
    percent = _whole(1, 1000)
    return tuple(sorted({percent(item) for item in value}))


def _project_amounts(value: object) -> tuple[tuple[str, Amount], ...]:
    if not isinstance(value, dict):
        raise ValueError("write [budget.projects] and below it a line a project, such as website = '5usd'")
    return tuple((_text(name), parse_amount(amount)) for name, amount in value.items())


def _provider(value: object) -> str:
    """Read a provider as consent names it; an address is cut down to its host and port."""
    text = _text(value)
    host = urlsplit(text).netloc.rpartition("@")[2] if "://" in text else text
    if not re.fullmatch(r"[\w.:\[\]-]{1,200}", host, re.ASCII):
        raise ValueError("write 'anthropic', or host and port of a base_url such as '127.0.0.1:11434'")
    return "anthropic" if host == "api.anthropic.com" else host


def _rate(value: object) -> Decimal:
    remedy = f"write USD per million tokens, such as 0.5, from 0 to {LARGEST_RATE_USD}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(remedy)
    try:
        rate = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(remedy) from None
    if not rate.is_finite() or not 0 <= rate <= LARGEST_RATE_USD:
        raise ValueError(remedy)
    return rate


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ValueError("write a day such as '2026-03-14'")
    return value


def absolute_path(value: object) -> Path:
    """Return the path with `~` resolved and without `..`.

    Raises:
        ValueError: the path is relative, or no text that the file could hold.
    """
    if not isinstance(value, str) or not value or any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise ValueError("write a folder in quotes, such as '~/transcripts', with a name that is UTF-8")
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise ValueError("write the whole path: there is no such user") from None
    if not path.is_absolute():
        raise ValueError("write the whole path, from / or ~")
    return Path(os.path.normpath(path))


def _folder_or_none(value: object) -> str:
    return str(absolute_path(value)) if value else ""


def _output(value: object) -> str:
    if value == "beside":
        return "beside"
    if not isinstance(value, str) or not value.startswith("vault:"):
        raise ValueError("write 'beside', or 'vault:' and a folder, such as 'vault:~/notes'")
    return f"vault:{absolute_path(value.removeprefix('vault:'))}"


def _since(value: object) -> str | None:
    if value == "all":
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    if not isinstance(value, date):  # a datetime is a date too
        raise ValueError("write a day such as '2026-03-14', a time such as '2026-03-14T09:00:00Z', or 'all'")
    return value.isoformat()


OPTIONS: tuple[Option, ...] = (
    Option("timezone", "global", "IANA time zone", "system", "The zone whose months a budget counts.", _timezone),
    Option(
        "log_level",
        "global",
        "one of " + ", ".join(LOG_LEVELS),
        "info",
        "How much the daemon logs.",
        _choice(*LOG_LEVELS),
    ),
    Option(
        "budget.monthly",
        "global",
        "amount",
        "",
        "What paid engines may use a month; without it nothing paid runs.",
        parse_amount,
        "monthly_budget",
    ),
    Option(
        "budget.thresholds",
        "global",
        "list of percentages",
        [50, 80, 95, 100],
        "When to say how much of the budget is used.",
        _thresholds,
        "thresholds",
    ),
    Option(
        "budget.degrade",
        "global",
        "one of " + ", ".join(DEGRADE),
        "local",
        "What happens where the budget has no room: a lower level is asked for, and where that does not fit the local engine "
        "writes ('lower'); the local engine writes at once ('local'); the same, and the transcript is held ('hold').",
        _choice(*DEGRADE),
        "degrade",
    ),
    Option(
        "budget.upgrade_at_turn",
        "global",
        "true or false",
        False,
        "Whether what was degraded is made again by itself when a new month begins; `retry --upgrade` does it at once.",
        _yes_no,
        "upgrade_at_turn",
    ),
    Option(
        "budget.may_run_ahead",
        "global",
        "per cent of the budget",
        100,
        "How far spending may run ahead of the month before it is degraded; 100 never is.",
        _number(0, 100),
        "may_run_ahead",
    ),
    Option(
        "budget.projects",
        "global",
        "table of project = amount",
        {},
        "What paid engines may use a month for a project, in all its folders.",
        _project_amounts,
        "project_budgets",
    ),
    Option(
        "budget.prices_confirmed_on",
        "global",
        "day",
        "",
        "When you last compared the prices with your provider's: `prices confirm` writes it.",
        _day,
        "prices_confirmed_on",
    ),
    Option(
        "recorded.daily",
        "global",
        "amount",
        "",
        "Say once a day when your agents have used this much, as their transcripts record; nothing is stopped.",
        parse_amount,
        "recorded_daily",
    ),
    Option(
        "recorded.monthly",
        "global",
        "amount",
        "",
        "The same, once a month.",
        parse_amount,
        "recorded_monthly",
    ),
    Option(
        "alerts.desktop",
        "global",
        "true or false",
        True,
        "Whether alerts are shown on the desktop.",
        _yes_no,
        "alerts_desktop",
    ),
    Option(
        "alerts.command",
        "global",
        "list of texts",
        [],
        "A program of yours, and its arguments, that is run for each alert: JSON on its stdin.",
        _texts,
        "alerts_command",
    ),
    Option(
        "alerts.reports",
        "global",
        "true or false",
        False,
        "Whether you are told that reports are ready; at most once in five minutes.",
        _yes_no,
        "alerts_reports",
    ),
    Option(
        "claude.model",
        "global",
        "model id",
        "",
        "The model that the engine 'claude' asks; by default the one that its level suggests.",
        _model,
        "claude_model",
    ),
    Option(
        "claude.base_url",
        "global",
        "address",
        "https://api.anthropic.com",
        "The server that the engine 'claude' asks.",
        _address,
        "claude_base_url",
    ),
    Option(
        "claude.unencrypted",
        "global",
        "true or false",
        False,
        "Whether text and key may go to another machine over http, readable on the way.",
        _yes_no,
        "claude_unencrypted",
    ),
    Option(
        "command.argv",
        "global",
        "list of texts",
        [],
        "The program that the engine 'command' runs, and its arguments: the prompt on its stdin, JSON from its stdout.",
        _texts,
        "command_argv",
    ),
    Option(
        "command.timeout_s",
        "global",
        "seconds",
        300,
        "How long that program may take.",
        _number(1, 3_600),
        "command_timeout_s",
    ),
    Option(
        "daemon.scan_interval_s",
        "global",
        "seconds",
        300,
        "How often every folder is looked through, events or not.",
        _number(1, 86_400),
        "scan_interval_s",
    ),
    Option(
        "daemon.worker_idle_s",
        "global",
        "seconds",
        60,
        "How long the worker process stays without work.",
        _number(0, 86_400),
        "worker_idle_s",
    ),
    Option(
        "growing.note_every_min",
        "global",
        "minutes",
        10,
        "The note of a session that goes on is made again at most so often, and once at its end.",
        _number(0, 1_440),
        "note_every_min",
    ),
    Option(
        "growing.quiet_min",
        "global",
        "minutes",
        30,
        "An engine other than 'local' is asked when a session has rested for so long; until then it has a local note.",
        _number(0, 1_440),
        "quiet_min",
    ),
    Option(
        "growing.ask_every_min",
        "global",
        "minutes",
        120,
        "It is asked about one session at most so often.",
        _number(0, 43_200),
        "ask_every_min",
    ),
    Option(
        "daemon.calls_at_once",
        "global",
        "whole number",
        4,
        "How many transcripts may wait for an engine on the network at the same time.",
        _whole(1, 32),
        "calls_at_once",
    ),
    Option(
        "daemon.watch_step_ms",
        "global",
        "milliseconds",
        500,
        "How long events are gathered before they wake the daemon.",
        _whole(50, 10_000),
        "watch_step_ms",
    ),
    Option(
        "digest.every",
        "global",
        "one of day, week, month, off",
        "week",
        "How often the daemon writes a note across all sessions of the period that ended.",
        _choice("day", "week", "month", "off"),
        "digest_every",
    ),
    Option(
        "digest.folder",
        "global",
        "folder",
        "",
        "Where these notes go; by default `Digests` in the first vault, else in the state folder.",
        _folder_or_none,
        "digest_folder",
    ),
    Option(
        "search.keep",
        "global",
        "true or false",
        True,
        "Whether the words of transcripts, redacted, are kept for `search`.",
        _yes_no,
        "keeps_words",
    ),
    Option("path", "folder", "folder", "", "The folder to watch, with everything below it.", absolute_path),
    Option("level", "folder", "one of " + ", ".join(InsightLevel), "standard", "How deep an insight goes.", _level),
    Option(
        "engine",
        "folder",
        "name of an engine",
        "local",
        "Who makes the insight; 'local' never leaves this machine.",
        _engine,
    ),
    Option(
        "budget",
        "folder",
        "amount",
        "",
        "What paid engines may use a month for this folder.",
        parse_amount,
        "monthly_budget",
    ),
    Option(
        "keep",
        "folder",
        "amount",
        "",
        "What of the month's budget no other folder may use; what it leaves is anyone's in the last fifth of the month.",
        parse_amount,
    ),
    Option(
        "mode",
        "folder",
        "one of " + ", ".join(MODES),
        "now",
        "When a paid engine is asked: at once, as a batch at half the price within a day, or so only for what lay there a day.",
        _choice(*MODES),
    ),
    Option(
        "degrade",
        "folder",
        "one of " + ", ".join(DEGRADE),
        "",
        "What happens where the budget has no room; by default as `budget.degrade` says.",
        _choice(*DEGRADE),
    ),
    Option(
        "project", "folder", "text", "", "The project of its sessions, where the recorded one is not wanted.", _text
    ),
    Option(
        "output",
        "folder",
        "'beside' or 'vault:DIR'",
        "beside",
        "Where reports go; with a preset: a vault in the state folder.",
        _output,
    ),
    Option(
        "redact_notes",
        "folder",
        "one of " + ", ".join(REDACT_NOTES),
        "secrets",
        "What is replaced in notes made from now on: secrets, or personal data too ('all').",
        _choice(*REDACT_NOTES),
    ),
    Option("stable_s", "folder", "seconds", 2, "How long a file must rest before it is read.", _number(0, 3_600)),
    Option(
        "ignore", "folder", "list of patterns", [], "Names, or paths below the folder, that are left alone.", _texts
    ),
    Option(
        "since", "folder", "day, time or 'all'", "all", "Transcripts last changed before it are left alone.", _since
    ),
    Option("preset", "folder", "name of a preset", "", "The tool that writes this folder.", _text),
    Option(
        "archive",
        "folder",
        "true or false",
        False,
        "Whether a compressed copy of each transcript is kept in the state folder: some tools delete theirs after 30 days.",
        _yes_no,
    ),
    Option("enabled", "folder", "true or false", True, "Whether the folder is watched.", _yes_no),
    Option("model", "price", "model id", "", "Whose price it is; with `:batch` at its end for batches alone.", _model),
    Option(
        "provider", "price", "who sells", "", "Whose alone: `anthropic`, or host and port of a base_url.", _provider
    ),
    Option("input", "price", "USD per million tokens", "", "Input, without what a cache holds.", _rate),
    Option("output", "price", "USD per million tokens", "", "Output, thinking counted.", _rate),
    Option("cache_read", "price", "USD per million tokens", "", "Read from a cache; else 0.1 × the input.", _rate),
    Option("cache_write_5m", "price", "USD per million tokens", "", "Cached for 5 min; else 1.25 × the input.", _rate),
    Option("cache_write_1h", "price", "USD per million tokens", "", "Cached for an hour; else 2 × the input.", _rate),
    Option(
        "from",
        "price",
        "day",
        "",
        "The first day (UTC) it holds; before it the package's price does.",
        _day,
        "from_date",
    ),
    Option(
        "free",
        "price",
        "true or false",
        False,
        "Nothing is ever billed, such as by a server of your own.",
        _yes_no,
        "is_free",
    ),
)


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


def options(scope: str) -> dict[str, Option]:
    """Return the options of one scope by name."""
    return {option.name: option for option in OPTIONS if option.scope == scope}


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
        "price": "A price of your own: one `[[prices]]` each; it wins over the genai-prices package",
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
