"""Transcripts of meetings whose turns have a time: as people save them from their tools."""

from pathlib import Path

import pytest

from sessiontrackd import readers
from sessiontrackd.model import Origin

TALK = (
    ("Anna Berg", "0:03", "Good morning, shall we begin with the release?"),
    ("Tom Lind", "0:11", "Friday works for me. The migration is still open."),
    ("Anna Berg", "0:25", "All right, then we ship on Friday."),
    ("Tom Lind", "1:02", "I will write the ticket."),
)
SHAPES = {
    "Otter": "{name}  {time}\n{text}\n\n",
    "Fireflies": "{name} - {time}\n{text}\n\n",
    "time first": "00:0{time} {name}\n{text}\n\n",
    "Descript": "[00:0{time}.12] {name}\n{text}\n\n",
    "Zoom": "[{name}] 10:0{time}\n{text}\n\n",
    "Markdown": "**{name}** [{time}]\n{text}\n\n",
    "Zoom's chat": "10:0{time}\t From {name} to Everyone : {text}\n",
    "in a line": "[00:0{time}] {name}: {text}\n",
    "dashes": "00:0{time} - {name}: {text}\n",
    "Meet": "{name}: {text}\n",
}


def read(path: Path, text: str) -> tuple[str | None, list[tuple[str | None, str]]]:
    """Return the format of a text and who says what in it."""
    path.write_text(text)
    transcript = readers.read(path)
    messages = [one for opened in transcript.sessions for one in opened]
    said = [(one.speaker, one.text) for one in messages if one.origin is Origin.HUMAN]
    return transcript.format, said


@pytest.mark.parametrize("shape", SHAPES)
def test_a_meeting_is_read_as_tools_save_it(tmp_path: Path, shape: str) -> None:
    """Who speaks, and what, is the same in each shape."""
    text = "".join(SHAPES[shape].format(name=name, time=time, text=text) for name, time, text in TALK)

    assert read(tmp_path / "talk.txt", text) == ("meeting", [(name, text) for name, _, text in TALK])


def test_what_stands_before_the_talk_is_its_title(tmp_path: Path) -> None:
    """An export begins with its name, which nobody says."""
    talk = "".join(SHAPES["Otter"].format(name=name, time=time, text=text) for name, time, text in TALK)
    path = tmp_path / "otter.txt"

    assert len(read(path, f"Weekly planning\nTue, Nov 24, 2026\n\nSPEAKERS\nAnna Berg, Tom Lind\n\n{talk}")[1]) == 4
    assert readers.inspect_document(path)["sessions"][0]["title"] == "Weekly planning"


def test_nobody_says_what_stands_before_the_first_name(tmp_path: Path) -> None:
    """Who attended, and that a computer wrote it down, is no turn; a text without names has one speaker."""
    talk = "".join(SHAPES["Meet"].format(name=name, time=time, text=text) for name, time, text in TALK)
    notes = "---\ntype: meeting\n---\nWe agreed that the release is on Friday, and that Tom writes the ticket.\n"

    assert len(read(tmp_path / "meet.txt", f"Attendees\nAnna Berg, Tom Lind\n\nTranscript\n\n{talk}")[1]) == 4
    assert len(read(tmp_path / "notes.md", notes)[1]) == 1


def test_times_of_day_may_pass_noon(tmp_path: Path) -> None:
    """What is later is told with AM and PM in mind."""
    times = ("11:58 AM", "11:59 AM", "12:01 PM", "1:02 PM")
    text = "".join(f"{name}  {time}\n{said}\n\n" for (name, _, said), time in zip(TALK, times, strict=True))

    assert read(tmp_path / "talk.txt", text)[0] == "meeting"


SONGS = "Intro 0:00\nVerse 0:31\nChorus 1:02\nIntro 2:03\n"
PLAN = """Monday 9:00
Stand-up in the small room, all of us.

Tuesday 8:00
Planning in the large room, all of us.

Monday 10:00
Review in the small room, with guests.
"""
CHAPTERS = """Setup 0:10
This is how the tool is installed here.

Use 0:20
This is how the tool is used by you.

Removal 0:30
This is how the tool is removed again.
"""


@pytest.mark.parametrize("text", [SONGS, PLAN, CHAPTERS])  # nothing said, not in the order of time, no name comes back
def test_other_lists_of_times_are_no_talk(tmp_path: Path, text: str) -> None:
    """Names and times alone do not make a conversation."""
    assert read(tmp_path / "list.txt", text) == (None, [])
