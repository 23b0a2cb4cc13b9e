"""The valid values of the settings file: each check returns the value that is kept, or raises with what to write."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
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


class Amount(NamedTuple):
    """A monthly budget, in dollars, in tokens or both, where the tighter holds; both None means that none was set."""

    picousd: int | None = None
    tokens: int | None = None


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


def timezone(value: object) -> str:
    if value == "system":
        return system_timezone()
    if not isinstance(value, str) or not _zone_exists(value):
        raise ValueError("write an IANA time zone such as 'Europe/Berlin', or 'system'")
    return value


def choice(*choices: str) -> Callable[[Any], str]:
    def check(value: object) -> str:
        if value not in choices:
            raise ValueError("write one of " + ", ".join(f"'{choice}'" for choice in choices))
        return str(value)

    return check


def number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"write a number from {low:g} to {high:g}")
        return float(value)

    return check


def whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return value

    return check


def yes_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false, without quotes")
    return value


def text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or any(ord(char) < 32 for char in value):
        raise ValueError("write a short text in quotes")
    return value


def engine(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_-]*", value):
        raise ValueError("write the name of an engine, such as 'local'")
    return value


def model(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.:/@-]{0,200}", value, re.ASCII):
        raise ValueError("write a model's id such as 'claude-haiku-5-5'")
    return value


def address(value: object) -> str:
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


def level(value: object) -> InsightLevel:
    return InsightLevel(choice(*InsightLevel)(value))


def texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError("write a list of texts, such as ['*.bak', 'old/*']")
    return tuple(value)


def thresholds(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise ValueError("write a list of percentages, such as [50, 80, 95, 100]")
    percent = whole(1, 1000)
    return tuple(sorted({percent(item) for item in value}))


def project_amounts(value: object) -> tuple[tuple[str, Amount], ...]:
    if not isinstance(value, dict):
        raise ValueError("write [budget.projects] and below it a line a project, such as website = '5usd'")
    return tuple((text(name), parse_amount(amount)) for name, amount in value.items())


def provider(value: object) -> str:
    """Read a provider as consent names it; an address is cut down to its host and port."""
    said = text(value)
    host = urlsplit(said).netloc.rpartition("@")[2] if "://" in said else said
    if not re.fullmatch(r"[\w.:\[\]-]{1,200}", host, re.ASCII):
        raise ValueError("write 'anthropic', or host and port of a base_url such as '127.0.0.1:11434'")
    return "anthropic" if host == "api.anthropic.com" else host


def rate(value: object) -> Decimal:
    remedy = f"write USD per million tokens, such as 0.5, from 0 to {LARGEST_RATE_USD}"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(remedy)
    try:
        stated = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(remedy) from None
    if not stated.is_finite() or not 0 <= stated <= LARGEST_RATE_USD:
        raise ValueError(remedy)
    return stated


def day(value: object) -> date:
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


def folder_or_none(value: object) -> str:
    return str(absolute_path(value)) if value else ""


def output(value: object) -> str:
    if value == "beside":
        return "beside"
    if not isinstance(value, str) or not value.startswith("vault:"):
        raise ValueError("write 'beside', or 'vault:' and a folder, such as 'vault:~/notes'")
    return f"vault:{absolute_path(value.removeprefix('vault:'))}"


def since(value: object) -> str | None:
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
