"""Short talks with a model as plain text."""

from pathlib import Path

import pytest

from sessiontrackd.model import Origin
from sessiontrackd.readers import inspect_document, read
from sessiontrackd.records import open_source

TALKS = {
    "colons": "User: How do I list files?\nAssistant: Use ls.\n",
    "bold": "**You:** How do I list files?\n\n**ChatGPT:** Use ls.\n",
    "bold inside": "**Human**: How do I list files?\n\n**Claude**: Use ls.\n",
    "pasted": "You said:\nHow do I list files?\n\nChatGPT said:\nUse ls.\n\nNote: it sorts by name.\n",
    "lower": "human: how do i list files\nai: use ls\n",
    "stamped": "[10:03] User: How do I list files?\n[2026-01-01 10:04:10] Assistant: Use ls.\n",
    "headings": "# List files\n\n## User\n\nHow do I list files?\n\n## Assistant\n\nUse ls.\n",
    "prompts": "# List files\n\n## Prompt:\nHow do I list files?\n\n## Response:\nUse ls.\n",
    "title": "Files and how to list them\n\nUser: How do I list files?\nAssistant: Use ls.\n",
    "four": "User: Hi\n\nGemini: Hello.\n\nUser: Name two shells.\n\nGemini: Bash: old. Zsh: newer.\n\nBash: the first.\n",
}
OTHERS = {
    "fields": "User: root\nHost: alpha\nPort: 22\n",
    "settings": "user: postgres\nmodel: large\nassistant: none\n\nuser: mysql\nmodel: small\n",
    "no answer": "User: what is this?\n",
    "documentation": (
        "Prompt templates\n\nEach model has its own. The file names the roles.\n\nA system prompt stands first.\n\n"
        "Then they follow in turn.\n\nUser: Hi\nAssistant: Hello.\n\nThe rest is padding.\n"
    ),
    "empty": "User:\nAssistant:\n",
}


@pytest.mark.parametrize("name", TALKS)
def test_two_turns_with_the_names_of_roles_are_a_talk(tmp_path: Path, name: str) -> None:
    """Who asks and who answers is plain by name, however short the talk; an answer's own `Name:` is no speaker."""
    path = tmp_path / "talk.txt"
    path.write_text(TALKS[name])

    document = inspect_document(path)
    opened = next(iter(read(open_source(path)).sessions))
    origins = {message.origin for message in opened}

    pairs = 2 if name == "four" else 1
    assert document["format"] == "meeting"
    assert (document["sessions"][0]["human_turns"], document["sessions"][0]["assistant_turns"]) == (pairs, pairs)
    assert origins - {Origin.META} == {Origin.HUMAN, Origin.MODEL}


@pytest.mark.parametrize("name", OTHERS)
def test_fields_and_documentation_are_no_talk(tmp_path: Path, name: str) -> None:
    """The names of roles alone do not make a talk."""
    path = tmp_path / "page.txt"
    path.write_text(OTHERS[name])

    assert inspect_document(path)["format"] is None
