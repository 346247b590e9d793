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

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

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
)
from longdata.numerals import value_of
from longdata.paragraphs import Paragraph
from longdata.titles import SHORTEST_NAMED, BookText, Heading, headings_of

_CONTENTS_ENTRY = 3000  # characters at most between two entries of a table of contents
_WITHIN = ("", *SECTION_WORDS)  # keywords of headings that stand below a chapter or a preface
_SHORTEST_UNNUMBERED = 1000
_SHORTEST_SECTION = 400


def find_headings(paragraphs: Sequence[Paragraph]) -> list[Heading]:
    """The headings in text order; [] for a text without chapters. Linear in the text."""
    book = BookText(paragraphs)
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
    return headings_of(paragraphs, book, parts, chapters, sections, named)


# --- which candidates are real -------------------------------------------------------------------


def _without_contents(family: list[Candidate], book: BookText) -> list[Candidate]:
    """Without the table of contents: leading entries with hardly any text in between."""
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


def _running(
    family: list[Candidate], book: BookText, borders: Sequence[int] = ()
) -> list[Candidate]:
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
            if following in (2, LAST) or _holds(borders, last.index, one.index):
                run.append(one)
                count = 1
        elif following == count + 2:  # a misprinted number
            run.append(one)
            count += 1
        elif count < one.value <= count + 3 and following in (one.value + 1, None):
            run.append(one)  # a heading before it was not recognised
            count = one.value
    return run


def _holds(positions: Sequence[int], after: int, before: int) -> bool:
    """Is one of the sorted positions strictly between the two?"""
    place = bisect_right(positions, after)
    return place < len(positions) and positions[place] < before


def _parts(found: list[Candidate], book: BookText) -> dict[str, list[Candidate]]:
    """Volumes, books, parts and acts, the larger unit first."""
    families = {}
    for word in PART_WORDS:
        family = _without_contents([c for c in found if c.keyword == word], book)
        run = _running(family, book)
        if len(run) >= 2 or (len(run) == 1 and run[0].value == 1):
            families[word] = run
    return dict(sorted(families.items(), key=lambda item: len(item[1])))


def _keyed_chapters(
    found: list[Candidate], book: BookText, parts: dict[str, list[Candidate]]
) -> list[Candidate]:
    borders = sorted(c.index for family in parts.values() for c in family)
    chapters: list[Candidate] = []
    for word in CHAPTER_WORDS:
        family = _without_contents([c for c in found if c.keyword == word], book)
        run = _running(family, book, borders)
        if len(run) >= 2 or (len(run) == 1 and word == "chapter"):
            chapters += run
    return sorted(chapters, key=lambda c: c.index)


def _bare_chapters(
    found: list[Candidate], book: BookText, parts: dict[str, list[Candidate]]
) -> tuple[list[Candidate], list[Candidate]]:
    """Chapters that carry only a number ("IV.") or a number and a title, and their sections."""
    borders = sorted(c.index for family in parts.values() for c in family)
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


def _sections(found: list[Candidate], chapters: list[Candidate], book: BookText) -> list[Candidate]:
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
    family: list[Candidate], chapters: list[Candidate], book: BookText
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


def _unnumbered(paragraphs: Sequence[Paragraph], book: BookText) -> list[Candidate]:
    """Chapters that carry only a title: lines in capitals behind at least two blank lines."""
    found = []
    for i, paragraph in enumerate(paragraphs):
        if paragraph.gap < 2 or len(paragraph.lines) > 2 or i + 1 == len(paragraphs):
            continue
        text = " ".join(" ".join(paragraph.lines).split())
        if is_capitals(text) and len(text) <= 100 and value_of(text.strip(".")) is None:
            found.append(Candidate(index=i, text=text, keyword="title", title=plain_title(text)))
    found = [
        c for c, body in zip(found, book.bodies(found), strict=True) if body >= _SHORTEST_UNNUMBERED
    ]
    if found and book.between(-1, found[0].index) == 0:
        del found[0]  # the title of the book itself
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
            place = bisect_left(names, chapter.index) - 1
            near = place >= 0 and names[place] > chapter.index - 60
            title = _capitals_above(names[place], paragraphs) if near else None
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
    book: BookText,
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
        if body < SHORTEST_NAMED and not contents:
            continue
        place = bisect_left(openings, (one.index, 0)) - 1
        in_front = one.index < first or (place >= 0 and one.index < openings[place][1])
        behind = one.index > last
        well_placed = behind if comes_last(one.title) else in_front
        if well_placed and not (contents and one.title in accepted):
            accepted[f"{one.title} {'behind' * behind}"] = one  # a contents page names it first
    return sorted(accepted.values(), key=lambda c: c.index)


def _numbered(chapters: list[Candidate], parts: dict[str, list[Candidate]]) -> list[Candidate]:
    everything = [*chapters, *(c for family in parts.values() for c in family)]
    return sorted(everything, key=lambda c: c.index)
