"""Look at transcripts without touching anything: `inspect` and `show`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from sessiontrackd import history, readers, report
from sessiontrackd.cli._command import command, existing, existing_store, json_option, path_type
from sessiontrackd.cli._screen import count, cut, local_time, print_json, print_table, safe, safe_block, size
from sessiontrackd.contracts import OpenSession
from sessiontrackd.errors import NotAConversation, UsageError
from sessiontrackd.model import Message, Origin, Session, ToolCall

NEIGHBOURS = 2  # messages before and after the one that was asked for
RESULT_LINES = 6  # of a tool's result, half from its head and half from its tail
LINE_CELLS = 120
MAIN_ARGUMENTS = ("command", "file_path", "path", "pattern", "query", "url")


@command("inspect", example="sessiontrackd inspect ~/.claude/projects/app/5f0c.jsonl --json")
@click.argument("path", type=path_type)
@json_option
def inspect(path: Path, as_json: bool) -> None:
    """Show what is read from a transcript: format, sessions, turns, tokens, warnings."""
    existing(path)
    document = readers.inspect_document(path)
    if as_json:
        print_json(document)
    else:
        _print_inspection(document)


def _print_inspection(document: dict[str, Any]) -> None:
    if not document["is_conversation"]:
        click.echo(f"{safe(document['path'])}: not a conversation")
    else:
        click.echo(f"{safe(document['path'])}: {document['format']}, {count(len(document['sessions']), 'session')}")
        click.echo()
        print_table(
            ("session", "started", "asks", "replies", "tools", "tokens in", "out", "title"),
            [_session_row(session) for session in document["sessions"]],
            right=(2, 3, 4, 5, 6),
        )
    for warning in document["warnings"]:
        click.echo(f"warning: {safe(warning)}")


def _session_row(session: dict[str, Any]) -> tuple[str, ...]:
    usage = session["usage"]
    taken = given = "?"
    if usage is not None:
        inputs = usage["input_tokens"] + usage["cache_read_tokens"] + usage["cache_write_tokens"]
        mark = "" if usage["complete"] else "+"
        taken, given = f"{inputs:,}{mark}", f"{usage['output_tokens']:,}{mark}"
    return (
        cut(session["session_id"], 13),
        local_time(datetime.fromisoformat(session["started_at"]) if session["started_at"] else None),
        str(session["human_turns"]),
        str(session["assistant_turns"]),
        str(session["tool_calls"]),
        taken,
        given,
        session["title"] or "–",
    )


class Place(NamedTuple):
    """A transcript, and the message in it that was asked for."""

    path: Path
    message: int | None


@command("show", example="sessiontrackd show talk.jsonl#m12\nsessiontrackd show conversations.json --session 5f0c")
@click.argument("place", metavar="PATH[#m12]")
@click.option("--session", "session_id", metavar="ID", help="Session to show, by the beginning of its ID.")
@click.option("--around", default=NEIGHBOURS, show_default=True, help="Number of messages shown before and after #m12.")
@json_option
def show(place: str, session_id: str | None, around: int, as_json: bool) -> None:
    """Print the messages of a transcript; with #m12, that message and its neighbours. PATH may also be its note.

    Messages appear as they are in your file: nothing is redacted on your own screen.
    """
    wanted, session_id = _of_note(_parse_place(place), session_id)
    transcript = readers.read(existing(wanted.path))
    if not transcript.is_conversation:
        raise NotAConversation(f"{wanted.path} is not a conversation, so there is nothing to show.")
    found, is_there = [], False
    for opened in transcript.sessions:
        messages = list(_near(opened, wanted.message, around))
        session = opened.close()  # its id and title are known at its end only
        is_wanted = session.session_id.startswith(session_id or "")
        is_there |= is_wanted
        if messages and is_wanted:
            found.append(_session_document(session, messages))
            if not as_json:
                _print_session(session, messages, wanted.message)
    if not found:
        raise UsageError(_not_found(wanted, session_id, is_there))
    if as_json:
        print_json({"path": str(wanted.path), "sessions": found})


def _parse_place(text: str) -> Place:
    """Split `talk.jsonl#m12`, unless a file of that very name exists."""
    found = re.fullmatch(r"(.+)#m([1-9][0-9]{0,9})", text, re.DOTALL)
    if found is None or Path(text).exists():
        return Place(Path(text), None)
    return Place(Path(found[1]), int(found[2]))


def _of_note(wanted: Place, session_id: str | None) -> tuple[Place, str | None]:
    """Return the transcript and the session that a note of ours tells of, where a note was named."""
    path = wanted.path.absolute()
    about = report.session_at(path) if path.is_file() else None
    if about is None:
        return wanted, session_id
    with existing_store(history.SCHEMA) as store:
        known = history.Reports(store).of(about) if store else []
    known.sort(key=lambda note: note.path != os.fsencode(path))
    source = next((note.source for note in known if note.source and os.path.exists(note.source)), None)
    if source is None:
        raise UsageError(f"The transcript of {wanted.path} is not known or no longer there, so it cannot be shown.")
    return Place(Path(os.fsdecode(source)), wanted.message), session_id or about


def _not_found(wanted: Place, session_id: str | None, is_there: bool) -> str:
    if session_id and not is_there:
        return (
            f"{wanted.path} holds no session {session_id}, or no longer; `sessiontrackd inspect` lists what there is."
        )
    what = f"message m{wanted.message}" if wanted.message else "message"
    where = f"session {session_id}" if session_id else str(wanted.path)
    return f"There is no {what} in {where}; `sessiontrackd inspect` lists what there is."


def _print_session(session: Session, messages: list[Message], index: int | None) -> None:
    began = f", {local_time(session.started_at)}" if session.started_at else ""
    about = f"{session.session_id}{began}"
    # Many tools record no title; the note's is made of the first ask, which follows.
    heading = f"{session.title}  ({about})" if session.title else about
    click.secho(f"── {safe(heading)}", bold=True)
    for message in messages:
        click.echo(_message_text(message, index))


def _session_document(session: Session, messages: list[Message]) -> dict[str, Any]:
    return {
        "session_id": session.session_id,
        "title": session.title,
        "messages": [
            {
                "index": each.index,
                "role": each.role.value,
                "origin": each.origin.value,
                "speaker": each.speaker,
                "at": each.at and each.at.isoformat(),
                "text": each.text,
                "tool_calls": [
                    {name: getattr(call, name) for name in ("name", "arguments", "result", "failed")}
                    for call in each.tool_calls
                ],
            }
            for each in messages
        ],
    }


def _near(messages: OpenSession, index: int | None, around: int) -> Iterator[Message]:
    for message in messages:
        if index is None or abs(message.index - index) <= around:
            yield message


def _message_text(message: Message, index: int | None) -> str:
    """Return one message: who and when, what was said, which tools were called and what came back."""
    who = message.speaker or message.role.value
    if message.origin not in {Origin.HUMAN, Origin.MODEL}:
        who += f", {message.origin.value}"
    when = f"  {local_time(message.at)}" if message.at else ""
    mark = "→ " if message.index == index else ""
    head = click.style(f"{mark}[m{message.index}] {safe(who)}{when}", fg="cyan", bold=message.index == index)
    parts = ["", head]
    if message.text.strip():
        parts.append(safe_block(message.text.strip("\n")))
    parts += [_call_text(call) for call in message.tool_calls]
    return "\n".join(parts)


def _call_text(call: ToolCall) -> str:
    lines = [f"  ⚙ {safe(call.name)}{' ✗' if call.failed else ''}  {cut(safe(_main_argument(call)), LINE_CELLS)}"]
    if call.result and call.result.strip():
        result = [f"    {cut(line.rstrip(), LINE_CELLS)}" for line in safe_block(call.result.strip("\n")).split("\n")]
        if len(result) > RESULT_LINES or call.result_cut_at is not None:
            result[RESULT_LINES // 2 : -RESULT_LINES // 2] = [f"    … {size(call.result_bytes)} in all"]
        lines += result
    return "\n".join(lines)


def _main_argument(call: ToolCall) -> str:
    """Return what tells most about a call: its command or file, else all of its arguments."""
    for name in MAIN_ARGUMENTS:
        value = call.arguments.get(name)
        if isinstance(value, str):
            return value
    return json.dumps(dict(call.arguments), ensure_ascii=False, default=str)
