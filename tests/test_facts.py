"""What is extracted from a session: every fact a verbatim quote, in the right place, and nothing that is noise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessiontrackd import readers
from sessiontrackd.facts import Facts, extract, key_messages, title_of
from sessiontrackd.facts._words import tokens
from sessiontrackd.model import Finding, InsightLevel, Message, Origin, Role, ToolCall
from sessiontrackd.privacy import Redactor


class Open:
    """A redactor that replaces nothing."""

    def cut(self, text: str, start: int, end: int) -> str:
        return text[start:end]

    def redact(self, text: str) -> str:
        return text

    def foreseeing(self, texts: Iterable[str]) -> AbstractContextManager[None]:
        return nullcontext()


class Talk:
    """Builds the messages of a session."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def human(self, text: str) -> Talk:
        self.messages.append(Message(len(self.messages) + 1, Role.USER, Origin.HUMAN, text))
        return self

    def injected(self, text: str) -> Talk:
        self.messages.append(Message(len(self.messages) + 1, Role.USER, Origin.INJECTED, text))
        return self

    def model(self, text: str = "", *calls: ToolCall) -> Talk:
        self.messages.append(Message(len(self.messages) + 1, Role.ASSISTANT, Origin.MODEL, text, tool_calls=calls))
        return self

    def facts(self, title: str | None = None) -> Facts:
        return extract(self.messages, Open(), title=title)


def bash(command: str, result: str = "", *, failed: bool = False) -> ToolCall:
    return ToolCall("Bash", {"command": command}, result, failed=failed)


def edit(path: str, old: str, new: str) -> ToolCall:
    return ToolCall("Edit", {"file_path": path, "old_string": old, "new_string": new}, "The file has been updated.")


def texts(findings: Iterable[Finding]) -> list[str]:
    return [finding.text for finding in findings]


def mended() -> Talk:
    return (
        Talk()
        .human("The login test is red since yesterday, please find out why and fix it.")
        .model("Let me run it.", bash("cd /app && pytest tests/test_login.py", "Exit code 1\nE   KeyError: 'user'\n1 failed", failed=True))
        .model("The root cause is that the session drops the user key on refresh.")
        .model("I'll keep the key in the token instead of the session, because the session is shared.", edit("/app/login.py", "a\nb", "a\nc\nd"))
        .model("", bash("pytest tests/test_login.py -q", "12 passed in 0.3s"))
        .model("", bash("git commit -am 'Keep the user key'", "[main 1a2b3c4] Keep the user key\n 1 file changed"))
        .model("The login test passes again: the token now holds the user key.\n\nNext steps:\n- Rotate the old tokens\n\nShould old sessions be ended at once?")
    )  # fmt: skip


def test_a_problem_is_linked_to_its_cause_and_fix() -> None:
    """A failed command, the sentence that explains it and the edit after which it passes are one finding."""
    (problem,) = mended().facts().of("problem")

    assert problem.quote == "E KeyError: 'user'"
    assert problem.messages == (2,)
    assert problem.details["fixed"] is True
    assert [(part.kind, part.text, part.messages) for part in problem.parts] == [
        ("cause", "The root cause is that the session drops the user key on refresh.", (3,)),
        ("fix", "/app/login.py", (4, 5)),
    ]


def test_a_coding_session_gives_all_kinds() -> None:
    """Goal, outcome, decision, file, test, commit, to-do and question are found, each with its message."""
    facts = mended().facts()

    assert texts(facts.of("goal")) == ["The login test is red since yesterday, please find out why and fix it."]
    assert facts.of("outcome")[0].text == "The login test passes again: the token now holds the user key."
    assert [finding.messages for finding in facts.of("decision")] == [(4,)]
    assert [(finding.text, dict(finding.details)) for finding in facts.of("file")] == [
        ("/app/login.py", {"added": 2, "removed": 1, "edits": 1, "new": False})
    ]
    assert [(finding.text, finding.details["passed"]) for finding in facts.of("test")] == [("12 passed in 0.3s", True)]
    assert [(finding.text, finding.details["sha"]) for finding in facts.of("commit")] == [
        ("Keep the user key", "1a2b3c4")
    ]
    assert texts(facts.of("todo")) == ["Rotate the old tokens"]
    assert texts(facts.of("question")) == ["Should old sessions be ended at once?"]


def test_the_same_input_gives_the_same_output() -> None:
    """Nothing depends on the order of sets or on the clock."""
    assert mended().facts() == mended().facts()


def test_every_quote_stands_in_its_message() -> None:
    """Quotes are verbatim but for white space."""
    talk = mended()
    sources = {
        message.index: " ".join(
            f"{message.text} {[(dict(call.arguments), call.result) for call in message.tool_calls]}".replace(
                "\\n", " "
            ).split()
        )
        for message in talk.messages
    }

    for finding in talk.facts().findings:
        for one in (finding, *finding.parts):
            if one.quote:
                assert any(one.quote in sources[index].replace("\\'", "'") for index in one.messages), one


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Hello Claude! Can you help me understand how decorators work?", "Understand how decorators work"),
        ("<system-reminder>Be brief.</system-reminder>\nAdd a dark mode to the settings page", "Add a dark mode to the settings page"),
        ("$ git push\nerror: failed to push some refs\nhint: fetch first\n\nwhy does my push fail?", "Why does my push fail?"),
        ("Implement the following plan:\n\n# Plan: Move sessions to Redis\n\n## Context\n...", "Move sessions to Redis"),
        ("# Context from my IDE setup:\n\n## Active file: a.py\n\n## My request for Codex:\nrename the parser class", "Rename the parser class"),
        ("see https://github.com/acme/app/issues/12 and fix it please", "See acme/app#12 and fix it please"),
        ("請檢查 go.mod 的版本為什麼是 1.23", "檢查 go.mod 的版本為什麼是 1.23"),
        ("ok, " + "very " * 40 + "long", "Very" + " very" * 15 + "…"),
        ("```\ncode\n```", ""),
        ("I want to build a kite that flies at night", "Build a kite that flies at night"),
        ("Kannst du bitte herausfinden, warum der Import abbricht?", "Herausfinden, warum der Import abbricht"),
        ("Peux-tu ajouter un mode sombre à la page ?", "Ajouter un mode sombre à la page"),
        ("the tide import stops at the third file, find out why and mend it", "The tide import stops at the third file, find out why and mend it"),
        ("Hello! I hope this is not a silly question. I keep bees. Could you tell me when to feed them?", "Tell me when to feed them"),
        ("Okay, thanks for making time. This is about the grant report.", "This is about the grant report"),
        ("Ich habe eine kurze Frage. Wann blüht die Linde in der Stadt?", "Wann blüht die Linde in der Stadt?"),
        ("Why does this hang? `read()` is called in a loop", "Why does this hang? read() is called in a loop"),
        ("Could you look over this letter? It goes to my landlord.", "Look over this letter. It goes to my landlord"),
        ("rename cmd_add_image to _clip in *one* go, _please_ do", "Rename cmd_add_image to _clip in one go, please do"),
    ],
)  # fmt: skip
def test_a_title_is_what_was_asked(said: str, title: str) -> None:
    """Greetings, preambles, pasted output, IDE context and links are left out; what a short one points at is not."""
    assert title_of(said) == title


def test_a_recorded_title_wins() -> None:
    """The tool's or the user's own title stands, cut to 80 characters."""
    assert mended().facts(title="Fix the login").title == "Fix the login"
    assert len(mended().facts(title="word " * 40).title) <= 80


@pytest.mark.parametrize(
    "said", ["Untitled", "New chat", "2026-02-20 22:41:47Z", "New session - 2026-01-03T04:05:06.789Z"]
)
def test_a_recorded_title_that_tells_nothing_gives_way(said: str) -> None:
    """What a tool calls everything, and the time it began, are no titles; a title may hold either."""
    assert mended().facts(title=said).title == mended().facts().title != ""
    assert mended().facts(title=f"{said} of the harbour").title == f"{said} of the harbour"


@pytest.mark.parametrize(
    "call",
    [
        bash("grep -rn foo src", "", failed=True),
        bash("ls build | grep x", "Exit code 1", failed=True),
        bash("pytest", "The user doesn't want to proceed with this tool use.", failed=True),
        bash("git diff --quiet", "Exit code 1", failed=True),
    ],
)
def test_no_match_and_refusals_are_no_problems(call: ToolCall) -> None:
    """Grep's exit 1 means no match, and a refusal is the person's."""
    facts = Talk().human("Look for foo in the sources").model("", call).model("There is no foo anywhere.").facts()

    assert not facts.of("problem")


def test_injected_text_is_no_ask() -> None:
    """Only what a person wrote is an ask."""
    facts = (
        Talk()
        .injected("Caveat: the messages below")
        .human("Add a licence file")
        .model("I added MIT as LICENSE.")
        .facts()
    )

    assert texts(facts.of("ask")) == ["Add a licence file"]


def test_what_is_typed_behind_a_command_of_the_tool_is_an_ask() -> None:
    """`/review the parser` asks for that; what the command stands for, which nobody typed, is none."""
    typed = "<command-name>/review</command-name><command-args>the new tide parser</command-args>"
    by_tool = Talk().injected(typed).model("The parser drops the last line of every table.").facts()
    by_hand = Talk().human("<command-name>/review</command-name>").human("You are a careful reviewer.").model("Fine.")

    assert (by_tool.title, texts(by_tool.of("goal"))) == ("The new tide parser", ["the new tide parser"])
    assert by_hand.facts().title == "/review"


def test_a_turn_of_terminal_output_is_told_by_its_command() -> None:
    """Nothing but what a shell showed was pasted: command and first line say what it is about."""
    pasted = "[02/20/26 17:41 dev ~/work/cli] go vet ./...\nmain.go:9:4: unreachable code\n\tmore\n"
    facts = Talk().human(pasted).model("The dead branch in the main file is removed.").facts()

    assert facts.title == "go vet ./... main.go:9:4: unreachable code"
    assert texts(facts.of("ask")) == ["go vet ./... main.go:9:4: unreachable code"]


def test_documents_and_code_in_a_reply_are_not_quoted() -> None:
    """A model's notes to itself, an artifact, a block to replace: none gives an outcome or a question."""
    reply = (
        "<antThinking>Should I draw it?</antThinking>\n<antArtifact id=a>\nif (ready ? 1 : 2) {\nIs it drawn now?\n</antArtifact>\n"
        "The chart now shows both bakeries side by side.\n\n<<<<<<< SEARCH\nWhat is the old line?\n=======\n>>>>>>> REPLACE\n"
    )
    facts = Talk().human("draw the two bakeries please").model(reply).facts()

    assert texts(facts.of("outcome")) == ["The chart now shows both bakeries side by side."]
    assert not facts.of("question")


@pytest.mark.parametrize(
    "sentence",
    [
        "Use a lock file instead of the database flag in that function.",
        "When the flag is set, the method returns nothing instead of raising an error.",
        "Instead of the plain prompt, we can use the richer session class of the toolkit.",
        "I'll use an exploration agent to look at the structure of the code.",
        "This will help us understand if the issue is with reading the file or with parsing.",
    ],
)
def test_advice_and_behaviour_are_no_decisions(sentence: str) -> None:
    """What a review suggests, what a program does and which tool is taken next decides nothing and explains nothing."""
    facts = Talk().human("have a look at the queue module").model(sentence).facts()

    assert not facts.of("decision")
    assert not facts.of("cause")


@pytest.mark.parametrize(
    ("asked", "said", "is_choice"),
    [
        ("Should the switch stand in the header or in the footer?", "header, right of the search", True),
        ("Soll ich den Cache auch verschieben oder im Dateisystem lassen?", "vorerst im Dateisystem lassen", True),
        ("Should the switch stand in the header or in the footer?", "also, the header is too high on my screen", False),
        ("Should the switch stand in the header or in the footer?", "no idea", False),
        ("Would you like me to explain the header further, or anything else?", "explain the header", False),
        ("Do you see the header or the footer on your screen now?", "the header", False),
    ],
)
def test_a_choice_laid_open_is_decided_by_its_answer(asked: str, said: str, *, is_choice: bool) -> None:
    """Where the answer takes up its words; an offer or a question about what is there is no choice."""
    facts = (
        Talk()
        .human("a dark theme for the pages, please")
        .model(f"It is easy. {asked}")
        .human(said)
        .model("Done so.")
        .facts()
    )
    told = [(finding.text, [part.text for part in finding.parts]) for finding in facts.of("decision")]

    assert told == ([(asked, [said])] if is_choice else [])


def test_a_question_that_was_answered_is_not_open() -> None:
    """Whoever spoke after it answered it, even if the model said nothing more."""
    asked = Talk().human("move the sessions, please").model("They are moved. Soll ich auch den Cache verschieben?")

    assert asked.facts().of("question")
    assert not asked.human("nein, der bleibt vorerst im Dateisystem").facts().of("question")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("cause", "Die Ursache ist, dass die Erweiterung im Abbild fehlt, das geladen wird."),
        ("cause", "El problema es que la carpeta la creó una versión anterior del servidor."),
        ("cause", "Le problème vient de l'ordre des instructions, qui invalide le cache à chaque fois."),
        ("cause", "Проблема в том, что старая версия сервера не умеет читать эти данные."),
        ("cause", "根本原因是旧版本的服务器不能读取新的数据格式，所以启动失败。"),
        ("decision", "Rather than a special case in the code, I'll expand the comparison for both of the databases."),
        ("decision", "Ich nehme die kleine Bibliothek statt der Erweiterung, damit das Abbild gleich bleibt."),
        ("decision", "Je garde le premier format au lieu du nouveau pour que les anciens fichiers restent lisibles."),
        ("decision", "我改用小的库而不是扩展，这样镜像可以保持不变，部署也更简单。"),
    ],
)
def test_causes_and_choices_are_told_in_every_language(kind: str, sentence: str) -> None:
    """As an agent says them."""
    work = Talk().human("please see to it today").model(sentence, edit("a.py", "a", "b")).model("It runs again now.")

    assert texts(work.facts().of(kind)) == [sentence]


@pytest.mark.parametrize(
    "said",
    [
        "forget the second format, the old one stays.",
        "we are not moving the page after all.",
        "we go to the island by train, not by car",
        "keep the old flag as an alias until the third version",
        "the second picture for now, Mira draws a better one",
        "Die Strafe lassen wir doch weg, das schreckt nur ab.",
        "Nimm lieber die zweite Fassung des Briefs.",
        "mejor con un volumen que con la carpeta.",
        "garde plutôt le premier titre de la page.",
        "лучше оставь первый вариант письма.",
        "那我就用旧路由器，不买新的了。",
        "表ではなく箇条書きでお願いします。",
    ],
)
def test_what_a_person_settles_is_a_decision(said: str) -> None:
    """In other languages too."""
    facts = Talk().human("please help me with this today").model("There are two ways to do it.").human(said)

    assert texts(facts.model("It is done that way now.").facts().of("decision")) == [said]


@pytest.mark.parametrize(
    "said",
    [
        "thanks, that's all for now",
        "the page shows a list, not a table",
        "forget what I said about the page before",
        "wo steht, wie viele Zeilen das sind",
        "还有什么就告诉我吧，谢谢你",
    ],
)
def test_what_a_person_only_says_is_no_decision(said: str) -> None:
    """It reports, closes or asks."""
    facts = Talk().human("please help me with this today").model("There are two ways to do it.").human(said)

    assert not facts.model("It is done that way now.").facts().of("decision")


@pytest.mark.parametrize(
    ("reply", "asked"),
    [
        ("Both ways work. Which of the two do you want to keep?", ["Which of the two do you want to keep?"]),
        ("Done, the page is online. How can I help you today?", []),
        ("Hello! Is there a specific task or code change you'd like me to help with?", []),
        ("It is done. Or do you have any questions about it?", []),
        ("It is done. Would you like me to make any further changes or improvements to it?", []),
        ("Hallo! Comment puis-je vous aider aujourd'hui ?", []),
        ("Hallo zusammen,\n\ndas Essen fällt dieses Jahr leider aus. Wer kommt mit auf den Markt?", []),
        ("Dear Ms. Lund,\n\nthank you for the letter. Could you please send me the list of costs?\n\nKind regards", []),
        ("Why did the frog cross? " + "It wanted to see the other side of the pond. " * 12, []),
    ],
)
def test_a_question_stands_at_the_end_and_asks_something(reply: str, asked: list[str]) -> None:
    """Politeness, and what a reply asks and answers itself, wait for nobody."""
    assert texts(Talk().human("tell me about the two ways").model(reply).facts().of("question")) == asked


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("npm run check 2>&1 | tail -20", "npm run check"),
        ("cd /app && go build ./... > /dev/null; echo $?", "go build ./..."),
        ("git push origin main && git log --oneline | head -3", "git push origin main"),
        ('grep -c x a.txt && sed -i "s/a|b/c/" a.txt', 'grep -c x a.txt && sed -i "s/a|b/c/" a.txt'),
        ("make fmt && make lint", "make fmt && make lint"),
    ],
)
def test_a_command_is_shown_without_what_shapes_its_output(typed: str, shown: str) -> None:
    """Pipes into pagers, redirections and readers behind it are left out; what acts stays."""
    work = (
        Talk().human("please build the whole thing").model("", bash(typed, "ok"), bash(typed, "ok"), bash(typed, "ok"))
    )
    facts = work.model("Everything is built and pushed now.").facts()

    assert texts([*facts.of("test"), *facts.of("command")]) == [shown]


def test_a_fix_is_named_only_where_it_is_likely() -> None:
    """The file that the error names, else the last ones edited; after many edits nobody can say."""
    work = (
        Talk().human("make the build pass again").model("", bash("make build", "src/a.c:3: error: no x", failed=True))
    )
    for name in ("b", "c", "d", "e", "a", "f"):
        work.model("", edit(f"src/{name}.c", "1", "2"))
    named = work.model("", bash("make build", "done")).model("The build passes.").facts()
    work.messages[1] = Talk().human("").model("", bash("make build", "error: no x", failed=True)).messages[1]

    assert texts(named.of("problem")[0].parts) == ["src/a.c"]
    assert [part.details["edited"] for part in work.facts().of("problem")[0].parts] == [False]


def test_what_was_edited_before_another_error_did_not_mend_it() -> None:
    """Nor does the cause of the first explain the second; that the same one came back in another place does not count."""
    work = (
        Talk()
        .human("upgrade it, please")
        .model("", bash("make test", "error: no name ugettext in line 3", failed=True))
    )
    work.model("The root cause is that the name was removed in the fourth version.", edit("models.py", "1", "2"))
    again = work.messages[:]
    work.model("", bash("make test", "error: the page answers 403 instead", failed=True)).model(
        "", edit("settings.py", "1", "2")
    )
    facts = work.model("", bash("make test", "done")).model("The tests pass again now.").facts()
    work.messages = again
    work.model("", bash("make test", "error: no name ugettext in line 7", failed=True)).model(
        "", edit("forms.py", "1", "2")
    )
    same = work.model("", bash("make test", "done")).model("The tests pass again now.").facts()

    assert [[part.text for part in problem.parts] for problem in facts.of("problem")] == [["settings.py"]]
    assert [part.text for problem in same.of("problem") for part in problem.parts if part.kind == "fix"] == [
        "forms.py, models.py"
    ]


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ("/src/Menu.vue\n  12:3  error  'open' is never reassigned  prefer-const\n\n✖ 1 problem (1 error, 0 warnings)", "12:3 error 'open' is never reassigned prefer-const"),
        ("--- FAIL: TestBurst (0.02s)\n    limit_test.go:48: got 11 allowed, want 10\nFAIL\texample.com/limit\t0.2s", "limit_test.go:48: got 11 allowed, want 10"),
        ("Value '/usr/lib/jvm' given for java.home is invalid\nBUILD FAILED in 1s", "Value '/usr/lib/jvm' given for java.home is invalid"),
    ],
)  # fmt: skip
def test_an_error_is_told_by_what_was_wrong(result: str, line: str) -> None:
    """Not by how many there were or that it failed."""
    facts = Talk().human("mend it, please").model("", bash("make lint", result, failed=True)).model("It fails.").facts()

    assert texts(facts.of("problem")) == [line]


def test_what_is_left_to_do_is_no_outcome() -> None:
    """An empty box below the last sentence is told once, as open work."""
    facts = (
        Talk()
        .human("Please move the backup.")
        .model("The backup runs at 3:00 now.\n\n- [ ] Drop the old tables")
        .facts()
    )

    assert [texts(each.parts) for each in facts.of("outcome")] == [[]]
    assert texts(facts.of("todo")) == ["Drop the old tables"]


def test_what_is_asked_again_is_told_once() -> None:
    """A person who takes an answer back and asks anew says nothing new; the steps stay two."""
    ask, answer = "Please sort the tide tables by month.", "They are sorted by month now, the oldest first."
    facts = Talk().human(ask).model(answer).human("And by year?").model("Yes, I did.").human(ask).model(answer).facts()

    assert [(finding.text, finding.messages) for finding in facts.of("ask")] == [(ask, (1, 5)), ("And by year?", (3,))]
    assert [finding.text for finding in facts.of("segment")].count(ask) == 2


def test_the_same_error_of_two_commands_is_one_problem() -> None:
    """`build` and `check` that fail alike broke once."""
    work = Talk().human("make the build pass again").model("", bash("make build", "error: no x here", failed=True))
    facts = work.model("", bash("make all", "error: no x here", failed=True)).model("It still fails.").facts()

    assert [problem.details["times"] for problem in facts.of("problem")] == [2]


def test_the_outcome_is_what_the_reply_concludes() -> None:
    """What stands under a heading such as Summary is the outcome, in several languages; apologies are not."""
    long = "I'm sorry.\n\n## Ways\n\n- a first way with a pump\n- a second way\n\n## {}\n\nThe second way costs half as much."

    for heading in ("Summary", "Conclusion:", "结论", "Fazit"):
        facts = Talk().human("which way do we take").model(long.format(heading)).facts()
        assert texts(facts.of("outcome")) == ["The second way costs half as much."]


def test_a_list_is_told_with_what_introduces_it() -> None:
    """Its items alone do not say of what; "here is a list" does not either."""
    listed = "Great. Good first trips are:\n\n- a walk along the river\n- the old mill and its garden"
    outcome = Talk().human("where shall we go on Sunday").model(listed).facts().of("outcome")
    assert texts(outcome) == ["Good first trips are: - a walk along the river"]

    plain = listed.replace("Good first trips are:", "Here is the list:")
    outcome = Talk().human("where shall we go on Sunday").model(plain).facts().of("outcome")
    assert texts(outcome) == ["a walk along the river"]


def test_a_line_that_ends_in_a_colon_is_told_with_its_first_item() -> None:
    """What is announced alone says nothing."""
    reply = "I added two tests to the parser:\n\n1. one for empty lines and comments\n2. one for long lines"

    facts = Talk().human("test the parser please").model(reply).facts()

    assert texts(facts.of("outcome")) == ["I added two tests to the parser: 1. one for empty lines and comments"]
    assert facts.of("segment")[0].parts[0].text == facts.of("outcome")[0].text


def test_a_sentence_ends_behind_its_marks_and_not_inside_code() -> None:
    """A quote that ends in the middle of a code span, or before its closing mark, reads badly."""
    reply = 'All four `write(format(...)) → print(...)` calls use the short form now. He calls that "done." Nobody objected.'

    (outcome,) = Talk().human("shorten the calls please").model(reply).facts().of("outcome")

    said = " ".join([outcome.text, *texts(outcome.parts)])
    assert said.startswith("All four `write(format(...)) → print(...)` calls use the short form now.")
    assert 'He calls that "done."' in said


def test_a_command_that_steers_the_tool_is_neither_goal_nor_title() -> None:
    """`/add a.py` says nothing of what was wanted."""
    talk = (
        Talk()
        .human("/add src/io.py and src/os.py")
        .human("move the imports to the top")
        .model("They stand at the top now.")
    )
    facts = extract(talk.human("/undo").messages, Open(), level=InsightLevel.COMPREHENSIVE)

    assert texts(facts.of("goal")) == ["move the imports to the top"]
    assert facts.title == "Move the imports to the top"


def test_what_the_agent_says_it_has_done_is_an_end() -> None:
    """A tool by which it only says so is no work that goes on."""
    done = ToolCall("task_complete", {"summary": "done"}, "ok")
    facts = Talk().human("compare the two libraries").model("The first one is faster by half.").model("", done).facts()

    assert "unfinished" not in facts.of("outcome")[0].details


@pytest.mark.parametrize("reply", ["Bonjour!", "How can I assist you today?", "Hello! What can I help you with?"])
def test_a_greeting_is_no_outcome(reply: str) -> None:
    """Nothing came of it yet; a short answer is an outcome."""
    assert not Talk().human("good morning to you").model(reply).facts().of("outcome")
    assert texts(Talk().human("what is the capital of France?").model("Paris.").facts().of("outcome")) == ["Paris."]


@pytest.mark.parametrize(
    "reply",
    [
        "You're very welcome, and well done! Enjoy your game, and come back if you get stuck. 🎉",
        "Gern geschehen! Viel Erfolg bei der Prüfung.",
        "¡De nada! Que lo pases bien en el viaje.",
        "不客气，祝你一切顺利！",
        "■ You've hit your usage limit. Try again at 6:12 PM.",
    ],
)
def test_a_good_bye_is_no_outcome(reply: str) -> None:
    """Nor is what a tool says when it stops."""
    told = "A tuple cannot be changed, so put a new one in its place."
    facts = Talk().human("why can't I set the score?").model(told).human("that works, thank you").model(reply).facts()

    assert texts(facts.of("outcome")) == [told]
    assert bool(facts.of("outcome")[0].details.get("unfinished")) is ("limit" in reply)


@pytest.mark.parametrize(
    ("reply", "outcome", "parts"),
    [
        ("That's a clean story. We lose half of the visitors at the third step of the form, so it is measured first.",
         "We lose half of the visitors at the third step of the form, so it is measured first.", []),
        ('Gute Idee. Die Formel lautet dann:\n\n=XVERWEIS(WECHSELN(A2;ZEICHEN(160);"");A:A;C:C)',
         'Die Formel lautet dann: =XVERWEIS(WECHSELN(A2;ZEICHEN(160);"");A:A;C:C)', []),
        ("The newer picker uses the third version of the date package, where the deep imports are gone for good. In your own code change\n\n```js\nimport a\n```",
         "The newer picker uses the third version of the date package, where the deep imports are gone for good.", []),
        ("The report gives the same sum as your query and all four of the tests of it pass again now.\n\nThis part is yours to settle:\n- find out why the shop stopped sending it (see above);",
         "The report gives the same sum as your query and all four of the tests of it pass again now.",
         ["find out why the shop stopped sending it (see above);"]),
        ("**1. The key is looked up twice (cache.py:31).** Two threads load it at the same time, and each of them counts it against the quota.",
         "The key is looked up twice (cache.py:31).", ["Two threads load it at the same time, and each of them counts it against the quota."]),
        ("Renamed. Scripts that pass the old flag will break with an error about a flag that nobody knows.",
         "Renamed. Scripts that pass the old flag will break with an error about a flag that nobody knows.", []),
        ("`[a-f]{5}`\n\nIt takes exactly five figures, whatever stands in front of them or behind them in the line of the file.",
         "`[a-f]{5}` It takes exactly five figures, whatever stands in front of them or behind them in the line of the file.", []),
        ("Dear Mr. Harms,\n\nthe protocol notes the usual traces of use on all of the walls, and nothing else was found in any of the rooms.",
         "the protocol notes the usual traces of use on all of the walls, and nothing else was found in any of the rooms.", []),
        ("§ 2 Nr. 1 verlangt angemessene Maßnahmen zum Schutz der Geheimnisse auf beiden Seiten des Vertrags.",
         "§ 2 Nr. 1 verlangt angemessene Maßnahmen zum Schutz der Geheimnisse auf beiden Seiten des Vertrags.", []),
    ],
)  # fmt: skip
def test_an_outcome_says_something_whole(reply: str, outcome: str, parts: list[str]) -> None:
    """Neither praise nor half a sentence: what leads on to code or to a list is told with it or not at all."""
    (found,) = Talk().human("please see to it today").model(reply).facts().of("outcome")

    assert (found.text, texts(found.parts)) == (outcome, parts)


def test_what_was_done_comes_before_what_seems() -> None:
    """A guess at the cause is no outcome where the reply goes on; alone it is."""
    guess = "It seems that the map is made with more arguments than the test expects."
    facts = Talk().human("why is the test red").model(f"{guess} The test gives all four of them now.").facts()

    assert texts(facts.of("outcome")) == ["The test gives all four of them now."]
    assert texts(Talk().human("why is the test red").model(guess).facts().of("outcome")) == [guess]


def test_small_talk_after_the_work_is_not_the_outcome() -> None:
    """A short question that was only answered does not hide how the work ended."""
    work = mended().human("what did i just type?").model("You typed a list command, which I ran in the shell for you.")

    assert work.facts().of("outcome")[0].text == "The login test passes again: the token now holds the user key."


def test_a_reply_that_breaks_off_is_no_success() -> None:
    """It ended in the middle of a sentence: that is where it stopped."""
    reply = "The package must have a different interface than what the agent expects. Did somebody take the last change back while we"

    (outcome,) = Talk().human("publish it please").model(reply).facts().of("outcome")

    assert outcome.details["unfinished"] is True


def test_the_deepest_level_tells_everything() -> None:
    """Every ask, file and failed command is a finding; the usual level chooses."""
    work = Talk()
    for n in range(30):
        work.human(f"please change part number {n} of the pump house").model("", edit(f"/p/{n}.py", "a", "b"))
        work.model(f"Part {n} is changed now.", bash(f"tool{n} check", "error: no such tide", failed=True))
    facts = work.facts()

    assert len(facts.of("ask")) == len(facts.of("file")) == 30
    assert sum(int(problem.details["times"]) for problem in facts.of("problem")) == 30


@pytest.mark.parametrize(
    ("asked", "reply", "outcome", "keyword"),
    [
        (
            "Wohin mit dem Kühlschrank in der Küche? Der Kühlschrank ist breit.",
            "Der Kühlschrank steht am besten neben der Tür. Soll ich die Küche zeichnen?",
            "Der Kühlschrank steht am besten neben der Tür.",
            "kühlschrank",
        ),
        (
            "吉他怎么学？我只有一把木吉他，没有电吉他。",
            "计划如下：先买木吉他，每天练习和弦二十分钟。您想要我推荐型号吗？",
            "计划如下：先买木吉他，每天练习和弦二十分钟。",
            "吉他",
        ),
        (
            "Buenos días, ¿dónde ponemos el proyector? El proyector es grande.",
            "El proyector queda en la biblioteca porque la sala está ocupada.",
            "El proyector queda en la biblioteca porque la sala está ocupada.",
            "proyector",
        ),
    ],
)
def test_other_languages_have_asks_outcome_and_keywords(asked: str, reply: str, outcome: str, keyword: str) -> None:
    """Structure needs no English cue; words without a meaning of their own are no keywords, questions no outcome."""
    facts = Talk().human(asked).model(reply).facts()

    assert len(facts.of("ask")) == 1
    assert facts.of("outcome")[0].text == outcome
    assert not facts.of("outcome")[0].parts
    assert keyword in facts.keywords
    assert not {"der", "die", "el", "la", "ist"} & set(facts.keywords)


def test_an_ask_repeated_without_an_answer_is_one_ask_with_both_places() -> None:
    """Asked twice, told once, and both messages are named."""
    talk = (
        Talk().human("where does the old pump stand").human("where does the old pump stand now").model("In the shed.")
    )

    assert [finding.messages for finding in talk.facts().of("ask")] == [(2, 1)]


def test_a_cut_result_is_not_quoted_near_its_cut() -> None:
    """Where the middle of a result was left out a secret may be torn: 4,096 characters on each side stay unquoted."""
    head, tail = "x\n" * 8_192, "y\n" * 7_000 + "Error: torn here" + "\n" * 10
    torn = ToolCall(
        "Bash", {"command": "make build"}, head + "Error: too near\n" + tail[16:], 10**6, len(head), failed=True
    )
    facts = Talk().human("Build the whole project").model("", torn).model("The build does not work at all.").facts()

    assert texts(facts.of("problem")) == ["Error: torn here"]


def test_work_without_an_end_is_marked() -> None:
    """Where tools ran after the last reply the outcome is no conclusion."""
    facts = (
        Talk().human("Rename the parser class").model("I rename it in all files now.", edit("/a.py", "a", "b")).facts()
    )

    assert facts.of("outcome")[0].details == {"unfinished": True}


def test_apply_patch_counts_lines_per_file() -> None:
    """A patch names its files and their lines."""
    patch = "*** Begin Patch\n*** Update File: a.py\n@@\n-old\n+new\n+more\n*** Add File: b.py\n+one\n*** End Patch"
    facts = Talk().human("Patch it for me").model("", ToolCall("apply_patch", {"input": patch}, "Done")).facts()

    assert [
        (finding.text, finding.details["added"], finding.details["removed"], finding.details["new"])
        for finding in facts.of("file")
    ] == [
        ("a.py", 2, 1, False),
        ("b.py", 1, 0, True),
    ]


def test_the_last_plan_shows_what_is_open() -> None:
    """Of the agent's own list the items that are not done are to-dos."""
    todos = [{"content": "Write it", "status": "completed"}, {"content": "Test it", "status": "pending"}]
    facts = Talk().human("Write and test it").model("", ToolCall("TodoWrite", {"todos": todos}, "ok")).facts()

    assert texts(facts.of("todo")) == ["Test it"]


def test_a_step_that_was_taken_is_no_longer_open() -> None:
    """A commit and a push after the last plan do what the plan still named."""
    names = ("Commit the changes", "Push to the remote", "Write the docs")
    todos = [{"content": name, "status": "pending"} for name in names]
    talk = Talk().human("Write it and push it").model("", ToolCall("TodoWrite", {"todos": todos}, "ok"))
    talk.model("", bash("git commit -am Done", "[main 1a2b3c4] Done\n 1 file changed"))
    assert texts(talk.facts().of("todo")) == ["Push to the remote", "Write the docs"]

    talk.model("", bash("git push origin main", "main -> main"))
    assert texts(talk.facts().of("todo")) == ["Write the docs"]


def test_a_meeting_is_told_by_its_points() -> None:
    """Where no model speaks there is no goal and no ask, but the sentences that stand for the talk."""
    messages = [
        Message(at + 1, Role.USER, Origin.HUMAN, text, speaker=speaker)
        for at, (speaker, text) in enumerate(
            [
                ("Ann", "The remote control should have fewer buttons, because users lose track of the buttons."),
                ("Bob", "Yes."),
                ("Ann", "We should decide on the material and on the buttons today."),
                ("Bob", "I propose rubber for the remote control, it is cheap."),
            ]
        )
    ]
    facts = extract(messages, Open())

    assert not facts.of("ask")
    assert facts.of("point")
    assert "buttons" in facts.keywords


def talked(*turns: tuple[str, str]) -> Facts:
    said = enumerate(turns, 1)
    return extract([Message(at, Role.USER, Origin.HUMAN, text, speaker=who) for at, (who, text) in said], Open())


def test_what_people_take_on_is_open_and_says_who() -> None:
    """By a deadline or a verb of work; what is only said is none. What stands in a section stands in no other."""
    facts = talked(
        ("Anna", "Shall we look at the release of the third version now?"),
        ("Ben", "I'll renew the certificate by Wednesday."),
        ("Anna", "Let's leave the beta channel for the next release."),
        ("Ben", "I will be here next week. I'll tell you about it."),
        ("Carla", "Gut, dann kümmere ich mich bis Freitag um die Kündigung."),
        ("Carla", "I still need to ask the printer whether the poster is ready. I need to say that I am glad."),
        ("Anna", "Thanks everyone, see you next week."),
    )
    told = [(finding.details.get("who"), finding.text) for finding in facts.of("todo")]

    assert told == [
        ("Ben", "I'll renew the certificate by Wednesday."),
        ("Carla", "Gut, dann kümmere ich mich bis Freitag um die Kündigung."),
        ("Carla", "I still need to ask the printer whether the poster is ready."),
    ]
    assert [(each.details["who"], each.text) for each in facts.of("decision")] == [
        ("Anna", "Let's leave the beta channel for the next release.")
    ]
    others = [point.text for point in facts.of("point") if not point.details["best"]]
    assert not {*others} & {finding.text for finding in (*facts.of("todo"), *facts.of("decision"))}


@pytest.mark.parametrize(
    ("done", "heading", "left"),
    [
        ("Der Import läuft jetzt durch.", "Noch offen:", "Die alten Zeilen umrechnen"),
        ("La prueba pasa de nuevo ahora.", "Próximos pasos:", "Rotar los tokens antiguos"),
        ("Le mode sombre est en place.", "Reste à faire :", "traduire le libellé en anglais"),
        ("README を最新の手順に更新しました。", "残りの作業:", "英語版の README を更新する"),
        ("我已经更新了安装说明。", "下一步：", "更新英文版的说明"),
        ("The import runs through now.", "## Next steps", "Convert the old rows"),
        ("The import runs through now.", "To do before Friday:", "Convert the old rows"),
        ("The import runs through now.", "Two things I did not do, as they are yours:", "Convert the old rows"),
        ("The import runs through now.", "### What you should look at", "The old rows are of another zone"),
    ],
)
def test_a_list_of_what_is_left_is_open_and_no_outcome(done: str, heading: str, left: str) -> None:
    """In other languages too."""
    facts = (
        Talk()
        .human("please see to it today")
        .model("", edit("a.py", "a", "b"))
        .model(f"{done}\n\n{heading}\n- {left}")
        .facts()
    )

    assert texts(facts.of("todo")) == [left]
    assert texts(facts.of("outcome")) == [done]
    assert not facts.of("outcome")[0].parts


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("The menu closes on Escape now. I haven't tried it in a browser.", "I haven't tried it in a browser."),
        ("The theme is in place. Print styles are not covered yet.", "Print styles are not covered yet."),
        ("The plan is empty. The state lives on your laptop. That is out of scope here, but two runs would corrupt it.",
         "The state lives on your laptop. That is out of scope here, but two runs would corrupt it."),
        ("Der Import läuft durch. Die alten Zeilen sind noch nicht umgerechnet.", "Die alten Zeilen sind noch nicht umgerechnet."),
        ("安装说明已经更新。英文版尚未更新，需要再改。", "英文版尚未更新，需要再改。"),
        ("The race is gone: the file may not exist yet when the folder is seen.", None),
        ("The file was renamed. I did not change its format.", None),
        ("The limit is two hundred now. There's no test for it yet.", "There's no test for it yet."),
        ("The last part is retried too, five times. I did not add a test for it.", "I did not add a test for it."),
    ],
)  # fmt: skip
def test_what_a_reply_says_was_not_done_is_open(reply: str, left: str | None) -> None:
    """With the sentence that it points back at; how a program behaves is no such thing."""
    facts = Talk().human("please see to it today").model("", edit("a.py", "a", "b")).model(reply).facts()

    assert texts(facts.of("todo")) == ([left] if left else [])


@pytest.mark.parametrize(
    "settled",
    [
        "The motion is carried, the bus will go to the new estate.",
        "Okay, then we freeze all releases until Monday.",
        "Gut, dann verschieben wir das Fest auf den zwölften.",
        "Vale, entonces quedamos en que imprimimos doscientos.",
        "Bon, c'est décidé, on garde la salle du bas.",
        "Então fica decidido que a reunião passa para junho.",
        "Хорошо, договорились, что встреча будет в среду.",
        "好，那我们就用第二个方案来做。",
        "では、会議は六月に延期することにします。",
    ],
)
def test_what_a_meeting_settles_is_a_decision(settled: str) -> None:
    """In other languages too; that somebody prefers something settles nothing yet."""
    facts = talked(
        ("Anna", "Ich nehme lieber den Zug als das Auto."),
        ("Ben", settled),
        ("Carla", "We keep the papers in the cellar, as you know."),
    )

    assert texts(facts.of("decision")) == [settled]


@pytest.mark.parametrize(
    "said",
    [
        "Ich sage dem Kunden heute noch Bescheid.",
        "Vale, yo reservo la sala para el jueves.",
        "D'accord, je vous envoie le devis demain matin.",
        "Je m'occupe de la réservation du stand.",
        "And then I'll put it all together on the 24th.",
        "Eu falo com a gráfica sobre os cartazes.",
        "Va bene, io prenoto il treno per tutti.",
        "Хорошо, я завтра отправлю договор юристам.",
        "我明天去联系印刷厂确认价格。",
        "会場の予約はこちらで確認しておきます。",
        "Good, then Mrs. Okafor will bring two more quotes.",
    ],
)
def test_what_is_taken_on_is_open_in_other_languages(said: str) -> None:
    """And what is given to one of those who are there."""
    facts = talked(
        ("Mrs. Okafor", "Which of the two halls do we take for the summer fair this year?"),
        ("Ben", said),
        ("Carla", "The weather will be fine, and I have been here for years."),
    )

    assert texts(facts.of("todo")) == [said]


def test_key_messages_come_in_order() -> None:
    """The messages that stand for a conversation come in source order, as many as asked for."""
    talk = mended()
    found = key_messages(talk.messages, 3)

    assert [message.index for message in found] == sorted(message.index for message in found)
    assert len(found) == 3


def test_an_empty_session_has_no_facts() -> None:
    """Nothing in, nothing out."""
    facts = extract([], Open())

    assert [finding.kind for finding in facts.findings] == ["figures"]
    assert facts.title == ""


def test_keywords_name_a_subject() -> None:
    """Neither the day or the hour nor the endings of Japanese words do; a word in katakana is not cut to pieces."""
    english = (
        Talk()
        .human("the tide import stops every Monday morning again")
        .model("The tide import waits for another day of tides, as it has on Monday.")
    )
    japanese = (
        Talk()
        .human("納期が遅れることを伝えるメールを書いてください。")
        .model("納期が遅れております。納期は来週となります。メールでご迷惑をおかけしております。")
    )
    chinese = Talk().human("幫我檢查一下資料庫的版本，可以嗎？").model("資料庫的版本已經檢查過了，版本是最新的。")

    assert not {"monday", "morning", "day", "another", "every"} & {*english.facts().keywords}
    assert {"tide", "import"} <= {*english.facts().keywords}
    assert "納期" in japanese.facts().keywords
    assert "メール" in japanese.facts().keywords
    assert not {"ます", "てお", "おり", "りま", "メー", "ール"} & {*japanese.facts().keywords}
    hindi = Talk().human("डेटाबेस को SQLite पर ले जाओ।").model("डेटाबेस अब SQLite पर है। डेटाबेस तैयार है।")
    assert hindi.facts().keywords[:2] in (("डेटाबेस", "sqlite"), ("sqlite", "डेटाबेस"))
    assert hindi.facts().title == "डेटाबेस को SQLite पर ले जाओ"
    assert "版本" in chinese.facts().keywords
    assert not {"幫我", "一下", "可以", "已經"} & {*chinese.facts().keywords}


def test_keywords_are_never_a_hidden_word() -> None:
    """A word that redaction removed from what is shown is no keyword."""

    class Closed(Open):
        def cut(self, text: str, start: int, end: int) -> str:
            return text[start:end].replace("hunter", "⟦password-1⟧")

    facts = extract(
        Talk()
        .human("Set the password hunter for the database hunter")
        .model("I set hunter as the password now.")
        .messages,
        Closed(),
    )

    assert "hunter" not in facts.keywords


def session_with(**arguments: Any) -> Facts:
    return Talk().human("Change the file please").model("", ToolCall("replace", arguments, "ok")).facts()


@pytest.mark.parametrize(
    "arguments",
    [
        {"file_path": "/a", "old_string": "x", "new_string": "y"},
        {"filePath": "/a", "oldString": "x", "newString": "y"},
        {"path": "/a", "oldText": "x", "newText": "y"},
    ],
)
def test_edits_are_understood_in_every_dialect(arguments: dict[str, str]) -> None:
    """Tools name the parts of an edit differently."""
    (change,) = session_with(**arguments).of("file")

    assert (change.details["added"], change.details["removed"]) == (1, 1)


def strings(value: object) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from strings(part)


def whole(message: Message) -> str:
    """Return all text of a message, white space collapsed."""
    calls = [text for call in message.tool_calls for text in (*strings(call.arguments), call.result or "")]
    return " ".join("\n".join([message.text, *calls]).split())


@pytest.mark.parametrize("name", ["claude_code", "codex", "pi", "chatgpt_export", "meeting"])
def test_every_quote_of_the_corpus_stands_in_its_message(shared: Path, name: str) -> None:
    """Real sessions: each quote, but for what was redacted, is found word for word where it says."""
    lost = []
    for path in sorted((shared / "corpus" / name).iterdir()):
        for opened in readers.read(path).sessions:
            messages = list(opened)
            facts = extract(messages, Redactor())
            for finding in [one for found in facts.findings for one in (found, *found.parts) if one.quote]:
                pieces = [" ".join(piece.split()) for piece in re.split("⟦[^⟧]*⟧", finding.quote or "")]
                if not any(all(piece in whole(messages[at - 1]) for piece in pieces) for at in finding.messages):
                    lost.append((path.name, finding))

    assert lost == []


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("codex/agentv__8d_1ecb6dc628_0_full.jsonl", "Please fix. I no longer use prek"),
        ("codex/VibeCodingTracker__codex.jsonl", "檢查一下 go.mod 裡面 為何 go版本是 1.24?"),
        ("claude_code/cli__8c_fa910f8ef9_5_full.jsonl", "Review: TokenUsage Implementation Across Strategies"),
        ("claude_code/cli__10_a740e118e0_0_full.jsonl", "We are reviewing entireio/cli#102 - invoke reviewer"),
    ],
)
def test_titles_of_real_sessions_are_recognisable(shared: Path, name: str, title: str) -> None:
    """Pasted terminal output, IDE context, plan headings and links are left out of real asks too."""
    opened = next(iter(readers.read(shared / "corpus" / name).sessions))

    assert extract(opened, Redactor()).title == title


@given(st.text("aB3_'’- é.", max_size=30))
def test_words_are_cut_alike_whatever_script_is_near(text: str) -> None:
    """Plain ASCII goes another way than the rest; both find the same words."""
    assert tokens(text) == tokens(f"{text} é")[:-1]
