"""longqa.kinds.counting: how often, first and last mention, list all."""

from __future__ import annotations

import random
import re

import pytest
from longqa_documents import paper, story, view_of

from longdata.documents import Block, Document, assemble
from longqa.kinds.counting import count, distinctive, first_mention, last_mention, list_all, terms
from longqa.names import Person
from longqa.records import Question
from longqa.view import View

CAST = "Then Odile nodded. “No,” said Odile. “Yes,” said Odile. Here Odile looked at the sea. "


def book(*paragraphs: str) -> View:
    blocks = [Block(p) for p in (CAST, *paragraphs)]
    return view_of(assemble(blocks, title="T", kind="book", source="t", sha256="0"))


def counted(view: View) -> dict[str, str]:
    return {q.about: q.answer for q in count(view, random.Random(0))}


def test_whole_words_are_counted_possessives_included() -> None:
    assert counted(book("And so Odile’s lamp and Odile's boat were gone."))["Odile"] == "6 times."


def test_a_name_beside_a_double_hyphen_is_counted() -> None:
    assert counted(book("They saw Odile--who was late--at the door."))["Odile"] == "5 times."


@pytest.mark.parametrize(
    "other",
    [
        "The two Odiles of the island met at last.",
        "And ODILE was written over the door.",
        "The Odilean sea was grey.",
        "It was an Odile-like smile.",
        "The boat of the Mrs-Odile company came.",
        "It was _Odile_ whom he meant.",
        "He found an odile on the beach.",
    ],
)
def test_a_name_that_is_written_in_another_way_too_is_not_counted(other: str) -> None:
    assert "Odile" not in counted(book(other))


def test_longer_names_that_hold_the_name_inside_do_not_matter() -> None:
    assert counted(book("Then Codile came, and crocodile tears were shed."))["Odile"] == "4 times."


def test_only_what_stands_in_the_window_is_counted() -> None:
    document = story()
    for chapter in document.sections:
        view = view_of(document, start=chapter.start, end=chapter.end)
        for name, answer in counted(view).items():
            times = len(re.findall(rf"\b{name}\b", view.text))
            assert answer == f"{times} times."


def test_every_occurrence_is_shown() -> None:
    view = book("And so Odile’s lamp was gone.")
    (question,) = count(view, random.Random(0))
    assert [view.quote(s) for s in question.evidence] == ["Odile"] * 5


def test_many_occurrences_are_not_asked_for() -> None:
    assert counted(book("Then Odile nodded at the sea. " * 20)) == {}


def person(name: str) -> Person:
    return Person(name=name, forms=(name,), mentions=(), doubtful=())


@pytest.mark.parametrize(
    ("name", "word"),
    [("Mr. Hall", "Hall"), ("Phileas Fogg", "Phileas"), ("Dr. J. Kemp", "Kemp"), ("Mr. X", None)],
)
def test_the_distinctive_word_of_a_name_is_no_title(name: str, word: str | None) -> None:
    assert distinctive(person(name)) == word


def mentions(document: Document, start: int = 0) -> dict[str, tuple[str, str]]:
    """term -> the first and the last sentence that contain it."""
    view = view_of(document, start=start)
    first = {q.about: q.answer for q in first_mention(view, random.Random(0))}
    last = {q.about: q.answer for q in last_mention(view, random.Random(0))}
    return {term: (first[term], last[term]) for term in first.keys() & last.keys()}


def test_first_and_last_mention_are_whole_sentences() -> None:
    found = mentions(story())
    assert found["Josiah"] == (
        "The keeper of the lighthouse was called Josiah Brandt, and he disliked every visitor "
        "alike.",
        "Josiah Brandt showed Odile Marsh the great lamp and its brass gears.",
    )


def test_the_first_mention_is_that_of_the_window() -> None:
    document = story()
    found = mentions(document, start=document.sections[2].start)
    assert found["Harrow"][0].startswith("A letter from Mr. Harrow")


def test_a_first_mention_in_a_heading_is_no_sentence() -> None:
    heading = Block("Odile", role="heading", title="Odile", kind="chapter")
    blocks = [heading, Block(CAST)]
    document = assemble(blocks, title="T", kind="book", source="t", sha256="0")
    view = view_of(document)
    assert list(first_mention(view, random.Random(0))) == []
    assert [q.about for q in last_mention(view, random.Random(0))] == ["Odile"]


def test_a_mention_in_half_a_sentence_is_not_asked() -> None:
    blocks = [Block("odd words before Odile came (and no end"), Block(CAST)]
    document = assemble(blocks, title="T", kind="book", source="t", sha256="0")
    assert list(first_mention(view_of(document), random.Random(0))) == []


SCIENCE = (
    "The method of Fourier was used. We know that Fourier wrote it. As Fourier said, it is so. "
    "See Figure 1 and Figure 2 and Figure 3 for the rest. The GPU was fast, and one GPU was slow, "
    "so the GPU stayed. Here Often is a word. Often it rains. Often it snows. Often it pours."
)


def test_a_papers_terms_are_proper_names_and_acronyms() -> None:
    document = assemble([Block(SCIENCE)], title="T", kind="paper", source="t", sha256="0")
    assert {word: len(places) for word, places in terms(view_of(document))} == {
        "Fourier": 3,
        "GPU": 3,
    }


def test_a_term_that_also_stands_in_the_plural_is_not_asked() -> None:
    document = assemble(
        [Block(f"{SCIENCE} All GPUs are warm.")], title="T", kind="paper", source="t", sha256="0"
    )
    assert [word for word, _ in terms(view_of(document))] == ["Fourier"]


def listed(view: View) -> dict[str, Question]:
    return {q.about.split(" ")[0]: q for q in list_all(view, random.Random(0))}


def test_all_chapters_are_listed_as_printed_and_in_order() -> None:
    question = listed(view_of(story()))["headings"]
    assert question.answer.split("\n") == [
        "CHAPTER I. The Water",
        "CHAPTER II. The Lamp",
        "CHAPTER III. The Letter",
    ]
    assert "chapters" in question.text and "main" not in question.text


def test_the_main_sections_of_a_paper_are_all_listed_references_included() -> None:
    question = listed(view_of(paper()))["headings"]
    assert question.answer.split("\n") == [
        "Abstract",
        "1 Introduction",
        "2 Method",
        "3 Results",
        "4 Conclusion",
        "References",
    ]
    assert "main sections" not in question.text


def sections(*headings: tuple[int, str]) -> View:
    blocks = []
    for level, title in headings:
        blocks.append(Block(title, role="heading", level=level, title=title))
        blocks.append(Block(f"The section on {title.lower()} says a few words and no more."))
    return view_of(assemble(blocks, title="T", kind="paper", source="t", sha256="0"))


def test_sections_that_hold_subsections_are_called_main_sections() -> None:
    view = sections((1, "Introduction"), (1, "Method"), (2, "Data"), (1, "Results"))
    question = listed(view)["headings"]
    assert question.answer.split("\n") == ["Introduction", "Method", "Results"]
    assert "main sections" in question.text


def test_bare_numbers_make_no_list() -> None:
    blocks = []
    for number in ("I", "II", "III"):
        blocks += [Block(number, role="heading", number=number, kind="chapter"), Block(CAST)]
    document = assemble(blocks, title="T", kind="book", source="t", sha256="0")
    assert "headings" not in listed(view_of(document))


def names(view: View) -> dict[str, str]:
    return {
        q.about.removeprefix("chapters with "): q.answer
        for q in list_all(view, random.Random(0))
        if q.about.startswith("chapters with ")
    }


def numbered(*chapters: str) -> View:
    blocks = []
    for index, text in enumerate(chapters, 1):
        number = "I" * index
        blocks.append(Block(f"CHAPTER {number}", role="heading", number=number, kind="chapter"))
        blocks.append(Block(text))
    return view_of(assemble(blocks, title="T", kind="book", source="t", sha256="0"))


def test_the_chapters_that_name_somebody_are_all_listed() -> None:
    found = names(numbered(CAST, "Nobody was there at all.", CAST))
    assert found == {"Odile": "Chapters I and III."}


def test_titled_chapters_are_listed_with_their_titles() -> None:
    assert names(view_of(story()))["Harrow"] == (
        "Chapter I, “The Water”; Chapter III, “The Letter”."
    )


def test_a_name_in_every_chapter_or_in_one_alone_is_not_asked() -> None:
    assert names(numbered(CAST, CAST, CAST)) == {}
    assert names(numbered(CAST, "Nobody was there.", "Nobody was there.")) == {}


def test_a_name_before_the_first_chapter_of_the_window_is_not_asked() -> None:
    document = numbered(CAST, CAST, "Nobody was there at all.", CAST, "Nobody.").document
    assert names(view_of(document)) == {"Odile": "Chapters I, II and IIII."}
    at = document.sections[0].body
    assert names(view_of(document, start=at)) == {}


def test_abbreviations_are_listed_with_their_forms() -> None:
    clear = (
        "We use position interpolation (PI), low rank adaptation (LRA) and area under curve (AUC)."
    )
    document = assemble([Block(clear)], title="T", kind="paper", source="t", sha256="0")
    assert listed(view_of(document))["abbreviations"].answer.split("\n") == [
        "PI: position interpolation",
        "LRA: low rank adaptation",
        "AUC: area under curve",
    ]


def captioned(*labels: str) -> View:
    blocks = [Block(f"{label}: Words.", role="caption", label=label) for label in labels]
    return view_of(assemble(blocks, title="T", kind="paper", source="t", sha256="0"))


def test_figures_and_tables_are_listed_in_order() -> None:
    question = listed(captioned("Figure 1", "Table 1", "Figure 2"))["captions"]
    assert question.answer == "Figure 1, Table 1, Figure 2."


def test_a_label_borne_twice_makes_no_list() -> None:
    assert "captions" not in listed(captioned("Figure 1", "Table 1", "Figure 1"))
