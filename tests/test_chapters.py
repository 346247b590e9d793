"""The parts and chapters of books."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.chapters import find_headings
from longdata.documents import Block
from longdata.numerals import value_of
from longdata.paragraphs import layout_of, split_paragraphs
from longdata.readers.plain import read_plain
from longdata.sources import Source

PROSE = "It was a cold day and the men who had come so far were tired of the road. " * 14


def headings(text: str) -> list[Block]:
    lines = text.split("\n")
    return [h.block for h in find_headings(list(split_paragraphs(lines, layout_of(lines))))]


def outline(text: str) -> list[tuple[str | None, int, str, str]]:
    return [(h.kind, h.level, h.number, h.title) for h in headings(text)]


def book(*lines: str) -> str:
    """Each line a paragraph set off by blank lines; "…" stands for prose."""
    return "\n\n\n".join(PROSE if line == "…" else line for line in lines)


@pytest.mark.parametrize(
    ("first", "second", "number", "title", "text"),
    [
        ("CHAPTER I", "CHAPTER II", "I", "", "CHAPTER I"),
        ("CHAPTER 1. Loomings.", "CHAPTER 2. Bag.", "1", "Loomings", "CHAPTER 1. Loomings."),
        ("Chapter I.", "Chapter II.", "I", "", "Chapter I."),
        ("CHAPTER FIRST.", "CHAPTER SECOND.", "FIRST", "", "CHAPTER FIRST."),
        ("CHAPTER THE FIRST", "CHAPTER THE SECOND", "FIRST", "", "CHAPTER THE FIRST"),
        ("CHAPTER ONE", "CHAPTER TWO", "ONE", "", "CHAPTER ONE"),
        ("CHAPTER I: WASTE LANDS", "CHAPTER II: X", "I", "WASTE LANDS", "CHAPTER I: WASTE LANDS"),
        ("CHAPTER I A FETE", "CHAPTER II MEN", "I", "A FETE", "CHAPTER I A FETE"),
        ("CHAPTER I\n\nTHE SHARK", "CHAPTER II\n\nMEN", "I", "THE SHARK", "CHAPTER I. THE SHARK"),
        ("CHAPTER I.\nTHE SHARK.", "CHAPTER II.\nM.", "I", "THE SHARK", "CHAPTER I. THE SHARK."),
        ("STAVE ONE", "STAVE TWO", "ONE", "", "STAVE ONE"),
        ("LETTER I", "LETTER II", "I", "", "LETTER I"),
    ],
)
def test_chapters_of_many_forms(
    first: str, second: str, number: str, title: str, text: str
) -> None:
    found = headings(book(first, "…", second, "…"))
    assert len(found) == 2
    assert (found[0].number, found[0].title, found[0].text) == (number, title, text)
    assert {h.kind for h in found} == {"chapter"}


def test_bare_numbers_are_chapters_when_they_run() -> None:
    text = book("I", "…", "II", "…", "III", "…", "IV.", "…")
    assert [h.number for h in headings(text)] == ["I", "II", "III", "IV"]


def test_a_bare_number_alone_is_no_chapter() -> None:
    assert headings(book("…", "I", "…", "VII", "…", "V", "…")) == []


def test_numbers_with_titles_are_chapters() -> None:
    text = book("I.  IN THE DINGEY.", "…", "II.  THE MAN.", "…", "III.  THE FACE.", "…")
    assert [h.title for h in headings(text)] == ["IN THE DINGEY", "THE MAN", "THE FACE"]


def test_parts_hold_chapters_and_chapters_hold_sections() -> None:
    text = book(
        *("BOOK ONE.—THE COMING", "CHAPTER I", "1", "…", "2", "…", "CHAPTER II", "…"),
        *("BOOK TWO.—THE END", "CHAPTER I", "…", "CHAPTER II", "1", "…", "2", "…"),
    )
    assert outline(text) == [
        ("part", 1, "ONE", "THE COMING"),
        ("chapter", 2, "I", ""),
        ("section", 3, "1", ""),
        ("section", 3, "2", ""),
        ("chapter", 2, "II", ""),
        ("part", 1, "TWO", "THE END"),
        ("chapter", 2, "I", ""),
        ("chapter", 2, "II", ""),
        ("section", 3, "1", ""),
        ("section", 3, "2", ""),
    ]


def test_a_table_of_contents_is_front_matter_not_chapters() -> None:
    entries = [f"CHAPTER {i}. Title {i}" for i in "I II III IV".split()]
    chapters = [line for entry in entries for line in (entry, "…")]
    found = headings(book("A BOOK", "CONTENTS", *entries, *chapters))
    assert [(h.kind, h.number) for h in found] == [
        ("front", ""),
        ("chapter", "I"),
        ("chapter", "II"),
        ("chapter", "III"),
        ("chapter", "IV"),
    ]


def test_a_contents_page_in_one_paragraph_is_no_chapter() -> None:
    contents = "   I. THE EVE\n  II. THE STAR\n III. THE HEATH"
    text = book(
        "Contents", contents, "I.\n\nTHE EVE", "…", "II.\n\nTHE STAR", "…", "III.\n\nTHE HEATH", "…"
    )
    assert [h.number for h in headings(text)] == ["", "I", "II", "III"]


def test_a_misprinted_number_does_not_derail_the_count() -> None:
    text = book(*[x for n in "I II III VI V VI VII".split() for x in (f"CHAPTER {n}", "…")])
    assert [h.number for h in headings(text)] == "I II III VI V VI VII".split()


def test_prose_that_begins_like_a_heading_is_prose() -> None:
    prose = "Chapter 3 of the report was the one that the whole town talked about for weeks."
    text = book("CHAPTER I", "…", "CHAPTER II", "…", prose, "Part I of the plan was ready.", "…")
    assert [h.number for h in headings(text)] == ["I", "II"]


def test_a_number_out_of_order_is_no_chapter() -> None:
    text = book("CHAPTER I", "…", "CHAPTER II", "…", "CHAPTER XL", "…", "CHAPTER III", "…")
    assert [h.number for h in headings(text)] == ["I", "II", "III"]


def test_front_and_back_matter_are_named() -> None:
    text = book(
        *("PREFACE", "…", "PROLOGUE", "…", "CHAPTER I", "…", "CHAPTER II", "…"),
        *("EPILOGUE", "…", "APPENDIX", "…", "FOOTNOTES", "…"),
    )
    assert [(h.kind, h.text) for h in headings(text)] == [
        ("front", "PREFACE"),
        ("chapter", "PROLOGUE"),
        ("chapter", "CHAPTER I"),
        ("chapter", "CHAPTER II"),
        ("chapter", "EPILOGUE"),
        ("appendix", "APPENDIX"),
        ("back", "FOOTNOTES"),
    ]


def test_titles_in_capitals_are_chapters_when_nothing_is_numbered() -> None:
    text = book("THE BOOK", "by Jane Roe", "THE DOOR", "…", "THE SEARCH", "…", "THE END OF IT", "…")
    assert [h.title for h in headings(text)] == ["THE DOOR", "THE SEARCH", "THE END OF IT"]


def test_counts_that_begin_anew_show_parts_named_in_capitals() -> None:
    chapters = ["CHAPTER I", "…", "CHAPTER II", "…"]
    found = outline(book("AUSTRALIA", *chapters, "NEW ZEALAND", *chapters))
    assert [(kind, title) for kind, level, _, title in found if level == 1] == [
        ("part", "AUSTRALIA"),
        ("part", "NEW ZEALAND"),
    ]


def test_an_opening_line_is_not_taken_for_a_title() -> None:
    text = book("CHAPTER I", "“Whence?”", "…", "CHAPTER II", "…", "CHAPTER III", "…")
    assert [h.title for h in headings(text)] == ["", "", ""]


def test_a_text_without_chapters_has_none() -> None:
    assert headings(book("…", "…")) == []


@given(st.integers(min_value=1, max_value=99))
def test_roman_numbers_count_like_arabic_ones(number: int) -> None:
    ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
    tens = ["", "X", "XX", "XXX", "XL", "L", "LX", "LXX", "LXXX", "XC"]
    assert value_of(tens[number // 10] + ones[number % 10]) == number
    assert value_of(str(number)) == number


@pytest.mark.parametrize(
    ("number", "value"),
    [("forty-second", 42), ("THE FIRST", 1), ("TWENTY", 20), ("IIX", None), ("", None), ("x", 10)],
)
def test_number_words(number: str, value: int | None) -> None:
    assert value_of(number) == value


@given(st.lists(st.sampled_from(["CHAPTER I", "II", "3.", "PART 1", "PREFACE", PROSE, "A B"])))
def test_headings_come_in_order_and_never_overlap(lines: list[str]) -> None:
    split = ("\n\n".join(lines)).split("\n")
    paragraphs = list(split_paragraphs(split, layout_of(split)))
    position = 0
    for heading in find_headings(paragraphs):
        assert position <= heading.start < heading.stop <= len(paragraphs)
        position = heading.stop


# Worked out by reading each book: parts, numbered chapters, chapters with a title alone.
BOOKS = {
    "1023_bleak-house": (0, 67, 0),
    "1047_the-new-machiavelli": (4, 15, 0),
    "1059_the-world-set-free": (0, 5, 1),  # a prelude
    "11696_the-food-of-the-gods": (3, 12, 0),
    "123_at-the-earth-s-core": (0, 15, 1),  # a prologue
    "1268_the-mysterious-island": (3, 62, 0),
    "1400_great-expectations": (0, 59, 0),
    "159_the-island-of-doctor-moreau": (0, 22, 0),
    "1842_michael-strogoff": (2, 32, 0),
    "18857_a-journey-to-the-centre-of-the-earth": (0, 44, 0),
    "1906_erewhon-or-over-the-range": (0, 29, 0),
    "1951_the-coming-race": (0, 29, 0),
    "2083_in-search-of-the-castaways": (3, 66, 0),
    "2554_crime-and-punishment": (6, 39, 1),  # an epilogue
    "3261_news-from-nowhere": (0, 32, 0),
    "3526_five-weeks-in-a-balloon": (0, 44, 0),
    "43_the-strange-case-of-dr-jekyll-and-mr-hyde": (0, 0, 10),
    "605_pellucidar": (0, 15, 1),  # a prologue
    "624_looking-backward-2000-to-1887": (0, 28, 0),
    "62_a-princess-of-mars": (0, 28, 0),
    "6424_a-modern-utopia": (0, 11, 0),
    "64_the-gods-of-mars": (0, 22, 0),
    "68_the-warlord-of-mars": (0, 0, 16),
    "718_tono-bungay": (4, 14, 0),
    "775_when-the-sleeper-wakes": (0, 24, 0),
    "780_the-war-in-the-air": (0, 11, 1),  # an epilogue
    "81_the-return-of-tarzan": (0, 26, 0),
    "83_from-the-earth-to-the-moon-and-round-the-moon": (2, 51, 1),  # a preliminary chapter
    "103_around-the-world-in-eighty-days": (0, 37, 0),
    "1260_jane-eyre": (0, 38, 0),
    "145_middlemarch": (8, 86, 2),  # prelude and finale
    "2701_moby-dick-or-the-whale": (0, 135, 1),  # an epilogue
    "36_the-war-of-the-worlds": (2, 27, 0),
    "5230_the-invisible-man": (0, 28, 1),  # an epilogue
    "78_tarzan-of-the-apes": (0, 28, 0),
}


@pytest.mark.parametrize("name", BOOKS)
def test_real_books_have_all_their_chapters(name: str, shared_data: Path) -> None:
    (path,) = (shared_data / "books").glob(f"*/{name}.txt")
    (document,) = read_plain(Source(path=path, name=path.name, sha256="0"))
    parts = sum(section.kind == "part" for section in document.sections)
    chapters = [section for section in document.sections if section.kind == "chapter"]
    numbered = sum(bool(section.number) for section in chapters)
    assert (parts, numbered, len(chapters) - numbered) == BOOKS[name]
    assert document.kind == "book"
    for section in document.sections:
        assert document.heading(section), "a section begins with its heading"
