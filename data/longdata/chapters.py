"""The parts and chapters of a book, found in its plain text.

    paragraphs = [… "CONTENTS", "I. The Shark", …, "CHAPTER I", "THE SHARK", "On the 26th of …", …]
    for heading in find_headings(paragraphs): heading.block
    -> Block("CHAPTER I. THE SHARK", role="heading", level=1, number="I", title="THE SHARK",
             kind="chapter"), …

How: each paragraph that could be a heading is a `Candidate`. Candidates of one form ("CHAPTER …",
a bare "IV.") must run (1, 2, 3; again from 1 in a new part; one misprint is forgiven), and text
must stand between them: a run of headings with hardly any text in between is a table of contents.
Where nothing is numbered, lines in capitals that are set off by blank space are the chapters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from longdata.documents import Block
from longdata.headings import (
    CHAPTER_WORDS,
    LAST,
    PART_WORDS,
    SECTION_WORDS,
    Candidate,
    candidate,
    comes_last,
    is_capitals,
    plain_title,
    title_like,
)
from longdata.paragraphs import Paragraph

_CONTENTS_ENTRY = 3000  # characters at most between two entries of a table of contents
_SHORTEST_NAMED = 60  # characters of text that make a "PREFACE" more than a line of a title page
_WITHIN = ("", *SECTION_WORDS)  # keywords of headings that stand below a chapter or a preface
_SHORTEST_UNNUMBERED = 1000
_SHORTEST_SECTION = 400


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading's block; it takes the paragraphs start ≤ i < stop but for the last `rest` lines."""

    block: Block
    start: int
    stop: int
    rest: int = 0


def find_headings(paragraphs: Sequence[Paragraph]) -> list[Heading]:
    """The headings in text order; [] for a text without chapters. Linear in the text."""
    book = _Book(paragraphs)
    found = [c for i, p in enumerate(paragraphs) if (c := candidate(i, p)) is not None]
    parts = _parts(found, book)
    chapters = _keyed_chapters(found, book, parts)
    sections: list[Candidate] = []
    if chapters:
        sections = _sections(found, chapters, book)
    else:
        chapters, sections = _bare_chapters(found, book, parts)
    if not chapters:
        chapters = [c for family in parts.values() for c in family]
        chapters.sort(key=lambda c: c.index)
        parts = {}
    if not chapters:
        chapters = _unnumbered(paragraphs, book)
    if not chapters:
        return []
    if not parts:
        parts = _implied_parts(chapters, found, paragraphs)
    named = _named(found, chapters, parts, book)
    return _headings(paragraphs, book, parts, chapters, sections, named)


class _Book:
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


# --- which candidates are real -------------------------------------------------------------------


def _without_contents(family: list[Candidate], book: _Book) -> list[Candidate]:
    """Without the table of contents: leading entries with hardly any text before the run restarts."""
    bodies = book.bodies(family)
    thick = [body for body in bodies if body >= 600]
    if len(family) < 3 or not thick:
        return family
    limit = min(0.2 * median(thick), _CONTENTS_ENTRY)
    begin = 0
    thin = 0
    for i in range(1, len(family)):
        thin += bodies[i - 1] < limit if i > 1 else 0
        # bodies[i - 1] belongs to the last entry, behind which anything may stand
        if i >= 2 and family[i].value == family[0].value:
            entries = sum(body < limit for body in bodies[: i - 1])
            if entries < 0.8 * (i - 1):
                break
            begin = i
    return family[begin:]


def _running(family: list[Candidate], book: _Book, borders: Sequence[int] = ()) -> list[Candidate]:
    """The candidates whose numbers run; `borders` are paragraphs where a new count may begin."""
    run: list[Candidate] = []
    count = 0  # the number the last accepted heading has, or should have had
    for i, one in enumerate(family):
        following = family[i + 1].value if i + 1 < len(family) else None
        if not run:
            if one.value <= 1 or following == one.value + 1 or one.keyword:
                run.append(one)
                count = one.value
            continue
        last = run[-1]
        if one.value == count and book.between(last.index, one.index) < 300:
            run[-1] = one  # a half-title page repeats the heading
        elif one.value in (count + 1, LAST):
            run.append(one)
            count += 1
        elif one.value == 1:
            if following in (2, LAST) or any(last.index < b < one.index for b in borders):
                run.append(one)
                count = 1
        elif following == count + 2:  # a misprinted number
            run.append(one)
            count += 1
        elif count < one.value <= count + 3 and following in (one.value + 1, None):
            run.append(one)  # a heading before it was not recognised
            count = one.value
    return run


def _parts(found: list[Candidate], book: _Book) -> dict[str, list[Candidate]]:
    """Volumes, books, parts and acts, the larger unit first."""
    families = {}
    for word in PART_WORDS:
        family = _without_contents([c for c in found if c.keyword == word], book)
        run = _running(family, book)
        if len(run) >= 2 or (len(run) == 1 and run[0].value == 1):
            families[word] = run
    return dict(sorted(families.items(), key=lambda item: len(item[1])))


def _keyed_chapters(
    found: list[Candidate], book: _Book, parts: dict[str, list[Candidate]]
) -> list[Candidate]:
    borders = [c.index for family in parts.values() for c in family]
    chapters: list[Candidate] = []
    for word in CHAPTER_WORDS:
        family = _without_contents([c for c in found if c.keyword == word], book)
        run = _running(family, book, borders)
        if len(run) >= 2 or (len(run) == 1 and word == "chapter"):
            chapters += run
    return sorted(chapters, key=lambda c: c.index)


def _bare_chapters(
    found: list[Candidate], book: _Book, parts: dict[str, list[Candidate]]
) -> tuple[list[Candidate], list[Candidate]]:
    """Chapters that carry only a number ("IV.") or a number and a title, and their sections."""
    borders = [c.index for family in parts.values() for c in family]
    runs = []
    for roman in (True, False):
        family = [c for c in found if not c.keyword and c.roman is roman and "." not in c.number]
        family = _without_contents(family, book)
        run = _running(family, book, borders)
        bodies = book.bodies(run)
        if len(run) >= 3 and run[0].value == 1 and median(bodies) >= _SHORTEST_SECTION:
            runs.append(run)
    if not runs:
        return [], []
    runs.sort(key=lambda run: run[0].index)
    return runs[0], _sections(found, runs[0], book) if len(runs) == 2 else []


def _sections(found: list[Candidate], chapters: list[Candidate], book: _Book) -> list[Candidate]:
    """Numbered sections within chapters: the count begins anew in each."""
    taken = {c.index for c in chapters}
    first = chapters[0].index
    best: list[Candidate] = []
    for keyword, roman in ((SECTION_WORDS[0], None), ("", True), ("", False)):
        family = [
            c
            for c in found
            if c.keyword == keyword
            and c.index > first
            and c.index not in taken
            and (roman is None or c.roman is roman)
            and not (keyword == "" and c.title and not is_capitals(c.title))
        ]
        if keyword == "" and any(c.keyword == "" and c.roman is roman for c in chapters):
            continue
        run = _in_chapters(family, chapters, book)
        if len(run) > len(best):
            best = run
    return best


def _in_chapters(
    family: list[Candidate], chapters: list[Candidate], book: _Book
) -> list[Candidate]:
    accepted: list[Candidate] = []
    position = 0
    borders = [c.index for c in chapters[1:]] + [len(book.offsets) - 1]
    for border in borders:
        inside: list[Candidate] = []
        while position < len(family) and family[position].index < border:
            one = family[position]
            position += 1
            last = inside[-1].value if inside else 0
            if last < one.value <= last + 2 or (one.value == 1 and last > 1):
                inside.append(one)
        if len(inside) >= 2 and median(book.bodies(inside)) >= _SHORTEST_SECTION:
            accepted += inside
    return accepted


def _unnumbered(paragraphs: Sequence[Paragraph], book: _Book) -> list[Candidate]:
    """Chapters that carry only a title: lines in capitals behind at least two blank lines."""
    found = []
    for i, paragraph in enumerate(paragraphs):
        if paragraph.gap < 2 or len(paragraph.lines) > 2 or i + 1 == len(paragraphs):
            continue
        text = " ".join(" ".join(paragraph.lines).split())
        if is_capitals(text) and len(text) <= 100 and text.strip("\"'“”‘’._* "):
            found.append(Candidate(index=i, text=text, keyword="title", title=plain_title(text)))
    found = [
        c for c, body in zip(found, book.bodies(found), strict=True) if body >= _SHORTEST_UNNUMBERED
    ]
    while found and book.between(-1, found[0].index) == 0:
        found.pop(0)  # the title of the book itself
    return found if len(found) >= 3 else []


def _implied_parts(
    chapters: list[Candidate], found: list[Candidate], paragraphs: Sequence[Paragraph]
) -> dict[str, list[Candidate]]:
    """Where the chapters' count begins anew: the line in capitals above it names a part."""
    firsts = [c for b, c in pairwise(chapters) if c.value == 1 and b.value > 1]
    if not firsts:
        return {}
    names = [c.index for c in found if c.keyword == "named" and c.kind == "chapter"]
    parts = []
    for chapter in [chapters[0], *firsts]:
        title = _capitals_above(chapter.index, paragraphs)
        if title is None:  # a preliminary chapter may stand in between
            above = [i for i in names if chapter.index - 60 < i < chapter.index]
            title = _capitals_above(above[-1], paragraphs) if above else None
        if title is None:
            continue
        text = " ".join(" ".join(paragraphs[title].lines).split())
        parts.append(
            Candidate(index=title, text=text, keyword="part", title=plain_title(text), kind="part")
        )
    return {"part": parts} if len(parts) >= 2 else {}


def _capitals_above(index: int, paragraphs: Sequence[Paragraph]) -> int | None:
    """The nearest short paragraph in capitals, if only title pages' small print is in between."""
    for i in range(index - 1, max(-1, index - 4), -1):
        lines = paragraphs[i].lines
        if len(lines) <= 2 and is_capitals(" ".join(lines)) and not lines[0].startswith("END "):
            return i
        if len(lines) > 2:
            return None
    return None


def _named(
    found: list[Candidate],
    chapters: list[Candidate],
    parts: dict[str, list[Candidate]],
    book: _Book,
) -> list[Candidate]:
    """PREFACE, PROLOGUE, CONTENTS in front; EPILOGUE, APPENDIX, NOTES behind."""
    numbered = _numbered(chapters, parts)
    titles = {c.index + 1 for c in chapters if not c.title}
    taken = {c.index for c in numbered} | titles
    candidates = [c for c in found if c.keyword == "named" and c.index not in taken]
    first, last = numbered[0].index, chapters[-1].index
    chapter_starts = {c.index for c in chapters}
    openings = [  # between a part's heading and its first chapter
        (part.index, chapter.index)
        for part, chapter in pairwise(numbered)
        if part.index not in chapter_starts and chapter.index in chapter_starts
    ]
    stops = sorted({c.index for c in (*numbered, *(c for c in found if c.keyword not in _WITHIN))})
    stops.append(len(book.offsets) - 1)
    following = dict(pairwise(stops))
    accepted: dict[str, Candidate] = {}
    for one in candidates:
        contents = one.title.casefold().endswith(("contents", "illustrations"))
        body = book.between(one.index, following[one.index])
        if body < _SHORTEST_NAMED and not contents:
            continue
        in_front = one.index < first or any(start < one.index < stop for start, stop in openings)
        behind = one.index > last
        if (in_front and not comes_last(one.title)) or (behind and comes_last(one.title)):
            if not (contents and one.title in accepted):
                accepted[f"{one.title} {'behind' * behind}"] = one  # a contents page names it first
    return sorted(accepted.values(), key=lambda c: c.index)


def _numbered(chapters: list[Candidate], parts: dict[str, list[Candidate]]) -> list[Candidate]:
    everything = [*chapters, *(c for family in parts.values() for c in family)]
    return sorted(everything, key=lambda c: c.index)


# --- headings out of candidates ------------------------------------------------------------------


def _headings(
    paragraphs: Sequence[Paragraph],
    book: _Book,
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
    for one in named:
        behind = [i for i in levels if i > one.index]
        level = levels[min(behind)] if behind else 1
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
    kind: str,
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


def _heading(one: Candidate, level: int, kind: str, title: Paragraph | None = None) -> Heading:
    text, plain = one.text, one.title
    if title is not None:
        below = " ".join(" ".join(title.lines).split())
        text = f"{text} {below}" if text[-1] in ".:;—-–" else f"{text}. {below}"
        plain = plain_title(below) if not plain else f"{plain}. {plain_title(below)}"
    block = Block(text, role="heading", level=level, number=one.number, title=plain, kind=kind)  # type: ignore[arg-type]
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
    paragraphs: Sequence[Paragraph], book: _Book, headings: list[Heading]
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
            and book.between(i, i + 2) > _SHORTEST_NAMED
        ):
            block = Block(text, role="heading", level=1, title=plain_title(text), kind="front")
            found.append(Heading(block=block, start=i, stop=i + 1))
        entries.update(_folded(line) for line in lines[:200])
    return found
