"""A material seen through its document's reading: what the question kinds look at.

    view = View(material, reading, people)
    view.sentences          the whole sentences inside the window
    view.chapters           chapters or sections whose heading stands inside the window
    view.occurrences("Hyde")  where a name stands inside the window

All offsets are the document's. A view is made per window, before anything is cut from it; kinds
that need something removed say so (`longqa.kinds`), and the cut is made for their rows alone.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

from longdata.documents import Caption, Document, Section, Span
from longqa.names import Person
from longqa.reading import Reading, Sentence
from longqa.records import Material

_JOINED = re.compile(r"([A-ZÀ-Þ][^\W_]*)(?=-\w|_)|(?:(?<=\w-)|(?<=_))([A-ZÀ-Þ][^\W_]*)")


class View:
    """One window of one document, with everything found in it."""

    def __init__(self, material: Material, reading: Reading, people: Sequence[Person]) -> None:
        self.material = material
        self.reading = reading
        self.everyone = people
        self.start, self.end = material.start, material.end

    @property
    def document(self) -> Document:
        """The document the window belongs to."""
        return self.material.document

    @cached_property
    def text(self) -> str:
        """The window's characters; index 0 is the document's character `start`."""
        return self.document.text[self.start : self.end]

    @cached_property
    def sentences(self) -> Sequence[Sentence]:
        """The prose sentences wholly inside."""
        return self.reading.within(self.start, self.end)

    @cached_property
    def plain(self) -> list[Sentence]:
        """Sentences that can be quoted by themselves; whether they are unique is not yet asked."""
        return [s for s in self.sentences if s in self.reading.plain]

    @cached_property
    def paragraphs(self) -> Sequence[Span]:
        """The prose paragraphs wholly inside."""
        return self.reading.paragraphs_within(self.start, self.end)

    @cached_property
    def chapters(self) -> list[Section]:
        """Chapters or main sections whose heading stands inside, in order."""
        return [
            s for s in self.reading.main_sections if self.start <= s.start and s.body < self.end
        ]

    @cached_property
    def part(self) -> str:
        """What a question calls one of `chapters`: "chapter", "section" or "main section"."""
        if not self.chapters or self.chapters[0].kind == "chapter":
            return "chapter"
        level = self.chapters[0].level
        inside = (s for s in self.document.sections if self.start <= s.start < self.end)
        return "main section" if any(s.level > level for s in inside) else "section"

    @cached_property
    def captions(self) -> list[Caption]:
        """Captions wholly inside."""
        return [c for c in self.document.captions if self.start <= c.start and c.end <= self.end]

    @cached_property
    def people(self) -> list[tuple[Person, int, int]]:
        """People mentioned inside: (person, least, most mentions), by least mentions."""
        return [row for row in self.rivals if row[0].vouched]

    @cached_property
    def rivals(self) -> list[tuple[Person, int, int]]:
        """The same with names that may be people's: nobody leads who does not lead them too."""
        counted = [(p, *p.count(self.start, self.end)) for p in self.everyone]
        present = [(p, least, most) for p, least, most in counted if most]
        return sorted(present, key=lambda row: (-row[1], row[0].name))

    def quote(self, span: Span | Sentence | Caption) -> str:
        """The characters of a span, sentence or caption of the document."""
        return self.document.text[span.start : span.end]

    def is_unique(self, sentence: Sentence) -> bool:
        """Whether the sentence's words stand only once in the window."""
        return self.text.count(self.quote(sentence)) == 1

    def occurrences(self, term: str) -> list[int]:
        """Where a capitalised word stands in the view, in characters of the document."""
        places = self.reading.names.get(term, [])
        return places[bisect_left(places, self.start) : bisect_left(places, self.end)]

    def is_only_form(self, word: str) -> bool:
        """Whether the view writes a name in one way only: no capitals, plural, compound."""
        if word.casefold() in self.reading.small or word in self._joined:
            return False
        return not any(self.occurrences(form) for form in self.reading.other_forms(word))

    @cached_property
    def _joined(self) -> frozenset[str]:
        """Words beside a hyphen or underscore: is “Fogg” counted in “Fogg-like”?"""
        return frozenset(w for pair in _JOINED.findall(self.text) for w in pair if w)

    def chapter_at(self, offset: int) -> Section | None:
        """The chapter or main section inside whose text a character lies, heading in the window."""
        index = bisect_left([s.start for s in self.chapters], offset + 1) - 1
        if index >= 0 and self.chapters[index].body <= offset < self.chapters[index].end:
            return self.chapters[index]
        return None

    def depth(self, offset: int) -> float:
        """Position in the window, 0 to 1."""
        return (offset - self.start) / max(1, self.end - self.start)
