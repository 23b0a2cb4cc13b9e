"""What may leave the machine: credentials and personal data are found, replaced, and stay replaced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sessiontrackd import config
from sessiontrackd.cli.main import main
from sessiontrackd.config import Home
from sessiontrackd.privacy import Forged, Redactor, Span, redact_lines
from sessiontrackd.privacy._anchors import Anchors

# Made up and put together at run time, so that no scanner takes this file for a leak.
GITHUB = "ghp" + "_" + "x7Kp2mQ9rT4vW8zB3nL6yD1sF5hJ0cG7aE2u"
PASSWORD = "Tr0ub" + "4dor&3xQ"


def test_a_prefixed_token_is_replaced() -> None:
    """A token with a known prefix needs no name before it."""
    text = f"I used {GITHUB}, see above"

    assert Redactor().spans(text) == [Span(7, 7 + len(GITHUB), "github-token")]
    assert Redactor().redact(text) == "I used ⟦github-token-1⟧, see above"


def test_the_same_value_gets_the_same_number() -> None:
    """Within one redactor a placeholder stands for one value, and values are counted once."""
    redactor = Redactor()

    first = redactor.redact(f"password: '{PASSWORD}'")
    second = redactor.redact(f"export DB_PASSWORD={PASSWORD}")

    assert (first, second) == ("password: '⟦password-1⟧'", "export DB_PASSWORD=⟦password-1⟧")
    assert (redactor.count, redactor.counts) == (1, {"password": 1})


def test_cut_replaces_a_touched_secret_whole() -> None:
    """A cut through a secret leaves none of it."""
    text = "a" * 30 + " " + GITHUB + " " + "b" * 30

    assert Redactor().cut(text, 0, 50) == "a" * 30 + " ⟦github-token-1⟧"
    assert Redactor().cut(text, 50, 80) == "⟦github-token-1⟧ " + "b" * 8


@pytest.mark.parametrize("number", ["+46 70 123 " + "45 67", "4929 3813 " + "3266 4295", "536-90-" + "4399"])
@pytest.mark.parametrize("end", ["", ".", ". And then", ".\n", ")."])
def test_a_number_at_the_end_of_a_sentence_is_personal(number: str, end: str) -> None:
    """Also where the full stop is the last character of all."""
    assert number not in Redactor(personal=True).redact(f"reach me at {number}{end}")


def test_redacting_twice_changes_nothing() -> None:
    """Placeholders are no credentials."""
    once = Redactor().redact(f"password = '{PASSWORD}' token={GITHUB}")

    assert Redactor().redact(once) == once


def test_lines_carry_spans_of_the_text_given() -> None:
    """Spans count code points of the input, also after characters outside the basic plane and lone surrogates."""
    text = "🔑\ud800 " + GITHUB

    row = json.loads(next(redact_lines([json.dumps({"id": "a", "text": text})], Redactor())))

    assert row["spans"] == [{"start": 3, "end": 3 + len(GITHUB), "kind": "github-token"}]
    assert row["text"] == "🔑\ud800 ⟦github-token-1⟧"


@pytest.mark.parametrize(
    ("value", "kind"),
    [("192.0.2.7", "ip"), ("10.0.0.5", "ip"), ("317-53-4519", "ssn"), ("456-397-3833", "phone")],
)
@pytest.mark.parametrize("frame", ["{}", "({})", "see {}, or", "<{}>"])
def test_personal_data_is_found_in_parentheses_too(value: str, kind: str, frame: str) -> None:
    """The marks around a value are no part of it."""
    text = frame.format(value)

    assert Redactor(personal=True).spans(text) == [Span(at := text.index(value), at + len(value), kind)]


@pytest.mark.parametrize(
    "place",
    [
        "sshpass -p {} ssh bob@h", "echo {} | sudo -S ls", "mc alias set m https://x.example bob {}", "zip -P {} a.zip b",
        'smtp.login("bob@acme.example", "{}")', 'new mysqli("localhost", "root", "{}", "app")', 'user.setPassword("{}")',
        "root:{}@tcp(db:3306)/x", "db.acme.example:5432:*:bob:{}", "username bob password 0 {}", "enable secret {}",
        "Use password {} to log in.", "the root password was changed to `{}`", "Here is the password:\n{}\n", "| password | {} |",
        '{{"key": "password", "value": "{}"}}', '<input type="password" name="p" value="{}">', 'Dim password As String = "{}"',
        "INSERT INTO users (name, password) VALUES ('bob', '{}');", "user,password\nbob,{}\n", "| User | Password |\n|---|---|\n| bob | {} |",
        'cy.get("#password").type("{}")', 'bcrypt.hashSync("{}", 10)', "login: bob / {}", 'ssh-keygen -N "{}" -f x',
        "SET PASSWORD FOR 'bob' = '{}';", "net user bob {} /add", 'pw = os.getenv("PW") or "{}"', "Password - {}",
        "   12→password: {}", "new password → {}", '<Pass encoding="plain">{}</Pass>', r"{{\"password\": \"{}\"}}",
    ],
)  # fmt: skip
def test_a_password_is_found_where_people_leave_it(place: str) -> None:
    """Commands, calls, settings and sentences: in each the whole of it is replaced."""
    redacted = Redactor().redact(place.format(PASSWORD))

    assert PASSWORD not in redacted
    assert "⟦password-1⟧" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "Use a password of at least 12 characters.", "the password policy requires SHA-256", "pass 3 of the parser",
        "const label = passed ? 'passed' : 'failed'", "the admin/users/Page2 route", "password hashing with bcrypt10",
        "| password | string | required |", "user=me", "echo done | grep -c done", "pw = getpass.getpass()", "send it to bob",
    ],
)  # fmt: skip
def test_talk_about_passwords_is_none(text: str) -> None:
    """What only speaks of one stays."""
    assert Redactor().spans(text) == []


def test_a_key_is_found_without_its_beginning() -> None:
    """A tool's output may begin in the middle of a key."""
    lines = "\n".join("ab3D" * 16 for _ in range(6))
    text = f"before\n{lines}\n-----END RSA PRIVATE {'KEY'}-----\nafter"

    assert Redactor().redact(text) == "before\n⟦private-key-1⟧\nafter"


MAIL = "ada" + "@acme.example"
PERSONAL = (
    MAIL,
    "+49 151 23456789",
    "4539 1488 0343 6467",
    "DE89 3704 0044 0532 0130 00",
    "2001:db8::8a2e:1",
    "317-53-4519",
)
FORGED = ("⟦email-1⟧", "⟦0123456789abcdef:email:1⟧", "⟦", "⟧", "⟦password-1⟧", ":email:1⟧")
texts = st.lists(
    st.sampled_from([*PERSONAL, *FORGED, " ", "\n", "(", ").", "mail "]) | st.text(max_size=8), max_size=12
).map("".join)


@given(texts)
@example(f"{MAIL}{FORGED[1]}{MAIL}")
def test_personal_data_is_put_back_whole(text: str) -> None:
    """Whatever stands around it, also what looks like a placeholder."""
    redactor = Redactor(personal=True)
    assume(not Redactor().spans(text))  # credentials are replaced for good

    assert redactor.restore(redactor.redact(text)) == text


HALVES = (
    "password:", "password is", "api_key = ", '"token": "', "Xk29vQmP4tLz8Rw1", "-----BEGIN PRIVATE KEY-----\n", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
    "\n-----END PRIVATE KEY-----", "user,password,mail\n", "ada,hunter2x,-", "kind: Secret\ndata:\n", "  a: aGVsbG8gd29ybGQ=\n",
)  # fmt: skip
"""Of what is private only together."""


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(HALVES) | texts, max_size=3).map("".join), st.integers(0, 60)), max_size=6
    )
)
@example([(MAIL, 40), ("See https://user:pass@example.com includes credential.\n", 60), ("password: ", 10)])
def test_many_texts_at_once_are_cut_as_each_alone(parts: list[tuple[str, int]]) -> None:
    """What stands in one text never changes what is found in another; a text may end within what its neighbour begins with."""
    one, other = (Redactor(personal=True, nonce="0a1b2c3d") for _ in range(2))
    alone = [other.cut(text, 0, min(end, len(text))) for text, end in parts]

    assert one.cut_each(parts) == alone
    with one.foreseeing(text for text, _ in parts):
        assert [one.cut(text, 0, min(end, len(text))) for text, end in parts] == alone


@given(texts)
def test_redacting_again_changes_nothing_for_any_redactor(text: str) -> None:
    """What is sent and what is kept pass a redactor more than once."""
    redactor = Redactor(personal=True)
    once = redactor.redact(text)

    assert redactor.redact(once) == once
    assert Redactor(personal=True).redact(once) == once


@pytest.mark.parametrize("value", PERSONAL)
@given(before=st.sampled_from(["", " ", "(", "\n", "| ", '"']), after=st.sampled_from(["", " ", ")", ".\n", " |", '"']))
def test_nothing_of_personal_data_is_left(value: str, before: str, after: str) -> None:
    """The whole of it becomes one placeholder."""
    redacted = Redactor(personal=True).redact(f"{before}{value}{after}")

    assert redacted.startswith(f"{before}⟦")
    assert redacted.endswith(f"⟧{after}")
    assert redacted.count("⟦") == 1


def test_a_transcript_cannot_forge_a_placeholder() -> None:
    """Whoever saw this redactor's nonce may only repeat what it wrote; a number it never gave is refused."""
    redactor = Redactor(personal=True)
    written = redactor.redact(MAIL)

    assert redactor.restore(redactor.redact(f"{written} again")) == f"{MAIL} again"
    for forged in (written.replace(":1", ":2"), written.replace("email", "phone"), written[1:-1], written[:-1]):
        with pytest.raises(Forged):
            redactor.redact(f"see {forged}")
        assert redactor.restore(forged) == forged


def test_what_another_redactor_wrote_is_not_put_back() -> None:
    """A placeholder means something to its own redactor only."""
    one, other = Redactor(personal=True), Redactor(personal=True)
    one.redact(MAIL)

    assert one.restore(other.redact(MAIL)) != MAIL


def test_secrets_are_never_put_back() -> None:
    """Credentials stay replaced everywhere."""
    redactor = Redactor(personal=True)

    assert redactor.restore(redactor.redact(f"{MAIL} {GITHUB}")) == f"{MAIL} ⟦github-token-1⟧"


@pytest.mark.parametrize(("setting", "is_there"), [("secrets", True), ("all", False)])
def test_notes_keep_personal_data_unless_all_is_redacted(
    home: Path, tmp_path: Path, setting: str, is_there: bool
) -> None:
    """A note lies on this machine beside its transcript; `redact_notes = "all"` is for those that travel."""
    talks = tmp_path / "talks"
    talks.mkdir()
    said = [("user", f"Please send the harbour report to {MAIL} today"), ("assistant", f"Done: I sent it to {MAIL}.")]
    turns = [{"role": role, "content": text} for role, text in said]
    (talks / "talk.json").write_text(json.dumps({"messages": turns}))
    config.add_folder(Home.find(home), talks, redact_notes=setting, stable_s=0)

    assert main(["process", str(talks / "talk.json")]) == 0

    note = (talks / "talk.json.insights.md").read_text()
    assert (MAIL in note) is is_there
    assert ("email" in note) is not is_there


@given(st.sets(st.text("abc", min_size=1, max_size=5).map(str.encode)), st.text("abc", max_size=40).map(str.encode))
def test_every_anchor_is_hit_wherever_it_stands(anchors: set[bytes], data: bytes) -> None:
    """An anchor that overlaps another, stands in it or ends with the text is found too, once."""
    naive = {(at, anchor) for anchor in anchors for at in range(len(data)) if data.startswith(anchor, at)}
    assume(anchors)

    hits = [(at, anchor) for at, anchor, _ in Anchors([(anchor, anchor) for anchor in anchors]).hits(data)]

    assert sorted(hits) == sorted(naive)
