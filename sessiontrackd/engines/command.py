"""Ask any program on this machine: the prompt goes to its standard input, JSON comes from its standard output."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from sessiontrackd import programs
from sessiontrackd.config import Home, Settings
from sessiontrackd.errors import Refused, Unknown
from sessiontrackd.model import Ask, Reply, Usage
from sessiontrackd.pricing import FLAT_RATE_PROVIDER
from sessiontrackd.tokens import sized

MOST_ANSWER_BYTES = 4_000_000  # an answer has some kilobytes; more is a program run wild
AGAIN_S = 1_800.0  # a plan that is used up for now is asked again this late
MARK = "[sessiontrackd asks, run-7c1f]"  # the first line of what a program is given
FOLDER = "sessiontrackd-runs"  # where it runs, in the state folder; tools record where they run
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY", "GEMINI_API_KEY")


class CommandEngine:
    """Run one program for each ask.

    The program gets no API key from the environment: with one, a tool on a flat-rate plan would bill each call.
    It runs in a folder of its own, and what it is given carries a mark, so that the transcript which
    such a tool keeps of its own run is never read.

    Args:
        argv: program and arguments; no shell reads them.
        folder: where it runs.
        timeout_s: how long it may take.
    """

    NAME = "command"
    leaves_machine = True

    def __init__(self, argv: tuple[str, ...], *, folder: Path, timeout_s: float = 300.0) -> None:
        """Keep the parts; nothing is started yet."""
        self._argv = argv
        self._folder = folder
        self._timeout_s = timeout_s
        self.price_model: str | None = program_name(argv)
        self.provider = f"{FLAT_RATE_PROVIDER}{program_name(argv)}"

    @classmethod
    def configured(cls, home: Home, settings: Settings, _model: str) -> Self:
        """Make the engine that the settings describe; without a program it refuses every attempt."""
        return cls(settings.command_argv, folder=home.state_dir / FOLDER, timeout_s=settings.command_timeout_s)

    @classmethod
    def provider_of(cls, settings: Settings) -> str:
        """Return who gets the text as the settings stand."""
        return f"{FLAT_RATE_PROVIDER}{program_name(settings.command_argv)}"

    async def attempt(self, ask: Ask) -> Reply:
        """Run the program once and return what it wrote, not yet parsed.

        Raises:
            Refused: there is no such program, or it ended with an error.
            Unknown: it gave no answer in time, or far too much.
        """
        prompt = prompt_of(ask)
        program = self._program()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        environ = {name: value for name, value in os.environ.items() if name not in KEYS}
        try:
            # What it says on stderr may repeat the prompt, so nobody reads it.
            ended = await programs.run(
                [program, *self._argv[1:]], prompt, timeout_s=self._timeout_s, most_bytes=MOST_ANSWER_BYTES,
                folder=self._folder, environ=environ,
            )  # fmt: skip
        except TimeoutError:
            raise Unknown(f"the program {self.price_model} gave no answer within {self._timeout_s:g} s") from None
        except programs.SaidTooMuch as error:
            raise Unknown(str(error)) from None
        if ended.status != 0:
            raise self._failed(ended.status)
        return self._reply(prompt, ended.said)

    def _program(self) -> str:
        """Return the program's whole path."""
        if not self._argv:
            raise Refused(
                "The engine 'command' runs a program, and the settings do not name one. Add it, for example "
                '[command] argv = ["claude", "-p", "--output-format", "json"].',
                circuit=True,
            )
        program = shutil.which(self._argv[0])
        if program is None:
            raise Refused(
                f"The program {self._argv[0]} was not found on the PATH. Give its whole path in [command] argv; a "
                "service has a PATH of its own.",
                circuit=True,
            )
        return program

    def _failed(self, status: int) -> Refused:
        return Refused(
            f"The program {self.price_model} ended with {status}. See why by hand: `sessiontrackd condense FILE | "
            f"{self.price_model} …`",
            retry_after_s=AGAIN_S,
            is_for_now=True,
        )

    def _reply(self, prompt: bytes, answer: bytes) -> Reply:
        """Return the answer, out of the envelope of `claude -p --output-format json` where it has one."""
        text = answer.decode("utf-8", "replace")
        envelope = _object(text)
        if envelope.get("is_error") is True:
            raise self._failed(0)
        inner = envelope.get("result")
        text = inner if isinstance(inner, str) else text
        return Reply(
            title="",
            summary="",
            findings=(),
            usage=_usage(envelope.get("usage")) or _sized(prompt, text),
            model=self.price_model,
            stop_reason="end_turn",
            text=text,
        )


def program_name(argv: tuple[str, ...]) -> str:
    """Return the program's name without its folder."""
    return os.path.basename(argv[0]) if argv else "none"


def is_own_run(head: bytes) -> bool:
    """Say whether the first bytes of a transcript are those of a run of ours."""
    return MARK.encode() in head or f'/{FOLDER}"'.encode() in head


def prompt_of(ask: Ask) -> bytes:
    """Return what the program reads: a mark of ours, the prompt, and the shape of the answer."""
    shape = json.dumps(ask.schema)
    text = f"{MARK}\n{ask.text}\nAnswer with one JSON object of this shape, and with nothing else:\n{shape}\n"
    return text.encode("utf-8", "replace")


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _usage(stated: object) -> Usage | None:
    """Return the usage that the program states, in the names of the API."""
    if not isinstance(stated, dict):
        return None
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    numbers = [stated.get(name, 0) for name in names]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        return None
    usage = Usage(*numbers)
    return usage if usage.is_possible and (numbers[0] or numbers[1]) else None


def _sized(prompt: bytes, text: str) -> Usage:
    """Return an estimate, marked as such: the program does not say what it used."""
    return Usage(sized(prompt.decode("utf-8", "replace")).expected, sized(text).expected, complete=False)
