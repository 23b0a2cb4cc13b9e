"""The engine that runs a program of the user's, with real programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import pytest

from sessiontrackd.engines.command import FOLDER, MARK, CommandEngine, is_own_run
from sessiontrackd.errors import Refused, Unknown
from sessiontrackd.model import Ask, InsightLevel, Reply, Session
from tests.busy import within_s

ANSWER = {"title": "A talk", "summary": "They talked.", "findings": []}


def run(tmp_path: Path, program: str, *, timeout_s: float = 30.0) -> Reply:
    """Ask a program that is written in Python."""
    script = tmp_path / "thinker"
    script.write_text(f"#!{sys.executable}\nimport sys, os, json, time\n{program}\n")
    script.chmod(0o755)
    engine = CommandEngine((str(script),), folder=tmp_path / FOLDER, timeout_s=timeout_s)
    ask = Ask(Session("s1", "made"), InsightLevel.MINIMAL, text="Say what was decided.", schema={"type": "object"})
    return asyncio.run(engine.attempt(ask))


def test_a_program_reads_the_prompt_and_its_answer_is_the_reply(tmp_path: Path) -> None:
    """The prompt with a mark and the shape stands on stdin; what it used is an estimate and says so."""
    reply = run(tmp_path, f"open('seen', 'w').write(sys.stdin.read()); print({json.dumps(ANSWER)!r})")

    seen = (tmp_path / FOLDER / "seen").read_text()
    assert seen.startswith(MARK)
    assert "Say what was decided." in seen
    assert '{"type": "object"}' in seen
    assert json.loads(reply.text) == ANSWER
    assert reply.usage.input_tokens > 0
    assert not reply.usage.complete


def test_the_envelope_of_a_coding_agent_is_taken_off_and_its_usage_kept(tmp_path: Path) -> None:
    """`claude -p --output-format json` puts the answer into `result` and tells what it used."""
    usage = {
        "input_tokens": 12,
        "output_tokens": 34,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 6,
        "server_tool_use": {},
    }
    envelope = {"type": "result", "is_error": False, "result": json.dumps(ANSWER), "usage": usage}
    reply = run(tmp_path, f"sys.stdin.read(); print({json.dumps(envelope)!r})")

    assert json.loads(reply.text) == ANSWER
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.total_tokens) == (12, 34, 57)
    assert reply.usage.complete


@pytest.mark.parametrize(
    "program",
    [
        "sys.stdin.read(); sys.exit(3)",
        "print(json.dumps({'is_error': True, 'result': 'usage limit reached', 'usage': {}}))",
    ],
)
def test_a_program_that_fails_is_asked_again_later_and_its_words_are_not_repeated(tmp_path: Path, program: str) -> None:
    """What it printed may hold the conversation."""
    with pytest.raises(Refused, match="by hand") as told:
        run(tmp_path, program)

    assert told.value.is_for_now
    assert "usage limit" not in str(told.value)


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """Nothing of it is left when the time is up."""
    began_s = time.monotonic()
    with pytest.raises(Unknown, match="no answer within"):
        run(
            tmp_path,
            "import subprocess; child = subprocess.Popen(['sleep', '60']); open('pid', 'w').write(str(child.pid))\n"
            "time.sleep(60)",
            timeout_s=within_s(1.5),
        )
    assert time.monotonic() - began_s < 30
    child, until_s = int((tmp_path / FOLDER / "pid").read_text()), time.monotonic() + within_s(5)
    while runs(child) and time.monotonic() < until_s:  # it was killed in the same moment as the program
        time.sleep(0.01)
    assert not runs(child)


def runs(process: int) -> bool:
    """Say whether a process is there and no zombie."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_program_run_wild_is_ended(tmp_path: Path) -> None:
    """An endless answer is cut off, and nobody waits for it."""
    with pytest.raises(Unknown, match="more than"):
        run(tmp_path, "while True: print('x' * 100_000)")


def test_a_program_that_does_not_read_may_answer_all_the_same(tmp_path: Path) -> None:
    """A closed pipe is no error of ours."""
    assert json.loads(run(tmp_path, f"os.close(0); print({json.dumps(ANSWER)!r})").text) == ANSWER


def test_no_api_key_reaches_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key in its environment a tool on a flat-rate plan would bill every call."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-not-a-key")
    monkeypatch.setenv("OTHER", "kept")
    reply = run(tmp_path, "print(json.dumps([os.environ.get('ANTHROPIC_API_KEY'), os.environ.get('OTHER')]))")

    assert json.loads(reply.text) == [None, "kept"]


@pytest.mark.parametrize("argv", [(), ("no-such-program-anywhere",)])
def test_a_missing_program_is_named_with_the_remedy(tmp_path: Path, argv: tuple[str, ...]) -> None:
    """Nothing is started, and every other job of this engine would fare the same."""
    engine = CommandEngine(argv, folder=tmp_path / FOLDER)
    with pytest.raises(Refused, match=r"argv") as told:
        asyncio.run(engine.attempt(Ask(Session("s1", "made"), InsightLevel.MINIMAL)))
    assert told.value.circuit


def test_the_transcript_of_an_own_run_is_known_by_its_mark_or_its_folder(tmp_path: Path) -> None:
    """Coding agents keep a transcript of every run, ours too; it is not read as the user's."""
    folder = os.fsencode(tmp_path / FOLDER)
    assert is_own_run(b'{"type":"user","cwd":"/home/a","message":{"content":"' + MARK.encode() + b'\\nBelow"}}')
    assert is_own_run(b'{"type":"session_meta","payload":{"cwd":"' + folder + b'"}}')
    assert not is_own_run(b'{"type":"user","cwd":"/home/a","message":{"content":"about sessiontrackd"}}')
