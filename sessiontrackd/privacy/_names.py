"""Credentials known by the name they are given to: `password: …`, `X_TOKEN=…`, `--api-key …`."""

from __future__ import annotations

import re

from sessiontrackd.privacy._rules import PASSWORD_WORDS, SECRET_WORDS, WEAK_WORDS
from sessiontrackd.privacy._values import looks_like_password, looks_random

Found = tuple[int, int, str]

_KIND_OF = (
    dict.fromkeys(WEAK_WORDS.split(), "w")
    | dict.fromkeys(SECRET_WORDS.split(), "s")
    | dict.fromkeys(PASSWORD_WORDS.split(), "p")
)

# What a name may go on with after its telling word, and where it then says something about the credential rather than being it.
_ABOUT = re.compile(
    rb"count|limit|max|min|len|size|_ur[il]$|url$|path|file|name$|type$|expir|usage|header|field|polic|label|prompt|placeholder|pattern|regex|"
    rb"title|text|message|error|_dir$|ttl|budget|s_used|version|algorithm|format|rotation|arn$|ref$|_env$|provider|manager|reset|strength"
)
_OPERATOR = (
    rb"(?P<op>[ \t]{0,20}(?:::?:?=|=>|->|\?=|\.=|\|\|[=:]|\+=|<=|={1,3}|:{1,2}|>|,)|"
    rb"[ \t]{0,4}(?::[ \t]{0,4}|[ \t])(?:&?'?(?:static )?str|string|String|SecretStr|text|char ?\*)[ \t]{0,4}:?=|"
    rb"[\"'][ \t]{1,4}value=|[ \t]{0,4}\r?\n[ \t-]{1,40}value[ \t]{0,4}:|"
    rb"[ \t]{1,4}(?:is|was|to|as|are)[ \t]{0,3}:?[ \t])"
)
_VALUE = (
    rb"(?:\*\*)?[ \t]{0,20}(?:\r?\n[ \t]{0,40})?[bruBRUF@$]{0,2}(?:"
    rb'"(?P<double>(?:[^"\\\n\0]|\\[^\n\0]){1,1000})"|'
    rb"'(?P<single>(?:[^'\\\n\0]|\\[^\n\0]){1,1000})'|"
    rb"`(?P<tick>[^`\n\0]{1,1000})`|"
    rb"\\{1,3}[\"'](?P<escaped>[^\"'\\\n\0]{1,1000})\\{1,3}[\"']|"
    rb"[\"']?(?P<bare>[^\s\"'`<>,;\\\0]{1,1000}))"
)
_ASSIGNED = re.compile(rb"(?P<rest>[A-Za-z0-9_.-]{0,40})(?:\\{0,3}[\"'`]|\]|\)|\*\*){0,3}" + _OPERATOR + _VALUE)
_FLAGGED = re.compile(
    rb"(?P<rest>[A-Za-z0-9_-]{0,30})[ \t]{1,4}" + _VALUE.replace(rb"(?:\*\*)?[ \t]{0,20}(?:\r?\n[ \t]{0,40})?", b"", 1)
)
_GROUPS = ("double", "single", "tick", "escaped", "bare")


def words() -> tuple[str, ...]:
    """Return every telling word, the longest first, for the scan that finds them."""
    return tuple(sorted(_KIND_OF, key=lambda word: (-len(word), word)))


def assigned(data: bytes, start: int, end: int, word: bytes) -> Found | None:
    """Return the credential that the name around the word at [start, end) is given."""
    weight = _KIND_OF[word.decode()]
    match = _ASSIGNED.match(data, end)
    quoted_ok = match is not None
    if match is None:
        if not _is_option(data, start):
            return None
        match = _FLAGGED.match(data, end)
        if match is None:
            return None
    group = next(name for name in _GROUPS if match[name] is not None)
    first, last = match.span(group)
    value = data[first:last]
    if group == "bare":
        value = _trimmed(value)
        last = first + len(value)
    about = bool(_ABOUT.search(match["rest"].lower()))
    spoken = quoted_ok and match["op"][:1] in b" \t" and match["op"].strip() in (b"is", b"was", b"to", b"as", b"are")
    comma = quoted_ok and match["op"].strip() == b","
    if comma and group == "bare":
        return None
    env = group == "bare" and quoted_ok and match["op"] == b"=" and word.isascii() and data[start:end].isupper()
    if not _credible(value, weight, quoted=group != "bare", about=about, spoken=spoken, env=env, option=not quoted_ok):
        return None
    return first, last, _kind(weight, word)


def _credible(value: bytes, weight: str, *, quoted: bool, about: bool, spoken: bool, env: bool, option: bool) -> bool:
    if weight == "w" or about:
        return looks_random(value, 16)
    if weight == "p":
        if len(value) < (4 if quoted or option else 6):
            return False
        if option or env:
            return looks_like_password(value, quoted=True)
        return looks_like_password(value, quoted=quoted and not spoken) or looks_random(value, 10)
    if looks_random(value, 10):
        return True
    return (
        quoted
        and not spoken
        and len(value) >= 8
        and looks_like_password(value, quoted=True)
        and any(48 <= c < 58 for c in value)
    )


def _kind(weight: str, word: bytes) -> str:
    if weight == "p":
        return "password"
    return (
        "token"
        if word in (b"token", b"bearer", b"jwt", b"authtoken", b"_authtoken")
        else "secret"
        if weight == "s"
        else "api-key"
    )


def _trimmed(value: bytes) -> bytes:
    for closing, opening in ((b")", b"("), (b"]", b"["), (b"}", b"{")):
        if closing in value and opening not in value:
            value = value[: value.index(closing)]
    return value.rstrip(b".:!?|*")


def _is_option(data: bytes, start: int) -> bool:
    head = data[max(0, start - 24) : start]
    head = head[max(head.rfind(b" "), head.rfind(b"\n"), head.rfind(b"\t")) + 1 :]
    return head.startswith(b"-") and not head.strip(b"-").strip(b"abcdefghijklmnopqrstuvwxyz-_")
