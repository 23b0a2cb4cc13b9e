"""The note of one talk in each format, at each level, as it was looked at and found good."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from sessiontrackd import readers, report
from sessiontrackd.insights import AIInsightGenerator, read_session
from sessiontrackd.model import InsightLevel
from tests.written import WRITTEN

GOLDEN = Path(__file__).parent / "golden"
MADE_AT = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
NO_TALKS = frozenset(("not_read_yet",))  # knows files that are not read


def note_of(name: str, level: InsightLevel, folder: Path) -> str:
    """Return the body of the note that the local engine makes."""
    file, make = WRITTEN[name]
    source, content = folder / file, make()
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    found = [read_session(opened, level=level) for opened in readers.read(source).sessions]
    (reading,) = found
    assert reading.session.format == name
    insight = structs.replace(asyncio.run(AIInsightGenerator().insight(reading, level)), made_at=MADE_AT)
    note = report.render(reading.session, insight, source=source, source_sha256="0" * 64, zone=UTC)
    return note.partition("\n---\n")[2].lstrip("\n")


@pytest.mark.parametrize("name", [name for name in readers.READERS if name not in NO_TALKS])
def test_a_note_of_each_format_looks_as_agreed(name: str, tmp_path: Path) -> None:
    """It is the golden one, to the byte; GOLDEN=1 writes it anew for a look."""
    for level in InsightLevel:
        note, golden = note_of(name, level, tmp_path), GOLDEN / name / f"{level}.md"
        if os.environ.get("GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(note, "utf-8")

        assert note == golden.read_text("utf-8")
