"""One talk with an agent, and one among people, as each tool would have written it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

SESSION = "5f0c2d1e-0000-4000-8000-000000000001"
FOLDER = "/home/p/tide"
MODEL = "claude-opus-4-5"


class Call(NamedTuple):
    """One call of a tool."""

    name: str
    arguments: dict[str, Any]
    result: str
    failed: bool = False


class Turn(NamedTuple):
    """One turn."""

    role: str
    text: str
    calls: tuple[Call, ...] = ()


TESTS = {"command": "pytest tests/test_import.py"}
TALK = (
    Turn("user", "the tide import stops at the third file, can you find out why and mend it"),
    Turn("assistant", "Let me run it.", (Call("Bash", TESTS, "E   ValueError: naive time\n1 failed", True),)),
    Turn(
        "assistant",
        "The root cause is that the third file holds times without a zone.\n\n"
        "I'll keep the time stamps in UTC instead of local time, because summer time leaves gaps.",
        (Call("Edit", {"file_path": f"{FOLDER}/tide.py", "old_string": "a\nb", "new_string": "a\nc\nd"}, "updated"),),
    ),
    Turn("assistant", "", (Call("Bash", TESTS, "41 passed in 0.30s"),)),
    Turn(
        "assistant",
        "All 41 tests pass now and the import runs through.\n\nNext steps:\n- convert the old rows\n\n"
        "Should the README be changed, too?",
    ),
    Turn("user", "no, leave the README as it is and tell me which file was wrong"),
    Turn("assistant", "It was `tides-2025.csv`: its times have no zone.\n\nStill open:\n- convert the old rows"),
)
MEETING = (
    ("Anna", "Good morning everybody. Shall we start with the release?"),
    ("Ben", "Yes. It is blocked because the signing certificate expired on Friday."),
    ("Anna", "Okay, so who renews it?"),
    ("Ben", "I'll renew the certificate by Wednesday."),
    ("Carla", "We decided last time to drop the old system, is that still true?"),
    ("Anna", "Yes, we agreed to drop it in the third version."),
    ("Carla", "One open question: do we ship the beta channel too?"),
    ("Anna", "Let's leave the beta channel for the next release."),
)


def at(number: int) -> str:
    """Return the time of a turn."""
    return f"2026-03-14T09:{number:02}:00.000Z"


def lines(records: Iterator[dict[str, Any]]) -> str:
    """Return JSON lines."""
    return "".join(f"{json.dumps(record)}\n" for record in records)


def said() -> Iterator[tuple[int, str, str]]:
    """Yield the turns of the talk that say something: number, role and text."""
    yield from ((number, turn.role, turn.text) for number, turn in enumerate(TALK) if turn.text)


def exchanges() -> Iterator[tuple[int, str, str]]:
    """Yield each question with its whole answer."""
    asked, answers, first = "", list[str](), 0
    for number, role, text in said():
        if role == "user" and asked:
            yield first, asked, "\n\n".join(answers)
        if role == "user":
            asked, answers, first = text, [], number
        else:
            answers.append(text)
    yield first, asked, "\n\n".join(answers)


def claude_records() -> Iterator[dict[str, Any]]:
    """Yield the records of Claude Code."""
    for number, turn in enumerate(TALK):
        common = {"sessionId": SESSION, "cwd": FOLDER, "timestamp": at(number), "uuid": f"u{number}", "type": turn.role}
        if turn.role == "user":
            yield common | {"message": {"role": "user", "content": turn.text}}
            continue
        names = [f"t{number}-{nth}" for nth in range(len(turn.calls))]
        content: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
        for name, call in zip(names, turn.calls, strict=True):
            content.append({"type": "tool_use", "id": name, "name": call.name, "input": call.arguments})
        yield common | {"message": {"id": f"m{number}", "role": "assistant", "model": MODEL, "content": content}}
        for name, call in zip(names, turn.calls, strict=True):
            result = {"type": "tool_result", "tool_use_id": name, "content": call.result, "is_error": call.failed}
            yield common | {"uuid": f"r{name}", "type": "user", "message": {"role": "user", "content": [result]}}


def codex_records() -> Iterator[dict[str, Any]]:
    """Yield the records of Codex."""
    meta = {"id": SESSION, "timestamp": at(0), "cwd": FOLDER, "cli_version": "0.60.0"}
    yield {"timestamp": at(0), "type": "session_meta", "payload": meta}
    for number, turn in enumerate(TALK):
        kind = "input_text" if turn.role == "user" else "output_text"
        message = {"type": "message", "role": turn.role, "content": [{"type": kind, "text": turn.text}]}
        payloads: list[dict[str, Any]] = [message] if turn.text else []
        for nth, call in enumerate(turn.calls):
            name = f"c{number}-{nth}"
            command = call.arguments.get("command") or (
                f"apply_patch <<'X'\n*** Begin Patch\n*** Update File: {FOLDER}/tide.py\n-b\n+c\n+d\n*** End Patch\nX"
            )
            given = json.dumps({"command": ["bash", "-lc", command]})
            shown = json.dumps({"output": call.result, "metadata": {"exit_code": int(call.failed)}})
            payloads += [
                {"type": "function_call", "name": "shell", "arguments": given, "call_id": name},
                {"type": "function_call_output", "call_id": name, "output": shown},
            ]
        yield from ({"timestamp": at(number), "type": "response_item", "payload": each} for each in payloads)


def gemini() -> str:
    """Return Gemini CLI's document."""
    messages = []
    for number, turn in enumerate(TALK):
        calls = [
            {"id": f"c{number}", "name": "replace" if call.name == "Edit" else "run_shell_command", "args": call.arguments,
             "status": "error" if call.failed else "success",
             "result": [{"functionResponse": {"response": {"output": call.result}}}]}
            for call in turn.calls
        ]  # fmt: skip
        kind = "user" if turn.role == "user" else "gemini"
        more = {"toolCalls": calls} if calls else {}
        messages.append({"id": f"m{number}", "timestamp": at(number), "type": kind, "content": turn.text, **more})
    facts = {"sessionId": SESSION, "projectHash": "0" * 64, "startTime": at(0), "lastUpdated": at(6)}
    return json.dumps(facts | {"messages": messages})


def copilot_events() -> Iterator[dict[str, Any]]:
    """Yield the events of Copilot CLI."""

    def event(kind: str, number: int, **data: Any) -> dict[str, Any]:
        return {"type": kind, "timestamp": at(number), "data": data}

    yield event("session.start", 0, sessionId=SESSION, context={"cwd": FOLDER})
    for number, turn in enumerate(TALK):
        yield event(f"{turn.role}.message", number, content=turn.text, messageId=f"m{number}")
        for call in turn.calls:
            name, tool = f"c{number}", "edit" if call.name == "Edit" else "bash"
            yield event("tool.execution_start", number, toolCallId=name, toolName=tool, arguments=call.arguments)
            shown = {"content": call.result}
            yield event("tool.execution_complete", number, toolCallId=name, success=not call.failed, result=shown)


def copilot_chat() -> str:
    """Return an exported chat of Copilot in VS Code."""
    requests = [
        {"requestId": f"r{number}", "message": {"text": asked}, "response": [{"value": answer}],
         "timestamp": 1_773_480_000_000 + 60_000 * number}
        for number, asked, answer in exchanges()
    ]  # fmt: skip
    return json.dumps({"requesterUsername": "p", "responderUsername": "GitHub Copilot", "requests": requests})


def opencode() -> str:
    """Return an export of OpenCode."""
    messages = []
    for number, turn in enumerate(TALK):
        parts: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
        for nth, call in enumerate(turn.calls):
            state = {"status": "error" if call.failed else "completed", "input": call.arguments, "output": call.result}
            name = "edit" if call.name == "Edit" else "bash"
            parts.append({"type": "tool", "tool": name, "callID": f"c{number}-{nth}", "state": state})
        info = {"id": f"m{number}", "role": turn.role, "sessionID": SESSION, "time": {"created": 1_773_480_000_000}}
        messages.append({"info": info, "parts": parts})
    info = {"id": SESSION, "directory": FOLDER, "projectID": "p", "time": {"created": 1_773_480_000_000}}
    return json.dumps({"info": info, "messages": messages})


def pi_records() -> Iterator[dict[str, Any]]:
    """Yield the records of pi."""
    yield {"type": "session", "id": SESSION, "timestamp": at(0), "cwd": FOLDER}
    for number, turn in enumerate(TALK):
        content: list[dict[str, Any]] = [{"type": "text", "text": turn.text}] if turn.text else []
        content += [
            {"type": "toolCall", "id": f"c{number}", "name": call.name.lower(), "arguments": call.arguments}
            for call in turn.calls
        ]
        yield {"type": "message", "timestamp": at(number), "message": {"role": turn.role, "content": content}}
        for call in turn.calls:
            shown = [{"type": "text", "text": call.result}]
            message = {"role": "toolResult", "toolCallId": f"c{number}", "content": shown, "isError": call.failed}
            yield {"type": "message", "timestamp": at(number), "message": message}


def chatgpt() -> str:
    """Return ChatGPT's export of one conversation."""
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
    parent = "root"
    for number, role, text in said():
        key = f"n{number}"
        content = {"content_type": "text", "parts": [text]}
        message = {
            "id": key,
            "author": {"role": role},
            "create_time": 1_773_480_000.0 + 60 * number,
            "content": content,
        }
        mapping[key] = {"id": key, "parent": parent, "children": [], "message": message}
        mapping[parent]["children"] = [key]
        parent = key
    times = {"create_time": 1_773_480_000.0, "update_time": 1_773_480_360.0}
    return json.dumps([{"id": SESSION, "title": "Tide import", **times, "mapping": mapping, "current_node": parent}])


def claude_ai() -> str:
    """Return Claude.ai's export of one conversation."""
    messages = [
        {"uuid": f"m{number}", "sender": "human" if role == "user" else role, "text": text, "created_at": at(number)}
        for number, role, text in said()
    ]
    times = {"created_at": at(0), "updated_at": at(6)}
    return json.dumps([{"uuid": SESSION, "name": "Tide import", **times, "chat_messages": messages}])


def slack() -> bytes:
    """Return an export of Slack."""
    packed = io.BytesIO()
    names = {name: f"U{number}" for number, name in enumerate(dict(MEETING))}
    messages = [
        {"type": "message", "user": names[who], "text": text, "ts": f"{1_773_480_000 + 60 * number}.0"}
        for number, (who, text) in enumerate(MEETING)
    ]
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("users.json", json.dumps([{"id": key, "name": name} for name, key in names.items()]))
        archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "release"}]))
        archive.writestr("release/2026-03-14.json", json.dumps(messages))
    return packed.getvalue()


def telegram() -> str:
    """Return a chat of Telegram."""
    messages = [
        {"id": number, "type": "message", "date": at(number)[:19], "date_unixtime": f"{1_773_480_000 + 60 * number}",
         "from": who, "from_id": f"user{who}", "text": text}
        for number, (who, text) in enumerate(MEETING)
    ]  # fmt: skip
    return json.dumps({"name": "Release", "type": "private_group", "id": 7, "messages": messages})


def subtitles(mark: str, head: str, *, numbered: bool, voice: str) -> str:
    """Return a meeting as subtitles."""
    blocks = []
    for number, (who, text) in enumerate(MEETING):
        times = f"00:{number:02}:00{mark}000 --> 00:{number:02}:30{mark}000"
        blocks.append("\n".join([*([str(number + 1)] if numbered else []), times, voice.format(who=who, text=text)]))
    return f"{head}{chr(10).join(f'{block}{chr(10)}' for block in blocks)}"


def specstory() -> str:
    """Return a history of SpecStory."""
    marks = {"user": "_**User**_", "assistant": "_**Agent (claude)**_"}
    turns = "\n\n---\n\n".join(f"{marks[role]}\n\n{text}" for _, role, text in said())
    head = f"<!-- Generated by SpecStory, Markdown v2.1.0 -->\n\n<!-- Claude Code Session {SESSION} (2026-03-14 09:00:00Z) -->\n\n"
    return f"{head}# 2026-03-14 09:00:00Z\n\n{turns}\n"


def cursor() -> str:
    """Return a chat that Cursor exported."""
    marks = {"user": "**User**", "assistant": "**Cursor**"}
    turns = "".join(f"---\n\n{marks[role]}\n\n{text}\n\n" for _, role, text in said())
    return f"# Tide import\n_Exported on 3/14/2026 at 09:00:00 GMT+1 from Cursor (1.2.3)_\n\n{turns}"


def aider() -> str:
    """Return a chat history of aider."""
    turns = "".join(f"#### {text}  \n\n" if role == "user" else f"{text}\n\n" for _, role, text in said())
    return f"\n# aider chat started at 2026-03-14 09:00:00\n\n> Aider v0.50  \n\n{turns}> Tokens: 9,869 sent, 12 received.\nCost: $0.03 message, $0.03 session.  \n"


def openai() -> str:
    """Return the talk as messages of OpenAI."""
    return json.dumps({"messages": [{"role": role, "content": text} for _, role, text in said()]}) + "\n"


def sharegpt() -> str:
    """Return the talk as ShareGPT has it."""
    turns = [{"from": "human" if role == "user" else "gpt", "value": text} for _, role, text in said()]
    return json.dumps([{"id": SESSION, "conversations": turns}])


def llm() -> str:
    """Return what `llm logs --json` prints."""
    rows = [
        {"id": f"e{number}", "model": MODEL, "prompt": asked, "response": answer, "conversation_id": "c1",
         "conversation_name": "Tide import", "datetime_utc": at(number)}
        for number, asked, answer in exchanges()
    ]  # fmt: skip
    return json.dumps(rows)


def meeting() -> str:
    """Return a meeting in Markdown."""
    return "# Weekly sync\n\n" + "".join(f"**{who}:** {text}\n" for who, text in MEETING)


WRITTEN: dict[str, tuple[str, Callable[[], str | bytes]]] = {
    "claude_code": ("talk.jsonl", lambda: lines(claude_records())),
    "codex": ("talk.jsonl", lambda: lines(codex_records())),
    "gemini_cli": ("talk.json", gemini),
    "copilot_cli": ("events.jsonl", lambda: lines(copilot_events())),
    "pi": ("talk.jsonl", lambda: lines(pi_records())),
    "copilot_chat": ("chat.json", copilot_chat),
    "opencode": ("talk.json", opencode),
    "claude_code_web": ("talk.json", lambda: json.dumps({"loglines": list(claude_records())})),
    "chatgpt_export": ("conversations.json", chatgpt),
    "claude_ai_export": ("conversations.json", claude_ai),
    "sharegpt": ("talk.json", sharegpt),
    "openai_messages": ("talk.jsonl", openai),
    "llm": ("logs.json", llm),
    "slack_export": ("export.zip", slack),
    "messenger_export": ("result.json", telegram),
    "webvtt": ("sync.vtt", lambda: subtitles(".", "WEBVTT\n\n", numbered=False, voice="<v {who}>{text}</v>")),
    "srt": ("sync.srt", lambda: subtitles(",", "", numbered=True, voice="{who}: {text}")),
    "specstory": ("talk.md", specstory),
    "cursor": ("talk.md", cursor),
    "aider": (".aider.chat.history.md", aider),
    "meeting": ("sync.md", meeting),
}
"""For each format the name of a file, and what makes its content."""
