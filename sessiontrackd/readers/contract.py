"""What every reader promises, as tests: other packages run them over their own.

Make a subclass named `Test…` in a test module, with the fixtures `reader` (the module) and `sample` (a path in its format).
"""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from sessiontrackd.contracts import Reader
from sessiontrackd.errors import SessiontrackdError
from sessiontrackd.model import Session
from sessiontrackd.records import Source, open_source

STRANGERS = {
    "prose.md": b"# Title\n\nSome words about nothing.\n",
    "package.json": b'{"name": "x", "version": "1.0.0", "dependencies": {}}',
    "bytes.bin": bytes(range(256)) * 10,
    "events.jsonl": b'{"event": "start", "time": 1}\n{"event": "stop", "time": 2}\n',
}
CUTS = (1, 2, 3, 10)


class ReaderContract:
    """The tests; pytest finds those of subclasses only."""

    def test_it_is_a_reader(self, reader: Reader) -> None:
        """A reader has a name, a test and a door."""
        assert reader.NAME
        assert callable(reader.recognises)
        assert callable(reader.read)

    def test_it_leaves_other_files_alone(self, reader: Reader, tmp_path: Path) -> None:
        """Plain prose, a package file, random bytes and a log of events are of no format."""
        for name, content in STRANGERS.items():
            path = tmp_path / name
            path.write_bytes(content)
            assert not reader.recognises(open_source(path)), name

    def test_it_reads_its_sample(self, reader: Reader, sample: Path) -> None:
        """Messages are numbered from 1 without a gap; the session says what it is at its end."""
        source = open_source(sample)
        assert reader.recognises(source)

        transcript = reader.read(source)
        sessions = 0
        for opened in transcript.sessions:
            sessions += 1
            indexes = [message.index for message in opened]
            session = opened.close()
            assert indexes == list(range(1, len(indexes) + 1))
            assert session.session_id
            assert session.format == transcript.format == reader.NAME

        assert transcript.is_conversation
        assert sessions

    def test_figures_need_no_messages(self, reader: Reader, sample: Path) -> None:
        """Who asks for figures alone gets those of the whole reading, but for those of single replies."""
        whole, figures = open_source(sample), open_source(sample)
        figures.only_figures = True

        def told(source: Source) -> list[Session]:
            sessions = [opened.close() for opened in reader.read(source).sessions]
            return [structs.replace(one, usage_records=(), usage_by_model={}, trail=None) for one in sessions]

        assert told(figures) == told(whole)

    def test_a_cut_sample_ends_cleanly(self, reader: Reader, sample: Path, tmp_path: Path) -> None:
        """Whatever is missing at the end, the reader gives what is there, or says why it cannot."""
        content = sample.read_bytes()
        for cut in CUTS:
            path = tmp_path / f"{cut}-{sample.name}"
            path.write_bytes(content[: len(content) - len(content) * cut // 11 - 1])
            try:
                source = open_source(path)
                for opened in reader.read(source).sessions if reader.recognises(source) else ():
                    opened.close()
            except SessiontrackdError as error:
                assert str(error)
