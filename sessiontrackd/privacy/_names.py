"""Credentials known by the name they are given to: `password: …`, `X_TOKEN=…`, `--api-key …`."""

from __future__ import annotations

import re

from sessiontrackd.patterns import lazy_regex
from sessiontrackd.privacy._rules import LIKELY_WORDS, STRONG_WORDS, WEAK_WORDS
from sessiontrackd.privacy._values import looks_like_password, looks_mixed, looks_random, looks_strong

KINDS = ("password", "token", "secret", "api-key")
Found = tuple[int, int, str]
_JUDGED = 300  # bytes of a value without quotes, by which it is judged
LONGEST_OPERATOR = 400  # bytes, at most, from a telling word to the value it is given

_WEIGHT = (
    dict.fromkeys(WEAK_WORDS.encode().split(), "w")
    | dict.fromkeys(LIKELY_WORDS.encode().split(), "s")
    | dict.fromkeys(STRONG_WORDS.encode().split(), "p")
)

# What a name may go on with after its telling word, and where it then says something about the credential rather than being it.
_ABOUT = lazy_regex(
    rb"count|limit|max|min|len|size|_ur[il]$|url$|path|file|name$|type$|expir|usage|header|field|polic|label|prompt|placeholder|pattern|regex|"
    rb"title|text|message|error|_dir$|ttl|budget|s_used|version|algorithm|format|rotation|arn$|ref$|_env$|provider|manager|reset|strength"
)
_OPERATOR = (
    rb"(?P<op>[ \t]{0,3},[ \t\r\n]{0,20}\\{0,3}[\"']value\\{0,3}[\"'][ \t]{0,4}:|[ \t]{0,20}(?:::?:?=|=>|->|\?=|\.=|\|\|[=:]?|\?\?=?|\+=|<=|={1,3}|:{1,2}|>|,)|"
    rb"[ \t]{0,4}(?::[ \t]{0,4}|[ \t](?:As[ \t])?)(?:&?'?(?:static )?str|string|String|SecretStr|text|char ?\*)[ \t]{0,4}:?=|"
    rb"[ \t]{0,3}\{[^{}\0]{0,200}?default[ \t]{0,20}=|:-|[ \t]{1,2}(?i:for) [A-Za-z0-9@. '_-]{1,40}?(?:is|:|=)[ \t]|"
    rb"(?:[ \t][a-z-]{1,20}=\"[^\"<>\n\0]{0,40}\"){0,4}[ \t]{1,4}value=|[ \t]-[ \t]|[ \t]{0,4}\r?\n[ \t0-9+>|-]{1,40}value[ \t]{0,4}:|"
    rb"[ \t]{1,4}(?:(?:is|was|has been|will be)[ \t](?:now[ \t])?)?(?:changed|set|reset|updated)[ \t]to:?[ \t]|"
    rb"[ \t]{1,4}(?:is|was|to|as|are)[ \t]{0,3}:?[ \t]|[ \t]{1,4}\|(?=[ \t])|</key>[ \t\r\n]{0,40}<string>|[ \t][a-z:-]{2,20}=\"[^\"<>\n\0]{0,40}\">|"
    rb":?[ \t]{0,4}(?=\r?\n[ \t]{0,20}(?:```[a-z]{0,10}\r?\n)?[^\s`]{8,200}[ \t]{0,4}(?:\r?\n|\Z)))"
)
_BARE = rb"[^\s\"'`<>,;\\\0]"
_VALUE = (
    rb"(?:\*\*)?[ \t]{0,20}(?:\r?\n[ \t]{0,40}(?:```[a-z]{0,10}\r?\n)?)?(?:"
    rb'[bruBRUF@$]{0,2}"(?P<double>(?:[^"\\\n\0]|\\[^\n\0]){1,1000})"|'
    rb"[bruBRUF@$]{0,2}'(?P<single>(?:[^'\\\n\0]|\\[^\n\0]){1,1000})'|"
    rb"`(?P<tick>[^`\n\0]{1,1000})`|"
    rb"\\{1,3}[\"'](?P<escaped>[^\"'\\\n\0]{1,1000})\\{1,3}[\"']|"
    rb"[\"']?(?P<bare>" + _BARE + rb"{1,300}))"
)
_BARE_REST = lazy_regex(_BARE + rb"{0,700}")
# Behind the rest of the name no part of a name goes on, which the pattern says before it tries every operator at every letter of it.
_ASSIGNED = lazy_regex(
    rb"(?P<rest>[A-Za-z0-9_.-]{0,40})(?![A-Za-z0-9_])(?:\\{0,3}[\"'`]|\]|\)|\*\*){0,3}" + _OPERATOR + _VALUE
)
_FLAGGED = lazy_regex(
    rb"(?P<rest>[A-Za-z0-9_-]{0,30})[ \t]{1,4}" + _VALUE.replace(rb"(?:\*\*)?[ \t]{0,20}(?:\r?\n[ \t]{0,40})?", b"", 1)
)
_SETTER = lazy_regex(
    rb"(?i)(?:env|get|set|define|property|default|put|add|option|argument|config|secret)[A-Za-z_]{0,20}\($"
)
_STATES = (b"session", b"key", b"auth", b"cookie", b"cred")
_SETTING_WORDS = (b"env", b"arg", b"setx", b"set", b"setenv", b"secret", b"--secret")
_SPOKEN = (b"is", b"was", b"to", b"as", b"are", b"|", b"||", b"??", b"-")


def words() -> tuple[bytes, ...]:
    """Return every telling word, the longest first, for the scan that finds them."""
    return tuple(sorted(_WEIGHT, key=lambda word: (-len(word), word)))


def assigned(data: bytes, start: int, end: int, word: bytes) -> Found | None:
    """Return the credential that the name around the word at [start, end) is given; a long one is judged by its beginning."""
    found = _assigned(data, start, end, word)
    if found is None or found[1] - found[0] < _JUDGED:
        return found
    rest = _BARE_REST.match(data, found[1])
    if rest is None or not rest.group():
        return found
    return found[0], found[0] + len(_trimmed(data[found[0] : rest.end()])), found[2]


def _assigned(data: bytes, start: int, end: int, word: bytes) -> Found | None:
    match = _ASSIGNED.match(data, end)
    if match is not None:
        return _given(data, start, match, word)
    match = _FLAGGED.match(data, end)
    if match is None:
        return None
    first, last, quoted = _value(data, match)
    statement = (
        word in (b"password", b"passphrase") and not match["rest"] and data[first - 1 : first] in (b"'", b'"')
    )  # SQL: PASSWORD 'x'
    if not statement and not _is_option(data, start):
        return None
    about = bool(_ABOUT.search(match["rest"].lower()))
    if not _credible(data[first:last], _WEIGHT[word], quoted=quoted, about=about, setting=True):
        return None
    return first, last, _kind(_WEIGHT[word], word)


def _given(data: bytes, start: int, match: re.Match[bytes], word: bytes) -> Found | None:
    first, last, quoted = _value(data, match)
    value, operator, rest, weight = data[first:last], match["op"].strip(), match["rest"].lower(), _WEIGHT[word]
    if operator == b"," and not (quoted and _is_argument(data, start, weight, value)):
        return None
    if b"\n" in data[match.start("op") : first] and not _may_break(operator, quoted=quoted):
        return (first, last, _kind(weight, word)) if _stands_alone(data, match, weight, value) else None
    if data[start - 3 : start - 1] == b"? ":  # condition ? 'passed' : 'failed'
        return None
    if (word in _STATES and rest.endswith(b"id")) or (word == b"pass" and data[max(0, start - 4) : start] == b"--- "):
        return None
    spoken = operator in _SPOKEN or operator[:4].lower() == b"for " or operator.endswith(b" to")
    if (
        spoken
        and (rest or not quoted)
        and not (looks_mixed(value) or looks_random(value) or (weight == "p" and _has_digit(value)))
    ):
        return None
    about = bool(_ABOUT.search(rest)) or (spoken and weight != "p")
    setting = not quoted and (_is_setting(data, start, match["op"], first, last) or _is_element(data, operator, last))
    if not _credible(value, weight, quoted=quoted, about=about, setting=setting):
        return None
    return first, last, _kind(weight, word)


def _is_setting(data: bytes, start: int, operator: bytes, first: int, last: int) -> bool:
    """Say whether the value stands where only a value can: `name=value` without a space, or alone on a line after `name:`."""
    after = data[last : last + 1]
    if operator == b"=" and data[first - 1 : first] == b"=":
        return after in (b"", b"\n", b"\r", b" ", b"&", b";", b'"', b"'")
    if (
        operator.strip() != b":"
        or data[last : last + 2].strip(b" \r") not in (b"", b"\n")
        or data[first - 1 : first] != b" "
    ):
        return False
    head = data[data.rfind(b"\n", 0, start) + 1 : start].strip(b" \t-\"'")
    return not head.strip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+>| \t")


def _is_element(data: bytes, operator: bytes, last: int) -> bool:
    """Say whether the value is all that an XML element holds."""
    return operator.endswith(b">") and data[last : last + 2] == b"</"


def _has_digit(value: bytes) -> bool:
    return any(48 <= byte < 58 for byte in value)


def _value(data: bytes, match: re.Match[bytes]) -> tuple[int, int, bool]:
    """Return where the value stands, and whether it stands in quotes."""
    group = match.lastgroup or "bare"
    first, last = match.span(group)
    if group == "bare":
        last = first + len(_trimmed(data[first:last]))
    return first, last, group != "bare"


def _credible(value: bytes, weight: str, *, quoted: bool, about: bool, setting: bool) -> bool:
    """Say whether the value of a name of this weight is a credential; `setting` as in `looks_like_password`."""
    if weight == "w" or about:
        return looks_random(value, 12 if quoted else 14)
    if weight == "p":
        enough = len(value) >= (4 if quoted or setting else 6)
        return enough and (looks_like_password(value, quoted=quoted, setting=setting) or looks_random(value, 10))
    if looks_random(value, 10) or (len(value) >= 8 and looks_mixed(value)):
        return True
    if len(value) < 8 or not (quoted or setting):
        return False
    return _has_digit(value) and looks_like_password(value, quoted=True)


def _may_break(operator: bytes, *, quoted: bool) -> bool:
    """Say whether the value may stand on the line after the operator."""
    return (
        operator in (b">", b"=>")
        or operator.endswith((b"value:", b'value":', b"<string>"))
        or (quoted and operator != b"")
    )


def _stands_alone(data: bytes, match: re.Match[bytes], weight: str, value: bytes) -> bool:
    """Say whether the line below a line that ends with the name holds nothing but what can only be a credential."""
    last = match.end()
    if match["op"].strip() not in (b"", b":") or data[last : last + 1] not in (b"", b"\n", b"\r", b" "):
        return False
    if weight == "p":
        return looks_strong(value)
    return weight == "s" and looks_random(value, 16)


def _is_argument(data: bytes, start: int, weight: str, value: bytes) -> bool:
    """Say whether the name is a quoted argument of a call and the next argument its value."""
    head = data[max(0, start - 80) : start].rstrip(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")
    if head[-1:] not in (b'"', b"'"):
        return False
    head = head[:-1].rstrip()
    if weight == "p" and head.endswith(b"(") and _SETTER.search(head):
        return True
    return head.endswith((b"(", b",")) and looks_mixed(value)


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
    return value.rstrip(b".:|*")


def _is_option(data: bytes, start: int) -> bool:
    """Say whether the name is an option of a command (`--api-key X`) or stands after a word that sets it (`ENV X y`)."""
    line = data[max(0, start - 40) : start]
    line = line[line.rfind(b"\n") + 1 :]
    head = line[max(line.rfind(b" "), line.rfind(b"\t")) + 1 :]
    if head.strip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"):
        return False
    return head.startswith(b"-") or line[: len(line) - len(head)].strip().lower().endswith(_SETTING_WORDS)
