"""What a person did to a note and what of it counts: ticked boxes, added properties, empty lines and the part under `## Notes` do not.

Nor does the last line, which links the note before this one: an editor changes it when it moves or renames that note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from sessiontrackd.patterns import lazy_regex
from sessiontrackd.report import _front

_BOX = lazy_regex(
    r"^(?P<head>[ \t]*[-*+] \[)(?P<mark>[^\]\n])(?P<close>\] )(?P<text>.*?)(?P<done>[ \t]+✅ \d{4}-\d{2}-\d{2})?[ \t]*$"
)
_NOTES = lazy_regex(r"^## Notes[ \t]*$", re.IGNORECASE)
_END_OF_NOTES = lazy_regex(r"^(?:#{1,2} |> \[!note\]- Receipt)")
_CITED = lazy_regex(r"(?: \[m\d+\])+$")
EARLIER = "Earlier: "
_EARLIER = lazy_regex(rf"^{EARLIER}\[.*[\])]$")


class Kept(Struct, frozen=True):
    """A note taken apart: its front matter, its body as this program wrote it but for empty lines, and what a person added.

    Formatters put empty lines around headings and lists, and take others away.
    """

    front: str
    body: str
    ticks: tuple[tuple[str, str, str], ...]  # text, mark, what a plug-in wrote behind it
    notes: str
    earlier: str  # the line that links the note before this one
    spaced: str  # the body with its empty lines, which counted when this program began

    @property
    def is_ours(self) -> bool:
        """Whether this program wrote it at all."""
        return _front.is_generated(self.front)

    @property
    def is_edited(self) -> bool:
        """Whether a person changed more than what is carried over."""
        recorded = _front.recorded_sha256(self.front)
        return recorded != _front.digest(self.body) and recorded != _front.digest(self.spaced)


def taken_apart(text: str) -> Kept | None:
    """Take a note apart; None where it has no front matter."""
    parts = _front.split(text.replace("\r\n", "\n"))
    if parts is None:
        return None
    body, notes = _without_notes(parts[1], _front.recorded_sha256(parts[0]))
    body, earlier = _without_earlier(body)
    ticks: list[tuple[str, str, str]] = []
    lines = [_unticked(line.rstrip(), ticks) for line in body.strip("\n").split("\n")]
    own, spaced = ("\n".join(each) + "\n" for each in (filter(None, lines), lines))
    return Kept(parts[0], own, tuple(ticks), notes, earlier, spaced)


def sha256_of(body: str) -> str:
    """Return the digest that a body gets when it is written."""
    kept = taken_apart(f"---\n---\n{body}")
    assert kept is not None
    return _front.digest(kept.body)


def carried_over(previous: str, text: str, *, with_notes: bool = True) -> str:
    """Return the new text of a note with what a person added to the previous one."""
    old, new = taken_apart(previous), _front.split(text)
    if old is None or new is None or not old.is_ours:
        return text
    body, earlier = _without_earlier(_ticked(new[1], old.ticks))
    body = with_earlier(body, old.earlier or earlier)
    if with_notes and old.notes:
        body = f"{body.rstrip()}\n\n{old.notes}"
    return f"---\n{_with_foreign(new[0], old.front)}---\n{body}"


def says_the_same(one: str, other: str, *, but: tuple[str, ...] = ()) -> bool:
    """Tell whether two notes differ in nothing but how their front matter is laid out or where the notes stand.

    Args:
        one: a note.
        other: the other.
        but: keys of the front matter whose values make no difference.
    """
    first, second = taken_apart(one), taken_apart(other)
    if first is None or second is None:
        return one == other
    both = [(each.body, sorted(each.ticks), each.notes.strip(), each.earlier) for each in (first, second)]
    if both[0] != both[1]:
        return False
    values, others = _front.loaded(first.front), _front.loaded(second.front)
    if values is None or others is None:
        return False
    return {**values, **dict.fromkeys(but)} == {**others, **dict.fromkeys(but)}


def _without_notes(body: str, written: str | None = None) -> tuple[str, str]:
    """Take the part under `## Notes` out of a body.

    Args:
        body: of a note.
        written: the digest of the body as this program wrote it. The notes end at the heading without which that is what is
            left, so that they may have headings of their own; where no heading is that one, at the first.
    """
    lines = body.split("\n")
    start = next((at for at, line in enumerate(lines) if _NOTES.match(line)), None)
    if start is None:
        return body, ""
    ends = [*(at for at in range(start + 1, len(lines)) if _END_OF_NOTES.match(lines[at])), len(lines)]
    parts = [
        (
            "\n".join(lines[:start]).rstrip("\n") + "\n\n" + "\n".join(lines[end:]),
            "\n".join(lines[start:end]).rstrip("\n") + "\n",
        )
        for end in ends
    ]
    return next((each for each in parts if len(parts) > 1 and sha256_of(each[0]) == written), parts[0])


def _without_earlier(body: str) -> tuple[str, str]:
    """Take the line that links the note before this one off the end of a body without notes."""
    before, _, last = body.rstrip("\n").rpartition("\n")
    return (f"{before.rstrip()}\n", last.rstrip()) if _EARLIER.match(last.rstrip()) else (body, "")


def with_earlier(body: str, line: str, written: str | None = None) -> str:
    """Put the line that links the note before this one behind a body, in place of another; the notes come last."""
    rest, notes = _without_notes(body, written)
    if not body.rstrip().endswith(notes.rstrip()):
        rest, notes = body, ""
    pieces = (_without_earlier(rest)[0].rstrip("\n"), line, notes.rstrip("\n"))
    return "\n\n".join(piece for piece in pieces if piece) + "\n"


def _unticked(line: str, ticks: list[tuple[str, str, str]]) -> str:
    """Return a line with an empty box, and remember the tick."""
    box = _BOX.match(line)
    if box is None or (box["mark"] == " " and not box["done"]):
        return line
    ticks.append((_CITED.sub("", box["text"]), box["mark"], box["done"] or ""))
    return f"{box['head']} {box['close']}{box['text']}"


def _ticked(body: str, ticks: tuple[tuple[str, str, str], ...]) -> str:
    """Tick the boxes again that were ticked, each once."""
    left = list(ticks)
    lines = []
    for line in body.split("\n"):
        box = _BOX.match(line)
        text = _CITED.sub("", box["text"]) if box else None
        tick = next((tick for tick in left if tick[0] == text), None)
        if box is None or tick is None:
            lines.append(line)
            continue
        left.remove(tick)
        lines.append(f"{box['head']}{tick[1]}{box['close']}{box['text']}{tick[2]}")
    return "\n".join(lines)


def _with_foreign(front: str, previous: str) -> str:
    """Return our front matter with the entries that are not ours, as they were written, before the receipt."""
    foreign = "".join(block for key, block in _front.blocks(previous) if key not in _front.OUR_KEYS)
    ours = list(_front.blocks(front))
    tags = _with_tags(ours, previous)
    at = next((at for at, (key, _) in enumerate(ours) if key == _front.RECEIPT_KEYS[0]), len(ours))
    lines = [tags if key == "tags" and tags else block for key, block in ours]
    if foreign and not foreign.endswith("\n"):
        foreign += "\n"
    return "".join((*lines[:at], foreign, *lines[at:]))


def _with_tags(ours: list[tuple[str | None, str]], previous: str) -> str | None:
    """Return the `tags` entry with the tags that a person added to ours; None where there are none."""
    block = next((block for key, block in _front.blocks(previous) if key == "tags"), "")
    mine = next((block for key, block in ours if key == "tags"), "")
    before, now = (list(_texts((_front.loaded(entry) or {}).get("tags"))) for entry in (block, mine))
    added = [tag for tag in before if tag not in now]
    return _front.dumped({"tags": [*now, *added]}).removeprefix("---\n").removesuffix("---\n") if added else None


def _texts(value: Any) -> Iterator[str]:
    """Yield the strings of a list, or of one string with commas."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if isinstance(value, list):
        yield from (str(each) for each in value if each is not None)
