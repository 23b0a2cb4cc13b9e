"""`usage --recorded` of sessions that grow."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd.cli.main import main

OURS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
THEIRS = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheCreationTokens")


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


def test_the_users_own_price_counts(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What transcripts record is priced with the user's own prices where there are any."""
    (home / "config.toml").write_text('[[prices]]\nmodel = "claude-haiku-5-5"\ninput = 1000\noutput = 100000\n')
    path = tmp_path / "s1.jsonl"
    path.write_text(reply(1) + reply(2))
    assert main(["process", str(path)]) == 0
    capsys.readouterr()

    assert main(["usage", "--recorded", "--json"]) == 0
    total = json.loads(capsys.readouterr().out)["total"]

    assert total["cost_usd"] == "0.320000"
    assert "session_cost_usd: 0.32\n" in (tmp_path / "s1.jsonl.insights.md").read_text("utf-8")


def ccusage() -> str:
    """Return the path of ccusage 20, or skip."""
    found = os.environ.get("CCUSAGE") or shutil.which("ccusage")
    if found is None:
        pytest.skip("no ccusage: npm install ccusage@20.0.24 @ccusage/ccusage-linux-x64@20.0.24, and CCUSAGE=its path")
    return found


def theirs(binary: str, root: Path, tmp_path: Path) -> dict[str, Any]:
    """Return what ccusage makes of the sessions below a folder."""
    environ = {"HOME": str(tmp_path), "TZ": "UTC", "CLAUDE_CONFIG_DIR": str(root), "PATH": os.environ["PATH"]}
    words = [binary, "claude", "daily", "--offline", "--json", "--timezone", "UTC"]
    answer = subprocess.run(words, env=environ, check=True, capture_output=True, text=True)
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


def ours(capsys: pytest.CaptureFixture[str], by: str) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Return the total, and the counts of each row."""
    assert main(["usage", "--recorded", "--by", by, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    return document["total"], {row["key"]: tuple(row[name] for name in OURS) for row in document["rows"]}


@pytest.mark.prove
def test_recorded_usage_equals_ccusage(
    shared: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Totals, days and models of a generated corpus with sub-agents are those of ccusage 20.0.24, and so is the cost."""
    binary, root = ccusage(), tmp_path / "corpus"
    generator = [sys.executable, str(shared / "bench" / "gen.py"), "sessions", "8MB", str(root)]
    subprocess.run(generator, check=True, stdout=subprocess.DEVNULL)
    (home / "config.toml").write_text('timezone = "UTC"\n')
    main(["process", str(root)])
    capsys.readouterr()
    expected = theirs(binary, root, tmp_path)

    total, days = ours(capsys, "day")
    _, models = ours(capsys, "model")

    assert tuple(total[name] for name in OURS) == tuple(expected["totals"][name] for name in THEIRS)
    assert days == {day["date"]: tuple(day[name] for name in THEIRS) for day in expected["daily"]}
    by_model: Counter[tuple[str, str]] = Counter()
    for part in (part for day in expected["daily"] for part in day["modelBreakdowns"]):
        by_model.update({(part["modelName"], name): part[name] for name in THEIRS})
    assert {(model, name): row[place] for model, row in models.items() for place, name in enumerate(THEIRS)} == by_model
    assert abs(float(total["cost_usd"]) - expected["totals"]["totalCost"]) < 1e-6
