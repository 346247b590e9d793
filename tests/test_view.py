"""longqa.view: a window of a document, as the question kinds see it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from longqa_documents import paper, story, view_of

from longdata.documents import Block, assemble
from longqa.view import View

BOOK = story()
BORDERS = st.lists(st.integers(0, len(BOOK.text)), min_size=2, max_size=2, unique=True)


def book(*paragraphs: str) -> View:
    blocks = [Block(p) for p in paragraphs]
    return view_of(assemble(blocks, title="T", kind="book", source="t", sha256="0"))


@given(BORDERS)
def test_sentences_and_paragraphs_lie_wholly_inside(borders: list[int]) -> None:
    whole = view_of(BOOK)
    view = View(
        view_of(BOOK, start=min(borders), end=max(borders)).material, whole.reading, whole.everyone
    )
    for parts, every in (
        (view.sentences, whole.sentences),
        (view.paragraphs, whole.paragraphs),
    ):
        inside = [p for p in every if view.start <= p.start and p.end <= view.end]
        assert list(parts) == inside
    assert set(view.plain) <= set(view.sentences)


@given(BORDERS)
def test_occurrences_are_those_of_the_window(borders: list[int]) -> None:
    view = view_of(BOOK, start=min(borders), end=max(borders))
    for name in ("Odile", "Brandt", "Nobody"):
        every = [i for i in range(len(BOOK.text)) if BOOK.text.startswith(name, i)]
        assert view.occurrences(name) == [i for i in every if view.start <= i < view.end]


def test_a_chapter_counts_when_its_heading_stands_inside() -> None:
    one, two, three = BOOK.sections
    assert view_of(BOOK).chapters == [one, two, three]
    assert view_of(BOOK, start=one.start + 1).chapters == [two, three]
    assert view_of(BOOK, end=three.body).chapters == [one, two]
    assert view_of(BOOK, end=three.body + 1).chapters == [one, two, three]


def test_the_chapter_of_a_character_is_the_one_around_it() -> None:
    view = view_of(BOOK)
    for chapter in BOOK.sections:
        assert view.chapter_at(chapter.start) is None  # in the heading itself
        assert view.chapter_at(chapter.body) is chapter
        assert view.chapter_at(chapter.end - 1) is chapter
    second = BOOK.sections[1]
    assert view_of(BOOK, start=second.body).chapter_at(second.body + 5) is None


def test_captions_lie_wholly_inside() -> None:
    document = paper()
    (caption,) = document.captions
    assert view_of(document).captions == [caption]
    assert view_of(document, end=caption.end - 1).captions == []
    assert view_of(document, start=caption.start + 1).captions == []


def test_people_are_counted_in_the_window_most_mentioned_first() -> None:
    view = view_of(BOOK, end=BOOK.sections[1].start)
    assert [(p.name, least) for p, least, _ in view.people] == [
        ("Odile Marsh", 4),
        ("Mr. Harrow", 3),
    ]
    everyone = [(p.name, least) for p, least, _ in view_of(BOOK).people]
    assert everyone[0][0] == "Odile Marsh"
    assert [n for _, n in everyone] == sorted((n for _, n in everyone), reverse=True)


def test_a_sentence_is_unique_when_its_words_stand_once_in_the_window() -> None:
    view = book("The lamp burnt low that night.", "Odile slept.", "The lamp burnt low that night.")
    first, second, third = view.sentences
    assert [view.is_unique(s) for s in (first, second, third)] == [False, True, False]
    half = view_of(view.document, end=second.end)
    assert half.is_unique(half.sentences[0])


@pytest.mark.parametrize(
    ("other", "only"),
    [
        ("Then Odile’s boat was gone.", True),
        ("Then “Odile!” was heard.", True),
        ("Then Odilon came.", True),
        ("Then ODILE came.", False),
        ("Then the Odiles came.", False),
        ("Then an odile came.", False),
        ("Then an Odile-like smile came.", False),
        ("Then the Anglo-Odile-Company came.", False),
        ("Then came Odile--who else?", True),
        ("Then came _Odile_.", False),
    ],
)
def test_a_name_has_one_form_when_it_is_never_written_otherwise(other: str, only: bool) -> None:
    assert book("Here Odile is.", other).is_only_form("Odile") is only


def test_depth_runs_from_zero_to_one_over_the_window() -> None:
    view = view_of(BOOK, start=100, end=300)
    assert [view.depth(i) for i in (100, 200, 300)] == [0.0, 0.5, 1.0]
