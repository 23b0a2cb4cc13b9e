"""The options: each stated once. `load`, `config show` and docs/settings.md are made from this register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from sessiontrackd.config import _values
from sessiontrackd.model import InsightLevel

LOG_LEVELS = ("debug", "info", "warning", "error")
DEGRADE = ("lower", "local", "hold")
REDACT_NOTES = ("secrets", "all")
MODES = ("now", "batch", "backlog")


class Option(Struct, frozen=True):
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


OPTIONS: tuple[Option, ...] = (
    Option(
        "timezone",
        "global",
        "IANA time zone",
        "system",
        "The time zone in which budget months begin and end.",
        _values.timezone,
    ),
    Option(
        "log_level",
        "global",
        "one of " + ", ".join(LOG_LEVELS),
        "info",
        "How much the daemon logs.",
        _values.choice(*LOG_LEVELS),
    ),
    Option(
        "budget.monthly",
        "global",
        "amount",
        "",
        "Monthly budget of paid engines; without one, no paid engine runs.",
        _values.parse_amount,
        "monthly_budget",
    ),
    Option(
        "budget.thresholds",
        "global",
        "list of percentages",
        [50, 80, 95, 100],
        "Percentages of the budget at which you are alerted.",
        _values.thresholds,
        "thresholds",
    ),
    Option(
        "budget.degrade",
        "global",
        "one of " + ", ".join(DEGRADE),
        "local",
        "What happens when the budget has no room: a lower level is asked for, and if that does not fit either the local engine "
        "writes ('lower'); the local engine writes at once ('local'); the same, and the transcript is held ('hold').",
        _values.choice(*DEGRADE),
        "degrade",
    ),
    Option(
        "budget.upgrade_at_turn",
        "global",
        "true or false",
        False,
        "Whether degraded insights are upgraded automatically when a new month begins; `retry --upgrade` does it at once.",
        _values.yes_no,
        "upgrade_at_turn",
    ),
    Option(
        "budget.may_run_ahead",
        "global",
        "per cent of the budget",
        100,
        "How far spending may run ahead of the calendar before new requests are degraded; at 100 they never are.",
        _values.number(0, 100),
        "may_run_ahead",
    ),
    Option(
        "budget.projects",
        "global",
        "table of project = amount",
        {},
        "Monthly budget of paid engines for a project, across folders: their `project`, else the recorded one.",
        _values.project_amounts,
        "project_budgets",
    ),
    Option(
        "budget.prices_confirmed_on",
        "global",
        "day",
        "",
        "When you last compared the prices with your provider's; `prices confirm` sets it.",
        _values.day,
        "prices_confirmed_on",
    ),
    Option(
        "recorded.daily",
        "global",
        "amount",
        "",
        "Alert once a day when your agents have spent this much according to their transcripts; nothing is stopped.",
        _values.parse_amount,
        "recorded_daily",
    ),
    Option(
        "recorded.monthly",
        "global",
        "amount",
        "",
        "The same, once a month.",
        _values.parse_amount,
        "recorded_monthly",
    ),
    Option(
        "alerts.desktop",
        "global",
        "true or false",
        True,
        "Whether alerts are shown on the desktop.",
        _values.yes_no,
        "alerts_desktop",
    ),
    Option(
        "alerts.command",
        "global",
        "list of texts",
        [],
        "A program, with its arguments, that is run for each alert and gets it as JSON on stdin.",
        _values.texts,
        "alerts_command",
    ),
    Option(
        "alerts.reports",
        "global",
        "true or false",
        False,
        "Whether you are notified of new reports, at most once in five minutes.",
        _values.yes_no,
        "alerts_reports",
    ),
    Option(
        "claude.model",
        "global",
        "model id",
        "",
        "The model that the engine 'claude' uses; by default that of the level.",
        _values.model,
        "claude_model",
    ),
    Option(
        "claude.base_url",
        "global",
        "address",
        "https://api.anthropic.com",
        "The server that the engine 'claude' sends its requests to.",
        _values.address,
        "claude_base_url",
    ),
    Option(
        "claude.unencrypted",
        "global",
        "true or false",
        False,
        "Whether text and key may be sent to another machine over plain http, which others can read.",
        _values.yes_no,
        "claude_unencrypted",
    ),
    Option(
        "command.argv",
        "global",
        "list of texts",
        [],
        "The program that the engine 'command' runs, with its arguments: it gets the prompt on stdin and answers with JSON on stdout.",
        _values.texts,
        "command_argv",
    ),
    Option(
        "command.timeout_s",
        "global",
        "seconds",
        300,
        "How long that program may take.",
        _values.number(1, 3_600),
        "command_timeout_s",
    ),
    Option(
        "daemon.scan_interval_s",
        "global",
        "seconds",
        300,
        "How often every folder is scanned, whether or not there were events.",
        _values.number(1, 86_400),
        "scan_interval_s",
    ),
    Option(
        "daemon.worker_idle_s",
        "global",
        "seconds",
        60,
        "How long the worker process stays alive without work.",
        _values.number(0, 86_400),
        "worker_idle_s",
    ),
    Option(
        "growing.note_every_min",
        "global",
        "minutes",
        10,
        "How often the note of a session that is still going on is rewritten at most; it is always rewritten at its end.",
        _values.number(0, 1_440),
        "note_every_min",
    ),
    Option(
        "growing.quiet_min",
        "global",
        "minutes",
        30,
        "How long a session must be quiet before an engine other than 'local' is asked; until then it has a local note.",
        _values.number(0, 1_440),
        "quiet_min",
    ),
    Option(
        "growing.ask_every_min",
        "global",
        "minutes",
        120,
        "How often it is asked about the same session at most.",
        _values.number(0, 43_200),
        "ask_every_min",
    ),
    Option(
        "daemon.calls_at_once",
        "global",
        "whole number",
        4,
        "How many transcripts may wait for an engine on the network at the same time.",
        _values.whole(1, 32),
        "calls_at_once",
    ),
    Option(
        "daemon.watch_step_ms",
        "global",
        "milliseconds",
        500,
        "How long file events are collected before the daemon wakes.",
        _values.whole(50, 10_000),
        "watch_step_ms",
    ),
    Option(
        "digest.every",
        "global",
        "one of day, week, month, off",
        "week",
        "How often the daemon writes a digest of all sessions of the past period.",
        _values.choice("day", "week", "month", "off"),
        "digest_every",
    ),
    Option(
        "digest.folder",
        "global",
        "folder",
        "",
        "Where digests go; by default `Digests` in the first vault, else in the state folder.",
        _values.folder_or_none,
        "digest_folder",
    ),
    Option(
        "notes.links",
        "global",
        "one of markdown, wikilinks, none",
        "markdown",
        "How a note links to the previous one: with a relative link, or with a wikilink for Obsidian.",
        _values.choice("markdown", "wikilinks", "none"),
        "note_links",
    ),
    Option(
        "search.keep",
        "global",
        "true or false",
        True,
        "Whether the redacted text of transcripts is kept for `search`.",
        _values.yes_no,
        "keeps_words",
    ),
    Option("path", "folder", "folder", "", "The folder to watch, with everything below it.", _values.absolute_path),
    Option("level", "folder", "one of " + ", ".join(InsightLevel), "standard", "Depth of the insights.", _values.level),
    Option(
        "engine",
        "folder",
        "name of an engine",
        "local",
        "Engine that makes the insights; with 'local' nothing leaves this machine.",
        _values.engine,
    ),
    Option(
        "budget",
        "folder",
        "amount",
        "",
        "Monthly budget of paid engines for this folder.",
        _values.parse_amount,
        "monthly_budget",
    ),
    Option(
        "keep",
        "folder",
        "amount",
        "",
        "Part of the monthly budget reserved for this folder; what is left of it is open to all in the last fifth of the month.",
        _values.parse_amount,
    ),
    Option(
        "mode",
        "folder",
        "one of " + ", ".join(MODES),
        "now",
        "When a paid engine is asked: at once, in a batch at half the price within a day, or in a batch only for what is older than a day.",
        _values.choice(*MODES),
    ),
    Option(
        "degrade",
        "folder",
        "one of " + ", ".join(DEGRADE),
        "",
        "What happens when the budget has no room; by default as in `budget.degrade`.",
        _values.choice(*DEGRADE),
    ),
    Option(
        "project",
        "folder",
        "text",
        "",
        "The project of its sessions, instead of the recorded one.",
        _values.text,
    ),
    Option(
        "output",
        "folder",
        "'beside' or 'vault:DIR'",
        "beside",
        "Where reports go; with a preset: a vault in the state folder.",
        _values.output,
    ),
    Option(
        "redact_notes",
        "folder",
        "one of " + ", ".join(REDACT_NOTES),
        "secrets",
        "What is redacted in new notes: 'secrets', or personal data too ('all').",
        _values.choice(*REDACT_NOTES),
    ),
    Option(
        "stable_s",
        "folder",
        "seconds",
        2,
        "How long a file must be unchanged before it is read.",
        _values.number(0, 3_600),
    ),
    Option(
        "ignore",
        "folder",
        "list of patterns",
        [],
        "Names, or paths below the folder, that are ignored.",
        _values.texts,
    ),
    Option(
        "since",
        "folder",
        "day, time or 'all'",
        "all",
        "Transcripts last changed before this are ignored.",
        _values.since,
    ),
    Option("preset", "folder", "name of a preset", "", "The tool that writes this folder.", _values.text),
    Option(
        "archive",
        "folder",
        "true or false",
        False,
        "Whether a compressed copy of each transcript is kept in the state folder: some tools delete theirs after 30 days.",
        _values.yes_no,
    ),
    Option("enabled", "folder", "true or false", True, "Whether the folder is watched.", _values.yes_no),
    Option(
        "model",
        "price",
        "model id",
        "",
        "The model with this price; `:batch` at the end limits it to batches.",
        _values.model,
    ),
    Option(
        "provider",
        "price",
        "who sells",
        "",
        "Limits it to this provider: `anthropic`, or host and port of a base_url.",
        _values.provider,
    ),
    Option("input", "price", "USD per million tokens", "", "Input, without cached tokens.", _values.rate),
    Option("output", "price", "USD per million tokens", "", "Output, including thinking.", _values.rate),
    Option(
        "cache_read", "price", "USD per million tokens", "", "Cache reads; by default 0.1 × the input.", _values.rate
    ),
    Option(
        "cache_write_5m",
        "price",
        "USD per million tokens",
        "",
        "Cache writes for 5 minutes; by default 1.25 × the input.",
        _values.rate,
    ),
    Option(
        "cache_write_1h",
        "price",
        "USD per million tokens",
        "",
        "Cache writes for an hour; by default 2 × the input.",
        _values.rate,
    ),
    Option(
        "from",
        "price",
        "day",
        "",
        "The first day (UTC) on which it applies; before, the package's price does.",
        _values.day,
        "from_date",
    ),
    Option(
        "free",
        "price",
        "true or false",
        False,
        "Nothing is ever billed, as with a server of your own.",
        _values.yes_no,
        "is_free",
    ),
)


def options(scope: str) -> dict[str, Option]:
    """Return the options of one scope by name."""
    return {option.name: option for option in OPTIONS if option.scope == scope}
