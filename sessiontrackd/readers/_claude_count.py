"""Counting the records of Claude Code fast: what is usual is done in one loop, the rest as when messages are wanted."""

from __future__ import annotations

from sessiontrackd.readers._claude import Conversation, Spent
from sessiontrackd.readers._claude_records import CALLS, MACHINE_MARKERS, SYNTHETIC, Record
from sessiontrackd.readers._claude_usual import Asked, AskedBlock, Reply
from sessiontrackd.records import BROKEN, Lines, decoder_of, parse_time

STAMP_CHARS = 24  # 2026-01-15T05:22:39.792Z: such times are in order as text
MARKS = frozenset(mark[0] for mark in MACHINE_MARKERS) | frozenset(" \n\t\r\f\v")
RESULT, PROMPT, REPLY = range(1, 4)
NOTHING = (0, 0, 0, 0, 0)


def count_all(talk: Conversation, lines: Lines[Record]) -> bool:
    """Let a conversation that wants figures only take all records.

    Returns:
        Whether the figures can be used: not if a time is among the records that is none.
    """
    uuids, results, decode = talk.uuids, talk.results, decoder_of(Reply | Asked).decode
    first, last, session_id, users, prompts, replies, usual_lines = "", "", "", 0, 0, 0, 0
    for number, line in lines.physical():
        try:
            record = decode(line)
            kind = _kind(record)
        except BROKEN:
            kind = 0
        if not kind:
            for one in lines.records_of(line):
                for _ in talk.take(one, number):
                    pass
            continue
        usual_lines += 1
        known = hash(record.uuid)
        if known in uuids:
            talk.counts["dup_uuids"] += 1
            continue
        uuids.add(known)
        if record.session_id != session_id or record.agent_id is not None or talk.figures.project is None:
            talk.identify(record)
            session_id = record.session_id
        stamp = record.timestamp
        if stamp > last:
            first, last = first or stamp, stamp
        elif stamp < first:
            first = stamp
        if kind == REPLY:
            replies += 1
            _reply(talk, record)
        elif kind == RESULT:
            users += 1
            results.add(record.message.content[0].tool_use_id)
        else:
            prompts += 1
    lines.lines += usual_lines
    talk.figures.human_turns += prompts
    return _told(talk, users + prompts, replies, (first, last))


def _kind(record: Reply | Asked) -> int:
    """Say what it is if it is usual; else 0."""
    if record.is_sidechain or not record.uuid or len(record.timestamp) != STAMP_CHARS:
        return 0
    if type(record) is Reply:
        return REPLY if record.message.id and record.request_id and record.message.model != SYNTHETIC else 0
    assert type(record) is Asked
    text = record.message.content
    if type(text) is list:
        block = text[0] if len(text) == 1 else _NO_BLOCK
        if block.type == "tool_result" and block.tool_use_id:
            return RESULT
        text = block.text if block.type == "text" else ""
    if not text or text[0] in MARKS or record.is_meta or record.is_compact_summary:
        return 0
    return 0 if record.is_visible_in_transcript_only or record.origin else PROMPT


_NO_BLOCK = AskedBlock()


def _reply(talk: Conversation, record: Reply) -> None:
    """Count what a usual reply used, and its calls."""
    said, tokens = record.message, record.message.usage
    output, written = tokens.output_tokens, tokens.cache_creation_input_tokens
    tokens_sum = tokens.input_tokens + output + tokens.cache_read_input_tokens + written
    key = (said.id, record.request_id)
    spent = talk.replies.get(key)
    if spent is None:
        talk.counts["output_first_wins"] += output
        spent = talk.replies[key] = Spent(-1, NOTHING, "", None, None, sidechain=True)
    if spent.sidechain:
        talk.turns[0].add(said.id)
        spent.sidechain = False
    if said.model not in talk.figures.models:
        talk.figures.used(said.model)
    if spent.tokens_sum <= tokens_sum:
        parts = tokens.cache_creation
        hour = min(written, parts.ephemeral_1h_input_tokens) if written and parts is not None else 0
        spent.counts = (tokens.input_tokens, output, tokens.cache_read_input_tokens, written - hour, hour)
        if spent.tokens_sum < tokens_sum:
            spent.tokens_sum = tokens_sum
            if tokens_sum:
                talk.counted_turns.add(said.id)
        if spent.version != record.version:
            spent.version = talk.same(record.version)
    for block in said.content:
        if block.id and block.type in CALLS:
            talk.calls[0].add(block.id)


def _told(talk: Conversation, users: int, replies: int, span: tuple[str, str]) -> bool:
    """Add up what the loop counted; say whether first and last are times."""
    for kind, number in (("user", users), ("assistant", replies)):
        if number:
            talk.types[kind] += number
        talk.counts["main_records"] += number
    talk.counts["assistant_records"] += replies
    moments = [parse_time(stamp) for stamp in span] if users + replies else []
    for moment in moments:
        talk.figures.saw(moment)
    return None not in moments
