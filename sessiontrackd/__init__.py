"""Watches folders of AI conversation transcripts and writes a short note beside each one."""

from importlib import import_module

__version__ = "0.1.0"

# Public name → the module that holds it; imported when the name is first asked for, so that `--help` stays light.
PUBLIC = {
    "AIInsightGenerator": "insights",
    "InsightLevel": "model",
    "TokenManager": "budget",
    "capture_session": "capture",
    "key_messages": "capture",
}

TYPE_CHECKING = False  # a type checker takes it for true; importing `typing` for it costs 18 ms

if TYPE_CHECKING:
    from sessiontrackd.budget import TokenManager as TokenManager
    from sessiontrackd.capture import capture_session as capture_session
    from sessiontrackd.capture import key_messages as key_messages
    from sessiontrackd.insights import AIInsightGenerator as AIInsightGenerator
    from sessiontrackd.model import InsightLevel as InsightLevel
else:  # a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Resolve a public name."""
        if name not in PUBLIC:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, resolved or not."""
    return sorted({*globals(), *PUBLIC})
