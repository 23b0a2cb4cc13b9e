"""Text that is Markdown and does nothing: no HTML, no link, no image, nothing Obsidian or a plug-in would act on.

Escaping follows the context, so that prose stays prose: a character gets its backslash only where some renderer would act
on it there. What would become a link by itself (an address, a domain, a file name that looks like one) stands in a code span.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote as percent_encode

from sessiontrackd.patterns import lazy_regex

_JOINED = "[\u0600-\u109f\u1780-\u18af\u2190-\u2bff\ufe0f\U0001f000-\U0001faff]"
"""What a joiner belongs between: letters from Arabic to Mongolian, whose words it spells, and the parts of an emoji."""
_UNSEEN = lazy_regex(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
    f"|(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED})"
)
"""Control, bidirectional and invisible characters: they forge what a reader sees."""
_SURROGATE = lazy_regex("[\ud800-\udfff]")
_NO_BYTE = lazy_regex("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that do not stand for a byte of a file name."""
_FILE_LINK = lazy_regex(
    r"(?P<code>`[^`]+`)|(?<!!)\[(?P<label>[^\[\]]{1,200})\]\((?![a-z][a-z0-9+.-]*:|//|#)[^()\s\[\]]{1,300}\)",
    re.IGNORECASE,
)
"""A link to a file, whose target is left out: half of one, cut in the middle, would stand there as it is. Not in code."""
_REFERENCE = lazy_regex(r"\[(m\d+)\]", re.IGNORECASE)
"""How our own references to messages look; a text that holds one gets round brackets."""

_ENDINGS = (
    "[a-z]{2}|com|org|net|edu|gov|info|biz|name|pro|web|xxx|aero|asia|coop|museum|shop|app|dev|рф|xn--[a-z0-9-]+"
    "|ya?ml|jsonl?|toml|tsx|jsx|mjs|cjs|html?|css|scss|txt|csv|sql|lock|cfg|ini|env|log|xml|svg|png|jpe?g|gif|pdf|zip"
    "|php|java|cpp|hpp|swift|vue|proto|ipynb|bat|cmd|mdx|rst|tmpl|j2|conf|service|plist"
)
"""Two-letter endings are domains to a renderer that links them (README.md, main.rs); the rest are files that look good in code."""
_TOKEN = lazy_regex(
    r"(?P<code>(?<!`)`(?!`)(?P<inside>[^`]+)`(?!`))"
    r"|(?P<bold>(?<![\w*])\*\*(?P<strong>[^\s*](?:[^*]*[^\s*])?)\*\*(?![\w*]))"
    r"|(?P<slanted>(?<![\w*])\*(?P<leaning>[^\s*`](?:[^*`]*[^\s*`])?)\*(?![\w*]))"
    r"|(?P<file>(?<!!)\[(?P<label>[^\[\]]{1,200})\]\((?![a-z][a-z0-9+.-]*:|//|#)[^()\s\[\]]{1,300}\))"
    r"|(?P<address>(?:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*:)?//[^\s`<>]+|(?:mailto|javascript|data|xmpp|tel|vbscript|file):[^\s`<>]+|www\.[^\s`<>]+"
    r"|(?<![^\s`<>()\[\]{}\"'|,;])[^\s`<>()\[\]{}\"'|,;]+@[^\s`<>()\[\]{}\"'|,;]+"
    r"|(?<![\w.@/~-])[~\w./-]*[\w-]\.(?:" + _ENDINGS + r")(?![\w-])(?:[:/?#][^\s`<>]*)?"
    r"|[a-z]:\\[^\s`<>|]+|(?<!\w)__\w+__(?!\w)|(?<![\w:])\w++(?:::~?\w++)++(?!:)"
    r"|(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]))"
    r"|(?P<mark>_+|=+|[\\`*{}\[\]#|~$^:%&<])",
    re.IGNORECASE,
)
_ACTING = lazy_regex(r"(?:[\\`*_{}\[\]#|~$^=:%&<@]|//|\.(?! |$))[^ ]*")
"""A word, from the first character on without which there is no token: the other words need no closer look."""
_SPANNING = lazy_regex(r"[`*\[]")
"""What may open a token of several words."""
_TRAILING = ".,;:!?)]}'\">…"
"""What ends a sentence rather than an address."""
_ORDERED = lazy_regex(r"(\d{1,9})([.)])(?=\s|$)")
_BULLET = lazy_regex(r"[-+](?=\s|[-+]|$)|>|=+\s*$|:(?=[\s:-]|$)|~(?=~)|!")
_RUNS_AS_CODE = lazy_regex(r"^\s*\$?=|<%|%>|\{\{|\{%")
"""What a plug-in runs although it stands in a code span: Dataview's inline queries, Templater, Liquid."""

_ENTITIES = {"<": "&lt;", "&": "&amp;"}
"""Marks for which old renderers know no backslash."""
_ANY_MARK = lazy_regex(r"[\\`*_{}\[\]#|~$^=:%<&@]")
_BARE = {
    mark: lazy_regex(where)
    for mark, where in {
        "*": r"(?<= )\*(?= )",
        "_": r"(?<=[^\W_])_+(?=[^\W_])",
        "{": r"(?<!`)\{(?=[^{%:#.=!])",
        "}": r"(?<![}%])\}(?=[^}])",
        "#": r"(?<=[^\W_])#|#(?=\d+(?![\w/-]))",
        "~": r"(?:(?<=[ (])|^)~(?=[\d/][^~]*$)",
        "$": r"\$(?=\d)",
        "=": r"=(?!=)|(?<= )==+(?= )",
        ":": r"(?<!:):",
        "%": r"(?<![%<])%(?=[^%>])",
        "&": r"&(?=.)(?!#?\w+;)",
        "<": r"<(?=[ =\d-])",
    }.items()
}
"""Where a mark, or a run of one, needs no backslash; a mark that is not here always gets one."""


class Safe(str):
    """Text that is Markdown already and goes into a note as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        """Say that this needs no more escaping, in the way jinja2 asks."""
        return str(self)


def visible(value: object) -> str:
    """Return a text without characters that cannot be seen; line ends and tabs stay."""
    text = str(value)
    return text if text.isprintable() else _UNSEEN.sub("", _SURROGATE.sub("�", text))


def one_line(value: object) -> str:
    """Return a text as one visible line, white space collapsed."""
    text = " ".join(str(value).split())
    return text if text.isprintable() else " ".join(visible(text).split())


def short(value: object, most: int) -> str:
    """Cut a text to `most` characters at a word's end; it is still to be escaped."""
    text = one_line(value)
    if isinstance(value, Safe) or len(text) <= most:
        return value if isinstance(value, Safe) else text
    if "](" in text and len(text := _FILE_LINK.sub(lambda link: link["code"] or link["label"], text)) <= most:
        return text
    kept = text[: most - 1]
    at_word = kept.rpartition(" ")[0]
    return f"{(at_word if len(at_word) > most // 2 else kept).rstrip(' ,;:.')} …"


def inline(value: object) -> Safe:
    """Return text as inert Markdown that may stand anywhere, at the start of a line or in a table cell too."""
    if isinstance(value, Safe):
        return value
    text = one_line(value)
    escaped = _escaped(text)
    return Safe(_start_escaped(text, escaped))


def inner(value: object) -> Safe:
    """Return text as inert Markdown for the middle of a line, where list marks and the like mean nothing."""
    return value if isinstance(value, Safe) else Safe(_escaped(one_line(value)))


def quoted(value: object) -> Safe:
    """Return a verbatim quote, inert and in quotation marks: curved ones where it has its own at an end."""
    text = one_line(value)
    opening, closing = "“”" if '"' in (text[:1], text[-1:]) else '""'
    return Safe(f"{opening}{inner(value)}{closing}")


def code(value: object) -> Safe:
    """Return text as code, whatever it holds; a bar stands between two spans so that it cannot end a table cell."""
    text = one_line(value)
    if not text or _RUNS_AS_CODE.search(text):
        return inline(text)
    bars = re.split(r"(\|+)", text)
    parts = ["\\|" * len(part) if part.startswith("|") else _span(part.strip()) for part in bars]
    return Safe(" ".join(part for part in parts if part))


def fence(value: object) -> Safe:
    """Return text of several lines as a code block whose fence is longer than any run of backticks in it."""
    text = visible(str(value).replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return Safe(f"{marks}text\n{text}\n{marks}")


def link(text: object, target: object) -> Safe:
    """Return a link to a file on this machine; its target is a relative path or a `file:` address, never another."""
    shown = inner(text)
    address = str(target)
    if address.startswith("file:///"):
        target = percent_encode(address, safe="/:%")
    else:
        target = percent_encode(_NO_BYTE.sub("�", address).encode("utf-8", "surrogateescape"), safe="/")
    return Safe(f"[{shown}]({target.replace('~', '%7E')})")


def references(messages: Iterable[object]) -> Safe:
    """Return ` [m3] [m5]`, in order and with the space in front; nothing where there are none."""
    return Safe("".join(f" [m{number}]" for number in sorted({int(str(message)) for message in messages})))


def callout(value: Safe) -> Safe:
    """Put every line of finished Markdown into a block quote."""
    return Safe("\n".join(f"> {line}".rstrip() for line in str(value).splitlines()))


def _span(text: str) -> str:
    """Wrap one non-empty line in a code span whose marks are longer than any run of backticks inside."""
    if not text:
        return ""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{pad}{text}{pad}{marks}"


def _escaped(text: str) -> str:
    """Escape a line character by character where its surroundings give it a meaning; word by word, which is fast."""
    text, pieces, at = _REFERENCE.sub(r"(\1)", text), list[str](), 0
    while (acting := _ACTING.search(text, at)) is not None:
        start, until = max(at, text.rfind(" ", at, acting.start()) + 1), acting.end()
        end = len(text) if _SPANNING.search(acting[0]) else until + 1
        for token in _TOKEN.finditer(text, start, end):
            pieces += (text[at : token.start()], _replacement(token))
            at = token.end()
            if at >= until:
                break
        else:
            pieces.append(text[at:until])
            at = until
    escaped = "".join((*pieces, text[at:]))
    return escaped.replace("\\``", "&#96;`")  # an escaped backtick next to a code span would lengthen its marks


def _replacement(match: re.Match[str]) -> str:
    """Return what one token becomes."""
    if match["mark"]:
        return _mark(match["mark"], match.string, match.start())
    if match["code"]:
        inside = match["inside"].strip()
        return code(inside) if inside and not _RUNS_AS_CODE.search(inside) else f"\\`{_escaped(match['inside'])}\\`"
    if match["bold"]:
        return _escaped(match["strong"])  # a quote out of Markdown reads better without its asterisks
    if match["slanted"] or match["file"]:
        return _escaped(match["leaning"] or match["label"])  # and without where on this disk a link leads
    address = match["address"]
    kept = address.rstrip(_TRAILING)
    rest = address[len(kept) :]
    if _RUNS_AS_CODE.search(kept):  # no code span helps there: without its marks it is no address either
        return _plain(address).replace(".", "\\.")
    return f"{code(kept)}{_escaped(rest)}" if kept.strip("/_") else _plain(address)


def _plain(text: str) -> str:
    """Escape every mark of a piece that is shown as it is."""
    return _ANY_MARK.sub(_each, text)


def _each(match: re.Match[str]) -> str:
    """Escape one mark without looking around."""
    return _ENTITIES.get(match[0], f"\\{match[0]}")


def _mark(mark: str, text: str, at: int) -> str:
    """Return a mark, or a run of one, with backslashes; bare where nothing acts on it there."""
    bare = _BARE.get(mark[0])
    if bare is not None and bare.match(text, at):
        return mark
    return "".join(_ENTITIES.get(each, f"\\{each}") for each in mark)


def _start_escaped(text: str, escaped: str) -> str:
    """Escape what would open a list, a heading, a quote or the like at the start of a line."""
    if (ordered := _ORDERED.match(text)) is not None:
        return f"{ordered[1]}\\{escaped[len(ordered[1]) :]}"
    if _BULLET.match(text) and escaped[0] == text[0]:
        return f"\\{escaped}"
    return escaped
