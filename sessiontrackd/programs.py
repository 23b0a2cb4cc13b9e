"""Run another program: hand it text, take what it writes, and end it with all that it started where it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

STRAGGLER_S = 0.5  # a program has ended, but what it started still holds its output: how long more is awaited
STDIN, STDOUT, STDERR = range(3)


class Ended(NamedTuple):
    """How a program ended, and what it wrote."""

    status: int  # below zero: the signal that ended it
    said: bytes


class SaidTooMuch(Exception):
    """The program wrote more than it may."""


async def run(
    words: Sequence[str],
    given: bytes,
    *,
    timeout_s: float,
    most_bytes: int,
    listens_to: int = STDOUT,
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Ended:
    """Run a program to its end; it may answer before it has read what it is given, or without reading.

    What it started and left behind goes on after it, and is not waited for. If it takes too long or says too much,
    or we are cancelled, it is killed together with all that is still in its session.

    Args:
        words: program and arguments; no shell reads them.
        given: what it can read on its stdin.
        timeout_s: how long it may take, in seconds.
        most_bytes: how much it may write.
        listens_to: STDOUT or STDERR; what it writes to the other is nobody's.
        folder: where it runs; None: where we do.
        environ: its environment; None: ours.

    Raises:
        OSError: it cannot be started.
        TimeoutError: it did not end within `timeout_s`.
        SaidTooMuch: it wrote more than `most_bytes`.
    """
    # Process.wait() would also wait for the end of the output: for ever, where that is held or its reading is paused.
    loop = asyncio.get_running_loop()
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    out, err = (pipe, nothing) if listens_to == STDOUT else (nothing, pipe)
    transport, heard = await loop.subprocess_exec(
        lambda: _Heard(most_bytes), *words, stdin=pipe, stdout=out, stderr=err, cwd=folder, env=environ,
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout_s):
            _hand_over(transport, given)
            await heard.enough.wait()
        if heard.is_too_much:
            raise SaidTooMuch(f"the program wrote more than {most_bytes:,} bytes")
        await heard.the_rest()
        return Ended(cast("int", transport.get_returncode()), bytes(heard.said))
    except BaseException:
        _kill(transport)
        raise
    finally:
        await heard.has_ended.wait()
        _let_go(transport)


class _Heard(asyncio.SubprocessProtocol):
    """What a program has written so far, and whether it has ended."""

    def __init__(self, most_bytes: int) -> None:
        self.said = bytearray()
        self.is_too_much = False
        self.enough = asyncio.Event()  # it has ended, or said too much
        self.has_ended = asyncio.Event()
        self._is_silent = asyncio.Event()
        self._most_bytes = most_bytes

    async def the_rest(self) -> None:
        """Wait for what is still in the pipe."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STRAGGLER_S):
                await self._is_silent.wait()

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        if self.is_too_much or len(self.said) + len(data) > self._most_bytes:
            self.is_too_much = True
            self.enough.set()
        else:
            self.said += data

    def pipe_connection_lost(self, fd: int, _error: Exception | None) -> None:
        if fd != STDIN:
            self._is_silent.set()

    def process_exited(self) -> None:
        self.has_ended.set()
        self.enough.set()


def _hand_over(transport: asyncio.SubprocessTransport, given: bytes) -> None:
    stdin = _stdin(transport)
    stdin.write(given)
    stdin.write_eof()


def _kill(transport: asyncio.SubprocessTransport) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended meanwhile
        os.killpg(transport.get_pid(), signal.SIGKILL)


def _let_go(transport: asyncio.SubprocessTransport) -> None:
    """Close the pipes, whoever may hold their other ends."""
    if _stdin(transport).get_write_buffer_size():  # close() alone would wait until somebody reads it
        _stdin(transport).abort()
    transport.close()


def _stdin(transport: asyncio.SubprocessTransport) -> asyncio.WriteTransport:
    return cast("asyncio.WriteTransport", transport.get_pipe_transport(STDIN))
