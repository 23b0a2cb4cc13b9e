"""What changed, and when it is at rest. The scan is the truth; an event is a hint where to scan."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import logging
import os
import re
import stat
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from sessiontrackd.config import PRESETS
from sessiontrackd.model import Fingerprint, Folder

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

log = logging.getLogger(__name__)

# What a transcript can be called.
SUFFIXES = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".md",
    ".markdown",
    ".txt",
    ".text",
    ".vtt",
    ".srt",
    ".zip",
    ".gz",
    ".zst",
    ".db",
    ".sqlite",
    ".sqlite3",
)
DOT_NAMES = frozenset({".aider.chat.history.md"})  # tools that hide their transcripts
DOT_FOLDERS = frozenset({".specstory"})
TOOL_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages", "venv", "lost+found"})

ROOT_CHECK_MS = 5_000  # how often a quiet watcher looks whether its folder is still the one it watches
NEW_FOLDER_MS = 1_000  # a new folder is told again then: what was written before its watch stood has no event
OFFLINE_CHECK_S = 1.0
POLL_S = 10.0  # between scans of a folder whose events cannot be had
BACKOFF_FIRST_S, BACKOFF_MOST_S = 1.0, 300.0
GONE = Fingerprint(0, 0, 0, 0)  # of a file that is no longer there
BURST = 4_000  # paths in one hint from which on the whole folder is scanned: the kernel's queue may have overflowed


class Found(Struct, frozen=True):
    """A file whose name can be a transcript's, as it looks now."""

    path: bytes
    fingerprint: Fingerprint


Hint = frozenset[bytes]  # paths to scan
WHOLE: Hint = frozenset({b""})  # the whole folder


class _Sieve:
    """Which names of one folder can be transcripts."""

    def __init__(self, folder: Folder, avoid: Collection[Path] = ()) -> None:
        """Compile the patterns.

        Args:
            folder: what the user chose.
            avoid: folders below it that are others' or hold our reports.
        """
        preset = PRESETS.get(folder.preset or "")
        self._root = os.path.join(os.fspath(folder.path), "")
        self._only = _any_of(preset.only) if preset else None
        self._ignore = _any_of((*folder.ignore, *(preset.ignore if preset else ())))
        self._avoid = frozenset(os.fspath(path) for path in avoid if path != folder.path)

    def takes_file(self, name: str, path: str) -> bool:
        """Say whether a file of this name can be a transcript.

        What editors and browsers write to for the time being never can: its name starts with a dot (.x.md.swp,
        .#x.md, .goutputstream-1) or ends otherwise (x.md~, 4913, x.json.tmp, x.zip.part, x.zip.crdownload).
        """
        lower = name.lower()
        if not lower.endswith(SUFFIXES) or _is_ours(lower) or self._is_ignored(name, path):
            return False
        if name.startswith(".") and name not in DOT_NAMES:
            return False
        return self._only is None or bool(self._only(name) or self._only(path[len(self._root) :]))

    def takes_folder(self, name: str, path: str) -> bool:
        """Say whether there can be transcripts in a folder of this name."""
        if (name.startswith(".") and name not in DOT_FOLDERS) or name in TOOL_FOLDERS or name.endswith(".insights"):
            return False
        return path not in self._avoid and not self._is_ignored(name, path)

    def reaches(self, path: str) -> bool:
        """Say whether a scan from the root would come as far as the folder of `path`."""
        if not path.startswith(self._root):
            return False
        parent, at = path[len(self._root) :].split("/")[:-1], self._root.rstrip("/")
        for name in parent:
            at = f"{at}/{name}"
            if not self.takes_folder(name, at):
                return False
        return True

    def _is_ignored(self, name: str, path: str) -> bool:
        return self._ignore is not None and bool(self._ignore(name) or self._ignore(path[len(self._root) :]))


def _any_of(patterns: Collection[str]) -> Callable[[str], re.Match[str] | None] | None:
    if not patterns:
        return None
    return re.compile("|".join(fnmatch.translate(pattern.rstrip("/")) for pattern in patterns)).match


def _is_ours(lower: str) -> bool:
    """Recognise our reports by name: x.insights.md, and x.insights.2.md beside an edited one."""
    return lower.endswith(".md") and re.search(r"\.insights(\.\d+)?\.md$", lower) is not None


def scan(folder: Folder, below: bytes | None = None, avoid: Collection[Path] = ()) -> Iterator[Found]:
    """Yield every file in a folder whose name can be a transcript's.

    Folders behind links are not entered. What is no regular file is yielded too, so that its job can say why it is
    not read. A folder that is not there yields nothing: nothing is forgotten because a disk is unmounted.

    Args:
        folder: what to look through; `ignore`, `since` and `preset` are obeyed.
        below: only this file, or what is below this folder.
        avoid: folders below it that are left to others.

    Yields:
        Files as they look at that moment, in no order.
    """
    sieve, since_ns = _Sieve(folder, avoid), _since_ns(folder.since)
    for path, status in _walk(sieve, os.fspath(folder.path) if below is None else os.fsdecode(below), below is None):
        if status.st_mtime_ns >= since_ns:
            yield Found(os.fsencode(path), _fingerprint(status))


def _walk(sieve: _Sieve, start: str, is_root: bool) -> Iterator[tuple[str, os.stat_result]]:
    if is_root:
        folders = [start]
    else:
        name = start.rpartition("/")[2]
        status = _lstat(start)
        if status is None or not sieve.reaches(start):
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        if not is_folder and sieve.takes_file(name, start):
            yield start, status
        folders = [start] if is_folder and sieve.takes_folder(name, start) else []
    while folders:
        yield from _entries(sieve, folders.pop(), folders)


def _entries(sieve: _Sieve, folder: str, folders: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files of one folder and put the folders in it on the list."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if sieve.takes_folder(entry.name, entry.path):
                        folders.append(entry.path)
                elif sieve.takes_file(entry.name, entry.path) and (status := _lstat(entry.path)) is not None:
                    yield entry.path, status
    except FileNotFoundError:
        return
    except OSError as error:
        log.debug("%s cannot be looked through: %s", ascii(folder), error.strerror)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def fingerprint(path: bytes) -> Fingerprint | None:
    """Return how a file looks now, without following a link; None where it is not there."""
    status = _lstat(os.fsdecode(path))
    return None if status is None else _fingerprint(status)


def _fingerprint(status: os.stat_result) -> Fingerprint:
    return Fingerprint(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def display(path: bytes) -> str:
    """Write a path for people: what is no UTF-8, no character or not printable stands as an escape."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _since_ns(since: str | None) -> int:
    """Return the time before which transcripts are left alone; a day or time without zone is local."""
    if since is None:
        return -(1 << 63)
    return int(datetime.fromisoformat(since).astimezone(UTC).timestamp()) * 1_000_000_000


def rest_s(seen: Fingerprint, now: datetime, stable_s: float) -> float:
    """Return how long a file must still stand as it is before it may be read.

    Counted from the file's own mtime, so that a slow watcher costs nothing; from now on where that lies in the future.
    """
    age_s = now.timestamp() - seen.mtime_ns / 1e9
    return stable_s if age_s < 0 else max(0.0, stable_s - age_s)


def is_online(folder: Folder) -> bool:
    """Say whether the folder is there: its disk may be unmounted."""
    return folder.path.is_dir()


async def hints(
    folder: Folder, tell: Callable[[Hint], None], *, step_ms: int = 500, avoid: Collection[Path] = ()
) -> None:
    """Tell where something changed, until cancelled.

    Events get lost: what is told is where to look soon, never that nothing else changed. The whole folder is told
    each time watching begins, so that nothing falls between a scan and the first event, and when it is gone. Where events cannot be
    had, the folder is told every POLL_S.

    Args:
        folder: what to watch; it may be missing, and may go and come.
        tell: is called in the event loop.
        step_ms: how long events are gathered.
        avoid: as for `scan`.
    """
    backoff_s, was_there = BACKOFF_FIRST_S, True
    while True:
        identity = _identity(folder.path)
        if identity is None:
            if was_there:
                tell(WHOLE)
            was_there = False
            await asyncio.sleep(OFFLINE_CHECK_S)
            continue
        was_there = True
        started_s = asyncio.get_running_loop().time()
        try:
            await _follow(folder, identity, tell, step_ms, _Sieve(folder, avoid))
            backoff_s = BACKOFF_FIRST_S
            continue
        except (OSError, RuntimeError) as error:  # the watch limit, or a name that is not UTF-8
            log.warning("%s: no events (%s); looking at it every %g s", ascii(str(folder.path)), _brief(error), POLL_S)
        if asyncio.get_running_loop().time() - started_s > BACKOFF_MOST_S:
            backoff_s = BACKOFF_FIRST_S
        await _poll(tell, backoff_s)
        backoff_s = min(backoff_s * 4, BACKOFF_MOST_S)


def _brief(error: Exception) -> str:
    return ascii(str(error))[1:-1][:200]


async def _poll(tell: Callable[[Hint], None], for_s: float) -> None:
    """Stand in for the events for a while."""
    while for_s > 0:
        await asyncio.sleep(min(POLL_S, for_s))
        tell(WHOLE)
        for_s -= POLL_S


async def _follow(
    folder: Folder, identity: tuple[int, int], tell: Callable[[Hint], None], step_ms: int, sieve: _Sieve
) -> None:
    """Pass events on until the folder is no longer the one that is watched."""
    stop = threading.Event()
    loop = asyncio.get_running_loop()
    pool = ThreadPoolExecutor(1, "watch")  # its own: the default one has few threads, and this one is always busy
    try:
        with await loop.run_in_executor(pool, _arm, folder.path) as watcher:
            tell(WHOLE)
            new_folders: Hint = frozenset()
            while _identity(folder.path) == identity:
                wait_ms = NEW_FOLDER_MS if new_folders else ROOT_CHECK_MS
                found = await loop.run_in_executor(pool, watcher.watch, 3 * step_ms, step_ms, wait_ms, stop)
                hint = _hint(found, sieve) if isinstance(found, set) else frozenset()
                if hint is WHOLE:
                    tell(WHOLE)
                elif hint or new_folders:
                    tell(hint | new_folders)
                new_folders = _folders(hint)
    finally:
        stop.set()
        pool.shutdown(wait=False)


def _folders(places: Hint) -> Hint:
    return frozenset(place for place in places if os.path.isdir(place))


def _arm(path: Path) -> RustNotify:
    from watchfiles._rust_notify import RustNotify

    return RustNotify([os.fspath(path)], False, False, 0, True, True)


def _hint(found: set[tuple[int, str]], sieve: _Sieve) -> Hint:
    """Turn events into places to scan: none where none of them can concern a transcript."""
    if len(found) >= BURST:
        return WHOLE
    places = set()
    for _, path in found:
        name = path.rpartition("/")[2]
        if not sieve.reaches(path):
            continue
        is_folder = sieve.takes_folder(name, path) and not name.lower().endswith(SUFFIXES) and os.path.isdir(path)
        if is_folder or sieve.takes_file(name, path):
            with contextlib.suppress(UnicodeEncodeError):
                places.add(os.fsencode(path))
    return frozenset(places)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
