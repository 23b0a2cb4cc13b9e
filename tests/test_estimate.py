"""What transcripts would cost, without sending anything."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sessiontrackd.estimate import Estimates, Planned, Total
from sessiontrackd.model import InsightLevel
from sessiontrackd.pricing import Prices

MODEL = "claude-haiku-5-5"
AT = datetime(2026, 11, 25, tzinfo=UTC)


def conversation(path: Path, words: int) -> Planned:
    """Write a transcript of one session and plan it."""
    said = [("user", "please count " + "words " * words), ("assistant", "counted " * words)]
    path.write_text(json.dumps({"messages": [{"role": role, "content": text} for role, text in said]}))
    return Planned(path, path.stat().st_size, InsightLevel.STANDARD, MODEL)


def total(planned: list[Planned], sample: int = 200) -> Total:
    return Estimates(Prices(), AT).total(planned, sample)


def test_a_sample_is_near_the_whole(tmp_path: Path) -> None:
    """Fewer are read, the range holds what reading all of them gives, and the figures say how many were read."""
    draw = Random(3)
    planned = [conversation(tmp_path / f"{at}.json", int(draw.lognormvariate(4, 1))) for at in range(120)]

    whole, sampled = total(planned), total(planned, 30)

    assert (whole.read, sampled.read, sampled.files, sampled.sessions) == (120, 30, 120, 120)
    assert abs(sampled.cost_picousd.expected / whole.cost_picousd.expected - 1) < 0.1
    assert sampled.cost_picousd.low < whole.cost_picousd.expected < sampled.cost_picousd.most


def test_a_long_session_is_priced_part_by_part(tmp_path: Path) -> None:
    """No request passes the step above which every token is five times dearer."""
    text = "".join(f"word{number} " for number in range(30_000))
    turns = [{"role": role, "content": text[:30_000]} for _ in range(8) for role in ("user", "assistant")]
    path = tmp_path / "long.json"
    path.write_text(json.dumps({"messages": turns}))

    found = total([Planned(path, path.stat().st_size, InsightLevel.COMPREHENSIVE, MODEL)])

    assert found.input_tokens.expected > 120_000
    assert found.cost_picousd.most < found.input_tokens.most * 150_000 + 6 * 6_000 * 500_000


def test_thin_sessions_of_an_archive_are_not_paid_for(tmp_path: Path) -> None:
    """A session of fewer than two asks and no edit is a line in the index; alone in its file it gets its note."""
    talk = {"conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "hello to you"}]}
    path = tmp_path / "many.json"
    path.write_text(json.dumps([talk, talk]))
    many = total([Planned(path, path.stat().st_size, InsightLevel.STANDARD, MODEL, named=True)])
    path.write_text(json.dumps([talk]))
    one = total([Planned(path, path.stat().st_size, InsightLevel.STANDARD, MODEL, named=True)])

    assert (many.transcripts, many.sessions, one.sessions) == (0, 0, 1)


def test_what_cannot_be_read_in_a_folder_is_left_out(tmp_path: Path) -> None:
    """It has no note either."""
    planned = conversation(tmp_path / "a.json", 40)
    (tmp_path / "b.json").write_text("{")

    assert total([planned, Planned(tmp_path / "b.json", 1, InsightLevel.STANDARD, MODEL)]).sessions == 1
