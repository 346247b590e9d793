"""Where a quote stands that a model wrote down from memory: its offsets in the text, or nothing.

    text      The engi-              quote   "the engineer's report … was never read"
              neer’s report, which           -> Aligned(0, 22, exact=True), Aligned(39, 53, …)
              came late, was never
              read.

First exactly, after both sides were folded: white space, quotation marks, dashes and hyphens,
ligatures and other compatibility forms (NFKC), emphasis marks; case last. Then nearly: at least
NEAR of rapidfuzz's ratio, on whole words. What is nearly right proves nothing where it differs in
what counts: a number, a name, a negation, a word that is another word, its first or last word.

An elided quote is found as its parts, in their order; each has to be long enough by itself. Cost
is linear in the text for the exact search; the other looks at PROBES pieces of PROBE characters.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein

from longqa.llm.folding import NO_SPACE, WORD, Folded, lower_case

NEAR = 90.0  # of 100
MINWORDS, MIN_CHARACTERS, MIN_IDEOGRAPHS = 3, 12, 6  # shorter quotes mean nothing
MAX_NEAR = 2_000  # characters; longer quotes are looked for exactly or not at all
PROBE, PROBES = 200, 3  # longer pieces take seconds in texts that repeat one line
_EDGE, _STEP = 60, 12  # characters: how much places its ends, and how far off they may be then
_FAR = 80.0  # a piece with this ratio says where the whole may be
_MAX_PARTS = 6
_MAX_COUNT = 1_000

_ELLIPSIS = re.compile(r"[\[(]?\.\.\.[\])]?")
_BEFORE = re.compile(r"(?:[\s\"'.,;:!?()\[\]。、]|-(?=[^\W\d]))*")
_AFTER = " \"'.,;:!?()[]-。、"


@dataclass(frozen=True, slots=True)
class Aligned:
    """context[start:end] is the quote as the text has it.

    `score` is 100 where it is exact; `count` says how often it stands in the text so, this being
    the first place.
    """

    start: int
    end: int
    score: float
    exact: bool
    count: int = 1


class Aligner:
    """Finds quotes in one text, which is folded once."""

    def __init__(self, context: str) -> None:
        self.context = context
        self._folded = Folded(context)
        self._cased = self._folded.text
        self._lower = lower_case(self._cased)

    def align(self, quote: str) -> tuple[Aligned, ...]:
        """The places that prove a quote: one, or one for each part of an elided quote.

        () where it is too short to mean anything, or does not stand in the text.
        """
        folded = Folded(quote).text
        if whole := self._exact(folded) or self._near(folded):
            return (whole,)
        parts = [part for part in _ELLIPSIS.split(folded) if WORD.search(part)]
        if not 2 <= len(parts) <= _MAX_PARTS:
            return ()
        found: list[Aligned] = []
        at = 0
        for part in parts:
            place = self._exact(part, at) or self._near(part, at)
            if place is None:
                return ()
            found.append(place)
            at = bisect_right(range(len(self._cased)), place.end - 1, key=self._folded.start)
        return tuple(found)

    def align_all(self, quotes: Iterable[str]) -> list[tuple[Aligned, ...]]:
        """`align` for each."""
        return [self.align(quote) for quote in quotes]

    def places(self, quote: str) -> tuple[Aligned, ...]:
        """Every place where the whole quote stands exactly, the first thousand of them."""
        spans = self._exactly(Folded(quote).text, 0)
        return tuple(Aligned(start, end, 100.0, True, len(spans)) for start, end in spans)

    def _exact(self, folded: str, at: int = 0) -> Aligned | None:
        spans = self._exactly(folded, at)
        return Aligned(*spans[0], 100.0, True, len(spans)) if spans else None

    def _exactly(self, folded: str, at: int) -> list[tuple[int, int]]:
        core, suffix = _core(folded)
        if not _is_enough(core):
            return []
        for text, wanted, after in (
            (self._cased, core, suffix),
            (self._lower, lower_case(core), suffix),
        ):
            spans: list[tuple[int, int]] = []
            found = text.find(wanted, at)
            while found >= 0 and len(spans) < _MAX_COUNT:
                if self._is_border(found) and self._is_border(found + len(wanted)):
                    end = found + len(wanted)
                    while (
                        end - found - len(wanted) < len(after)
                        and text[end : end + 1] == (after[end - found - len(wanted)])
                    ):
                        end += 1
                    spans.append(self._span(found, end))
                found = text.find(wanted, found + 1)
            if spans:
                return spans
        return []

    def _near(self, folded: str, at: int = 0) -> Aligned | None:
        core, _ = _core(folded)
        if not _is_enough(core) or len(core) > MAX_NEAR:
            return None
        lower = lower_case(core)
        start = self._probe(lower, at)
        if start is None:
            return None
        start, end = self._refine(lower, start, at)
        score = fuzz.ratio(lower, self._lower[start:end])
        if score < NEAR or differs(core, self._cased[start:end]):
            return None
        return Aligned(*self._span(start, end), round(score, 2), False)

    def _probe(self, lower: str, at: int) -> int | None:
        """About where a quote begins in the folded text, from the piece of it that fits best."""
        if len(lower) <= PROBE:
            offsets, cutoff = [0], NEAR - 5  # the refinement gains a little
        else:
            last = len(lower) - PROBE
            offsets, cutoff = [last * i // (PROBES - 1) for i in range(PROBES)], _FAR
        text = self._lower[at:] if at else self._lower
        best: tuple[float, int] | None = None
        for offset in offsets:
            piece = lower[offset : offset + PROBE]
            found = fuzz.partial_ratio_alignment(piece, text, score_cutoff=cutoff)
            if len(piece) > len(text) or found is None:
                continue
            if best is None or found.score > best[0]:
                best = found.score, max(at + found.dest_start - offset, at)
        return None if best is None else best[1]

    def _refine(self, lower: str, rough: int, at: int) -> tuple[int, int]:
        """The words that fit a quote best, near a place where it about begins."""
        text = self._lower
        margin, edge = len(lower) // 10 + 12, min(len(lower), _EDGE)
        head, tail = lower[:edge], lower[-edge:]
        rough = max(
            self._borders(max(at, rough - margin), rough + margin),
            key=lambda s: (fuzz.ratio(head, text[s : s + edge]), -abs(s - rough)),
            default=rough,
        )
        until = rough + len(lower)
        until = max(
            self._borders(max(rough, until - margin), until + margin),
            key=lambda e: (fuzz.ratio(tail, text[max(e - edge, 0) : e]), -abs(e - until)),
            default=until,
        )
        start = max(
            self._borders(max(at, rough - _STEP), rough + _STEP),
            key=lambda s: (fuzz.ratio(lower, text[s:until]), s),
            default=rough,
        )
        end = max(
            self._borders(max(start, until - _STEP), until + _STEP),
            key=lambda e: (fuzz.ratio(lower, text[start:e]), -e),
            default=until,
        )
        return start, end

    def _borders(self, first: int, last: int) -> Iterator[int]:
        """Places between words in a stretch of the folded text."""
        for place in range(max(first, 0), min(last, len(self._cased)) + 1):
            if self._is_border(place):
                yield place

    def _is_border(self, place: int) -> bool:
        """Whether no word of the text goes on over a place of the folded text."""
        if not 0 < place < len(self._cased):
            return True
        at = self._folded.start(place)
        before, after = self.context[at - 1], self.context[at]
        inside = before.isalnum() and after.isalnum()
        return not inside or bool(NO_SPACE.match(before) or NO_SPACE.match(after))

    def _span(self, start: int, end: int) -> tuple[int, int]:
        """In characters of the text, without white space around."""
        first, last = self._folded.start(start), self._folded.end(end)
        while first < last and self.context[first].isspace():
            first += 1
        while last > first and self.context[last - 1].isspace():
            last -= 1
        return first, last


def _core(folded: str) -> tuple[str, str]:
    """A quote without what stands around it, and what stands behind."""
    begun = folded[match.end() :] if (match := _BEFORE.match(folded)) else folded
    core = begun.rstrip(_AFTER)
    return core, begun[len(core) :]


def _is_enough(core: str) -> bool:
    words = sum(1 for _ in zip(WORD.finditer(core), range(MINWORDS), strict=False))
    if words == MINWORDS and len(core) >= MIN_CHARACTERS:
        return True
    return len(NO_SPACE.findall(core[:1_000])) >= MIN_IDEOGRAPHS


# Words that turn a sentence round, numbers in words, and whom it is about. A contraction counts as
# the word in it.
_TELLING = frozenset(
    "not no never none nor neither nobody nothing nowhere without hardly "
    "nicht nie niemals kein keine keinen keinem keiner keines nichts niemand weder ohne "
    "pas ne jamais aucun aucune rien personne ni sans non "
    "nunca jamás ningún ninguno ninguna nada nadie sin nem não nunca nenhum nenhuma ninguém sem "
    "mai nessuno nessuna niente nulla né senza niet geen nooit niets niemand zonder "
    "inte aldrig ingen inget inga ikke aldri aldrig nie nigdy żaden bez не ни нет никогда без "
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred thousand million billion first second third half twice "
    "he she him her his hers they them their we us our er sie il elle ils elles él ella "
    "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf hundert tausend "
    "deux trois quatre cinq six sept huit neuf dix onze douze cent mille "
    "dos tres cuatro cinco seis siete ocho nueve diez cien mil "
    "不 没 沒 無 无 非 未 別 别 勿 否 "
    "一 二 三 四 五 六 七 八 九 十 百 千 万 萬 億 亿 两 兩 半".split()
)
_NUMBER = re.compile(r"[^\W\d_]*\d[\d.,]*")
_OTHERWORD = 50.0  # two words with a lower ratio are two words, not one and a slip


def differs(quote: str, found: str) -> bool:
    """Whether two folded passages differ in a number, a name, a negation, or by another word."""
    if _numbers(quote) != _numbers(found):
        return True
    mine, theirs = WORD.findall(quote), WORD.findall(found)
    small = {word.lower() for word in theirs}
    if any(word[0].isupper() and word.lower() not in small for word in mine):
        return True
    if _telling(mine) != _telling(theirs):
        return True
    if not (mine and theirs and _alike(mine[0], theirs[0]) and _alike(mine[-1], theirs[-1])):
        return True  # else "did go" would be "did", and "not go" left out
    left, right = [w.lower() for w in mine], [w.lower() for w in theirs]
    changed = False
    for step in Levenshtein.opcodes(left, right):
        mine, theirs = left[step.src_start : step.src_end], right[step.dest_start : step.dest_end]
        if step.tag == "replace" and max(map(len, (*mine, *theirs))) >= 4:
            changed |= not _alike("".join(mine), "".join(theirs))
    return changed


def _alike(word: str, other: str) -> bool:
    return fuzz.ratio(word.lower(), other.lower()) >= _OTHERWORD


def _numbers(text: str) -> Counter[str]:
    return Counter(match[0].rstrip(".,") for match in _NUMBER.finditer(text.lower()))


def _telling(words: list[str]) -> Counter[str]:
    folded = (word.lower() for word in words)
    plain = ("not" if w.endswith("n't") or w == "cannot" else w for w in folded)
    return Counter(word for word in plain if word in _TELLING)
