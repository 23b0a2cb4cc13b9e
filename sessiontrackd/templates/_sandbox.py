"""The sandbox: jinja2's immutable one, closed where it still lets raw text, long runs or huge strings through."""

from __future__ import annotations

import sys
import traceback
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from sessiontrackd.templates._inert import Safe, inline

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

STRING_METHODS = frozenset(
    (
        *("capitalize", "count", "endswith", "find", "isdigit", "lower", "lstrip", "partition", "removeprefix"),
        *(
            "removesuffix",
            "rpartition",
            "rsplit",
            "rstrip",
            "split",
            "splitlines",
            "startswith",
            "strip",
            "title",
            "upper",
        ),
    )
)
"""What a template may call on a string: nothing that makes a long one of a short one."""

NUMBERS = frozenset((int, float, bool))
MAX_BITS = 64
"""The largest number a template may count to: any larger one only takes time."""
MAX_PARTS = 100_000
"""How many values a list of lists may hold in all; a few lines could make more than there are atoms."""
PRINTED = 4
"""How often a piece counts that goes into the note once: what a macro or a block prints is printed again by its caller."""


class Stopped(Exception):
    """A template went over a limit."""


def _keep_time(deadline: float) -> None:
    """Stop what runs past its time."""
    if monotonic() > deadline:
        raise Stopped("it runs too long")


def require_room(left_chars: int, most_chars: int) -> None:
    """Stop what makes too long a text."""
    if left_chars < 0:
        raise Stopped(f"it makes more than {most_chars:,} characters")


def _weighed(value: Any) -> Any:
    """Return a list, tuple or dict that a template made, unless it holds too much."""
    left, waiting = MAX_PARTS, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, (list, tuple, dict)):
            waiting.extend(each.values() if isinstance(each, dict) else each)
        left -= 1
        if left < len(waiting):
            raise Stopped(f"it makes a list of more than {MAX_PARTS:,} parts")
    return value


def _require_numbers(operator: str, left: Any, right: Any) -> None:
    """Stop a template that would make a long text or number of a short one."""
    if operator == "**":
        raise Stopped("there is no '**' here")
    if not {type(left), type(right)} <= NUMBERS:
        raise Stopped(f"'{operator}' is for numbers here; join texts with ~")


def _small(number: Any) -> Any:
    """Return a number that does not grow without end."""
    if isinstance(number, int) and number.bit_length() > MAX_BITS:
        raise Stopped("its numbers grow too large")
    return number


def _is_finished(value: Any) -> bool:
    """Tell whether a value is Markdown already: ours, or what jinja2 made of a macro or a block."""
    return hasattr(type(value), "__html__")


def _require_unfinished(value: Any) -> None:
    """Stop a template that would cut an escape in half."""
    if _is_finished(value):
        raise Stopped("finished Markdown cannot be cut; cut the text before its filter")


def _finished(value: Any) -> Safe:
    """Return a value as Markdown; None is nothing."""
    return Safe(value) if _is_finished(value) else inline("" if value is None else value)


@lru_cache(maxsize=1)
def sandbox() -> type[ImmutableSandboxedEnvironment]:
    """Return the environment's class; jinja2 is imported on the first call."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Space(Namespace):
        __repr__ = object.__repr__  # jinja2's shows what it holds, and what that holds

    class Sandbox(ImmutableSandboxedEnvironment):
        """A sandbox whose loops and calls keep time, and whose operators keep text escaped and values small."""

        intercepted_binops = frozenset({"+", "*", "%", "**"})
        deadline = float("inf")
        most_chars = left_chars = sys.maxsize

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings, finalize=self.printed)
            self.globals = {name: self.globals[name] for name in ("range", "joiner", "cycler")} | {"namespace": Space}

        def start(self, limit_s: float, limit_chars: int) -> None:
            """Start the clock of one rendering, and count what it prints."""
            self.deadline = monotonic() + limit_s
            self.most_chars, self.left_chars = limit_chars, PRINTED * limit_chars

        def printed(self, value: Any) -> Safe:
            """Make what a template prints harmless, and count it; None prints nothing."""
            text = _finished(value)
            self.left_chars -= len(text)
            require_room(self.left_chars, self.most_chars)
            return text

        def tick(self) -> None:
            """Stop a loop that runs too long."""
            _keep_time(self.deadline)

        def call(self, context: Any, called: Any, /, *args: Any, **named: Any) -> Any:
            """Call something, unless it runs too long by now: macros that call themselves are loops, too."""
            self.tick()
            return super().call(context, called, *args, **named)

        def joined(self, *parts: Any) -> Safe:
            """Do what `~` says, with every part escaped."""
            return Safe("".join(self.printed(part) for part in parts))

        made = staticmethod(_weighed)

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            """Allow few methods on strings, and none on finished Markdown."""
            is_refused = isinstance(obj, str) and (_is_finished(obj) or attr not in STRING_METHODS)
            return not is_refused and super().is_safe_attribute(obj, attr, value)

        def wrap_str_format(self, value: Any) -> None:
            """Leave `format` to the rule for methods: its widths make long strings."""

        def getitem(self, obj: Any, argument: str | Any) -> Any:
            """Refuse to cut finished Markdown: half an escape is none."""
            _require_unfinished(obj)
            return super().getitem(obj, argument)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Count with numbers only, and not endlessly far; texts are joined with `~`."""
            _require_numbers(operator, left, right)
            return _small(super().call_binop(context, operator, left, right))

        def _parse(self, source: str, name: str | None, filename: str | None) -> Any:
            return _guarded(super()._parse(source, name, filename), self)

    return Sandbox


def _guarded(tree: Any, environment: Any) -> Any:
    """Let every loop and inclusion look at the clock, every `~` escape what it joins, and every list be small."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    def call(method: str, arguments: list[Any], line: int) -> Any:
        target = nodes.EnvironmentAttribute(method, lineno=line, environment=environment)
        return nodes.Call(target, arguments, [], None, None, lineno=line, environment=environment)

    def look(line: int) -> Any:
        return nodes.ExprStmt(call("tick", [], line), lineno=line, environment=environment)

    class Guard(NodeTransformer):
        def visit_For(self, node: Any) -> Any:  # noqa: N802 - named by jinja2
            self.generic_visit(node)
            node.body.insert(0, look(node.lineno))
            return node

        def visit_Include(self, node: Any) -> Any:  # noqa: N802 - named by jinja2
            self.generic_visit(node)
            return [look(node.lineno), node]

        def visit_List(self, node: Any) -> Any:  # noqa: N802 - named by jinja2
            self.generic_visit(node)
            is_plain = getattr(node, "ctx", "load") == "store" or all(
                isinstance(each, nodes.Const) for each in node.items
            )
            return node if is_plain else call("made", [node], node.lineno)

        visit_Tuple = visit_Dict = visit_List  # noqa: N815 - named by jinja2

        def visit_Concat(self, node: Any) -> Any:  # noqa: N802 - named by jinja2
            self.generic_visit(node)
            return call("joined", node.nodes, node.lineno)

    return Guard().visit(tree)


def place_of(error: BaseException, name: str) -> str:
    """Say in which template, and on which line, an error arose."""
    line = getattr(error, "lineno", None)
    if line is not None:
        return f"template {getattr(error, 'filename', None) or getattr(error, 'name', None) or name}, line {line}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return f"template {frames[-1].filename}, line {frames[-1].lineno}" if frames else f"template {name}"
