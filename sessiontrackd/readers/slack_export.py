"""Slack's export: a zip of CHANNEL/YYYY-MM-DD.json, a session for each channel."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sessiontrackd.errors import Unreadable
from sessiontrackd.model import Origin, Role, Transcript
from sessiontrackd.readers._figures import Figures
from sessiontrackd.readers._timeline import Timeline
from sessiontrackd.readers._transcript import Notes, Steps, many_sessions
from sessiontrackd.records import Document, Source, as_text, decode_raw, parse_time

NAME = "slack_export"
DAY = re.compile(r"(?:^|.*/)([^/]+)/\d{4}-\d{2}-\d{2}\.json")
INDEXES = {"users.json", "channels.json", "groups.json", "dms.json", "mpims.json", "integration_logs.json"}
_LINKED = re.compile(r"<((?:https?|mailto):[^<>|\s]+)(?:\|([^<>]*))?>")
_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")


class Said(Struct):
    """One message."""

    user: Any = None
    type: Any = None
    subtype: Any = None
    text: Any = None
    ts: Any = None


class User(Struct):
    """One member of the workspace."""

    id: Any = None
    name: Any = None
    real_name: Any = None


def recognises(source: Source) -> bool:
    """Say whether day files of channels stand in the zip."""
    members = source.members
    days = sum(DAY.fullmatch(name) is not None for name in members)
    indexed = any(name.rpartition("/")[2] in INDEXES for name in members)
    return days > 0 and (indexed or days * 2 > len(members))


def read(source: Source) -> Transcript:
    """Return the transcript: a session for each channel."""
    return many_sessions(source, NAME, _sessions)


def _sessions(source: Source, notes: Notes) -> Iterator[Steps]:
    days = [(found[1], name) for name in source.members if (found := DAY.fullmatch(name))]
    notes.details.update(day_files=len(days), messages=0, users=0, subtypes={})
    names, seen, kinds = _names(source), set[str](), Counter[str]()
    for channel, group in itertools.groupby(sorted(days), key=lambda one: one[0]):
        yield _steps(source, channel, [name for _, name in group], notes, (names, seen, kinds))


def _names(source: Source) -> dict[str, str]:
    names: dict[str, str] = {}
    for member in source.members:
        if member.rpartition("/")[2] == "users.json":
            for raw in Document(source.of_member(member)).elements():
                user = decode_raw(raw, User)
                if user is not None and as_text(user.id):
                    names[user.id] = as_text(user.real_name) or as_text(user.name) or user.id
    return names


def _steps(
    source: Source,
    channel: str,
    days: list[str],
    notes: Notes,
    shared: tuple[dict[str, str], set[str], Counter[str]],
) -> Steps:
    names, seen, kinds = shared
    figures, timeline = Figures(title=channel), Timeline()
    for day in days:
        try:
            for raw in Document(source.of_member(day)).elements():
                said = decode_raw(raw, Said)
                if said is not None:
                    notes.details["messages"] += 1
                    seen.update((said.user,) if as_text(said.user) else ())
                    kinds[str(said.subtype or said.type)] += 1
                    _tell(said, names, figures, timeline)
                    yield from timeline.ready()
        except Unreadable as error:
            notes.warnings.append(f"{day} was left out: {error}")
    yield from timeline.rest()
    notes.details.update(users=len(seen), subtypes=dict(kinds))
    return figures.session(channel, NAME)


def _tell(said: Said, names: dict[str, str], figures: Figures, timeline: Timeline) -> None:
    at = parse_time(_seconds(said.ts))
    figures.saw(at)
    text = said.text if isinstance(said.text, str) else ""
    text = _MENTION.sub(lambda found: "@" + names.get(found[1], found[1]), text)
    text = _plain(text) if "&" in text or "<" in text else text
    human = as_text(said.user) is not None and said.subtype in (None, "thread_broadcast", "file_share", "me_message")
    figures.human_turns += human
    if human:
        timeline.say(Role.USER, Origin.HUMAN, text, at=at, speaker=names.get(said.user, said.user))
    elif text:
        timeline.say(Role.SYSTEM, Origin.META, text, at=at)


def _plain(text: str) -> str:
    """Return a message without Slack's marks around links, and with the three signs that it writes as entities."""
    text = _LINKED.sub(lambda found: f"{found[2]} ({found[1]})" if found[2] else found[1], text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _seconds(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None
