"""longqa.kinds.gaps: dates and quantities taken out of sentences."""

from __future__ import annotations

import random

import pytest
from longqa_documents import story, view_of

from longdata.documents import Block, assemble
from longqa.kinds.gaps import GAP, date, quantity
from longqa.records import Question

TAIL = " while the keeper of the lighthouse looked out over the grey water."


def questions(kind: str, *paragraphs: str) -> list[Question]:
    blocks = [Block(p) for p in paragraphs]
    document = assemble(blocks, title="T", kind="book", source="t", sha256="0")
    maker = {"date": date, "quantity": quantity}[kind]
    return list(maker(view_of(document), random.Random(0)))


def answer(kind: str, sentence: str) -> tuple[str, str] | None:
    """(the sentence with its gap, the answer)."""
    found = questions(kind, sentence + TAIL)
    if not found:
        return None
    (question,) = found
    cloze = question.text.split("“", 1)[1].removesuffix("”").removesuffix(TAIL)
    return cloze, question.answer


@pytest.mark.parametrize(
    ("sentence", "cloze", "expected"),
    [
        ("On the 3rd of March, 1887, she rowed", "On ____, she rowed", "The 3rd of March, 1887."),
        ("The boat came on 3 March 1887 at noon", "The boat came on ____ at noon", "3 March 1887."),
        ("The boat came on October 24, 2017", "The boat came on ____", "October 24, 2017."),
        ("The boat came on the 5th day of May", "The boat came on ____", "The 5th day of May."),
        ("The two were married in May, 1801", "The two were married in ____", "May, 1801."),
        ("In 1805 the tower was built", "In ____ the tower was built", "1805."),
        ("The tower was built in 1805", "The tower was built in ____", "1805."),
        (
            "The tower was built in the year 1805",
            "The tower was built in ____",
            "The year 1805.",
        ),
        ("The tower of 1024 stones fell in 1805", "The tower of 1024 stones fell in ____", "1805."),
    ],
)
def test_a_date_is_taken_out_whole(sentence: str, cloze: str, expected: str) -> None:
    assert answer("date", sentence) == (cloze, expected)


@pytest.mark.parametrize(
    "sentence",
    [
        "The tower stood from the 3rd of March to the 5th of May",
        "The tower was built in 1805 and burnt in 1806",
        "The tower was built in 1801 and 1805",
        "The war of the two harbours was fought in 1914-18",
        "The war of the two harbours was fought in 1914–1918",
        "The tower was built between the 3rd and 5 March",
        "The tower was built on March 3–5 by the men",
        "The tower was built on 3–5 March by the men",
        "The water was measured in 1500 feet of depth",
        "The people had to be counted in 1200 houses of the town",
        "The tower had 1805 stones in its outer wall",
        "The tower was built a very long time ago",
    ],
)
def test_ranges_several_dates_and_mere_numbers_are_no_dates(sentence: str) -> None:
    assert answer("date", sentence) is None


@pytest.mark.parametrize(
    ("sentence", "cloze", "expected"),
    [
        ("Odile paid her forty shillings", "Odile paid her ____ shillings", "Forty shillings."),
        ("Odile walked twenty-five miles", "Odile walked ____ miles", "Twenty-five miles."),
        ("Odile had a hundred and five men", "Odile had ____ men", "A hundred and five men."),
        ("Odile read 1,024 pages in a day", "Odile read ____ pages in a day", "1,024 pages."),
        ("Odile read 2.5 pages in an hour", "Odile read ____ pages in an hour", "2.5 pages."),
        ("The ice lost 12.5% of its weight", "The ice lost ____% of its weight", "12.5%."),
        ("The ice lost 12 % of its weight", "The ice lost ____ % of its weight", "12 %."),
        ("The ice lost ten per cent of it", "The ice lost ____ per cent of it", "Ten per cent."),
    ],
)
def test_a_quantity_is_asked_with_its_unit(sentence: str, cloze: str, expected: str) -> None:
    assert answer("quantity", sentence) == (cloze, expected)


@pytest.mark.parametrize(
    "sentence",
    [
        "Odile walked two or three miles",
        "Odile walked between five and six miles",
        "Odile walked 5–10 miles",
        "Odile walked 5-10 miles",
        "Odile looked at these two men",
        "Odile saw ice at −10 degrees",
        "Odile walked from 5 to 10 miles",
        "Odile walked two, three miles",
        "Odile walked ten miles and a half",
        "Odile walked a couple of dozen miles",
        "Odile walked half a dozen miles",
        "Odile walked several hundred miles",
        "Odile walked one hundred miles",
        "As Figure 3 shows, she walked very far",
        "Odile saw in Figure 3 images of the sea",
        "Odile read in Table 2 times of the tides",
        "Odile looked at the 3 x 5 images",
        "Odile made 4 × 10 tokens of brass",
        "Odile walked two miles out and two miles home",
        "Odile said that the two men would stay",
        "Odile took a twenty-mile walk",
        "Odile was as good as ten men",
        "Odile owned 1,024.5.3 pages",
    ],
)
def test_ranges_labels_and_figures_of_speech_are_no_quantities(sentence: str) -> None:
    assert answer("quantity", sentence) is None


def test_a_sentence_that_begins_with_its_number_is_not_asked() -> None:
    assert questions("quantity", "Forty shillings were paid to the ferryman" + TAIL) == []


def test_two_sentences_that_differ_in_their_number_alone_are_not_asked() -> None:
    twice = [f"The old keeper of the tower paid {n} shillings for his lamp oil." for n in (20, 30)]
    assert questions("quantity", *twice) == []


def test_a_sentence_that_stands_twice_is_not_asked() -> None:
    line = "The old keeper of the tower paid forty shillings for his lamp oil."
    assert questions("quantity", line, line) == []


def test_nothing_is_asked_of_what_somebody_says() -> None:
    spoken = "“The old keeper of the tower paid forty shillings for all his lamp oil,” said Tom."
    assert questions("quantity", spoken) == []


def test_gap_and_answer_together_are_the_sentence_of_the_evidence() -> None:
    view = view_of(story())
    found = [*date(view, random.Random(1)), *quantity(view, random.Random(1))]
    assert {q.kind for q in found} == {"date", "quantity"}
    for question in found:
        (span,) = question.evidence
        before, after = question.text.split("“", 1)[1].removesuffix("”").split(GAP)
        sentence = view.quote(span)
        assert sentence.startswith(before) and sentence.endswith(after)
        taken = sentence[len(before) : len(sentence) - len(after)]
        assert question.answer.casefold().startswith(taken.casefold())
