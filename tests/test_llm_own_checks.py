"""longqa.llm.own_checks and drafts: what must hold for one kind alone."""

from __future__ import annotations

import pytest
from longqa_documents import paper, story

from longdata.documents import Span
from longqa.llm import own_checks
from longqa.llm.drafts import Draft, count_words
from longqa.llm.pairs import join
from longqa.records import Material

DOCUMENT = story()
MATERIAL = Material(document=DOCUMENT, ctx=4096, start=0, end=len(DOCUMENT.text))


def draft(
    question: str = "Q?", answer: str = "A", spans=(), material: Material = MATERIAL
) -> Draft:
    return Draft(
        kind="detail",
        question=question,
        answer=answer,
        spans=tuple(Span(start=a, end=b) for a, b in spans),
        material=material,
    )


def test_a_summary_is_in_its_own_words() -> None:
    context = MATERIAL.context
    copied = context[context.index("On the 3rd") :][:300]
    assert own_checks.summarised(draft(answer=f"It says: {copied}")) is not None
    assert own_checks.summarised(draft(answer=copied.upper().replace(",", " ;"))) is not None
    assert own_checks.summarised(draft(answer="A ferryman rows a woman to a lighthouse.")) is None


@pytest.mark.parametrize(
    ("question", "one", "two"),
    [
        ("Why did Odile trust Josiah?", True, True),
        ("Why did Odile trust Zebediah?", True, False),
        ("Why did Zebediah go?", False, False),
        ("Why was it late?", False, False),
        ("彼はなぜ行きましたか？", True, True),
    ],
)
def test_people_asked_about_are_in_the_text(question: str, one: bool, two: bool) -> None:
    assert (own_checks.named(draft(question)) is None) == one
    assert (own_checks.related(draft(question)) is None) == two


@pytest.mark.parametrize(
    ("answer", "good"),
    [("2: the lamp and the gears", True), ("3: …", False), ("Two lamps", False), ("22", False)],
)
def test_a_number_is_that_of_its_quotes(answer: str, good: bool) -> None:
    assert (own_checks.counted(draft(answer=answer, spans=[(0, 5), (9, 12)])) is None) == good


def test_a_list_has_three_items_and_as_many_quotes() -> None:
    answer = "- the ferry\n- the lamp\n- the letter"
    assert own_checks.listed(draft(answer=answer, spans=[(0, 5), (9, 12), (20, 25)])) is None
    assert own_checks.listed(draft(answer=answer, spans=[(0, 5), (9, 12)])) is not None
    assert own_checks.listed(draft(answer="ferry, lamp", spans=[(0, 5), (9, 12)])) is not None
    assert own_checks.ordered(draft(answer="1. rows\n2) climbs\n3. reads")) is None
    assert own_checks.ordered(draft(answer="rows, climbs, reads")) is not None
    assert draft(answer="Here:\n1. rows\n2) climbs").items == ["rows", "climbs"]
    assert draft(answer="rows\nclimbs").items == ["rows", "climbs"]


def test_a_review_has_three_parts_and_ideas_are_several() -> None:
    assert (
        own_checks.reviewed(draft(answer="Strengths\nx\n\nWeaknesses\ny\n\nQuestions\nz")) is None
    )
    assert own_checks.reviewed(draft(answer="Strengths: x. Weaknesses: y.")) is not None
    assert own_checks.improved(draft(answer="- a\n- b")) is None
    assert own_checks.improved(draft(answer="more data")) is not None


def test_a_comparison_quotes_both_papers() -> None:
    joined, _ = join(paper(), story())
    material = Material(document=joined, ctx=8192, start=0, end=len(joined.text))
    border = draft(material=material).border
    assert joined.text[border:] == story().text
    assert (
        own_checks.compared(draft(spans=[(0, 9), (border, border + 9)], material=material)) is None
    )
    assert own_checks.compared(draft(spans=[(0, 9), (20, 29)], material=material)) is not None
    assert draft().border == -1


def test_spread_is_the_distance_of_middles() -> None:
    length = len(MATERIAL.context)
    assert draft().spread == 0
    assert draft(spans=[(10, 20)]).spread == 0
    assert draft(spans=[(0, 10), (length - 10, length)]).spread == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("text", "words"), [("one two  three", 3), ("", 0), ("你好世界", 2), ("it's 3.5 %", 4)]
)
def test_words_are_counted_in_any_script(text: str, words: int) -> None:
    assert count_words(text) == words


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        ("He had paid forty shillings", True),
        ("In 1887, on the 3rd", True),
        ("In 1888", False),
        ("In 1,887.0", True),
        ("The NASA had it", False),
        ("It cost 18", False),
    ],
)
def test_figures_and_abbreviations_stand_in_the_text(answer: str, good: bool) -> None:
    assert (own_checks.grounded(draft(answer=answer)) is None) == good
    has_number = any(c.isdigit() for c in answer)
    assert (own_checks.measured(draft(answer=answer)) is None) == (good and has_number)
