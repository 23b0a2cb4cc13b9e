"""Find credentials in one text: one pass looks for anchors, and a rule is tried only where its anchor stands.

Every rule is a bounded match at one place, so the time is linear in the text whatever it holds. The one pattern that runs over the
whole text is an alternation of plain words; google-re2 runs it where it is installed, `re` elsewhere.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from sessiontrackd.privacy import _names, _places
from sessiontrackd.privacy._rules import ALPHABETS, SHAPES, TOKENS
from sessiontrackd.privacy._values import looks_random

Found = tuple[int, int, str]
_JWT_PART = re.compile(rb"[A-Za-z0-9_/+-]*")
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PEM_BEGIN = re.compile(
    rb"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----|PuTTY-User-Key-File-[23]:"
)
_PEM_END = re.compile(
    rb"-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----|---- END SSH2 ENCRYPTED PRIVATE KEY ----|Private-MAC: [0-9a-f]{16,64}"
)
_PEM_REST = re.compile(rb"(?:[A-Za-z0-9+/=\s\\]|[A-Z][A-Za-z-]{2,20}: [^\n]{0,200})*")
_SECRET_ENTRY = re.compile(
    rb"(?m)^[ \t]{1,20}(?:-[ \t])?(?P<entry>[A-Za-z0-9_.\"'-]{1,80}:[ \t]{0,4}(?:[>|][+-]?[ \t]{0,4}\r?\n[ \t]{1,20})?[\"']?[A-Za-z0-9+/]{8,1000}={0,2})"
)


class _Token(NamedTuple):
    kind: str
    prefix: bytes
    body: re.Pattern[bytes]
    random: bool


@cache
def _tokens() -> tuple[_Token, ...]:
    """Read the table of prefixed tokens, longer prefixes first."""
    tokens = []
    for line in TOKENS.strip().splitlines():
        kind, alphabet, least, *prefixes = line.split()
        body = re.compile(f"[{ALPHABETS[alphabet[0]]}]{{{least},}}".encode())
        tokens += [_Token(kind, prefix.encode(), body, alphabet.endswith("?")) for prefix in prefixes]
    return tuple(sorted(tokens, key=lambda token: -len(token.prefix)))


@cache
def _shapes() -> tuple[tuple[str, bytes, frozenset[int], int, re.Pattern[bytes]], ...]:
    shapes = []
    for kind, anchor, before, back, pattern in SHAPES:
        allowed = frozenset(byte for byte in range(128) if before and re.match(f"[{before}]", chr(byte)))
        shapes.append((kind, anchor.encode(), allowed, back, re.compile(pattern.encode())))
    return tuple(shapes)


@cache
def _word_scan() -> Any:
    """Compile the scan for telling words, by google-re2 where it is installed."""
    pattern = b"|".join(re.escape(word.encode()) for word in _names.words())
    try:
        return importlib.import_module("re2").compile(pattern)
    except ImportError:
        return re.compile(pattern)


def find(data: bytes) -> list[Found]:
    """Return the credentials in `data` as (start, end, kind), sorted by place, disjoint."""
    low = data.lower()
    found = [
        *_pem(data),
        *_prefixed(data),
        *_shaped(data),
        *_jwt(data),
        *_kubernetes(data, low),
        *_places.anchored(data, low),
    ]
    for match in _word_scan().finditer(low):
        hit = _names.assigned(data, match.start(), match.end(), match.group())
        if hit:
            found.append(hit)
    return united(found)


def united(found: list[Found]) -> list[Found]:
    """Return overlapping finds as one, under the kind of the first."""
    union: list[Found] = []
    for start, end, kind in sorted(found, key=lambda hit: (hit[0], -hit[1])):
        if union and start < union[-1][1]:
            if end > union[-1][1]:
                union[-1] = (union[-1][0], end, union[-1][2])
        else:
            union.append((start, end, kind))
    return union


def _starts_here(data: bytes, at: int) -> bool:
    """Say whether a token may begin at `at`: nothing of a word before it but an escape (backslash n, %3D)."""
    if at == 0 or data[at - 1] not in _ALNUM:
        return True
    return data[at - 2 : at - 1] == b"\\" or data[at - 3 : at - 2] == b"%"


def _prefixed(data: bytes) -> Iterator[Found]:
    for token in _tokens():
        at = data.find(token.prefix)
        while at >= 0:
            first = at + len(token.prefix)
            end = first
            if _starts_here(data, at):
                match = token.body.match(data, first)
                if match and (not token.random or looks_random(match.group())):
                    end = first + len(match.group().rstrip(b".-="[:2]))
                    yield at, end, token.kind
            at = data.find(token.prefix, end)


def _shaped(data: bytes) -> Iterator[Found]:
    for kind, anchor, allowed, back, pattern in _shapes():
        at = data.find(anchor)
        while at >= 0:
            start = at
            while start > 0 and at - start < back and data[start - 1] in allowed:
                start -= 1
            match = pattern.match(data, start) if _starts_here(data, start) else None
            end = at + 1
            if match and (match.end() >= len(data) or data[match.end()] not in _ALNUM):
                end = match.end()
                yield *match.span(1 if pattern.groups else 0), kind
            at = data.find(anchor, end)


def _jwt(data: bytes) -> Iterator[Found]:
    at = data.find(b"eyJ")
    while at >= 0:
        head = _end_of_run(data, at)
        end = head
        if (
            _starts_here(data, at)
            and head - at >= 10
            and data[head : head + 1] == b"."
            and data[head + 1 : head + 3] in (b"ey", b"Ik", b"e3")
        ):
            end = _end_of_run(data, head + 1)
            while data[end : end + 1] == b"." and end - at < 20_000:
                end = _end_of_run(data, end + 1)
            yield at, end, "jwt"
        at = data.find(b"eyJ", end)


def _end_of_run(data: bytes, at: int) -> int:
    match = _JWT_PART.match(data, at)
    return match.end() if match else at


def _pem(data: bytes) -> Iterator[Found]:
    at = 0
    while b"PRIVATE KEY" in data or b"PuTTY-User-Key-File" in data:
        begin = _PEM_BEGIN.search(data, at)
        if begin is None:
            return
        finish = _PEM_END.search(data, begin.end(), begin.end() + 40_000)
        if finish is not None and b"-----BEGIN" not in data[begin.end() : finish.start()]:
            at = finish.end()
        else:
            rest = _PEM_REST.match(data, begin.end())
            at = begin.end() + len(rest.group().rstrip()) if rest else begin.end()
        if at > begin.end():
            yield begin.start(), at, "private-key"


def _kubernetes(data: bytes, low: bytes) -> Iterator[Found]:
    """Yield the entries of Kubernetes secrets whole: their values are base64 and need no other sign."""
    at = low.find(b"kind: secret")
    while at >= 0:
        first = max(data.rfind(b"\n---", 0, at), 0)
        last = data.find(b"\n---", at)
        last = len(data) if last < 0 else last
        for part in re.finditer(rb"(?m)^[ \t]{0,8}data:[ \t]{0,4}\r?$", data[first:last]):
            for entry in _SECRET_ENTRY.finditer(data, first + part.end(), min(last, first + part.end() + 20_000)):
                yield *entry.span("entry"), "kubernetes-secret"
        at = low.find(b"kind: secret", last)
