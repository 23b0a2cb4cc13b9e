"""Without consent, or with AI off, no process of ours even opens a socket that could reach another machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sessiontrackd import config, privacy
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.privacy import Consents
from sessiontrackd.store import open_store

HOOK = """
import os, sys
def told(event, arguments, path=os.environ["OPENED"]):
    if event == "socket.__new__" and arguments[1] not in (0, 1):
        os.write(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), f"{event} {arguments[1]}\\n".encode())
sys.addaudithook(told)
"""
ADDRESS = "http://127.0.0.1:9"
RUNS = {"now": ["process"], "daemon": ["run", "--until-idle"]}


@pytest.fixture
def talks(home: Path, tmp_path: Path) -> Path:
    """Return a folder that the engine claude works on, with a key, a budget and a transcript."""
    folder = tmp_path / "talks"
    folder.mkdir()
    said = [("user", "please mend the harbour clock"), ("assistant", "I mended the clock: its spring was dry.")]
    turns = [{"role": role, "content": text} for role, text in said]
    (folder / "talk.json").write_text(json.dumps({"messages": turns}))
    place = Home.find(home)
    config.set_value(place, "claude.base_url", ADDRESS)
    config.add_folder(place, folder, engine="claude", stable_s=0)
    assert main(["budget", "set", "5usd"]) == 0
    config.keep_key(place, "made-up")
    return folder


def opened(tmp_path: Path, *arguments: str, around: tuple[str, ...] = ()) -> tuple[str, str]:
    """Run a command in real processes that tell of each socket; return what they opened and what was printed."""
    hooks, told = tmp_path / "hooks", tmp_path / "opened"
    hooks.mkdir(exist_ok=True)
    (hooks / "sitecustomize.py").write_text(HOOK)
    paths = os.pathsep.join([str(hooks), *filter(None, [os.environ.get("PYTHONPATH")])])
    environ = {**os.environ, "PYTHONPATH": paths, "OPENED": str(told)}
    command = [*around, sys.executable, "-m", "sessiontrackd", *arguments]
    done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return told.read_text() if told.exists() else "", done.stdout + done.stderr


def grant(talks: Path, home: Path) -> None:
    with open_store(home / "state.db", privacy.SCHEMA) as store:
        Consents(store).grant(str(talks), "127.0.0.1:9")


@pytest.mark.prove
def test_the_hook_sees_a_socket(talks: Path, home: Path, tmp_path: Path) -> None:
    """With everything granted the engine does open one: so the tests below can fail."""
    grant(talks, home)

    assert "socket.__new__ 2" in opened(tmp_path, *RUNS["now"], str(talks / "talk.json"))[0]


@pytest.mark.parametrize("run", ["now", pytest.param("daemon", marks=pytest.mark.prove)])
@pytest.mark.parametrize("is_granted", [False, True])
def test_no_socket_without_consent_or_with_ai_off(
    talks: Path, home: Path, tmp_path: Path, is_granted: bool, run: str
) -> None:
    """The note is made here, by the local engine, and the job says why."""
    if is_granted:
        grant(talks, home)
        assert main(["ai", "off"]) == 0

    seen, _ = opened(tmp_path, *RUNS[run], *([str(talks / "talk.json")] if run == "now" else []))

    assert seen == ""
    assert "not by claude: no consent" in (talks / "talk.json.insights.md").read_text()


@pytest.mark.prove
@pytest.mark.parametrize("command", ["estimate", "condense", "inspect"])
def test_looking_opens_no_socket(talks: Path, tmp_path: Path, command: str) -> None:
    """What only tells of a transcript asks nobody."""
    assert opened(tmp_path, command, str(talks / "talk.json"))[0] == ""


@pytest.mark.parametrize("run", ["now", pytest.param("daemon", marks=pytest.mark.prove)])
def test_the_run_passes_without_any_network(talks: Path, tmp_path: Path, run: str) -> None:
    """In a namespace that has no interface at all."""
    around = ("unshare", "-n") if os.geteuid() == 0 else ("unshare", "-rn")
    if not shutil.which("unshare") or subprocess.run([*around, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us make a network namespace")

    path = [str(talks / "talk.json")] if run == "now" else []
    seen, _ = opened(tmp_path, *RUNS[run], *path, around=around)

    assert seen == ""
    assert (talks / "talk.json.insights.md").exists()
