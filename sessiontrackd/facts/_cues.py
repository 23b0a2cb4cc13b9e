"""Cue words of English prose: decisions, causes, follow-ups, questions; and what only looks like them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

from sessiontrackd.facts import _abroad as abroad
from sessiontrackd.facts._text import Span
from sessiontrackd.patterns import lazy_regex

_DECISION_HINTS = (
    "instead of", "rather than", "i'll use", "i'll keep", "i'll go with", "we'll use", "we'll keep", "going with", "go with", "decided",
    "chose", "opted", "right approach", "simplest", "safest", "safer", "cleanest", "better approach", "best approach", "right fix",
    "because", "let's use", "let's keep", "stick with", "i'll make", "decision", "prefer", "trade-off", "on purpose", "deliberately",
    *abroad.CHOICE_HINTS,
)  # fmt: skip
_CAUSE_HINTS = (
    "root cause", "issue is", "issue was", "problem is", "problem was", "bug is", "bug was", "caused by", "turns out", "culprit",
    "failing because", "failed because", "fails because", "happens because", "happened because", "reason is", "due to", "error is because",
    "error was", "missing because", "broke because", "breaks because", *abroad.CAUSE_HINTS,
)  # fmt: skip
_TODO_HINTS = (
    "follow-up", "follow up", "remaining", "not yet", "still need", "next step", "out of scope", "todo", "to do", "[ ]", "left to do",
    "you'll need to", "you will need to", "you need to", "not implemented", "future work", "later on", "remains to", "left as",
    "t been tested", "untested", "couldn't verify", "could not verify", "t verified", "still open", "what's left", "left out", "t tested", " yet",
    "i haven't", "i have not", "i didn't", "i did not", *abroad.LEFT_HINTS,
)  # fmt: skip


def _by_stem(hints: Iterable[str], stems: str) -> Mapping[str, tuple[str, ...]]:
    """Return the hints under what several of them hold: a text without it is not searched for each."""
    found: dict[str, list[str]] = {}
    for hint in hints:
        found.setdefault(next((stem for stem in stems.split(",") if stem in hint), hint), []).append(hint)
    return {stem: tuple(under) for stem, under in found.items()}


_SAID = _by_stem(
    (*_DECISION_HINTS, *(hint for hint in _CAUSE_HINTS if "because" not in hint)),
    "',cause,approach, with,deci,safe,issue,problem,bug ",
)
_LEFT = _by_stem(_TODO_HINTS, "verif,follow,not ,tested,still,left,you")
_STRONG_DECISION = lazy_regex(
    r"\b(?:i(?:'ll| will| am going to|'m going to)|we(?:'ll| will| should)|let's) (?:\w+ ){0,2}?(?:use|keep|go with|stick with|store|switch|avoid|"
    r"skip|drop|leave|treat|reuse|default)\b"
    r"|\bgoing with\b|\bdecided (?:to|on|against|not)\b|\b(?:i|we) (?:chose|opted)\b|\bi prefer\b|\bchose (?:to|not)\b|\bopted (?:to|for)\b"
    r"|\b(?:simplest|safest|safer|cleanest|right|best|better|correct) (?:approach|fix|solution|option|choice|way|design|place|path)\b"
    r"|\bdeliberately\b|\bon purpose\b|\bstick with\b|\bthe decision\b"
)
_CHOICE = lazy_regex(
    r"\b(?:decid\w+|use[ds]?|using|switch\w*|keep\w*|kept|ma[dk]e[s]?|making|changed|changing|replac\w+|mov(?:e|ed|es|ing)|stor(?:e|ed|es|ing)"
    r"|avoid\w*|prefer\w*|update[ds]?|treat\w*|reject\w*|put|convert\w*|revert\w*|now|should|will|i'll|let's|so that|rely|relies|relied|go|goes)\b"
    r"[^.;]{0,120}\b(?:instead of|rather than)\b"
)
_CHOSEN = lazy_regex(
    r"\W*+(?:(?:so|and|also|instead|then|finally|here),? )*(?:i(?:'ll|'ve|'m)?|we(?:'ll|'ve|'re|'d)?|let's|now|(?:the|this|that|a|one|my|our) (?:\w+ ){0,3}(?:fix|change|approach|solution|plan|idea|version|design)"
    r"|(?:changed|switched|replaced|converted|moved|updated|fixed|rewrote|refactored|made|kept|chose|use[sd]|using|stores?|stored|keeps?|reverted|renamed|introduced|simplified|dropped|removed)\b"
    r"|(?:this|that|it) (?:keeps|avoids|uses|means|makes|lets|stores|is)\b|decision|chosen|recommend|.*\b(?:because|so that|to avoid|which avoids)\b|.* (?:was|were|has been|have been) \w+ed to\b)"
)
"""How a sentence begins that tells of a choice, rather than of how the program behaves: "When it is set, it prints X instead of Y"."""
_TURNS_AWAY = lazy_regex(
    r"\W*(?:rather than|instead of) [^,;]{3,90}, (?:i|we)\b(?! (?:can|could|should|may|might|would|need)\b)"
)
_NO_CAUSE = lazy_regex(
    r"\b(?:issue|problem|bug|error|cause) is(?:n't| not)\b|\bhelps? (?:us|you|to)? ?(?:understand|identify|see|find|debug|narrow)|\b(?:if|whether|where|what) (?:the|this|any) (?:\w+ )?(?:issue|problem|bug|error)\b"
    r"|^\W*(?:this|these|it|that) (?:\w+ )?(?:will|would|should|ensures?|helps?|makes? sure)\b|\bincluding any\b|\bin case\b"
)
_TOOLING = lazy_regex(
    r"\b(?:use|using) (?:an?|the|my|some) [\w -]{0,40}\b(?:agent|tool|command|search|subagent|script to (?:check|find|test|see))s?\b|\bshould now\b|\bnow (?:works?|passes|renders?)\b"
)
_CONDITIONAL = lazy_regex(
    r"\b(?:if (?:the|you|we|it)|i bet|would|it now|signature|is being|are being|was being|needs? to be|likely|probably|maybe|might|seems|appears|coming from|currently|existing)\b"
)
_CAUSE = lazy_regex(
    r"\broot cause\b|\b(?:the|this|real|actual|main|only|underlying) (?:\w+ ){0,2}(?:issue|problem|bug|error|failure|reason|culprit) (?:is|was|came|comes|lies|seems|here is)\b"
    r"|\b(?:caused by|turns out|culprit)\b|\b(?:fail\w*|error\w*|break\w*|broke|happen\w*|missing|crash\w*|occur\w*|wrong|hang\w*|flaky|rejected|skipped)\b[^.]{0,80}\b(?:because|due to)\b"
)
_EMPTY_CAUSE = lazy_regex(
    r"\b(?:issue|problem|bug) is (?:more fundamental|clear|now clear|obvious|simple|fixed|resolved|solved|gone)\b"
)
_AGREED = lazy_regex(
    r"\b(?:(?:we|have|has|i) (?:have |all )?(?:decided|agreed)|decision is|let's (?:go|use|keep|make it|have|stick|say|leave|drop|skip|postpone|defer|delay|cancel|freeze)|we(?:'ll| will) go (?:for|with)|so we're going (?:to|with)|in conclusion|to conclude|(?:motion|proposal|amendment|budget) (?:is|was|has been|are) (?:hereby )?(?:carried|passed|approved|adopted|accepted|rejected))\b"
    r"|^(?:\W*(?:ok(?:ay)?|yes|yeah|yep|no|so|then|right|good|great|fine|agreed|alright|and)\W+){1,3}we (?:keep|freeze|defer|postpone|drop|skip|stay with|stick|go with|go for|move|ship|cancel|delay|leave|wait)\b"
)
_NARRATION = lazy_regex(
    r"(?:now,? |next,? |first,? |then,? |ok(?:ay)?,? |good,? |great,? |perfect[,!.]? |so,? |and |but |also,? )*(?:let me|let's (?:check|see|look|run|verify|test|try|first|start)|"
    r"i(?:'m| am) (?:now )?(?:checking|looking|going to (?:check|look|verify|read)|reading|inspecting|running|verifying|searching|pulling|doing|looking)|"
    r"i(?:'ll| will) (?:now |first |quickly |also )?(?:check|look|verify|inspect|run|read|search|start|begin|pull|do a|explore|examine|review|test|see|find|help|analyze|need|suggest|explain|outline|describe|walk you)|i need to|i should|"
    r"(?:perfect[.!] )?i(?:'ve| have) (?:now )?(?:gathered|a |enough|all |found enough|everything|completed my)|i (?:now )?(?:understand|see|think i)\b|based on (?:my|the) [^,]{0,60},? (?:i'll|i will|i can|here)|(?:oh,? )?wait\b|here(?:'s| is| are) (?:what|the|a|my|your)\b[^,;:]{0,30}[.:]?$|i(?:'ll| will) (?:make|update|fix|add|create|write|implement|edit|change|remove|move|apply|commit|push) (?:the|these|this|that|it)\b[^,;]{0,60}$)"
)
_HUMAN_DECISION = lazy_regex(
    r"(?:ok(?:ay)?|yes|yeah|yep|no|nope|sure|right|hmm|well|and|but|so|also|i think|actually|please)?[,.!]*\s*(?:(?:no|yes|yeah|just|then|please),?\s+)?"
    r"(?:let's|lets|we should|we(?:'ll| will)|i(?:'d| would) rather|i prefer|go with|use|keep|don't|do not|dont|remove|drop|never(?! ?mind)|always|stick|make it|leave|forget(?! (?:to|it|what|all|everything|about it)\b)|scrap|ditch|do nothing|no need|(?:i|we) (?:would )?(?:only |really |still |do not |don't )?want(?! (?:you|to (?:know|see|understand|ask|check|discuss))))\b"
    r"(?! (?:in mind|try|see|check|look|discuss|talk|test|run|add|write|create|fix|update|analy[sz]e|review|commit|push|merge|build|verify|investigate|search|find|hesitate|worry|forget|think|know|have|understand|get|start|begin|say|go (?:over|through)|continue|proceed))"
)
_WANTS = lazy_regex(r"(?:\w+[,.!]* ){0,2}(?:i|we) (?:would )?(?:only |really |still )?want\b")
_HUMAN_IMPERATIVE = lazy_regex(r"(?:please |and |also )?(?:use|keep(?! in mind)|drop|remove|make it|stick)\b")
_HUMAN_FIRM = lazy_regex(r"\b(?:instead|not|only|rather|always|never|don't|but|for now|until|everywhere|as is)\b")
_HUMAN_CHOICE = lazy_regex(
    r"\b(?:use|keep|store|go with|not|stick|leave|skip|drop|remove|avoid|instead|rather|never|always|prefer|no|don't|nothing|only|have|forget|scrap|ditch)\b"
)
_CONTRAST_HINTS = ("after all", "for now", ", not ", ", and not ")
_HUMAN_CONTRAST = lazy_regex(
    r"\b(?:not|won't|keep|stay)\b[^.]{0,60}\bafter all\b|(?<!that's )(?<!it )(?<!enough )(?<!all )(?<!good )(?<!fine )(?<!ok )(?<!thanks )\bfor now\b"
    r"|^(?:\w+[:,.]? ){0,3}?(?:we (?:go|do|take|use|keep|stay|want)|use|do|make|put|show|call|name|take|write|store|return|send|restart|only|just)\b[^?]*, (?:and )?not (?!sure\b|yet\b|only\b|just\b|because\b|even\b)\w"
)
_HUMAN_THIN = lazy_regex(
    r".{0,14}\b(?:let's|lets|we should|we'll|we will|please) (?:do|doe|implement|fix|add|go|commit|try|merge|push|use|keep) (?:this|that|it|them|so|ahead|both|all)?[\s.!]*+(?:please|now|then|too)?[\s.!]*+$"
)
_TODO = lazy_regex(
    r"\b(?:follow[- ]?ups?\b(?! question)|remaining (?:work|task|item|step|issue|todo|gap|piece|thing)s?|(?:is|are|was|were|has|have)(?:n't| not) (?:been )?(?:yet )?(?:implemented|tested|verified|done|covered|handled|supported|wired)"
    r"|not yet|\b(?:is|are|was|were|has|have)(?: not|n't) [^.;,:]{1,40}\byet\b|\b(?:there(?:'s| is| are)|has|have) no [^.;,:]{1,40}\byet\b|\bi (?:have not|haven't|did not|didn't) (?:\w+ )?(?:(?:run|try|tried|test|tested|verify|verified|check|checked)\b|(?:add|write|written) (?:an? |any )?(?:\w+ )?tests?\b)|still needs?\b|next steps?\b|out of scope|todos?:|left to do|you(?:'ll| will)? need to|future work|remains to be|left as[- ]is|untested|(?:could not|couldn't) verify|still open|left out)"
)
_TODO_HEADING = lazy_regex(
    r"\n[ \t]*(?:#{1,6}[ \t]+|\*\*|[-*] \*\*)?(?:(?:recommended |suggested |possible )?next steps?|remaining(?: work| tasks| items| issues)?|follow[- ]?ups?|to[- ]?dos?(?! (?:this|that|so|it|what)\b)|open (?:items|issues|points|tasks)|"
    r"what(?:'s| is) left|still (?:to do|open)|left to do|not (?:yet )?(?:done|tested|covered|implemented)|(?:\w+ )?(?:things? |what )(?:i (?:did not|didn't|have not|haven't) (?:do|done|touch|touched|test|tested|change|changed)|you (?:should|need to|must|have to) (?:still )?(?:look at|check|verify|test|review|do|decide))|outstanding(?: items)?|pending(?: items| tasks)?|action items"
    r"|(?:noch )?(?:offen|zu (?:tun|erledigen))|offene (?:punkte|aufgaben)|nächste schritte|pr[oó]xim[oa]s (?:pasos|passos|etapas)|pendientes?|por hacer|pendências"
    r"|reste à faire|à faire|prochaines étapes|da fare|prossimi passi|осталось|следующие шаги|残りの?作業|残タスク|次のステップ|今後の作業|下一步|后续步骤|後續步驟|待[办辦](?:事项|事項)?|剩余(?:工作|任务)|남은 작업|다음 단계)(?!\w)[^\n.]{0,40}?[:：]?(?:\*\*)?:?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_DIFF_LINE = lazy_regex(r"[+-]\s?\S|@@|diff --git")
_FILLER = lazy_regex(
    r"\W{0,4}(?:no response requested|request interrupted|api error|prompt is too long|credit balance|claude (?:ai )?usage limit|you've hit your|"
    r"invalid api key|please run /login|\(no content\)|i'll continue|continuing|session limit)",
    re.IGNORECASE,
)
_CONCLUSION = lazy_regex(
    r"^[ \t]*(?:#{1,6}[ \t]+|\*\*)[^\w\n]{0,4}(?:\d+[.)][ \t]*)?(?:(?:in )?conclusions?|(?:final )?summary|in short|tl;?dr|bottom line|(?:final )?results?|verdict"
    r"|(?:my )?recommendations?|outcome|结论|結論|总结|總結|まとめ|結果|结果|fazit|zusammenfassung|ergebnis|résumé|resumen|conclusión|conclusão|итоги?|выводы?)"
    r"[ \t]*+:?(?:\*\*)?:?[ \t]*+$",
    re.IGNORECASE | re.MULTILINE,
)
_OFFER = lazy_regex(
    r"(?:would you like|do you want|shall i|should i|want me to|(?:please |just )?let me know|(?:please )?feel free|if you have any (?:specific |other |further |more )?(?:requests?|questions?|changes)|anything else|does (?:this|that) (?:make sense|help|look)|is there anything|ready to)\b",
    re.IGNORECASE,
)
_AGREEMENT = lazy_regex(
    r"(?:yes[,.]? )?(?:you(?:'re| are| were) (?:absolutely |completely |totally )?(?:right|correct)|(?:good|great|nice|excellent|smart|solid|wise|fair|sensible) (?:catch|question|point|idea|choice|call|thinking|instinct|news)"
    r"|that(?:'s| is) (?:an? )?(?:(?:very|really|much|such an?) )?(?:great|good|fair|clever|crucial|excellent|clean|nice|smart|solid|sensible|reasonable|lovely|perfect|wise|interesting|wonderful|beautiful|strong|stronger|better)|(?:much|far|way) (?:better|stronger|clearer)[.!]"
    r"|(?:sehr )?gute (?:frage|idee|wahl)|(?:(?:très )?bonne|excellente) (?:question|idée)|(?:muy )?(?:buena|excelente) (?:pregunta|idea)|(?:boa|ótima|excelente) (?:pergunta|ideia)|(?:buona|ottima) (?:domanda|idea)|(?:хороший|отличный) вопрос|(?:хорошая|отличная) идея|(?:这是(?:一)?个)?(?:很)?好(?:问题|主意|的问题)|(?:良|よ|い)い(?:質問|考え))"
)
_FAREWELL = lazy_regex(
    r"\W*+(?:you(?:'re| are) (?:very |most |so |always )?welcome|my pleasure|no problem|anytime|(?:so )?(?:glad|happy) (?:i could|to (?:help|hear)|it|that)|enjoy\b|have (?:a|fun)\b|good luck|see you|gern geschehen|sehr gern|gerne?[!.]|bitte(?: schön| sehr)?[!.]"
    r"|viel (?:erfolg|spaß|glück|freude)|de nada|por nada|con (?:mucho )?gusto|(?:ha sido )?un placer|disponha|imagina[!.]|de rien|avec plaisir|je (?:vous|t')\s?en prie|bon(?:ne)? (?:chance|courage|continuation|appétit|voyage)|prego[!.]|di niente|figurati"
    r"|не за что|пожалуйста[!.]|всегда пожалуйста|рад[аы]? (?:был[аи]? )?помочь|удачи|不客气|不客氣|不用谢|不用謝|どういたしまして|お役に立て|천만에요)"
)
_SALUTATION = lazy_regex(
    r"^\W{0,4}(?:(?:hallo|hello|hi|hey|bonjour|hola|olá|ciao|moin|guten tag)\b[^\n,!:]{0,40},$|(?:dear|sehr geehrte[rs]?|liebe[rs]?|estimad[oa]s?|querid[oa]s?|ch[eè]re?s?|madame|monsieur|gentile|gentili|egregi[oa]|car[oaie]|prezad[oa]s?|уважаем\w+|дорог(?:ой|ая|ие)|尊敬的|亲爱的)\b[^\n]{0,60}[,!:，：]\W{0,4}$)",
    re.MULTILINE,
)
_TELLING = lazy_regex(r"[`:\d]")
FAREWELL_CHARS = 240
"""Who says good-bye is brief; what is longer tells something."""
_STARTS_LOOSE = lazy_regex(
    r"\W*+(?:yeah|yes|yep|no|um+|uh+|hmm+|mm|ok(?:ay)?|so|and|but|or|because|well|right|like|which|that's|then|also|i mean|you know|oh|ah|alright|thanks?)\b",
    re.IGNORECASE,
)
_PARTS_WITH = lazy_regex(
    r"\W*+(?:thanks|thank you|bye|see you|good ?(?:bye|morning|evening)|hello|hi|danke|tschüss|guten (?:morgen|tag)|merci|bonjour|gracias|hola)\b",
    re.IGNORECASE,
)
_GUESS = lazy_regex(r"(?:based on [^,]{0,80}, )?it (?:seems|looks like|appears)\b")
_ANNOUNCEMENT = lazy_regex(
    r"(?:(?:so|now|perfect[.!]*|great[.!]*|done[.!]*|and|ok(?:ay)?),? )*(?:here(?:'s| is| are)|the following|below|(?:in )?summary|i(?:'ve| have) (?:\w+ ){1,4}?following|changes|what|this (?:includes|means|gives)"
    r"|key|files?|next|verification|tests?|note|notes|usage|example|for example|output|result|results|updated files|looking at|based on|let me|i found|there are)\b"
)
_GREETS = lazy_regex(
    r"\W*+(?:(?:so|and|or|now|hi|hello|hey)\W+)*(?:would you like (?:me )?(?:to )?(?:\w+ ){0,2}any(?:thing)? (?:further|other|else|more)\b|how (?:can|may|could) i (?:help|assist)|what (?:can|may) i (?:help|do for)|what would you like"
    r"|what(?:'s| is) on your mind|comment puis-je vous aider|avez-vous des (?:questions|modifications|demandes)|wie kann ich (?:dir|ihnen)|(?:en qué|cómo) (?:te |le )?puedo (?:ayudar|asistir)|come posso aiutar|como posso ajudar|is there (?:a |an? other )?(?:specific|particular|certain|another)\b|(?:is there |do you have )?any(?:thing| other)? (?:else|specific|questions?|in particular)|does (?:this|that) (?:help|make sense)|how are you|right|correct|okay|ready|what(?:'s| is) next)\b",
    re.IGNORECASE,
)
_GREETS_WIDE = lazy_regex(
    "有什么可以帮|有什麼可以幫|有什么需要帮|有什麼需要幫|有什么我可以|我可以帮[您你]|需要我帮|能帮您什么|お手伝い(?:でき|しましょう)|도와드릴까요"
)
_PROMISES = lazy_regex(
    r"\W*+(?:(?:ok(?:ay)?|yes|yeah|yep|sure|fine|great|good|then|so|and|alright|right|gut|dann|also|ja)\W+)*(?:i(?:'ll| will| am going to|'m going to)\b(?! (?:just )?be\b)|i (?:still |also )?(?:need|have) to\b"
    r"|(?:\w+ )?(?:ich|mich)\b|someone (?:has|needs) to|somebody (?:has|needs) to)"
)
_WORKS = lazy_regex(
    r"[^a-z]*+(?:\w+\W+){0,3}?(?:i'll|will|to) (?:also |then )?(?:send|write|prepare|update|fix|check with|talk to|ask|tell|e-?mail|draft|review|finish|remove|create|book"
    r"|schedule|organi[sz]e|contact|share the|post the|renew|look into|follow up|set up|file|open an? (?:issue|ticket|pr)|merge|deploy|publish|document)\b(?! (?:you|my|what)\b)"
)
_GIVEN = lazy_regex(
    r"\b([^\W\d_]+) (?:will|wird|is going to) (?!be\b|have\b|not\b|probably\b|never\b|haben\b|sein\b)\w"
)
"""Who is named and what for: "Priya will write the plan"."""
_DEADLINE = lazy_regex(
    r"\b(?:(?:by|before|until|till|on) (?:the end of |next |this )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|by (?:noon|eod|the end)|tomorrow|tonight"
    r"|this (?:morning|afternoon|evening|week)|(?:by )?next (?:week|month|sprint)|end of (?:the )?(?:day|week)|after (?:the|this) (?:meeting|call)|(?:by|on|until|before) the \d+(?:st|nd|rd|th)"
    r"|bis (?:zum )?(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|morgen|ende|nächste))\b"
)
_SUGGESTS = lazy_regex(
    r"\W*+(?:\d+\W+)?(?:you (?:could|can|may|might)\b|(?:instead|alternatively|optionally|otherwise|also|then|next|now|or),? )*(?:update|consider|use|replace|add|change"
    r"|remove|move|rename|make sure|make|avoid|prefer|ensure|keep|switch|convert|store|try|run|set|check|see|call|return|pass|write|create|put|include"
    r"|extract|split|merge|document|test|verify|fix|implement|refactor|apply|wrap|handle|let)\b(?! (?:was|is|are|were|now|has|have)\b)"
    r"|\W*lines? \d|.{0,12}[✅✓✔❌]|.{0,30}\((?:modified|new|added|unchanged|optional)\)",
    re.IGNORECASE | re.DOTALL,
)
"""A list of advice reads like decisions: "Use X instead of Y" in a review decides nothing."""
_PROTOCOL_HINTS = ("search/replace", "do not propose changes to", "add them to the chat", "content of the file has changed since")  # fmt: skip
_PROTOCOL = lazy_regex(
    r"search/replace\W{0,3} (?:block|section)|\b(?:do not propose changes to|add them to the chat)\b|content of the file has changed since"
)
"""How an agent and its tool talk about edits."""
_APOLOGY = lazy_regex(
    r"\W*+(?:i (?:apologi[sz]e|am sorry|understand your)|(?:my )?apologies|i'm sorry|sorry|thank you|thanks)\b(?: (?:so much|very much))?(?: for \w+(?:[ ,']+\w+){0,8})?\W*+$",
    re.IGNORECASE,
)
_PLEASANTRY = lazy_regex(
    r"\W*+(?:(?:done|fixed|perfect|great|excellent|absolutely|certainly|sure|of course|yes|good (?:catch|point|question|news)|got it|ok(?:ay)?|understood|"
    r"you'?re (?:absolutely )?(?:right|welcome)|exactly|awesome|nice|wonderful|thanks|thank you|all (?:done|set)|completed?|success|finished|hello|hi|here you go|"
    r"pushed|committed|updated|that's (?:right|correct|a great question)|happy to help|fantastic|and|it)\b\W*+)+$",
    re.IGNORECASE,
)


def lowered(text: str) -> str:
    """Return the text as the cues want it: lower case, straight apostrophes."""
    return text.lower().replace("’", "'")


def near_decisions(text: str) -> list[Span]:
    """Return the paragraphs that may hold a decision or a cause: plain substring searches, which are fast."""
    return _near(text, _SAID)


def near_todos(text: str) -> list[Span]:
    """Return the paragraphs that may name open work."""
    return _near(text, _LEFT)


def _near(text: str, hints: Mapping[str, tuple[str, ...]]) -> list[Span]:
    low = lowered(text)
    if len(low) != len(text):
        return [(0, len(text))]
    found: set[Span] = set()
    for hint in [hint for stem, under in hints.items() if stem in low for hint in under]:
        at = low.find(hint)
        while at >= 0:
            start = text.rfind("\n\n", 0, at) + 2 if "\n\n" in text[:at] else 0
            end = text.find("\n\n", at)
            end = len(text) if end < 0 else end
            found.add((start, end))
            at = low.find(hint, end)
    return sorted(found)


def decision_weight(low: str, word_count: int) -> float:
    """Say how surely an agent's sentence (lowered) states a decision; 0 means it does not."""
    if not 6 <= word_count <= 60 or low.endswith(("?", ":")) or _DIFF_LINE.match(low) or _SUGGESTS.match(low):
        return 0.0
    if _NARRATION.match(low):
        low = low.partition(";")[2]
    weight = 0.0
    compares = "instead of" in low or "rather than" in low
    if compares and _CHOICE.search(low) and _CHOSEN.match(low):
        weight += 0.5 if _CONDITIONAL.search(low) else 1.2
    elif (compares and _TURNS_AWAY.match(low)) or abroad.agent_chooses(low):
        weight += 1.2
    if _STRONG_DECISION.search(low):
        weight += 2.0
    if weight and any(
        cue in low for cue in ("because", "so that", "since ", " so ", "which avoids", "to avoid", "keeps ")
    ):
        weight += 1.0
    if _CAUSE.search(low) or "workflow here" in low or " skill " in low or _TOOLING.search(low):
        weight -= 1.5
    if word_count < 9 and low.isascii():
        weight -= 0.5
    return max(weight, 0.0)


def human_decision_weight(sentence: str, word_count: int) -> float:
    """Say how surely a person's sentence settles something."""
    if not 3 <= word_count <= 45 or sentence.rstrip().endswith(("?", "？")):
        return 0.0
    low = lowered(sentence)
    if _HUMAN_IMPERATIVE.match(low):
        return 2.0 if _HUMAN_FIRM.search(low) else 0.0
    if _WANTS.match(low) and not (_HUMAN_FIRM.search(low) or low.startswith("no")):
        return 0.0
    if _HUMAN_DECISION.match(low) and not _HUMAN_THIN.match(low):
        return 3.0 if _HUMAN_CHOICE.search(low) else 1.0
    if _HUMAN_THIN.match(low):
        return 0.0
    compares = "instead" in low.split() or "instead of" in low or "rather than" in low
    compares = compares or (any(hint in low for hint in _CONTRAST_HINTS) and _HUMAN_CONTRAST.search(low) is not None)
    compares = compares or abroad.chooses(low)
    return 2.0 if compares and " if " not in f" {low}" else 0.0


def spoken_decision_weight(sentence: str, word_count: int) -> float:
    """Say how surely a sentence of a talk between people settles something."""
    if not 5 <= word_count <= 60 or sentence.rstrip().endswith(("?", "？")):
        return 0.0
    low = lowered(sentence)
    return 2.0 if _AGREED.search(low) or abroad.settles(low) else 0.0


def is_cause(low: str, word_count: int) -> bool:
    """Say whether a sentence (lowered) names why something went wrong."""
    return (
        8 <= word_count <= 60
        and not low.rstrip("*_ ").endswith(("?", ":"))
        and not _SUGGESTS.match(low)
        and not _NO_CAUSE.search(low)
        and bool((_CAUSE.search(low) and not _EMPTY_CAUSE.search(low)) or abroad.explains(low))
    )


def may_explain(low: str) -> bool:
    """Say quickly whether a lowered sentence may name a cause."""
    return any(hint in low for hint in _CAUSE_HINTS)


def may_decide(low: str) -> bool:
    """Say quickly whether a lowered sentence may state a decision."""
    return any(hint in low for hint in _DECISION_HINTS)


def is_todo(sentence: str, word_count: int) -> bool:
    """Say whether a sentence names work that is left."""
    low = lowered(sentence)
    return (
        4 <= word_count <= 50
        and not low.endswith(("?", ":"))
        and not low.startswith("if you")
        and bool(_TODO.search(low) or abroad.is_left(low))
    )


def todo_headings(text: str) -> list[Span]:
    """Return the headings of lists of open work."""
    found = _TODO_HEADING.finditer(f"\n{text}")  # a line end is found faster than the beginning of a line
    return [(match.start(), match.end() - 1) for match in found]


def is_promise(sentence: str, word_count: int, names: Set[str] = frozenset()) -> bool:
    """Say whether a person takes something on, with a deadline or by a verb of work, or gives it to one of those who are there."""
    low = lowered(sentence)
    if not 4 <= word_count <= 40 or low.rstrip().endswith(("?", "？")):
        return False
    if abroad.takes_on(low) or any(match[1] in names for match in _GIVEN.finditer(low)):
        return True
    return bool(_PROMISES.match(low) and (_WORKS.match(low) or _DEADLINE.search(low)))


def is_agreement(sentence: str) -> bool:
    """Say whether a sentence only pays a compliment."""
    return bool(_AGREEMENT.match(lowered(sentence).lstrip("*_ ")))


def display_worth(sentence: str, word_count: int) -> float:
    """Say what is taken off a sentence of a talk that reads badly alone: begun in the middle, unfinished, or too long."""
    worth = -0.3 if _STARTS_LOOSE.match(sentence) else 0.0
    worth -= 0.5 * bool(word_count < 12 and _PARTS_WITH.match(sentence))
    worth -= 0.25 * (not sentence.rstrip("\"'”’)* ").endswith((".", "!", "?", "。", "！", "？", "…")))
    return worth - 0.25 * (word_count > 45) - 0.25 * (word_count < 6)


def conclusion(text: str, region: Span) -> int | None:
    """Return where the part of a reply begins that its author headed as the conclusion; None where none is."""
    if "#" not in text and "**" not in text:
        return None
    return max((match.end() for match in _CONCLUSION.finditer(text, *region)), default=None)


def salutes(text: str) -> bool:
    """Say whether a reply holds a letter: what is asked in it is not asked here."""
    return _SALUTATION.search(lowered(text)) is not None


def introduces(sentence: str) -> bool:
    """Say whether a sentence that ends in a colon says of what the list behind it is."""
    low = lowered(sentence).lstrip("*_ ")
    return sentence.rstrip("*_ ").endswith((":", "：")) and not (_ANNOUNCEMENT.match(low) or _NARRATION.match(low))


def is_guess(sentence: str) -> bool:
    """Say whether a sentence only says how something seems; what follows says what was done about it."""
    return bool(_GUESS.match(lowered(sentence)))


def is_announcement(sentence: str) -> bool:
    """Say whether a sentence that ends in a colon only introduces what follows."""
    low = lowered(sentence).lstrip("*_ ")
    return bool(_ANNOUNCEMENT.match(low)) or "let's " in low[:20] or len(sentence.split()) < 6


def is_narration(sentence: str) -> bool:
    """Say whether a sentence only tells what the agent is about to do."""
    return bool(_NARRATION.match(lowered(sentence)))


def is_farewell(text: str) -> bool:
    """Say whether a whole reply only answers thanks: it names no figure, no code and no list."""
    return len(text) <= FAREWELL_CHARS and not _TELLING.search(text) and bool(_FAREWELL.match(lowered(text)))


def is_filler(text: str) -> bool:
    """Say whether a whole reply is none: an interrupt, an API error."""
    return bool(_FILLER.match(text))


def is_greeting_question(sentence: str) -> bool:
    """Say whether a question only keeps the talk going: "How can I help you today?"."""
    return bool(_GREETS.match(sentence.replace("’", "'")) or _GREETS_WIDE.search(sentence))


def is_offer(sentence: str) -> bool:
    """Say whether a question only offers more help."""
    return bool(_OFFER.match(sentence.strip("*_ ")))


def is_pleasantry(sentence: str) -> bool:
    """Say whether a sentence holds no content: "Perfect!", "Done.", "I apologize for the confusion."."""
    low = sentence.lower()
    is_protocol = any(hint in low for hint in _PROTOCOL_HINTS) and _PROTOCOL.search(low)
    return bool(is_protocol or _PLEASANTRY.match(sentence) or _APOLOGY.match(sentence))
