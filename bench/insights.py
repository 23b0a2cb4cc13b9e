"""How good what is extracted without a model is: coverage and quotes on transcripts, ROUGE on dialogues.

python bench/insights.py PATH...                            facts per session, quotes that do not stand, milliseconds
python bench/insights.py --dialogue FILE [--count K]        ROUGE-1 and -2 of K turns (without K: of about 110 words)

A dialogue file is JSON lines, gzipped or not: {"turns": [{"speaker", "text"}], "reference": "..."}.
"""

from __future__ import annotations

import argparse
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

sys.path.insert(0, str(Path(__file__).resolve().parent))

from porter import stem

from sessiontrackd.facts import Facts, Unit, extract, ranked, scores
from sessiontrackd.model import Finding, Message, Origin, Role
from sessiontrackd.privacy import Redactor

SUMMARY_WORDS = 110  # the mean length of a reference in QMSum
SEEDS = 5  # random is the mean of so many draws
RESAMPLES = 2_000
TOKENS_PER_CHAR = 0.25
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


def on_transcripts(paths: Sequence[Path]) -> int:
    """Print what each session gives; return how many quotes do not stand in their messages."""
    from sessiontrackd import readers

    missing = 0
    for path in paths:
        for opened in readers.read(path).sessions:
            messages = list(opened)
            session = opened.close()
            begin = time.process_time()
            facts = extract(messages, Redactor(), title=session.title)
            spent_ms = (time.process_time() - begin) * 1_000
            lost = [finding for finding in everything(facts) if not stands(finding, messages)]
            missing += len(lost)
            kinds = Counter(finding.kind for finding in facts.findings if finding.kind != "figures")
            tokens = sum(len(message.text) for message in messages) * TOKENS_PER_CHAR
            print(f"{path.name[:48]:48} {spent_ms:6.0f} ms {tokens / 1_000:6.1f}k  {facts.title}")
            print("    " + " ".join(f"{kind} {count}" for kind, count in kinds.items()))
            for finding in lost:
                print(f"    NOT FOUND {finding.kind} {finding.messages}: {finding.quote!r}")
    print(f"{missing} quotes do not stand in their messages")
    return missing


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
    chosen = parser.parse_args()
    if chosen.dialogue:
        on_dialogues(chosen.dialogue, chosen.count)
    return 1 if chosen.paths and on_transcripts(chosen.paths) else 0


if __name__ == "__main__":
    sys.exit(main())
