"""What a scan finds, when a file is at rest, and that events only say where to look."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sessiontrackd import watch
from sessiontrackd.model import Fingerprint, Folder

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def put(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def names(found: Iterator[watch.Found], root: Path) -> list[str]:
    return sorted(os.fsdecode(each.path).removeprefix(f"{root}/") for each in found)


def test_a_scan_finds_what_can_be_a_transcript_at_any_depth(root: Path) -> None:
    """By its name alone; reading decides later."""
    wanted = [
        "a.jsonl",
        "b/c/d.md",
        "b/E.TXT",
        "e.jsonl.gz",
        "f.zip",
        ".aider.chat.history.md",
        ".specstory/history/g.md",
    ]
    put(root, *wanted, "h.py", "noext", "i.png")

    assert names(watch.scan(Folder(root)), root) == sorted(wanted)


def test_a_scan_leaves_alone_what_others_are_still_writing(root: Path) -> None:
    """Editors' and browsers' names for the time being."""
    put(
        root,
        ".a.md.swp",
        "a.md~",
        "4913",
        ".#a.md",
        "a.md.tmp",
        "a.zip.part",
        "a.zip.crdownload",
        ".goutputstream-X1.md",
    )
    put(root, "a.zip.download/a.zip.1", ".a.jsonl.icloud", "#a.md#", "a.json.tmp-123")

    assert names(watch.scan(Folder(root)), root) == []


def test_a_scan_leaves_alone_what_we_made_and_what_tools_keep(root: Path) -> None:
    """Our reports, version control, packages."""
    put(
        root,
        "a.jsonl.insights.md",
        "a.jsonl.insights.2.md",
        "c.json.insights/1.md",
        ".git/x.md",
        "node_modules/p/README.md",
    )
    put(root, ".venv/x.md", "insights.md")

    assert names(watch.scan(Folder(root)), root) == ["insights.md"]


def test_the_users_patterns_match_names_and_paths(root: Path) -> None:
    """A pattern of a name, of a path, and of a folder."""
    put(root, "keep.md", "draft-1.md", "old/a.md", "sub/old/b.md", "cache/c.md")
    folder = Folder(root, ignore=("draft-*", "old/*", "cache/"))

    assert names(watch.scan(folder), root) == ["keep.md", "sub/old/b.md"]


def test_a_preset_takes_only_its_tools_files(root: Path) -> None:
    """What else lies in the tool's folder is left alone."""
    put(
        root,
        "-home-x/5f0c.jsonl",
        "-home-x/notes.md",
        "-home-x/5f0c/subagents/agent-1.jsonl",
        "-home-x/5f0c/journal.jsonl",
    )

    found = names(watch.scan(Folder(root, preset="claude-code")), root)
    assert found == ["-home-x/5f0c.jsonl", "-home-x/5f0c/subagents/agent-1.jsonl"]


def test_older_transcripts_are_left_alone_where_the_user_said_so(root: Path) -> None:
    """`since` looks at the file's own time."""
    put(root, "old.md", "new.md")
    os.utime(root / "old.md", (NOW.timestamp() - 86_400,) * 2)
    os.utime(root / "new.md", (NOW.timestamp(),) * 2)

    assert names(watch.scan(Folder(root, since="2026-03-14T00:00:00+00:00")), root) == ["new.md"]
    assert len(names(watch.scan(Folder(root, since="2026-03-13")), root)) == 2


def test_no_link_is_followed(root: Path, tmp_path: Path) -> None:
    """A link to a folder is not entered; a link to a file is named, so that its job can say why it is not read."""
    outside = tmp_path / "outside"
    put(outside, "secret.md")
    (root / "loop").symlink_to(root)
    (root / "away").symlink_to(outside)
    (root / "link.md").symlink_to(outside / "secret.md")

    found = list(watch.scan(Folder(root)))
    assert [each.path for each in found] == [os.fsencode(root / "link.md")]
    assert found[0].fingerprint.inode == (root / "link.md").lstat().st_ino


def test_what_is_no_file_does_not_stop_a_scan(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes and sockets are looked at, never opened."""
    os.mkfifo(root / "pipe.jsonl")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(root)  # a socket's path is short
        server.bind("sock.jsonl")
        put(root, "a.md")

        assert names(watch.scan(Folder(root)), root) == ["a.md", "pipe.jsonl", "sock.jsonl"]


def test_names_that_are_not_utf8_are_found_as_bytes(root: Path) -> None:
    """Also below a folder with such a name, and with 255 bytes."""
    folder = os.fsencode(root) + b"/\xff\xfe"
    os.mkdir(folder)
    long = b"\xc3\xa4" * 124 + b"12.json"
    for name in (b"\xe9.md", long):
        Path(os.fsdecode(folder + b"/" + name)).write_text("x")

    assert {each.path for each in watch.scan(Folder(root))} == {folder + b"/\xe9.md", folder + b"/" + long}


def test_a_missing_folder_is_offline_and_yields_nothing(root: Path) -> None:
    """An unmounted disk is no reason to forget."""
    gone = Folder(root / "gone")

    assert not watch.is_online(gone)
    assert list(watch.scan(gone)) == []
    assert watch.is_online(Folder(root))


def test_a_scan_below_a_place_sees_what_a_whole_scan_would(root: Path) -> None:
    """A hint about an ignored place finds nothing."""
    put(root, "a.md", "b/c.md", ".git/x.md", "other/y.md", "a.md.insights.md")
    folder = Folder(root)

    def below(name: str, avoid: tuple[Path, ...] = ()) -> list[str]:
        return names(watch.scan(folder, os.fsencode(root / name), avoid), root)

    assert below("a.md") == ["a.md"]
    assert below("b") == ["b/c.md"]
    assert below("b/c.md") == ["b/c.md"]
    for name in (".git", ".git/x.md", "gone.md", "a.md.insights.md"):
        assert below(name) == []
    assert below("other/y.md", (root / "other",)) == []
    assert names(watch.scan(folder, avoid=(root / "other",)), root) == ["a.md", "b/c.md"]
    assert list(watch.scan(folder, b"/etc/x.md")) == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (b"/a b/\xc3\xa4.md", "/a b/ä.md"),
        (b"/\xff.md", "/\\xff.md"),
        (b"/a\nb\x1b[1m", "/a\\nb\\x1b[1m"),
        ("/\u202ex".encode(), "/\\u202ex"),
    ],
)
def test_a_path_is_shown_without_surprises(path: bytes, shown: str) -> None:
    """No line break, escape sequence or change of direction reaches a terminal, and no surrogate SQLite."""
    assert watch.display(path) == shown


def test_a_changed_file_has_another_fingerprint(root: Path) -> None:
    """Size, time and inode tell; a file that is gone has none."""
    put(root, "a.md")
    path = os.fsencode(root / "a.md")
    before = watch.fingerprint(path)
    assert before is not None
    assert watch.fingerprint(path) == before

    (root / "a.md").write_text("xy")
    assert watch.fingerprint(path) != before
    (root / "a.md").unlink()
    assert watch.fingerprint(path) is None


@pytest.mark.parametrize(
    ("age_s", "rest_s"), [(0.0, 2.0), (1.5, 0.5), (2.0, 0.0), (3600.0, 0.0), (-5.0, 2.0), (-1e9, 2.0)]
)
def test_rest_is_counted_from_the_files_own_time(age_s: float, rest_s: float) -> None:
    """A time in the future says nothing, so the whole rest is waited for."""
    at = NOW - timedelta(seconds=age_s)
    seen = Fingerprint(1, 1, 1, int(at.timestamp() * 1e9))

    assert watch.rest_s(seen, NOW, 2.0) == pytest.approx(rest_s)


def follow(folder: Folder, steps: Callable[[], Iterator[bytes]]) -> None:
    """Run the hints of a folder; each step changes something and names the path that must be told."""

    async def run() -> None:
        told: asyncio.Queue[watch.Hint] = asyncio.Queue()
        task = asyncio.ensure_future(watch.hints(folder, told.put_nowait, step_ms=50))
        try:
            for wanted in steps():
                async with asyncio.timeout(10):
                    while wanted not in await told.get():
                        pass
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_hint_names_the_file_that_changed(root: Path) -> None:
    """A transcript, also in a new folder; what cannot be one wakes nobody."""

    def steps() -> Iterator[bytes]:
        yield b""  # watching begins with a look at everything
        put(root, "a.insights.md", "x.py", ".git/a.md")
        put(root, "a.md")
        yield os.fsencode(root / "a.md")
        (root / "new").mkdir()
        yield os.fsencode(root / "new")
        put(root, "new/b.jsonl")
        yield os.fsencode(root / "new/b.jsonl")

    follow(Folder(root), steps)


def test_a_new_folder_is_told_twice(root: Path) -> None:
    """What was written into it before its watch stood has no event of its own."""

    def steps() -> Iterator[bytes]:
        yield b""
        put(root, "a/b/c/d.md")
        yield os.fsencode(root / "a")
        yield os.fsencode(root / "a")

    follow(Folder(root), steps)


def test_a_folder_that_is_made_again_is_watched_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its old watch is dead without an error, so the folder's identity is looked at."""
    monkeypatch.setattr(watch, "ROOT_CHECK_MS", 50)
    monkeypatch.setattr(watch, "OFFLINE_CHECK_S", 0.02)

    def steps() -> Iterator[bytes]:
        yield b""
        root.rmdir()
        root.with_name("placeholder").mkdir()  # keeps the inode from being used again
        root.mkdir()
        yield b""
        put(root, "a.md")
        yield os.fsencode(root / "a.md")

    follow(Folder(root), steps)


def test_a_name_that_is_not_utf8_does_not_end_the_watch(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It kills the watcher: the folder is looked at as a whole, and watched again."""
    monkeypatch.setattr(watch, "POLL_S", 0.05)
    monkeypatch.setattr(watch, "BACKOFF_FIRST_S", 0.05)

    def steps() -> Iterator[bytes]:
        yield b""
        Path(os.fsdecode(os.fsencode(root) + b"/\xff.md")).write_text("x")
        yield b""
        put(root, "a.md")
        yield os.fsencode(root / "a.md")

    follow(Folder(root), steps)


def test_a_burst_of_events_means_look_at_everything(root: Path) -> None:
    """The kernel's queue may have overflowed without a word."""
    events = {(1, f"{root}/{number}.md") for number in range(watch.BURST)}

    assert watch._hint(events, watch._Sieve(Folder(root))) == watch.WHOLE
