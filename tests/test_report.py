"""A note says what the insight holds, stands where it belongs, and never costs a person their words."""

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import commonmark
import mistune
import pytest
import yaml
from markdown_it import MarkdownIt
from msgspec import structs

from sessiontrackd import report
from sessiontrackd.errors import Failed
from sessiontrackd.model import Finding, Insight, InsightLevel, Message, Origin, Role, Session, Usage

GOLDEN = Path(__file__).parent / "golden"
ZONE = timezone(timedelta(hours=1))
SHA = "9c1e" * 16
SESSION_ID = "5f0c2a10-1111-4222-8333-444455556666"


def said(kind: str, quote: str, *messages: int, lead: str = "", parts: tuple[Finding, ...] = ()) -> Finding:
    """Return a quoted finding."""
    return Finding(kind, lead or quote, quote, messages, parts=parts)


def computed(kind: str, text: str, *messages: int, parts: tuple[Finding, ...] = (), **details: Any) -> Finding:
    """Return a computed finding."""
    return Finding(kind, text, None, messages, "computed", parts, details)


ASKS = (
    "publish to npm failed, have a look at this run",
    "don't re-tag, people may have pulled it",
    "can you add a check to the release job, so that this fails before the tag is pushed?",
    "run the tests",
    "commit",
    "did it land?",
)
FINDINGS = (
    said("goal", ASKS[0], 3),
    *(said("ask", ask, 3 + 38 * at) for at, ask in enumerate(ASKS)),
    said("outcome", "Yes, it's landed now: 4.40.2 is on the registry and the release job checks for it.", 212),
    said(
        "decision",
        "re-tagging would break everyone who already pulled v4.40.1",
        57,
        lead="Retry the upload instead of re-tagging",
    ),
    said(
        "problem",
        "`npm publish` exits 1: `E403`",
        19,
        parts=(said("cause", "the token had read scope only", 33), computed("fix", "release.yml", 60)),
    ),
    computed("file", ".github/workflows/release.yml", 60, added=41, removed=6),
    computed("file", "scripts/verify-publish.ts", 61, added=173, removed=0, new=True),
    computed(
        "command", "bun test | tail -3", 88, exit_status=1, parts=(computed("command", "bun test", 201, exit_status=0),)
    ),
    computed("commit", "Check the registry after publishing", 195, sha="fd07a0a5"),
    computed("test", "12 passed", 201, failed=False),
    said("todo", "the docs still tell people to tag by hand", 190),
    said("question", "Should next-tags be published from the same job?", 208),
    computed("link", "https://registry.example/agentv", 20),
    computed("subagent", "Explore: where is the token set", 44),
    said("segment", ASKS[1], 41, parts=(said("decision", "re-tagging would break everyone", 57),)),
)


def a_session(**changes: Any) -> Session:
    """Return a coding session."""
    session = Session(
        SESSION_ID,
        "claude_code",
        title="publish to npm failed",
        project="/home/me/agentv",
        started_at=datetime(2026, 3, 14, 9, 12, 40, tzinfo=ZONE),
        ended_at=datetime(2026, 3, 14, 11, 48, 2, tzinfo=ZONE),
        usage=Usage(40_233, 41_120, 1_800_000),
        human_turns=6,
    )
    return structs.replace(session, **changes)


def an_insight(
    level: InsightLevel = InsightLevel.STANDARD, findings: tuple[Finding, ...] = FINDINGS, **changes: Any
) -> Insight:
    """Return what the local engine might have made of it."""
    insight = Insight(
        level,
        "publish to npm failed",
        "",
        findings,
        "local",
        keywords=("npm", "release", "publish"),
        redactions=2,
        made_at=datetime(2026, 3, 14, 11, 59, tzinfo=ZONE),
        provenance={"lines_read": 1184},
    )
    return structs.replace(insight, **changes)


def a_note(
    level: InsightLevel = InsightLevel.STANDARD, findings: tuple[Finding, ...] = FINDINGS, **changes: Any
) -> str:
    """Return the note of a session and an insight."""
    given: dict[str, Any] = {
        "source": Path("/talks/publish-fix.jsonl"),
        "source_sha256": SHA,
        "recorded_cost": (2_410_000_000_000, True),
    }
    given.update(
        {
            key: changes.pop(key)
            for key in list(changes)
            if key
            in ("source", "recorded_cost", "previous", "cited", "note_path", "zone", "project", "earlier", "links")
        }
    )
    return report.render(a_session(), an_insight(level, findings, **changes), **given)


def body_of(note: str) -> str:
    """Return a note without its front matter."""
    return note.split("---\n", 2)[2].lstrip("\n")


def front_of(note: str) -> dict[str, Any]:
    """Return the front matter's values."""
    values: dict[str, Any] = yaml.safe_load(note.split("---\n", 2)[1])
    return values


@pytest.mark.parametrize("level", list(InsightLevel))
def test_a_note_looks_as_agreed(level: InsightLevel) -> None:
    """Each level's note is the golden one, to the byte; GOLDEN=1 writes it anew for a look."""
    cited = (Message(57, Role.ASSISTANT, Origin.MODEL, "re-tagging would break everyone\n\n```\n## Notes\n```"),)
    note = a_note(level, cited=cited if level is InsightLevel.COMPREHENSIVE else ())
    golden = GOLDEN / f"{level}.md"
    if os.environ.get("GOLDEN"):
        golden.write_text(note, "utf-8")

    assert note == golden.read_text("utf-8")


def test_lines_have_thousands_marked_and_an_archive_is_near() -> None:
    """A reader counts no digits; an archive stands beside the folder of its notes, whatever moves them both."""
    change = computed("file", "a.py", 3, added=2313, removed=1279)
    source, folder = Path("/x/old talks.json"), Path("/x/old talks.json.insights")
    note = a_note(findings=(change,), source=source, note_path=folder / "note.md")

    assert "- `a.py` +2,313 −1,279\n" in note
    assert "(../old%20talks.json)" in note


def test_rendering_again_changes_no_byte() -> None:
    """The clock has no say."""
    assert a_note() == a_note()


def test_front_matter_is_yaml_in_the_agreed_order() -> None:
    """Readable keys come first, the receipt last; money is a plain number and times carry their zone."""
    note = a_note(
        model="m-1",
        engine="claude",
        cost_picousd=205_000_000,
        reserved_picousd=480_000_000,
        provenance={"priced_at": "2026-11-22"},
    )
    front = front_of(note)

    assert list(front) == [
        *(
            "source",
            "session_id",
            "format",
            "project",
            "started_at",
            "ended_at",
            "level",
            "engine",
            "model",
            "tags",
            "keywords",
        ),
        *("session_input_tokens", "session_output_tokens", "session_cost_usd", "session_cost_complete"),
        *(
            "generator",
            "body_sha256",
            "input_tokens",
            "output_tokens",
            "cost_usd",
            "reserved_usd",
            "priced_at",
            "redactions",
            "source_sha256",
        ),
    ]
    assert "cost_usd: 0.000205\n" in note
    assert "started_at: 2026-03-14T09:12:40+01:00\n" in note
    assert (front["session_input_tokens"], front["session_cost_usd"], front["tags"]) == (
        1_840_233,
        2.41,
        ["ai-session"],
    )


def test_what_is_unknown_is_left_out() -> None:
    """No usage, no price, no times: the keys are absent instead of zero."""
    session = a_session(usage=None, started_at=None, ended_at=None, project=None)
    note = report.render(
        session, an_insight(keywords=()), source=Path("talk.md"), source_sha256=SHA, recorded_cost=(None, False)
    )
    front = front_of(note)

    assert not {
        "session_input_tokens",
        "session_cost_usd",
        "started_at",
        "ended_at",
        "project",
        "keywords",
        "model",
        "priced_at",
    } & set(front)
    assert front["session_cost_complete"] is False


@pytest.mark.parametrize(
    "name", ["no", "12e5", "a: b", "- x", "0x1f", "line\nbreak", "esc\x1b[0m", "raw\udcff", "'q\"", "{{x}}", "日本"]
)
def test_any_name_survives_in_front_matter(name: str) -> None:
    """Whatever a file, a session or a project is called, the front matter stays YAML with text in it."""
    front = front_of(
        report.render(
            a_session(session_id=name), an_insight(), source=Path("/x") / name, source_sha256=SHA, project=name
        )
    )

    assert isinstance(front["project"], str)
    assert isinstance(front["session_id"], str)
    assert front["source"].isprintable()


def test_a_keyword_that_looks_like_a_number_is_text() -> None:
    """To the readers of YAML, too, that take more for a number than others."""
    text = report.render(
        a_session(), an_insight(keywords=("12e5", "0x1f", "tide")), source=Path("/x/a"), source_sha256=SHA
    )

    assert '\nkeywords: ["12e5", "0x1f", tide]\n' in text


@pytest.mark.parametrize("level", list(InsightLevel))
def test_nothing_found_makes_no_empty_section(level: InsightLevel) -> None:
    """A section without content is left out; the first block says so."""
    note = body_of(report.render(Session("s", "text"), an_insight(level, ()), source=Path("a.txt"), source_sha256=SHA))

    assert "##" not in note
    assert note.startswith("# publish to npm failed\n\n> [!info] Nothing to sum up\n\n> [!note]- Receipt\n")


def flood(size: int) -> tuple[Finding, ...]:
    """Return far too many findings of every kind, all of them long."""
    kinds = ("ask", "decision", "cause", "todo", "question", "segment", "lesson", "alternative", "unheard_of")
    words = "word " * 200
    many = [said(kind, f"{number} {words}", number, number + 1) for kind in kinds for number in range(size)]
    problems = [
        said("problem", f"p{n} {words}", n, parts=(said("cause", words, n), said("fix", words, n))) for n in range(size)
    ]
    rest = [
        computed(kind, f"{kind} {n} {words}", n, sha=f"{n:08x}")
        for kind in ("file", "command", "commit", "test", "link", "subagent")
        for n in range(size)
    ]
    return (said("goal", words, 1), said("outcome", words, 9), *many, *problems, *rest)


@pytest.mark.parametrize(("level", "most"), [(InsightLevel.MINIMAL, 20), (InsightLevel.STANDARD, 70)])
@pytest.mark.parametrize("size", [1, 6, 7, 8, 9, 300])
def test_levels_keep_their_length(level: InsightLevel, most: int, size: int) -> None:
    """Half a screen and two screens, however much was found; no section shows more than about seven items."""
    body = body_of(a_note(level, flood(size)))
    sections = re.split(r"^## .*$", body, flags=re.MULTILINE)[1:]

    assert len(body.splitlines()) <= most
    assert all(
        len(re.findall(r"^(?:- |\d+\. |\| (?!what|-))", section, re.MULTILINE)) <= 8 + 3 * ("[ ]" in section)
        for section in sections
    )


def test_levels_differ() -> None:
    """Each level shows what the one below does not."""
    minimal, standard, comprehensive = (body_of(a_note(level)) for level in InsightLevel)

    assert "## " not in minimal
    assert "## Decided" in standard
    assert "## Links" not in standard
    assert "## Links" in comprehensive
    assert "## Step by step" in comprehensive


def test_figures_tell_of_all_that_was_found() -> None:
    """Where an insight shows only some asks and files, the counts are those of the whole session."""
    figures = computed("figures", "", asks=22, files=10, added=1_221, removed=214, commits=3)
    note = a_note(findings=(*FINDINGS, figures))

    assert "22 asks · 10 files, +1,221 −214 · 3 commits, last `fd07a0a5` [m195]" in note
    assert "## Asked (6 of 22)\n- " in note
    assert "`scripts/verify-publish.ts` new, +173 · … 8 more\n" in note


def test_a_long_timeline_keeps_its_steps_nested() -> None:
    """What was answered stands under its ask, from the tenth one on too; the first seven are open, the rest folded."""
    steps = tuple(said("segment", f"ask {n}", n, parts=(said("answer", f"answer {n}", n),)) for n in range(1, 13))
    html = MarkdownIt("commonmark").render(body_of(a_note(InsightLevel.COMPREHENSIVE, steps)))

    assert html.count("<ol>") == 1
    assert html.count('<ol start="7">') == 1
    assert html.count("<ul>") == 12


def test_an_answer_stands_behind_its_question() -> None:
    """A decision that a person was asked for shows both."""
    note = a_note(findings=(said("decision", "Copy or share?", 4, parts=(said("answer", "Copy", 4),), lead=""),))

    assert '- "Copy or share?" → "Copy" [m4]\n' in note


def test_what_tells_a_talk_in_short_says_from_where() -> None:
    """A point that stands for the whole talk is quoted with its message, and not said twice."""
    points = (said("point", "Let us walk in May.", 2, lead=""), said("point", "The bridge is closed.", 3, lead=""))
    note = a_note(findings=points, summary="Let us walk in May.")

    assert '> [!abstract] In short\n> "Let us walk in May." [m2]\n' in note
    assert note.count("Let us walk in May.") == 1
    assert '## Main points\n- "The bridge is closed." [m3]\n' in note


def test_a_sentence_stands_in_one_section() -> None:
    """What was quoted as the outcome is no decision below it, and a decision no main point; what answers a question stays."""
    end, kept = "We'll keep UTC instead of local time.", "I'd rather write no README."
    findings = (
        said("outcome", "All pass.", 9, parts=(said("outcome", end, 9),)),
        *(said("decision", text, 9) for text in (end, kept)),
        said("decision", "All pass.", 4, parts=(said("answer", "Yes", 4),)),
        *(said("point", text, 9) for text in (end, kept, "Local time has gaps.")),
    )
    note = a_note(findings=findings, summary="All pass.")

    assert f'> "All pass. … {end}" [m9]\n' in note
    assert (
        f'## Main points\n- "Local time has gaps." [m9]\n\n## Decided\n- "{kept}" [m9]\n- "All pass." → "Yes" [m4]\n'
        in note
    )


def test_an_unfinished_session_says_where_it_stopped() -> None:
    """A session that ended in the middle of its work is no success either; several sentences make one quote."""
    outcome = structs.replace(
        said("outcome", "All pass.", 9, parts=(said("outcome", "Next come the docs.", 9),)),
        details={"unfinished": True},
    )

    assert '> [!info] Where it stopped\n> "All pass. … Next come the docs." [m9]\n' in a_note(findings=(outcome,))


def test_a_cited_message_shows_what_is_quoted_of_it_and_more() -> None:
    """A long one is cut between words and shows the place of its quote; one that stands in the note whole is left out."""
    long = " ".join(f"word{n}" for n in range(300))
    texts = {3: ASKS[0], 4: f"{long}\nThe cause\nis the moon. {long}"}
    cited = [Message(n, Role.USER, Origin.HUMAN, text) for n, text in texts.items()]
    findings = (said("segment", ASKS[0], 3), said("cause", "The cause is the moon.", 4))
    note = a_note(InsightLevel.COMPREHENSIVE, findings, cited=cited)

    assert "> **m3** user" not in note
    shown = note.partition("> **m4** user")[2]
    assert re.search(r"> word0 [^…]* word\d+\n> …\n> The cause\n> is the moon\. word0 [^…]* word\d+\n> …\n", shown)
    assert note.index("[!note]- Receipt") < note.index("[!quote]- Cited messages")


def test_what_was_not_mended_stands_under_no_such_heading() -> None:
    """A heading promises nothing that its section does not hold."""
    assert "## Broke\n- " in a_note(findings=(said("problem", "no such tide", 2),))


def test_a_bad_end_is_no_success() -> None:
    """Where the last tests failed, the first block says so."""
    note = a_note(findings=(*FINDINGS, computed("test", "3 failed", 220, failed=True)))

    assert "> [!warning] Outcome" in note
    assert "tests fail [m220]" in note


def test_a_model_signs_its_words() -> None:
    """The receipt names the model, the money and the quotes that were checked."""
    facts = {"priced_at": "2026-11-22", "quotes_checked": 3, "quotes_kept": 3}
    note = a_note(
        InsightLevel.MINIMAL,
        (
            Finding("outcome", "SQLite with a nightly export.", "we take SQLite", (31,), "model"),
            Finding("question", "Who exports?", "And who exports it?", (27,), "model"),
        ),
        engine="claude",
        model="claude-haiku-5-5",
        usage=Usage(1_311, 148),
        cost_picousd=205_000_000,
        reserved_picousd=480_000_000,
        redactions=0,
        provenance=facts,
    )

    assert '- [ ] Unanswered: Who exports? – "And who exports it?" [m27]\n' in note
    assert "> SQLite with a nightly export. [m31]\n" in note
    assert (
        "> claude-haiku-5-5 · 1,311 in, 148 out · $0.000205 of $0.00048 reserved · priced 2026-11-22 · 0 secrets redacted"
        " · quotes checked: 3 of 3 · 2026-03-14 11:59 · [`publish-fix.jsonl`](publish-fix.jsonl)"
    ) in note


TAG = re.compile(r"<\s*(/?[a-zA-Z!?][^\s>/]*)")


def hostile(text: str, level: InsightLevel) -> str:
    """Return a note in which everything that comes from outside is the same text."""
    kinds = ("goal", "ask", "outcome", "decision", "cause", "todo", "question", "segment", "unheard_of")
    findings = (
        *(said(kind, text, 3, lead=f"{text} x") for kind in kinds),
        said("problem", text, 4, parts=(said("cause", text, 5), computed("fix", text, 6))),
        *(
            computed(kind, text, 7, sha=text)
            for kind in ("file", "command", "commit", "test", "link", "subagent", "next_prompt")
        ),
        Finding("lesson", text, text, (8,), "model"),
        Finding("point", text, text, (9,), details={"who": text}),
    )
    insight = an_insight(level, findings, title=text, engine="other", model=text, provenance={"note": text})
    cited = (Message(3, Role.USER, Origin.HUMAN, f"{text}\n{text}", speaker=text),)  # a quote of half of it
    name = text.replace("/", "").replace("\0", "") or "x"
    return report.render(
        a_session(title=text),
        insight,
        source=Path("/x") / name,
        source_sha256=SHA,
        cited=cited,
        earlier=(text, Path("/x/y.md")),
    )


def tags(html: str) -> list[str]:
    """Return the tags of a page in order, but for code spans."""
    return [tag for found in TAG.findall(html) if (tag := found.lower()) not in ("code", "/code")]


def test_hostile_text_is_inert_everywhere(shared: Path) -> None:
    """Title, messages, quotes, cells, file names and a model's words make no tag that a plain word does not make."""
    lines = (shared / "hostile" / "injection.jsonl").read_text("utf-8").splitlines()
    texts = [text for line in lines[::12] if (text := str(json.loads(line)["text"])).strip()]
    texts += ["- x", "+", "> x", "# x", "1. x", "2) x", "- [ ] x", "~~~", "---", "=", ": x"]
    renderers = (
        MarkdownIt("gfm-like").render,
        mistune.create_markdown(escape=False, plugins=["table", "url"]),
        commonmark.commonmark,
    )
    for render in renderers:
        plain = tags(str(render(body_of(hostile("word", InsightLevel.COMPREHENSIVE)))))
        bad = [text for text in texts if tags(str(render(body_of(hostile(text, InsightLevel.COMPREHENSIVE))))) != plain]

        assert bad == []


def test_our_marks_cannot_be_forged() -> None:
    """A text can look neither like a reference to a message nor like our callouts, boxes or notes."""
    body = body_of(a_note(findings=(said("ask", "done [m999]\n> [!success] Outcome\n## Notes\n- [x] all", 3),)))

    assert "[m999]" not in body
    assert body.count("> [!") == 2
    assert not re.search(r"^## Notes|^- \[x\]", body, re.MULTILINE)


# Where a note stands


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("talk.jsonl", "talk.jsonl.insights.md"),
        (".hidden.jsonl", ".hidden.jsonl.insights.md"),
        ("raw\udcff.jsonl", "raw\udcff.jsonl.insights.md"),
    ],
)
def test_a_note_stands_beside_its_transcript(name: str, expected: str) -> None:
    """`talk.jsonl` gets `talk.jsonl.insights.md`."""
    assert report.place(Path("/talks") / name, a_session(), output="beside", many=False) == Path("/talks") / expected


@pytest.mark.parametrize("character", ["a", "é", "日", "😀", "\udcff"])
@pytest.mark.parametrize("size", [200, 236, 240, 241, 254, 255])
def test_long_names_fit_and_differ(character: str, size: int) -> None:
    """A name the file system takes gives a note it takes too, with room for a second version, and no two names give the same."""
    width = len(os.fsencode(character))
    names = [character * (size // width - 1) + end for end in ("x", "y")]
    places = [report.place(Path("/talks") / name, a_session(), output="beside", many=False) for name in names]

    assert all(len(os.fsencode(report.numbered(path, 99).name)) <= 255 for path in places)
    assert places[0] != places[1]
    assert all(path.name.endswith(".insights.md") for path in places)


def test_vault_names_are_for_people() -> None:
    """Project, date, title and four characters of the id; a taken name gets more of the id."""
    first = report.place(Path("/t/a.jsonl"), a_session(), output="vault:/vault", many=False)
    second = report.place(Path("/t/b.jsonl"), a_session(), output="vault:/vault", many=False, taken={first})

    assert first == Path("/vault/agentv/2026-03-14 publish to npm failed (5f0c).md")
    assert second == Path("/vault/agentv/2026-03-14 publish to npm failed (5f0c2a10).md")
    assert report.index_place(first.parent, output="vault:/vault") == Path("/vault/agentv/agentv.md")


@pytest.mark.parametrize(
    ("project", "folder"), [("CON", "_CON"), ("aux.h", "_aux.h"), ("Com1", "_Com1"), ("console", "console")]
)
def test_a_vault_can_be_synced_to_windows(project: str, folder: str) -> None:
    """Where no folder may be called like a device."""
    path = report.place(Path("/t/a.jsonl"), a_session(), output="vault:/vault", many=False, project=project)

    assert path.parent.name == folder


def test_an_archive_gets_a_folder() -> None:
    """A transcript with many sessions gets a folder with a note a session and an index."""
    path = report.place(Path("/t/conversations.json"), a_session(), output="beside", many=True, title="A better one")

    assert path == Path("/t/conversations.json.insights/2026-03-14 A better one (5f0c).md")
    assert report.index_place(path.parent, output="beside") == Path("/t/conversations.json.insights/index.md")


@pytest.mark.parametrize(
    "title",
    [
        "../../etc/passwd",
        "..",
        ".",
        "a/b\\c:d",
        "\x1b[31m\u202egnp.exe",
        "a\nb",
        "#tag [[x]] ^y |z",
        "x" * 500,
        "日" * 300,
        "",
        " . ",
        'CON?*<>"',
    ],
)
def test_any_title_makes_a_safe_name(title: str) -> None:
    """No separator, no control or bidirectional character, no leading dot, never too long, never empty."""
    session = a_session(title=title, project=f"/p/{title}")
    path = report.place(Path("/t/a.jsonl"), session, output="vault:/vault", many=False, project=title)

    assert path.parent.parent == Path("/vault")
    assert path.is_relative_to("/vault")
    for part in path.parts[2:]:
        assert part.isprintable()
        assert not part.startswith(".")
        assert not set(part) & set('/\\:*?"<>|#^[]')
        assert len(part.encode()) <= 255


# Writing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a note belongs."""
    return tmp_path / "talk.jsonl.insights.md"


def names(folder: Path) -> list[str]:
    """Return what stands in a folder."""
    return sorted(each.name for each in folder.iterdir())


def test_a_note_is_written_once(path: Path) -> None:
    """The same content changes no byte and does not touch the file."""
    assert report.write(path, a_note()).outcome == report.WRITTEN
    before = path.stat()

    assert report.write(path, a_note()) == report.Written(path, report.UNCHANGED)
    after = path.stat()  # all of it but the time at which it was read
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )
    assert names(path.parent) == [path.name]


def test_a_new_version_replaces_an_untouched_note(path: Path) -> None:
    """What nobody edited is simply replaced."""
    report.write(path, a_note(InsightLevel.MINIMAL))

    assert report.write(path, a_note()) == report.Written(path, report.WRITTEN)
    assert path.read_text("utf-8") == a_note()


def edited(path: Path, *changes: tuple[str, str]) -> str:
    """Replace text in a file as a person would, and return all of it."""
    text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, "utf-8")
    return text


def test_what_a_person_adds_is_carried_over(path: Path) -> None:
    """Ticked boxes, properties, tags and the notes stay through a new version, and count as no edit."""
    report.write(path, a_note(InsightLevel.MINIMAL))
    edited(
        path,
        ('- [ ] "the docs', '- [x] "the docs'),
        ("generator:", 'rating: 5  # mine\nrelated:\n  - "[[other]]"\ngenerator:'),
        ("tags: [ai-session]", "tags:\n  - ai-session\n  # kept by me\n  - keep\n# of mine\nmood: good"),
    )
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n## Notes\n\nMy *own* words\n- [x] mine\n")

    outcome = report.write(path, a_note())
    text = path.read_text("utf-8")

    assert outcome == report.Written(path, report.WRITTEN)
    assert '- [x] "the docs still tell people to tag by hand" [m190]\n' in text
    assert '# of mine\nmood: good\nrating: 5  # mine\nrelated:\n  - "[[other]]"\ngenerator:' in text
    assert front_of(text)["tags"] == ["ai-session", "keep"]
    assert text.endswith("\n## Notes\n\nMy *own* words\n- [x] mine\n")
    assert "## Decided" in text
    assert report.write(path, a_note()).outcome == report.UNCHANGED
    assert path.read_text("utf-8") == text


def test_versions_are_counted_from_any_of_them(path: Path) -> None:
    """Writing to the second version goes on with the third, in a vault too."""
    second = report.numbered(path, 2)
    report.write(second, a_note())
    edited(second, ("# publish", "# Publish"))

    assert report.write(second, a_note(InsightLevel.MINIMAL)).path == report.numbered(path, 3)
    assert report.numbered(Path("v/2026-03-14 v1.2 (5f0c).2.md"), 3) == Path("v/2026-03-14 v1.2 (5f0c).3.md")


def test_notes_may_stand_anywhere(path: Path) -> None:
    """Notes before the receipt are notes as well, and the file is not touched for them."""
    report.write(path, a_note())
    text = edited(path, ("> [!note]- Receipt", "## Notes\nmine\n\n> [!note]- Receipt"))

    assert report.write(path, a_note()).outcome == report.UNCHANGED
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("before", ["> [!note]- Receipt", "## Still open", None])
def test_notes_may_have_headings_of_their_own(path: Path, before: str | None) -> None:
    """Headings, and code that looks like one, belong to the notes, wherever they stand; all of it is carried over."""
    mine = "## Notes\nmine\n\n```sh\n# install\n```\n\n## Later\n\n- [ ] also mine\n"
    report.write(path, a_note())
    edited(path, (before, f"{mine}\n{before}")) if before else path.write_text(f"{a_note()}\n{mine}", "utf-8")
    report.link_earlier(path, "Before", path.with_name("a.md"), "markdown")

    assert report.write(path, a_note(InsightLevel.MINIMAL)).outcome == report.WRITTEN
    text = path.read_text("utf-8")
    assert text.endswith(f"\n\nEarlier: [Before](a.md)\n\n{mine}")
    assert text.count("also mine") == 1


def test_an_editor_may_lay_the_front_matter_out_anew(path: Path) -> None:
    """Front matter written in another style with the same values is no reason to write."""
    report.write(path, a_note())
    text = edited(
        path,
        ("tags: [ai-session]", "tags:\n  - ai-session"),
        ('source: "publish-fix.jsonl"', "source: publish-fix.jsonl"),
    )

    assert report.write(path, a_note()).outcome == report.UNCHANGED
    assert path.read_text("utf-8") == text


def test_a_formatter_may_space_the_lines_anew(path: Path) -> None:
    """Empty lines around headings and lists are no edit, and no reason to write."""
    report.write(path, a_note())
    text = edited(path, ("## Decided\n", "## Decided\n\n"), ("---\n\n#", "---\n#"), ("\n\n## Files", "\n\n\n## Files"))

    assert report.write(path, a_note()).outcome == report.UNCHANGED
    assert path.read_text("utf-8") == text
    assert report.write(path, a_note(InsightLevel.MINIMAL)) == report.Written(path, report.WRITTEN)


def test_a_note_whose_empty_lines_were_counted_is_not_edited(path: Path) -> None:
    """As they were in the digests of the first notes."""
    text = a_note()
    counted = hashlib.sha256(body_of(text).lstrip("\n").encode()).hexdigest()
    path.write_text(re.sub(r'(?<=body_sha256: ")\w+', counted, text), "utf-8")

    assert report.write(path, a_note(InsightLevel.MINIMAL)) == report.Written(path, report.WRITTEN)


@pytest.mark.parametrize(
    "change",
    [
        ("# publish", "# Publish"),
        ("commit", "commitment"),
        ("## Decided", "## Decided by me"),
        ("\n- [ ] ", "\n- [ ] mine\n- [ ] "),
    ],
)
def test_an_edited_note_is_never_overwritten(path: Path, change: tuple[str, str]) -> None:
    """The new version lands beside the edited one, is replaced there, and carries the ticks."""
    report.write(path, a_note(InsightLevel.STANDARD))
    body = body_of(path.read_text("utf-8"))
    front = path.read_text("utf-8").removesuffix(body)
    path.write_text(front + body.replace(*change, 1), "utf-8")
    text = edited(path, ('- [ ] "the docs', '- [x] "the docs'))
    beside = path.with_name("talk.jsonl.insights.2.md")

    same = report.write(path, a_note(InsightLevel.STANDARD))
    first = report.write(path, a_note(InsightLevel.MINIMAL))
    again = report.write(path, a_note(InsightLevel.MINIMAL))
    third = report.write(path, a_note(InsightLevel.COMPREHENSIVE))

    assert same == report.Written(path, report.UNCHANGED)
    assert first == report.Written(beside, report.BESIDE)
    assert again == report.Written(beside, report.UNCHANGED)
    assert third == report.Written(beside, report.BESIDE)
    assert path.read_text("utf-8") == text
    assert '- [x] "the docs' in beside.read_text("utf-8")
    assert names(path.parent) == [beside.name, path.name]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"mine",
        b"---\nkey: 1\n---\nmine\n",
        b"\xff\xfe",
        b"---\ngenerator: sessiontrackd\n",
        b"---\ngenerator: other\n---\n",
    ],
)
def test_a_file_that_is_not_ours_is_never_overwritten(path: Path, content: bytes) -> None:
    """Whatever stands there and is no note of ours stays as it is."""
    path.write_bytes(content)

    assert report.write(path, a_note()).outcome == report.BESIDE
    assert path.read_bytes() == content


def test_nothing_is_written_through_a_link(tmp_path: Path, path: Path) -> None:
    """A symbolic link, a folder and a pipe in the note's place are left alone."""
    (tmp_path / "elsewhere").mkdir()
    path.symlink_to(tmp_path / "elsewhere" / "target.md")
    os.mkfifo(report.numbered(path, 2))
    report.numbered(path, 3).mkdir()

    written = report.write(path, a_note())

    assert written == report.Written(report.numbered(path, 4), report.BESIDE)
    assert names(tmp_path / "elsewhere") == []


@pytest.mark.parametrize(
    ("umask", "mode", "expected"),
    [(0o000, 0o600, 0o600), (0o022, 0o644, 0o644), (0o077, 0o644, 0o600), (0o000, 0o640, 0o640)],
)
def test_a_note_is_never_more_open_than_its_source(path: Path, umask: int, mode: int, expected: int) -> None:
    """Permissions come from the source, less what the umask takes."""
    before = os.umask(umask)
    try:
        report.write(path, a_note(), mode=mode)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == expected


def test_a_note_that_was_closed_stays_closed(path: Path) -> None:
    """A new version does not open what a person closed."""
    report.write(path, a_note(InsightLevel.MINIMAL), mode=0o644)
    path.chmod(0o600)

    report.write(path, a_note(), mode=0o644)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails, the old note stands, no temporary file does, and the message says what to do."""
    report.write(path, a_note(InsightLevel.MINIMAL))

    def fails(*arguments: object) -> None:
        raise OSError(5, "Input/output error")

    for step in ("fsync", "rename"):
        with monkeypatch.context() as patched:
            patched.setattr(os, step, fails)
            with pytest.raises(Failed, match="watch add --output vault:DIR"):
                report.write(path, a_note())

        assert names(path.parent) == [path.name]
        assert path.read_text("utf-8") == a_note(InsightLevel.MINIMAL)


def test_an_edit_in_the_last_moment_is_seen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who saves while the new version is written keeps what was saved."""
    report.write(path, a_note(InsightLevel.MINIMAL))
    sync = os.fsync

    def saves(handle: int) -> None:
        sync(handle)
        if "mine" not in path.read_text("utf-8"):
            path.write_text(path.read_text("utf-8") + "\nmine\n", "utf-8")

    monkeypatch.setattr(os, "fsync", saves)
    written = report.write(path, a_note())

    assert written.outcome == report.BESIDE
    assert path.read_text("utf-8").endswith("\nmine\n")


def test_folders_are_made_as_closed_as_the_source(tmp_path: Path) -> None:
    """A vault's project folder opens to those who may read the source."""
    report.write(tmp_path / "a" / "x.md", a_note(), mode=0o600)
    report.write(tmp_path / "b" / "x.md", a_note(), mode=0o644)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o755


# Knowing our own


def test_our_notes_are_known(path: Path) -> None:
    """Notes and indexes are known by their first bytes, whatever an editor did to line ends or quotes."""
    note = a_note().encode()
    index = report.render_index([], title="x", index_path=path).encode()

    assert report.is_ours(note)
    assert report.is_ours(index)
    assert report.is_ours(b"\xef\xbb\xbf" + note.replace(b"\n", b"\r\n"))
    assert report.is_ours(note.replace(b"generator: sessiontrackd", b'generator: "sessiontrackd"'))
    assert report.session_of(note) == SESSION_ID
    assert report.session_of(index) is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"# talk\n",
        b"generator: sessiontrackd\n",
        b"---\ntitle: x\n---\n\n---\ngenerator: sessiontrackd\n---\n",
        b"\xff\xfe\x00",
        b'{"generator": "sessiontrackd"}',
    ],
)
def test_other_files_are_not_ours(head: bytes) -> None:
    """A text that only speaks of us is a transcript like any other."""
    assert not report.is_ours(head)


def test_moved_notes_are_found(tmp_path: Path) -> None:
    """A note is found by its session wherever the reader put it."""
    report.write(tmp_path / "deep" / "er" / "renamed.md", a_note())
    (tmp_path / "other.md").write_text("mine", "utf-8")
    (tmp_path / ".hidden").mkdir()

    assert list(report.notes_under(tmp_path)) == [(SESSION_ID, tmp_path / "deep" / "er" / "renamed.md")]


# Indexes


def entries(folder: Path) -> Iterator[report.IndexEntry]:
    """Yield a few sessions."""
    yield report.IndexEntry(
        "a", "Old <b>one</b>", datetime(2025, 12, 1, tzinfo=UTC), "done [m1]", folder / "2025-12-01 Old (aaaa).md"
    )
    yield report.IndexEntry(
        "b", "New one", datetime(2026, 3, 14, tzinfo=UTC), "", folder / "2026-03-14 New one (bbbb).md", 2
    )
    yield report.IndexEntry("c", "Hello", datetime(2026, 3, 15, tzinfo=UTC))
    yield report.IndexEntry("d", "> When?", None)
    yield from (report.IndexEntry(f"e{n}", "", datetime(2025, 12, 2, tzinfo=UTC)) for n in range(2))


def test_an_index_lists_every_session(tmp_path: Path) -> None:
    """Newest first, by month; a link where there is a note, a line where there is none, a number of those without a title."""
    text = report.render_index(list(entries(tmp_path)), title="conversations.json", index_path=tmp_path / "index.md")

    assert body_of(text) == (
        "# `conversations.json`\n\n6 sessions · 2 open\n\n"
        "## 2026-03\n- 2026-03-15 Hello\n- 2026-03-14 [New one](2026-03-14%20New%20one%20%28bbbb%29.md) · 2 open\n\n"
        "## 2025-12\n- 2025-12-01 [Old &lt;b>one&lt;/b>](2025-12-01%20Old%20%28aaaa%29.md) – done (m1)\n"
        "- … 2 more without a title\n\n"
        "## Undated\n- \\> When?\n"
    )


def test_a_note_without_a_title_is_linked_by_the_name_that_heads_it() -> None:
    """Not as "Untitled", under which nobody knows it."""
    note = a_note(earlier=("", Path("/talks/tide.jsonl.insights.md")))

    assert note.endswith("\nEarlier: [`tide.jsonl`](tide.jsonl.insights.md)\n")


def test_an_index_does_not_depend_on_order(tmp_path: Path) -> None:
    """The same sessions give the same bytes."""
    listed = list(entries(tmp_path))

    assert report.render_index(listed, title="x", index_path=tmp_path / "i.md") == report.render_index(
        listed[::-1], title="x", index_path=tmp_path / "i.md"
    )


def test_files_of_one_folder_name_it_once() -> None:
    """Long paths under one folder are shown below it; of a fix the file's own name is enough."""
    files = tuple(Finding("file", f"packages/app/src/{n}.ts", details={"added": 1}) for n in "abc")
    fix = Finding(
        "fix", "packages/app/src/a.ts", messages=(3,), origin="computed", details={"edited": True, "passes_at": 4}
    )
    note = a_note(findings=(*files, said("problem", "no such tide", 2, lead="", parts=(fix,))))

    assert "- in `packages/app/src/`: `a.ts` +1 · `b.ts` +1 · `c.ts` +1\n" in note
    assert "| what | mended by |\n" in note
    assert "| `a.ts` [m3]; passes [m4] |" in note
