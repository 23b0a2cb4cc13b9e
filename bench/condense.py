"""Measure what condensing keeps and what it costs: tokens, dollars, and recall per class of facts.

    python bench/condense.py [PATH...] [--missed N] [--json]

PATH is a transcript or a folder of them; by default `shared/corpus` beside the checkout. The facts are found by `Truth`, which knows nothing of
sessiontrackd.facts: of Claude Code and Codex it reads the raw records, of other formats the messages that their reader gives. A fact is
kept if its text, redacted as what is sent is, and with white space collapsed, stands in the condensed text.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sessiontrackd import readers
from sessiontrackd.condense import Condenser, parts, render
from sessiontrackd.errors import JobError
from sessiontrackd.insights import LEVELS, sent_around
from sessiontrackd.model import Folder, InsightLevel, Message, Origin, Role, Session, Usage
from sessiontrackd.pricing import Prices
from sessiontrackd.privacy import Redactor
from sessiontrackd.records import open_source
from sessiontrackd.tokens import byte_classes, expected_tokens, sized
from sessiontrackd.watch import scan

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
PRICES = Prices()
MODELS = ("claude-haiku-5-5", "claude-sonnet-5-5")
WHOLE_CLASSES = ("request", "outcome", "file", "command", "error")
WHOLE_CHARS, HEAD_CHARS, LINE_CHARS = 400, 60, 100
NAIVE_OUTPUT_TOKENS, NAIVE_CHUNK_TOKENS = 1_200, 90_000
LONG_TOKENS = 10_000  # of the plain text; in a shorter session the answer costs more than what is read
TARGETS = {  # name → (what is measured, bound, whether it must be at most that)
    **{f"{name} whole": 0.97 for name in WHOLE_CLASSES},
    **{f"{name} first {HEAD_CHARS}": 0.999 for name in WHOLE_CLASSES},
    "commit": 0.98, "test": 0.98, "reason": 0.95, "identifier": 0.98,
}  # fmt: skip
USD_TARGETS = {"standard median": 0.0012, "standard p90": 0.0026, "minimal median": 0.0005, "standard / plain": 0.13}

_NOISE = re.compile(
    r"\s*(?:<(?:command-|local-command|system-reminder|environment_context|user_instructions|task-notification|ide_|bash-|turn_aborted|INSTRUCTIONS|permissions)|"
    r"Caveat:|\[Request interrupted|# AGENTS\.md|This session is being continued)"
)
_REMINDER = re.compile(r"<system-reminder>.*?(?:</system-reminder>|\Z)", re.DOTALL)
_COMMIT = re.compile(r"^\[[\w./() -]+ [0-9a-f]{7,40}\] .+$", re.MULTILINE)
_TESTED = re.compile(
    r"^.*\b\d+ (?:passed|failed|passing|failing)\b.*$|^.*\btest result: .*$|^[ \t]*Tests:[ \t].*$|^ok[ \t]+\S+[ \t].*$|^--- FAIL: .*$|^FAIL[ \t]+\S.*$",
    re.MULTILINE,
)
_REASON = re.compile(
    r"[^.!?\n]*\b(?:because|root cause|instead of|rather than|turns out|caused by)\b[^.!?\n]*", re.IGNORECASE
)
_IDENTIFIER = re.compile(r"`([^`\n]{2,80})`")
_REFERENCE = re.compile(r"(?<![\w&])#\d{1,6}\b|https?://[^\s<>()\"'`\]]{8,}")
_PATCHED = re.compile(r"^\*\*\* (?:Update|Add|Delete) File: (.+)$", re.MULTILINE)
_CODEX_EXIT = re.compile(r"(?:Process exited with code|Exit code:|\"exit_code\":)\s*(\d+)")
_EDITS = {"Edit", "Write", "MultiEdit", "NotebookEdit"}


@dataclass
class Truth:
    """What a session contains, each class without repeats; and its whole text."""

    facts: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    plain: list[str] = field(default_factory=list)
    last_said: str = ""

    def add(self, kind: str, text: str) -> None:
        """Take a fact in."""
        text = " ".join(text.split())
        if text:
            self.facts[kind][text] = None

    def asked(self, text: str) -> None:
        """Take a person's turn in; what was said last before it is an outcome."""
        text = _REMINDER.sub("", text).strip()
        if not text or _NOISE.match(text):
            return
        self.ended()
        self.add("request", text)
        self.plain.append(text)

    def said(self, text: str) -> None:
        """Take a reply in."""
        if not text.strip():
            return
        self.last_said = text
        self.plain.append(text)
        for match in _REASON.finditer(text):
            self.add("reason", match[0])
        for match in _IDENTIFIER.finditer(text):
            self.add("identifier", match[1])
        for match in _REFERENCE.finditer(text):
            self.add("reference", match[0].rstrip(".,;:"))

    def ended(self) -> None:
        """Close a turn."""
        if self.last_said:
            self.add("outcome", self.last_said)
        self.last_said = ""

    def ran(self, command: str) -> None:
        """Take a shell command in."""
        self.add("command", command)
        self.plain.append(command)

    def result(self, text: str, *, is_shell: bool, failed: bool) -> None:
        """Take a tool's result in: of the shell's its commits and the last lines that tell how tests went."""
        self.plain.append(text)
        if failed:
            self.add("error", text)
        if is_shell:
            for match in _COMMIT.finditer(text):
                self.add("commit", match[0])
            for match in [*_TESTED.finditer(text)][-2:]:
                self.add("test", match[0])


def claude_code(lines: Iterable[dict[str, Any]]) -> Truth:
    """Read raw records of Claude Code."""
    truth, shells, seen = Truth(), set(), set()
    for row in lines:
        if row.get("type") not in ("user", "assistant") or row.get("isSidechain") or row.get("uuid", id(row)) in seen:
            continue
        seen.add(row.get("uuid", id(row)))
        message = row.get("message")
        content = message.get("content") if isinstance(message, dict) else message
        if isinstance(message, dict) and message.get("model") == "<synthetic>":
            continue
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        for block in (one for one in blocks if isinstance(one, dict)):
            kind = block.get("type")
            if kind == "text" and row["type"] == "assistant":
                truth.said(block["text"])
            elif kind == "text" and not row.get("isMeta") and not row.get("isCompactSummary"):
                truth.asked(block["text"])
            elif kind == "tool_use":
                given = block.get("input") or {}
                if block["name"] == "Bash":
                    shells.add(block["id"])
                    truth.ran(given.get("command", ""))
                elif block["name"] in _EDITS:
                    truth.add("file", given.get("file_path") or given.get("notebook_path") or "")
                    truth.plain.append(json.dumps(given, ensure_ascii=False))
            elif kind == "tool_result":
                said = block.get("content")
                text = (
                    said
                    if isinstance(said, str)
                    else "\n".join(one.get("text", "") for one in said or [] if isinstance(one, dict))
                )
                truth.result(text, is_shell=block.get("tool_use_id") in shells, failed=bool(block.get("is_error")))
    truth.ended()
    return truth


def codex(lines: Iterable[dict[str, Any]]) -> Truth:
    """Read raw records of Codex."""
    truth = Truth()
    for row in lines:
        payload = row.get("payload") or {}
        kind = payload.get("type")
        if row.get("type") == "event_msg" and kind == "user_message":
            truth.asked(payload.get("message", ""))
        if row.get("type") != "response_item":
            continue
        if kind == "message" and payload.get("role") == "assistant":
            truth.said("".join(part.get("text", "") for part in payload.get("content", [])))
        elif kind in ("function_call", "custom_tool_call"):
            _codex_call(truth, payload)
        elif kind in ("function_call_output", "custom_tool_call_output"):
            output = payload.get("output")
            text = output if isinstance(output, str) else json.dumps(output)
            status = _CODEX_EXIT.search(text[:300]) or _CODEX_EXIT.search(text[-200:])
            truth.result(text.split("Output:\n", 1)[-1], is_shell=True, failed=bool(status and int(status[1]) > 1))
    truth.ended()
    return truth


def _codex_call(truth: Truth, payload: dict[str, Any]) -> None:
    given = payload.get("arguments") or payload.get("input") or ""
    for match in _PATCHED.finditer(given.replace("\\n", "\n")):
        truth.add("file", match[1])
    try:
        arguments = json.loads(given)
    except ValueError:
        arguments = {}
    command = arguments.get("cmd") or arguments.get("command") if isinstance(arguments, dict) else None
    if isinstance(command, list):
        command = command[2] if len(command) == 3 else " ".join(command)
    if command and "*** Begin Patch" not in command:
        truth.ran(command)
    else:
        truth.plain.append(given)


def other(messages: Iterable[Message]) -> Truth:
    """Read the messages of any reader; what tools did is not looked for."""
    truth = Truth()
    for message in messages:
        if message.origin is Origin.HUMAN and message.role is not Role.ASSISTANT:
            truth.asked(message.text)
        elif message.origin in (Origin.MODEL, Origin.HUMAN):
            truth.said(message.text)
        for call in message.tool_calls if message.origin is Origin.MODEL else ():
            truth.plain += [json.dumps(dict(call.arguments), default=str), call.result or ""]
    truth.ended()
    return truth


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file of lines."""
    for line in (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


@dataclass
class Measured:
    """One session."""

    name: str
    raw_tokens: float
    plain_tokens: float
    tokens: dict[str, int]
    most: dict[str, int]
    usd: dict[tuple[str, str], float]
    plain_usd: dict[str, float]
    kept: dict[str, dict[str, tuple[int, int]]]  # level → class → kept, all
    missed: list[tuple[str, str]]


def measure(path: Path, most: int) -> Iterator[Measured]:
    """Condense every session of a transcript at every level."""
    transcript = readers.read(open_source(path))
    raw = count(path.read_bytes().decode("utf-8", "replace"))
    for number, opened in enumerate(islice(transcript.sessions, most)):
        redactor = Redactor(personal=True)
        condensers = {level: Condenser(level, redactor) for level in InsightLevel}
        messages = []
        for message in opened:
            messages.append(message)
            for condenser in condensers.values():
                condenser.take(message)
        session = opened.close()
        truth = {"claude_code": claude_code, "codex": codex}.get(session.format)
        if truth and path.suffix == ".jsonl" and any(message.origin is Origin.MODEL for message in messages):
            found = truth(rows_of(path))
        else:
            found = other(messages)
        shorter = {level: condenser.finish(session) for level, condenser in condensers.items()}
        yield _measured(f"{path.name}#{number}", raw, found, shorter, redactor)


def _measured(
    name: str, raw: float, truth: Truth, shorter: dict[InsightLevel, Session], redactor: Redactor
) -> Measured:
    plain = count("\n".join(truth.plain))
    done = Measured(name, raw, plain, {}, {}, {}, {}, {}, [])
    for model in MODELS:
        tariff = PRICES.tariff(model, datetime.now(UTC))
        requests = max(1, -(-int(plain) // NAIVE_CHUNK_TOKENS))
        around = count(sent_around(InsightLevel.STANDARD))
        each = Usage(int(plain / requests + around), NAIVE_OUTPUT_TOKENS)
        done.plain_usd[model] = requests * tariff.rates(each.input_tokens).cost_picousd(each) / 1e12
        for level, session in shorter.items():
            sizes = [int(count(sent_around(level) + render(part))) for part in parts(session)]
            uses = [Usage(size, LEVELS[level].usual_output_tokens) for size in sizes]
            done.usd[level, model] = sum(tariff.rates(use.input_tokens).cost_picousd(use) for use in uses) / 1e12
    for level, session in shorter.items():
        text = render(session)
        done.tokens[level] = round(count(text))
        done.most[level] = sized(text).most
        missed = done.missed if level == "standard" else []
        done.kept[level] = _recall(truth, " ".join(text.split()), redactor, missed)
    return done


def _recall(truth: Truth, text: str, redactor: Redactor, missed: list[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for kind, facts in truth.facts.items():
        whole = {f"{kind} whole": WHOLE_CHARS, f"{kind} first {HEAD_CHARS}": HEAD_CHARS}
        for name, size in (whole if kind in WHOLE_CLASSES else {kind: LINE_CHARS}).items():
            hits = [" ".join(redactor.cut(fact, 0, size).split()) in text for fact in facts]
            missed += [(name, fact[:size]) for fact, hit in zip(facts, hits, strict=True) if not hit]
            found[name] = sum(hits), len(hits)
    return found


def count(text: str) -> float:
    """Return the expected tokens of the new tokenizer."""
    return expected_tokens(byte_classes(text), "new", blocks=0)


def show(all_: list[Measured], took_s: float) -> dict[str, Any]:
    """Return the figures."""
    long = [one for one in all_ if one.plain_tokens >= LONG_TOKENS]
    figures: dict[str, Any] = {"sessions": len(all_), "long": len(long), "seconds": round(took_s, 1)}
    for name, values in (
        ("raw", [one.raw_tokens for one in long]),
        ("plain", [one.plain_tokens for one in long]),
        *((level.value, [float(one.tokens[level]) for one in long]) for level in InsightLevel),
    ):
        figures[f"tokens {name}"] = {"median": median(values), "p90": p90(values), "sum": sum(values)}
    for model in MODELS:
        for level in InsightLevel:
            for name, some in (("", all_), (", long", long)):
                spent = [one.usd[level, model] for one in some]
                figures[f"usd {level} {model}{name}"] = {"median": median(spent), "p90": p90(spent), "sum": sum(spent)}
        figures[f"usd plain in chunks {model}, long"] = {"sum": sum(one.plain_usd[model] for one in long)}
    for level in InsightLevel:
        sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for one in all_:
            for name, (kept, of) in one.kept[level].items():
                sums[name][0] += kept
                sums[name][1] += of
        figures[f"recall {level}"] = {name: (kept / of, of) for name, (kept, of) in sorted(sums.items())}
    ordered = [one for one in all_ if one.most["minimal"] <= one.most["standard"] <= one.most["comprehensive"]]
    figures["tokens are of"] = "long sessions"
    figures["bounds out of order"] = sorted({one.name for one in all_} - {one.name for one in ordered})
    return figures


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values) if values else 0.0


def p90(values: list[float]) -> float:
    """Return the ninth decile."""
    return sorted(values)[int(0.9 * len(values))] if values else 0.0


def failures(figures: dict[str, Any]) -> list[str]:
    """Return which targets are missed."""
    recall = figures["recall standard"]
    said = [
        f"{name}: {recall[name][0]:.4f} of {recall[name][1]}, must be at least {least}"
        for name, least in TARGETS.items()
        if name in recall and recall[name][0] < least
    ]
    haiku = MODELS[0]
    seen = {
        "standard median": figures[f"usd standard {haiku}"]["median"],
        "standard p90": figures[f"usd standard {haiku}"]["p90"],
        "minimal median": figures[f"usd minimal {haiku}"]["median"],
        "standard / plain": figures[f"usd standard {haiku}, long"]["sum"]
        / max(figures[f"usd plain in chunks {haiku}, long"]["sum"], 1e-12),
    }
    said += [
        f"{name}: {value:.5f}, must be at most {USD_TARGETS[name]}"
        for name, value in seen.items()
        if value > USD_TARGETS[name]
    ]
    return said + [f"bounds out of order: {name}" for name in figures["bounds out of order"]]


def main() -> int:
    """Parse the command line, print the figures; exit 1 where a target is missed."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("paths", nargs="*", type=Path, default=[CORPUS])
    ask.add_argument("--most", type=int, default=20, metavar="N", help="sessions of one file that are measured")
    ask.add_argument("--missed", type=int, default=0, metavar="N", help="show N facts of each class that standard lost")
    ask.add_argument("--json", action="store_true", help="print one JSON document")
    args = ask.parse_args()
    files = [
        path
        for given in args.paths
        for path in ([Path(os.fsdecode(one.path)) for one in scan(Folder(given))] if given.is_dir() else [given])
    ]
    begun, all_ = time.process_time(), list[Measured]()
    for path in sorted(files):
        try:
            all_ += measure(path, args.most)
        except JobError:
            continue
    figures = show(all_, time.process_time() - begun)
    said = failures(figures) if all_ else ["no session was found"]
    if args.json:
        print(json.dumps(figures | {"missed targets": said}, indent=1))
        return int(bool(said))
    for name, value in figures.items():
        print(f"{name:38}{_line(value)}")
    for kind in sorted({kind for one in all_ for kind, _ in one.missed}):
        for text in [text for one in all_ for of, text in one.missed if of == kind][: args.missed]:
            print(f"  lost {kind}: {text[:160]!r}")
    print("\n".join(said or ["all targets hold"]))
    return int(bool(said))


def _line(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return "  ".join(f"{k} {v[0]:.4f} ({v[1]})" if isinstance(v, tuple) else f"{k} {v:.5g}" for k, v in value.items())


if __name__ == "__main__":
    sys.exit(main())
