"""Shapes that real files of a format take beside the usual one, made by hand."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import readers
from sessiontrackd.model import Origin
from sessiontrackd.readers import inspect_document


def lines(path: Path, *records: object) -> Path:
    """Write JSON lines; text stands there as it is."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in records]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def turns(document: dict[str, Any]) -> list[tuple[int, int, int]]:
    """Return asks, replies and tool calls of each session."""
    return [(one["human_turns"], one["assistant_turns"], one["tool_calls"]) for one in document["sessions"]]


def codex_item(role: str, text: str) -> dict[str, Any]:
    """Return a message as Codex wrote it before version 0.32."""
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def codex_event(**payload: object) -> dict[str, Any]:
    """Return an event of Codex."""
    return {"timestamp": "2026-03-01T08:00:00Z", "type": "event_msg", "payload": payload}


def test_an_early_codex_file_may_name_no_instructions(tmp_path: Path) -> None:
    """Who and when are enough of a header where bare items follow."""
    header = {"id": "44444444-4444-4444-8444-444444444444", "timestamp": "2025-06-04T05:06:07.000Z"}
    path = lines(tmp_path / "a.jsonl", header, codex_item("user", "Open it."), codex_item("assistant", "It is open."))

    document = inspect_document(path)

    assert (document["format"], turns(document)) == ("codex", [(1, 1, 0)])
    assert document["sessions"][0]["session_id"] == header["id"]


def test_counters_and_limits_of_codex_alone_are_no_conversation(tmp_path: Path) -> None:
    """A log in which nobody says anything, and no session begins, is not read; with one message it is."""
    counter = codex_event(type="token_count", info={"total_token_usage": {"total_tokens": 5}}, rate_limits={"a": 1})
    asked = codex_event(type="user_message", message="How much is left?")

    assert inspect_document(lines(tmp_path / "a.jsonl", counter, counter))["format"] is None
    assert inspect_document(lines(tmp_path / "b.jsonl", counter, asked))["format"] == "codex"


@pytest.mark.parametrize("kind", [{}, [], None, 7, {"a": []}])
def test_a_type_that_is_no_text_is_an_unknown_type(tmp_path: Path, kind: object) -> None:
    """Whatever stands where a type or a role belongs: the record is passed over, and the rest counts."""
    meta = {"timestamp": "2026-03-01T08:00:00Z", "type": "session_meta", "payload": {"id": "a"}}
    odd = [{**codex_event(type=kind), "type": name} for name in ("event_msg", "response_item", kind)]
    codex = lines(tmp_path / "a.jsonl", meta, *odd, codex_event(type="user_message", message="Go on."))
    rows = [{"from": "human", "value": "Hello?"}, {"from": kind, "value": "What?"}]
    sharegpt = lines(tmp_path / "b.jsonl", {"conversations": rows})
    said = [{"role": "user", "content": "Hello?"}, {"role": kind, "content": "What?"}]
    messages = lines(tmp_path / "c.jsonl", {"messages": said})

    assert turns(inspect_document(codex)) == [(1, 0, 0)]
    assert turns(inspect_document(sharegpt)) == [(1, 0, 0)]
    assert turns(inspect_document(messages)) == [(1, 0, 0)]


def test_a_pi_session_is_known_by_its_messages_and_with_new_types(tmp_path: Path) -> None:
    """New types appear, and a header may be lost."""
    header = {"type": "session", "id": "s", "cwd": "/w", "timestamp": "2026-03-01T08:00:00Z"}
    asked = {"type": "message", "id": "1", "message": {"role": "user", "content": "Go."}}
    usage = {"input": 5, "output": 2, "cacheRead": 0, "cacheWrite": 0}
    reply = {"type": "message", "id": "2", "message": {"role": "assistant", "content": [], "usage": usage}}

    with_new = inspect_document(lines(tmp_path / "a.jsonl", header, {"type": "brand_new", "id": "n"}, asked, reply))
    without_header = inspect_document(lines(tmp_path / "b.jsonl", asked, reply))

    assert [(one["format"], turns(one)) for one in (with_new, without_header)] == [("pi", [(1, 1, 0)])] * 2


def gemini(name: str, text: str, kind: str = "user") -> dict[str, Any]:
    """Return a message of Gemini CLI."""
    tokens = {"input": len(text), "output": 1, "total": len(text) + 1} if kind == "gemini" else None
    return {"id": name, "timestamp": "2026-05-01T08:00:00Z", "type": kind, "content": text, "tokens": tokens}


def replayed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is left of a log, by the plainest means."""
    messages: dict[str, dict[str, Any]] = {}
    for record in records:
        if "$set" in record:
            given = record["$set"].get("messages")
            messages = {one["id"]: one for one in given} if given is not None else messages
        elif "$rewindTo" in record:
            names = list(messages)
            for name in names[names.index(record["$rewindTo"]) if record["$rewindTo"] in names else 0 :]:
                del messages[name]
        else:
            messages[record["id"]] = record
    return list(messages.values())


@pytest.mark.parametrize("seed", range(30))
def test_a_gemini_log_is_replayed(tmp_path: Path, seed: int) -> None:
    """Messages written again, checkpoints and rewinds in any order leave what the plainest replay leaves."""
    dice = random.Random(seed)
    records: list[dict[str, Any]] = []
    for nth in range(40):
        name = f"m{dice.randrange(12)}"
        kind = dice.choice(("user", "gemini"))
        records.append(
            dice.choices(
                [
                    gemini(name, "x" * (nth + 1), kind),
                    {"$rewindTo": name},
                    {
                        "$set": {
                            "messages": [gemini(f"s{one}", "y" * one, "gemini") for one in range(dice.randrange(5))]
                        }
                    },
                    {"$set": {"lastUpdated": "2026-05-02T08:00:00Z"}},
                ],
                (8, 1, 1, 1),
            )[0]
        )
    header = {"sessionId": "g", "projectHash": "h", "startTime": "2026-05-01T08:00:00Z"}
    left = replayed(records)

    session = inspect_document(lines(tmp_path / "g.jsonl", header, *records))["sessions"][0]

    spent = sum(one["tokens"]["total"] for one in left if one["type"] == "gemini")
    assert session["human_turns"] == sum(one["type"] == "user" for one in left)
    assert session["assistant_turns"] == sum(one["type"] == "gemini" for one in left)
    assert spent == (session["usage"]["input_tokens"] + session["usage"]["output_tokens"] if session["usage"] else 0)


def test_a_gemini_document_may_lack_its_project(tmp_path: Path) -> None:
    """Messages of its own types are enough."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"messages": [gemini("1", "Why?"), gemini("2", "Because.", "gemini")]}, indent=1))

    document = inspect_document(path)

    assert (document["format"], turns(document)) == ("gemini_cli", [(1, 1, 0)])


def test_a_page_about_specstory_is_not_from_it(tmp_path: Path) -> None:
    """Its name as a heading is enough only where its speakers follow."""
    page, history = tmp_path / "README.md", tmp_path / "talk.md"
    page.write_text("# SpecStory is a tool\n\nIt saves what you and your assistant say.\n")
    history.write_text("## SpecStory\n\n_**User**_\n\nWhy?\n\n---\n\n_**Assistant**_\n\nBecause.\n")

    assert inspect_document(page)["format"] is None
    assert (inspect_document(history)["format"], turns(inspect_document(history))) == ("specstory", [(1, 1, 0)])


def test_one_empty_row_does_not_hide_a_data_set(tmp_path: Path) -> None:
    """Rows with messages are known where one of them is empty."""
    said = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": "Hello."}]

    document = inspect_document(lines(tmp_path / "a.jsonl", {"messages": []}, {"messages": said}))

    assert (document["format"], turns(document)) == ("openai_messages", [(0, 0, 0), (1, 1, 0)])


def test_a_meeting_on_a_very_long_line_is_read(tmp_path: Path) -> None:
    """A meeting may be a line of more than a megabyte."""
    entries = [{"speaker": f"Speaker {nth % 3}", "content": "word " * 100} for nth in range(4_000)]
    path = lines(tmp_path / "a.jsonl", {"meeting_transcripts": entries}, {"meeting_transcripts": entries[:2]})

    document = inspect_document(path)

    assert (document["format"], document["details"]["turns"]) == ("meeting", 4_002)
    assert document["details"]["n_speakers"] == [3, 2]


def test_subtitles_are_utf8_only_if_they_are_to_the_end(tmp_path: Path) -> None:
    """A byte that is no UTF-8 far behind the beginning is told, and so is UTF-16."""
    cue = b"1\n00:00:01,000 --> 00:00:02,000\n%s\n\n"
    late, wide = tmp_path / "late.srt", tmp_path / "wide.srt"
    late.write_bytes(cue % b"fine" * 3_000 + cue % b"caf\xe9")
    wide.write_bytes((cue % b"fine").decode().encode("utf-16"))

    for path in (late, wide):
        document = inspect_document(path)
        assert document["details"]["utf8"] is False
        assert document["warnings"]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ("my harbour walk<00:00:03.200><c> starts</c>", "my harbour walk my harbour walk starts"),
        ("my harbour walk\nstarts<00:00:03.200><c> here</c>", "my harbour walk starts here"),
        ("my harbour walk\nstarts here", "my harbour walk my harbour walk starts here"),
    ],
)
def test_captions_that_roll_say_each_line_once(tmp_path: Path, second: str, said: str) -> None:
    """Where words have times of their own a cue repeats the line before it; elsewhere a person did."""
    path = tmp_path / "walk.vtt"
    path.write_text(
        f"WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nmy harbour walk\n\n00:00:03.000 --> 00:00:05.000\n{second}\n"
    )

    ((message,),) = (list(opened) for opened in readers.read(path).sessions)
    assert message.text == said


@pytest.mark.parametrize(
    "record",
    [
        {"id": "ses_1", "version": "1.2.24", "projectID": "p", "directory": "/w", "title": "T", "time": {"created": 1}},
        {"id": "msg_1", "sessionID": "ses_1", "role": "user", "time": {"created": 1}},
        {"id": "prt_1", "sessionID": "ses_1", "messageID": "msg_1", "type": "text", "text": "Why?"},
    ],
)
def test_the_files_of_opencodes_storage_say_what_to_do(tmp_path: Path, record: dict[str, Any]) -> None:
    """One of them is no transcript; the reason names the command that writes one."""
    path = tmp_path / "part.json"
    path.write_text(json.dumps(record, indent=2))

    document = inspect_document(path)

    assert document["is_conversation"] is False
    assert "opencode export" in document["warnings"][0]


def test_a_log_that_begins_with_an_id_and_a_time_is_not_codex(tmp_path: Path) -> None:
    """Items without a role or a call are somebody else's."""
    path = lines(
        tmp_path / "a.jsonl", {"id": "1", "timestamp": "2026-01-01T00:00:00Z"}, {"type": "message", "text": "x"}
    )

    assert inspect_document(path)["format"] is None


def test_a_text_that_begins_with_a_time_in_brackets_is_a_text(tmp_path: Path) -> None:
    """A bracket does not make it JSON: a chat of WhatsApp, and a transcript with times, begin so."""
    chat, german, talk = (tmp_path / f"{name}.txt" for name in ("chat", "german", "talk"))
    names = ("Ada", "Ben")
    said = [f"{names[nth % 2]}: That is what I meant, and it holds for all of us." for nth in range(8)]
    chat.write_text("".join(f"[12/31/23, 10:0{nth}:00] {text}\n" for nth, text in enumerate(said)))
    german.write_text("".join(f"[14.03.26, 10:0{nth}:00] {text}\n" for nth, text in enumerate(said)))
    talk.write_text("".join(f"[00:0{nth}:10] {text}\n" for nth, text in enumerate(said)))

    for each in (chat, german):
        assert (inspect_document(each)["format"], turns(inspect_document(each))) == ("messenger_export", [(8, 0, 0)])
    assert (inspect_document(talk)["format"], turns(inspect_document(talk))) == ("meeting", [(8, 0, 0)])


def test_what_aider_says_without_a_mark_is_not_the_models(tmp_path: Path) -> None:
    """The cost line behind its token line, and the settings that it prints."""
    path = tmp_path / ".aider.chat.history.md"
    path.write_text(
        "\n# aider chat started at 2024-08-20 10:00:00\n\n> Aider v0.50  \n\nDefaults:\n  --env-file: .env\n\n"
        "#### move the imports  \n\nThey stand at the top now.\n\n"
        "> Tokens: 9,869 sent, 12 received.\nCost: $0.03 message, $0.03 session.  \n"
    )
    sessions = readers.read(path).sessions
    said = [message.text for session in sessions for message in session if message.origin is Origin.MODEL]

    assert said == ["They stand at the top now."]


def test_links_and_signs_of_slack_are_plain(tmp_path: Path) -> None:
    """Slack writes three signs as entities and puts links between angle brackets."""
    text = "see <https://a.example/x|the plan> &amp; <https://b.example/y>: 1 &lt; 2"
    folder = tmp_path / "export"
    (folder / "general").mkdir(parents=True)
    (folder / "users.json").write_text("[]")
    (folder / "channels.json").write_text('[{"id": "C1", "name": "general"}]')
    message = {"type": "message", "user": "U1", "ts": "1700000000.0", "text": text}
    (folder / "general" / "2023-11-14.json").write_text(json.dumps([message]))
    archive = Path(shutil.make_archive(str(tmp_path / "export"), "zip", folder))
    said = [message.text for session in readers.read(archive).sessions for message in session]

    assert said == ["see the plan (https://a.example/x) & https://b.example/y: 1 < 2"]


def test_the_heading_of_a_meeting_is_its_title(tmp_path: Path) -> None:
    """Where a text begins with one, before anybody speaks."""
    path = tmp_path / "notes.md"
    said = (
        "Good morning everybody. Shall we start with the release?",
        "Yes. It is blocked because the signing certificate expired on Friday.",
        "Okay, so who renews it?",
        "I'll renew the certificate by Wednesday.",
        "We decided last time to drop the old system, is that still true?",
        "Yes, we agreed to drop it in the third version.",
        "One open question: do we ship the beta channel too?",
        "Let's leave the beta channel for the next release.",
    )
    turns = (f"**{'Ben' if at % 2 else 'Anna'}:** {text}\n" for at, text in enumerate(said))
    path.write_text(f"# Weekly sync\n\n{''.join(turns)}")

    assert inspect_document(path)["sessions"][0]["title"] == "Weekly sync"
