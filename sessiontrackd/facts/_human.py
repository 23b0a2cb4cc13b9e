"""What a person really typed: a human turn without preambles, IDE context, pasted output and greetings; and its title."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from sessiontrackd.facts._text import (
    Span,
    fences,
    has_words,
    lines,
    loosely,
    outside,
    sentences_of_text,
    squeeze,
    trimmed,
    word_end,
    words,
)
from sessiontrackd.patterns import lazy_regex

TITLED_CHARS = 1_000  # of a sentence that may become a title; more of it is cut in any case
TITLE_CHARS = 80
MANY_SENTENCES = 24
NOTICE_CHARS = 40_000
"""How much of one human turn is looked at from each end; the rest is pasted material."""

_TAG = lazy_regex(
    r"<(system-reminder|ide_[a-z_]+|environment_context|user_instructions|local-command-[a-z]+|command-[a-z]+|"
    r"task-notification|bash-[a-z]+|turn_aborted|session_context|hook_context|additional_data|attached_files|"
    r"open_and_recently_viewed_files|user_info|rules|git_status|project_layout|editorContext|context|attachments?|"
    r"file|document|image|reminderInstructions|persisted-output)\b[^>]{0,400}>.*?(?:</\1>|\Z)",
    re.DOTALL,
)
_REQUEST = lazy_regex(r"^#{1,3} My request for \w+:?[ \t]*$", re.MULTILINE)
_CONTEXT_LINE = lazy_regex(
    r"#{1,3} (?:Context from my IDE|Active file|Active selection|Open tabs|Files mentioned|AGENTS\.md)"
    r"|\[Request interrupted|\[Image|\[Pasted text|Caveat: |Base directory for this skill|@?\S+\.[a-z]{1,4}(?::\d+)?$",
    re.IGNORECASE,
)
_PLAN = lazy_regex(
    r"\s*(?:please )?(?:implement|execute|follow|carry out) (?:the|this) (?:following )?plan\b[^\n]*", re.IGNORECASE
)
_PLAN_WORD = lazy_regex(r"(?:implementation |project |the )?plan\s*[:–—-]\s*", re.IGNORECASE)
_GENERIC_HEADING = lazy_regex(
    r"(?:plan|context|summary|overview|goal|task|background|implementation plan)\W*$", re.IGNORECASE
)
_PROMPT_SHAPES = r"(?:\[[^\]\n]{0,60}(?:~|/[\w.-]+/)[^\]\n]{0,120}\][$#%]? |\[\w[\w.-]*@[^\]\n]{1,80}\][$#%] |➜|❯|\$ |% |>>> |\.\.\. |PS [A-Z]:|[A-Z]:\\[^>\n]*>|\(\w[\w.-]*\) [\w~/.-]+ ?[%$#]|[\w.-]+@[\w.-]+[ :][^\n]{0,80}[$#%] )"
_PROMPT = lazy_regex(_PROMPT_SHAPES)
_PROMPT_LINE = lazy_regex(rf"\n[^\S\n]*{_PROMPT_SHAPES}")  # a line end is found faster than the beginning of a line
_PROMPT_MARKS = ("➜", "❯", "$ ", "% ", ">>> ", "PS ", ":\\", "# ", "] ")
_OUTPUT = lazy_regex(
    r"(?:error|warning|warn|hint|fatal|info|debug|remote|note|npm ERR!|panic|goroutine|traceback|caused by)\b[\s:\[(!]"
    r"|Traceback \(|File \"|\s+at \S+ ?\(|\s*\d+ ?\||To (?:https?|git@)|- To (?:temporarily|permanently)"
    r"|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\[?\d\d:\d\d:\d\d|[drwx-]{10}[ @+]|diff --git|@@ |index [0-9a-f]{7}"
    r"|[+-]{3} [ab/]|[⏺●⎿╭│╰├└✗✘✖]|\S+Error\b|[\w.]+Exception\b|make(?:\[\d+\])?: |\S+: command not found",
    re.IGNORECASE,
)
_SLASH = lazy_regex(r"/([a-z][\w:-]*)(?:[ \t]+|$)(?=(.*))", re.DOTALL)
_TOOL_SLASH = frozenset(("add", "drop", "model", "models", "help", "run", "test", "lint", "tokens", "clear", "reset", "exit", "quit", "undo", "diff", "commit", "map", "map-refresh", "git", "ls", "settings", "voice", "web", "clip", "paste", "read-only", "save", "load", "editor", "report", "weak-model", "chat-mode", "copy", "compact", "config", "init", "login", "logout", "mcp", "memory", "resume", "status", "cost", "context", "usage", "theme", "hooks", "ide", "new", "approvals", "stats"))  # fmt: skip
"""Commands that only steer the tool."""
_GREETING = lazy_regex(
    r"(?:(?:hi|hello|hey|hallo|hola|buen(?:os|as) (?:d[ií]as|tardes|noches)|buenas|guten (?:tag|morgen|abend)|moin|servus|ciao|buongiorno|ol[áa]|bom dia|boa tarde|bonjour|bonsoir|salut|good (?:morning|afternoon|evening)|greetings|thanks|thank you|dear)\b"
    r"(?: (?:there|all|again|everyone|so much|very much|claude|codex|gemini|chatgpt|copilot|team|gpt|assistant|a lot|much|zusammen|allerseits|todos|à tous|everybody))*"
    r"|你好|您好|こんにちは|안녕하세요)[\s,.!。，！:–-]*",
    re.IGNORECASE,
)
_OPENER = lazy_regex(
    r"(?:(?:ok(?:ay)?|hmm+|oh|ah|alright|btw|so|now|also|and|well|alright|great|perfect|cool|nice|awesome|right|yes|sure|then|next)\b[,.!:]*\s+"
    r"|(?:please|pls|kindly|bitte|por favor)\b,?\s+"
    r"|(?:kannst du|könntest du|können sie|könnten sie|kannst|könntest)(?: mir| uns)?(?: bitte| mal)*\s+"
    r"|¿?(?:puedes|podrías|puede|podría)(?: por favor)?\s+|(?:peux-tu|pouvez-vous|pourrais-tu|pourriez-vous|puoi|potresti|você pode)\s+|your (?:task|job|goal) is (?:to )?"
    r"|(?:can|could|would|will) you (?:please |also |now |maybe |help me (?:to )?(?!with\b|out\b))*"
    r"|(?:i(?:'d| would) like you to|i (?:want|need) you to|i (?:want|wanna|need) to (?!know\b|understand\b|see\b|ask\b|be\b|have\b)|i(?:'d| would) like to|help me (?:to )?(?!with\b|out\b)|let's|lets|請|请|幫我|帮我)\s*)",
    re.IGNORECASE,
)
_MARKDOWN_LINK = lazy_regex(r"!?\[([^\]\n]{0,200})\]\([^)\s]*\)")
_ABSOLUTE = lazy_regex(r"(?<![\w/.])(?:~|/[\w.@-]+|[A-Z]:)(?:[/\\][\w.@-]+)*[/\\]([\w.@-]+)")
_DEEP_PATH = lazy_regex(r"@?(?:[\w.@-]+/){2,}([\w.@-]+)")
_PREAMBLE_HINTS = (
    "sorry", "thank", "hope", " new to", "beginner", "newbie", "question", "frage", "pregunta", "duda", "consulta", "dúvida", "pergunta", "domanda", "вопрос",
    "请教", "问", "問", "教えて",
)  # fmt: skip
_PREAMBLE = lazy_regex(
    r"(?:(?:so|ok(?:ay)?|well|um+|hm+)\W+)?(?:sorry\b|(?:thanks|thank you)\b(?: \w+){0,3} for\b|(?:i|we) hope (?:this|you|it|that)\b|i(?:'m| am) (?:(?:very|quite|pretty|totally|completely|still) )?(?:new to\b|sorry\b|(?:an? )?(?:\w+ )?(?:beginner|newbie)\b)"
    r"|(?:(?:just|i have|i've got) )?(?:an?|one|another|some) (?:(?:very|quick|small|short|stupid|silly|dumb|simple|basic|weird|general) )*questions?\b|(?:quick|stupid|silly|dumb) question\b"
    r"|(?:ich hab(?:e)? |nur |noch )*(?:mal )?eine? (?:(?:kurze|kleine|blöde|dumme|einfache) )?frage\b|(?:j'ai |juste )?une (?:petite )?question\b|(?:tengo )?una (?:pequeña )?(?:pregunta|duda|consulta)\b"
    r"|(?:tenho )?uma (?:pequena )?(?:dúvida|pergunta)\b|(?:ho )?una (?:piccola )?domanda\b|у меня (?:есть )?(?:\w+ )?вопрос|есть вопрос|(?:我)?(?:想)?(?:请教|問|问)(?:一下|一个问题|一個問題)|質問があります|教えてください。)"
)
"""A first sentence that only prepares for what is asked."""
_POINTING = lazy_regex(r"\b(?:this|these|that|those|it)(?: \w+)?\W*$", re.IGNORECASE)
"""How a short sentence ends that cannot be understood without what it points at: "Why does this deadlock?"."""
_REQUESTED = lazy_regex(
    r"\b(?:(?:can|could|would|will) you|k[aö]nn(?:te)?st|k[öo]nn(?:t?en) sie|pu?edes|podr[ií]as?|puede|peux-tu|pouvez-vous|pourr(?:ais-tu|iez-vous)|puoi|potresti|pode)\b",
    re.IGNORECASE,
)
"""An opener that turns a request into a question: without it there is none to mark."""
_LEAD_IN = lazy_regex(r"(?:read|look at|open|check out|have a look at|see|go through) \S", re.IGNORECASE)
_ROLE = lazy_regex(r"\s*(?:you are (?:an? |the )|act as |you're an? |system: )", re.IGNORECASE)
_DANGLING = lazy_regex(
    r"(?:\s+(?:because|and|or|that|the|to|of|for|with|in|on|a|an|like|is|are|this|from|by|as|e\.g|i\.e|if|when|where|which|does|also|but|so|it))+$",
    re.IGNORECASE,
)
_OPEN_END = lazy_regex(
    r"(?:\s+(?:because|and|or|the|to|of|for|with|a|an|like|is|are|from|by|as|e\.g|i\.e|if|when|where|which|but))+$",
    re.IGNORECASE,
)
"""With what a sentence cannot end; it may end with "it", "this", "in"."""
_LINK = lazy_regex(r"https?://[^\s<>\])\"'`]+")
_FORGE = lazy_regex(
    r"https?://(?:www\.)?(?:github\.com|gitlab\.com)/([\w.-]+/[\w.-]+?)(?:/-)?(?:/(?:pull|issues|merge_requests)/(\d+))?/?$"
)
_MARKUP = lazy_regex(r"[*`]{1,3}(?=\S)|(?<=\S)[*`]{2,3}|(?<=\S)[*`](?=\W|$)|^#+\s+")
_NAME = lazy_regex(r"[\w./-]*[./_-]\w|\w+[A-Z]")
"""How a file or an identifier begins a title: it keeps its small letter."""
_UNDERLINED = lazy_regex(r"(?<![\w/.])_([^\s_](?:[^_\n]*[^\s_])?)_(?![\w/.])")
_NO_TITLE = lazy_regex(
    r"\W*+(?:(?:untitled|new|no title|chat|conversation|session|thread)\b\W*+)*"
    r"(?:[\d:TZ./_+\s-]++|(?:utc|gmt|[ap]m)\b)*+\W*$",
    re.IGNORECASE,
)
"""Recorded titles that a tool gives everything: "New chat", "Untitled", the time it began."""
_THIN = lazy_regex(
    r"\W*+(?:(?:yes|no|ok(?:ay)?|sure|thanks?|thank you|great|perfect|continue|go on|go ahead|proceed|next|test(?:ing)?|hi|hello|hey"
    r"|please|done|cool|nice|good|keep going|do it|resume|start|try again|you|go for it|from where you left off|so much)\b\W*+)+$",
    re.IGNORECASE,
)


def spoken(text: str) -> Iterator[Span]:
    """Yield the spans of a human turn's own sentences: no tags, fences, pasted output or IDE context."""
    holes = sorted([*noise(text), *fences(text)])
    for block in outside(text, holes):
        for span in _own_lines(text, block):
            for sentence in sentences_of_text(text, span):
                yield from loosely(text, sentence)


def noise(text: str) -> list[Span]:
    """Return what a tool put into a human turn: tags, the context before an IDE's request, a long middle."""
    holes: list[Span] = []
    if len(text) > 2 * NOTICE_CHARS:
        holes.append((NOTICE_CHARS, len(text) - NOTICE_CHARS))
    if "<" in text:
        holes += [match.span() for match in _TAG.finditer(text, 0, 2 * NOTICE_CHARS)]
    requests = list(_REQUEST.finditer(text)) if "request for" in text else []
    if requests:
        holes.append((0, requests[-1].end()))
    return holes + _terminal(text)


def _terminal(text: str) -> list[Span]:
    """Return what was pasted from a terminal: from the first shell prompt to the blank line after the last one."""
    if not any(mark in text for mark in _PROMPT_MARKS):
        return []
    found = list(_PROMPT_LINE.finditer(f"\n{text[:NOTICE_CHARS]}"))
    if not found:
        return []
    stop = text.find("\n\n", found[-1].end() - 1)
    return [(found[0].start(), len(text) if stop < 0 else stop)]


def _own_lines(text: str, block: Span) -> Iterator[Span]:
    """Yield runs of lines that a person wrote."""
    start: int | None = None
    end = block[0]
    for at, stop in lines(text, block):
        line = text[at:stop]
        bare = line.strip()
        if bare and (_OUTPUT.match(line) or _CONTEXT_LINE.match(bare)):
            if start is not None:
                yield start, end
            start = None
            continue
        if start is None and bare:
            start = at
        end = stop
    if start is not None:
        yield start, end


def is_thin(text: str) -> bool:
    """Say whether a turn says nothing by itself: "yes", "thanks", "continue"."""
    text = text.removeprefix("System: ")
    if (slash := _SLASH.match(text)) is not None and (slash[1] in _TOOL_SLASH or words(slash[2]) < 2):
        return True
    return bool(_THIN.match(text)) or not has_words(text, 2)


def is_greeting(text: str) -> bool:
    """Say whether a text is nothing but a greeting or thanks."""
    match = _GREETING.match(text)
    return match is not None and not text[match.end() :].strip('"*_ ')


def gist(text: str, own: list[Span] | None = None) -> Span | None:
    """Return where a human turn says what it wants: from its first sentence of at least three words on.

    Args:
        text: the turn.
        own: its own sentences, where they are known already.
    """
    spans = _without_greeting(text, list(spoken(text)) if own is None else own)
    if not spans:
        return _pasted(text)
    plan = _PLAN.match(text)
    if plan:
        spans = [span for span in spans if span[0] >= plan.end()] or spans
    for first in range(len(spans)):
        start, end = _run(text, spans, first)
        if has_words(text[start:end], 3):
            return start, end
    return spans[0][0], spans[-1][1]


def _pasted(text: str) -> Span | None:
    """Return the command and the first line of its output where a turn is nothing but what a terminal showed."""
    for start, _ in _terminal(text):
        prompt = _PROMPT.match(text[start:].lstrip())
        at = start + len(text[start:]) - len(text[start:].lstrip()) + (prompt.end() if prompt else 0)
        stops = [at]
        for _ in range(2):
            stops.append(text.find("\n", stops[-1] + 1))
        end = next((stop for stop in reversed(stops[1:]) if 0 < stop <= at + 300), min(len(text), at + 300))
        return trimmed(text, at, end)
    return None


def _run(text: str, spans: list[Span], first: int) -> Span:
    """Join sentences that follow each other closely, up to about 200 characters; after a colon the list that follows."""
    start, end = spans[first]
    announced = False
    for after_start, after_end in spans[first + 1 :]:
        near = 8 if text[end - 1] == ":" or announced else 3
        announced = near == 8
        if end - start > 200 or after_start - end > near:
            break
        end = after_end
    return start, end


def _without_greeting(text: str, spans: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for start, end in spans:
        match = _GREETING.match(text, start, end)
        span = trimmed(text, match.end(), end) if match else (start, end)
        if span:
            kept.append(span)
    own = [(start, end) for start, end in kept if not _ROLE.match(text, start, end)]
    return own or kept


def title_of(text: str) -> str:
    """Make a title from a human turn that is already redacted; empty where it says nothing."""
    plan = _PLAN.match(text)
    if plan:
        heading = _plan_heading(text[plan.end() :])
        if heading:
            return shortened(heading)
    spans = _without_greeting(text, list(islice(spoken(text), MANY_SENTENCES)))
    picked = ""
    if not spans and (pasted := _pasted(text)) is not None:
        return shortened(text[pasted[0]] + plain_title(text[slice(*pasted)])[1:])
    for start, end in _after_preamble(text, spans):
        candidate = plain_title(text[start:end])
        if not candidate or (not picked and _says_little(candidate)):
            continue
        picked = _followed(picked, candidate)
        if words(picked) >= 4 and not _needs_more(picked):
            break
    return shortened(picked)


def _after_preamble(text: str, spans: list[Span]) -> list[Span]:
    """Drop the sentences that only prepare for what is asked: who begins so tells about himself up to the question."""
    first = 0
    while first < len(spans) and _prepares(text[slice(*spans[first])].lower()):
        first += 1
    asked = first and next((at for at in range(first, len(spans)) if text[spans[at][1] - 1] in "?？"), first)
    return spans[asked:] or spans


def _prepares(low: str) -> bool:
    return any(hint in low for hint in _PREAMBLE_HINTS) and _PREAMBLE.match(low) is not None


def _followed(picked: str, candidate: str) -> str:
    if not picked:
        return candidate
    return f"{picked} {candidate}" if picked.endswith(("?", "!")) else f"{picked}. {candidate}"


def _needs_more(picked: str) -> bool:
    """Say whether a short title points at what the next sentence tells."""
    return len(picked) < TITLE_CHARS // 2 and bool(_LEAD_IN.match(picked) or _POINTING.search(picked))


def _says_little(candidate: str) -> bool:
    return is_thin(candidate) and not candidate.lower().endswith("fix") and not candidate.startswith("/")


def recorded_title(title: str) -> str:
    """Return a title that the tool or the user gave, cut to 80 characters; empty where it tells nothing."""
    return "" if _NO_TITLE.match(title) else shortened(title)


def _plan_heading(text: str) -> str:
    """Return a plan's own name: its first heading that says more than "Plan"."""
    for start, end in lines(text, (0, min(len(text), 2_000))):
        line = text[start:end].strip()
        if line.startswith("#"):
            name = _PLAN_WORD.sub("", line.lstrip("# "), count=1)
            if name and not _GENERIC_HEADING.match(name):
                return plain_title(name)
    return ""


def plain_title(text: str) -> str:
    """Return a sentence as a title: no polite opener, links as owner/name#1, no mark-up, a capital first."""
    is_code = text.startswith("`")
    text = _LINK.sub(_named_link, _MARKDOWN_LINK.sub(r"\1", squeeze(text)[:TITLED_CHARS]))
    if (slash := _SLASH.match(text)) is not None and slash[1] not in _TOOL_SLASH and words(slash[2]) >= 3:
        text = slash[2]
    text = _DEEP_PATH.sub(r"\1", _ABSOLUTE.sub(r"\1", text)) if "/" in text or "\\" in text else text
    for _ in range(4):
        shorter = (
            _OPENER.sub("", _GREETING.sub("", text, count=1) if _GREETING.match(text) else text, count=1)
            if _OPENER.match(text) or _GREETING.match(text)
            else text
        )
        if shorter == text or words(shorter) < 2:
            break
        if text.endswith("?") and _REQUESTED.search(text, 0, len(text) - len(shorter)):
            shorter = shorter.rstrip("? ")
        text = shorter
    text = squeeze(_UNDERLINED.sub(r"\1", _MARKUP.sub("", text))).strip(" ,;:–—-")
    text = _OPEN_END.sub("", text) if words(text) > 6 else text
    text = text[:-1] if text.endswith((".", "。", "।")) and not text.endswith("..") else text
    return text if is_code or not text[:1].islower() or _NAME.match(text) else text[:1].upper() + text[1:]


def _named_link(match: re.Match[str]) -> str:
    forge = _FORGE.match(match.group().rstrip(".,;:)"))
    if not forge:
        return ""
    return f"{forge[1]}#{forge[2]}" if forge[2] else forge[1]


def shortened(title: str) -> str:
    """Cut a title to 80 characters, on a word."""
    title = squeeze(title)
    if len(title) <= TITLE_CHARS:
        return title
    cut = title[: word_end(title, 0, len(title), TITLE_CHARS - 1)].rstrip(" ,;:–—-([{\"'")
    return _DANGLING.sub("", cut).rstrip(" ,;:–—-([{\"'") + "…"
