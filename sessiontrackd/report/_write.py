"""Writing a note: whole or not at all, and never over what a person wrote."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from sessiontrackd.errors import Failed, Waiting
from sessiontrackd.report import _front, _kept
from sessiontrackd.report._place import numbered, version

WRITTEN = "written"
UNCHANGED = "unchanged"
BESIDE = "beside"
MAX_NOTE_BYTES = 8_000_000
"""A file larger than this is none of our notes."""
MAX_VERSIONS = 99
FULL_DISK_DELAY_S = 300.0


class Written(Struct, frozen=True):
    """What became of a note: `written`, `unchanged`, or `beside` an edited one; `path` is where it stands now."""

    path: Path
    outcome: str


def write(path: Path, text: str, *, mode: int = 0o600, of_many: bool = False) -> Written:
    """Put a note in its place.

    A note that a person edited, or a file that is not ours, is left alone: the new version lands beside it as `….2.md`.

    Args:
        path: where it belongs.
        text: the whole note; what a person added to the present one is carried over into it.
        mode: the permissions of its source, which the note never exceeds.
        of_many: its source holds other sessions too: a change of theirs is no reason to write.

    Raises:
        Waiting: the disk is full.
        Failed: the place cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 | _searchable(mode))
        for number in range(version(path), MAX_VERSIONS + 1):
            target = numbered(path, number)
            outcome, text = _put(target, text, mode, ("source_sha256",) if of_many else ())
            if outcome is not None:
                return Written(target, BESIDE if number > 1 and outcome == WRITTEN else outcome)
    except OSError as error:
        raise _reason(error, path) from error
    raise Failed(
        f"{path}: {MAX_VERSIONS} edited versions stand there. Move some of them away, then process the transcript again."
    )


def _put(target: Path, text: str, mode: int, but: tuple[str, ...]) -> tuple[str | None, str]:
    """Write one version; the outcome is None where something stands there that is not ours to change.

    Returns:
        The outcome, and the text for the next version: with what a person ticked and added in this one.
    """
    while True:
        present = _present(target)
        new = text
        if present is not None:
            old = _kept.taken_apart(present.text)
            if old is None or not old.is_ours:
                return None, text
            if old.is_edited:
                is_known = _front.recorded_sha256(old.front) == _new_sha256(text)
                return UNCHANGED if is_known else None, _kept.carried_over(present.text, text, with_notes=False)
            new = _kept.carried_over(present.text, text)
            if new == present.text or _kept.says_the_same(new, present.text, but=but):
                return UNCHANGED, text
        if _replace(target, new, mode & present.mode if present else mode, present):
            return WRITTEN, text


def change(path: Path, make: Callable[[str], str | None]) -> bool:
    """Change a note of ours unless it was edited; return whether it was changed.

    Args:
        path: the note; nothing is done where there is none.
        make: returns the new text of a note, or None where it is to stay as it is.

    Raises:
        Waiting: the disk is full.
        Failed: the place cannot be written.
    """
    try:
        present = _present(path)
        kept = _kept.taken_apart(present.text) if present else None
        if present is None or kept is None or not kept.is_ours or kept.is_edited:
            return False
        new = make(present.text)
        return new is not None and _replace(path, new, present.mode, present)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _reason(error, path) from error


def has_own_words(path: Path) -> bool:
    """Say whether a person edited a note of ours, or wrote into it."""
    present = _present(path)
    kept = _kept.taken_apart(present.text) if present else None
    return kept is not None and kept.is_ours and (kept.is_edited or bool(kept.notes.strip()))


def remove_unedited(path: Path) -> bool:
    """Remove a note of ours in which a person wrote nothing; return whether it was there."""
    present = _present(path)
    kept = _kept.taken_apart(present.text) if present else None
    if kept is None or not kept.is_ours or has_own_words(path):
        return False
    path.unlink()
    return True


class _Present(Struct, frozen=True):
    """A file that stands where the note belongs."""

    text: str
    mode: int
    stamp: tuple[int, int, int]


_STRANGER = _Present("", 0, (0, 0, 0))
"""Something that is no note: a folder, a pipe, a link, a file of bytes."""


def _present(target: Path) -> _Present | None:
    """Read what stands there; None where nothing does."""
    try:
        handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        os.lstat(target)  # raises where the folder itself cannot be used
        return _STRANGER
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_NOTE_BYTES:
        os.close(handle)
        return _STRANGER
    with open(handle, "rb") as stream:
        try:
            return _Present(stream.read().decode("utf-8"), stat.S_IMODE(state.st_mode), _stamp(state))
        except UnicodeDecodeError:
            return _STRANGER


def _stamp(state: os.stat_result) -> tuple[int, int, int]:
    """Return what changes when somebody writes the file."""
    return state.st_ino, state.st_size, state.st_mtime_ns


def _new_sha256(text: str) -> str | None:
    """Return the digest that the new note's front matter records."""
    parts = _front.split(text)
    return _front.recorded_sha256(parts[0]) if parts else None


def _replace(target: Path, text: str, mode: int, present: _Present | None) -> bool:
    """Write beside and rename; False where somebody else wrote the file meanwhile."""
    temporary = target.with_name(f".sessiontrackd-{secrets.token_hex(8)}.tmp")
    try:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode & 0o666)
        with open(handle, "wb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            _sync(handle)
        if not _is_as_before(target, present):
            os.unlink(temporary)
            return False
        os.rename(temporary, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)
    return True


def _is_as_before(target: Path, present: _Present | None) -> bool:
    """Tell whether the place is still as it was read."""
    try:
        state = os.lstat(target)
    except FileNotFoundError:
        return present is None
    return present is not None and _stamp(state) == present.stamp


def _sync(handle: int) -> None:
    """Make written bytes durable: fsync alone does not on macOS."""
    if sys.platform == "darwin":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    """Make the rename durable, where the file system can sync a folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            _sync(handle)
    finally:
        os.close(handle)


def _searchable(mode: int) -> int:
    """Return the permissions of a folder that match a file's: those who may read may also search."""
    return (mode & 0o666) | ((mode & 0o444) >> 2)


def _reason(error: OSError, path: Path) -> Exception:
    """Say what happened, what it means and what to do."""
    why = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Waiting(
            f"no room for the report in {path.parent}: {why}. It is written when there is room again.",
            FULL_DISK_DELAY_S,
        )
    return Failed(
        f"cannot write the report to {path.parent}: {why}. Make the folder writable, or choose another place with `watch add --output vault:DIR`."
    )
