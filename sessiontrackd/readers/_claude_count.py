"""Counting the records of Claude Code fast: what is usual is done in one loop, the rest as when messages are wanted."""

from __future__ import annotations

from sessiontrackd.readers._claude import Conversation
from sessiontrackd.readers._claude_records import CALLS, MACHINE_MARKERS, SYNTHETIC, Brief, BriefBlock, Record
from sessiontrackd.records import BROKEN, Lines, decoder_of, parse_time

STAMP_CHARS = 24  # 2026-01-15T05:22:39.792Z: such times are in order as text
NEVER = "~"  # behind every time
MARKS = frozenset(mark[0] for mark in MACHINE_MARKERS) | frozenset(" \n\t\r\f\v")
RESULT, PROMPT, REPLY = range(1, 4)


def count_all(talk: Conversation, lines: Lines[Record]) -> bool:
    """Let a conversation that wants figures only take all records.

    Returns:
        Whether the figures can be used: not if a time is among the records that is none.
    """
    uuids, results, decode = talk.uuids, talk.results, decoder_of(Brief).decode
    first, last, session_id, users, prompts, replies, usual_lines = NEVER, "", "", 0, 0, 0, 0
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
        if not first <= stamp <= last:
            first, last = min(first, stamp), max(last, stamp)
        if kind == RESULT:
            users += 1
            results.add(record.message.content[0].tool_use_id)
        elif kind == PROMPT:
            prompts += 1
        else:
            replies += 1
            _reply(talk, record)
    lines.lines += usual_lines
    talk.figures.human_turns += prompts
    return _told(talk, users + prompts, replies, (first, last))


def _kind(record: Brief) -> int:
    """Say what it is if it is usual; else 0."""
    if record.is_sidechain or not record.uuid or len(record.timestamp) != STAMP_CHARS:
        return 0
    said = record.message
    if record.type == "assistant":
        tokens = said.usage
        is_whole = said.id and record.request_id and said.model != SYNTHETIC and type(said.content) is list
        return REPLY if is_whole and tokens.input_tokens is not None and tokens.output_tokens is not None else 0
    if record.type != "user":
        return 0
    text = said.content
    if type(text) is list:
        block = text[0] if len(text) == 1 else _NO_BLOCK
        if block.type == "tool_result" and block.tool_use_id:
            return RESULT
        text = block.text if block.type == "text" else ""
    if not text or text[0] in MARKS or record.is_meta or record.is_compact_summary:
        return 0
    return 0 if record.is_visible_in_transcript_only or record.origin else PROMPT


_NO_BLOCK = BriefBlock()


def _reply(talk: Conversation, record: Brief) -> None:
    """Count what a usual reply used, and its calls."""
    said, replies = record.message, talk.replies
    tokens, key = said.usage, (said.id, record.request_id)
    given, output = tokens.input_tokens or 0, tokens.output_tokens or 0
    written, read = tokens.cache_creation_input_tokens or 0, tokens.cache_read_input_tokens or 0
    tokens_sum = given + output + written + read
    before = replies.get(key)
    if before is None or before[5]:
        talk.turns[0].add(said.id)
    if said.model not in talk.figures.models:
        talk.figures.used(said.model)
    if before is None:
        talk.counts["output_first_wins"] += output
    elif before[0] <= tokens_sum:
        del replies[key]  # a reply stands where its largest record does
    if before is None or before[0] <= tokens_sum:
        parts = tokens.cache_creation
        hour = min(written, parts.ephemeral_1h_input_tokens) if parts is not None else 0
        counts = (given, output, read, written - hour, hour)
        replies[key] = (tokens_sum, counts, talk.same(record.version), record.timestamp, talk.same(said.model), False)
    elif before[5]:
        replies[key] = (*before[:5], False)
    if tokens_sum:
        talk.counted_turns.add(said.id)
    for block in said.content or ():
        if type(block) is BriefBlock and block.type in CALLS and block.id:
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
