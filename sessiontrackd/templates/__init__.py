"""jinja2's home: templates in a sandbox, the user's folder over ours, and nothing raw in what they write.

Whatever a template prints is escaped (`Safe` text is Markdown already), so that forgetting a filter costs nothing.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessiontrackd.errors import SettingsError
from sessiontrackd.templates._inert import (
    Safe,
    callout,
    code,
    fence,
    inline,
    inner,
    link,
    one_line,
    quoted,
    references,
    short,
    visible,
)
from sessiontrackd.templates._sandbox import Stopped, place_of, require_room, sandbox

if TYPE_CHECKING:
    import jinja2

__all__ = [
    "REMEDY",
    "Safe",
    "callout",
    "code",
    "compiled",
    "environment",
    "fence",
    "filled",
    "inline",
    "inner",
    "link",
    "one_line",
    "quoted",
    "references",
    "render",
    "shipped_dir",
    "short",
    "unused",
    "visible",
]

SUFFIX = ".md.j2"
MAX_CHARS = 2_000_000
"""The longest text a template may make: far above any note, far below what hurts."""
MAX_S = 2.0
"""How long one template may run; ours take about a millisecond."""
OURS = "!base"
"""The prefix under which a user's template reaches the one of ours that it covers."""

REMEDY = "Mend it, or move it away to get ours back."

_MISTAKES = (ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)
"""What a wrong template may raise while it runs."""


def shipped_dir() -> Path:
    """Return the folder of our own templates: in the installed package, else in the checkout."""
    installed = Path(__file__).resolve().parent.parent / "_shipped" / "templates"
    return installed if installed.is_dir() else Path(__file__).resolve().parents[2] / "templates"


def environment(user_dir: Path | None = None) -> jinja2.Environment:
    """Return the environment whose templates come from `user_dir` where it has them, else from ours.

    Raises:
        SettingsError: the user's folder may be written by others.
    """
    if user_dir is not None and user_dir.is_dir():
        _refuse_writable(user_dir)
        return _environment(str(user_dir))
    return _environment(None)


def render(name: str, values: Mapping[str, Any], user_dir: Path | None = None) -> str:
    """Fill a template.

    Args:
        name: without its suffix, such as `standard`.
        values: plain values: strings, numbers, lists, dicts.
        user_dir: the folder whose templates cover ours.

    Raises:
        SettingsError: the template is wrong, or ran too long; the message names it and the line.
    """
    import jinja2

    chosen = environment(user_dir)
    try:
        return _bounded(chosen, f"{name}{SUFFIX}", values)
    except (jinja2.TemplateError, Stopped, *_MISTAKES) as error:
        where, what = place_of(error, f"{name}{SUFFIX}"), str(error).rstrip(".") or type(error).__name__
        what = f"there is no template {error.name}" if isinstance(error, jinja2.TemplateNotFound) else what
        raise SettingsError(f"{where}: {what}.{_meant(what, values)} {REMEDY}") from error


def _meant(what: str, values: Mapping[str, Any]) -> str:
    """Return a question that names the value which a wrong name looks like."""
    import difflib

    name = re.match(r"'(\w+)' is undefined", what)
    near = difflib.get_close_matches(name[1], values, 1) if name else []
    return f" Did you mean '{near[0]}'?" if near else ""


def filled(name: str, values: Mapping[str, Any], user_dir: Path | None = None) -> tuple[str, str | None]:
    """Fill a template; where the user's cannot be used fill ours, and return what is wrong with theirs, too."""
    try:
        return render(name, values, user_dir), None
    except SettingsError as error:
        if user_dir is None:
            raise
        return render(name, values), str(error)


def compiled(user_dir: Path | None = None) -> int:
    """Compile every template and return how many there are.

    Raises:
        SettingsError: one of them is wrong; the message names it and the line.
    """
    import jinja2

    chosen = environment(user_dir)
    names = {name.removeprefix(f"{OURS}/") for name in chosen.list_templates()}
    for name in sorted(names):
        try:
            chosen.get_template(name)
        except (jinja2.TemplateError, ValueError) as error:
            raise SettingsError(f"{place_of(error, name)}: {str(error).rstrip('.')}. {REMEDY}") from error
    return len(names)


def unused(user_dir: Path) -> list[str]:
    """Return the names of the user's templates that cover none of ours and are named by none of theirs."""
    theirs = {path.relative_to(user_dir).as_posix(): path for path in user_dir.rglob("*.j2") if path.is_file()}
    texts = {name: path.read_text("utf-8", "replace") for name, path in theirs.items()}
    return sorted(
        name
        for name in theirs
        if not (shipped_dir() / name).is_file()
        and not any(name in text for other, text in texts.items() if other != name)
    )


def _bounded(chosen: jinja2.Environment, name: str, values: Mapping[str, Any]) -> str:
    """Run a template within its limits of time and length."""
    parts: list[str] = []
    left = MAX_CHARS
    chosen.start(MAX_S, MAX_CHARS)  # type: ignore[attr-defined]  # our sandbox has it
    for part in chosen.get_template(name).generate(values):
        left -= len(part)
        require_room(left, MAX_CHARS)
        parts.append(part)
    return "".join(parts)


@lru_cache(maxsize=8)
def _environment(user_dir: str | None) -> jinja2.Environment:
    """Build an environment once; it keeps its compiled templates and looks whether their files changed."""
    import jinja2

    ours = jinja2.FileSystemLoader(shipped_dir())
    loaders: list[jinja2.BaseLoader] = [jinja2.PrefixLoader({OURS: ours}), ours]
    if user_dir is not None:
        loaders.insert(1, jinja2.FileSystemLoader(user_dir))
    made = sandbox()(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
        optimized=False,  # looking for constants takes an eighth of compiling, and there are hardly any
    )
    made.filters = {name: made.filters[name] for name in PLAIN_FILTERS} | OUR_FILTERS
    return made


PLAIN_FILTERS = (
    *("abs", "capitalize", "count", "default", "dictsort", "first", "float", "groupby", "int", "items", "last", "length"),
    *("list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "title"),
    *("trim", "truncate", "unique", "upper", "wordcount"),
)  # fmt: skip
"""The filters of jinja2 that neither print raw text nor make a long one of a short one."""


def _joined(values: Any, between: str = "") -> Safe:
    """Join values, each of them escaped, and what stands between them, but for white space around it."""
    mark = str(between).strip()
    glue = str(between).replace(mark, inner(mark)) if mark else str(between)
    pieces = [inline(value) for value in values]
    require_room(MAX_CHARS - sum(len(piece) + len(glue) for piece in pieces), MAX_CHARS)
    return Safe(glue.join(pieces))


def _few(values: Any, most: int) -> list[Any]:
    """Return the first `most` values; all of them where only one more would be left."""
    kept = list(values)
    return kept if len(kept) <= most else kept[: most - 1]


def _rounded(value: Any, digits: int = 0) -> float:
    """Round a number; without jinja2's other ways, which take powers of ten."""
    return round(float(value), digits)


def _sum(values: Any, attribute: str | None = None) -> Any:
    """Add up numbers, or one of each value's; jinja2's would add up lists, too."""
    return sum(value if attribute is None else value[attribute] for value in values)


OUR_FILTERS: dict[str, Any] = {
    "md": inline,
    "inner": inner,
    "quote": quoted,
    "code": code,
    "fence": fence,
    "callout": callout,
    "link": link,
    "refs": references,
    "short": short,
    "join": _joined,
    "few": _few,
    "round": _rounded,
    "sum": _sum,
}


def _refuse_writable(folder: Path) -> None:
    """Refuse a folder of templates that others may write."""
    state = os.stat(folder)
    others = stat.S_IWOTH if _is_of_one(state.st_gid) else stat.S_IWOTH | stat.S_IWGRP
    if state.st_mode & others or state.st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{folder} may be written by others, so its templates are not used. Type: chmod go-w '{folder}'"
        )


def _is_of_one(group_id: int) -> bool:
    """Say whether a group is the user's own, as many systems have one for each and let it write by default."""
    try:
        group, user = grp.getgrgid(group_id), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
