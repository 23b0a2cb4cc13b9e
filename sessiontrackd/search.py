"""Full text over what was read: redacted, bounded, in a file of its own beside the database."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from sessiontrackd.contracts import OpenSession
from sessiontrackd.errors import StoreDamaged
from sessiontrackd.model import Finding, Insight, Message, Origin, Role, Session, ToolCall
from sessiontrackd.patterns import WIDE
from sessiontrackd.privacy import Redactor
from sessiontrackd.records import pack, unpack
from sessiontrackd.store import Schema, Store, open_store

FILE = "search.db"
KEPT_CHARS = {Role.USER: 3_000, Role.ASSISTANT: 1_500}
"""Of one message its beginning is kept; a person's words are the ones that are looked for."""
CALL_CHARS = 160
"""Of one tool call: its name and the first line of what it was called with."""
MARGIN_CHARS = 4_096
"""What is looked at behind the cut, so that a secret that is cut in half is still recognised."""
SESSION_CHARS = 400_000
"""Of one session; what comes later is not found."""
SNIPPET_CHARS = 160
SHOWN_MATCHES = 3
SHIFT = 20  # a row's number is the session's, shifted, and the message's
TITLE = 0  # the number that stands for title and findings
_MAIN_ARGUMENTS = ("command", "file_path", "path", "pattern", "query", "url")
_CALL = "⚙"  # before a tool call
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SCHEMA = Schema(
    "search",
    (
        """
CREATE TABLE heard (                   -- a session whose words can be looked for
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL UNIQUE,
    source BLOB NOT NULL,
    format TEXT NOT NULL,
    project TEXT,
    title TEXT NOT NULL,
    started_at INTEGER,                -- milliseconds since 1970
    content_sha256 TEXT NOT NULL,      -- of what was read, and of what was found in it
    body BLOB NOT NULL                 -- [[message, role, text], ...] as JSON, deflated; redacted
) STRICT;
CREATE INDEX heard_source ON heard (source);
CREATE VIRTUAL TABLE said USING fts5 (text, content = '', tokenize = "unicode61 remove_diacritics 2");
""",
        # Every session is a segment of the index; merging four at a time writes each word again and again.
        "INSERT INTO said (said, rank) VALUES ('automerge', 16);",
        # Sixty-four at once write each word more seldom still, and are looked up as fast.
        "INSERT INTO said (said, rank) VALUES ('automerge', 0), ('crisismerge', 64);",
    ),
)


class _Kept(msgspec.Struct, gc=False):
    """The beginning of a message and, one a line, what its tools were called with, not redacted yet."""

    index: int
    role: Role
    origin: Origin
    speaker: str | None
    text: str
    calls: str
    most_chars: int  # so much of its text is kept


def _redacted(kept: Sequence[_Kept], redactor: Redactor) -> list[str]:
    """Return the texts of messages with their private parts replaced, then cut; the tool calls are lines of them."""
    parts = [part for one in kept for part in ((one.text, one.most_chars), (one.calls, len(one.calls))) if part[0]]
    texts = iter(redactor.cut_each(parts))
    return [_joined(next(texts) if one.text else "", next(texts) if one.calls else "") for one in kept]


def _joined(said: str, calls: str) -> str:
    said = _plain(said.strip())
    if not calls:
        return said
    lines = [f"{_CALL} {line[:CALL_CHARS]}" for line in _plain(calls).split("\n") if line]
    return "\n".join([said, *lines] if said else lines)


class Heard(Struct):
    """The beginnings of a session's messages, kept while it streams past; not redacted yet."""

    kept: list[_Kept] = []
    chars: int = 0

    def listening(self, opened: OpenSession) -> OpenSession:
        """Return the session with its messages kept as they pass."""
        return OpenSession(self._steps(opened))

    def _steps(self, opened: OpenSession) -> Generator[Message, None, Session]:
        for message in opened:
            if message.origin in (Origin.HUMAN, Origin.MODEL) and self.chars < SESSION_CHARS:
                self._keep(message)
            yield message
        return opened.close()

    def _keep(self, message: Message) -> None:
        most_chars = KEPT_CHARS.get(message.role, 0)
        text = message.text[: most_chars + MARGIN_CHARS].strip()
        calls = [line for call in message.tool_calls if (line := _call_line(call))]
        if text or calls:
            kept_chars = min(len(text), most_chars)
            about = (message.index, message.role, message.origin, message.speaker)
            self.kept.append(_Kept(*about, text, "\n".join(calls), kept_chars))
            self.chars += kept_chars + sum([min(len(line), CALL_CHARS) for line in calls])

    def cited(self, insight: Insight, redactor: Redactor, most: int) -> list[Message]:
        """Return the messages that an insight rests on, redacted, in their order; not more than so many."""
        wanted = {number for finding in insight.findings for number in _numbers(finding)}
        found = [each for each in self.kept if each.index in wanted][:most]
        return [
            Message(each.index, each.role, each.origin, text, speaker=each.speaker)
            for each, text in zip(found, _redacted(found, redactor), strict=True)
        ]


def _plain(text: str) -> str:
    """Return a text that SQLite and UTF-8 can hold."""
    if text.isascii():  # as most are; the rest of the way takes ten times as long
        return text.replace("\0", " ")
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def _numbers(finding: Finding) -> Iterator[int]:
    yield from finding.messages
    for part in finding.parts:
        yield from _numbers(part)


def _call_line(call: ToolCall) -> str:
    """Return a tool's name and the first line of what it was called with."""
    for name in _MAIN_ARGUMENTS:
        said = call.arguments.get(name)
        if isinstance(said, str):
            first = said.strip().partition("\n")[0][: CALL_CHARS + MARGIN_CHARS]
            return f"{call.name} {' '.join(first.split())}" if first else ""
    return ""


class Match(Struct, frozen=True):
    """A message that was found: its number (0: title and findings), its role and the words around the find."""

    message: int
    role: str
    snippet: str


class Hit(Struct, frozen=True):
    """A session that was found; paths are what the kernel takes."""

    session_id: str
    source: bytes
    format: str
    project: str | None
    title: str
    started_at: datetime | None
    matches: tuple[Match, ...]


class Search:
    """The words of the sessions of a home.

    Args:
        store: opened with SCHEMA.
    """

    def __init__(self, store: Store) -> None:
        """Keep the store."""
        self._store = store

    @classmethod
    def open(cls, state_dir: Path) -> Search:
        """Open the file of a home; make it if it is missing, or damaged: it can be made again, so nothing waits for it."""
        try:
            return cls(open_store(state_dir / FILE, SCHEMA))
        except StoreDamaged:
            for end in ("", "-wal", "-shm"):
                (state_dir / f"{FILE}{end}").unlink(missing_ok=True)
            return cls(open_store(state_dir / FILE, SCHEMA))

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def keep(
        self, session: Session, source: bytes, heard: Heard, insight: Insight | None, *, key: str, title: str,
        project: str | None, personal: bool,
    ) -> bool:  # fmt: skip
        """Let the words of a session be found; return whether anything changed.

        Args:
            session: read to its end.
            source: its transcript.
            heard: what was kept of its messages.
            insight: what was found in it, redacted.
            key: the sha256 of what was read.
            title: redacted.
            project: the folder's setting; else the recorded one.
            personal: replace personal data, too.
        """
        key = f"{key} {insight.engine} {insight.level} {insight.made_at}" if insight else key
        known = self._store.one("SELECT * FROM heard WHERE session_id = ?", (session.session_id,))
        if known is not None and (known["content_sha256"] == key or _is_shorter(known, source, heard)):
            return False
        redactor = Redactor(personal=personal)
        rows: list[tuple[int, str, str]] = [(TITLE, "", _plain(_found_text(title, insight)))]
        texts = _redacted(heard.kept, redactor)
        rows += [(one.index, one.role, text) for one, text in zip(heard.kept, texts, strict=True)]
        started_at = None if session.started_at is None else (session.started_at - _EPOCH) // timedelta(milliseconds=1)
        body = pack(msgspec.json.encode(rows))
        names = (session.format, None if project is None else _plain(project), _plain(title))
        values = (session.session_id, source, *names, started_at, key, body)
        with self._store.immediate() as connection:
            self._drop(known)
            number = connection.execute(
                "INSERT INTO heard VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id", values
            ).fetchone()[0]
            connection.executemany("INSERT INTO said (rowid, text) VALUES (?, ?)", _indexed(number, rows))
        return True

    def find(self, words: Sequence[str], *, limit: int = 10, project: str | None = None) -> list[Hit]:
        """Return the sessions that hold all of the words, best first: those first where one message holds them all.

        Args:
            words: each a word, a beginning (`migrat*`) or, with spaces, a phrase.
            limit: at most so many sessions.
            project: only of this one.
        """
        terms = [term for term in map(_term, words) if term]
        if not terms:
            return []
        scores: dict[int, list[int]] = {}
        for query in (" AND ".join(terms), " OR ".join(terms)):
            holding = None if " OR " not in query else set.intersection(*map(self._sessions, terms))
            for row in self._store.read("SELECT rowid FROM said WHERE said MATCH ? ORDER BY rank", (query,)):
                number, message = row[0] >> SHIFT, row[0] & ((1 << SHIFT) - 1)
                if holding is None or number in holding:
                    scores.setdefault(number, []).append(message)
            if len(scores) >= limit or len(terms) == 1:
                break
        hits = (self._hit(number, messages, terms) for number, messages in scores.items())
        chosen = (hit for hit in hits if hit and project in (None, hit.project))
        return [hit for hit, _ in zip(chosen, range(limit), strict=False)]

    def forget(self, *, session_ids: Sequence[str] = (), source: bytes | None = None) -> int:
        """Remove the words of sessions and of a transcript, from the file's free pages too; return how many sessions."""
        rows = [*self._store.read("SELECT * FROM heard WHERE source = ?", (source,))]
        for session_id in session_ids:
            rows += self._store.read("SELECT * FROM heard WHERE session_id = ?", (session_id,))
        found = {row["id"]: row for row in rows}
        with self._store.immediate() as connection:
            for row in found.values():
                self._drop(row)
            if found:
                connection.execute("INSERT INTO said (said) VALUES ('optimize')")
        if found:
            self._store.scrub()
        return len(found)

    def _sessions(self, term: str) -> set[int]:
        return {row[0] >> SHIFT for row in self._store.read("SELECT rowid FROM said WHERE said MATCH ?", (term,))}

    def _drop(self, row: Any) -> None:
        """Take a session out of the index; it must be told the very words that it was given."""
        if row is None:
            return
        with self._store.immediate() as connection:
            gone = [(number, text) for number, text in _indexed(row["id"], _rows(row))]
            connection.executemany("INSERT INTO said (said, rowid, text) VALUES ('delete', ?, ?)", gone)
            connection.execute("DELETE FROM heard WHERE id = ?", (row["id"],))

    def _hit(self, number: int, messages: Sequence[int], terms: Sequence[str]) -> Hit | None:
        row = self._store.one("SELECT * FROM heard WHERE id = ?", (number,))
        if row is None:
            return None
        texts = {message: (role, text) for message, role, text in _rows(row)}
        numbers = sorted(dict.fromkeys(messages), key=lambda each: each == TITLE)[:SHOWN_MATCHES]
        matches = (Match(each, texts[each][0], _snippet(texts[each][1], terms)) for each in numbers if each in texts)
        at = None if row["started_at"] is None else _EPOCH + timedelta(milliseconds=row["started_at"])
        return Hit(row["session_id"], row["source"], row["format"], row["project"], row["title"], at, tuple(matches))


def _is_shorter(known: Any, source: bytes, heard: Heard) -> bool:
    """Say whether another transcript of the same session is kept already and holds more."""
    return known["source"] != source and len(_rows(known)) > len(heard.kept) + 1


def _rows(row: Any) -> list[list[Any]]:
    rows: list[list[Any]] = msgspec.json.decode(unpack(row["body"]))
    return rows


def _indexed(number: int, rows: Sequence[Sequence[Any]]) -> Iterator[tuple[int, str]]:
    """Yield what goes into the index: one row a message, characters of scripts without spaces apart."""
    for message, _, text in rows:
        if message < 1 << SHIFT:
            is_narrow = text.replace(_CALL, "").isascii()  # as most are
            yield (number << SHIFT) + message, text if is_narrow else WIDE.sub(r" \g<0> ", text)


def _found_text(title: str, insight: Insight | None) -> str:
    if insight is None:
        return title
    texts = (each.text for each in insight.findings if each.origin == "model")
    return "\n".join(dict.fromkeys((title, insight.title, insight.summary, *insight.keywords, *texts)))


def _term(word: str) -> str:
    """Return what FTS5 looks for: a phrase in quotes, with nothing that could be taken for its syntax."""
    is_beginning = word.endswith("*")
    inner = re.sub(r"[^\w]+", " ", WIDE.sub(r" \g<0> ", word)).strip().replace("_", " ").strip()
    return f'"{inner}"{"*" if is_beginning else ""}' if inner else ""


def _snippet(text: str, terms: Sequence[str]) -> str:
    """Return one line around the first of the words."""
    line = " ".join(text.split())
    low = line.casefold()
    firsts = (
        re.sub(r"\s+", "", term.strip('"*')) if WIDE.search(term) else term.strip('"*').split()[0] for term in terms
    )
    places = [at for word in firsts if (at := low.find(word.casefold())) >= 0]
    start = max(0, min(places, default=0) - SNIPPET_CHARS // 3)
    cut = line[start : start + SNIPPET_CHARS]
    return f"{'…' if start else ''}{cut.strip()}{'…' if start + SNIPPET_CHARS < len(line) else ''}"
