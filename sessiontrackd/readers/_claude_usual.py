"""Lines of Claude Code as nearly all are, decoded as far as counting needs them; what does not fit is taken as a Record."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=0, le=2**48)]
"""A count of tokens without doubt."""


class Usual(Struct, gc=False, rename="camel", kw_only=True, tag_field="type"):
    """What both kinds have."""

    uuid: str
    session_id: str = ""
    timestamp: str
    cwd: str = ""
    version: str = ""
    agent_id: str | None = None
    is_sidechain: bool | None = None


class Creation(Struct, gc=False):
    """The part of the tokens written to the cache that stays there for an hour."""

    ephemeral_1h_input_tokens: Count = 0


class UsualTokens(Struct, gc=False):
    """Counts that are counts."""

    input_tokens: Count
    output_tokens: Count
    cache_creation_input_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_creation: Creation | None = None


class SaidBlock(Struct, gc=False):
    """A block of a reply: calls have an id."""

    type: str = ""
    id: str = ""


class UsualSaid(Struct, gc=False):
    """The message of a reply."""

    id: str
    model: str
    usage: UsualTokens
    content: list[SaidBlock]


class Reply(Usual, gc=False, kw_only=True, rename="camel", tag="assistant"):
    """A line of a reply."""

    request_id: str
    message: UsualSaid


class AskedBlock(Struct, gc=False):
    """A block of what the user's side says."""

    type: str = ""
    text: str = ""
    tool_use_id: str = ""


class UsualAsked(Struct, gc=False):
    """The message of a line of the user's side."""

    content: list[AskedBlock] | str = ""


class Asked(Usual, gc=False, kw_only=True, rename="camel", tag="user"):
    """A line of the user's side: a prompt or the result of a tool."""

    is_meta: bool | None = None
    is_compact_summary: bool | None = None
    is_visible_in_transcript_only: bool | None = None
    origin: Any = None
    message: UsualAsked
