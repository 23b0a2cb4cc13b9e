"""`demo`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from sessiontrackd.cli.demo import SAMPLES
from sessiontrackd.cli.main import main


def test_the_demo_shows_every_note_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real daemon writes a note for each sample, the made-up secret is in none, and all of it is removed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    assert main(["demo"]) == 0

    out = capsys.readouterr().out
    assert all(f"── {name} →" in out for name in SAMPLES)
    assert "1 secret redacted" in out
    assert "ghp_" not in out
    assert list(tmp_path.iterdir()) == []
