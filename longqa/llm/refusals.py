"""Texts in which a model declines, in the main languages.

    is_refusal("I’m sorry, but I can’t help with that.")  -> True
    is_refusal("Es tut mir leid, sagte er.")              -> False: he regrets, and declines nothing

Only the beginning of a text is looked at, and regret alone is none: it has to say that it cannot.
"""

from __future__ import annotations

import re

_REFUSAL = re.compile(
    r"""(?xis) \A [\s"'“”‘’«»„*_>\#-]* (?:
    # English
    (?:(?:i\s?(?:['’]m|\sam)|we\s?(?:['’]re|\sare))\s(?:very\s|really\s|so\s)?sorry|sorry|apologies
        |(?:i|we)\sapologi[sz]e|unfortunately|regrettably)\b .{0,80}?
        \b(?:can(?:no|['’])?t|can\snot|won['’]?t|unable|not\s(?:able|allowed|comfortable)|not\spossible)\b
    | (?:i|we)\s(?:can(?:no|['’])?t|can\snot|won['’]t|will\snot|must\sdecline\sto
        |(?:am|are)\s(?:unable|not\sable|not\sallowed)\sto
        |do\snot\sfeel\scomfortable|don['’]t\sfeel\scomfortable)\s (?:\w+\s)?
        (?:answer|assist|help|provide|comply|fulfil|generate|create|write|discuss|respond|share|engage
        |continue|complete|process|support|access|determine|offer|reproduce)
    | i['’]m\s(?:unable|not\sable|not\sallowed)\sto\s
    | as\san?\s(?:large\s)?(?:ai|artificial\sintelligence|language\smodel|assistant)\b
    # French, Spanish, Portuguese, Italian
    | (?:je\ssuis\s(?:vraiment\s|sincèrement\s)?désolée?|désolée?|malheureusement)\b .{0,40}?
        \bje\sne\s(?:peux|suis\spas)
    | je\sne\s(?:peux|puis)\spas\s(?:vous\s)?(?:répondre|aider|fournir|assister|générer|accéder)
    | en\stant\squ['’](?:ia|intelligence|assistant)\b | en\stant\sque\smodèle
    | (?:lo\ssiento|lamentablemente|disculpa|perdón)\b .{0,40}? \bno\s(?:puedo|me\ses\sposible)
    | no\spuedo\s(?:ayudar|responder|proporcionar|asistir|generar|cumplir)
    | como\s(?:una?\s)?(?:ia|inteligencia\sartificial|modelo\sde\s(?:lenguaje|linguagem))\b
    | (?:desculpe|sinto\smuito|lamento|infelizmente)\b .{0,40}? \bnão\s(?:posso|consigo|me\sé)
    | não\sposso\s(?:ajudar|responder|fornecer|gerar)
    | (?:mi\sdispiace|purtroppo)\b .{0,40}? \bnon\s(?:posso|sono\sin\sgrado)
    | non\sposso\s(?:aiutar|rispondere|fornire|generare)
    # German, Dutch, Swedish, Polish, Russian
    | (?:es\stut\smir\s(?:sehr\s)?leid|tut\smir\s(?:sehr\s)?leid|leider|entschuldigung)\b .{0,40}?
        \bkann\b .{0,80}? \bnicht\b
    | ich\skann\s .{0,60}? nicht\s(?:beantworten|helfen|weiterhelfen|bereitstellen|erstellen)
    | als\s(?:ki|künstliche\sintelligenz|sprachmodell)\b
    | (?:het\sspijt\sme|helaas|sorry)\b .{0,40}? \bkan\b .{0,60}? \bniet\b
    | (?:tyvärr|jag\sbeklagar)\b .{0,40}? \bkan\sjag\sinte
    | (?:przepraszam|przykro\smi|niestety)\b .{0,40}? \bnie\smogę
    | (?:извините|простите|к\sсожалению|мне\sжаль)\b .{0,40}? \bне\sмогу
    | я\sне\sмогу\s(?:ответить|помочь|предоставить|выполнить)
    # Chinese, Japanese, Korean, Arabic
    | (?:很|非常|十分)?(?:抱歉|对不起|對不起|遗憾) .{0,30}? (?:无法|無法|不能|没有办法|不便)
    | 我?(?:无法|無法|不能)(?:回答|提供|协助|協助|帮助|幫助|完成|满足|生成)
    | 作为(?:一个|一名)?(?:AI|人工智能|语言模型)
    | (?:申し訳|すみません|残念ながら) .{0,60}? (?:できません|できかねます|いたしかねます)
    | お(?:答え|手伝い).{0,8}?できません
    | (?:죄송|유감|미안) .{0,60}? (?:수\s없|못\s?합니다|어렵습니다)
    | (?:عذر|آسف|أعتذر|للأسف) .{0,40}? (?:لا\sيمكنني|لا\sأستطيع)
    )"""
)


def is_refusal(text: str) -> bool:
    """Whether a text begins as a model that declines does."""
    return _REFUSAL.match(text[:400]) is not None
