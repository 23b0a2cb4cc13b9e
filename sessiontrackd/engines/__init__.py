"""The register of engines, one line per member. An engine's module is imported when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from sessiontrackd.config import Home, Settings
from sessiontrackd.contracts import Engine
from sessiontrackd.errors import UsageError

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "local": "sessiontrackd.engines.local:LocalEngine",
        "claude": "sessiontrackd.engines.claude:ClaudeEngine",
        "command": "sessiontrackd.engines.command:CommandEngine",
    }
)
GROUP = "sessiontrackd.engines"


def _others() -> dict[str, str]:
    """Return the engines that other packages bring."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in entry_points(group=GROUP)}


def names() -> list[str]:
    """Return the names of all engines, ours first, then those that other packages bring."""
    return [*ENGINES, *sorted(_others().keys() - ENGINES.keys())]


def engine_class(name: str) -> type[Engine]:
    """Import an engine's class.

    Raises:
        UsageError: there is no engine of this name, or its package is broken.
    """
    target = ENGINES.get(name) or _others().get(name)
    if target is None:
        raise UsageError(f"There is no engine {name!r}. Engines: {', '.join(names())}.")
    module, _, member = target.partition(":")
    try:
        found: type[Engine] = getattr(import_module(module), member)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"The engine {name!r} cannot be loaded ({error}). Install its package again.") from error
    return found


def make_engine(name: str, home: Home, settings: Settings, model: str) -> Engine:
    """Make an engine as the settings describe it; one that has no settings takes no arguments.

    Args:
        name: in the register.
        home: whose key it uses.
        settings: of that home.
        model: to ask, where the settings name none.

    Raises:
        UsageError: there is no engine of this name.
        Held: it lacks something that a person has to give.
    """
    found = engine_class(name)
    configured = getattr(found, "configured", None)
    made: Engine = configured(home, settings, model) if configured else found()
    return made


def takes_batches(name: str) -> bool:
    """Say whether an engine can be sent many requests as one, by `submit` and `collect`.

    Raises:
        UsageError: there is no engine of this name.
    """
    return hasattr(engine_class(name), "submit")


def provider_of(name: str, settings: Settings) -> str | None:
    """Return who gets the text that an engine sends; None where nothing leaves the machine.

    An engine whose provider depends on the settings has a class method `provider_of(settings)`; else its name is taken.

    Raises:
        UsageError: there is no engine of this name.
    """
    found = engine_class(name)
    if not found.leaves_machine:
        return None
    told = getattr(found, "provider_of", None)
    return str(told(settings)) if told else name
