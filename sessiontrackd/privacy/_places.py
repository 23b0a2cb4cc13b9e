"""Credentials known by the place they stand in: a header, a URL, a command line, a .netrc, a wallet's recovery phrase."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from sessiontrackd.patterns import lazy_regex
from sessiontrackd.privacy._values import looks_random

KINDS = ("authorization", "url-credentials", "basic-auth", "password", "cookie", "webhook", "seed-phrase")
Found = tuple[int, int, str]

_AUTHORIZATION = lazy_regex(
    rb"[A-Za-z-]{0,10}\\{0,3}[\"']?[ \t]{0,4}(?::|=>?|,)[ \t]{0,4}[bf]?\\{0,3}[\"']?[ \t]{0,4}"
    rb"(?:(?:[Bb]asic|BASIC|[Bb]earer|BEARER|[Tt]oken|TOKEN|[Dd]igest|[Aa]pi-?[Kk]ey|SSWS|GenieKey|ApiToken|FlyV1|Splunk|Key|key|Negotiate|JWT|OAuth|AWS4-HMAC-SHA256|"
    rb"Discogs|Bot|Client-ID|apikey|[A-Z][A-Za-z]{1,12}-[A-Za-z]{2,12})[ \t:=]{1,4}(?:token=\\?\"?)?)?"
    rb"(?P<value>[^\s\"'`<>;{}\[\]()$\\\0][^\s\"'`<>;{}()\\\0]{6,1000})"
)
_BEARER = lazy_regex(rb"[ \t]{1,4}\\{0,3}[\"']?(?P<value>[A-Za-z0-9._~+/=:|-]{14,1000})")
_BASIC = lazy_regex(rb"[ \t]{1,4}(?P<value>[A-Za-z0-9+/=_-]{12,1000})")
_URL = lazy_regex(
    rb"://(?P<user>[^\s/:@\"'`<>\\{}()\[\],;?#\0]{0,100}):(?P<password>[^\s\"'`<>\\/\0]{1,200})@[A-Za-z0-9\[_${.-]"
)
_URL_TOKEN = lazy_regex(rb"://(?P<token>[A-Za-z0-9_.~%-]{16,300})(?::[a-z-]{0,20})?@[A-Za-z0-9]")
_USER_OPTION = lazy_regex(
    rb"(?:-u|--user|--proxy-user|-U)[ \t=]{0,3}(?P<value>\"[^\"\n\0]{0,100}:[^\"\n\0]{0,200}\"|'[^'\n\0]{0,100}:[^'\n\0]{0,200}'|"
    rb"\"[^\"\n\0]{1,100}\":\"[^\"\n\0]{1,200}\"|[^\s:\"'$<{\0][^\s:\"'<\0]{0,100}:[^\s<$\0][^\s<\0]{2,200})"
)
_NETRC = lazy_regex(
    rb"login[ \t\r\n]{1,4}(?P<user>[^\s]{1,100})[ \t\r\n]{1,4}password[ \t\r\n]{1,4}(?P<value>[^\s\0]{3,200})"
)
_SHORT_OPTION = lazy_regex(
    rb"(?:mysql|mysqldump|mysqladmin|mariadb)[^\n|;&]{0,160}? -p(?P<value>[^\s'\"-][^\s'\"]{3,100})|"
    rb"(?:sshpass|docker login|az login|mongo|mongosh|mongodump|oc login|htpasswd|ldapsearch|redis-cli)[^\n|;&]{0,160}? -(?:p|a|w)[ \t]{0,2}[\"']?"
    rb"(?P<other>[^\s'\"$-][^\s'\"]{3,100})"
)
_FOLLOWING = lazy_regex(
    rb"(?:identified (?:with [a-z0-9_]{1,40} )?by|requirepass|masterauth|-pass(?:in|out) pass:|/user:[^\s]{1,60}|htpasswd -[a-zA-Z]{1,6} [^\s]{1,80} [^\s]{1,60})"
    rb"[ \t]{0,3}[\"']?(?P<value>[^\s\"'<$\0][^\s\"'\0]{3,100})",
    re.IGNORECASE,
)
_CHPASSWD = lazy_regex(
    rb"echo [-e ]{0,4}[\"']?[A-Za-z0-9._-]{1,40}:(?P<value>[^\s\"'$\0]{4,100})[\"']? ?\| ?(?:sudo )?chpasswd"
)
_COOKIES = lazy_regex(rb"[\"']?[ \t]{0,2}[:=,][ \t]{0,3}[\"']?(?P<value>[A-Za-z0-9_.%-]{1,60}=[^\r\n\"'\0]{16,1000})")
_HOOK = lazy_regex(rb"/(?:hooks?|webhooks?|services)/(?:[A-Za-z0-9_-]{1,40}/){0,3}(?P<value>[A-Za-z0-9_-]{16,100})")
_PHRASE = lazy_regex(
    rb"[a-z _]{0,20}[\"']?[ \t]{0,4}(?:is|:|=)[ \t]{0,4}\n?[\"'`]?(?P<value>(?:[a-z]{3,8}[ ,\t\n]{1,2}){11,23}[a-z]{3,8})"
)


def authorization(data: bytes, _start: int, end: int, _word: bytes) -> Found | None:
    """Return the value of an Authorization header."""
    match = _AUTHORIZATION.match(data, end)
    if match is None or not _header_value(match["value"]):
        return None
    return *match.span("value"), "authorization"


def bearer(data: bytes, _start: int, end: int, _word: bytes) -> Found | None:
    """Return what follows the word bearer, wherever it stands."""
    match = _BEARER.match(data, end)
    if match is None or not looks_random(match["value"].rstrip(b"."), 12):
        return None
    return match.start("value"), match.start("value") + len(match["value"].rstrip(b".")), "authorization"


def basic(data: bytes, _start: int, end: int, _word: bytes) -> Found | None:
    """Return what follows the word Basic where it is base64 of something with a colon."""
    match = _BASIC.match(data, end)
    if match is None or not _is_basic(match["value"]):
        return None
    return *match.span("value"), "authorization"


def _is_basic(value: bytes) -> bool:
    try:
        return b":" in base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


def _header_value(value: bytes) -> bool:
    low = value.lower()
    if low in (b"bearer", b"basic", b"token") or low.startswith(
        (b"your", b"<", b"$", b"%", b"process.", b"self.", b"req.", b"config.")
    ):
        return False
    return any(48 <= c < 58 for c in value) or looks_random(value, 16) or _is_basic(value)


def url(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return the password in scheme://user:password@host, or the token where the user name is one."""
    match = _URL.match(data, start)
    if match is not None:
        password = match["password"]
        if password.startswith((b"$", b"{", b"<", b"[", b"%(", b"%s", b"*")):
            return None
        if looks_random(match["user"], 16):
            return match.start("user"), match.end("password"), "url-credentials"
        return *match.span("password"), "url-credentials"
    match = _URL_TOKEN.match(data, start)
    if match is not None and looks_random(match["token"], 16):
        return *match.span("token"), "url-credentials"
    return None


def user_option(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return user:password of `curl -u`."""
    match = _USER_OPTION.match(data, start + 1)
    if (
        match is None
        or re.search(rb":[\"']?(?:\$|<|\{\{)", match["value"])
        or len(match["value"]) < 8
        or b"curl" not in data[max(0, start - 400) : start]
    ):
        return None
    return *match.span("value"), "basic-auth"


def netrc(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return the password of a .netrc line."""
    match = _NETRC.match(data, start)
    return None if match is None else (*match.span("value"), "password")


def short_option(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return the password given by -p or -a to a program that takes it so."""
    match = _SHORT_OPTION.match(data, start)
    if match is None:
        return None
    name = "value" if match["value"] is not None else "other"
    value = match[name]
    if (
        value.startswith((b"$", b"<", b"{"))
        or (value.isdigit() and len(value) < 6)
        or re.fullmatch(rb"[0-9]+:[0-9]+", value)
    ):
        return None
    return *match.span(name), "password"


def following(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return the password after a statement or a command that takes it bare."""
    match = _FOLLOWING.match(data, start) or _CHPASSWD.match(data, start)
    if match is None:
        return None
    value = match["value"].rstrip(b";,.)")
    return match.start("value"), match.start("value") + len(value), "password"


def cookies(data: bytes, _start: int, end: int, _word: bytes) -> Found | None:
    """Return the cookies of a header where one of them looks drawn by a machine."""
    match = _COOKIES.match(data, end)
    if match is None or not any(looks_random(part.partition(b"=")[2], 16) for part in match["value"].split(b";")):
        return None
    return *match.span("value"), "cookie"


def hook(data: bytes, start: int, _end: int, _word: bytes) -> Found | None:
    """Return the part of a webhook's address that is its key."""
    match = _HOOK.match(data, start)
    if match is None or not looks_random(match["value"], 16):
        return None
    return *match.span("value"), "webhook"


def phrase(data: bytes, _start: int, end: int, _word: bytes) -> Found | None:
    """Return the words of a wallet's recovery phrase."""
    match = _PHRASE.match(data, end)
    return None if match is None else (*match.span("value"), "seed-phrase")


ANCHORED: tuple[tuple[bytes, Callable[[bytes, int, int, bytes], Found | None]], ...] = (
    (b"authorization", authorization),
    (b"bearer", bearer),
    (b"basic ", basic),
    (b"://", url),
    (b" -u", user_option),
    (b" --user", user_option),
    (b" --proxy-user", user_option),
    (b"login ", netrc),
    (b"mysql", short_option),
    (b"mariadb", short_option),
    (b"sshpass", short_option),
    (b"docker login", short_option),
    (b"mongo", short_option),
    (b"redis-cli", short_option),
    (b"identified ", following),
    (b"requirepass ", following),
    (b"masterauth ", following),
    (b"-passin pass:", following),
    (b"-passout pass:", following),
    (b"/user:", following),
    (b"htpasswd -", following),
    (b"echo ", following),
    (b"cookie", cookies),
    (b"/hook", hook),
    (b"/webhook", hook),
    (b"/services/", hook),
    (b"mnemonic", phrase),
    (b"seed phrase", phrase),
    (b"seed_phrase", phrase),
    (b"recovery phrase", phrase),
)
