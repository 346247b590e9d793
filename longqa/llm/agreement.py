"""Whether an attempt says what the answer says, as far as the words alone are certain.

    agreement("Ambrose Fenn", "It was Ambrose Fenn.")     -> "same"
    agreement("fourteen men", "14 men were lost")         -> "same"
    agreement("14 men", "15 men")                         -> "different"
    agreement("Ambrose Fenn", "the brother of Fenn")      -> "unclear": a model compares them

Both are read as lists of words without case, punctuation, articles and other words that only frame
an answer; numbers in words and in digits are one. "same" needs the same words in the same order, or
a short answer that a sentence ends or begins with, with nothing beside it that could contradict: no
number, name, negation or hedge. "different" needs an attempt that gives up, or short answers: other
numbers of the same thing, yes against no, names that share nothing. All else is for the model.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Literal, NamedTuple

from rapidfuzz import fuzz

from longqa.llm.folding import NO_SPACE, Folded
from longqa.llm.replies import is_refusal

SHORT = 6  # content words of an answer that is judged by its words
_LONGEST_SENTENCE = 14  # words of an attempt that may hold a short answer
_RELATED = 60.0  # two words with this ratio may be forms of one

# An attempt's words before and behind the answer in it: "was lit by [Fenn]", "[14 men] were lost".
_LEADS = frozenset(
    "is was are were by named called be ist war von durch heißt est était par es por".split()
)
_VERBS = frozenset("is was are were did had has have ist war waren est était es era".split())
_FRAME = frozenset(
    "a an the it its is was are were be been this that there and of in on at answer "
    "der die das dem den des ein eine einen einem eines einer es ist war und "
    "le la les l un une c'est est était et el los las una es era y il lo gli è e o os as um uma de "
    "answer's it's that's".split()
)  # fmt: skip
_HEDGES = frozenset(
    "or but except instead rather either maybe perhaps possibly probably almost nearly former "
    "formerly previously before after unlike if though although however supposedly allegedly "
    "oder aber vielleicht wohl fast statt außer ou mais peut presque sauf pero quizás casi salvo "
    "not no never none nor neither without cannot isn't wasn't aren't weren't didn't doesn't don't "
    "nicht kein keine nie ohne pas ne jamais sans nunca sin non mai senza not niet geen нет не ни "
    "不 没 無 无 非 未 或 否".split()
)
_YES = frozenset("yes yeah true correct ja oui sí si sim tak да 是 はい".split())
_NO = frozenset("no nope false incorrect nein non não nie нет 否 いいえ".split())

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_UNITS = {word: value for value, word in enumerate(_SMALL)} | {
    "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9,
    "zehn": 10, "zwölf": 12, "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "huit": 8, "dix": 10,
    "onze": 11, "douze": 12, "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "siete": 7, "ocho": 8,
    "nueve": 9, "diez": 10, "doce": 12,
}  # fmt: skip
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TENS_VALUES = {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9}
_ORDINALS = {
    word: f"{value}th"
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(),
        start=1,
    )
}
_MEASURES = frozenset(
    "% dollar euro pound k m bn km cm mm kg g mg lb lbs ft mi mile miles metre metres meter meters "
    "am pm h s min hour hours minute minutes day days week weeks month months year years decade "
    "decades century centuries half third quarter thirds quarters c f degrees pair couple".split()
)
_ALIKE = {
    "percent": "%", "dollars": "dollar", "euros": "euro", "pounds": "pound", "okay": "ok",
    "$": "dollar", "€": "euro", "£": "pound", "&": "and",
}  # fmt: skip
_TOKEN = re.compile(
    r"(?P<number>(?<![\w.])-?\d+(?:[.,]\d+)*(?:st|nd|rd|th)?(?!\w))"
    r"|[^\W_]+(?:'[^\W_]+)*|[%$€£&]"
)
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_EITHER = re.compile(r"\d{1,3}(?:\.\d{3})+")  # a thousand in German, one and no thousandths here
_NUMBER = re.compile(r"-?\d+(?:\.\d+)*(?:th)?")
_CURRENCY = re.compile(r"([$€£])\s*(\d[\d.,]*(?:\s*(?:million|billion|thousand))?)")

_UNKNOWN = re.compile(
    r"""(?x)
    (?:(?:the\ )?answer\ is\ )?(?:unknown|unsure|unclear|undetermined|n/?a)
    | (?:it\ is\ |it's\ )?
      not\ (?:known|sure|certain|stated|specified|mentioned|given|available|provided|clear)
    | no\ (?:idea|answer|information) | insufficient\ information | cannot\ be\ determined
    | i\ (?:really\ )?(?:do\ not|don't|cannot|can't)\ (?:know|say|tell|remember|recall)
      (?:\ the\ answer|\ that|\ this)? | i(?:'m|\ am)\ not\ (?:sure|certain)
    | (?:the|this)\ (?:text|passage|document|context|book|excerpt)\ (?:does\ not|doesn't)
      \ (?:say|mention|state|specify|tell|provide|contain)[^,;:]*
    | unbekannt | keine\ angabe | ich\ weiß\ (?:es\ |das\ )?nicht | inconnue? | je\ ne\ sais\ pas
    | desconocid[oa] | no\ (?:lo\ )?sé | não\ sei | sconosciut[oa] | non\ (?:lo\ )?so | onbekend
    | неизвестно | я\ не\ знаю | 未知 | 我?不知道 | 不清楚 | 无法确定 | 未提及 | 不明
    | わかりません | 分かりません | 모르겠습니다 | 알\ 수\ 없음"""
)


class _Words(NamedTuple):
    words: list[str]  # the content, in order; numbers as digits
    all: list[str]  # with the words that frame it
    numbers: frozenset[str]
    names: frozenset[str]  # words with a capital, in small letters
    is_certain: bool  # no number in it can be read in two ways


def agreement(gold: str, attempt: str) -> Literal["same", "different", "unclear"]:
    """What the words alone say about an attempt; "unclear" where they are not enough."""
    if not attempt.strip():
        return "different" if gold.strip() else "unclear"
    if gold.strip() == attempt.strip():
        return "same"
    mine, theirs = _words(gold), _words(attempt)
    if mine.words and mine.words == theirs.words:
        return "same" if mine.is_certain and theirs.is_certain else "unclear"
    if _gives_up(attempt):
        shared = set(mine.words) & set(theirs.words)
        return "unclear" if shared or _gives_up(gold) else "different"
    if not mine.words or not theirs.words or len(mine.words) > SHORT:
        return "unclear"
    if mine.is_certain and theirs.is_certain and _holds(mine, theirs, attempt):
        return "same"
    return "different" if _are_different(mine, theirs) else "unclear"


def _holds(mine: _Words, theirs: _Words, attempt: str) -> bool:
    """Whether an attempt is a plain sentence that a short answer begins or ends."""
    answer, sentence = _trimmed(mine.all), theirs.all
    if not answer or len(sentence) > _LONGEST_SENTENCE or re.search(r"[,;:()]", attempt.strip()):
        return False
    if theirs.numbers != mine.numbers or _HEDGES & (set(sentence) - set(answer)):
        return False
    extra = theirs.names & set(sentence[1:]) - set(answer)
    if extra or _MEASURES & (set(sentence) - set(answer)):
        return False
    size = len(answer)
    begins = (
        sentence[:size] == answer and sentence[size] in _VERBS if len(sentence) > size else False
    )
    before = [word for word in sentence[:-size] if word not in {"a", "an", "the"}]
    ends = sentence[-size:] == answer and bool(before) and before[-1] in _LEADS
    return begins or ends


def _are_different(mine: _Words, theirs: _Words) -> bool:
    """Whether two short answers cannot mean the same."""
    first, second = mine.all[0], theirs.all[0]
    if (first in _YES and second in _NO) or (first in _NO and second in _YES):
        return True
    if len(theirs.words) > SHORT or not (mine.is_certain and theirs.is_certain):
        return False
    things, others = set(mine.words) - mine.numbers, set(theirs.words) - theirs.numbers
    if mine.numbers and theirs.numbers:
        same_thing = not things or things <= others or not others
        measured = _MEASURES & (things ^ others)
        return same_thing and not measured and not mine.numbers & theirs.numbers
    if mine.numbers or theirs.numbers or not mine.names or not theirs.names:
        return False
    if any(NO_SPACE.match(word) for word in things | others):
        return False
    latin = {all(ord(c) < 0x250 for c in "".join(words)) for words in (things, others)}
    initials = {"".join(w[0] for w in x.words) for x in (mine, theirs) if len(x.words) > 1}
    short_forms = any(word.startswith(tuple(initials)) for word in things | others)
    related = short_forms or any(
        fuzz.ratio(a, b) >= _RELATED or a.startswith(b[:4]) for a in things for b in others
    )
    return len(latin) == 1 and not related


def _gives_up(text: str) -> bool:
    folded = " ".join(Folded(text.casefold()).text.strip(" .!").split())
    return bool(_UNKNOWN.fullmatch(folded)) or is_refusal(text)


def _trimmed(words: list[str]) -> list[str]:
    """Without what frames an answer at its ends."""
    first, last = 0, len(words)
    while first < last and words[first] in _FRAME:
        first += 1
    while last > first and words[last - 1] in _FRAME:
        last -= 1
    return words[first:last]


def _words(text: str) -> _Words:
    plain = unicodedata.normalize("NFKC", re.sub("[‘’′`´]", "'", text))
    plain = re.sub(r"(?i)\bper cent\b", "percent", plain).replace("−", "-")
    plain = re.sub(r"(?<=\w)[-‐‑–—]+(?=\w)", " ", plain)
    plain = _CURRENCY.sub(r"\2 \1", plain)
    names = {m[0].casefold() for m in _TOKEN.finditer(plain) if m[0][0].isupper()}
    tokens: list[str] = []
    is_certain = True
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", plain.casefold())):
        word = _ALIKE.get(match[0], _ORDINALS.get(match[0], match[0]))
        if match["number"]:
            is_certain &= not _EITHER.fullmatch(word)
            word = _plain_number(word)
        tokens += list(word) if NO_SPACE.match(word) and len(word) > 1 else [word]
    joined = _with_digits(tokens)
    numbers = {word for word in joined if _NUMBER.fullmatch(word)}
    content = [word for word in joined if word not in _FRAME]
    return _Words(content or joined, joined, frozenset(numbers), frozenset(names), is_certain)


def _plain_number(digits: str) -> str:
    """ "1,000" and "1000.0" → "1000"; "3,5" → "3.5"; "2nd" → "2th" """
    if digits[-1].isalpha():
        return digits[:-2].replace(",", "") + "th"
    plain = digits.replace(",", "") if _THOUSANDS.fullmatch(digits) else digits.replace(",", ".")
    if plain.count(".") == 1:
        plain = plain.rstrip("0").rstrip(".")
    sign, plain = plain[: plain.startswith("-")], plain.lstrip("-0")
    return f"{sign}{'0' * (plain[:1] in {'', '.'})}{plain}"


def _with_digits(tokens: list[str]) -> list[str]:
    """Numbers in words as digits: "two hundred and five" → "205", "1.5 million" → "1500000"."""
    found: list[str] = []
    total: Decimal | None = None  # of the number that is being read
    last = 0  # how large what comes next has to be smaller than
    for index, word in enumerate(tokens):
        follows = tokens[index + 1] if index + 1 < len(tokens) else ""
        is_digits = follows in _SCALES and re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", word)
        value = _UNITS.get(word, _TENS_VALUES.get(word))
        if word in _SCALES:
            total = (Decimal(1) if total is None else total) * _SCALES[word]
            last = _SCALES[word]
        elif value is not None and total is not None and value < last:
            total += value
            last = 10 if word in _TENS_VALUES else 0
        elif value is not None or is_digits:
            if total is not None:
                found.append(f"{total.normalize():f}")
            total = Decimal(word if value is None else value)
            last = 10 if word in _TENS_VALUES else 0
        elif word == "and" and total is not None and last >= 100 and _is_number(follows):
            continue
        else:
            if total is not None:
                found.append(f"{total.normalize():f}")
            total = None
            found.append(word)
    return found if total is None else [*found, f"{total.normalize():f}"]


def _is_number(word: str) -> bool:
    return word in _UNITS or word in _TENS_VALUES
