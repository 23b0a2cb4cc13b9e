"""Notes in vaults and of archives: found again wherever they stand, and never written against the reader's will."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from sessiontrackd import config
from sessiontrackd.config import Home, Span
from sessiontrackd.errors import Waiting
from sessiontrackd.pipeline import Rooms, forget, memory_of, open_rooms, write_digest, write_indexes
from sessiontrackd.worker import process_path

MARCH = Span.of("month", date(2026, 3, 1))
SESSION = "5f0c2d1e-0000-4000-8000-000000000001"


def talk(session_id: str, *asks: str, project: str = "tide", day: int = 14) -> str:
    """Return a Claude Code transcript: asks, each with an answer."""
    lines = []
    for number, ask in enumerate(asks):
        common = {
            "sessionId": session_id,
            "cwd": f"/home/p/{project}",
            "timestamp": f"2026-03-{day:02}T09:{number:02}:00Z",
        }
        asked = {"role": "user", "content": ask}
        said = {
            "role": "assistant",
            "content": [
                {
                    "type": "text",
                    "text": f"Done: {ask}. Not done yet: the README still tells people to add an hour by hand.",
                }
            ],
        }
        lines += [
            {"type": "user", "uuid": f"u{number}", "message": asked, **common},
            {"type": "assistant", "uuid": f"a{number}", "message": said, **common},
        ]
    return "".join(json.dumps(line) + "\n" for line in lines)


class Desk:
    """A home with one watched folder, whose notes go into a vault or beside their transcripts."""

    def __init__(self, tmp_path: Path, output: str, **chosen: Any) -> None:
        """Open it."""
        self.vault, self.folder = tmp_path / "vault", tmp_path / "talks"
        self.folder.mkdir(exist_ok=True)
        home = Home.find(tmp_path / "home")
        config.add_folder(home, self.folder, output=output, **chosen)
        self.rooms: Rooms = open_rooms(home)

    def drop(self, name: str, text: str) -> Path:
        """Put a transcript into the folder and process it as the daemon would."""
        (self.folder / name).write_text(text)
        self.process(name)
        return self.folder / name

    def process(self, name: str, *, by_name: bool = False, level: str | None = None) -> dict[str, Any]:
        """Take one transcript through the pipeline."""
        result = asyncio.run(process_path(self.rooms, self.folder / name, by_name=by_name, level=level))
        write_indexes(self.rooms)
        return result

    def notes(self, of: str = "") -> list[Path]:
        """Return the notes of sessions in the vault, in order."""
        found = sorted(self.vault.rglob("*.md"))
        return [path for path in found if path.name != f"{path.parent.name}.md" and of in path.name]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    opened: list[Desk] = []

    def make(output: str = f"vault:{tmp_path / 'vault'}", **chosen: Any) -> Desk:
        opened.append(Desk(tmp_path, output, **chosen))
        return opened[-1]

    yield make
    for each in opened:
        each.rooms.close()


TWO_ASKS = ("mend the tide import", "now the tests")


def test_a_vault_has_names_for_people_and_an_index_a_project(desk: Callable[..., Desk]) -> None:
    """The index links to the notes and has a bare line for what is too short for one."""
    at = desk()
    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS))
    at.drop("b.jsonl", talk("77aa0000-1", "only one ask", day=15))
    at.drop("c.jsonl", talk("88bb0000-1", *TWO_ASKS, project="other"))

    assert [str(note.relative_to(at.vault)) for note in at.notes()] == [
        "other/2026-03-14 Mend the tide import (88bb).md",
        "tide/2026-03-14 Mend the tide import (5f0c).md",
    ]
    index = (at.vault / "tide" / "tide.md").read_text()
    assert "2 sessions" in index
    assert "[Mend the tide import](2026-03-14%20Mend%20the%20tide%20import%20%285f0c%29.md)" in index
    assert "- 2026-03-15 Only one ask\n" in index
    assert "88bb" not in index


def test_a_session_of_commands_that_steer_the_tool_gets_no_note(desk: Callable[..., Desk]) -> None:
    """However many they are, there is nothing to tell; the index counts it."""
    at = desk()
    record = {"type": "user", "sessionId": SESSION, "cwd": "/home/p/tide", "timestamp": "2026-03-14T09:00:00Z"}
    said = [record | {"uuid": f"u{n}", "message": {"role": "user", "content": text}} for n, text in enumerate("..")]
    at.drop("a.jsonl", "".join(json.dumps(each) + "\n" for each in said))

    assert at.notes() == []
    assert "1 session without a title" in (at.vault / "tide" / "tide.md").read_text()


def test_a_short_session_gets_its_note_when_a_person_names_it(desk: Callable[..., Desk]) -> None:
    """The index then leads to it."""
    at = desk()
    at.drop("b.jsonl", talk(SESSION, "only one ask"))
    assert at.notes() == []

    at.process("b.jsonl", by_name=True)
    assert len(at.notes("5f0c")) == 1
    assert "[Only one ask](" in (at.vault / "tide" / "tide.md").read_text()


def test_a_name_is_fixed_at_the_first_writing(desk: Callable[..., Desk]) -> None:
    """A session that goes on, under another title, keeps the name of its note."""
    at = desk()
    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS))
    (name,) = at.notes()
    title = json.dumps({"type": "custom-title", "customTitle": "Tides at last", "sessionId": SESSION}) + "\n"

    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS, "and the docs") + title)
    assert at.notes() == [name]
    assert "# Tides at last" in name.read_text()


def test_a_moved_note_is_found_again(desk: Callable[..., Desk]) -> None:
    """Anywhere below the vault; the index follows."""
    at = desk()
    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS))
    moved = at.vault / "areas" / "sea" / "Mine.md"
    moved.parent.mkdir(parents=True)
    at.notes()[0].rename(moved)

    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS, "and the docs"))
    assert at.notes() == [moved]
    assert "and the docs" in moved.read_text()
    assert "](../areas/sea/Mine.md)" in (at.vault / "tide" / "tide.md").read_text()


def test_a_deleted_note_stays_deleted_until_it_is_asked_for(desk: Callable[..., Desk]) -> None:
    """Neither a longer session nor a copy brings it back; `process` does. What was open in it is closed."""
    at, left = desk(), (" the README still", "\\n\\n- [ ] the README still")
    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS).replace(*left))
    assert "1 open" in (at.vault / "tide" / "tide.md").read_text()
    at.notes()[0].unlink()

    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS, "and the docs").replace(*left))
    at.drop("copy.jsonl", talk(SESSION, *TWO_ASKS, "and the docs").replace(*left))
    assert at.notes() == []
    index = (at.vault / "tide" / "tide.md").read_text()
    assert "Mend the tide import" in index
    assert " open" not in index

    at.process("a.jsonl", by_name=True)
    assert len(at.notes("5f0c")) == 1


def test_a_note_of_an_earlier_home_is_found_again(desk: Callable[..., Desk], tmp_path: Path) -> None:
    """A lost database makes no second note, wherever the first one stands."""
    at = desk()
    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS))
    at.notes()[0].rename(at.vault / "Mine.md")
    at.rooms.close()
    shutil.rmtree(tmp_path / "home")

    again = desk()
    again.process("a.jsonl")
    assert again.notes() == [at.vault / "Mine.md"]


def test_a_session_has_one_note_in_a_vault(desk: Callable[..., Desk]) -> None:
    """It tells of the transcript that holds most; a renamed one takes the note along."""
    at = desk()
    at.drop("long.jsonl", talk(SESSION, *TWO_ASKS, "and the docs"))
    (note,) = at.notes()
    before = note.read_bytes()

    at.drop("copy.jsonl", talk(SESSION, *TWO_ASKS))
    assert note.read_bytes() == before

    (at.folder / "long.jsonl").rename(at.folder / "renamed.jsonl")
    at.process("renamed.jsonl")
    assert at.notes() == [note]
    assert 'source: "renamed.jsonl"' in note.read_text()


def test_a_vault_that_is_not_there_is_waited_for(desk: Callable[..., Desk]) -> None:
    """None of its notes counts as deleted then, and nothing is written where it is missing."""
    at = desk()
    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS))
    (note,) = at.notes()
    away = at.vault.rename(at.vault.with_name("away"))

    (at.folder / "a.jsonl").write_text(talk(SESSION, *TWO_ASKS, "and the docs"))
    (at.folder / "b.jsonl").write_text(talk("77aa0000-1", *TWO_ASKS))
    for name in ("a.jsonl", "b.jsonl"):
        result = at.process(name)
        assert (result["state"], f"the vault {at.vault} is not there" in result["reason"]) == ("waiting", True)
    with pytest.raises(Waiting):
        write_digest(at.rooms.home, at.rooms.history, at.rooms.budget, at.rooms.settings, MARCH)
    assert not at.vault.exists()

    away.rename(at.vault)
    for name in ("a.jsonl", "b.jsonl"):
        assert at.process(name, by_name=True)["state"] == "done"
    assert [each.name for each in at.notes()] == [note.name, "2026-03-14 Mend the tide import (77aa).md"]
    assert "and the docs" in note.read_text()


def test_two_sessions_never_share_a_name(desk: Callable[..., Desk]) -> None:
    """Day, title and the first characters of the id may be the same."""
    at = desk()
    at.drop("a.jsonl", talk("019e1111-aaaa", *TWO_ASKS))
    at.drop("b.jsonl", talk("019e2222-bbbb", *TWO_ASKS))

    assert [note.name.partition("(")[2] for note in at.notes()] == ["019e).md", "019e2222).md"]


@pytest.mark.parametrize("output", ["beside", "vault"])
def test_a_note_whose_transcript_is_gone_stays_and_says_so(
    desk: Callable[..., Desk], tmp_path: Path, output: str
) -> None:
    """With what a person added to it; and it forgets so when the transcript is back."""
    at = desk("beside" if output == "beside" else f"vault:{tmp_path / 'vault'}")
    text = talk(SESSION, *TWO_ASKS)
    path = at.drop("a.jsonl", text)
    note = next(each for each in tmp_path.rglob("*.md") if each.stem != each.parent.name)
    before = note.read_text() + "\n## Notes\nmine\n"
    note.write_text(before)
    path.unlink()

    at.process("a.jsonl")
    gone = note.read_text()
    assert "\nsource_gone: true\n" in gone
    assert "> The transcript is no longer where it was; this note stays.\n" in gone
    assert gone.endswith("## Notes\nmine\n")
    at.process("a.jsonl")
    assert note.read_text() == gone

    at.drop("a.jsonl", text)
    assert note.read_text() == before


def test_an_edited_note_is_left_alone_when_its_transcript_goes(desk: Callable[..., Desk]) -> None:
    """Nothing of ours is put between a person's words."""
    at = desk()
    path = at.drop("a.jsonl", talk(SESSION, *TWO_ASKS))
    note = at.notes()[0]
    note.write_text(note.read_text().replace("# Mend", "# I mended"))
    before = note.read_bytes()
    path.unlink()

    at.process("a.jsonl")
    assert note.read_bytes() == before


def test_a_copy_beside_gets_its_own_note(desk: Callable[..., Desk]) -> None:
    """From the stored insight: its time is that of the first."""
    at = desk("beside")
    at.drop("a.jsonl", talk(SESSION, *TWO_ASKS))
    (at.folder / "deep").mkdir()
    at.drop("deep/copy.jsonl", talk(SESSION, *TWO_ASKS))

    notes = [(at.folder / f"{name}.jsonl.insights.md").read_text() for name in ("a", "deep/copy")]
    first, second = (note.partition("\n# ")[2] for note in notes)
    assert second.replace("copy.jsonl", "a.jsonl") == first


# Archives


def conversation(name: str, *asks: str, day: int = 1) -> dict[str, Any]:
    """Return a conversation of a ChatGPT export."""
    at, parent = 1_770_000_000.0 + day * 86_400, "root"
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "children": []}}
    texts = [
        text
        for ask in asks
        for text in (("user", ask), ("assistant", f"Answer about {name} to {ask}. I'd go with tea."))
    ]
    for number, (role, text) in enumerate(texts):
        key = f"{name}-{number}"
        content = {"content_type": "text", "parts": [text]}
        message = {"id": key, "author": {"role": role}, "create_time": at + number, "content": content}
        mapping[key] = {"id": key, "parent": parent, "children": [], "message": message}
        parent = key
    return {
        "id": name, "title": f"About {name}", "create_time": at, "update_time": at + 9, "mapping": mapping, "current_node": parent,
    }  # fmt: skip


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob("*.md")}


@pytest.mark.parametrize("output", ["beside", "vault"])
def test_a_new_export_writes_only_what_changed(desk: Callable[..., Desk], tmp_path: Path, output: str) -> None:
    """One note changed, one is new, one became long enough; the others are not touched, nor is a vanished one."""
    at = desk("beside" if output == "beside" else f"vault:{tmp_path / 'vault'}")
    folder = at.folder / "conversations.json.insights" if output == "beside" else at.vault
    old = [conversation(name, "what is it?", "why?") for name in ("alder", "birch", "cedar")]
    at.drop("conversations.json", json.dumps([*old, conversation("dogwood", "hm?")]))
    before = stamps(folder)
    assert sorted(name[:16] for name in before if name[:2] == "20") == [
        "2026-02-03 About", "2026-02-03 About", "2026-02-03 About",
    ]  # fmt: skip

    grown = conversation("birch", "what is it?", "why?", "and when?")
    new = [old[0], grown, conversation("dogwood", "hm?", "well?"), conversation("elm", "who?", "where?", day=2)]
    at.drop("conversations.json", json.dumps(new))
    after = stamps(folder)
    changed = {name.split(" ")[2] for name in after if name[:2] == "20" and after[name] != before.get(name)}
    index = (folder / "index.md" if output == "beside" else folder / "No project" / "No project.md").read_text()
    assert changed == {"birch", "dogwood", "elm"}
    assert before.keys() <= after.keys()
    assert "5 sessions" in index
    assert "[About cedar](" in index

    at.process("conversations.json")
    assert stamps(folder) == after


def test_a_note_tells_of_the_newer_export_when_the_older_one_is_deleted(desk: Callable[..., Desk]) -> None:
    """In a vault it has one note; a conversation that the newer one does not hold says that its transcript is gone."""
    at = desk()
    alder, birch = (conversation(name, "what is it?", "why?") for name in ("alder", "birch"))
    old = at.drop("conversations.json", json.dumps([alder, birch, conversation("cedar", "what?", "why?")]))
    at.drop("conversations (1).json", json.dumps([alder, birch]))
    old.unlink()
    at.process("conversations.json")
    at.process("conversations (1).json")

    texts = {name: at.notes(f"About {name}")[0].read_text() for name in ("alder", "birch", "cedar")}
    assert {name for name, text in texts.items() if "no longer where it was" in text} == {"cedar"}
    assert {name for name, text in texts.items() if 'source: "conversations (1).json"' in text} == {"alder", "birch"}


def test_a_conversation_that_was_renamed_has_its_new_title(desk: Callable[..., Desk]) -> None:
    """In its note, in the index and in the digest; the note keeps its name, and no other note is touched."""
    at = desk("beside")
    alder, birch = (conversation(name, "what is it?", "why?") for name in ("alder", "birch"))
    at.drop("conversations.json", json.dumps([alder, birch]))
    folder = at.folder / "conversations.json.insights"
    before = stamps(folder)

    at.drop("conversations.json", json.dumps([alder, {**birch, "title": "The white tree"}]))
    after = stamps(folder)
    (note,) = folder.glob("*About birch*.md")
    changed = {name for name in after if after[name] != before.get(name)}
    told = at.rooms.history.told(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert changed == {note.name, "index.md"}
    assert "# The white tree" in note.read_text()
    assert "[The white tree](" in (folder / "index.md").read_text()
    assert [each.insight.title for each in told] == ["About alder", "The white tree"]


def test_the_later_export_names_a_conversation(desk: Callable[..., Desk]) -> None:
    """Also while the earlier one is still there, which does not take the name back; other notes are not touched."""
    at = desk()
    alder, birch = (conversation(name, "what is it?", "why?") for name in ("alder", "birch"))
    os.utime(at.drop("conversations.json", json.dumps([alder, birch])), (1_770_000_000,) * 2)
    before = stamps(at.vault)
    at.drop("conversations (1).json", json.dumps([alder, {**birch, "title": "The white tree"}]))
    at.process("conversations.json", by_name=True)

    after = stamps(at.vault)
    (note,) = at.notes("About birch")
    assert "# The white tree" in note.read_text()
    assert {name for name in after if after[name] != before.get(name)} == {note.name, "No project.md"}


def test_the_same_words_in_two_sessions_are_two_sessions(desk: Callable[..., Desk]) -> None:
    """Each has its note with its own title, and its line in the digest; a copy of a transcript without an id has none."""
    at = desk("beside")
    first, second = conversation("alder", "what is it?", "why?"), conversation("alder", "what is it?", "why?", day=2)
    at.drop("conversations.json", json.dumps([first, {**second, "id": "birch", "title": "Again"}]))
    said = [
        {
            "id": nth,
            "type": "message",
            "date_unixtime": f"{1_770_000_000 + nth}",
            "from": who,
            "text": "What is left to do?",
        }
        for nth, who in enumerate(("Ada", "Ben"))
    ]
    for name in ("chat.json", "chat (1).json"):
        at.drop(name, json.dumps({"id": None, "name": "Ada", "type": "personal_chat", "messages": said}))

    told = at.rooms.history.told(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    names = [path.name[:16] for path in (at.folder / "conversations.json.insights").glob("20*.md")]
    assert [each.insight.title for each in told if each.format == "chatgpt_export"] == ["About alder", "Again"]
    assert len([each for each in told if each.format != "chatgpt_export"]) == 1
    assert sorted(names) == ["2026-02-03 About", "2026-02-04 Again"]


def earlier(note: Path) -> str:
    """Return the line that says which note stands before this one."""
    return next((line for line in note.read_text("utf-8").splitlines() if line.startswith("Earlier: ")), "")


def test_a_note_links_the_one_before_it_whatever_the_order(desk: Callable[..., Desk]) -> None:
    """A session that comes in between changes the note after it and no other; the same again changes no byte."""
    at = desk()
    for day in (18, 14, 10):
        at.drop(f"{day}.jsonl", talk(f"{SESSION[:-2]}{day}", f"mend part {day}", "now the tests", day=day))
    first, second, third = at.notes()
    assert earlier(first) == ""
    assert (
        earlier(second)
        == f"Earlier: [Mend part 10]({first.name.replace(' ', '%20').replace('(', '%28').replace(')', '%29')})"
    )
    assert "2026-03-14" in earlier(third)

    before = stamps(at.vault)
    at.drop("16.jsonl", talk(f"{SESSION[:-2]}16", "mend part 16", "now the tests", day=16))
    at.drop("else.jsonl", talk(f"{SESSION[:-2]}99", "the other project", "now the tests", project="ebb", day=17))
    after = stamps(at.vault)
    changed = sorted(name[:10] for name in before if after[name] != before[name])
    assert changed == ["2026-03-18", "tide.md"]
    assert "2026-03-16" in earlier(third)
    assert earlier(at.notes("other project")[0]) == ""

    for name in ("10", "14", "16", "18", "else"):
        at.process(f"{name}.jsonl", by_name=True)
    assert stamps(at.vault) == after


def test_the_link_to_the_note_before_is_no_edit(desk: Callable[..., Desk]) -> None:
    """What an editor makes of it when a note moves stays; a deleted note is not linked, and an edited one is left alone."""
    at = desk()
    for day in (10, 12, 14):
        at.drop(f"{day}.jsonl", talk(f"{SESSION[:-2]}{day}", f"mend part {day}", "now the tests", day=day))
    _, second, third = at.notes()
    second.write_text(
        second.read_text().replace(earlier(second), "Earlier: [mend part 10](old/first.md)") + "\n## Notes\nMine.\n"
    )
    third.write_text(third.read_text().replace("Asked", "Wanted"))
    edited = third.read_text()
    at.drop("12.jsonl", talk(f"{SESSION[:-2]}12", "mend part 12", "now the tests", "and the docs", day=12))
    assert "3 asks" in second.read_text()
    assert earlier(second) == "Earlier: [mend part 10](old/first.md)"
    assert second.read_text().endswith("\n\n## Notes\nMine.\n")

    second.unlink()
    at.drop("13.jsonl", talk(f"{SESSION[:-2]}13", "mend part 13", "now the tests", day=13))
    assert "part%2010" in earlier(at.notes("part 13")[0])
    assert third.read_text() == edited
    assert len(at.notes()) == 3


def test_wikilinks_by_choice_and_no_link_by_choice(desk: Callable[..., Desk]) -> None:
    """`notes.links` decides; a name that a wikilink does not take gets a relative link."""
    at = desk("beside")
    for links, name, wanted in (
        ("wikilinks", "b.jsonl", "Earlier: [Mend part a](a.jsonl.insights.md)"),
        ("markdown", "c#1.jsonl", "Earlier: [Mend part b](b.jsonl.insights.md)"),
        ("wikilinks", "d.jsonl", "Earlier: [Mend part c](c%231.jsonl.insights.md)"),
        ("none", "e.jsonl", ""),
    ):
        at.rooms = structs.replace(at.rooms, settings=structs.replace(at.rooms.settings, note_links=links))
        for each in ("a.jsonl", name):
            at.drop(each, talk(each, f"mend part {each[0]}", day=ord(each[0]) - 90))
        assert earlier(at.folder / f"{name}.insights.md") == wanted


def test_a_vault_may_have_wikilinks(desk: Callable[..., Desk]) -> None:
    """Whatever a name holds, it does nothing: what looks like an address is linked the other way."""
    at = desk()
    at.rooms = structs.replace(at.rooms, settings=structs.replace(at.rooms.settings, note_links="wikilinks"))
    for day, ask in ((10, "mend the tide import!"), (12, "look at www.evil.com and mend it"), (14, "now the docs")):
        at.drop(f"{day}.jsonl", talk(f"{SESSION[:-2]}{day}", ask, "then the tests", day=day))
    _, second, third = at.notes()

    assert earlier(second) == "Earlier: [[2026-03-10 Mend the tide import! (5f0c)]]"
    assert earlier(third).startswith("Earlier: [Look at `www.evil.com` and mend it](2026-03-12%20")


def test_a_forgotten_note_is_named_by_no_other(desk: Callable[..., Desk]) -> None:
    """Its title stood in the note after it."""
    at = desk()
    for day in (10, 12):
        at.drop(f"{day}.jsonl", talk(f"{SESSION[:-2]}{day}", f"mend part {day}", "now the tests", day=day))
    first, second = at.notes()
    assert "part 10" in second.read_text()

    memory = memory_of(at.rooms.store, at.rooms.settings, str(first))
    forget(at.rooms.home, at.rooms.settings, at.rooms.store, memory)
    assert "part 10" not in second.read_text()
