"""`usage --recorded` of sessions that grow."""

import json
from pathlib import Path

import pytest

from sessiontrackd.cli.main import main


def reply(nth: int) -> str:
    """Return a line of Claude Code."""
    usage = {"input_tokens": 10, "output_tokens": nth}
    said = {"role": "assistant", "id": f"m{nth}", "model": "claude-haiku-5-5", "content": "Done.", "usage": usage}
    about = {"sessionId": "s1", "uuid": f"u{nth}", "cwd": "/work/tide", "version": "2.1.101"}
    return json.dumps({"type": "assistant", "timestamp": f"2026-03-0{nth}T08:00:00Z", "message": said} | about) + "\n"


def recorded(capsys: pytest.CaptureFixture[str], by: str) -> dict[str, int]:
    """Return the output tokens of each row."""
    assert main(["usage", "--recorded", "--by", by, "--json"]) == 0
    return {row["key"]: row["output_tokens"] for row in json.loads(capsys.readouterr().out)["rows"]}


def test_a_grown_session_is_counted_at_once(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was appended since the last reading is in the figures, by day, project and model, without another job."""
    path = tmp_path / "s1.jsonl"
    path.write_text(reply(1) + reply(2))
    assert main(["process", str(path)]) == 0
    capsys.readouterr()
    with path.open("a") as file:
        file.write(reply(3) + reply(4)[:50])

    assert recorded(capsys, "day") == {"2026-03-01": 1, "2026-03-02": 2, "2026-03-03": 3}
    assert recorded(capsys, "project") == {"tide": 6}
    assert recorded(capsys, "model") == {"claude-haiku-5-5": 6}
