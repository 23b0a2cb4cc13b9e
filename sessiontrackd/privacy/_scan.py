"""Find credentials in one text: one pass looks for anchors, and a rule is tried only where its anchor stands.

Every rule is a bounded match at one place, so the time is linear in the text whatever it holds. The one pattern that runs over the
whole text is an alternation of plain words; google-re2 runs it where it is installed, `re` elsewhere.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from sessiontrackd.patterns import lazy_regex
from sessiontrackd.privacy import _given, _names, _places
from sessiontrackd.privacy._anchors import Anchors, compile_linear
from sessiontrackd.privacy._rules import ALPHABETS, SHAPES, TOKENS
from sessiontrackd.privacy._values import looks_random

Found = tuple[int, int, str]
Rule = Callable[[bytes, int, int, bytes], Found | None]
SEAM = "\n\x1e\0\n"  # between texts that are looked at together: what is found in one never depends on another
_END_OF_TEXT = SEAM.encode()
_TELLING = 5  # a prefix longer than this is believed within a word too
_BODY = 300  # characters of a token that are judged; what follows of its alphabet belongs to it
_DISCORD_TAIL = lazy_regex(rb"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{26,45}")
_JWT_PART = lazy_regex(rb"[A-Za-z0-9_/+-]*")
_TOKEN_BYTES = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")
_ALNUM = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PEM_BEGIN = lazy_regex(
    rb"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----|PuTTY-User-Key-File-[23]:"
)
_PEM_END = lazy_regex(
    rb"-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----|---- END SSH2 ENCRYPTED PRIVATE KEY ----|Private-MAC: [0-9a-f]{16,64}"
)
_PEM_REST = lazy_regex(rb"(?:[A-Za-z0-9+/=\s\\]|[A-Z][A-Za-z-]{2,20}: [^\n]{0,200})*")
_PEM_LINE = lazy_regex(rb"[ \t>+|\"']{0,20}[A-Za-z0-9+/=]{16,80}(?:\\n)?[\"',+ \t]{0,6}\r?\n")
_PEM_LINES = 200
_UUID_OR_HEX = lazy_regex(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-f]{20,}")
_A_DIGIT = lazy_regex(rb"[0-9]")
_HASH_BEFORE = lazy_regex(
    rb"sha-?(?:1|224|256|384|512)|\bh1:|md5|commit|digest|checksum|integrity|\brev\b|etag|data:[a-z]+/|base64,|hash|blob |index |fingerprint"
)
_ID_BEFORE = lazy_regex(rb"id[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,3}[\"'`]?$")
_NO_SECRET = lazy_regex(
    rb"sha(?:1|224|256|384|512)[-:=]|(?:toolu|call|msg|req|resp|run|thread|asst|user|org|proj|ses|prt|step|file|batch|gen|chatcmpl|cmpl|rs|fc|evt|task|agent|"
    rb"conv|item|srvtoolu|vs|ft|session|wrkspc|acct|cus|sub|pi|ch|in|price|prod|txn)[_-][A-Za-z0-9]|[A-Za-z0-9]{0,20}/[A-Za-z]"
)
_SECRET_WORD = lazy_regex(
    rb"passw|pwd|secret|token|api.?key|access.?key|auth|credential|private|bearer|key\b|apikey|webhook|\bpat\b"
)
_SECRET_KIND = lazy_regex(rb"kind[\"']?:[ \t]{0,4}[\"']?secret\b")
_SECRET_REACH = 20_000  # bytes around the kind of a Kubernetes object within which its data stand
_SECRET_BORDER = lazy_regex(rb"\n---|" + re.escape(_END_OF_TEXT))
_SECRET_DATA = lazy_regex(rb"(?m)^[ \t0-9+>|]{0,16}(?:stringData|data):[ \t]{0,4}\r?$")
_SECRET_ENTRY = lazy_regex(
    rb"(?m)^[ \t0-9+>|]{1,24}(?:-[ \t])?(?P<entry>[A-Za-z0-9_.\"'-]{1,80}:[ \t]{0,4}(?:[>|][+-]?[ \t]{0,4}\r?\n[ \t]{1,20})?[\"']?[A-Za-z0-9+/]{4,20000}={0,2}[\"']?)"
)


class _Token(NamedTuple):
    """A prefix and what must follow it."""

    kind: str
    prefix: bytes
    letters: str
    least: int
    random: bool

    def at(self, data: bytes, at: int) -> Found | None:
        """Return the token whose prefix stands at `at`."""
        if len(self.prefix) <= _TELLING and not _starts_here(data, at):
            return None
        body, tail = _body(self.letters, self.least)
        match = body.match(data, at + len(self.prefix))
        if match is None or (self.random and not looks_random(match.group())):
            return None
        rest = tail.match(data, match.end())
        end = rest.end() if rest else match.end()
        while data[end - 1] in b".-":
            end -= 1
        return at, end, self.kind


@cache  # when first met: compiling them all takes as long as a short transcript
def _body(letters: str, least: int) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what must follow a prefix, and what may follow that."""
    return re.compile(f"[{letters}]{{{least},{_BODY}}}".encode()), re.compile(f"[{letters}]*".encode())


class _Shape(NamedTuple):
    """A pattern with an anchor somewhere inside."""

    kind: str
    before: str
    back: int
    pattern: str
    random: bool

    def at(self, data: bytes, at: int) -> Found | None:
        """Return the credential whose anchor stands at `at`."""
        start, allowed = at, _bytes_of(self.before)
        while start > 0 and at - start < self.back and data[start - 1] in allowed:
            start -= 1
        if not _starts_here(data, start):
            return None
        pattern = _compiled(self.pattern)
        match = pattern.match(data, start)
        if match is None or (match.end() < len(data) and data[match.end()] in _ALNUM):
            return None
        if self.random and not looks_random(match.group()):
            return None
        return *match.span(1 if pattern.groups else 0), self.kind


@cache  # as `_body`
def _compiled(regex: str) -> re.Pattern[bytes]:
    return re.compile(regex.encode())


@cache
def _bytes_of(letters: str) -> frozenset[int]:
    """Return the bytes of a set of letters as patterns write it."""
    return frozenset(byte for byte in range(128) if letters and re.match(f"[{letters}]", chr(byte)))


@cache
def _fixed() -> Anchors[_Token | _Shape]:
    """Read the tables of what gives itself away."""
    rules: list[tuple[bytes, _Token | _Shape]] = []
    for line in TOKENS.strip().splitlines():
        kind, alphabet, least, *prefixes = line.split()
        letters, is_random = ALPHABETS[alphabet[0]], alphabet.endswith("?")
        rules += [(name.encode(), _Token(kind, name.encode(), letters, int(least), is_random)) for name in prefixes]
    for kind, anchor, before, back, pattern in SHAPES:
        if not anchor:
            continue
        shape = _Shape(kind.rstrip("?"), before, back, pattern, kind.endswith("?"))
        rules.append((anchor.encode(), shape))
    return Anchors(rules)


@cache
def _unanchored() -> tuple[Any, list[_Shape]]:
    """Return a pattern that finds every shape without an anchor, and these shapes."""
    shapes = [
        _Shape(kind.rstrip("?"), "", 0, pattern, kind.endswith("?"))
        for kind, anchor, _, _, pattern in SHAPES
        if not anchor
    ]
    return compile_linear("|".join(f"(?:{shape.pattern})" for shape in shapes).encode()), shapes


@cache
def _runs() -> Any:
    """Return a pattern that finds what is long enough to be a secret without a name."""
    return compile_linear(rb"[A-Za-z0-9_+/=-]{20,}")


@cache
def _telling() -> Anchors[Rule]:
    """Read the words and places that announce a credential; they are looked for in lower case."""
    names: list[tuple[bytes, Rule]] = [(word, _names.assigned) for word in _names.words()]
    return Anchors([*names, *_places.ANCHORED, *_given.ANCHORED])


def kinds() -> set[str]:
    """Return every kind that `find` may name."""
    table = {line.split()[0] for line in TOKENS.strip().splitlines()} | {shape[0].rstrip("?") for shape in SHAPES}
    return table | {
        "jwt",
        "discord-token",
        "kubernetes-secret",
        "random-token",
        "private-key",
        *_names.KINDS,
        *_places.KINDS,
    }


def find(data: bytes) -> list[Found]:
    """Return the credentials in `data` as (start, end, kind), sorted by place, disjoint."""
    low = data.lower()
    found = [
        *_pem(data),
        *_pem_end_only(data),
        *_fixed_at(data),
        *_jwt(data),
        *_discord(data),
        *_kubernetes(data, low),
        *_loose(data, low),
        *_given.tables(data, low),
    ]
    done = 0  # well inside a value that was found, the names of credentials are part of it
    for at, anchor, rule in _telling().hits(low):
        if rule is _names.assigned and at + _names.LONGEST_OPERATOR < done:
            continue
        hit = rule(data, at, at + len(anchor.rstrip()), anchor)
        if hit:
            found.append(hit)
            done = max(done, hit[1])
    return united(found)


def _fixed_at(data: bytes) -> Iterator[Found]:
    """Yield what gives itself away; a beginning inside a token already found is none."""
    done = 0
    for at, _, rule in _fixed().hits(data):
        hit = rule.at(data, at) if at >= done or isinstance(rule, _Shape) else None
        if hit:
            done = max(done, hit[1])
            yield hit
    pattern, shapes = _unanchored()
    for match in pattern.finditer(data):
        yield from filter(None, (shape.at(data, match.start()) for shape in shapes))


def _discord(data: bytes) -> Iterator[Found]:
    """Yield Discord's three parts; only the dots between them can be looked for."""
    for match in _DISCORD_TAIL.finditer(data):
        start = match.start()
        while start > 0 and match.start() - start < 30 and data[start - 1] in _TOKEN_BYTES:
            start -= 1
        if match.start() - start in range(22, 30) and data[start] in _ALNUM:
            yield start, match.end(), "discord-token"


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


def _loose(data: bytes, low: bytes) -> Iterator[Found]:
    """Yield strings drawn by a machine: capitals, small letters and digits anywhere, fewer kinds where the line speaks of a secret."""
    for match in _runs().finditer(data):
        start, end = match.span()
        value = data[start:end]  # faster than group()
        if end - start > 600 or (value.islower() and not _A_DIGIT.search(value)) or not looks_random(value, 20):
            continue
        mixed = not (value.islower() or value.isupper()) and len(_UUID_OR_HEX.sub(b"", value)) >= 20
        before = low[max(0, low.rfind(b"\n", 0, start), start - 80) : start]
        if _HASH_BEFORE.search(before) or _ID_BEFORE.search(before) or _NO_SECRET.match(value):
            continue
        if mixed or _SECRET_WORD.search(before[-48:]):
            yield start, end, "random-token"


def _starts_here(data: bytes, at: int) -> bool:
    """Say whether a token may begin at `at`: nothing of a word before it but an escape (backslash n, %3D)."""
    if at == 0 or data[at - 1] not in _ALNUM:
        return True
    return data[at - 2 : at - 1] == b"\\" or data[at - 3 : at - 2] == b"%"


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
    is_there = b"PRIVATE KEY" in data or b"PuTTY-User-Key-File" in data
    begin = _PEM_BEGIN.search(data) if is_there else None
    while begin is not None:
        following = _PEM_BEGIN.search(data, begin.end())
        finish = _PEM_END.search(
            data, begin.end(), min(begin.end() + 40_000, following.start() if following else len(data))
        )
        if finish is not None and b"-----BEGIN" not in data[begin.end() : finish.start()]:
            at = finish.end()
        else:
            rest = _PEM_REST.match(data, begin.end())
            at = begin.end() + len(rest.group().rstrip()) if rest else begin.end()
        if at > begin.end():
            yield begin.start(), at, "private-key"
        begin = _PEM_BEGIN.search(data, at)


def _pem_end_only(data: bytes) -> Iterator[Found]:
    """Yield the end of a key whose beginning was cut away."""
    if b"PRIVATE KEY" not in data:
        return
    done = 0
    for end in _PEM_END.finditer(data):
        start = end.start()
        for _ in range(_PEM_LINES):
            line = data.rfind(b"\n", done, max(start - 1, done)) + 1 or done
            if start <= done or not _PEM_LINE.fullmatch(data, line, start):
                break
            start = line
        if start < end.start():
            yield start, end.end(), "private-key"
        done = end.end()


def _kubernetes(data: bytes, low: bytes) -> Iterator[Found]:
    """Yield the entries of Kubernetes secrets whole: their values are base64 and need no other sign."""
    secrets = [secret.span() for secret in _SECRET_KIND.finditer(low)]
    parts, borders = (
        [match.span() for match in pattern.finditer(data)] if secrets else []
        for pattern in (_SECRET_DATA, _SECRET_BORDER)
    )
    done = 0  # what was looked at for the secret before is not looked at again
    for at, end in secrets:
        border = bisect_left(borders, (at, at))
        first = max(at - _SECRET_REACH, borders[border - 1][0] if border else 0)
        last = min(end + _SECRET_REACH, borders[border][0] if border < len(borders) else len(data))
        place = bisect_left(parts, (first, first))
        if place < len(parts) and parts[place][1] <= last:
            begin = max(parts[place][1], data.rfind(b"\n", 0, done) + 1)
            for entry in _SECRET_ENTRY.finditer(data, begin, last):
                yield *entry.span("entry"), "kubernetes-secret"
            done = max(done, last)
