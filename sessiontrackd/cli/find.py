"""Look for words in what was read: `search`."""

from __future__ import annotations

import os
import shlex
from typing import Any

import click

from sessiontrackd import history
from sessiontrackd.cli._command import command, current_home, existing_store, json_option
from sessiontrackd.cli._screen import between_words, count, local_time, print_json, safe, terminal_width
from sessiontrackd.errors import UsageError
from sessiontrackd.history import Reports
from sessiontrackd.search import FILE, Hit, Match, Search


@command(
    "search",
    example="sessiontrackd search tide import\nsessiontrackd search 'exit status' --project agentv --json\n"
    "sessiontrackd search 'migrat*'",
)
@click.argument("words", nargs=-1, required=True, metavar="WORDS...")
@click.option(
    "--limit", type=click.IntRange(1), default=10, show_default=True, help="Maximum number of sessions to list."
)
@click.option("--project", metavar="NAME", help="Only sessions of this project.")
@json_option
def search(words: tuple[str, ...], limit: int, project: str | None, as_json: bool) -> None:
    """Find the sessions that contain all of the words. A quoted word with spaces is a phrase, `migrat*` a prefix."""
    if not any(each.isalnum() for word in words for each in word):
        raise UsageError("There is nothing to search for: a word needs letters or digits.")
    hits = [(hit, _note(hit)) for hit in _hits(words, limit, project)]
    if as_json:
        print_json({"query": list(words), "results": [_document(hit, note) for hit, note in hits]})
        return
    for hit, note in hits:
        _print(hit, note)
    click.echo(f"{count(len(hits), 'session')} found." if hits else _nothing())


def _hits(words: tuple[str, ...], limit: int, project: str | None) -> list[Hit]:
    state_dir = current_home().state_dir
    if not (state_dir / FILE).exists():
        return []
    found = Search.open(state_dir)
    try:
        return found.find(words, limit=limit, project=project)
    finally:
        found.close()


def _nothing() -> str:
    is_empty = not (current_home().state_dir / FILE).exists()
    return "Nothing has been read yet. Start with: sessiontrackd watch add DIR" if is_empty else "Nothing was found."


def _note(hit: Hit) -> str | None:
    """Return the note of a session, of the transcript that was found first."""
    with existing_store(history.SCHEMA) as store:
        notes = Reports(store).of(hit.session_id) if store else []
    notes.sort(key=lambda note: note.source != hit.source)
    return next((_text(note.path) for note in notes if os.path.exists(note.path)), None)


def _document(hit: Hit, note: str | None) -> dict[str, Any]:
    return {
        "session_id": hit.session_id,
        "title": hit.title,
        "project": hit.project,
        "format": hit.format,
        "started_at": hit.started_at.isoformat() if hit.started_at else None,
        "source": _text(hit.source),
        "note": note,
        "matches": [
            {"message": each.message or None, "role": each.role or None, "snippet": each.snippet, "show": _shown(hit, each)}
            for each in hit.matches
        ],
    }  # fmt: skip


def _print(hit: Hit, note: str | None) -> None:
    day = local_time(hit.started_at)[:10] if hit.started_at else "undated"
    click.secho(f"{day}  {safe(hit.title or 'Untitled')}", bold=True, nl=False)
    click.echo(f"  ({safe(hit.project or 'no project')}, {hit.format})")
    for each in hit.matches:
        line = f"{f'm{each.message}' if each.message else 'found'}: {safe(each.snippet)}"
        click.echo("  " + "\n    ".join(between_words(line, terminal_width() - 4)))
    if note:
        click.echo(f"  note: {safe(note)}")
    if os.path.exists(hit.source):
        click.echo(f"  show: sessiontrackd show {safe(_shown(hit, hit.matches[0] if hit.matches else None))}")
    click.echo()


def _shown(hit: Hit, match: Match | None) -> str:
    """Return what to give `show` so that it prints the message that was found."""
    place = f"{_text(hit.source)}#m{match.message}" if match and match.message else _text(hit.source)
    return f"{shlex.quote(place)} --session {shlex.quote(hit.session_id)}"


def _text(path: bytes) -> str:
    return path.decode("utf-8", "replace")
