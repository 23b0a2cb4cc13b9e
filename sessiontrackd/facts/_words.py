"""Words: which carry meaning, how they are cut to terms, and which may be keywords."""

from __future__ import annotations

from collections.abc import Sequence

from sessiontrackd.patterns import lazy_regex


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(words.split())


STOP_WORDS = word_set(
    """
    a about after again all also am an and any are as at be because been before being but by can could did do does
    doing don't down each even few for from further get go going got had has have having he her here hers him his
    how i i'm if in into is it it's its just know let like me more most my no nor not now of off ok okay on one only
    or other our out over own really right same see she should so some such than that that's the their them then
    there these they thing think this those through to too uh um under until up us very want was we well were what
    when where which while who whom why will with would yeah yes you your
    """
)
NO_KEYWORD = word_set(
    """
    add added check code create created fix fixed file files make made need new now one please run set sure test
    tests update updated use used using want work works also first second like look good great thanks two way
    instead still already done yes maybe kind sort actually basically something thing things guess mean bit lot stuff
    alright talk said say says people point idea question questions okay um uh yeah hmm mmm sorry thank anything everything
    day days week weeks today tomorrow yesterday morning afternoon evening tonight next last back away another every
    nobody somebody everybody anybody three four five six seven eight nine ten eleven twelve both
    always never around whole much many whats i've i'd
    """
)
"""Words of every working session, which say nothing about this one."""

WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
"""No keywords, but a name may hold one: Black Friday."""

FOREIGN = word_set(
    """
    der die das den dem des ein eine einen einem einer und oder aber ist sind war waren wird werden wurde hat haben hatte
    kann können soll sollen muss ich du er sie es wir ihr mich mir dich dir uns euch sein ihre ihren nicht kein keine auch
    noch nur schon dann wenn weil dass damit daß wie was wer wo von vom zum zur mit bei nach aus auf für über unter durch
    gegen ohne als bis seit hier dort bitte danke gut ja nein mal
    le la les un une des du et ou mais est sont était être ai as avons avez ont je tu il elle nous vous ils elles ce cet
    cette ces mon ton son sa ses notre votre leur leurs que qui quoi dont où pas plus ne dans sur sous avec sans pour par
    comme si quand aussi très bien oui non merci alors donc peut faire
    el los las una unos unas y o pero es son era ser estar está están fue ha han he hay yo tú él ella nosotros ustedes
    ellos mi tu su sus nuestro que qué quien cual cómo cuando donde no sí más muy también ya con sin para por de del al en
    entre sobre desde hasta como si porque así entonces esto eso este esta ese esa buenos gracias bien
    il lo gli uno e ed ma è sono era essere ho hai ha abbiamo hanno io tu lui lei noi voi loro che chi cosa come dove
    quando non più molto anche già con senza per di da dal della delle dei nel nella sul sulla tra fra se perché così
    questo questa quello quella grazie bene
    os as um uma uns umas mas são foi ter tem têm eu você ele ela nós eles meu minha seu sua dele dela não sim mais muito
    também já com sem para por do da dos das no na nos nas ao aos entre sobre desde até porque então isso este esta esse
    essa obrigado bem
    het een en maar zijn was waren heeft hebben ik jij hij zij wij jullie mijn jouw zijn hun dat dit deze die wie wat waar
    niet geen ook nog al dan als omdat met zonder voor door van naar uit op over onder bij
    一下 可以 幫我 帮我 請幫 请帮 我們 我们 你們 你们 他們 他们 這個 这个 那個 那个 什麼 什么 怎麼 怎么 如何 為何 为何 希望 然後 然后
    沒有 没有 不要 不是 需要 使用 因為 因为 所以 但是 如果 就是 還是 还是 或者 已經 已经 現在 现在 謝謝 谢谢 一個 一个 哪邊 哪里
    """
)
"""Words without a meaning of their own in German, French, Spanish, Italian, Portuguese, Dutch and Chinese."""

NO_TERM = STOP_WORDS | NO_KEYWORD | FOREIGN

_MARKS = r"\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
"""Vowels and accents that are characters of their own, which Python takes for no part of a word."""
_TOKEN = lazy_regex(rf"[^\W_](?:[^\W_]|[{_MARKS}])*(?:['’][^\W_]+)*")
_SPACED = bytes(code if chr(code).isalnum() or chr(code) == "'" else 32 for code in range(128)).ljust(256)
_WIDE = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
_WIDE_RUN = lazy_regex(rf"[{_WIDE}]+")
_PIECE = lazy_regex(rf"[\u30a1-\u30ff]{{2,}}|(?P<pairs>(?:(?![\u30a1-\u30ff]{{2}})[{_WIDE}])+)|[^{_WIDE}]+")
"""Katakana, which write a foreign word; another run of a script without spaces; anything else."""
_ENDING = lazy_regex(r"[\u3040-\u309f]{1,2}|.[\u3040-\u309f]|[\u3040-\u309f].")
"""A pair of characters with one that Japanese writes endings with."""
_ENDINGS = ("ing", "ies", "ed", "es", "ly", "s")


def may_be_keyword(term: str) -> bool:
    """Say whether a term may name a subject; of a script without spaces a pair of characters may, unless it is an ending."""
    least = 3 if term.isascii() or not _WIDE_RUN.match(term) else 2
    if len(term) < least or term in NO_TERM or term in WEEKDAYS or term.isdigit() or "'" in term:
        return False
    return term.isascii() or not _ENDING.fullmatch(term)


def stem(word: str) -> str:
    """Cut a common English ending where enough is left."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def tokens(text: str) -> list[str]:
    """Return the lower-case words; a run of a script without spaces gives its pairs of characters, of katakana itself."""
    low = text.lower().replace("’", "'")
    if low.isascii():  # four times faster than the pattern
        found = low.encode().translate(_SPACED).decode().split()
        for at in [at for at, word in enumerate(found) if "'" in word][::-1] if "'" in low else ():
            found[at : at + 1] = _TOKEN.findall(found[at])
        return found
    found = _TOKEN.findall(low)
    spread: list[str] = []
    for word in found:
        if _WIDE_RUN.search(word):
            for piece in _PIECE.finditer(word):
                spread += _pairs(piece[0]) if piece["pairs"] else [piece[0]]
        else:
            spread.append(word)
    return spread


def _pairs(word: str) -> list[str]:
    return [word[at : at + 2] for at in range(len(word) - 1)] or [word]


def terms(words: Sequence[str]) -> list[str]:
    """Return the words that carry meaning, without their endings."""
    return [stem(word) for word in words if word not in STOP_WORDS and (len(word) > 1 or not word.isascii())]
