"""The program that a tool calls when a session ends or a turn is done: leaves a hint for the daemon and returns at once.

A tool waits for it, so it imports nothing but a little of the standard library, and is run as a file, without site-packages.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence

APP = "sessiontrackd"
HOME_VARIABLE = "SESSIONTRACKD_HOME"
LARGEST_BYTES = 4_000_000  # Codex hands the whole question and answer over
FILE = os.path.realpath(__file__)
CALL = frozenset({"--state", "--home", "--then"})  # the options of a call; other words are commands of `capture`


def state_dir(chosen: str | None, environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """Return where the state of a home lies: in `chosen`, else SESSIONTRACKD_HOME, else in the platform's folder."""
    root = chosen or environ.get(HOME_VARIABLE)
    if root:
        return os.path.abspath(os.path.expanduser(root))
    if platform == "darwin":
        return os.path.expanduser(f"~/Library/Application Support/{APP}")
    named = environ.get("XDG_STATE_HOME", "")  # the XDG specification has relative values ignored
    return os.path.join(named if os.path.isabs(named) else os.path.expanduser("~/.local/state"), APP)


def is_call(words: Sequence[str]) -> bool:
    """Say whether a tool calls, rather than a person who types `capture install`."""
    return not words or words[0] in CALL or words[0].startswith(("{", "--home="))


def main(words: Sequence[str]) -> int:
    """Take the JSON of Claude Code (from stdin) or of Codex (the last word) and leave a hint.

    Returns:
        The exit status: 0, 1 where the JSON tells of no session, 2 where there is none.
    """
    chosen, state, rest = None, None, list(words)
    while rest and rest[0] in ("--home", "--state") and len(rest) > 1:
        option, value, *rest = rest
        chosen, state = (value, state) if option == "--home" else (chosen, value)
    given = rest.pop() if rest and rest[-1].startswith("{") else None
    status = _take(given, state or state_dir(chosen, os.environ))
    if rest[:1] == ["--then"] and len(rest) > 1 and given is not None:  # whom the tool called before us
        os.execvp(rest[1], [*rest[1:], given])  # noqa: S606 - the person's own program
    return status


def _take(given: str | None, state: str) -> int:
    if given is None and sys.stdin.isatty():
        return _say("a tool calls this with JSON on stdin. To have that: sessiontrackd capture install claude-code", 2)
    try:
        told = json.loads(given if given is not None else sys.stdin.buffer.read(LARGEST_BYTES))
        name, path = told.get("session_id") or told.get("thread-id"), told.get("transcript_path")
        if not isinstance(name, str) or not name or not isinstance(path, str | None):
            return _say("the JSON names no session, so there is nothing to look for", 1)
        leave(state, name, path, ended=told.get("hook_event_name") == "SessionEnd")
    except (ValueError, AttributeError, RecursionError):
        return _say("what the tool gave is no JSON object, so there is nothing to look for", 1)
    except OSError as error:
        return _say(f"the hint could not be left in {state} ({error.strerror})", 1)
    return 0


def leave(state: str, name: str, path: str | None, *, ended: bool = False) -> None:
    """Leave a hint for the daemon; one of the same session is replaced, so that they stay few."""
    folder = os.path.join(state, "hints")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    safe = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in name)[:100]
    partial = os.path.join(folder, f".{safe}.{os.getpid()}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, json.dumps({"id": name, "path": path, "ended": ended}).encode())
    finally:
        os.close(handle)
    os.replace(partial, os.path.join(folder, safe))


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"sessiontrackd: {text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
