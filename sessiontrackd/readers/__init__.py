"""The register of formats: which reader recognises a file, and what it reads from it.

A format is one module of this package with NAME, `recognises(source)` and `read(source)`, and one line in READERS.
Another package adds one under the entry point group `sessiontrackd.readers`.
"""

from __future__ import annotations

import importlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from sessiontrackd.contracts import Reader
from sessiontrackd.errors import NotAConversation, NotReadYet
from sessiontrackd.model import Session, Trail, Transcript
from sessiontrackd.readers import _inspect
from sessiontrackd.records import Source, open_source

READERS = (
    "claude_code",
    "codex",
    "gemini_cli",
    "copilot_cli",
    "pi",
    "copilot_chat",
    "opencode",
    "claude_code_web",
    "chatgpt_export",
    "claude_ai_export",
    "sharegpt",
    "openai_messages",
    "llm",
    "slack_export",
    "messenger_export",
    "webvtt",
    "srt",
    "specstory",
    "cursor",
    "aider",
    "meeting",
    "not_read_yet",
)
"""In the order in which they are asked: the surest signs first."""
GROUP = "sessiontrackd.readers"
ROWS = ("sharegpt", "openai_messages")
DATA_SET_ROWS = 100  # a person's own export has fewer in one file of these formats
__all__ = [
    "READERS", "all_readers", "follow", "inspect_document", "is_data_set", "others", "read", "recognise",
    "subagent_paths",
]  # fmt: skip


def all_readers() -> Iterator[Reader]:
    """Yield our readers in order, then those of other packages; each is imported when its turn comes."""
    yield from map(_own, READERS)
    yield from others()


@cache
def _own(name: str) -> Reader:
    return cast("Reader", importlib.import_module(f"{__name__}.{name}"))


@cache
def others() -> tuple[Reader, ...]:
    """Return the readers of other packages."""
    from importlib.metadata import entry_points

    return tuple(point.load() for point in entry_points(group=GROUP))


def recognise(source: Source) -> Reader | None:
    """Return the reader of the format that the content shows; None for a file of another kind."""
    return next((reader for reader in all_readers() if reader.recognises(source)), None)


def read(transcript: Source | Path) -> Transcript:
    """Return what is in a file. One of another kind gives a Transcript that says so, with a reason in `warnings`.

    Raises:
        Skipped, Unreadable: it cannot be read at all.
        NotReadYet: a known format without a reader.
    """
    source = transcript if isinstance(transcript, Source) else open_source(transcript)
    reader = recognise(source)
    if reader is None:
        return _none(source, "no conversation format is recognised in it")
    try:
        return reader.read(source)
    except NotAConversation as reason:
        return _none(source, str(reason))


def is_data_set(source: Source) -> bool:
    """Say whether a file holds so many rows that it is a data set rather than somebody's conversations."""
    reader = recognise(source)
    if reader is None or reader.NAME not in ROWS:
        return False
    return sum(1 for _ in itertools.islice(reader.read(source).sessions, DATA_SET_ROWS)) == DATA_SET_ROWS


def subagent_paths(source: Source, session: Session) -> Iterator[Path]:
    """Yield the files that may hold the sub-agents of a session, if its format has such files."""
    reader = next((one for one in all_readers() if session.format == one.NAME), None)
    find: Callable[[Source, Session], Iterable[Path]] | None = getattr(reader, "subagent_paths", None)
    if find is not None and not session.details.get("subagent"):
        yield from (path for path in find(source, session) if path != source.path)


def follow(source: Source, trail: Trail, name: str) -> Session | None:
    """Return what a transcript has gained behind a place, with its usage; None where the format cannot tell."""
    reader = next((one for one in all_readers() if name == one.NAME), None)
    read_on: Callable[[Source, Trail], Session] | None = getattr(reader, "follow", None)
    return read_on(source, trail) if read_on is not None and source.is_plain else None


def _none(source: Source, reason: str) -> Transcript:
    return Transcript(source.path, None, False, iter(()), [reason])


def inspect_document(path: Path) -> dict[str, Any]:
    """Return what `inspect --json` prints; a link that a person names is followed.

    Raises:
        JobError: the file cannot be read at all.
    """
    source = open_source(Path(os.path.realpath(path)))
    source.only_figures = True
    try:
        transcript = read(source)
    except NotReadYet as reason:
        transcript = _none(source, str(reason))
    return {**_inspect.document(source, transcript), "path": str(path)}
