"""longqa.kinds.sequence: which comes first, in which chapter, what follows."""

from __future__ import annotations

import random

import pytest
from longqa_documents import paper, story, view_of

from longdata.documents import Block, Document, assemble
from longqa.kinds.sequence import order, place, telling, what_follows

NOUNS = "harbour lantern ferry anchor cellar garden bridge tower market kitchen".split()


def sentence(chapter: int, index: int) -> str:
    number = chapter * 10 + index
    return f"Odile carried number {number} of the boxes that night down to the {NOUNS[index]}."


def novel(chapters: int = 3, parts: tuple[str, ...] = ("",)) -> Document:
    """Chapters of four paragraphs with two sentences each, counted anew in every part."""
    blocks = []
    number = 0
    for part in parts:
        if part:
            title = part.split()[-1]
            blocks.append(Block(part, role="heading", level=1, number=title, kind="part"))
        for chapter in range(1, chapters + 1):
            number += 1
            blocks.append(
                Block(
                    f"CHAPTER {chapter}",
                    role="heading",
                    level=2,
                    number=str(chapter),
                    kind="chapter",
                )
            )
            blocks += [
                Block(f"{sentence(number, 2 * i)} {sentence(number, 2 * i + 1)}") for i in range(4)
            ]
    return assemble(blocks, title="T", kind="book", source="t", sha256="0")


@pytest.mark.parametrize("seed", range(5))
def test_the_sentence_that_comes_first_is_named(seed: int) -> None:
    view = view_of(novel())
    found = list(order(view, random.Random(seed)))
    assert found
    for question in found:
        a = view.text.index(question.text.split("(A) “")[1].split("”")[0])
        b = view.text.index(question.text.split("(B) “")[1].split("”")[0])
        assert question.answer.startswith("(A) comes first" if a < b else "(B) comes first")
        assert abs(a - b) > 0.1 * len(view.text)
        assert [s.start for s in question.evidence] == sorted((a, b))


def test_neither_letter_is_right_more_often() -> None:
    view = view_of(novel())
    first = [
        question.answer[1] for seed in range(60) for question in order(view, random.Random(seed))
    ]
    assert len(first) > 300
    assert 0.42 < first.count("A") / len(first) < 0.58


def test_the_verdict_names_both_chapters() -> None:
    view = view_of(novel())
    for question in order(view, random.Random(0)):
        if ": " not in question.answer:
            continue
        quoted = [question.text.split(f"({x}) “")[1].split("”")[0] for x in "AB"]
        number = [int(q.split("number ")[1].split(" ")[0]) // 10 for q in quoted]
        expected = f"(A) stands in Chapter {number[0]}, (B) in Chapter {number[1]}."
        assert question.answer.endswith(expected)


def test_no_sentence_is_used_twice_for_order() -> None:
    view = view_of(novel())
    spans = [s for q in order(view, random.Random(0)) for s in q.evidence]
    assert len(set(spans)) == len(spans)


def test_the_chapter_of_a_sentence_is_named_right() -> None:
    view = view_of(novel())
    found = list(place(view, random.Random(0)))
    assert len(found) == 24
    for question in found:
        number = int(question.about.split("number ")[1].split(" ")[0]) // 10
        assert question.answer == f"In Chapter {number}."
        assert "chapter" in question.text
        heading, quoted = (view.quote(span) for span in question.evidence)
        assert (heading, quoted) == (f"CHAPTER {number}", question.about)


def test_chapters_counted_anew_in_every_part_are_named_with_it() -> None:
    view = view_of(novel(2, parts=("BOOK I", "BOOK II")))
    answers = {q.about: q.answer for q in place(view, random.Random(0))}
    assert answers[sentence(1, 0)] == "In Chapter 1 of Book I."
    assert answers[sentence(4, 7)] == "In Chapter 2 of Book II."


def test_one_chapter_alone_asks_for_no_place() -> None:
    assert list(place(view_of(novel(1)), random.Random(0))) == []


def test_a_sentence_before_the_first_heading_of_the_window_has_no_chapter() -> None:
    document = novel()
    start = document.text.index(sentence(1, 4))
    view = view_of(document, start=start)
    about = {q.about for q in place(view, random.Random(0))}
    assert sentence(2, 0) in about and sentence(1, 4) not in about


def test_a_paper_is_asked_for_sections_and_never_for_its_abstract() -> None:
    view = view_of(paper())
    found = list(place(view, random.Random(0)))
    assert {"In Section 1, “Introduction”.", "In Section 2, “Method”."} <= {q.answer for q in found}
    assert all("section" in q.text for q in found)
    assert not any("Abstract" in q.answer for q in found)


def test_what_follows_is_the_next_sentence_of_the_same_paragraph() -> None:
    view = view_of(novel())
    found = {q.about: q.answer for q in what_follows(view, random.Random(0))}
    assert found == {
        sentence(c, 2 * i): sentence(c, 2 * i + 1) for c in (1, 2, 3) for i in range(4)
    }


def test_the_evidence_of_what_follows_is_both_sentences() -> None:
    view = view_of(novel())
    for question in what_follows(view, random.Random(0)):
        assert [view.quote(s) for s in question.evidence] == [f"{question.about} {question.answer}"]


def test_a_sentence_that_stands_twice_asks_nothing() -> None:
    line = "The lamp of the tower burnt low and the keeper was asleep beside it."
    others = [sentence(1, i) for i in range(8)]
    blocks = [Block(f"{line} {others[0]}"), *map(Block, others[1:7]), Block(f"{line} {others[7]}")]
    document = assemble(blocks, title="T", kind="book", source="t", sha256="0")
    view = view_of(document)
    for maker in (order, place, what_follows):
        assert not any(line in q.text for q in maker(view, random.Random(0)))


@pytest.mark.parametrize(
    "line",
    [
        "He carried all the boxes of the ferryman down to the harbour that night.",
        "But, on the whole, the keeper of the tower was content with his visitors.",
        "For, as everyone knew, the keeper of the tower had never left his island.",
        "However the keeper of the tower had never left the island in forty years.",
        "Where T is a constant update matrix and the others are constant vectors.",
        "The kernel of the operator is called w. The operation with G ensures the rest.",
        "Correspondence should be addressed to the keeper (keeper@tower.org) of the light.",
        "“The keeper of the tower has never left the island in all of forty years,” he said.",
        "The gap between two spikes is 10 ms. As in the first part we measure the weights.",
        "Too short to say a thing.",
    ],
)
def test_a_sentence_that_says_little_by_itself_is_not_quoted(line: str) -> None:
    document = assemble([Block(line)], title="T", kind="book", source="t", sha256="0")
    assert telling(view_of(document)) == []


def test_ordinary_narration_is_quoted() -> None:
    lines = [
        "Mr. Harrow rowed the old ferry across the grey water of the firth that night.",
        "Heaven was grey above the tower, and the keeper came down the stairs at last.",
        "Dr. Kemp came in with Prof. Brandt, who carried the great lamp in both his arms.",
    ]
    document = assemble([Block(x) for x in lines], title="T", kind="book", source="t", sha256="0")
    view = view_of(document)
    assert [view.quote(s) for s in telling(view)] == lines


def test_a_line_of_dialogue_between_two_sentences_is_not_skipped_over() -> None:
    for question in what_follows(view_of(story()), random.Random(0)):
        assert "“" not in question.about + question.answer


def test_a_section_with_subsections_around_is_called_a_main_section() -> None:
    flat = next(place(view_of(paper()), random.Random(0)))
    assert "main section" not in flat.text and "section" in flat.text
    sub = {"role": "heading", "level": 2, "number": "2.1", "title": "Details"}
    blocks = []
    for number in range(1, 4):
        title = f"Part number {number}"
        blocks.append(Block(f"{number} {title}", role="heading", number=str(number), title=title))
        blocks.append(
            Block(f"Sentence number {number} of this paper stands here and nowhere else at all.")
        )
        blocks.append(Block("2.1 Details", **sub))
        blocks.append(
            Block(f"Detail number {number} of this paper stands here and nowhere else at all.")
        )
    nested = assemble(blocks, title="T", kind="paper", source="t", sha256="0")
    assert "main section" in next(place(view_of(nested), random.Random(0))).text
