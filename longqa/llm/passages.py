"""The one passage that fits a question best, and quotes shown with the text around them.

    Passages(context).best("Who lit the lamp?")   -> Span(start=4310, end=5492)
    surroundings(context, [Span(…)])              -> ["… every evening [[the lamp was lit]] by …"]

A passage is one or more whole paragraphs, or sentences of a long one, of about SIZE characters. Its
score for a query q is BM25 with Lucene's idf, which is never negative:

    Σ_{t in q} log(1 + (N - n_t + 0.5) / (n_t + 0.5)) · f_t (k1 + 1) / (f_t + k1 (1 - b + b l / m))

f_t: how often the term stands in the passage, l: its terms, m: their mean number, n_t: passages
with the term, N: all passages; k1 = 1.2, b = 0.75 (Robertson and Zaragoza, The Probabilistic
Relevance Framework: BM25 and Beyond, 2009, eq. 3.15). Terms are folded words; in a script without
spaces, pairs of neighbouring characters.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from longdata.documents import Span

SIZE = 1_200  # characters of a passage, about
MARGIN = 400  # characters shown on each side of a quote
OPENED, CLOSED = "[[", "]]"  # around a quote
K1, B = 1.2, 0.75
_WORD = 40  # characters; what is longer, or has no spaces, may be cut

_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_TERM = re.compile(rf"[^\W_{_NO_SPACES}]+|(?=([{_NO_SPACES}][{_NO_SPACES}]))[{_NO_SPACES}]")
# Where a text may be cut: behind a paragraph, else behind a sentence, else behind a word.
_PARAGRAPH = re.compile(r"\n\s*\n\s*")
_SENTENCE = re.compile(r"[.!?…][\"”’»)\]]*\s+|[。！？][”」』）]*\s*|\n+")
_SPACE = re.compile(r"\s+")
_COMMON = frozenset(
    "a an and are as at be but by did do does for from had has have he her him his how i in is it "
    "its me my not of on or our she so than that the their them then there these they this those "
    "to was we were what when where which who whom whose why will with would you your "
    "der die das den dem des ein eine einen einem einer und ist war in im zu zum von mit auf für "
    "wer was wie wo wann warum welche welcher le la les un une des du et est en dans que qui quoi "
    "el los las y es por para con una de del quién qué cómo".split()
)


class Passages:
    """The passages of one text, indexed once."""

    def __init__(self, context: str, *, size: int = SIZE) -> None:
        self.passages: tuple[Span, ...] = tuple(_cut(context, size))
        self._counts = [Counter(terms(context[p.start : p.end])) for p in self.passages]
        self._lengths = [counts.total() for counts in self._counts]
        self._mean = sum(self._lengths) / max(len(self._lengths), 1) or 1.0
        self._where: dict[str, list[int]] = defaultdict(list)
        for index, counts in enumerate(self._counts):
            for term in counts:
                self._where[term].append(index)

    def best(self, query: str) -> Span:
        """The passage with the highest score; of equal ones the first."""
        scores = self.scores(query)
        return self.passages[max(range(len(scores)), key=lambda i: (scores[i], -i))]

    def scores(self, query: str) -> list[float]:
        """The score of every passage, in the order of the text."""
        wanted = dict.fromkeys(terms(query))
        telling = [term for term in wanted if term not in _COMMON] or list(wanted)
        scores = [0.0] * len(self.passages)
        for term in telling:
            indices = self._where.get(term, [])
            n = len(indices)
            idf = math.log(1 + (len(self.passages) - n + 0.5) / (n + 0.5))
            for i in indices:
                f = self._counts[i][term]
                norm = K1 * (1 - B + B * self._lengths[i] / self._mean)
                scores[i] += idf * f * (K1 + 1) / (f + norm)
        return scores


def best_passage(context: str, query: str, *, size: int = SIZE) -> Span:
    """The passage of a text that fits a query best; for many queries keep a `Passages`."""
    return Passages(context, size=size).best(query)


def terms(text: str) -> list[str]:
    """What is counted: words in small letters, pairs of neighbouring ideographs."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return [match[1] or match[0] for match in _TERM.finditer(folded)]


def _cut(text: str, size: int) -> Iterable[Span]:
    """A text in passages of at most 1.5 times the size, which together are the whole of it."""
    most = size + size // 2
    ends = [
        sorted({*(m.end() for m in pattern.finditer(text)), len(text)})
        for pattern in (_PARAGRAPH, _SENTENCE, _SPACE)
    ]
    at = 0
    while at < len(text):
        end = _end(at, size, most, ends) if len(text) - at > most else len(text)
        yield Span(start=at, end=end)
        at = end
    if not text:
        yield Span(start=0, end=0)


def _end(at: int, size: int, most: int, ends: Sequence[list[int]]) -> int:
    """Where a passage ends: the best kind of border between half of its size and the most."""
    least = at + max(size // 2, 1)
    for borders in ends:
        near = bisect_right(borders, at + size)
        nearest = borders[max(near - 1, 0) : near + 1]
        within = [end for end in nearest if least <= end <= at + most]
        if within:
            return min(within, key=lambda e: (abs(e - at - size), e))
    return at + size


def surroundings(context: str, spans: Sequence[Span], *, margin: int = MARGIN) -> list[str]:
    """Each span with about `margin` characters of text on both sides, cut between words.

    The spans are marked with [[ and ]]; where what is shown of two meets, they are shown in one.
    """
    merged: list[list[Span]] = []
    reach = -1
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        first, last = _between_words(context, span.start - margin, span.end + margin)
        if merged and first <= reach:
            merged[-1].append(span)
        else:
            merged.append([span])
        reach = max(reach, last)
    return [_shown(context, group, margin) for group in merged]


def _shown(context: str, group: list[Span], margin: int) -> str:
    last = max(span.end for span in group)
    first, until = _between_words(context, group[0].start - margin, last + margin)
    first, until = min(first, group[0].start), max(until, last)
    pieces = ["… " if first > 0 else ""]
    at = first
    for span in _joined(group):
        pieces += [context[at : span.start], OPENED, context[span.start : span.end], CLOSED]
        at = span.end
    pieces += [context[at:until], " …" if until < len(context) else ""]
    return "".join(pieces)


def _joined(spans: list[Span]) -> list[Span]:
    """Sorted spans, those that overlap as one."""
    found: list[Span] = []
    for span in spans:
        if found and span.start < found[-1].end:
            before = found.pop()
            span = Span(start=before.start, end=max(before.end, span.end))
        found.append(span)
    return found


def _between_words(context: str, first: int, last: int) -> tuple[int, int]:
    """A stretch made smaller until no word is cut at its ends, if it has a space near them."""
    if first > 0 and (space := _SPACE.search(context, first - 1, first + _WORD)):
        first = space.end()
    if last < len(context):
        cut = max(context.rfind(c, last - _WORD, last + 1) for c in " \n\t\u3000")
        last = cut if cut >= 0 else last
    return max(first, 0), min(last, len(context))
