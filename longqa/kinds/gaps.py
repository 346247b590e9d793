"""Dates and quantities: one is taken out of a sentence, and the text is asked for it.

“On ____, Phileas Fogg left London.”   -> “the 2nd of October, 1872”
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from longdata.documents import Span
from longqa.kinds.sequence import telling
from longqa.phrasings import ask
from longqa.records import Question
from longqa.spreading import spread
from longqa.view import View

GAP = "____"
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DAY = r"\d{1,2}(?:st|nd|rd|th|d)?"
_YEAR = r"(?:1[0-9]\d\d|20[0-4]\d)"
_DATE = re.compile(
    rf"(?:the )?{_DAY}(?: day)? of {_MONTH}(?:,? {_YEAR})?"
    rf"|{_DAY} {_MONTH}(?:,? {_YEAR})?"
    rf"|{_MONTH} (?:the )?{_DAY}\b(?:,? {_YEAR})?"
    rf"|{_MONTH},? {_YEAR}"
    rf"|\b(?<=[Ii]n )(?:the year )?{_YEAR}\b(?! (?:[a-z]+s|feet|foot|men|women|people)\b)"
)
# “5–7 March”, “in 1801 and 1805”: half of a range is no date.
_HALF_BEFORE = re.compile(r"(?:\d(?:st|nd|rd|th)? ?(?:and|or|to|–|—|-) ?(?:the )?|[–—-])$")
_HALF_AFTER = re.compile(r"[–—-]\d|\d|,?(?: and| or| to) (?:the )?\d")
_ONES = "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen"
_TENS = "sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORD = f"(?:{_ONES}|{_TENS}|hundred|thousand|million|dozen)"
_NUMBER = (
    rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d+(?:\.\d+)?|(?:[Aa] )?{_WORD}(?:[ -](?:and )?(?:one|{_WORD}))*)"
)
_UNITS = (
    "miles?|feet|foot|yards?|inches|fathoms?|leagues?|knots|acres?|tons?|pounds?|ounces?|shillings|"
    "pence|guineas|dollars|cents|francs|roubles|rubles|sovereigns|years?|months?|weeks?|days?|"
    "hours?|minutes?|seconds?|degrees|per cent|percent|men|women|people|persons|soldiers|"
    "passengers|horses|ships|vessels|guns|houses|rooms|pages|times|metres|meters|kilometres|kilometers|centimetres|"
    "millimetres|gallons|bushels|pints|layers|tokens|parameters|samples|epochs|participants|nodes|"
    "neurons|students|lectures|bytes|bits|GB|MB|KB|GiB|MiB|ms|Hz|kHz|MHz|GHz|trials|iterations|"
    "experiments|images|documents|features|dimensions|classes|tasks|models|cores|threads|processors"
)
_QUANTITY = re.compile(
    rf"(?<![\w.,–—−/-])(?P<number>{_NUMBER})(?:(?P<percent> ?%)|[ ](?P<unit>{_UNITS})\b)(?![-–—])"
)
_LABEL_BEFORE = re.compile(
    r"(?:Fig(?:ure|s?\.)?|Tables?|Sections?|Chapters?|Eq(?:uation|s?\.)?|Algorithm|Listing|"
    r"Appendix|Theorem|Lemma|page|version|No\.|number|\bor|\bto|\band|between|–|—|\bsome|another|"
    r"[Tt]he last|\bone|couple of|\bfew|several|\bhalf|\bhalf a|many|good|full|\bas|[Tt]he(?:se)?|"
    rf"[Tt]hose|[×x*±+/]|\b(?:{_ONES}|\d+),) $"
)
_DIGIT = re.compile(r"\d")
_RANGE_AFTER = re.compile(r" (?:or|to) ")
_BARE_HUNDRED = re.compile(r"(?:hundred|thousand|million|dozen)\b")  # of “a good hundred”
_AND_A_HALF = re.compile(r" and (?:a |one |three )?(?:half|quarters?)\b")


def date(view: View, rng: random.Random) -> Iterator[Question]:
    """When something happens: a day, a month with its year, or a year."""
    return _gaps(view, rng, "date", _find_date)


def quantity(view: View, rng: random.Random) -> Iterator[Question]:
    """How much or how many: a number with its unit."""
    return _gaps(view, rng, "quantity", _find_quantity)


_Found = tuple[str, int, int]  # the answer, and where the gap begins and ends in the sentence


def _find_date(text: str) -> _Found | None:
    """The one date of a sentence; None when there is none, or more than one."""
    if _DIGIT.search(text) is None:
        return None
    matches = list(_DATE.finditer(text))
    if len(matches) != 1:
        return None
    start, end = matches[0].span()
    if _HALF_BEFORE.search(text[max(0, start - 14) : start]) or _HALF_AFTER.match(text, end):
        return None
    return matches[0][0], start, end


def _find_quantity(text: str) -> _Found | None:
    """The first quantity that is no label, range or figure of speech; its number is the gap."""
    for match in _QUANTITY.finditer(text):
        if _LABEL_BEFORE.search(text[max(0, match.start() - 12) : match.start()]):
            continue
        if _RANGE_AFTER.match(text, match.end("number")) or match["number"].lower() == "a":
            continue
        if match.start() == 0 or text.count(match["number"]) != 1:
            continue
        if _AND_A_HALF.match(text, match.end()) or _BARE_HUNDRED.match(match["number"]):
            continue
        return (match[0], *match.span("number"))
    return None


def _gaps(
    view: View, rng: random.Random, kind: str, find: Callable[[str], _Found | None]
) -> Iterator[Question]:
    for sentence in spread(telling(view), depth=lambda s: view.depth(s.start), rng=rng):
        text = view.quote(sentence)
        found = find(text)
        if found is None:
            continue
        answer, start, end = found
        before, after = text[:start], text[end:]
        # the rest must point to one place: it may not stand elsewhere with another number
        if not view.is_unique(sentence) or view.text.count(before.strip()[-60:]) > 1:
            continue
        yield Question(
            kind=kind,
            about=text,
            text=ask(kind, rng, cloze=f"{before}{GAP}{after}"),
            answer=answer[:1].upper() + answer[1:] + ".",
            evidence=(Span(start=sentence.start, end=sentence.end),),
        )
