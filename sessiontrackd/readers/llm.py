"""llm, Simon Willison's tool: `llm logs --json`, its Markdown, and logs.db with old and new tables."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from sessiontrackd.errors import NotAConversation, Unreadable
from sessiontrackd.model import Origin, Role, Transcript, Usage, UsageRecord
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._rows import rows
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions
from sessiontrackd.records import Source, as_text, clean_text, count, parse_time

NAME = "llm"
COLUMNS = {"conversation_id", "prompt", "response", "datetime_utc"}
OLD_TABLES = {"conversations", "responses"}
NEW_TABLES = {"threads", "turns", "messages", "parts"}
TABLES = "select name from sqlite_master where type = 'table'"
OLD_ROWS = """
select r.id, r.model, r.prompt, r.response, r.conversation_id, c.name as conversation_name, r.datetime_utc,
       {tokens}
from responses r left join conversations c on c.id = r.conversation_id
where r.conversation_id is ? order by r.datetime_utc, r.id
"""
OLD_CONVERSATIONS = "select conversation_id from responses group by conversation_id order by min(datetime_utc), min(id)"
NEW_CONVERSATIONS = "select thread_id from turns group by thread_id order by min(datetime_utc), min(id)"
NEW_ROWS = """
with recursive said(turn, hash, parent, role, stop, depth) as (
  select t.id, m.hash, m.parent_hash, m.role, t.parent_message_hash, 0
    from turns t join messages m on m.hash = t.tip_message_hash where t.thread_id is :thread
  union all
  select s.turn, m.hash, m.parent_hash, m.role, s.stop, s.depth + 1
    from said s join messages m on m.hash = s.parent
   where s.depth < 1000 and s.parent is not s.stop
),
texts as (
  select s.turn, s.role, s.depth, p.position, p.text
    from said s join parts p on p.message_hash = s.hash where p.type = 'text' and p.text is not null
   order by s.turn, s.depth desc, p.position
)
select t.id, coalesce(t.resolved_model, t.model) as model, t.thread_id as conversation_id,
       h.name as conversation_name, t.datetime_utc, t.input_tokens, t.output_tokens,
       (select group_concat(text, char(10)) from texts x where x.turn = t.id and x.role = 'user') as prompt,
       (select group_concat(text, char(10)) from texts x where x.turn = t.id and x.role = 'assistant') as response
from turns t left join threads h on h.id = t.thread_id
where t.thread_id is :thread order by t.datetime_utc, t.id
"""
HEADING = re.compile(r"^# (\d{4}-\d{2}-\d{2}T[\d:]+)(?:\s+conversation: (\S+)(?: id: (\S+))?)?\s*$")
SECTION = re.compile(r"^##? ?#?(Prompt|Response|System|Token usage|Options|Schema|Reasoning):?\s*$")
MODEL = re.compile(r"^Model: \*\*([^*]+)\*\*")
TOKENS = re.compile(r"(?<![\d,])([\d,]+) (input|output)")


class Exchange(Struct):
    """One prompt and its response."""

    id: Any = None
    model: Any = None
    prompt: Any = None
    response: Any = None
    conversation_id: Any = None
    conversation_name: Any = None
    datetime_utc: Any = None
    input_tokens: Any = None
    output_tokens: Any = None


def recognises(source: Source) -> bool:
    """Say whether exchanges with prompt and response stand in it."""
    shape = source.shape
    if shape.kind == "sqlite":
        return any(tables <= set(_tables(source)) for tables in (OLD_TABLES, NEW_TABLES))
    if shape.kind == "text":
        return _is_markdown(source)
    return shape.kind in ("array", "object", "lines") and shape.keys >= COLUMNS


def _is_markdown(source: Source) -> bool:
    head = source.head.decode("utf-8", "replace")
    first = head.lstrip().partition("\n")[0]
    return HEADING.match(first) is not None and re.search(r"^##? ?Prompt", head, re.MULTILINE) is not None


def read(source: Source) -> Transcript:
    """Return the transcript: a session for each conversation."""
    if source.shape.kind == "sqlite":
        return many_sessions(source, NAME, lambda source, _: _of_database(source))
    return many_sessions(source, NAME, _of_file)


def _of_file(source: Source, notes: Notes) -> Iterator[Steps]:
    """Group by conversation: the newest often come first, and others between."""
    exchanges = _of_markdown(source) if source.shape.kind == "text" else rows(source, Exchange, notes)
    groups: dict[str, list[Exchange]] = {}
    for number, one in enumerate(exchanges, 1):
        groups.setdefault(as_text(one.conversation_id) or as_text(one.id) or f"{number}", []).append(one)
    for conversation_id, group in groups.items():
        ordered = sorted(group, key=lambda one: str(one.datetime_utc))
        yield _steps(conversation_id, iter(ordered))


def _of_markdown(source: Source) -> Iterator[Exchange]:
    exchange, section = None, ""
    for line in source.text_lines():
        heading, begun = HEADING.match(line), SECTION.match(line)
        if heading is not None:
            if exchange is not None:
                yield exchange
            known = heading[2] or (exchange.conversation_id if exchange is not None else None)
            exchange = Exchange(heading[3], exchange.model if exchange else None, "", "", known, None, f"{heading[1]}Z")
            section = ""
        elif begun is not None:
            section = begun[1]
        elif exchange is not None:
            _add(exchange, section, line)
    if exchange is not None:
        yield exchange


def _add(exchange: Exchange, section: str, line: str) -> None:
    if section == "Prompt":
        exchange.prompt += f"{line}\n"
    elif section == "Response":
        exchange.response += f"{line}\n"
    elif section == "Token usage":
        for number, kind in TOKENS.findall(line):
            setattr(exchange, f"{kind}_tokens", int(number.replace(",", "")))
    elif not section and (found := MODEL.match(line)):
        exchange.model = found[1]


# the database


def _connect(source: Source) -> sqlite3.Connection:
    """Open the database where it stands: what is recent is in the -wal file beside it."""
    name = quote(os.fsencode(source.path.absolute()))
    return sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=2.0)


def _tables(source: Source) -> list[str]:
    try:
        with closing(_connect(source)) as db:
            return [name for (name,) in db.execute(TABLES)]
    except sqlite3.Error:
        return []


def _of_database(source: Source) -> Iterator[Steps]:
    tables = set(_tables(source))
    seen: set[str] = set()
    try:
        with closing(_connect(source)) as db:
            db.row_factory = sqlite3.Row
            db.text_factory = lambda data: data.decode("utf-8", "replace")
            if tables >= NEW_TABLES:
                yield from _conversations(db, NEW_CONVERSATIONS, NEW_ROWS, seen)
            if tables >= OLD_TABLES:
                yield from _conversations(db, OLD_CONVERSATIONS, _old_rows(db), seen)
    except sqlite3.DatabaseError as error:
        raise Unreadable(f"{source.display} cannot be read as a database of llm: {error}.") from error
    if not seen:
        raise NotAConversation(f"{source.display} is a database of llm without a conversation in it.")


def _old_rows(db: sqlite3.Connection) -> str:
    columns = {row["name"] for row in db.execute("select name from pragma_table_info('responses')")}
    has_tokens = {"input_tokens", "output_tokens"} <= columns
    return OLD_ROWS.format(
        tokens="r.input_tokens, r.output_tokens" if has_tokens else "null as input_tokens, null as output_tokens"
    )


def _conversations(db: sqlite3.Connection, which: str, what: str, seen: set[str]) -> Iterator[Steps]:
    for (key,) in db.execute(which).fetchall():
        name = str(key) if key is not None else "without-conversation"
        if name not in seen:
            seen.add(name)
            found = db.execute(what, {"thread": key} if ":thread" in what else (key,))
            yield _steps(name, (Exchange(**{one: row[one] for one in row.keys()}) for row in found))  # noqa: SIM118


def _steps(conversation_id: str, exchanges: Iterator[Exchange]) -> Steps:
    figures, timeline = Figures(), Timeline()
    for number, one in enumerate(exchanges, 1):
        _take(one, f"{conversation_id}#{number}", figures, timeline)
        yield from timeline.ready()
    yield from timeline.rest()
    return figures.session(conversation_id, NAME)


def _take(one: Exchange, place: str, figures: Figures, timeline: Timeline) -> None:
    at, known = parse_time(one.datetime_utc), as_text(one.id) or place
    figures.saw(at)
    figures.used(one.model)
    figures.title = figures.title or as_text(one.conversation_name)
    figures.human_turns += 1
    figures.assistant_turns += 1
    usage = None
    if type(one.input_tokens) is int or type(one.output_tokens) is int:
        usage = Usage(count(one.input_tokens), count(one.output_tokens))
        figures.usage_records.append(UsageRecord(known, None, as_text(one.model), at, usage))
    figures.incomplete |= usage is None or not usage.total_tokens
    timeline.say(Role.USER, Origin.HUMAN, _text(one.prompt), at=at)
    facts = {"model": as_text(one.model), "message_id": known, "usage": usage}
    timeline.say(Role.ASSISTANT, Origin.MODEL, _text(one.response), at=at, **facts)


def _text(value: object) -> str:
    return clean_text(value).strip("\n") if isinstance(value, str) else ""
