"""The options: each stated once. `load`, `config show` and docs/settings.md are made from this register."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sessiontrackd.config import _values
from sessiontrackd.model import InsightLevel

LOG_LEVELS = ("debug", "info", "warning", "error")
DEGRADE = ("lower", "local", "hold")
REDACT_NOTES = ("secrets", "all")
MODES = ("now", "batch", "backlog")


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


OPTIONS: tuple[Option, ...] = (
    Option(
        "timezone", "global", "IANA time zone", "system", "The zone whose months a budget counts.", _values.timezone
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
        "What paid engines may use a month; without it nothing paid runs.",
        _values.parse_amount,
        "monthly_budget",
    ),
    Option(
        "budget.thresholds",
        "global",
        "list of percentages",
        [50, 80, 95, 100],
        "When to say how much of the budget is used.",
        _values.thresholds,
        "thresholds",
    ),
    Option(
        "budget.degrade",
        "global",
        "one of " + ", ".join(DEGRADE),
        "local",
        "What happens where the budget has no room: a lower level is asked for, and where that does not fit the local engine "
        "writes ('lower'); the local engine writes at once ('local'); the same, and the transcript is held ('hold').",
        _values.choice(*DEGRADE),
        "degrade",
    ),
    Option(
        "budget.upgrade_at_turn",
        "global",
        "true or false",
        False,
        "Whether what was degraded is made again by itself when a new month begins; `retry --upgrade` does it at once.",
        _values.yes_no,
        "upgrade_at_turn",
    ),
    Option(
        "budget.may_run_ahead",
        "global",
        "per cent of the budget",
        100,
        "How far spending may run ahead of the month before it is degraded; 100 never is.",
        _values.number(0, 100),
        "may_run_ahead",
    ),
    Option(
        "budget.projects",
        "global",
        "table of project = amount",
        {},
        "What paid engines may use a month for a project, in all its folders.",
        _values.project_amounts,
        "project_budgets",
    ),
    Option(
        "budget.prices_confirmed_on",
        "global",
        "day",
        "",
        "When you last compared the prices with your provider's: `prices confirm` writes it.",
        _values.day,
        "prices_confirmed_on",
    ),
    Option(
        "recorded.daily",
        "global",
        "amount",
        "",
        "Say once a day when your agents have used this much, as their transcripts record; nothing is stopped.",
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
        "A program of yours, and its arguments, that is run for each alert: JSON on its stdin.",
        _values.texts,
        "alerts_command",
    ),
    Option(
        "alerts.reports",
        "global",
        "true or false",
        False,
        "Whether you are told that reports are ready; at most once in five minutes.",
        _values.yes_no,
        "alerts_reports",
    ),
    Option(
        "claude.model",
        "global",
        "model id",
        "",
        "The model that the engine 'claude' asks; by default the one that its level suggests.",
        _values.model,
        "claude_model",
    ),
    Option(
        "claude.base_url",
        "global",
        "address",
        "https://api.anthropic.com",
        "The server that the engine 'claude' asks.",
        _values.address,
        "claude_base_url",
    ),
    Option(
        "claude.unencrypted",
        "global",
        "true or false",
        False,
        "Whether text and key may go to another machine over http, readable on the way.",
        _values.yes_no,
        "claude_unencrypted",
    ),
    Option(
        "command.argv",
        "global",
        "list of texts",
        [],
        "The program that the engine 'command' runs, and its arguments: the prompt on its stdin, JSON from its stdout.",
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
        "How often every folder is looked through, events or not.",
        _values.number(1, 86_400),
        "scan_interval_s",
    ),
    Option(
        "daemon.worker_idle_s",
        "global",
        "seconds",
        60,
        "How long the worker process stays without work.",
        _values.number(0, 86_400),
        "worker_idle_s",
    ),
    Option(
        "growing.note_every_min",
        "global",
        "minutes",
        10,
        "The note of a session that goes on is made again at most so often, and once at its end.",
        _values.number(0, 1_440),
        "note_every_min",
    ),
    Option(
        "growing.quiet_min",
        "global",
        "minutes",
        30,
        "An engine other than 'local' is asked when a session has rested for so long; until then it has a local note.",
        _values.number(0, 1_440),
        "quiet_min",
    ),
    Option(
        "growing.ask_every_min",
        "global",
        "minutes",
        120,
        "It is asked about one session at most so often.",
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
        "How long events are gathered before they wake the daemon.",
        _values.whole(50, 10_000),
        "watch_step_ms",
    ),
    Option(
        "digest.every",
        "global",
        "one of day, week, month, off",
        "week",
        "How often the daemon writes a note across all sessions of the period that ended.",
        _values.choice("day", "week", "month", "off"),
        "digest_every",
    ),
    Option(
        "digest.folder",
        "global",
        "folder",
        "",
        "Where these notes go; by default `Digests` in the first vault, else in the state folder.",
        _values.folder_or_none,
        "digest_folder",
    ),
    Option(
        "notes.links",
        "global",
        "one of markdown, wikilinks, none",
        "markdown",
        "How a note says which one stands before it: a relative link, or a wikilink for Obsidian.",
        _values.choice("markdown", "wikilinks", "none"),
        "note_links",
    ),
    Option(
        "search.keep",
        "global",
        "true or false",
        True,
        "Whether the words of transcripts, redacted, are kept for `search`.",
        _values.yes_no,
        "keeps_words",
    ),
    Option("path", "folder", "folder", "", "The folder to watch, with everything below it.", _values.absolute_path),
    Option(
        "level", "folder", "one of " + ", ".join(InsightLevel), "standard", "How deep an insight goes.", _values.level
    ),
    Option(
        "engine",
        "folder",
        "name of an engine",
        "local",
        "Who makes the insight; 'local' never leaves this machine.",
        _values.engine,
    ),
    Option(
        "budget",
        "folder",
        "amount",
        "",
        "What paid engines may use a month for this folder.",
        _values.parse_amount,
        "monthly_budget",
    ),
    Option(
        "keep",
        "folder",
        "amount",
        "",
        "What of the month's budget no other folder may use; what it leaves is anyone's in the last fifth of the month.",
        _values.parse_amount,
    ),
    Option(
        "mode",
        "folder",
        "one of " + ", ".join(MODES),
        "now",
        "When a paid engine is asked: at once, as a batch at half the price within a day, or so only for what lay there a day.",
        _values.choice(*MODES),
    ),
    Option(
        "degrade",
        "folder",
        "one of " + ", ".join(DEGRADE),
        "",
        "What happens where the budget has no room; by default as `budget.degrade` says.",
        _values.choice(*DEGRADE),
    ),
    Option(
        "project",
        "folder",
        "text",
        "",
        "The project of its sessions, where the recorded one is not wanted.",
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
        "What is replaced in notes made from now on: secrets, or personal data too ('all').",
        _values.choice(*REDACT_NOTES),
    ),
    Option(
        "stable_s", "folder", "seconds", 2, "How long a file must rest before it is read.", _values.number(0, 3_600)
    ),
    Option(
        "ignore",
        "folder",
        "list of patterns",
        [],
        "Names, or paths below the folder, that are left alone.",
        _values.texts,
    ),
    Option(
        "since",
        "folder",
        "day, time or 'all'",
        "all",
        "Transcripts last changed before it are left alone.",
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
        "Whose price it is; with `:batch` at its end for batches alone.",
        _values.model,
    ),
    Option(
        "provider",
        "price",
        "who sells",
        "",
        "Whose alone: `anthropic`, or host and port of a base_url.",
        _values.provider,
    ),
    Option("input", "price", "USD per million tokens", "", "Input, without what a cache holds.", _values.rate),
    Option("output", "price", "USD per million tokens", "", "Output, thinking counted.", _values.rate),
    Option(
        "cache_read", "price", "USD per million tokens", "", "Read from a cache; else 0.1 × the input.", _values.rate
    ),
    Option(
        "cache_write_5m",
        "price",
        "USD per million tokens",
        "",
        "Cached for 5 min; else 1.25 × the input.",
        _values.rate,
    ),
    Option(
        "cache_write_1h", "price", "USD per million tokens", "", "Cached for an hour; else 2 × the input.", _values.rate
    ),
    Option(
        "from",
        "price",
        "day",
        "",
        "The first day (UTC) it holds; before it the package's price does.",
        _values.day,
        "from_date",
    ),
    Option(
        "free",
        "price",
        "true or false",
        False,
        "Nothing is ever billed, such as by a server of your own.",
        _values.yes_no,
        "is_free",
    ),
)


def options(scope: str) -> dict[str, Option]:
    """Return the options of one scope by name."""
    return {option.name: option for option in OPTIONS if option.scope == scope}
