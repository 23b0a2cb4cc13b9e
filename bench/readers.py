"""How fast transcripts are read against json.loads, how much memory that takes, and what an appended line costs.

python bench/readers.py [--size 1GB] [--rounds 5]

Both sides run interleaved in one process; figures are CPU seconds, ratios are of medians. The corpora come from shared/bench/gen.py,
and the other formats from shared/corpus; without these the script says so and ends. With `--size 1GB` the long session has 500 MB and
the export 200 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from sessiontrackd import readers
from sessiontrackd.following import begin, follow
from sessiontrackd.history import SCHEMA, History
from sessiontrackd.records import open_source
from sessiontrackd.store import open_store

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
MB = 1_000_000
LEAST_S = 0.05  # a small file is read again until a round has taken so long
PEAK = """
import sys
from pathlib import Path
from sessiontrackd.readers import inspect_document, read
from sessiontrackd.records import open_source
path = Path(sys.argv[2])
if sys.argv[1] == "inspect":
    inspect_document(path)
else:
    for opened in read(open_source(path)).sessions:
        opened.close()
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1000)
"""


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU seconds of one run, repeated where it is too short to be measured."""
    runs, began_s = 0, time.process_time()
    while runs == 0 or time.process_time() - began_s < LEAST_S:
        work()
        runs += 1
    return (time.process_time() - began_s) / runs


def medians(rounds: int, *sides: Callable[[], object]) -> list[float]:
    """Return the median CPU seconds of each side, interleaved."""
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for times, work in zip(found, sides, strict=True):
            times.append(cpu_s(work))
    return [statistics.median(times) for times in found]


def inspect(paths: Sequence[Path]) -> None:
    """Read as `inspect` does."""
    for path in paths:
        readers.inspect_document(path)


def loads(paths: Sequence[Path]) -> None:
    """Decode every line, or the whole document, and do nothing with it."""
    for path in paths:
        with path.open("rb") as file:
            if path.suffix == ".json":
                json.load(file)
            else:
                for line in file:
                    json.loads(line)


def compare(name: str, paths: Sequence[Path], rounds: int) -> None:
    """Print the speed of `inspect` against json.loads."""
    size = sum(path.stat().st_size for path in paths) / MB
    ours, theirs = medians(rounds, lambda: inspect(paths), lambda: loads(paths))
    print(f"{name:<28}{size:8.1f} MB  {size / ours:6.0f} MB/s  json {size / theirs:6.0f} MB/s  {theirs / ours:5.2f} x")


def generate(kind: str, size: str, out: Path) -> Path:
    """Write a seeded corpus."""
    subprocess.run(
        [sys.executable, SHARED / "bench" / "gen.py", kind, size, out], check=True, stdout=subprocess.DEVNULL
    )
    return out


def formats(rounds: int) -> None:
    """Print the speed of each format over the shared corpus, for JSON against json.loads of the same files."""
    truth = json.loads((SHARED / "corpus" / "truth.json").read_text("utf-8"))["files"]
    groups: defaultdict[str, list[Path]] = defaultdict(list)
    for name, entry in truth.items():
        groups[entry["format"] or "negative"].append(SHARED / "corpus" / name)
    for name, paths in sorted(groups.items()):
        plain = [path for path in paths if is_json(path)]
        if plain:
            compare(name, plain, rounds)
        else:
            size = sum(path.stat().st_size for path in paths) / MB
            print(
                f"{name:<28}{size:8.1f} MB  {size / medians(rounds, lambda paths=paths: inspect(paths))[0]:6.0f} MB/s"
            )


def is_json(path: Path) -> bool:
    """Say whether json.loads can read it."""
    try:
        loads([path])
    except ValueError:
        return False
    return True


def peaks(*paths: Path) -> None:
    """Print the peak memory of a process that reads a file, with and without its messages."""
    for path in paths:
        found = [
            subprocess.run([sys.executable, "-c", PEAK, how, path], check=True, capture_output=True, text=True).stdout
            for how in ("inspect", "messages")
        ]
        size = path.stat().st_size / MB
        print(
            f"peak memory, {size:,.0f} MB {path.suffix}: inspect {found[0].strip()} MB, with messages {found[1].strip()} MB"
        )


def append(path: Path, folder: Path, rounds: int) -> None:
    """Print what one appended line costs against a cold reading, usage recorded in both."""
    line = next(line for line in path.open("rb") if b'"usage"' in line)
    with open_store(folder / "cold.db", SCHEMA) as cold_store, open_store(folder / "warm.db", SCHEMA) as warm_store:
        cold, warm = History(cold_store), History(warm_store)
        read_whole(warm, path)
        times: list[list[float]] = [[], []]
        for nth in range(rounds):
            with path.open("ab") as file:
                file.write(line.replace(b'"uuid":"', f'"uuid":"{nth}'.encode(), 1))
            began_s = time.process_time()
            assert follow(warm, os.fsencode(path)), "the cursor did not hold"
            times[0].append(time.process_time() - began_s)
            began_s = time.process_time()
            read_whole(cold, path)
            times[1].append(time.process_time() - began_s)
        assert cold.recorded()["total"] == warm.recorded()["total"], "the figures differ"
    ours, theirs = map(statistics.median, times)
    print(
        f"one line appended to {path.stat().st_size / MB:,.0f} MB: {ours * 1000:.1f} ms, {ours / theirs:.2%} of {theirs:.2f} s cold"
    )


def read_whole(history: History, path: Path) -> None:
    """Read a transcript with its messages and record its usage, as a job does."""
    source = open_source(path)
    for opened in readers.read(source).sessions:
        session = opened.close()
        history.record_session(session, os.fsencode(path))
        begin(history, source, session, None, None)


def sizes(size: str) -> tuple[str, str, str]:
    """Return the sizes of the corpus, the long session and the export."""
    return (size, "500MB", "200MB") if size.upper() == "1GB" else (size, size, size)


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="20MB", help="of the generated corpus (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: %(default)d)")
    options = parser.parse_args()
    if not (SHARED / "bench" / "gen.py").exists():
        print(f"no {SHARED / 'bench' / 'gen.py'}: nothing to measure with")
        return
    whole, long, export = sizes(options.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sessions = sorted(generate("sessions", whole, folder / "many").rglob("*.jsonl"))
        (single,) = generate("single", long, folder / "one").rglob("*.jsonl")
        chatgpt = generate("chatgpt", export, folder / "conversations.json")
        compare(f"{len(sessions)} sessions", sessions, options.rounds)
        compare("one session", [single], options.rounds)
        compare("one export of ChatGPT", [chatgpt], options.rounds)
        formats(options.rounds)
        if Path("/proc/self/status").exists():
            peaks(single, chatgpt)
        append(single, folder, options.rounds)


if __name__ == "__main__":
    main()
