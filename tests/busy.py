"""How long something may take on a machine that is busy with other work."""

from __future__ import annotations

import subprocess
import sys
import time

USUAL_START_S = 0.1  # of Python, on a machine at rest


def within_s(seconds: float) -> float:
    """Return a limit of so many seconds, stretched by as much as a start of Python takes longer than usual just now."""
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
    return seconds * max(1.0, (time.monotonic() - began_s) / USUAL_START_S)
