"""`redact` and `condense`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main

TOKEN = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7xY9zA2cD4eF6"


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Put bytes on stdin."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_private_parts_of_stdin_are_replaced(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Everything else comes out byte for byte, even bytes that are no text."""
    given(monkeypatch, f"before {TOKEN} ".encode() + b"\xff\r\nafter\n")

    assert main(["redact"]) == 0

    out = capfdbinary.readouterr().out
    assert TOKEN.encode() not in out
    assert out.startswith(b"before \xe2\x9f\xa6")
    assert out.endswith(b" \xff\r\nafter\n")


def test_lines_come_back_with_their_spans(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Spans count code points of the text that was given."""
    given(monkeypatch, json.dumps({"id": 7, "text": f"ü {TOKEN}"}).encode() + b"\n")

    assert main(["redact", "--jsonl"]) == 0

    line = json.loads(capfdbinary.readouterr().out)
    assert line["id"] == 7
    assert [(span["start"], span["end"]) for span in line["spans"]] == [(2, 2 + len(TOKEN))]


@pytest.mark.parametrize(("options", "is_found"), [([], True), (["--secrets-only"], False)])
def test_personal_data_is_private_too(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], options: list[str], is_found: bool
) -> None:
    """Unless only credentials are wanted."""
    given(monkeypatch, json.dumps({"id": 1, "text": "write to ada@acme.example"}).encode())

    assert main(["redact", "--jsonl", *options]) == 0

    kinds = [span["kind"] for span in json.loads(capfdbinary.readouterr().out)["spans"]]
    assert kinds == (["email"] if is_found else [])


def test_a_line_of_another_shape_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says which line."""
    for wrong in (b'["no object"]\n', b"{torn\n", b'{"text": 1}\n'):
        given(monkeypatch, b'{"text": "x"}\n' + wrong)

        assert main(["redact", "--jsonl"]) == 2

        assert "line 2 is not a JSON object with a" in capsys.readouterr().err


def test_condense_prints_what_would_be_sent(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """The shortened text of a transcript, with the numbers of its messages and without its secrets."""
    path = tmp_path / "talk.json"
    said = [("user", f"The token is {TOKEN}"), ("assistant", "I will not repeat it.")]
    path.write_text(json.dumps({"messages": [{"role": role, "content": text} for role, text in said]}))

    assert main(["condense", str(path), "--level", "minimal"]) == 0

    out = capfdbinary.readouterr().out.decode()
    assert TOKEN not in out
    assert out.startswith("[m1] ")
    assert "I will not repeat it." in out

    assert main(["condense", str(path), "--level", "minimal", "--json"]) == 0

    document = json.loads(capfdbinary.readouterr().out)
    (session,) = document["sessions"]
    assert (document["format"], document["level"]) == ("openai_messages", "minimal")
    assert ("".join(f"{part}\n" for part in session["parts"]), session["redactions"]) == (out, 1)
