"""The path of one file with a paid engine: consent, budget, server, note, ledger."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import config
from sessiontrackd.config import Home
from sessiontrackd.engines.command import MARK
from sessiontrackd.pipeline import Rooms, open_rooms
from sessiontrackd.pricing import usd_text
from sessiontrackd.tokens import sized
from sessiontrackd.worker import process_path
from tests.counterpart import Counterpart, Fault
from tests.test_insights import KEY, TALK, answer
from tests.test_notes import talk

CLIFF_TOKENS = 100_000  # of a prompt; one more makes every token five times dearer
FOUNDED = {"kind": "decision", "text": "SQLite it is.", "quote": "Take SQLite with a nightly export", "messages": [2]}


@pytest.fixture
def server() -> Iterator[Counterpart]:
    with Counterpart(lambda _: answer(FOUNDED)) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, server: Counterpart) -> Callable[[str | None], Rooms]:
    """Return what opens a home with one folder for the engine claude, and a budget."""
    home = Home.find(tmp_path / "home")
    folder = tmp_path / "talks"
    folder.mkdir()
    (folder / "talk.json").write_text(json.dumps({"messages": TALK}))

    def opened(budget: str | None = "5usd") -> Rooms:
        config.keep_key(home, KEY)
        config.set_value(home, "claude.base_url", server.base_url)
        config.set_value(home, "budget.monthly", budget)
        if not config.load(home).folders:
            config.add_folder(home, folder, engine="claude")
        return open_rooms(home)

    return opened


def processed(rooms: Rooms) -> dict[str, object]:
    """Process the one transcript, and return its result."""
    path = rooms.settings.folders[0].path / "talk.json"
    return asyncio.run(process_path(rooms, path))


def consent(rooms: Rooms, server: Counterpart) -> None:
    rooms.consents.grant(str(rooms.settings.folders[0].path), f"127.0.0.1:{server.port}")


def note(rooms: Rooms) -> str:
    return (rooms.settings.folders[0].path / "talk.json.insights.md").read_text()


Place = Callable[..., Rooms]


def test_without_consent_the_local_engine_writes_and_the_job_waits(place: Place, server: Counterpart) -> None:
    """A transcript always gets a note; the reason names the line to type."""
    rooms = place()
    result = processed(rooms)

    assert result["state"] == "held"
    assert f"--provider 127.0.0.1:{server.port}" in str(result["reason"])
    assert server.requests == []
    assert "engine: local" in note(rooms)
    assert "not by claude: no consent" in note(rooms)
    rooms.close()


def test_with_consent_and_a_budget_the_model_writes_and_the_receipt_says_what_it_cost(
    place: Place, server: Counterpart
) -> None:
    """And it is never asked for twice."""
    rooms = place()
    consent(rooms, server)
    assert processed(rooms)["state"] == "done"
    first = note(rooms)

    assert processed(rooms)["state"] == "done"
    assert len(server.requests) == 1
    assert note(rooms) == first
    assert "quotes checked: 1 of 1" in first
    assert "model: claude-haiku-5-5" in first
    assert 'SQLite it is. – "Take SQLite with a nightly export" [m2]' in first
    assert "> They take SQLite." in first
    assert "reserved_usd:" in first
    assert rooms.budget.status().spent_picousd == server.billed_picousd
    rooms.close()


def test_spending_is_told_by_the_recorded_project(place: Place, server: Counterpart) -> None:
    """It counts against the budget of that name; where there is none the ledger has no name that it could not forget."""
    rooms = place()
    config.set_project_budget(rooms.home, "tide", "1usd")
    rooms.close()
    rooms = place()
    consent(rooms, server)
    folder = rooms.settings.folders[0].path
    for name in ("tide", "ebb"):
        (folder / f"{name}.jsonl").write_text(talk(f"{name}-1", f"mend the {name}", "and the tests", project=name))
        asyncio.run(process_path(rooms, folder / f"{name}.jsonl"))

    def costs() -> dict[str | None, Any]:
        return {row["key"]: (row["sessions"], row["cost_usd"]) for row in rooms.budget.usage("project")["rows"]}

    tide, ebb = (usd_text(charge.cost_picousd) for charge in server.bill)
    assert costs() == {"tide": (1, tide), "ebb": (1, ebb)}
    assert usd_text(rooms.budget.status(project="tide").spent_picousd) == tide
    assert rooms.budget.status(project="ebb").spent_picousd == 0

    rooms.budget.forget(session_id="ebb-1")
    assert costs() == {"tide": (1, tide), None: (1, ebb)}
    rooms.close()


def test_a_copy_costs_nothing(place: Place, server: Counterpart) -> None:
    """Its note comes from the stored insight."""
    rooms = place()
    consent(rooms, server)
    processed(rooms)
    folder = rooms.settings.folders[0].path
    shutil.copy(folder / "talk.json", folder / "copy.json")

    asyncio.run(process_path(rooms, folder / "copy.json"))
    assert (folder / "copy.json.insights.md").exists()
    assert len(server.requests) == 1
    rooms.close()


def test_without_a_budget_nothing_is_sent_and_raising_it_goes_on(place: Place, server: Counterpart) -> None:
    """The note is the local engine's until then."""
    rooms = place(None)
    consent(rooms, server)
    assert processed(rooms)["state"] == "held"
    assert server.requests == []
    rooms.close()

    rooms = place("5usd")
    assert processed(rooms)["state"] == "done"
    assert "engine: claude" in note(rooms)
    rooms.close()


def test_ai_off_sends_nothing(place: Place, server: Counterpart) -> None:
    """The local engine goes on."""
    rooms = place()
    consent(rooms, server)
    rooms.queue.turn("ai", False)

    assert "switched off" in str(processed(rooms)["reason"])
    assert server.requests == []
    assert "engine: local" in note(rooms)
    rooms.close()


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault("status", status=429, headers={"retry-after": "30"}), "waiting"),
        (Fault("status", status=400), "failed"),
        (Fault("status", status=401), "held"),
        (Fault("body", body=b"<html>log in</html>"), "waiting"),
    ],
)
def test_every_failure_has_a_note_and_a_state(place: Place, server: Counterpart, fault: Fault, state: str) -> None:
    """The ledger is never below the bill."""
    rooms = place()
    consent(rooms, server)
    server.script.append(fault)

    assert processed(rooms)["state"] == state
    assert "engine: local" in note(rooms)
    assert rooms.budget.status().spent_picousd >= server.billed_picousd
    rooms.close()


def test_the_key_and_a_secret_stand_nowhere(place: Place, server: Counterpart, tmp_path: Path) -> None:
    """Neither in the database, nor in the note, nor in what was sent."""
    rooms = place()
    consent(rooms, server)
    secret = "ghp_" + "aB3dE6gH9j" * 3 + "kL2mN5"
    talk = [*TALK, {"role": "user", "content": f"my token is {secret}, keep it"}]
    (rooms.settings.folders[0].path / "talk.json").write_text(json.dumps({"messages": talk}))
    processed(rooms)
    rooms.close()

    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "api-key"]
    assert not any(KEY.encode() in each for each in kept)
    assert sum(secret.encode() in each for each in kept) == 1  # the transcript itself
    assert secret.encode() not in b"".join(server.requests)


def test_personal_data_stays_here_and_stands_in_the_note(place: Place, server: Counterpart) -> None:
    """What is sent holds a placeholder; the note on this machine the address itself, unless the folder wants none."""
    rooms = place()
    consent(rooms, server)
    address = "field.app" + "@" + "harbour-club.org"
    talk = [*TALK, {"role": "user", "content": f"and write to {address} that we take SQLite"}]
    (rooms.settings.folders[0].path / "talk.json").write_text(json.dumps({"messages": talk}))
    assert processed(rooms)["state"] == "done"

    assert address not in b"".join(server.requests).decode()
    assert address.split("@")[1] in note(rooms).replace("\\", "")
    rooms.close()


def test_a_users_own_prompt_is_used_behind_the_data(place: Place, server: Counterpart) -> None:
    """It cannot open the place where the conversation stands; one that is wrong sends nothing."""
    rooms = place()
    consent(rooms, server)
    own = rooms.home.templates_dir / "prompts"
    own.mkdir(parents=True)
    rooms.home.templates_dir.chmod(0o700)
    (own / "standard.md.j2").write_text("Answer in JSON about {{ kinds }}, as a pirate would.\n")
    assert processed(rooms)["state"] == "done"

    sent = json.loads(server.requests[0])["messages"][0]["content"]
    boundary = sent.split("between two lines of ")[1][:16]
    before, data, after = sent.split(f"\n{boundary}\n")
    assert "It is data" in before
    assert "Take SQLite with a nightly export" in data
    assert after.strip() == "Answer in JSON about decision, cause, todo, question, as a pirate would."

    (own / "standard.md.j2").write_text("{{ nothing }}\n")
    path = rooms.settings.folders[0].path / "talk.json"
    result = asyncio.run(process_path(rooms, path, again=True))
    assert (result["state"], len(server.requests)) == ("held", 1)
    assert "standard.md.j2" in str(result["reason"])
    rooms.close()


def test_a_long_session_is_asked_in_parts(place: Place, server: Counterpart) -> None:
    """Each part below the price cliff, each with a row of its own; the bill is the ledger."""
    rooms = place("50usd")
    consent(rooms, server)
    long = [
        {"role": ("user", "assistant")[n % 2], "content": f"Part {n}. " + "many words of text, " * 100}
        for n in range(260)
    ]
    (rooms.settings.folders[0].path / "talk.json").write_text(json.dumps({"messages": [*TALK, *long]}))
    assert processed(rooms)["state"] == "done"

    assert len(server.requests) > 1
    assert all(sized(body.decode()).most < CLIFF_TOKENS for body in server.requests)
    assert rooms.budget.status().spent_picousd == server.billed_picousd
    assert f"{len(server.requests)} parts" in note(rooms)
    rooms.close()


def test_a_program_on_a_plan_needs_no_budget_and_its_cost_is_never_told_as_nothing(tmp_path: Path) -> None:
    """The note, the result and `usage` say flat rate; the ledger has the request, and consent was asked for."""
    home, folder, program = Home.find(tmp_path / "home"), tmp_path / "talks", tmp_path / "thinker"
    folder.mkdir()
    (folder / "talk.json").write_text(json.dumps({"messages": TALK}))
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.stdin.read()\nprint({answer(FOUNDED)!r})\n")
    program.chmod(0o755)
    config.set_value(home, "command.argv", [str(program)])
    config.add_folder(home, folder, engine="command")
    rooms = open_rooms(home)

    assert processed(rooms)["state"] == "held"
    rooms.consents.grant(str(folder), "command:thinker")
    sessions = processed(rooms)["sessions"]
    assert isinstance(sessions, list)

    assert sessions[0]["cost_usd"] is None
    assert "SQLite it is." in note(rooms)
    assert "flat rate" in note(rooms)
    assert "cost_usd: 0" not in note(rooms)
    total = rooms.budget.usage()["total"]
    assert (total["calls"], total["flat_rate_calls"], total["cost_usd"]) == (1, 1, None)
    rooms.close()


def test_the_transcript_of_a_request_of_ours_is_left_alone(place: Place) -> None:
    """A coding agent keeps a transcript of each run, ours too; read only where somebody names it."""
    rooms = place()
    path = rooms.settings.folders[0].path / "own.json"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": f"{MARK}\nBelow is a record"}, *TALK]}))

    watched = asyncio.run(process_path(rooms, path, by_name=False))
    assert (watched["state"], watched["sessions"]) == ("skipped", [])
    rooms.close()


def test_a_copy_in_another_format_is_never_paid_for(place: Place, server: Counterpart) -> None:
    """The session is read from the tool's own file already; the copy gets a local note that says so."""
    rooms, session_id = place(), "0f3e4a86-9b1d-4c5e-8a6f-4e10aa11bb22"
    consent(rooms, server)
    folder = rooms.settings.folders[0].path
    record = {
        "type": "user",
        "sessionId": session_id,
        "uuid": "u1",
        "message": {"role": "user", "content": "Which store?"},
    }
    own, copy = folder / "own.jsonl", folder / "2026-03-01_store.md"
    own.write_text(
        json.dumps({**record, "timestamp": "2026-03-01T10:00:00Z", "version": "2.1.60", "cwd": "/home/a/p"}) + "\n"
    )
    copy.write_text(
        f"<!-- Generated by SpecStory -->\n\n<!-- Claude Code Session {session_id} (2026-03-01 10:00:00Z) -->\n\n"
        "_**User**_\n\nWhich store?\n\n---\n\n_**Assistant**_\n\nTake SQLite with a nightly export.\n"
    )
    asyncio.run(process_path(rooms, own, by_name=False))
    asked = len(server.requests)
    result = asyncio.run(process_path(rooms, copy, by_name=False))

    assert (asked, len(server.requests)) == (1, 1)
    assert result["state"] == "done"
    assert "not by claude: a copy of a session" in (folder / "2026-03-01_store.md.insights.md").read_text()
    rooms.close()


@pytest.mark.parametrize("where", ["a copy in another folder", "the same folder, changed"])
def test_an_insight_that_is_found_again_shows_no_more_than_its_folder_may(tmp_path: Path, where: str) -> None:
    """Made where personal data may stand in notes, it is used where it may not, with placeholders."""
    home, open_to, closed = Home.find(tmp_path / "home"), tmp_path / "a", tmp_path / "b"
    said = [
        {"role": "user", "content": "Write to ada@example.org when the import runs."},
        {"role": "assistant", "content": "Done, I wrote to ada@example.org about it."},
    ]
    for folder, what in ((open_to, "secrets"), (closed, "all")):
        folder.mkdir()
        (folder / "talk.json").write_text(json.dumps({"messages": said}))
        config.add_folder(home, folder, redact_notes=what)

    def note(folder: Path) -> str:
        rooms = open_rooms(home)
        asyncio.run(process_path(rooms, folder / "talk.json"))
        rooms.close()
        return next(folder.glob("*.md")).read_text()

    assert "ada@example.org" in note(open_to)
    if where.startswith("the same"):
        config.set_value(home, "redact_notes", "all", open_to)
        closed = open_to
    assert "ada@example.org" not in note(closed)
    assert "⟦" in note(closed)
