"""`process` and `try`."""

from __future__ import annotations

import json
import os
import shutil
import signal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from sessiontrackd import config, pricing, privacy, worker
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.store import open_store
from tests.counterpart import Counterpart
from tests.test_insights import KEY, TALK, answer

SAMPLES = Path(str(resources.files("sessiontrackd") / "samples"))


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Return one transcript in a folder of its own."""
    folder = tmp_path / "talks"
    folder.mkdir()
    return Path(shutil.copyfile(SAMPLES / "tide-import.jsonl", folder / "tide.jsonl"))


def results(capsys: pytest.CaptureFixture[str], *words: str) -> list[Any]:
    """Run `process --json` and return its results."""
    main(["process", "--json", *words])
    return list(json.loads(capsys.readouterr().out)["results"])


def test_a_transcript_gets_its_note_beside_it(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The result says where, and what it cost."""
    (result,) = results(capsys, str(talk))

    (session,) = result["sessions"]
    assert (result["path"], result["state"], result["reason"]) == (str(talk), "done", None)
    assert Path(session["report"]).read_text().count(session["title"])
    assert (session["engine"], session["level"], session["cost_usd"]) == ("local", "standard", "0.000000")


def test_a_folder_means_every_transcript_in_it(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other files in it are skipped, which is success."""
    (talk.parent / "data.json").write_text('{"a": 1}')

    assert main(["process", str(talk.parent), "--json"]) == 0

    states = {Path(each["path"]).name: each["state"] for each in json.loads(capsys.readouterr().out)["results"]}
    assert states == {"tide.jsonl": "done", "data.json": "skipped"}


@pytest.mark.parametrize("name", ["none.jsonl", "data.json"])
def test_a_named_path_that_gives_no_note_is_a_failure(
    home: Path, talk: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not there, and one that is no conversation."""
    (talk.parent / "data.json").write_text('{"a": 1}')

    assert main(["process", str(talk.parent / name)]) == 1

    assert name in capsys.readouterr().out


def test_a_dry_run_does_nothing_at_all(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No note, no state, no cost."""
    assert main(["process", "--dry-run", str(talk)]) == 0

    assert "Nothing was done" in capsys.readouterr().out
    assert list(home.iterdir()) == []
    assert list(talk.parent.iterdir()) == [talk]


def test_stdout_prints_the_note_and_writes_none(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Redacted and harmless, as it would be written."""
    assert main(["process", "--stdout", str(talk)]) == 0

    assert "# Tide import an hour late" in capsys.readouterr().out
    assert list(talk.parent.iterdir()) == [talk]


def test_try_shows_the_newest_session_and_writes_nothing(
    home: Path, person: Path, talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is found where the tools write; not even a state folder is made."""
    folder = person / ".claude" / "projects" / "-home-mara-tide"
    folder.mkdir(parents=True)
    shutil.move(talk, folder / "7d1c4b52.jsonl")
    before = sorted(person.rglob("*"))

    assert main(["try"]) == 0

    out, err = capsys.readouterr()
    assert "# Tide import an hour late" in out
    assert "7d1c4b52.jsonl" in err
    assert sorted(person.rglob("*")) == before
    assert list(home.iterdir()) == []


def test_try_without_any_session_says_whose_folders_it_looked_in(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And how to name one."""
    assert main(["try"]) == 1

    err = capsys.readouterr().err
    assert "Claude Code" in err
    assert "sessiontrackd try PATH" in err


def test_what_a_person_asks_for_is_done_while_work_is_paused(home: Path, talk: Path) -> None:
    """A folder that is named counts as asked for, too."""
    assert main(["pause"]) == 0

    assert main(["process", str(talk.parent)]) == 0

    assert talk.with_name("tide.jsonl.insights.md").exists()


def test_a_template_of_ones_own_is_used_and_its_mistake_is_named(
    home: Path, talk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It changes one block of ours; where it is wrong the note is made by ours, and file and line are named in it, here and by `doctor`."""
    mine = home / "templates" / "standard.md.j2"
    mine.parent.mkdir(parents=True)
    mine.write_text('{% extends "!base/standard.md.j2" %}\n{% block title %}\n# Mine: {{ title }}\n{% endblock %}\n')

    (result,) = results(capsys, str(talk))
    note = Path(result["sessions"][0]["report"]).read_text()
    mine.write_text('{% extends "!base/standard.md.j2" %}\n{% block title %}\n{{ titel }}\n{% endblock %}\n')
    (wrong,) = results(capsys, str(talk))
    plain = Path(wrong["sessions"][0]["report"]).read_text()
    main(["doctor"])
    diagnosis = capsys.readouterr().out
    mine.write_text('{% extends "!base/standard.md.j2" %}\n{% block title %}\n# Mine: {{ title }}\n{% endblock %}\n')
    (mended,) = results(capsys, str(talk))

    assert "\n# Mine: Tide import" in note
    assert "## Asked" in note
    assert wrong["state"] == "done"
    assert f"{mine}, line 3: 'titel' is undefined." in wrong["reason"]
    assert "\n# Tide import" in plain
    assert (
        "\n> [!warning] Made by our own template. In yours: template `standard.md.j2`, line 3: 'titel' is undefined."
        in plain
    )
    assert f"{mine}, line 3: 'titel' is undefined" in diagnosis
    assert (mended["reason"], Path(mended["sessions"][0]["report"]).read_text()) == (None, note)


def test_a_dry_run_tells_what_would_be_spent(home: Path, talk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With an engine that is paid: the range of each transcript, and of all."""
    assert main(["process", "--dry-run", "--engine", "claude", "--json", str(talk)]) == 0
    cost = json.loads(capsys.readouterr().out)["results"][0]["cost_usd"]
    assert main(["process", "--dry-run", "--engine", "claude", str(talk)]) == 0

    assert 0 < float(cost["low"]) < float(cost["expected"]) < float(cost["max"])
    assert "would be processed; sent by claude, about $0.00" in capsys.readouterr().out
    assert list(home.iterdir()) == []


def test_ctrl_c_is_heeded_between_two_transcripts(home: Path, talk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one at work is finished, though the local engine waits for nothing; the next is not begun."""
    shutil.copyfile(talk, talk.with_name("tide-2.jsonl"))
    done: list[dict[str, Any]] = []
    real = worker.process_path

    async def interrupted(*words: Any, **asked: Any) -> dict[str, Any]:
        if not done:
            os.kill(os.getpid(), signal.SIGINT)
        done.append(await real(*words, **asked))
        return done[-1]

    monkeypatch.setattr(worker, "process_path", interrupted)

    assert main(["process", str(talk.parent)]) == 130
    assert [each["state"] for each in done] == ["done"]


def test_what_it_says_it_cost_is_what_the_account_booked(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy, and a second time, cost nothing, whatever their notes say that the insight once cost."""
    folder, at = tmp_path / "talks", Home.find(home)
    folder.mkdir()
    for name in ("a.json", "b.json"):
        (folder / name).write_text(json.dumps({"messages": TALK}))
    with Counterpart(lambda _: answer()) as server:
        config.keep_key(at, KEY)
        for name, value in (("claude.base_url", server.base_url), ("budget.monthly", "5usd")):
            config.set_value(at, name, value)
        config.add_folder(at, folder, engine="claude")
        with open_store(at.db_path, privacy.SCHEMA) as store:
            privacy.Consents(store).grant(str(folder), f"127.0.0.1:{server.port}")
        assert main(["process", str(folder)]) == 0
        first = capsys.readouterr().out
        assert main(["process", str(folder)]) == 0
        second = capsys.readouterr().out

    assert len(server.bill) == 1
    assert f"2 notes, {pricing.usd_shown(server.billed_picousd)}." in first
    assert second.endswith(" notes, $0.\n")


def test_notes_of_a_named_folder_are_rendered_again_with_their_index(home: Path, tmp_path: Path) -> None:
    """By the templates as they are now, though no transcript changed; a note that was deleted stays deleted."""
    folder, vault, mine = tmp_path / "talks", tmp_path / "vault", home / "templates"
    folder.mkdir()
    config.add_folder(Home.find(home), folder, output=f"vault:{vault}", project="tide")
    for name in ("a", "b"):
        (folder / f"{name}.json").write_text(json.dumps({"id": f"{name}bcd0000-1", "messages": TALK}))
    assert main(["process", str(folder)]) == 0
    note, gone = sorted(vault.rglob("*).md"))
    gone.unlink()

    mine.mkdir()
    for name in ("standard", "index"):
        changed = f'{{% extends "!base/{name}.md.j2" %}}\n{{% block title %}}\n# Mine\n{{% endblock %}}\n'
        (mine / f"{name}.md.j2").write_text(changed)
    assert main(["process", str(folder)]) == 0

    assert "\n# Mine\n" in note.read_text()
    assert "\n# Mine\n" in (vault / "tide" / "tide.md").read_text()
    assert not gone.exists()
