"""Personal data that has a shape: e-mail, phone, card, IBAN, IP address, US social security number, the user in a home path.

Names of people have none and are not looked for. Works on ASCII bytes, one a code point.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from sessiontrackd.patterns import lazy_regex
from sessiontrackd.privacy._anchors import compile_linear

Found = tuple[int, int, str]
KINDS = ("email", "phone", "card", "iban", "ip", "ssn", "username")

_EMAIL_DOMAIN = lazy_regex(rb"@(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}")
_EMAIL_LOCAL_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-"
_EMAIL_LOCAL_MOST = 64
_NUMBER = r"\+?\(?[0-9](?:[ ()./-]{0,2}[0-9]){6,22}|[0-9]{1,3}(?:\.[0-9]{1,3}){3}"
_IPV6 = r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})?"
_IBAN = r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}"
_HOME = r"(?:/home/|/Users/|[\\/]Users[\\/]{1,4}|-(?:Users|home)-)[A-Za-z0-9][A-Za-z0-9._-]{0,31}"

_NO_DOMAINS = frozenset(b"png jpg jpeg gif svg webp js ts tsx jsx mjs cjs css json py md html local localhost".split())
_PHONE_WORD = lazy_regex(
    rb"(?:phone|\btel|mobil|\bcell|\bfax|\bcall|whatsapp|\bsms|\bdial|reach me|handy|\bring|text me|hotline|contact)[a-z ._:=\"'()#*-]{0,20}$"
)
_NORTH_AMERICAN = lazy_regex(
    rb"(?:\+?1[ .-]{1,2})?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}"
)
_NATIONAL = lazy_regex(rb"\(?0[1-9][0-9]{0,4}\)?(?:[ /-][0-9]{2,8}){1,5}")
_SSN = lazy_regex(rb"(?P<area>[0-8][0-9]{2})(?P<dash>[- ])(?P<group>[0-9]{2})(?P=dash)(?P<serial>[0-9]{4})")
_SSN_WORD = lazy_regex(rb"ssn|social.?security|social insurance")
_CARD_WORD = lazy_regex(rb"card|visa|master|amex|credit|debit|\bpan\b|kreditkarte")
_IPV4 = lazy_regex(rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
_VERSION = lazy_regex(rb"(?:version|ver|release|\bv|==|>=|~=|\^|@)[ :=\"']{0,3}$")
_DATE = lazy_regex(
    rb"(?:19|20)[0-9]{2}[-/. ][01]?[0-9][-/. ][0-3]?[0-9]|[0-3]?[0-9][-/.][0-3]?[0-9][-/.](?:19|20)[0-9]{2}"
)
_CARD_START = lazy_regex(rb"4|5[1-5]|2[2-7]|3[47]|36|38|30[0-5]|6011|64[4-9]|65|62|35|50|5[6-9]|63|67")
_NOBODY = frozenset(
    b"user username you me your-username yourname name runner ubuntu vscode node app circleci shared public default root admin all "
    b"linuxbrew gitpod codespace vagrant ec2-user docker jovyan git www-data your_username youruser xxx foo bar example".split()
)
# Length of an IBAN by country, as in the registry of ISO 13616.
_IBAN_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 FO18 FR27 GB22 "
    "GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 MC27 MD24 ME22 MK19 "
    "MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TN24 TR26 UA29 VA22 VG24 XK20"
)
_LOOK_BACK = 40  # characters before a number in which a word may say what it is


@cache
def _scan(pattern: str) -> Any:
    return compile_linear(pattern.encode())


@cache
def _iban_length(country: bytes) -> int:
    table = {entry[:2].encode(): int(entry[2:]) for entry in _IBAN_LENGTHS.split()}
    return table.get(country, 0)


def find(data: bytes) -> list[Found]:
    """Return the personal data in `data` as (start, end, kind); where two overlap, the first kind looked for stands."""
    found: list[Found] = []
    if b"@" in data:
        found += _emails(data)
    found += [*_ibans(data), *_numbers(data), *_homes(data)]
    if b":" in data:
        found += _addresses(data)
    return _disjoint(found)


def _disjoint(found: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for hit in sorted(found, key=lambda hit: (hit[0], -hit[1])):
        if not kept or hit[0] >= kept[-1][1]:
            kept.append(hit)
    return kept


def _emails(data: bytes) -> Iterator[Found]:
    for match in _EMAIL_DOMAIN.finditer(data):
        at, end = match.span()
        before = data[max(0, at - _EMAIL_LOCAL_MOST) : at]
        local = before[len(before.rstrip(_EMAIL_LOCAL_BYTES)) :].lstrip(b"._%+'-")
        if not local or local == b"git" or match.group().rpartition(b".")[2].lower() in _NO_DOMAINS:
            continue
        yield at - len(local), end, "email"


def _ibans(data: bytes) -> Iterator[Found]:
    for match in _scan(_IBAN).finditer(data):
        start, end = match.span()
        length = _iban_length(data[start : start + 2])
        if not length or _wordlike(data, start - 1):
            continue
        stop, seen = start, 0
        while stop < end and seen < length:
            seen += data[stop] not in b" -"
            stop += 1
        value = data[start:stop].replace(b" ", b"").replace(b"-", b"")
        if len(value) == length and not _wordlike(data, stop) and _mod_97(value) == 1:
            yield start, stop, "iban"


def _mod_97(iban: bytes) -> int:
    """Return the check of ISO 7064 over the digits, letters counted from A = 10."""
    turned = (iban[4:] + iban[:4]).decode()
    return int("".join(str(int(letter, 36)) for letter in turned)) % 97


def _numbers(data: bytes) -> Iterator[Found]:
    for match in _scan(_NUMBER).finditer(data):
        start, end = match.span()
        if data[start] == 0x28 and b")" not in match.group():  # the number as a whole stands in parentheses
            start += 1
        if _wordlike(data, start - 1) or _wordlike(data, end) or data[start - 1 : start] in (b"#", b"$", b"%"):
            continue
        kind = _kind_of_number(data, start, end)
        if kind:
            yield start, end, kind


def _kind_of_number(data: bytes, start: int, end: int) -> str | None:
    """Say what a run of digits and separators is, by its checksum, its grouping, or a word before it."""
    text, before = data[start:end], data[max(0, start - _LOOK_BACK) : start].lower()
    digits = bytes(byte for byte in text if 48 <= byte < 58)
    if _IPV4.fullmatch(text):
        return "ip" if _is_public_name(text) and not _VERSION.search(before) else None
    is_fraction = data[end : end + 1] == b"." and data[end + 1 : end + 2].isdigit()
    if is_fraction or before.endswith((b".", b"-", b"/")):
        return None
    if _is_ssn(text, digits, before):
        return "ssn"
    if _is_card(text, digits, before):
        return "card"
    return "phone" if _is_phone(text, digits, before) else None


def _is_public_name(text: bytes) -> bool:
    octets = [int(part) for part in text.split(b".")]
    return max(octets) < 256 and octets[0] not in (0, 127, 255) and any(octets[1:])


def _is_ssn(text: bytes, digits: bytes, before: bytes) -> bool:
    match = _SSN.fullmatch(text)
    if match:
        possible = match["area"] not in (b"000", b"666") and match["group"] != b"00" and match["serial"] != b"0000"
        return possible and (match["dash"] == b"-" or bool(_SSN_WORD.search(before)))
    return len(digits) == len(text) == 9 and bool(_SSN_WORD.search(before)) and digits[:1] != b"9"


def _is_card(text: bytes, digits: bytes, before: bytes) -> bool:
    if not 13 <= len(digits) <= 19 or not _CARD_START.match(digits) or text.strip(b"0123456789 -"):
        return False
    if len(set(digits)) < 3 or re.search(rb"[ -]{2}", text):
        return False
    usual = len(digits) in (15, 16) or bool(_CARD_WORD.search(before))
    return usual and _luhn(digits)


def _luhn(digits: bytes) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = (digit - 48) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_phone(text: bytes, digits: bytes, before: bytes) -> bool:
    if not 7 <= len(digits) <= 15 or _DATE.match(text) or len(set(digits)) < 3:
        return False
    if text.startswith(b"+"):
        return len(digits) >= 8
    if _NORTH_AMERICAN.fullmatch(text):
        return True
    if _NATIONAL.fullmatch(text) and 9 <= len(digits) <= 12:
        return True
    return bool(_PHONE_WORD.search(before))


def _addresses(data: bytes) -> Iterator[Found]:
    for match in _scan(_IPV6).finditer(data):
        start, end = match.span()
        text = data[start:end]
        if _wordlike(data, start - 1) or _wordlike(data, end) or data[end : end + 1] == b":" or text.count(b":") < 3:
            continue
        if not any(48 <= byte < 58 for byte in text):
            continue
        try:
            address = ipaddress.IPv6Address(text.decode())
        except ValueError:
            continue
        if not address.is_loopback and not address.is_unspecified:
            yield start, end, "ip"


def _homes(data: bytes) -> Iterator[Found]:
    for match in _scan(_HOME).finditer(data):
        start, end = match.span()
        text = data[start:end]
        head = text.rstrip(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        if not head:  # -Users-name-project: a path with its slashes written as dashes
            head, text = text[: text.index(b"-", 1) + 1], b"-".join(text.split(b"-")[:3])
        name = text[len(head) :].rstrip(b".-")
        if name and name.lower() not in _NOBODY:
            yield start + len(head), start + len(head) + len(name), "username"


def _wordlike(data: bytes, at: int) -> bool:
    return 0 <= at < len(data) and (chr(data[at]).isalnum() or data[at] == 0x5F)
