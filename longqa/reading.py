"""A document as a reader sees it: prose paragraphs, whole sentences, chapters and sections.

    reading = Reading(document)
    reading.sentences[0]            -> Sentence(start=…, end=…, paragraph=0)
    reading.text(reading.sentences[0])
    reading.within(start, end)      -> the sentences that lie inside a window

Sentences come from nupunkt (no download, fast), split at paragraph borders and mended where a
closing quotation mark made it cut a line from its speaker: “Poor Ogilvy!” | I said.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import nupunkt

from longdata.documents import Document, Section, Span


@dataclass(frozen=True, slots=True)
class Sentence:
    """text[start:end] without white space around it; `paragraph` indexes Reading.paragraphs."""

    start: int
    end: int
    paragraph: int


# “What?” | asked Tom.  /  “What?” | Tom asked.  /  “What?” | he said.
_SPEECH = (
    "said|says|asked|cried|replied|answered|exclaimed|whispered|shouted|muttered|murmured|returned|"
    "remarked|observed|repeated|added|continued|began|demanded|inquired|enquired|called|went on"
)
_GOES_ON = re.compile(rf"[a-z(—–-]|(?:\w+\.? ){{0,3}}(?:{_SPEECH})\b")
_CLOSED = re.compile(r"[!?.,…—-][”\"’']\s*$")
# A full stop after a whole word that is no abbreviation, before a capital: nupunkt misses some.
_MISSED = re.compile(
    r"(?<=[a-z]{3}[.!?])(?<!Mrs\.)(?<!apt\.)(?<!rof\.)(?<!srs\.)(?<!etc\.)(?<!vol\.)(?<!Vol\.)"
    r"(?<!igs\.)(?<!Eqs\.)(?<!ect\.)(?<!eut\.)(?<!rgt\.)(?<!upt\.)(?<!ept\.)(?<!viz\.)(?<!roc\.)"
    r"(?<!ncl\.)(?<!esp\.)(?<!rox\.)(?<!pps\.)(?<!eqs\.)(?<!figs\.)(?<!ons\.)(?<!sgr\.) +(?=[A-Z])"
)
_BREAK = re.compile(r"\n\n+")
_SIDE_KINDS = frozenset({"front", "back", "references"})
_MAX_SENTENCE = 2_000  # characters; what is longer was not found to be a sentence


class Reading:
    """The parts of one document's text, found once and asked for many windows."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.paragraphs: list[Span] = []
        self.sentences: list[Sentence] = []
        self._read()
        self._starts = [s.start for s in self.sentences]
        self._paragraph_starts = [p.start for p in self.paragraphs]

    def _read(self) -> None:
        text = self.document.text
        no_prose = sorted(
            [(s.start, s.body) for s in self.document.sections]
            + [(c.start, c.end) for c in self.document.captions]
            + [(r.start, r.end) for r in self.document.references]
            + [(v.start, v.end) for v in self.document.verbatim]
            + [(s.body, s.end) for s in self.document.sections if s.kind in _SIDE_KINDS]
        )
        at = 0
        skip = 0
        borders = [m.span() for m in _BREAK.finditer(text)] + [(len(text), len(text))]
        for start, following in borders:
            while skip < len(no_prose) and no_prose[skip][1] <= at:
                skip += 1
            covered = skip < len(no_prose) and no_prose[skip][0] <= at < no_prose[skip][1]
            if not covered and start > at:
                self.paragraphs.append(Span(start=at, end=start))
            at = following
        # one call for the whole text: nupunkt is linear, and slow to start
        cuts = [end for _, end in nupunkt.sent_spans(text)]
        next_cut = 0
        for index, paragraph in enumerate(self.paragraphs):
            while next_cut < len(cuts) and cuts[next_cut] <= paragraph.start:
                next_cut += 1
            inside = []
            while next_cut < len(cuts) and cuts[next_cut] < paragraph.end:
                inside.append(cuts[next_cut])
                next_cut += 1
            self.sentences.extend(self._split(paragraph, index, inside))

    def _split(self, paragraph: Span, index: int, cuts: list[int]) -> list[Sentence]:
        text = self.document.text
        found: list[Sentence] = []
        start = paragraph.start
        missed = [m.end() for m in _MISSED.finditer(text, paragraph.start, paragraph.end)]
        for end in sorted({*cuts, *missed, paragraph.end}):
            while start < end and text[start].isspace():
                start += 1
            stop = end
            while stop > start and text[stop - 1].isspace():
                stop -= 1
            if stop <= start:
                continue
            if found and _joins(text[max(0, found[-1].end - 4) : found[-1].end], text[start:stop]):
                start = found.pop().start
            found.append(Sentence(start, stop, index))
            start = end
        return found

    def text(self, span: Span | Sentence) -> str:
        """The characters of a span or sentence."""
        return self.document.text[span.start : span.end]

    def within(self, start: int, end: int) -> Sequence[Sentence]:
        """The sentences that lie wholly inside text[start:end]."""
        first = bisect_left(self._starts, start)
        last = bisect_right(self._starts, end)
        while last > first and self.sentences[last - 1].end > end:
            last -= 1
        return self.sentences[first:last]

    def paragraphs_within(self, start: int, end: int) -> Sequence[Span]:
        """The prose paragraphs that lie wholly inside text[start:end]."""
        first = bisect_left(self._paragraph_starts, start)
        last = bisect_right(self._paragraph_starts, end)
        while last > first and self.paragraphs[last - 1].end > end:
            last -= 1
        return self.paragraphs[first:last]

    def sentence_at(self, offset: int) -> Sentence | None:
        """The sentence that holds a character, if any does."""
        index = bisect_right(self._starts, offset) - 1
        if index >= 0 and self.sentences[index].end > offset:
            return self.sentences[index]
        return None

    @cached_property
    def names(self) -> dict[str, list[int]]:
        """Every word that begins with a capital, with its places; “Fogg’s” counts for “Fogg”."""
        found: dict[str, list[int]] = {}
        for match in _CAPITAL.finditer(self.document.text):
            found.setdefault(match[0], []).append(match.start())
        return found

    @cached_property
    def vocabulary(self) -> list[str]:
        """Every word of the text, case folded, sorted, once."""
        return sorted({word.casefold() for word in self._words})

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(_ANY_WORD.findall(self.document.text))

    def has_word(self, prefix: str) -> bool:
        """Whether any word of the text begins like this, whatever the case."""
        folded = prefix.casefold()
        index = bisect_left(self.vocabulary, folded)
        return index < len(self.vocabulary) and self.vocabulary[index].startswith(folded)

    def other_forms(self, word: str) -> list[str]:
        """How else the text writes a name: in capitals, as a plural, in a compound."""
        folded = word.casefold()
        index = bisect_left(self._folded_names, (folded, ""))
        found = []
        while index < len(self._folded_names) and self._folded_names[index][0].startswith(folded):
            found.append(self._folded_names[index][1])
            index += 1
        return [name for name in found if name != word]

    @cached_property
    def _folded_names(self) -> list[tuple[str, str]]:
        return sorted((name.casefold(), name) for name in self.names)

    @cached_property
    def small(self) -> frozenset[str]:
        """Every word the text writes without any capital."""
        return frozenset(word for word in self._words if word.islower() and word.isalpha())

    @cached_property
    def main_sections(self) -> tuple[Section, ...]:
        """Chapters of a book; the highest sections of a paper that has several."""
        sections = [s for s in self.document.sections if s.kind not in ("front", "back", "part")]
        chapters = tuple(s for s in sections if s.kind == "chapter")
        if chapters:
            return chapters
        levels = sorted({s.level for s in sections})
        for level in levels:
            chosen = tuple(s for s in sections if s.level == level)
            if len(chosen) >= 3:
                return chosen
        return tuple(sections)

    @cached_property
    def plain(self) -> frozenset[Sentence]:
        """Sentences that can be quoted by themselves: narrated, complete, of ordinary length."""
        found = []
        for s in self.sentences:
            if 45 <= s.end - s.start <= 320 and _PLAIN.fullmatch(self.text(s)):
                before = self.document.text[self.paragraphs[s.paragraph].start : s.start]
                if is_balanced(before):  # else somebody is speaking
                    found.append(s)
        return frozenset(found)

    @cached_property
    def telling(self) -> frozenset[Sentence]:
        """Plain sentences that mean something when quoted alone."""
        return frozenset(
            s
            for s in self.plain
            if s.end - s.start >= 60
            and not _LEANING.match(text := self.text(s))
            and not _MUDDLED.search(text)
            and not _RUN_TOGETHER.search(text)
        )

    def is_complete(self, sentence: Sentence) -> bool:
        """Whether a sentence starts and ends as one and leaves no quotation or bracket open."""
        if sentence.end - sentence.start > _MAX_SENTENCE:
            return False
        text = self.text(sentence)
        if _RUN_TOGETHER.search(text) or len(_SMALL_WORD.findall(text)) < 3:
            return False  # two sentences in one, or an address: no sentence at all
        return _COMPLETE.fullmatch(text) is not None and is_balanced(text)


_SMALL_WORD = re.compile(r"\b[a-z]{2,}\b")
_CAPITAL = re.compile(r"(?<!\w)(?<!\w-)[A-ZÀ-Þ]\w*(?!\w)(?!-\w)")
_ANY_WORD = re.compile(r"\w+")
# Sentences that lean on the one before say little when quoted alone.
_LEANING = re.compile(
    r"(?:It|This|That|These|Those|Such|So|Thus|Then|But|And|Or|Nor|Yet|For|Here|There|However|Where|"
    r"Therefore|Hence|Moreover|Also|Otherwise|Nevertheless|Yes|No|He|She|They|His|Her|Their|Its)"
    r"(?![\w’'-])"
    r"|[A-Z][a-z]+ing\b[^,]*$"  # no sentence: “Leading to a famous rule of thumb.”
)
# Two sentences run together (“… kernel w. The operation …”), addresses.
_MUDDLED = re.compile(r"(?:\b[a-z]{1,2}|[a-z]{4}|Hz|\d|\))\. [A-Z]|@|://|\bwww\.")
_RUN_TOGETHER = re.compile(
    r"\b[A-Z]\. (?:One|The|This|In|It|We|For|An|If|As|To) [a-z]|[a-z]{3}(?<!etc)(?<!viz)\. [a-z]"
)
# One sentence with a capital first and a full stop last, no quotation marks, no markup, no list.
_PLAIN = re.compile(r"[A-Z][^\"“”«»\n\[\]{}|<>\\*_=#~^$]*[a-zà-ÿ0-9)’%][.!?]")
_COMPLETE = re.compile(r"[\"“‘'(]?[A-Z][^\n\[\]{}|<>\\*_=#~^]*[.!?…][\"”’')]*")


def is_balanced(text: str) -> bool:
    """Whether double quotation marks and round brackets are closed in order."""
    return (
        text.count("“") == text.count("”")
        and text.count('"') % 2 == 0
        and text.count("(") == text.count(")")
    )


def _joins(before: str, after: str) -> bool:
    """Whether a cut between two pieces of a paragraph was wrong: the sentence goes on."""
    if _CLOSED.search(before):
        return _GOES_ON.match(after) is not None
    return after[:1].islower() and before[-1:] not in '”"'
