"""Cue words of other languages than English: what is settled, what people take on, and what is left."""

from __future__ import annotations

from sessiontrackd.facts._words import word_set
from sessiontrackd.patterns import lazy_regex

LEFT_HINTS = (
    "noch nicht", "fehlt noch", "steht noch", "stehen noch", "muss noch", "pendiente", "falta ", "queda por", "il reste", "pas encore", "ainda ", "ancora ",
    "ещё не", "осталось", "尚未", "还没", "還沒", "还需要", "まだ", "未対応", "未実装",
)  # fmt: skip
CAUSE_HINTS = ("ursache", "problem ist", "problem war", "problem liegt", "liegt daran", "fehler liegt", "la cause", "problème", "problema", "la causa", "причина", "проблема в", "原因", "问题在", "問題は")  # fmt: skip
CHOICE_HINTS = (" statt ", "en lugar de", "en vez de", "au lieu d", "plutôt", "em vez de", "invece di", "вместо", "而不是", "ではなく")  # fmt: skip
_EXPLAINS = lazy_regex(
    r"\b(?:die|der|das) (?:\w+ )?(?:ursache|grund|problem|fehler) (?:ist|war|liegt|lag|kam|kommt)\b|\b(?:liegt|lag) (?:es )?daran, dass\b|\b(?:la cause|le problème|l'erreur) (?:est|était|vient|venait)\b"
    r"|\bel (?:problema|error) (?:es|era|está|viene)\b|\bla causa (?:es|era|è)\b|\bo (?:problema|erro) (?:é|era|está|vem)\b|\ba causa (?:é|era)\b|\bil (?:problema|errore) (?:è|era)\b"
    r"|\b(?:причина|проблема) (?:в том|была|оказалась|[—-])|(?:原因|问题)(?:是|在于)|(?:原因|問題)は"
)
_AGENT_CHOICE = lazy_regex(
    r"\W*+(?:(?:also|deshalb|daher|darum|so|por eso|así que|donc|por isso|quindi|поэтому|所以|因此),? ?)?(?:ich (?:nehme|verwende|nutze|habe|lasse|behalte|setze|speichere)|(?:uso|usé|usaré|voy a usar|he (?:usado|puesto|cambiado|dejado))\b|je (?:passe|garde|utilise|prends|vais utiliser)|j'(?:ai|utilise)"
    r"|(?:usei|vou usar|mantive)\b|(?:ho usato|userò)\b|я (?:использую|использовал|оставил|взял|сделал)|我(?:用|改用|采用|使用|选)|(?:[^。]*(?:ではなく)[^。]*(?:しました|使い|使用し|にし)))"
)
_SETTLING = word_set(
    """
    wir beschlossen vereinbart entschieden abgemacht statt stattdessen anstatt anstelle lieber decidimos acordamos quedamos decidido acordado aprobado
    acuerda aprueba prefiero mejor vez lugar décidé décide décidons acté reste garde reporte prend lieu plutôt combinado acertado combinamos decidiu então
    prefiro deciso decidiamo prendiamo teniamo rimandiamo usiamo invece preferisco решили решено договорились тогда вместо лучше
    """
)
"""A sentence without one of these words, or signs where no spaces part the words, is not searched further."""
_SETTLING_WIDE = ("决定", "決定", "就", "而不是", "改用", "还是用", "にし", "に決", "きましょう", "ではなく", "代わり", "ほうがいい")  # fmt: skip
_SETTLES = lazy_regex(
    r"\b(?:dann|also|ok(?:ay)?|gut|ja|nein|und)\W+(?:\w+\W+){0,2}?(?:nehmen|machen|verschieben|lassen|bleiben|nutzen|verwenden|behalten|streichen|vertagen|stellen|kaufen|bestellen|wechseln) wir\b|\blassen wir\b[^.]{0,30}\bweg\b"
    r"|\b(?:ist|wird|wurde|haben) (?:\w+ ){0,3}?(?:beschlossen|vereinbart|entschieden|abgemacht)\b"
    r"|\b(?:decidimos|acordamos|quedamos en|hemos (?:decidido|acordado)|(?:se|queda) (?:acuerda|aprueba|decidido|acordado|aprobado))\b"
    r"|\b(?:on a décidé|on décide|nous (?:avons décidé|décidons)|c'est (?:décidé|acté)|il (?:est|a été) décidé|(?:donc|alors|ok|d'accord|bon),? on (?:reste sur|garde|reporte|prend))\b"
    r"|\b(?:fic(?:a|ou) (?:decidido|combinado|acertado)|combinamos|decidiu-se|(?:então|ok),? vamos (?:usar|manter|adiar|ficar com))\b"
    r"|\b(?:abbiamo deciso|è stato deciso|decidiamo|(?:allora|ok|bene),? (?:prendiamo|teniamo|rimandiamo|usiamo))\b"
    r"|\b(?:мы решили|решено|договорились|тогда (?:берём|берем|оставляем|переносим|используем))\b"
    r"|(?:决定|決定)(?:了|用|先|把|不|采用|使用)|就(?:这么|這麼)定|那(?:我们|我們|我)?就(?:用|选|選|先|按|改|不)|(?:こと|の)に(?:します|しました|決め|決まり)|に(?:決定|決め)(?:し|まし|た)|で[行い]きましょう|にしましょう"
)
_PREFERS = lazy_regex(
    r"\b(?:statt|stattdessen|anstatt|anstelle|lieber)\b|\ben (?:lugar|vez) de\b|\bprefiero\b|\bmejor (?:con|usa\w*|dej\w+|que)\b|\bau lieu d|\bplutôt\b|\bem vez de\b|\bprefiro\b|\binvece di\b|\bpreferisco\b"
    r"|\b(?:вместо|лучше)\b|而不是|改用|还是用|ではなく|の代わりに|ほうがいい"
)
_LEFT = lazy_regex(
    r"\b(?:ist|sind|wurden?|habe|haben)\b[^.;:]{0,60}\bnoch nicht\b|\b(?:fehlt|fehlen|steht|stehen) noch\b|\bmuss noch\b|\b(?:queda|está|están) pendientes?\b|\b(?:falta|queda)n? por \w+r\b|\btodavía (?:no|falta)|\baún (?:no|falta)"
    r"|\bil reste (?:à|encore)\b|\b(?:est|sont|a|ont|ai) pas encore\b|\bainda (?:não|falta)|\b(?:non (?:è|sono|ho|abbiamo) ancora|manca ancora)\b|\bещё не\b|\bосталось\b|尚未|还没有?|還沒有?|还需要|まだ[^。]{1,30}(?:ていません|ておりません|ていない)|未対応|未実装"
)
_TAKES_ON = lazy_regex(
    r"\W*+(?:(?:ok|vale|sí|perfecto|bueno|entonces|y|oui|d'accord|alors|et|moi|bon|sim|tá|beleza|então|e|va bene|sì|allora|да|хорошо|тогда|а|gut|dann|ja|und|also)\W+)*(?:"
    r"(?:ich )?(?:schreibe|schicke|informiere|sende|kläre|frage|prüfe|erstelle|buche|reserviere|melde|rufe|organisiere|übernehme|bestelle|bereite|besorge) (?:ich |das |es |die |den |dem |der |dir |euch |ihnen |mal )?(?!hier\b|seit\b)\w"
    r"|(?:ich )?(?:sage|gebe) [^.]{0,40}bescheid\b"
    r"|(?:yo )?(?:(?:mañana|hoy|luego) )?(?:(?:os|te|les?|se|lo|la|me) )*(?:reservo|mando|env[ií]o|preparo|escribo|llamo|pregunto|reviso|hablo con|encargo|ocupo|organizo|compro|contacto|voy a (?:mandar|enviar|preparar|escribir|llamar|hablar|revisar|reservar|comprar))\b"
    r"|je (?:(?:te|vous|leur|lui|les?|la|m'en|m'|me) ?)?(?:envoie|prépare|écris|rédige|appelle|réserve|contacte|demande|vérifie|occupe|charge|vais (?:l'|le |la |les |vous |te |leur )?(?:envoyer|préparer|écrire|appeler|voir avec|contacter|vérifier|réserver))\b"
    r"|(?:eu )?(?:(?:te|lhes?|me) )?(?:mando|envio|preparo|escrevo|ligo para|reservo|reviso|falo com|compro|organizo|fico de|encarrego|vou (?:mandar|enviar|preparar|escrever|ligar|falar|revisar|reservar))\b"
    r"|(?:io )?(?:(?:vi|ti|gli|le|lo|la|me ne|mi) )?(?:mando|invio|preparo|scrivo|chiamo|prenoto|controllo|parlo con|compro|organizzo|occupo io|occupo di)\b"
    r"|я (?:\w+ ){0,2}?(?:напишу|отправлю|пришлю|подготовлю|сделаю|проверю|узнаю|позвоню|закажу|забронирую|поговорю|займусь|составлю)\b)"
    r"|[^。，]{0,6}我(?:明天|今天|下午|这周|本周|下周|周[一二三四五])?(?:来|來|去|会|會|负责|負責)(?![说說讲講])[^。]*(?:[发發写寫做查问問联联系系订訂买買准準备備整]|确认|確認|处理|處理|安排)"
    r"|[^。]*(?:て|で)おきます|[^。]*(?:担当|手配|連絡|確認|作成|用意|送付)します"
)


def explains(low: str) -> bool:
    """Say whether a lowered sentence names why something went wrong."""
    return any(hint in low for hint in CAUSE_HINTS) and _EXPLAINS.search(low) is not None


def agent_chooses(low: str) -> bool:
    """Say whether a lowered sentence of an agent tells what it took instead of something else."""
    return any(hint in low for hint in CHOICE_HINTS) and _AGENT_CHOICE.match(low) is not None


def settles(low: str) -> bool:
    """Say whether a lowered sentence settles something among people."""
    return _may_settle(low) and _SETTLES.search(low) is not None


def chooses(low: str) -> bool:
    """Say whether a lowered sentence of a person settles something or prefers one thing to another."""
    return _may_settle(low) and (_SETTLES.search(low) or _PREFERS.search(low)) is not None


def _may_settle(low: str) -> bool:
    if not _SETTLING.isdisjoint(low.replace(",", " ").replace(":", " ").split()):
        return True
    return not low.isascii() and any(sign in low for sign in _SETTLING_WIDE)


def is_left(low: str) -> bool:
    """Say whether a lowered sentence names work that is left."""
    return any(hint in low for hint in LEFT_HINTS) and _LEFT.search(low) is not None


def takes_on(low: str) -> bool:
    """Say whether who says a lowered sentence takes something on."""
    return _TAKES_ON.match(low) is not None
