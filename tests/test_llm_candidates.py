"""longqa.llm.candidates: every reason to refuse what a model wrote, and what passes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from inspect import getsource
from typing import Any

import pytest
from longqa_documents import ruler_of, story

from longdata.documents import Block, Document, Span, assemble
from longqa.checks import Counter, source_record
from longqa.llm.candidates import LONGEST_QUESTION, draft_of, example_of
from longqa.llm.drafts import Draft
from longqa.llm.forms import Item
from longqa.llm.plan import ANYWHERE, Place
from longqa.llm.quotes import Aligner
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.records import Example, Generator, Material

STORY = story()
QUESTION = "How many steps did Odile count before the wind took her breath away?"
QUOTE = "Odile counted ninety steps to the top of the tower"
FAR = "Mr. Harrow rowed the old ferry across the grey water of the firth"
OTHER = "Mr. Harrow had never told her how long the winter would last here"
GENERATOR = Generator(backend="openai", model="m", prompt_sha="ab" * 32)


@cache
def material_of(document: Document) -> Material:
    return Material(document=document, ctx=2048, start=0, end=len(document.text))


def draft(
    question: str = QUESTION,
    answer: str = "Ninety steps.",
    quotes: Sequence[str] = (QUOTE,),
    *,
    kind: str = "detail",
    places: Sequence[Place] = (ANYWHERE,),
    language: str | None = "en",
    material: Material | None = None,
) -> Draft | str:
    material = material or material_of(STORY)
    item = Item(question=question, answer=answer, quotes=list(quotes))
    aligner = Aligner(material.context)
    return draft_of(item, kind, places, material, aligner, language=language)


def passed(made: Draft | str) -> Draft:
    assert isinstance(made, Draft), made
    return made


def words(number: int) -> str:
    return " ".join(["lantern"] * number)


REFUSED: dict[str, dict[str, Any]] = {
    "empty": {"answer": " \n "},
    "the answer is a refusal": {"answer": "I’m sorry, but I can’t help with that."},
    "the question is too long": {"question": f"Why {words(LONGEST_QUESTION)}?"},
    "the question speaks of a passage that nobody is shown": {
        "question": "What does the given passage say about the steps of the tower?"
    },
    "the answer is too short or too long for its kind": {"answer": words(41)},
    "written in another language": {
        "question": "Wie viele Stufen zählte Odile, bevor der Wind ihr den Atem nahm?",
        "answer": "Sie zählte neunzig Stufen bis zur Spitze des Turmes.",
    },
    "a quote is not in the text": {"quotes": ["Odile counted eighty steps to the top"]},
    "too few quotes": {"quotes": []},
    "too many quotes": {"quotes": [QUOTE, FAR, OTHER]},
    "its quotes lie outside the part it is about": {
        "kind": "part_summary",
        "answer": words(60),
        "quotes": [QUOTE, OTHER],
        "places": (Place(words="“The Water”", start=0, end=200),),
        "language": None,
    },
    "its quotes lie too close together": {
        "kind": "multi_hop",
        "quotes": [QUOTE, "Brandt smiled at last. Josiah Brandt showed Odile Marsh the great lamp"],
    },
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_wrong_with_an_item_is_said(reason: str) -> None:
    assert draft(**REFUSED[reason]) == reason


def test_every_reason_has_its_case() -> None:
    said = set(re.findall(r'return "([^"]+)"', getsource(draft_of)))
    assert said == set(REFUSED)


def test_what_is_right_passes_with_its_quotes_found() -> None:
    made = passed(draft())
    assert made.quotes == (QUOTE,)
    assert made.question == QUESTION and made.answer == "Ninety steps."
    text = STORY.text
    assert made.spans == (Span(start=text.index(QUOTE), end=text.index(QUOTE) + len(QUOTE)),)


@pytest.mark.parametrize("part", ["question", "answer"])
def test_an_item_without_question_or_answer_is_refused(part: str) -> None:
    assert draft(**{part: "\t"}) == "empty"


def test_question_and_answer_lose_the_white_space_around_them() -> None:
    made = passed(draft(f"\n {QUESTION} ", " Ninety steps.\n"))
    assert (made.question, made.answer) == (QUESTION, "Ninety steps.")


@pytest.mark.parametrize(
    "question",
    [
        "What does this excerpt tell of the ninety steps of the tower?",
        "Which steps are counted in the text above?",
        "In the provided passages, who counts the steps of the tower?",
        "What do these quotes say about the steps of the tower?",
    ],
)
def test_a_question_about_something_nobody_is_shown_is_refused(question: str) -> None:
    assert draft(question) == "the question speaks of a passage that nobody is shown"


@pytest.mark.parametrize(
    "question",
    [
        "How many shillings did the passage over the water cost Odile Marsh?",
        "Which passage did Odile Marsh pay the ferryman forty shillings for?",
    ],
)
def test_a_passage_over_the_water_is_no_passage_of_a_text(question: str) -> None:
    made = draft(question, "Forty.", ["paid the ferryman forty shillings for the passage"])
    if "the passage" in question:  # the price of the rule: few questions, and another is asked
        assert made == "the question speaks of a passage that nobody is shown"
    else:
        passed(made)


def test_the_language_counts_only_where_both_are_known() -> None:
    german = REFUSED["written in another language"]
    assert draft(**german, language="en") == "written in another language"
    passed(draft(**german, language="de"))
    passed(draft(**german, language=None))
    passed(draft("Ninety?", "Ninety.", language="de"))  # too short for any guess


def test_quotes_that_overlap_are_one() -> None:
    made = passed(draft(quotes=[QUOTE, "ninety steps to the top of the tower before the wind"]))
    assert len(made.spans) == 1
    assert made.quotes[0].startswith("Odile counted") and made.quotes[0].endswith("the wind")
    twice = [QUOTE, QUOTE.upper(), QUOTE]
    assert len(passed(draft(quotes=twice)).spans) == 1
    assert draft(kind="multi_hop", quotes=[QUOTE, QUOTE]) == "too few quotes"


def test_quotes_are_in_the_order_of_the_text() -> None:
    made = passed(draft(kind="multi_hop", answer="Ninety.", quotes=[OTHER, FAR]))
    assert made.quotes == (FAR, OTHER)
    assert made.spread > 0.5


def test_an_elided_quote_counts_as_its_parts() -> None:
    made = passed(draft(quotes=["Odile counted ninety steps … the wind took her breath away"]))
    assert [q.split()[0] for q in made.quotes] == ["Odile", "the"]


def test_quotes_of_an_unanswerable_question_are_not_looked_at() -> None:
    made = draft(
        "What was the name of the ship that brought Josiah Brandt to the firth?",
        "The text does not tell the name of any ship.",
        ["This stands nowhere."],
        kind="unanswerable",
    )
    assert passed(made).spans == ()


def test_one_quote_inside_its_part_is_enough() -> None:
    second = STORY.text.index("CHAPTER II")
    places = (Place(words="“The Water”", start=0, end=second),)
    answer = " ".join(f"word{n}" for n in range(60))
    kind = {"kind": "part_summary", "places": places, "language": None}
    passed(draft(answer=answer, quotes=[FAR, QUOTE], **kind))
    later = Place(words="“The Lamp”", start=second, end=len(STORY.text))
    passed(draft(answer=answer, quotes=[FAR, QUOTE], **{**kind, "places": (later,)}))


def test_what_a_kind_asks_for_itself_is_checked_last() -> None:
    made = draft(
        "How many times does Odile count something in the story of the firth?",
        "3: the steps and the passage.",
        [QUOTE, FAR],
        kind="counting",
    )
    assert made == "its number is not the number of its quotes"
    passed(
        draft(
            "How many times does Odile count something in the story of the firth?",
            "2: steps of the tower and the ferry.",
            [QUOTE, FAR],
            kind="counting",
        )
    )


def test_a_draft_becomes_a_row_with_its_evidence_in_the_context() -> None:
    start = STORY.text.index("CHAPTER II")
    material = Material(document=STORY, ctx=1024, start=start, end=len(STORY.text))
    made = passed(draft(material=material))
    assert made.spans[0].start == STORY.text.index(QUOTE) - start
    example = example_of(made, Counter(ruler_of(STORY)), GENERATOR, (source_record(STORY),))
    assert isinstance(example, Example)
    (evidence,) = example.evidence
    assert evidence.text == QUOTE == example.context[evidence.start : evidence.end]
    assert example.question_kind == "detail" and example.generator == GENERATOR
    assert json.loads(json.dumps(example.row()))["question"] == QUESTION


def test_a_question_that_contains_its_answer_is_refused() -> None:
    made = passed(draft("Did Odile count ninety steps, or more than those?", "Ninety steps."))
    refused = example_of(made, Counter(ruler_of(STORY)), GENERATOR, (source_record(STORY),))
    assert refused == "the question contains its answer"


def test_a_row_may_have_as_many_tokens_as_its_budget_and_no_more() -> None:
    counter = Counter(ruler_of(STORY))
    tokens = counter.row(material_of(STORY), QUESTION, "Ninety steps.")

    def row(ctx: int) -> Example | str:
        material = Material(document=STORY, ctx=ctx, start=0, end=len(STORY.text))
        made = passed(draft(material=material))
        return example_of(made, counter, GENERATOR, (source_record(STORY),))

    assert isinstance(row(tokens), Example)
    assert row(tokens - 1) == "over the token budget"


def test_words_of_a_kind_are_counted_in_scripts_without_spaces() -> None:
    text = "灯台守は毎晩ランプに火をともした。船長は一度も港に戻らなかった。" * 12
    other = assemble([Block(text)], title="灯台", kind="other", source="x", sha256="0")
    most = MODEL_KINDS["detail"].words[1]
    quote = "灯台守は毎晩ランプに火をともした"
    answer = "火" * (2 * most)
    made = draft(
        "誰が火をともしたか。", answer, [quote], material=material_of(other), language=None
    )
    assert isinstance(made, Draft)
    made = draft(
        "誰が火をともしたか。", answer + "火火", [quote], material=material_of(other), language=None
    )
    assert made == "the answer is too short or too long for its kind"
