"""Cue words of other languages than English: what people take on, and what is left."""

from __future__ import annotations

from sessiontrackd.patterns import lazy_regex

LEFT_HINTS = (
    "noch nicht", "fehlt noch", "steht noch", "stehen noch", "muss noch", "pendiente", "falta ", "queda por", "il reste", "pas encore", "ainda ", "ancora ",
    "ещё не", "осталось", "尚未", "还没", "還沒", "还需要", "まだ", "未対応", "未実装",
)  # fmt: skip
_LEFT = lazy_regex(
    r"\b(?:ist|sind|wurden?|habe|haben)\b[^.;:]{0,60}\bnoch nicht\b|\b(?:fehlt|fehlen|steht|stehen) noch\b|\bmuss noch\b|\b(?:queda|está|están) pendientes?\b|\b(?:falta|queda)n? por \w+r\b|\btodavía (?:no|falta)|\baún (?:no|falta)"
    r"|\bil reste (?:à|encore)\b|\b(?:est|sont|a|ont|ai) pas encore\b|\bainda (?:não|falta)|\b(?:non (?:è|sono|ho|abbiamo) ancora|manca ancora)\b|\bещё не\b|\bосталось\b|尚未|还没有?|還沒有?|还需要|まだ[^。]{1,30}(?:ていません|ておりません|ていない)|未対応|未実装"
)
_TAKES_ON = lazy_regex(
    r"\W*(?:(?:ok|vale|sí|perfecto|bueno|entonces|y|oui|d'accord|alors|et|moi|bon|sim|tá|beleza|então|e|va bene|sì|allora|да|хорошо|тогда|а|gut|dann|ja|und|also)\W+)*(?:"
    r"(?:ich )?(?:schreibe|schicke|sende|kläre|frage|prüfe|erstelle|buche|reserviere|melde|rufe|organisiere|übernehme|bestelle|bereite|besorge) (?:ich |das |es |die |den |dem |der |dir |euch |ihnen |mal )?(?!hier\b|seit\b)\w"
    r"|(?:ich )?(?:sage|gebe) [^.]{0,40}bescheid\b"
    r"|(?:yo )?(?:(?:mañana|hoy|luego) )?(?:(?:os|te|les?|se|lo|la|me) )*(?:reservo|mando|env[ií]o|preparo|escribo|llamo|pregunto|reviso|hablo con|encargo|ocupo|organizo|compro|contacto|voy a (?:mandar|enviar|preparar|escribir|llamar|hablar|revisar|reservar|comprar))\b"
    r"|je (?:(?:te|vous|leur|lui|les?|la|m'en|me) ?)?(?:envoie|prépare|écris|rédige|appelle|réserve|contacte|demande|vérifie|occupe|charge|vais (?:l'|le |la |les |vous |te |leur )?(?:envoyer|préparer|écrire|appeler|voir avec|contacter|vérifier|réserver))\b"
    r"|(?:eu )?(?:(?:te|lhes?|me) )?(?:mando|envio|preparo|escrevo|ligo para|reservo|reviso|falo com|compro|organizo|fico de|encarrego|vou (?:mandar|enviar|preparar|escrever|ligar|falar|revisar|reservar))\b"
    r"|(?:io )?(?:(?:vi|ti|gli|le|lo|la|me ne|mi) )?(?:mando|invio|preparo|scrivo|chiamo|prenoto|controllo|parlo con|compro|organizzo|occupo io|occupo di)\b"
    r"|я (?:\w+ ){0,2}?(?:напишу|отправлю|пришлю|подготовлю|сделаю|проверю|узнаю|позвоню|закажу|забронирую|поговорю|займусь|составлю)\b)"
    r"|[^。，]{0,6}我(?:明天|今天|下午|这周|本周|下周|周[一二三四五])?(?:来|來|去|会|會|负责|負責)(?![说說讲講])[^。]*(?:[发發写寫做查问問联联系系订訂买買准準备備整]|确认|確認|处理|處理|安排)"
    r"|[^。]*(?:て|で)おきます|[^。]*(?:担当|手配|連絡|確認|作成|用意|送付)します"
)


def is_left(low: str) -> bool:
    """Say whether a lowered sentence names work that is left."""
    return any(hint in low for hint in LEFT_HINTS) and _LEFT.search(low) is not None


def takes_on(low: str) -> bool:
    """Say whether who says a lowered sentence takes something on."""
    return _TAKES_ON.match(low) is not None
