"""Chosen headings of a book → their blocks, with levels and the titles on the lines below them.

    "CHAPTER I" with "THE SHARK" in the next paragraph
    -> Heading(Block("CHAPTER I. THE SHARK", number="I", title="THE SHARK", …), start=7, stop=9)

Titles below a number are taken only where most headings of the same kind have one, so that the
first line of a chapter without a title is not mistaken for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from longdata.documents import Block, SectionKind
from longdata.headings import Candidate, is_capitals, plain_title, title_like
from longdata.paragraphs import Paragraph

SHORTEST_NAMED = 60  # characters of text that make a "PREFACE" more than a line of a title page


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading's block; it takes the paragraphs start ≤ i < stop but for the last `rest` lines."""

    block: Block
    start: int
    stop: int
    rest: int = 0


class BookText:
    """How much text stands between two paragraphs."""

    def __init__(self, paragraphs: Sequence[Paragraph]) -> None:
        self.offsets = [0]
        for paragraph in paragraphs:
            self.offsets.append(self.offsets[-1] + sum(map(len, paragraph.lines)))

    def between(self, one: int, other: int) -> int:
        """Characters of the paragraphs after `one` and before `other`."""
        return self.offsets[max(one + 1, other)] - self.offsets[one + 1]

    def bodies(self, run: Sequence[Candidate]) -> list[int]:
        """The length of the text behind each candidate, up to the next one."""
        if not run:
            return []
        stops = [c.index for c in run[1:]] + [len(self.offsets) - 1]
        return [
            self.between(c.index, stop) + 60 * c.rest for c, stop in zip(run, stops, strict=True)
        ]


def headings_of(
    paragraphs: Sequence[Paragraph],
    book: BookText,
    parts: dict[str, list[Candidate]],
    chapters: list[Candidate],
    sections: list[Candidate],
    named: list[Candidate],
) -> list[Heading]:
    taken = {c.index for c in (*chapters, *sections, *named)}
    taken |= {c.index for family in parts.values() for c in family}
    entries = _contents_entries(paragraphs, min(taken - {c.index for c in named}, default=0))
    chapter_level = 1 + len(parts)
    headings: list[Heading] = []
    for level, family in enumerate(parts.values(), start=1):
        headings += _titled(family, level, "part", paragraphs, taken, entries)
    headings += _titled(chapters, chapter_level, "chapter", paragraphs, taken, entries)
    for one in sections:
        headings.append(_heading(one, chapter_level + 1, "section"))
    levels = {c.index: chapter_level for c in chapters}
    levels |= {c.index: i for i, f in enumerate(parts.values(), start=1) for c in f}
    starts = sorted(levels)
    for one in named:
        place = bisect_right(starts, one.index)
        level = levels[starts[place]] if place < len(starts) else 1
        kind = "appendix" if one.kind == "appendix" else one.kind
        title = one.index + 1
        if (
            kind in ("chapter", "appendix")
            and title < len(paragraphs)
            and title not in taken
            and is_capitals(one.text)
            and is_capitals(" ".join(paragraphs[title].lines))
            and len(paragraphs[title].lines) <= 2
        ):
            headings.append(_heading(one, level, kind, paragraphs[title]))
        else:
            headings.append(_heading(one, level, kind))
    headings += _front_titles(paragraphs, book, headings)
    return sorted(headings, key=lambda heading: heading.start)


def _titled(
    family: list[Candidate],
    level: int,
    kind: SectionKind,
    paragraphs: Sequence[Paragraph],
    taken: set[int],
    entries: set[str],
) -> list[Heading]:
    """Headings; where most of a family are followed by a title of their own, it belongs to them."""
    untitled = [c for c in family if not c.title and not c.rest]
    with_title = {
        c.index
        for c in untitled
        if c.index + 1 < len(paragraphs)
        and c.index + 1 not in taken
        and _is_title(paragraphs[c.index + 1], entries)
    }
    if len(with_title) < 0.6 * len(untitled):
        with_title = set()
    return [
        _heading(c, level, kind, paragraphs[c.index + 1] if c.index in with_title else None)
        for c in family
    ]


def _is_title(paragraph: Paragraph, entries: set[str]) -> bool:
    text = " ".join(" ".join(paragraph.lines).split())
    if len(paragraph.lines) > 4 or len(text) > 250 or paragraph.gap > 6:
        return False
    if is_capitals(text) or _folded(text) in entries:
        return True
    return len(paragraph.lines) <= 2 and title_like(text) and text[-1] not in ".!?…"


def _heading(
    one: Candidate, level: int, kind: SectionKind, title: Paragraph | None = None
) -> Heading:
    text, plain = one.text, one.title
    if title is not None:
        below = " ".join(" ".join(title.lines).split())
        text = f"{text} {below}" if text[-1] in ".:;—-–" else f"{text}. {below}"
        plain = plain_title(below) if not plain else f"{plain}. {plain_title(below)}"
    block = Block(text, role="heading", level=level, number=one.number, title=plain, kind=kind)
    return Heading(
        block=block,
        start=one.index,
        stop=one.index + (1 if title is None else 2),
        rest=one.rest,
    )


def _contents_entries(paragraphs: Sequence[Paragraph], first: int) -> set[str]:
    """The letters of the lines in front of the first heading: the entries of a contents page."""
    entries = set()
    for paragraph in paragraphs[: min(first, 1000)]:
        for line in paragraph.lines[:200]:
            words = line.split()
            for skip in range(min(4, len(words))):  # "Chapter the First--", "XII."
                entries.add(_folded(" ".join(words[skip:])))
    entries.discard("")
    return entries


def _folded(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalpha())


def _front_titles(
    paragraphs: Sequence[Paragraph], book: BookText, headings: list[Heading]
) -> list[Heading]:
    """Pieces in front of the first chapter whose title the contents page names."""
    first = min(heading.start for heading in headings if heading.block.kind in ("part", "chapter"))
    starts = {i for heading in headings for i in range(heading.start, heading.stop)}
    found: list[Heading] = []
    entries: set[str] = set()
    for i, paragraph in enumerate(paragraphs[: min(first, 1000)]):
        lines = paragraph.lines
        text = " ".join(" ".join(lines).split())
        if (
            i not in starts
            and len(lines) <= 2
            and paragraph.gap >= 2
            and is_capitals(text)
            and _folded(text) in entries
            and book.between(i, i + 2) > SHORTEST_NAMED
        ):
            block = Block(text, role="heading", level=1, title=plain_title(text), kind="front")
            found.append(Heading(block=block, start=i, stop=i + 1))
        entries.update(_folded(line) for line in lines[:200])
    return found
