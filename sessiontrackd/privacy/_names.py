"""Credentials known by the name they are given to: `password: …`, `X_TOKEN=…`, `--api-key …`."""

from __future__ import annotations

import re

from sessiontrackd.privacy._rules import LIKELY_WORDS, STRONG_WORDS, WEAK_WORDS
from sessiontrackd.privacy._values import looks_like_password, looks_mixed, looks_random

KINDS = ("password", "token", "secret", "api-key")
Found = tuple[int, int, str]

_WEIGHT = (
    dict.fromkeys(WEAK_WORDS.encode().split(), "w")
    | dict.fromkeys(LIKELY_WORDS.encode().split(), "s")
    | dict.fromkeys(STRONG_WORDS.encode().split(), "p")
)

# What a name may go on with after its telling word, and where it then says something about the credential rather than being it.
_ABOUT = re.compile(
    rb"count|limit|max|min|len|size|_ur[il]$|url$|path|file|name$|type$|expir|usage|header|field|polic|label|prompt|placeholder|pattern|regex|"
    rb"title|text|message|error|_dir$|ttl|budget|s_used|version|algorithm|format|rotation|arn$|ref$|_env$|provider|manager|reset|strength"
)
_OPERATOR = (
    rb"(?P<op>[ \t]{0,20}(?:::?:?=|=>|->|\?=|\.=|\|\|[=:]|\+=|<=|={1,3}|:{1,2}|>|,)|"
    rb"[ \t]{0,4}(?::[ \t]{0,4}|[ \t])(?:&?'?(?:static )?str|string|String|SecretStr|text|char ?\*)[ \t]{0,4}:?=|"
    rb"[ \t]{1,4}value=|[ \t]{0,4}\r?\n[ \t-]{1,40}value[ \t]{0,4}:|"
    rb"[ \t]{1,4}(?:is|was|to|as|are)[ \t]{0,3}:?[ \t])"
)
_VALUE = (
    rb"(?:\*\*)?[ \t]{0,20}(?:\r?\n[ \t]{0,40})?(?:"
    rb'[bruBRUF@$]{0,2}"(?P<double>(?:[^"\\\n\0]|\\[^\n\0]){1,1000})"|'
    rb"[bruBRUF@$]{0,2}'(?P<single>(?:[^'\\\n\0]|\\[^\n\0]){1,1000})'|"
    rb"`(?P<tick>[^`\n\0]{1,1000})`|"
    rb"\\{1,3}[\"'](?P<escaped>[^\"'\\\n\0]{1,1000})\\{1,3}[\"']|"
    rb"[\"']?(?P<bare>[^\s\"'`<>,;\\\0]{1,1000}))"
)
_ASSIGNED = re.compile(rb"(?P<rest>[A-Za-z0-9_.-]{0,40})(?:\\{0,3}[\"'`]|\]|\)|\*\*){0,3}" + _OPERATOR + _VALUE)
_FLAGGED = re.compile(
    rb"(?P<rest>[A-Za-z0-9_-]{0,30})[ \t]{1,4}" + _VALUE.replace(rb"(?:\*\*)?[ \t]{0,20}(?:\r?\n[ \t]{0,40})?", b"", 1)
)
_STATES = (b"session", b"key", b"auth", b"cookie", b"cred")
_SPOKEN = (b"is", b"was", b"to", b"as", b"are")
_GROUPS = ("double", "single", "tick", "escaped", "bare")


def words() -> tuple[bytes, ...]:
    """Return every telling word, the longest first, for the scan that finds them."""
    return tuple(sorted(_WEIGHT, key=lambda word: (-len(word), word)))


def assigned(data: bytes, start: int, end: int, word: bytes) -> Found | None:
    """Return the credential that the name around the word at [start, end) is given."""
    match = _ASSIGNED.match(data, end)
    if match is not None:
        return _given(data, start, match, word)
    match = _FLAGGED.match(data, end) if _is_option(data, start) else None
    if match is None:
        return None
    first, last, quoted = _value(data, match)
    about = bool(_ABOUT.search(match["rest"].lower()))
    if not _credible(data[first:last], _WEIGHT[word], quoted=quoted, about=about, plain=True):
        return None
    return first, last, _kind(_WEIGHT[word], word)


def _given(data: bytes, start: int, match: re.Match[bytes], word: bytes) -> Found | None:
    first, last, quoted = _value(data, match)
    value, operator, rest = data[first:last], match["op"].strip(), match["rest"].lower()
    if operator == b"," and not (quoted and _is_argument(data, start) and looks_mixed(value)):
        return None
    if b"\n" in data[match.start("op") : first] and not _may_break(operator, quoted=quoted):
        return None
    if (word in _STATES and rest.endswith(b"id")) or (word == b"pass" and data[max(0, start - 4) : start] == b"--- "):
        return None
    in_environment = match["op"] == b"=" and not quoted and data[start : start + len(word)].isupper()
    if operator in _SPOKEN and (rest or not quoted) and not (looks_mixed(value) or looks_random(value)):
        return None
    about = bool(_ABOUT.search(rest)) or (operator in _SPOKEN and _WEIGHT[word] != "p")
    if not _credible(value, _WEIGHT[word], quoted=quoted, about=about, plain=in_environment):
        return None
    return first, last, _kind(_WEIGHT[word], word)


def _value(data: bytes, match: re.Match[bytes]) -> tuple[int, int, bool]:
    """Return where the value stands, and whether it stands in quotes."""
    group = next(name for name in _GROUPS if match[name] is not None)
    first, last = match.span(group)
    if group == "bare":
        last = first + len(_trimmed(data[first:last]))
    return first, last, group != "bare"


def _credible(value: bytes, weight: str, *, quoted: bool, about: bool, plain: bool) -> bool:
    """Say whether the value of a name of this weight is a credential; `plain`: nothing but the value can stand there."""
    if weight == "w" or about:
        return looks_random(value, 12 if quoted else 14)
    if weight == "p":
        return len(value) >= (4 if quoted or plain else 6) and (
            looks_like_password(value, quoted=quoted or plain) or looks_random(value, 10)
        )
    if looks_random(value, 10) or (len(value) >= 8 and looks_mixed(value)):
        return True
    return quoted and len(value) >= 8 and any(48 <= c < 58 for c in value) and looks_like_password(value, quoted=True)


def _may_break(operator: bytes, *, quoted: bool) -> bool:
    """Say whether the value may stand on the line after the operator."""
    return operator in (b">", b"=>") or operator.endswith(b"value:") or quoted


def _is_argument(data: bytes, start: int) -> bool:
    """Say whether the name is a quoted argument of a call, the first or a later one."""
    head = data[max(0, start - 60) : start].rstrip(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    return head[-1:] in (b'"', b"'") and head[:-1].rstrip().endswith((b"(", b","))


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
