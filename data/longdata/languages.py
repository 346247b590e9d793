"""In which language a text is written, and what languages are called.

    language_of("Der Wärter zündete die Lampe jeden Abend an. …")  -> "de"
    name_of("de")                                                  -> "German"
    parse("German"), parse("deu"), parse("de-AT")                  -> "de", "de", "de"

The language is py3langid's guess (Lui and Baldwin, langid.py, 2012; its model is a file of numbers
in the package, nothing is downloaded or unpickled). It sees PLACES stretches of the text, spread
over it evenly, and its answer counts from LEAST_SURE on; else the language is not known.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from longdata.errors import UserError

PLACES, STRETCH = 5, 600  # characters of each stretch
LEAST_SURE = 0.9  # probability
LEAST_BYTES = 40  # of letters in UTF-8: forty Latin letters, fourteen Chinese ones

# ISO 639-1, ISO 639-2 (B after T where they differ), English name
_TABLE = """
af afr Afrikaans; am amh Amharic; ar ara Arabic; as asm Assamese; az aze Azerbaijani;
ba bak Bashkir; be bel Belarusian; bg bul Bulgarian; bn ben Bengali; br bre Breton;
bs bos Bosnian; ca cat Catalan; cs ces/cze Czech; cy cym/wel Welsh; da dan Danish;
de deu/ger German; el ell/gre Greek; en eng English; eo epo Esperanto; es spa Spanish;
et est Estonian; eu eus/baq Basque; fa fas/per Persian; fi fin Finnish; fo fao Faroese;
fr fra/fre French; fy fry Frisian; ga gle Irish; gd gla Scottish Gaelic; gl glg Galician;
gu guj Gujarati; ha hau Hausa; he heb Hebrew; hi hin Hindi; hr hrv Croatian; ht hat Haitian Creole;
hu hun Hungarian; hy hye/arm Armenian; id ind Indonesian; ig ibo Igbo; is isl/ice Icelandic;
it ita Italian; ja jpn Japanese; jv jav Javanese; ka kat/geo Georgian; kk kaz Kazakh;
km khm Khmer; kn kan Kannada; ko kor Korean; ku kur Kurdish; ky kir Kyrgyz; la lat Latin;
lb ltz Luxembourgish; lo lao Lao; lt lit Lithuanian; lv lav Latvian; mg mlg Malagasy;
mk mkd/mac Macedonian; ml mal Malayalam; mn mon Mongolian; mr mar Marathi; ms msa/may Malay;
mt mlt Maltese; my mya/bur Burmese; ne nep Nepali; nl nld/dut Dutch; no nor Norwegian;
oc oci Occitan; or ori Odia; pa pan Punjabi; pl pol Polish; ps pus Pashto; pt por Portuguese;
qu que Quechua; ro ron/rum Romanian; ru rus Russian; rw kin Kinyarwanda; sa san Sanskrit;
si sin Sinhala; sk slk/slo Slovak; sl slv Slovenian; sn sna Shona; so som Somali;
sq sqi/alb Albanian; sr srp Serbian; st sot Sotho; sv swe Swedish; sw swa Swahili; ta tam Tamil;
te tel Telugu; tg tgk Tajik; th tha Thai; tk tuk Turkmen; tl tgl Tagalog; tr tur Turkish;
tt tat Tatar; ug uig Uyghur; uk ukr Ukrainian; ur urd Urdu; uz uzb Uzbek; vi vie Vietnamese;
xh xho Xhosa; yi yid Yiddish; yo yor Yoruba; zh zho/chi Chinese; zu zul Zulu
"""
# Codes and names for what has its own line above.
_SAME = {
    "nb": "no", "nn": "no", "nob": "no", "nno": "no", "cmn": "zh", "wuu": "zh", "yue": "zh",
    "arz": "ar", "ary": "ar",
    "iw": "he", "in": "id", "ji": "yi", "fil": "tl", "mandarin": "zh", "farsi": "fa",
    "filipino": "tl", "flemish": "nl", "castilian": "es", "norwegian bokmål": "no", "gaelic": "gd",
    "norwegian nynorsk": "no", "oriya": "or", "kirghiz": "ky", "moldavian": "ro",
}  # fmt: skip
_LETTERS = re.compile(r"[^\W\d_]+")


def language_of(text: str) -> str | None:
    """The language of a text as ISO 639-1; None where it is too short, or no guess is sure."""
    sample = _sample(text)
    letters = _LETTERS.findall(sample)
    if sum(len(word.encode("utf-8", "replace")) for word in letters) < LEAST_BYTES:
        return None
    sure: dict[str, float] = {}
    for label, probability in _identifier().rank(" ".join(letters)):
        code = _SAME.get(label, label)
        sure[code] = sure.get(code, 0.0) + probability
    best = max(sure, key=lambda code: sure[code])
    return best if sure[best] >= LEAST_SURE and best in _names() else None


def name_of(code: str) -> str:
    """What a language is called in English; a code that is not in the table is its own name."""
    names = _names()
    return names.get(_base(code), code)


def parse(given: str) -> str:
    """A code or an English name as ISO 639-1. Raises UserError for anything else."""
    code = _base(given)
    if code in _names():
        return code
    raise UserError(
        f"got language {given!r}; allowed: a code of ISO 639 or an English name, such as de, deu, "
        "German or de-AT; fix: --language de"
    )


def _sample(text: str) -> str:
    """PLACES stretches from the middle of as many equal parts of a text; all of a short one."""
    if len(text) <= PLACES * STRETCH:
        return text
    part = len(text) / PLACES
    starts = [int(part * (place + 0.5)) - STRETCH // 2 for place in range(PLACES)]
    return " ".join(text[start : start + STRETCH] for start in starts)


def _base(given: str) -> str:
    """What a code or name stands for, if it is known: "de-AT", "ger", "German" → "de"."""
    folded = " ".join(given.casefold().split())
    for name in (folded, re.split(r"[-_]", folded)[0]):
        if name := _codes().get(name, ""):
            return name
    return ""


@cache
def _entries() -> list[tuple[str, list[str], str]]:
    split = [entry.split(maxsplit=2) for entry in " ".join(_TABLE.split()).split(";")]
    return [(code, others.split("/"), name) for code, others, name in split]


@cache
def _names() -> dict[str, str]:
    return {code: name for code, _, name in _entries()}


@cache
def _codes() -> dict[str, str]:
    found = {key: code for code, others, name in _entries() for key in (code, *others)}
    return found | {name.casefold(): code for code, _, name in _entries()} | _SAME


@cache
def _identifier() -> Any:
    """The model, read once in a process (0.7 s)."""
    from py3langid import langid

    return langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
