"""longqa.headings: how an answer calls a chapter or section."""

from __future__ import annotations

import pytest

from longdata.documents import Block, Document, SectionKind, assemble
from longqa.headings import label, labels, part_name


def book(*headings: tuple[str, str, str, SectionKind]) -> Document:
    """Headings as (printed, number, title, kind), each with a paragraph of its own."""
    blocks = []
    for index, (printed, number, title, kind) in enumerate(headings):
        level = 1 if kind == "part" else 2
        blocks.append(
            Block(printed, role="heading", level=level, number=number, title=title, kind=kind)
        )
        blocks.append(Block(f"Paragraph {index} of the text."))
    return assemble(blocks, title="T", kind="book", source="t", sha256="0")


def chapter_labels(document: Document) -> list[str] | None:
    sections = [s for s in document.sections if s.kind in ("chapter", "section")]
    named = labels(sections, document)
    return None if named is None else [named[s] for s in sections]


def in_two_parts(first: str, second: str, numbers: tuple[str, str] = ("I", "II")) -> Document:
    return book(
        (first, numbers[0], "", "part"),
        ("CHAPTER I", "I", "", "chapter"),
        ("CHAPTER II", "II", "", "chapter"),
        (second, numbers[1], "", "part"),
        ("CHAPTER I", "I", "", "chapter"),
    )


@pytest.mark.parametrize(
    ("number", "title", "kind", "expected"),
    [
        ("VII", "The Shark", "chapter", "Chapter VII, “The Shark”"),
        ("VII.", "The Shark.", "chapter", "Chapter VII, “The Shark”"),
        ("3.2", "Training", "section", "Section 3.2, “Training”"),
        ("4", "", "chapter", "Chapter 4"),
        ("", "Results", "section", "the section “Results”"),
        ("", "Prologue", "chapter", "the chapter “Prologue”"),
        ("ONE", "", "chapter", "Chapter One"),
        ("FIRST", "", "chapter", "Chapter the First"),
        ("LAST", "The End", "chapter", "Chapter the Last, “The End”"),
        ("XIV", "", "chapter", "Chapter XIV"),
        ("VII", "The “Dawn” Sinks", "chapter", "Chapter VII, “The ‘Dawn’ Sinks”"),
        ("A", "Proofs", "appendix", "Section A, “Proofs”"),
    ],
)
def test_a_label_reads_well_in_a_sentence(
    number: str, title: str, kind: SectionKind, expected: str
) -> None:
    document = book(("heading", number, title, kind))
    assert label(document.sections[0]) == expected


def test_the_part_is_named_where_chapters_are_counted_anew() -> None:
    assert chapter_labels(in_two_parts("PART I", "PART II")) == [
        "Chapter I of Part I",
        "Chapter II of Part I",
        "Chapter I of Part II",
    ]


@pytest.mark.parametrize(
    ("printed", "numbers", "called"),
    [
        (("BOOK I", "BOOK II"), ("I", "II"), ("Book I", "Book II")),
        (("Volume 1", "Volume 2"), ("1", "2"), ("Volume 1", "Volume 2")),
        (("VOL. I", "VOL. II"), ("I", "II"), ("Volume I", "Volume II")),
        (("I", "II"), ("I", "II"), ("Part I", "Part II")),
        (("FIRST PART", "SECOND PART"), ("FIRST", "SECOND"), ("Part the First", "Part the Second")),
        (("BOOK ONE", "BOOK TWO"), ("ONE", "TWO"), ("Book One", "Book Two")),
    ],
)
def test_a_part_is_called_what_its_author_calls_it(
    printed: tuple[str, str], numbers: tuple[str, str], called: tuple[str, str]
) -> None:
    named = chapter_labels(in_two_parts(*printed, numbers))
    assert named is not None
    assert [name.split(" of ")[1] for name in named] == [called[0], called[0], called[1]]


def test_a_title_is_not_taken_for_what_a_part_is_called() -> None:
    document = book(
        ("I. THE SEA", "I", "THE SEA", "part"),
        ("CHAPTER I", "I", "", "chapter"),
        ("II. THE LAND", "II", "THE LAND", "part"),
        ("CHAPTER I", "I", "", "chapter"),
    )
    assert chapter_labels(document) == ["Chapter I of Part I", "Chapter I of Part II"]


def test_a_part_without_a_number_goes_by_its_title() -> None:
    document = book(
        ("THE SEA", "", "The Sea", "part"),
        ("CHAPTER I", "I", "", "chapter"),
        ("THE LAND", "", "The Land", "part"),
        ("CHAPTER I", "I", "", "chapter"),
    )
    assert chapter_labels(document) == ["Chapter I of “The Sea”", "Chapter I of “The Land”"]


def test_parts_are_left_out_where_chapter_numbers_run_on() -> None:
    document = book(
        ("PART I", "I", "", "part"),
        ("CHAPTER I", "I", "", "chapter"),
        ("PART II", "II", "", "part"),
        ("CHAPTER II", "II", "", "chapter"),
    )
    assert chapter_labels(document) == ["Chapter I", "Chapter II"]


def test_chapters_that_cannot_be_told_apart_have_no_labels() -> None:
    twice = (("CHAPTER I", "I", "", "chapter"), ("CHAPTER I", "I", "", "chapter"))
    assert chapter_labels(book(*twice)) is None  # type: ignore[arg-type]


def test_a_heading_without_number_and_title_has_no_label() -> None:
    assert chapter_labels(book(("* * *", "", "", "chapter"))) is None


def test_only_chapters_are_called_chapters() -> None:
    document = book(("I", "I", "", "chapter"), ("II", "II", "", "section"))
    assert [part_name(s) for s in document.sections] == ["chapter", "section"]
