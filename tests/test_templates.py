"""Templates print nothing raw, run in a sandbox with limits, and a user's ones cover ours."""

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import commonmark
import mistune
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sessiontrackd import templates
from sessiontrackd.errors import SettingsError

TAG = re.compile(r"<\s*(/?[a-zA-Z!?][^\s>/]*)")
HARMLESS = {"code", "/code"}
PLUGINS = [
    "strikethrough",
    "footnotes",
    "table",
    "url",
    "task_lists",
    "def_list",
    "abbr",
    "mark",
    "superscript",
    "math",
]


def renderers() -> dict[str, Callable[[str], str]]:
    """Return the renderers: strict CommonMark, one that links whatever looks like an address, one with every plug-in."""
    loose = mistune.create_markdown(escape=False, plugins=PLUGINS)
    return {
        "markdown-it": MarkdownIt("gfm-like").render,
        "mistune": lambda text: str(loose(text)),
        "commonmark": commonmark.commonmark,
    }


RENDERERS = renderers()
PLACES: dict[str, Callable[[str], str]] = {
    "paragraph": lambda text: f"{templates.inline(text)}\n",
    "heading": lambda text: f"# {templates.inner(text)}\n",
    "item": lambda text: f"- [ ] {templates.inline(text)}\n",
    "number": lambda text: f"1. {templates.inline(text)}\n",
    "block quote": lambda text: f"> {templates.inline(text)}\n",
    "quote": lambda text: f"- **{templates.inner(text)}**: {templates.quoted(text)} [m3]\n",
    "cell": lambda text: f"| a | b |\n|---|---|\n| {templates.inline(text)} | {templates.quoted(text)} [m3] |\n",
    "code": lambda text: f"- {templates.code(text)} ✗ {templates.code(text)}\n",
    "code in a cell": lambda text: f"| a | b |\n|---|---|\n| {templates.code(text)} | {templates.inline(text)} |\n",
    "link": lambda text: f"- {templates.link(text, 'a/' + text)}\n",
    "fence": lambda text: f"{templates.fence(text)}\n",
    "folded": lambda text: f"> [!quote]- Text\n{templates.callout(templates.fence(text))}\n",
}
OWN = (
    *(
        "`a\\`<img src=x>`",
        "`<img src=x>|`",
        "|---|",
        "- [ ] x",
        "# h",
        "1. x",
        "1) x",
        "`= this.file.name`",
        "~~~x",
        "---",
        "===",
    ),
    *(
        "+ x",
        "* * *",
        "- - -",
        "> x",
        "!!! note",
        ">! spoiler",
        "::: x",
        "`x`{=html}",
        "<% x %>",
        "![[x]]",
        "x <",
        "x &",
        "`",
        "``",
    ),
    *(
        "\\",
        "x\\",
        "a``b``c",
        "README.md`x",
        "`README.md",
        "x|`a",
        "`a|b`|`<img src=x>`",
        "done.It works",
        "http://a.b/<b>",
        "[x]: //e",
    ),
    *(
        "www.evil.com",
        "//evil.com",
        "evil.com/x|y",
        "a@b.com",
        "mailto:x@y.z",
        "HTTP://E.COM",
        "x\\|y",
        "`x\\|<b>y`",
        "|||",
        "~a~",
        "~~a~~",
    ),
    *(
        "&#60;img src=x&#62;",
        "&lt;b&gt;",
        "<!-- x",
        '"><script>alert(1)</script>',
        "x^2^",
        "==x==",
        "$x$ and $y$",
        "**b** __b__ *i* _i_",
    ),
    *(
        "[^1]: x",
        "*[HTML]: x",
        "Term\n: definition",
        "\u202e<b>",
        "<\u200bb>",
        "a\u2028# b",
        "\x1b[31m",
        "\ud800<b>",
        "[m12](//e.com)",
        "https://e.com/{{ id }}/x",
        "www.e.com/{{id}}",
        "README.md?x={%y%}",
        "a@e.com<%x%>",
    ),
)


def shape(html: str) -> list[str]:
    """Return the tags of a page in order, but for code spans."""
    return [tag for found in TAG.findall(html) if (tag := found.lower()) not in HARMLESS]


def broken_out(texts: list[str], place: Callable[[str], str]) -> list[str]:
    """Return which texts give a renderer another page than a plain word does."""
    bad = []
    for name, render in RENDERERS.items():
        pages = [place(text) for text in texts]
        plain = [place("word" if templates.one_line(text) else "") for text in texts]
        if shape(render("\n<!---->\n\n".join(pages))) == shape(render("\n<!---->\n\n".join(plain))):
            continue
        bad += [
            f"{name}: {text!r}"
            for text, page, word in zip(texts, pages, plain, strict=True)
            if shape(render(page)) != shape(render(word))
        ]
    return bad


@pytest.mark.parametrize("place", PLACES)
def test_hostile_text_is_inert(shared: Path, place: str) -> None:
    """No text of the hostile collection makes a tag, a link, an image or a structure, wherever it stands."""
    lines = (shared / "hostile" / "injection.jsonl").read_text("utf-8").splitlines()
    texts = [*OWN, *(str(json.loads(line)["text"]) for line in lines)]

    assert [bad for at in range(0, len(texts), 40) for bad in broken_out(texts[at : at + 40], PLACES[place])] == []


@given(st.text(alphabet="`\\*_~[]()<>!|#-=+:.&;$^% aé1x/@\n\"'{}", max_size=24))
def test_any_marks_are_inert(text: str) -> None:
    """No mixture of marks breaks out of a paragraph, a cell or a list item."""
    for place in ("paragraph", "code in a cell", "item", "quote"):
        assert broken_out([text], PLACES[place]) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Yes, it's landed: 4.40.2 is up (e.g. re-tagged); well-known, isn't it?", None),
        ("it costs $2.41, 100% done, ~5 min, 3 < 4, a -> b, C# and F#, fixes #12", None),
        ("snake_case stays, 2 * 3 too, AT&T, {a: 1}, a == b", None),
        ("**Outcome**: all **`a.py`** pass", "Outcome: all `a.py` pass"),
        ("*bold* and [a file](src/x.py), *args", r"bold and a file, \*args"),
        ("[link](https://x.y) (~60 lines)", r"\[link\](`https://x.y`) (~60 lines)"),
        ("run `npm test` then", "run `npm test` then"),
        ("see https://a.b/c?x=1, then README.md.", "see `https://a.b/c?x=1`, then `README.md`."),
        ("__init__ and std::string, C:\\a\\b", "`__init__` and `std::string`, `C:\\a\\b`"),
        ("a | b", r"a \| b"),
        ("[m12] says so", "(m12) says so"),
        ("GET https://e.com/{{id}} now", r"GET https\://e\.com/\{\{id\}\} now"),
        ("# title", r"\# title"),
        ("1. first", r"1\. first"),
        ("<b> &amp; #tag", r"&lt;b> &amp;amp; \#tag"),
        ("[[note]] %%hidden%% ==lit== $x$ ^id", r"\[\[note\]\] \%\%hidden\%\% \=\=lit\=\= \$x\$ \^id"),
    ],
)
def test_prose_stays_readable(text: str, shown: str | None) -> None:
    """Only what means something to a renderer is escaped."""
    assert templates.inline(text) == (text if shown is None else shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),  # Persian: I want
        ("\u0915\u094d\u200d\u0937", None),  # Devanagari
        ("\U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\u200d\U0001f525", None),
        ("pay\u200dpal \u200c<\u200cb>", "paypal &lt;b>"),
        ("\u0645\u200c\u200c\u200d\u0645", "\u0645\u0645"),
        ("\u202eabc\u200b", "abc"),
    ],
)
def test_a_joiner_stays_where_it_spells_a_word_or_an_emoji(text: str, shown: str | None) -> None:
    """Elsewhere it is as invisible as the rest, and is left out."""
    assert templates.inline(text) == (text if shown is None else shown)


def test_a_text_is_not_cut_within_the_address_of_a_file() -> None:
    """It is left out first, also where code stands before it; code itself is left alone."""
    link = "[`src/tide.py`](/home/mara/projects/harbour/tide/src/tide.py)"

    assert (
        templates.short(f"`Lint` failed on {link} because of a line", 60)
        == "`Lint` failed on `src/tide.py` because of a line"
    )
    assert templates.short("see `a[b](c)` and more and more words", 30) == "see `a[b](c)` and more and …"


def test_a_quote_of_a_quote_has_two_kinds_of_marks() -> None:
    """Two marks in a row would look like a mistake."""
    assert templates.quoted("it says so") == '"it says so"'
    assert templates.quoted('"so", it says') == '“"so", it says”'
    assert templates.quoted('it says "so"') == '“it says "so"”'


def test_code_holds_anything() -> None:
    """Code gets marks longer than any run of backticks in it, and a bar stands outside so that it ends no table cell."""
    assert templates.code("a `b` c") == "``a `b` c``"
    assert templates.code("cat x | grep y || true") == r"`cat x` \| `grep y` \|\| `true`"
    assert templates.fence("```\nx\n```") == "````text\n```\nx\n```\n````"


def test_links_stay_on_this_machine() -> None:
    """A link's target is a relative path or a file address, whatever it is given."""
    assert templates.link("talk.jsonl", "a b/talk.jsonl") == "[`talk.jsonl`](a%20b/talk.jsonl)"
    assert templates.link("x", "https://evil.example/a") == "[x](https%3A//evil.example/a)"
    assert templates.link("x", "file:///home/a%20b") == "[x](file:///home/a%20b)"


def put(folder: Path, name: str, text: str) -> Path:
    """Write a user's template and return its folder."""
    folder.mkdir(exist_ok=True, mode=0o700)
    (folder / f"{name}.md.j2").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    "template",
    [
        "{{ x }}",
        "{{ x|upper }}",
        "{{ x ~ x }}",
        "{{ 'a'|md ~ x }}",
        "{{ [x, x]|join(', ') }}",
        "{{ ['a', 'b']|join(x) }}",
        "{% macro m(y) %}{{ y }}{% endmacro %}{{ m(x) }}",
        "{% set y %}{{ x }}{% endset %}{{ y }}",
        "{% autoescape false %}{{ x }}{% endautoescape %}",
        "{{ x.split()|first }}",
        "{{ [x] }}",
        "{{ {'a': x} }}",
    ],
)
def test_a_forgotten_filter_costs_nothing(tmp_path: Path, template: str) -> None:
    """Whatever way a template prints a text, it prints it escaped."""
    folder = put(tmp_path / "mine", "one", template)

    assert "<img" not in templates.render("one", {"x": "<img src=x>"}, folder).lower()


@pytest.mark.parametrize(
    "template",
    [
        "{{ x.__class__ }}",
        "{{ x|safe }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ '%s'|md % x }}",
        "{{ x|md + x }}",
        "{{ (x|md)[0] }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 9 ** 99999999 }}",
        "{{ [1]|batch(1000000000, 2)|list }}",
        "{{ [1]|slice(1000000000)|list }}",
        "{{ 1|round(1000000000, 'ceil') }}",
        "{{ [[1], [2]]|sum(start=[]) }}",
        "{{ x.format(x) }}",
        "{{ 'a'.center(1000000000) }}",
        "{{ missing }}",
        "{{ items.append(1) }}",
        "{% include '../../etc/passwd' %}",
        "{% for a in x %}",
        "{{ 1 // 0 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_what_a_template_may_not_do_is_an_error_with_its_line(tmp_path: Path, template: str) -> None:
    """The sandbox refuses tricks and huge strings; the message names template and line."""
    folder = put(tmp_path / "mine", "one", f"first\n{template}\n")

    with pytest.raises(SettingsError, match=r"one\.md\.j2, line [23]: "):
        templates.render("one", {"x": "text", "items": [1]}, folder)


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3,
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(99) }}",
        "{% set n = (n or 99) - 1 %}{% if n %}{% include 'one.md.j2' %}{% include 'one.md.j2' %}{% endif %}",
    ],
)
def test_an_endless_template_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    """Loops, macros and inclusions keep time, although they print nothing."""
    monkeypatch.setattr(templates, "MAX_S", 0.05)
    folder = put(tmp_path / "mine", "one", template)

    with pytest.raises(SettingsError, match="runs too long"):
        templates.render("one", {"n": 0}, folder)


@pytest.mark.parametrize(
    "doubled", ["[s.x, s.x]", "(s.x, s.x)", "{1: s.x, 2: s.x}", "s.x ~ s.x", "[s.x, s.x]|join", "s.x * s.x"]
)
def test_what_doubles_at_each_turn_is_stopped(tmp_path: Path, doubled: str) -> None:
    """Text, lists and numbers cannot fill the memory in the time that a template has."""
    loop = f"{{% for a in range(999) %}}{{% set s.x = {doubled} %}}{{% endfor %}}"
    folder = put(tmp_path / "mine", "one", f"{{% set s = namespace(x=9) %}}\n{loop}\n")

    with pytest.raises(SettingsError, match=r"one\.md\.j2, line 2: (it makes|its numbers)"):
        templates.render("one", {}, folder)


def test_a_namespace_does_not_show_what_it_holds(tmp_path: Path) -> None:
    """Of which there may be no end."""
    loop = "{% for a in range(99) %}{% set s.x = namespace(a=s.x, b=s.x) %}{% endfor %}{{ s.x }}"
    folder = put(tmp_path / "mine", "one", f"{{% set s = namespace(x=9) %}}{loop}")

    assert len(templates.render("one", {}, folder)) < 100


def test_a_flood_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A template cannot make a note of any length."""
    monkeypatch.setattr(templates, "MAX_CHARS", 10_000)
    folder = put(tmp_path / "mine", "one", "{% for a in range(99999) %}{{ x }}{% endfor %}")

    with pytest.raises(SettingsError, match="characters"):
        templates.render("one", {"x": "word " * 10}, folder)


def test_a_user_covers_one_block(tmp_path: Path) -> None:
    """A user's template extends ours under `!base` and changes what it names; a change on disk counts at once."""
    text = '{% extends "!base/index.md.j2" %}{% block title %}# Mine: {{ title }}\n{% endblock %}'
    folder = put(tmp_path / "mine", "index", text)
    values = {"title": "a <b>", "figures": ["0 sessions"], "groups": {}}

    first = templates.render("index", values, folder)
    put(folder, "index", text.replace("Mine", "Yours, and longer"))

    assert first.startswith("# Mine: a &lt;b>")
    assert "0 sessions" in first
    assert templates.render("index", values, folder).startswith("# Yours, and longer: a &lt;b>")


@pytest.mark.parametrize(
    ("mode", "group", "members", "is_used"),
    [
        (0o777, "me", [], False),
        (0o775, "me", [], True),
        (0o775, "me", ["me"], True),
        (0o775, "me", ["you"], False),
        (0o775, "staff", [], False),
    ],
)
def test_a_folder_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, group: str, members: list[str], is_used: bool
) -> None:
    """Templates are programs of a kind: only the user may write them, or the group that is the user's alone."""
    folder = put(tmp_path / "mine", "one", "x")
    folder.chmod(mode)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: SimpleNamespace(pw_name="me"))
    monkeypatch.setattr("grp.getgrgid", lambda gid: SimpleNamespace(gr_name=group, gr_mem=members))

    with nullcontext() if is_used else pytest.raises(SettingsError, match="chmod go-w"):
        assert templates.render("one", {}, folder) == "x"


def test_compiled_templates_are_kept(tmp_path: Path) -> None:
    """The second note finds the templates compiled."""
    one = templates.environment(None)

    assert templates.environment(tmp_path / "no such folder") is one
    assert one.get_template("standard.md.j2") is one.get_template("standard.md.j2")


def test_escaping_takes_linear_time() -> None:
    """No text makes the rules crawl: 40,000 characters of any mark are done in well under a second."""
    for text in (
        "a/",
        "!",
        "a.b",
        "a:",
        "x@",
        "`a ",
        "[m1",
        "~a",
        "a::",
        "//",
        "a+.",
        "\\",
        "_",
        "=",
        "a__",
        "&a",
        "~1",
        "1.",
    ):
        assert templates.inline(text * (40_000 // len(text)))
