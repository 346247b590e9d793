"""longqa.kinds.people: who says a line, who is named most, who appears with whom."""

from __future__ import annotations

import random

import pytest
from longqa_documents import story, view_of

from longdata.documents import Block, Document, assemble
from longqa.kinds.people import characters, companions, speaker
from longqa.records import Question
from longqa.view import View

# Three people whom the text leaves no doubt about.
CAST = (
    "Tom Harrow nodded. Then Brandt smiled, and Brandt looked at Tom Harrow. Now Odile laughed.",
    "“No,” said Tom Harrow. “Yes,” said Brandt. “So,” said Odile. Brandt turned to Odile Marsh.",
    "Then Odile Marsh nodded at Tom Harrow. It was Brandt who spoke. Now Tom Harrow looked on.",
    "And then Odile Marsh smiled. Here Brandt walked on. Then Tom Harrow sat down with a sigh.",
)
LINE = "The ferry will not cross the water tonight"


def book(*paragraphs: str) -> Document:
    blocks = [Block(p) for p in (*CAST, *paragraphs)]
    return assemble(blocks, title="T", kind="book", source="t", sha256="0")


def asked(*paragraphs: str) -> dict[str, str]:
    """line -> who says it."""
    view = view_of(book(*paragraphs))
    return {q.about: q.answer for q in speaker(view, random.Random(0))}


def test_the_speakers_of_the_story_are_right_and_all_found() -> None:
    found = {q.about: q.answer for q in speaker(view_of(story()), random.Random(0))}
    assert found == {
        "The tide will not wait for any of us tonight": "Mr. Harrow.",
        "You have carried worse passengers than me, I am sure": "Odile Marsh.",
        "Nobody climbs these stairs without my leave": "Josiah Brandt.",
        "He writes that the harbour is closed for the winter": "Odile Marsh.",
    }


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (f"“{LINE},” said Brandt.", "Brandt."),
        (f"“{LINE},” Brandt said.", "Brandt."),
        (f"“{LINE}!” cried Tom Harrow, and he was gone.", "Tom Harrow."),
        (f"“{LINE}!” Tom Harrow whispered softly.", "Tom Harrow."),
        (f"“{LINE}?” Odile asked.", "Odile Marsh."),
        (f"“{LINE},” said Brandt to Odile.", "Brandt."),
        (f"“{LINE},” said Odile, and Brandt laughed.", "Odile Marsh."),
        (f'"{LINE}," said Brandt.', "Brandt."),
        (f'"Oh," said Odile. "{LINE}," said Brandt.', "Brandt."),
        (f"“{LINE},” said Odile. “We must stay.”", "Odile Marsh."),
    ],
)
def test_a_line_is_given_to_the_one_who_is_said_to_say_it(after: str, expected: str) -> None:
    assert asked(after)[LINE + ("!" if "!" in after else "?" if "?" in after else "")] == expected


@pytest.mark.parametrize(
    "after",
    [
        f"“{LINE},” said Brandt’s brother.",
        f"“{LINE},” said Brandt's brother.",
        f"“{LINE},” said Tom Harrow’s wife.",
        f"“{LINE},” said Brandt and Odile.",
        f"“{LINE},” said Tom Harrow and Odile together.",
        f"“{LINE},” said Brandt and the keeper together.",
        f"“{LINE},” said Brandt, or his brother.",
        f"“{LINE},” said the brother of Brandt.",
        f"“{LINE},” said he to Brandt.",
        f"“{LINE},” said Smith.",
        f"“{LINE},” said Brandt Mallory.",
        f"“{LINE}.” Brandt said nothing.",
        f"“{LINE}?” Brandt said nothing.",
        f"“{LINE}?” Brandt replied, with a laugh, that it would.",
        f"“{LINE}!” Brandt called a servant.",
        f"“{LINE}.” Brandt said no more.",
        f"“{LINE} for—” Brandt began.",
        f"“{LINE},” said Brandt, “unless the wind turns to the west.”",
        f"“{LINE},” said Brandt; “unless the wind turns to the west.”",
        f"“{LINE},” said Brandt, with a long look at Odile, “unless it must.”",
        f"He had heard it often. “{LINE}” was carved over the door. Brandt said so.",
    ],
)
def test_a_line_whose_speaker_is_somebody_else_or_in_doubt_is_not_asked(after: str) -> None:
    assert not any(line.startswith(LINE) for line in asked(after))


def test_narration_between_two_straight_quotations_is_no_line() -> None:
    found = asked(f'"Not at all," said Odile, who was looking out over the water, "{LINE}."')
    assert not any("looking out" in line for line in found)


def test_a_line_that_names_its_speaker_is_not_asked() -> None:
    assert asked("“I am Odile and I have paid for the passage,” said Odile.") == {}


def test_a_line_said_twice_is_not_asked() -> None:
    assert asked(f"“{LINE},” said Brandt.", f"“{LINE}!” cried Odile.") == {}


def test_a_short_line_is_not_asked() -> None:
    assert asked("“Not tonight, nevermore, gentlemen,” said Brandt.") == {}


def test_a_clause_that_waits_for_another_is_not_asked() -> None:
    assert asked("“If Odile wished to see me tonight,” returned Brandt, discomfited.") == {}


def test_the_second_half_of_a_sentence_is_not_asked() -> None:
    assert asked("“Tonight,” said Odile, “unless the wind turns to the west,” said Brandt.") == {}


def test_husband_and_wife_are_not_confused() -> None:
    halls = (
        "Mr. Hall came in. Then Mrs. Hall nodded. “So,” said Mrs. Hall. And then Hall laughed.",
        "Now Mrs. Hall sat down while Mr. Hall looked on. It was Hall who spoke to Mrs. Hall.",
        f"“{LINE},” said Mrs. Hall.",
        "“There will be no supper for anybody tonight,” said Mr. Hall.",
    )
    found = asked(*halls)
    assert found[LINE] == "Mrs. Hall."
    assert found["There will be no supper for anybody tonight"] == "Mr. Hall."


def test_the_evidence_is_the_line_with_its_speaker() -> None:
    document = book(f"“{LINE},” said Brandt. He went up the stairs.")
    (question,) = speaker(view_of(document), random.Random(0))
    (span,) = question.evidence
    assert document.text[span.start : span.end] == f"“{LINE},” said Brandt"


def window(*people: tuple[str, int]) -> View:
    """A book that names people so often."""
    mentions = [f"Then {name} nodded at last." for name, count in people for _ in range(count)]
    spoken = [f"“No,” said {name}." for name, _ in people for _ in range(2)]
    blocks = [Block(p) for p in mentions + spoken]
    return view_of(assemble(blocks, title="T", kind="book", source="t", sha256="0"))


def only(questions: list[Question]) -> Question:
    assert len(questions) == 1
    return questions[0]


def test_those_named_most_are_listed_in_order() -> None:
    view = window(("Fogg", 30), ("Aouda", 20), ("Fix", 10), ("Stuart", 3))
    question = only(list(characters(view, random.Random(0))))
    assert question.answer == "Fogg, then Aouda, then Fix."
    assert "three" in question.text


def test_a_narrow_lead_is_not_asked_about() -> None:
    view = window(("Fogg", 30), ("Aouda", 29), ("Fix", 28), ("Stuart", 27), ("Ralph", 26))
    assert list(characters(view, random.Random(0))) == []


def test_the_list_stops_where_the_lead_is_clear() -> None:
    view = window(("Fogg", 30), ("Aouda", 20), ("Fix", 10), ("Stuart", 9))
    question = only(list(characters(view, random.Random(0))))
    assert question.answer == "Fogg, then Aouda."
    assert "two" in question.text


def test_every_person_of_the_answer_is_shown_in_the_evidence() -> None:
    view = window(("Fogg", 30), ("Aouda", 20), ("Fix", 10), ("Stuart", 3))
    question = only(list(characters(view, random.Random(0))))
    shown = " ".join(view.quote(span) for span in question.evidence)
    assert all(name in shown for name in ("Fogg", "Aouda", "Fix"))


def together(*pairs: tuple[str, str, int]) -> View:
    """A book whose paragraphs name two people each, so often."""
    blocks = [
        Block(f"Then {one} nodded. After that {other} smiled at the sea, number {i}.")
        for one, other, count in pairs
        for i in range(count)
    ]
    spoken = [Block(f"“No,” said {n}.") for n in sorted({n for p in pairs for n in p[:2]}) * 2]
    return view_of(assemble(blocks + spoken, title="T", kind="book", source="t", sha256="0"))


def companions_of(view: View) -> dict[str, str]:
    return {q.about: q.answer for q in companions(view, random.Random(0))}


def test_the_companion_is_who_shares_most_paragraphs() -> None:
    view = together(("Fogg", "Aouda", 10), ("Fogg", "Stuart", 3), ("Ralph", "Stuart", 8))
    found = companions_of(view)
    assert found["Fogg"] == "Aouda."
    assert found["Aouda"] == "Fogg."
    assert found["Ralph"] == "Stuart."


def test_a_companion_by_a_narrow_lead_is_not_asked_for() -> None:
    found = companions_of(together(("Fogg", "Aouda", 10), ("Fogg", "Stuart", 9)))
    assert "Fogg" not in found


def test_two_of_one_name_are_no_companions() -> None:
    found = companions_of(together(("Mr. Hall", "Mrs. Hall", 10), ("Fogg", "Aouda", 9)))
    assert set(found) == {"Fogg", "Aouda"}


def test_a_paragraph_of_the_evidence_names_both() -> None:
    view = together(("Fogg", "Aouda", 10), ("Fogg", "Stuart", 3))
    for question in companions(view, random.Random(0)):
        for span in question.evidence:
            assert question.about in view.quote(span)
            assert question.answer.rstrip(".") in view.quote(span)
