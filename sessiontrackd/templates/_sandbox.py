"""The sandbox: jinja2's immutable one, closed where it still lets raw text, long runs or huge strings through."""

from __future__ import annotations

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


class Stopped(Exception):
    """A template went over a limit."""


def _keep_time(deadline: float) -> None:
    """Stop what runs past its time."""
    if monotonic() > deadline:
        raise Stopped("it runs too long")


def _is_finished(value: Any) -> bool:
    """Tell whether a value is Markdown already: ours, or what jinja2 made of a macro or a block."""
    return hasattr(type(value), "__html__")


def _finished(value: Any) -> str:
    """Return a value as Markdown."""
    return str(value) if _is_finished(value) else inline(value)


@lru_cache(maxsize=1)
def sandbox() -> type[ImmutableSandboxedEnvironment]:
    """Return the environment's class; jinja2 is imported on the first call."""
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Sandbox(ImmutableSandboxedEnvironment):
        """A sandbox whose loops keep time and whose operators keep text escaped."""

        intercepted_binops = frozenset({"+", "*", "%", "**"})
        deadline = float("inf")

        def start(self, limit_s: float) -> None:
            """Start the clock of one rendering."""
            self.deadline = monotonic() + limit_s

        def tick(self) -> None:
            """Stop a loop that runs too long."""
            _keep_time(self.deadline)

        def joined(self, *parts: Any) -> Safe:
            """Do what `~` says, with every part escaped."""
            return Safe("".join(_finished(part) for part in parts))

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            """Allow few methods on strings, and none on finished Markdown."""
            if isinstance(obj, str) and (_is_finished(obj) or attr not in STRING_METHODS):
                return False
            return super().is_safe_attribute(obj, attr, value)

        def wrap_str_format(self, value: Any) -> None:
            """Leave `format` to the rule for methods: its widths make long strings."""

        def getitem(self, obj: Any, argument: str | Any) -> Any:
            """Refuse to cut finished Markdown: half an escape is none."""
            if _is_finished(obj):
                raise SecurityError("finished Markdown cannot be cut; cut the text before its filter")
            return super().getitem(obj, argument)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            """Count with numbers only; texts are joined with `~`."""
            if operator == "**" or not {type(left), type(right)} <= NUMBERS:
                raise SecurityError(f"'{operator}' is for numbers here; join texts with ~")
            return super().call_binop(context, operator, left, right)

        def _parse(self, source: str, name: str | None, filename: str | None) -> Any:
            return _guarded(super()._parse(source, name, filename), self)

    return Sandbox


def _guarded(tree: Any, environment: Any) -> Any:
    """Let every loop look at the clock, and every `~` escape what it joins."""
    from jinja2 import nodes
    from jinja2.visitor import NodeTransformer

    def call(method: str, arguments: list[Any], line: int) -> Any:
        target = nodes.EnvironmentAttribute(method, lineno=line, environment=environment)
        return nodes.Call(target, arguments, [], None, None, lineno=line, environment=environment)

    class Guard(NodeTransformer):
        def visit_For(self, node: Any) -> Any:  # noqa: N802 - named by jinja2
            self.generic_visit(node)
            tick = call("tick", [], node.lineno)
            node.body.insert(0, nodes.ExprStmt(tick, lineno=node.lineno, environment=environment))
            return node

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
