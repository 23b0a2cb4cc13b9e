"""A note whose transcript is no longer there: it stays, and says so."""

from __future__ import annotations

import re
from pathlib import Path

from sessiontrackd.report import _front, _kept, _write

GONE = "> The transcript is no longer where it was; this note stays."
_RECEIPT = re.compile(r"^> \[!note\]- Receipt.*(?:\n>.*)*", re.MULTILINE)
_SOURCE = re.compile(r"^source:.*\n(?:[ \t].*\n)*", re.MULTILINE)


def say_gone(path: Path) -> bool:
    """Let a note say that its transcript is gone; return whether it was changed."""
    return _write.change(path, _saying)


def _saying(text: str) -> str | None:
    parts = _front.split(text)
    if parts is None or "\nsource_gone:" in f"\n{parts[0]}":
        return None
    front, body = parts
    receipt = _RECEIPT.search(body)
    at = receipt.end() if receipt else len(body.rstrip("\n"))
    body = f"{body[:at]}{'' if receipt else chr(10)}\n{GONE}{body[at:]}"
    front = _SOURCE.sub(lambda found: f"{found[0]}source_gone: true\n", front, count=1)
    front = re.sub(r"^body_sha256:.*$", f'body_sha256: "{_kept.sha256_of(body)}"', front, count=1, flags=re.MULTILINE)
    return f"---\n{front}---\n{body}"
