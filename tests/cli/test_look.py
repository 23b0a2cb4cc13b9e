"""`inspect` and `show`."""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main

SAMPLES = Path(str(resources.files("sessiontrackd") / "samples"))
TIDE = str(SAMPLES / "tide-import.jsonl")


def test_inspect_prints_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """What a reader sees, as JSON, and nothing else on stdout."""
    assert main(["inspect", "--json", TIDE]) == 0

    document = json.loads(capsys.readouterr().out)
    (session,) = document["sessions"]
    assert (document["format"], document["path"]) == ("claude_code", TIDE)
    assert (session["human_turns"], session["tool_calls"]) == (2, 6)
    assert session["usage"]["complete"] is True


def test_inspect_is_readable_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A heading and one aligned line a session."""
    assert main(["inspect", TIDE]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "claude_code, 1 session" in lines[0]
    assert lines[3].startswith("7d1c4b52-0f3")


def test_another_kind_of_file_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that it is no conversation, with exit status 0."""
    path = tmp_path / "notes.json"
    path.write_text('{"a": 1}')

    assert main(["inspect", str(path)]) == 0

    assert "not a conversation" in capsys.readouterr().out


def test_a_file_that_is_not_there_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1, nothing on stdout."""
    assert main(["inspect", "--json", str(tmp_path / "none.jsonl")]) == 1

    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)


@pytest.mark.skipif(os.name != "posix" or os.uname().sysname == "Darwin", reason="names are always UTF-8 there")
def test_a_name_that_is_not_utf8_is_shown_harmlessly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that no terminal can show become escapes; nothing breaks."""
    path = os.fsencode(tmp_path) + b"/caf\xe9\x1b[2J.md"
    with open(path, "wb") as file:
        file.write(b"no conversation\n")

    assert main(["inspect", os.fsdecode(path)]) == 0

    assert "caf\\udce9.md: not a conversation" in capsys.readouterr().out


def test_show_prints_all_messages_with_their_tools(capsys: pytest.CaptureFixture[str]) -> None:
    """Who said what, which tools were called, and what failed."""
    assert main(["show", TIDE]) == 0

    out = capsys.readouterr().out
    assert out.startswith("── Tide import an hour late since the clocks changed  (7d1c4b52-")
    assert "[m1] user" in out
    assert "⚙ Bash ✗" in out
    assert "1 failed, 3 passed" in out


def test_a_session_without_a_recorded_title_goes_by_its_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its note has a title all the same, so that it is not called untitled."""
    path = tmp_path / "talk.jsonl"
    lines = Path(TIDE).read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "title" not in json.loads(line)["type"].casefold()), "utf-8")
    assert main(["show", str(path)]) == 0

    assert capsys.readouterr().out.startswith("── 7d1c4b52-")


def test_show_with_a_number_prints_that_message_and_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    """`PATH#m5` is how notes cite."""
    assert main(["show", f"{TIDE}#m5", "--around", "1"]) == 0

    heads = [line.split("]")[0] for line in capsys.readouterr().out.splitlines() if "[m" in line]
    assert heads == ["[m4", "→ [m5", "[m6"]


def test_a_message_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """It says so instead of printing nothing."""
    assert main(["show", f"{TIDE}#m999"]) == 2

    assert "no message m999" in capsys.readouterr().err


def test_a_session_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A later export may have lost it, so it is not the message that is missing."""
    assert main(["show", f"{TIDE}#m2", "--session", "5f0c"]) == 2

    assert f"{TIDE} holds no session 5f0c, or no longer" in capsys.readouterr().err


def test_what_a_transcript_says_cannot_drive_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and bidi marks of a transcript reach no terminal."""
    said = "look at this \x1b]0;owned\x07 now \u202e\x9b2J"
    record = {"type": "user", "sessionId": "s", "uuid": "u", "message": {"role": "user", "content": said}}
    path = tmp_path / "evil.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")

    assert main(["show", str(path)]) == 0

    out = capsys.readouterr().out
    assert "look at this  now" in out
    assert not any(mark in out for mark in ("\x1b]", "\x07", "\u202e", "\x9b"))


@pytest.mark.parametrize("command", ["inspect", "show", "try", "condense", "estimate", "process"])
def test_a_loop_of_links_and_a_missing_file_are_one_line(
    command: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command says which file, and ends with 1."""
    loop = tmp_path / "loop.jsonl"
    loop.symlink_to(loop)
    for path in (loop, tmp_path / "gone.jsonl"):
        assert main([command, str(path)]) == 1
        said = capsys.readouterr()
        assert path.name in said.out + said.err


def test_a_file_without_the_right_to_read_it_names_the_line_that_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Quoted for the shell."""
    path = tmp_path / "my talk.jsonl"
    path.write_text("{}")
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert main(["show", str(path)]) == 1
    assert f"chmod u+r '{path}'" in capsys.readouterr().err


def test_messages_are_shown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With their numbers, and the calls of tools with their results."""
    assert main(["show", f"{TIDE}#m2", "--around", "0", "--json"]) == 0

    (session,) = json.loads(capsys.readouterr().out)["sessions"]
    (message,) = session["messages"]
    assert (message["index"], message["role"]) == (2, "assistant")
    assert {"name", "arguments", "result", "failed"} == message["tool_calls"][0].keys()


def test_a_note_is_tried_as_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One document, and nothing else."""
    assert main(["try", TIDE, "--json"]) == 0

    out, err = capsys.readouterr()
    assert json.loads(out)["note"].startswith("---\nsource: ")
    assert err == ""
