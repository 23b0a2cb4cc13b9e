"""Whether text may leave the machine, and which: credentials and personal data are replaced before anything is kept or sent."""

from __future__ import annotations

import json
import re
import secrets
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import accumulate

from msgspec import Struct

from sessiontrackd.errors import Failed
from sessiontrackd.privacy import _personal, _scan
from sessiontrackd.privacy._consent import API, SCHEMA, Consent, Consents, grant_line

__all__ = ["API", "SCHEMA", "Consent", "Consents", "Forged", "Redactor", "Span", "grant_line", "redact_lines"]

_BLOCK_CHARS = 32_768  # of texts that are looked at together
_NEAR_CHARS = 500  # between texts that are looked at again together: a look of its own takes longer
_SEEN_TEXTS = 12  # whose private parts are remembered: of one text several parts are cut, with others in between
_NONCE_BYTES = 4  # a text that holds the nonce by chance makes another one be drawn
_Finder = Callable[[bytes], list[_scan.Found]]
_LOOKALIKES = (("“", '"'), ("”", '"'), ("„", '"'), ("‘", "'"), ("’", "'"), ("：", ":"), ("＝", "="), ("\u00a0", " "), ("\u202f", " "), ("→", ">"))  # fmt: skip


class Span(Struct, frozen=True):
    """A private part of a text: code points from `start` up to `end`, and what it is."""

    start: int
    end: int
    kind: str


class Forged(Failed):
    """A text holds a placeholder that this redactor did not write."""


class Redactor:
    """Replaces what is private; within one redactor the same value always becomes the same placeholder.

    Credentials become `⟦kind-number⟧`, for good. Personal data becomes `⟦nonce:kind:number⟧`, which `restore` puts back; the nonce is
    drawn for this redactor, so that no text can hold such a placeholder beforehand.
    """

    def __init__(self, personal: bool = False, nonce: str | None = None) -> None:
        """Look for credentials only or, with `personal`, for personal data too.

        Args:
            personal: whether to replace it.
            nonce: in place of one that is drawn, so that what comes back later can be restored.
        """
        self.personal = personal
        self.counts: dict[str, int] = {}
        self._nonce = nonce or secrets.token_hex(_NONCE_BYTES)
        self._placeholders: dict[tuple[bool, str], str] = {}
        self._values: dict[str, str] = {}
        self._seen: dict[str, list[Span]] = {}
        self._foreseen: dict[str, list[Span]] = {}

    @property
    def count(self) -> int:
        """How many distinct values were replaced so far."""
        return len(self._placeholders)

    def spans(self, text: str) -> list[Span]:
        """Return the private parts of `text`, sorted, disjoint, in code points."""
        found = self._foreseen.get(text)
        if found is None:
            found = self._seen.get(text)
        if found is None:
            if len(self._seen) >= _SEEN_TEXTS:
                del self._seen[next(iter(self._seen))]
            found = self._seen[text] = self._found(text)
        return list(found)

    def _found(self, text: str) -> list[Span]:
        data, found = _plain(text), list[_scan.Found]()
        finders = (_scan.find, _personal.find) if self.personal else (_scan.find,)
        for number, find in enumerate(finders, 1):
            more = _fresh(data, find(data))
            while more:
                found += more
                data = _blanked(data, more)
                more = [hit for part in _touched(data, more) for hit in _first(data, part, finders[:number])]
        return [Span(*hit) for hit in _scan.united(found)]

    def redact(self, text: str) -> str:
        """Return `text` with every private part replaced.

        Raises:
            Forged: The text holds this redactor's nonce in what is no placeholder of it.
        """
        return self.cut(text, 0, len(text))

    def cut(self, text: str, start: int, end: int) -> str:
        """Return text[start:end] with every private part that touches it replaced whole; decided from the uncut text.

        Raises:
            Forged: As in `redact`.
        """
        self._refuse_forged(text)
        return self._replaced(text, self.spans(text), start, end)

    def _replaced(self, text: str, spans: Iterable[Span], start: int, end: int) -> str:
        """Return text[start:end] with these spans replaced by placeholders."""
        pieces, at = [], start
        for span in spans:
            if span.end <= start or span.start >= end:
                continue
            pieces += [text[at : max(at, span.start)], self._placeholder(text[span.start : span.end], span.kind)]
            at = span.end
        pieces.append(text[at:end])
        return "".join(pieces)

    def cut_each(self, parts: Sequence[tuple[str, int]]) -> list[str]:
        """Return the beginning of each of many texts, as `cut(text, 0, end)` does: one look at all of them together is faster.

        Args:
            parts: a text and where its beginning ends.

        Raises:
            Forged: As in `redact`.
        """
        done: list[str] = []
        for (text, end), spans in zip(parts, self._spans_each(text for text, _ in parts), strict=True):
            self._refuse_forged(text)
            done.append(self._replaced(text, spans, 0, end) if spans else text[:end])
        return done

    @contextmanager
    def foreseeing(self, texts: Iterable[str]) -> Iterator[None]:
        """Look at texts together before parts of them are cut within the block: one look is faster than one for each."""
        each = list(dict.fromkeys(texts))
        self._foreseen = dict(zip(each, self._spans_each(each), strict=True))
        try:
            yield
        finally:
            self._foreseen = {}

    def _spans_each(self, texts: Iterable[str]) -> list[list[Span]]:
        """Return the private parts of each text, block by block."""
        found: list[list[Span]] = []
        block, chars = list[str](), 0
        for text in texts:
            block.append(text)
            chars += len(text)
            if chars > _BLOCK_CHARS:
                found += self._spans_of_block(block)
                block, chars = [], 0
        return found + (self._spans_of_block(block) if block else [])

    def _spans_of_block(self, texts: Sequence[str]) -> list[list[Span]]:
        starts = list(accumulate((len(text) + len(_scan.SEAM) for text in texts), initial=0))
        found: list[list[Span]] = [[] for _ in texts]
        for span in self._found(_scan.SEAM.join(texts)):
            part = bisect(starts, span.start) - 1
            if span.end > starts[part + 1] - len(_scan.SEAM):  # found only because of its neighbour
                return [self.spans(text) for text in texts]
            found[part].append(Span(span.start - starts[part], span.end - starts[part], span.kind))
        return found

    def restore(self, text: str) -> str:
        """Return `text` with the personal data put back, in one pass and for this redactor's own placeholders only."""
        if not self._values:
            return text
        own = re.compile(f"⟦{self._nonce}:[a-z]+:[0-9]+⟧")
        return own.sub(lambda match: self._values.get(match[0], match[0]), text)

    def _placeholder(self, value: str, kind: str) -> str:
        key = (kind in _personal.KINDS, value)
        if key not in self._placeholders:
            number = self.counts[kind] = self.counts.get(kind, 0) + 1
            written = f"⟦{self._nonce}:{kind}:{number}⟧" if key[0] else f"⟦{kind}-{number}⟧"
            self._placeholders[key] = written
            if key[0]:
                self._values[written] = value
        return self._placeholders[key]

    def _refuse_forged(self, text: str) -> None:
        """Draw another nonce where a text holds ours; where placeholders were written with it already, refuse the text."""
        while self._nonce in text:
            if not self._values:
                self._nonce = secrets.token_hex(_NONCE_BYTES)
                continue
            rest = re.sub(
                f"⟦{self._nonce}:[a-z]+:[0-9]+⟧", lambda match: "" if match[0] in self._values else match[0], text
            )
            if self._nonce in rest:
                raise Forged("The text holds a placeholder that was not written here; it is not sent anywhere.")
            return


@cache
def _ours() -> re.Pattern[str]:
    """Return what is blanked before a text is looked at: what a redactor wrote, this one or another, holds nothing private."""
    kinds = "|".join(sorted(_scan.kinds()))
    return re.compile(f"⟦(?:(?:{kinds})-|[0-9a-f]{{8,16}}:(?:{'|'.join(_personal.KINDS)}):)[0-9]{{1,6}}⟧")


def _plain(text: str) -> bytes:
    """Return one ASCII byte a code point, so that offsets stay: placeholders become NUL, lone surrogates and the rest `?`."""
    if text.isascii():
        return text.encode()
    if "⟦" in text:
        text = _ours().sub(lambda match: "\0" * len(match[0]), text)
    for shown, plain in _LOOKALIKES:  # faster than translate
        text = text.replace(shown, plain)
    return text.encode("ascii", "replace")


def _fresh(data: bytes, found: list[_scan.Found]) -> list[_scan.Found]:
    """Leave out what holds nothing but blanks, so that looking again comes to an end."""
    return [hit for hit in found if data[hit[0] : hit[1]].strip(b"\0")]


def _touched(data: bytes, found: Iterable[_scan.Found]) -> list[tuple[int, int]]:
    """Return where texts stand, with the seams around them, in which something was found: in the others nothing changed."""
    seam, parts = _scan.SEAM.encode(), list[tuple[int, int]]()
    for first, last, _ in found:
        if parts and last <= parts[-1][1]:
            continue
        start, end = max(data.rfind(seam, 0, first), 0), data.find(seam, last)
        end = len(data) if end < 0 else end + len(seam)
        if parts and start <= parts[-1][1] + _NEAR_CHARS:
            start = parts.pop()[0]
        parts.append((start, end))
    return parts


def _first(data: bytes, part: tuple[int, int], finders: Iterable[_Finder]) -> list[_scan.Found]:
    """Return what the first finder that finds anything finds in a part."""
    start, end = part
    text = data[start:end]
    found = next(filter(None, (_fresh(text, find(text)) for find in finders)), [])
    return [(first + start, last + start, kind) for first, last, kind in found]


def _blanked(data: bytes, found: list[tuple[int, int, str]]) -> bytes:
    blank = bytearray(data)
    for start, end, _ in found:
        blank[start:end] = bytes(end - start)
    return bytes(blank)


def redact_lines(lines: Iterable[str | bytes], redactor: Redactor) -> Iterator[str]:
    """Turn JSON lines {"id", "text"} into {"id", "text", "spans"}; spans are in code points of the text that was given.

    Raises:
        ValueError: A line is not a JSON object with a string under "text".
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise ValueError(
                f'line {number} is not a JSON object with a "text". One would be: {{"id": 1, "text": "…"}}'
            )
        spans = [{"start": span.start, "end": span.end, "kind": span.kind} for span in redactor.spans(row["text"])]
        yield json.dumps({"id": row.get("id"), "text": redactor.redact(row["text"]), "spans": spans})
