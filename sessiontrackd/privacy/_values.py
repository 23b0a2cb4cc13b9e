"""Is this value a credential, or a word, a placeholder, a reference, a hash? Works on ASCII bytes."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from sessiontrackd.patterns import lazy_regex

# The commonest pairs of letters in English prose and in identifiers: a random string holds few of them.
_PAIRS = (
    "th he in er an re on at en nd ti es or te of ed is it al ar st to nt ng se ha as ou io le ve co me de hi ri ro ic "
    "ne ea ra ce li ch ll be ma si om ur ca el ta la ns di fo ho pe ec pr no ct us ac ot il tr ly nc et ut ss so rs un lo "
    "wa ge ie wh ee wi em ad ol rt po we na ul ni ts mo ow pa im mi ai sh ir su id os iv ia am fi ci vi pl ig tu ev ld ry "
    "mp fe bl ab gh ty op wo sa ay ex ke fr oo av ag if ap gr od bo sp rd do uc bu ei ov by rm ep tt oc fa ef cu rn sc gi "
    "da yo cr cl du ga qu ue ff ba ey ls va um pp ua up lu go ht ru ug ds lt pi rc rr eg au ck ew mu br bi pt ak pu ui rg "
    "ib tl ny ki rk ys ob mm fu ph og ms ye ud mb ip ub oi rl gu dr hr cc tw ft wn nu af hu nn eo vo rv nf xp gn sm fl iz "
    "ok nl my gl aw ju oa sy sl ps jo lf nv je nk kn gs dy hy ze ks xt bs ik dd pt rp sk xi oe oy ws lv db js py tm ml "
)
_COMMON = frozenset((pair[0], pair[1]) for pair in _PAIRS.encode().split())
_JUDGED = 200  # characters of a long value that are enough to judge it by
_HEX = lazy_regex(rb"[0-9a-f]+|[0-9A-F]+")
_UUID = lazy_regex(rb"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_LETTERS = lazy_regex(rb"[a-z]{2,}|[A-Z]{2,}|[A-Z][a-z]+")
_DIGIT = lazy_regex(rb"[0-9]")
_SWITCH = lazy_regex(rb"[0-9][A-Za-z]|[A-Za-z][0-9]|[a-z][A-Z]")
_HASHED = lazy_regex(
    rb"sha(?:1|224|256|384|512)[-:=]|md5[-:]|h1:|data:|[a-z-]{2,20}://|git@|arn:|urn:|file:|npm:|workspace:|\.{0,2}/[A-Za-z]"
)
_PADDED = lazy_regex(rb"[A-Za-z0-9+/]{39,199}=")  # base64 may begin as a path does
_REFERENCE = lazy_regex(
    rb"[$%#]?\{|\$\(|\$\$|<%|%[(%]|[<\[]|&[a-z]+;|\$[A-Za-z_][A-Za-z0-9_]*(?:[./:)]|$)|@[A-Za-z]+@|\*{3}|x{4}|X{4}|\.{3}|__[A-Z]|%[A-Z_]+%|%[sdv]$"
)
_PLACEHOLDER = lazy_regex(
    rb"your[_ .-]|my[_-](?:secret|token|key|pass)|example|changeme|change[_-]me|redacted|placeholder|replace|insert|dummy|"
    rb"todo|\*\*\*|xxxx|none$|null$|true$|false$|undefined$|string$|required|optional|hidden|masked|to-be|enter "
)
_CODE = lazy_regex(
    rb"[A-Za-z_]*[a-z_][0-9]{1,2}|[0-9.]+[a-zA-Z%]{0,3}|0x[0-9a-fA-F]{1,8}|v[0-9.]+|[A-Za-z_]+[0-9]{0,2}[,;]?"
)
_LONG_WORD = lazy_regex(rb"[A-Za-z]{7}")
_BRACKETS = (b"(", b")", b"[", b"]", b"{", b"}")
_DOTTED = lazy_regex(rb"[A-Za-z_][A-Za-z0-9_]*(?:(?:\.|->|::)[A-Za-z_][A-Za-z0-9_]*)+")


def looks_random(value: bytes, least: int = 14) -> bool:
    """Say whether `value` looks drawn by a machine: digits among letters, few pairs of letters that words are made of."""
    return len(value) >= least and _is_random(value[:_JUDGED])


@lru_cache(2_048)  # a value is judged by several rules, and again when what was found is blanked
def _is_random(value: bytes) -> bool:
    if _REFERENCE.match(value) or (_HASHED.match(value) and not _PADDED.fullmatch(value)):
        return False
    digits, kinds = len(_DIGIT.findall(value)), len(set(value))
    if _HEX.fullmatch(value):
        return digits >= 2 and kinds >= 6
    if _UUID.fullmatch(value):
        return kinds >= 6
    if kinds < min(9, len(value) // 2):
        return False
    switches = len(_SWITCH.findall(value))
    if digits == 0:
        return len(value) >= 20 and switches >= len(value) // 8 and _share_of_common_pairs(value) < 0.5
    if digits >= len(value) // 5 and switches >= 4 and not _LONG_WORD.search(value):
        return True
    return switches >= 2 + len(value) // 24 and _share_of_common_pairs(value) < 0.62


def looks_mixed(value: bytes) -> bool:
    """Say whether `value` could be a credential where its name says so: letters and digits, no path, name or call."""
    if _REFERENCE.match(value) or _HASHED.match(value) or _DOTTED.fullmatch(value) or _CODE.fullmatch(value):
        return False
    return len(_DIGIT.findall(value)) >= 2 and len(_SWITCH.findall(value)) >= 2 and not _has_bracket(value)


def _has_bracket(value: bytes) -> bool:
    return any(mark in value for mark in _BRACKETS)  # plain searches, which are fast


def _share_of_common_pairs(value: bytes) -> float:
    pairs = common = 0
    for run in _LETTERS.findall(value):
        low = run.lower()
        pairs += len(low) - 1
        common += sum(map(_COMMON.__contains__, pairwise(low)))
    # A string of single letters between digits has no pairs at all: random. Few pairs prove little, so lean to random.
    return common / (pairs + 2)


def is_no_value(value: bytes) -> bool:
    """Say whether `value` only stands for one: a variable, a placeholder, the name of a type, an option."""
    low = value.lower()
    return bool(
        _REFERENCE.match(value)
        or low in _TYPES
        or _PLACEHOLDER.match(low)
        or value[:1] in (b"-", b"$", b"<", b"{", b"*")
    )


def looks_like_password(value: bytes, *, quoted: bool, setting: bool = False) -> bool:
    """Say whether `value`, given to something called a password, is one: not a reference, a type, a call, a placeholder.

    Args:
        value: What the name is given.
        quoted: It stands in quotes, so that it is text and no name.
        setting: It stands where a setting has its value: to the end of the line of a YAML or environment file, after an option.
    """
    low = value.lower()
    if _REFERENCE.match(value) or _HASHED.match(value) or _DOTTED.fullmatch(value) or low in _TYPES:
        return False
    digits = bool(_DIGIT.search(value))
    if not digits and _PLACEHOLDER.match(low):
        return False
    if quoted:
        return b" " not in value and not (
            len(value) > 12 and not digits and (_LABEL.fullmatch(value) or b"passw" in low)
        )
    if _has_bracket(value) and not looks_random(value):
        return False
    if digits:
        return not _NUMERIC.fullmatch(value)
    if _SPECIAL.search(value):
        return True
    return (
        setting
        and value == low
        and b"pass" not in low
        and b"/" not in value
        and not low.startswith((b"secret", b"token"))
    )


_NUMERIC = lazy_regex(
    rb"[0-9.,:/-]{1,5}[a-zA-Z%]{0,3}|[0-9.]+[a-zA-Z%]{1,2}|0x[0-9a-fA-F]{1,8}|v[0-9.]+|[a-z]{1,4}[0-9]|[A-Za-z_.]+\.[A-Za-z_0-9]+"
)
_LABEL = lazy_regex(rb"[A-Za-z]+(?:[_ .:/][A-Za-z]+)+[.?!:]?")
_SPECIAL = lazy_regex(  # behind a letter or digit; it begins with a set of characters, which are found fast
    rb"[!@#$%^&*+~](?:(?<=[A-Za-z0-9].).*[A-Za-z0-9]|(?<=[A-Za-z][!#$%^*])[!#$%^*]*$)"
)
_TYPES = frozenset(
    b"string str bytes text number integer boolean bool object any none null nil undefined true false required optional invalid wrong "
    b"incorrect missing empty unset unknown yes no on off hidden enabled disabled varchar char self this password passwd secret token "
    b"forgot reset change update default value input data type error ".split()
)

_ALGORITHM = lazy_regex(
    rb"(?i)(?:sha|md|utf|base|oauth|argon|bcrypt|scrypt|pbkdf|rfc|http|ipv|ntlm|aes|pkcs|v|python|version)[-_]?[0-9]"
)
_UPPER, _LOWER = re.compile(rb"[A-Z]"), re.compile(rb"[a-z]")
_MARK = lazy_regex(rb"[A-Za-z0-9][!@#$%^&*+~?][A-Za-z0-9!@#$%^&*]|[A-Za-z0-9][!@#$%^&*]$")


def has_mark(value: bytes) -> bool:
    """Say whether a mark that passwords hold stands inside or at the end."""
    return bool(_MARK.search(value))


def looks_strong(value: bytes) -> bool:
    """Say whether no word, number, version, path or name of an algorithm looks like this."""
    if is_no_value(value) or _ALGORITHM.match(value) or b"/" in value or b"(" in value or b"://" in value:
        return False
    lower, upper, digits = bool(_LOWER.search(value)), bool(_UPPER.search(value)), len(_DIGIT.findall(value))
    if looks_random(value, 8) or (lower and upper and has_mark(value)):
        return True
    if not digits or not (lower or upper):
        return False
    return has_mark(value) or (lower and digits >= 2 and (looks_mixed(value) or bool(_WORDS.fullmatch(value))))


_WORDS = lazy_regex(rb"[A-Za-z]{4,20}(?:[-_.][A-Za-z]{2,20}){0,3}[-_.]?[0-9]{2,5}")
