"""Numbers as headings print them: "XIV", "14", "FOURTEEN", "the Fourteenth" → 14.

    value_of("XIV") -> 14      value_of("forty-second") -> 42      value_of("IIX") -> None

`NUMBER` is the pattern of all of these, for building patterns of headings.
"""

from __future__ import annotations

import re

_UNITS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_UNITS_TH = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_TENS_TH = [ten[:-1] + "ieth" for ten in _TENS]

_WORDS: dict[str, int] = {
    **{word: i for i, word in enumerate(_UNITS, start=1)},
    **{word: i for i, word in enumerate(_UNITS_TH, start=1)},
    **{word: 10 * i for i, word in enumerate(_TENS, start=2)},
    **{word: 10 * i for i, word in enumerate(_TENS_TH, start=2)},
}
_LONGEST_FIRST = sorted(_WORDS, key=len, reverse=True)

ROMAN = r"[IVXLCDM]+|[ivxlcdm]+"
WORD = (
    rf"(?:(?:{'|'.join(_TENS)})[- ](?:{'|'.join(sorted(_UNITS[:9] + _UNITS_TH[:9], reverse=True))})"
    rf"|{'|'.join(_LONGEST_FIRST)})"
)
# The words match in any case; the Roman digits are all upper or all lower case.
NUMBER = rf"(?:\d{{1,4}}|(?i:{WORD})|{ROMAN})"

_ROMAN_FORM = re.compile(r"M{0,3}(?:CM|CD|D?C{0,4})(?:XC|XL|L?X{0,4})(?:IX|IV|V?I{0,4})", re.I)
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def value_of(number: str) -> int | None:
    """The value of an Arabic or Roman number or of a number word up to 99; None if it is none."""
    folded = number.strip().casefold().removeprefix("the ").strip()
    if folded.isascii() and folded.isdigit():
        return int(folded)
    if folded in _WORDS:
        return _WORDS[folded]
    tens, _, units = folded.replace(" ", "-").partition("-")
    if units in _WORDS and _WORDS[units] < 10 and tens in _TENS:
        return _WORDS[tens] + _WORDS[units]
    return _roman(folded.upper())


def _roman(number: str) -> int | None:
    if not number or not _ROMAN_FORM.fullmatch(number):
        return None
    digits = [_ROMAN_DIGITS[c] for c in number]
    return sum(-d if d < max(digits[i:]) else d for i, d in enumerate(digits))
