"""How good what is extracted without a model is: coverage and quotes on transcripts, ROUGE on dialogues.

python bench/insights.py PATH...                            what is found of what an own, simpler reading of the messages finds; quotes
                                                            that do not stand; lines and items of the notes; --each: a line a session
python bench/insights.py --dialogue FILE [--count K]        ROUGE-1 and -2 of K turns (without K: of about 110 words)

A dialogue file is JSON lines, gzipped or not: {"turns": [{"speaker", "text"}], "reference": "..."}.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import structs

sys.path.insert(0, str(Path(__file__).resolve().parent))

from porter import stem

from sessiontrackd import report
from sessiontrackd.contracts import OpenSession
from sessiontrackd.errors import JobError
from sessiontrackd.facts import Facts, Unit, extract, ranked, scores
from sessiontrackd.insights import AIInsightGenerator, open_messages, read_session
from sessiontrackd.model import Finding, InsightLevel, Message, Origin, Role, Session
from sessiontrackd.privacy import Redactor

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"  # beside the checkout, where it is

SUMMARY_WORDS = 110  # the mean length of a reference in QMSum
SEEDS = 5  # random is the mean of so many draws
RESAMPLES = 2_000
TOKENS_PER_CHAR = 0.25
MOST_LINES = {InsightLevel.MINIMAL: 20, InsightLevel.STANDARD: 70}
MOST_ITEMS = 8
LEAST_WORDS = 3  # of an ask: "yes" and "go on" are none
TAGS = re.compile(
    r"<([a-zA-Z][\w-]*)\b[^>]*>.*?(?:</\1>|\Z)|^(?:Caveat:|\[Request interrupted|# AGENTS\.md|# Context from my IDE).*\Z",
    re.DOTALL | re.MULTILINE,
)
FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
EDITS = frozenset(("edit", "write", "multiedit", "write_file", "replace", "create", "notebookedit"))
SHELLS = frozenset(("bash", "shell", "exec_command", "run_shell_command", "local_shell"))
LOOKS = re.compile(
    r"\b(?:grep|egrep|rg|diff|test|ls|find|cat|which|head|tail|sed -n|git (?:diff|log|status|show|grep)|cmp|pgrep|kill|wc|jq|awk)\b|\[ "
)
REFUSED = re.compile(
    r"reject|doesn't want|permission|approval|interrupt|sandbox|not allowed|abort|blocked", re.IGNORECASE
)
PLACEHOLDER = re.compile("⟦[^⟧]*⟧")


@dataclass(frozen=True)
class Dialogue:
    """One row of a dialogue file."""

    turns: list[tuple[str, str]]
    reference: str

    def messages(self) -> list[Message]:
        """Return the turns as messages."""
        return [
            Message(at, Role.USER, Origin.HUMAN, text, speaker=speaker)
            for at, (speaker, text) in enumerate(self.turns, 1)
        ]


def rouge(candidate: str, reference: str, size: int) -> float:
    """Return the F1 of n-grams × 100, stemmed."""
    one, two = grams(candidate, size), grams(reference, size)
    shared = sum((one & two).values())
    return 200 * shared / (sum(one.values()) + sum(two.values())) if shared else 0.0


def grams(text: str, size: int) -> Counter[tuple[str, ...]]:
    """Count the n-grams of stems."""
    found = [stem(word) for word in re.findall(r"[a-z0-9]+", text.lower())]
    return Counter(zip(*(found[at:] for at in range(size)), strict=False))


def read(path: Path) -> list[Dialogue]:
    """Read a dialogue file."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [json.loads(line) for line in content.decode("utf-8").splitlines() if line.strip()]
    return [Dialogue([(turn["speaker"], turn["text"]) for turn in row["turns"]], row["reference"]) for row in rows]


def units_of(dialogue: Dialogue, *, by_turn: bool) -> list[Unit]:
    """Return the turns, or their sentences."""
    if by_turn:
        return [Unit(text, at, speaker) for at, (speaker, text) in enumerate(dialogue.turns)]
    return [
        Unit(part, at, speaker)
        for at, (speaker, text) in enumerate(dialogue.turns)
        for part in re.split(r"(?<=[.!?]) (?=[A-Z0-9\"'])", text)
        if part.strip()
    ]


def shown(units: Sequence[Unit], picked: Sequence[int], *, by_turn: bool) -> str:
    """Print what was picked, the speaker's name in front of each turn, or of a sentence where it changes."""
    parts: list[str] = []
    last = ""
    for at in sorted(picked):
        unit = units[at]
        parts.append(f"{unit.speaker}: {unit.text}" if by_turn or unit.speaker != last else unit.text)
        last = unit.speaker
    return " ".join(parts)


def filled(units: Sequence[Unit], order: Iterator[int], count: int | None) -> list[int]:
    """Take from an order until there are `count` units, or about 110 words."""
    picked: list[int] = []
    total = 0
    for at in order:
        if (count is None and total >= SUMMARY_WORDS) or (count is not None and len(picked) >= count):
            break
        picked.append(at)
        total += len(units[at].text.split())
    return picked


def best(units: Sequence[Unit]) -> Iterator[int]:
    """Order by the scorer."""
    return ranked(*scores(units))


def lead(units: Sequence[Unit]) -> Iterator[int]:
    """Order as said; sentences of fewer than five words are passed over."""
    yield from (at for at, unit in enumerate(units) if len(unit.text.split()) >= 5)


def longest(units: Sequence[Unit]) -> Iterator[int]:
    """Order by length."""
    yield from sorted(range(len(units)), key=lambda at: (-len(units[at].text.split()), at))


def drawn(seed: int) -> Callable[[Sequence[Unit]], Iterator[int]]:
    """Order at random."""

    def order(units: Sequence[Unit]) -> Iterator[int]:
        places = list(range(len(units)))
        random.Random(seed).shuffle(places)
        yield from places

    return order


class Row(NamedTuple):
    """One method: ROUGE-1 and -2 of each dialogue, milliseconds per 1,000 tokens."""

    ones: list[float]
    twos: list[float]
    ms: float


def measured(
    dialogues: Sequence[Dialogue], method: Callable[[Sequence[Unit]], Iterator[int]], count: int | None
) -> Row:
    """Measure one method."""
    ones: list[float] = []
    twos: list[float] = []
    spent = tokens = 0.0
    for dialogue in dialogues:
        begin = time.process_time()
        units = units_of(dialogue, by_turn=count is not None)
        text = shown(units, filled(units, method(units), count), by_turn=count is not None)
        spent += time.process_time() - begin
        tokens += sum(len(unit.text) for unit in units) * TOKENS_PER_CHAR
        ones.append(rouge(text, dialogue.reference, 1))
        twos.append(rouge(text, dialogue.reference, 2))
    return Row(ones, twos, spent * 1e6 / max(tokens, 1))


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of paired differences with its 95 % bootstrap interval."""
    chance = random.Random(7)
    means = sorted(mean([chance.choice(differences) for _ in differences]) for _ in range(RESAMPLES))
    return mean(differences), means[RESAMPLES // 40], means[-RESAMPLES // 40]


def mean(values: Sequence[float]) -> float:
    """Return the mean."""
    return sum(values) / max(len(values), 1)


def on_dialogues(path: Path, count: int | None) -> None:
    """Print the scorer beside lead, longest and random."""
    dialogues = read(path)
    rows = {"scorer": measured(dialogues, best, count), "lead": measured(dialogues, lead, count)}
    rows["longest"] = measured(dialogues, longest, count)
    draws = [measured(dialogues, drawn(seed), count) for seed in range(SEEDS)]
    rows["random"] = Row(
        [mean(values) for values in zip(*(draw.ones for draw in draws), strict=True)],
        [mean(values) for values in zip(*(draw.twos for draw in draws), strict=True)],
        draws[0].ms,
    )
    print(f"{path.name}: {len(dialogues)} dialogues, {f'{count} turns' if count else f'about {SUMMARY_WORDS} words'}")
    for name, row in rows.items():
        print(f"  {name:8} R1 {mean(row.ones):5.1f}  R2 {mean(row.twos):4.1f}  {row.ms:5.1f} ms per 1,000 tokens")
    for name in ("lead", "longest", "random"):
        one, two = rows["scorer"], rows[name]
        print(f"  scorer - {name:8} R1 {compared(one.ones, two.ones)}  R2 {compared(one.twos, two.twos)}")


def compared(ones: Sequence[float], twos: Sequence[float]) -> str:
    """Say how far one method is from another, in pairs, with the 95 % interval."""
    value, low, high = interval([one - two for one, two in zip(ones, twos, strict=True)])
    return f"{value:+.1f} [{low:+.1f}, {high:+.1f}]"


class Found(NamedTuple):
    """Of one class of facts: how many there are, and which of them were not found."""

    there: int
    lost: list[str]


def compared_with(messages: Sequence[Message], facts: Facts) -> dict[str, Found]:
    """Compare the facts with what a simpler reading of the same messages finds; it shares no code with the facts."""
    asked = [one for one in messages if one.origin is Origin.HUMAN and said_words(one.text) >= LEAST_WORDS]
    replied = [
        one for one in messages if one.role is Role.ASSISTANT and one.origin is Origin.MODEL and one.text.strip()
    ]
    heard = {number for kind in ("ask", "segment", "goal") for each in facts.of(kind) for number in each.messages}
    files = {path for one in messages if one.origin is not Origin.SIDECHAIN for path in edited(one)}
    shown = {each.text for each in facts.of("file")}
    broken = list(failing(messages))
    told = [
        (set(each.messages), squeezed(str(each.details.get("command", ""))).rstrip("…")) for each in facts.of("problem")
    ]
    lost = [
        f"m{at} {command[:60]}"
        for at, command in broken
        if not any(at in places or (known and known in command) for places, known in told)
    ]
    is_talk = bool(asked and replied)
    return {
        "goal": Found(is_talk, ["none"] if is_talk and not facts.of("goal") else []),
        "outcome": Found(is_talk, ["none"] if is_talk and not facts.of("outcome") else []),
        "asks": Found(len(asked) * is_talk, [f"m{one.index}" for one in asked if is_talk and one.index not in heard]),
        "files": Found(len(files), sorted(files - shown)),
        "errors": Found(len(broken), lost),
    }


def said_words(text: str) -> int:
    """Count the words of a person's turn without tags and fenced text."""
    return len(re.findall(r"[^\W\d_]{2,}", FENCED.sub(" ", TAGS.sub(" ", text))))


def edited(message: Message) -> Iterator[str]:
    """Yield the files that the calls of a message changed."""
    for call in message.tool_calls:
        patch = next((text for text in strings(call.arguments) if "*** Begin Patch" in text), "")
        if call.failed:
            continue
        yield from (
            path.strip() for path in re.findall(r"^\*\*\* (?:Update|Add|Delete) File: (.+)$", patch, re.MULTILINE)
        )
        path = next(
            (
                call.arguments[name]
                for name in ("file_path", "filePath", "path", "notebook_path")
                if name in call.arguments
            ),
            None,
        )
        if not patch and call.name.lower() in EDITS and isinstance(path, str) and "/plans/" not in path:
            yield path


def failing(messages: Sequence[Message]) -> Iterator[tuple[int, str]]:
    """Yield the commands that failed and did more than look."""
    for message in messages:
        for call in message.tool_calls:
            typed = call.arguments.get("command") or call.arguments.get("cmd") or ""
            typed = typed[-1] if isinstance(typed, list) and typed else typed
            head = (call.result or "")[:600]
            status = re.search(r"exit(?:ed)?(?: with)? code:? ?(\d+)", head, re.IGNORECASE)
            failed = call.failed or bool(status and status[1] != "0")
            is_shell = (
                call.name.lower() in SHELLS
                and isinstance(typed, str)
                and typed.strip()
                and message.origin is not Origin.SIDECHAIN
            )
            if is_shell and failed and not LOOKS.search(typed) and not REFUSED.search(head):
                yield message.index, squeezed(typed)


def sessions_of(paths: Sequence[Path]) -> Iterator[tuple[Path, OpenSession]]:
    """Yield the sessions of transcripts, and of those below folders, with their files; what is no conversation is left out."""
    from sessiontrackd import readers

    files = (sorted(each.rglob("*")) if each.is_dir() else [each] for each in paths)
    for path in (file for found in files for file in found if file.is_file()):
        with contextlib.suppress(JobError):
            for opened in readers.read(path).sessions:
                yield path, opened


def on_transcripts(paths: Sequence[Path], *, each: bool) -> int:
    """Print what is found of what is there; return how many quotes do not stand and how many notes are too long."""
    wrong, sessions, spent_ms, tokens = 0, 0, 0.0, 0.0
    total: dict[str, Found] = {}
    for path, opened in sessions_of(paths):
        messages = list(opened)
        session = opened.close()
        begin = time.process_time()
        facts = extract(messages, Redactor(), title=session.title)
        spent_ms += (time.process_time() - begin) * 1_000
        tokens += sum(len(whole(message)) for message in messages) * TOKENS_PER_CHAR
        sessions += 1
        problems = [
            f"NOT FOUND {one.kind} {one.messages}: {one.quote!r}"
            for one in everything(facts)
            if not stands(one, messages)
        ]
        problems += too_long(structs.replace(session, messages=tuple(messages)), path)
        wrong += len(problems)
        found = compared_with(messages, facts)
        for name, one in found.items():
            before = total.get(name, Found(0, []))
            total[name] = Found(before.there + one.there, before.lost + [f"{path.name} {what}" for what in one.lost])
        if each:
            print(
                f"{path.name[:48]:48} "
                + " ".join(f"{name} {one.there - len(one.lost)}/{one.there}" for name, one in found.items())
            )
        print("".join(f"    {path.name}: {problem}\n" for problem in problems), end="")
    for name, one in total.items():
        share = 100 * (one.there - len(one.lost)) / max(one.there, 1)
        print(f"{name:8} {one.there - len(one.lost):5} of {one.there:5}  {share:5.1f} %  {', '.join(one.lost[:4])}")
    print(
        f"{sessions} sessions, {spent_ms / max(tokens, 1) * 1_000:.1f} ms per 1,000 tokens; {wrong} quotes that do not stand or notes too long"
    )
    return wrong


def too_long(session: Session, path: Path) -> list[str]:
    """Return which levels of a session's note are longer than they may be, or have a section with too many items."""
    found = []
    for level in InsightLevel:
        reading = read_session(open_messages(session), level=level)
        insight = asyncio.run(AIInsightGenerator().insight(reading, level))
        body = report.render(session, insight, source=path, source_sha256="0" * 64).split("\n---\n", 1)[1].strip()
        items = max(
            len(re.findall(r"^(?:[-*] |\d+\. )", part, re.MULTILINE))
            for part in re.split(r"^## .*$", body, flags=re.MULTILINE)
        )
        if body.count("\n") + 1 > MOST_LINES.get(level, 10_000) or items > MOST_ITEMS:
            found.append(f"{level}: {body.count(chr(10)) + 1} lines, {items} items")
    return found


def everything(facts: Facts) -> Iterator[Finding]:
    """Yield all findings and their parts."""
    for finding in facts.findings:
        yield finding
        yield from finding.parts


def stands(finding: Finding, messages: Sequence[Message]) -> bool:
    """Say whether a quote, but for what was redacted, stands word for word in one of its messages."""
    if not finding.quote:
        return True
    wanted = [piece for piece in PLACEHOLDER.split(finding.quote) if piece.strip()]
    return any(
        all(squeezed(piece) in source for piece in wanted)
        for index in finding.messages
        for source in [squeezed(whole(messages[index - 1]))]
    )


def whole(message: Message) -> str:
    """Return all text of a message: what was said, what its calls were given and gave back."""
    parts = [message.text]
    for call in message.tool_calls:
        parts += [*strings(call.arguments), call.result or ""]
    return "\n".join(parts)


def strings(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, (list, tuple)):
        if all(isinstance(part, str) for part in value):
            yield " ".join(value)
        for part in value:
            yield from strings(part)


def squeezed(text: str) -> str:
    """Collapse white space."""
    return " ".join(text.split())


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--dialogue", type=Path, metavar="FILE")
    parser.add_argument("--count", type=int, metavar="K")
    parser.add_argument("--each", action="store_true", help="print a line a session")
    chosen = parser.parse_args()
    if not chosen.paths and not chosen.dialogue and SHARED.exists():
        chosen.paths, chosen.dialogue = [SHARED / "corpus"], SHARED / "dialogue" / "qmsum_general.jsonl.gz"
    if chosen.dialogue:
        on_dialogues(chosen.dialogue, chosen.count)
    return 1 if chosen.paths and on_transcripts(chosen.paths, each=chosen.each) else 0


if __name__ == "__main__":
    sys.exit(main())
