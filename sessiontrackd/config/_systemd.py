"""Messages to the service manager (sd_notify): a datagram to the socket it names, or nothing without one."""

from __future__ import annotations

import contextlib
import os
import socket
import time

VARIABLE = "NOTIFY_SOCKET"
_US_PER_S = 1_000_000


def notify(*words: str) -> bool:
    """Send lines such as `READY=1` and `STATUS=…`. Return whether a manager was there to hear them.

    Source: sd_notify(3); a leading @ names a socket without a file.
    """
    address = os.environ.get(VARIABLE, "")
    if not address:
        return False
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.setblocking(False)
        sender.sendto("\n".join(words).encode(), address)
        return True
    return False


def notify_reloading() -> None:
    """Say that the settings are read again; READY=1 must follow."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def watchdog_s() -> float | None:
    """Return how often, in seconds, a sign of life is wanted; None where it is not."""
    try:
        interval_us = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return interval_us / _US_PER_S if is_ours and interval_us > 0 else None
