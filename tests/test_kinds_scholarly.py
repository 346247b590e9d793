"""longqa.kinds.scholarly: abbreviations, definitions, cited work."""

from __future__ import annotations

import random

import pytest
from longqa_documents import paper, view_of

from longdata.documents import Block, Document, assemble
from longqa.kinds.scholarly import (
    abbreviation,
    abbreviations_in,
    all_abbreviations_in,
    citation,
    definition,
    long_form,
)
from longqa.records import Question


def document(*paragraphs: str, references: tuple[str, ...] = ()) -> Document:
    blocks = [Block(p) for p in paragraphs]
    blocks += [Block(r, role="reference") for r in references]
    return assemble(blocks, title="T", kind="paper", source="t", sha256="0")


@pytest.mark.parametrize(
    ("before", "short", "expected"),
    [
        ("We use shifted sparse attention", "SSA", "shifted sparse attention"),
        ("We use Low-rank adaptation", "LRA", "Low-rank adaptation"),
        ("We use large language models", "LLMs", "large language models"),
        ("We use the area under the curve", "AUC", "area under the curve"),
        ("Trained on Papers with Code", "PwC", "Papers with Code"),
        ("the floating point operations per second", "FLOPS", None),
        ("sold by Widgets Limited", "LTD", None),
        ("made by the United States", "USA", None),
        ("as shown before", "AB", None),
        ("some words of context here", "TODO", None),
        ("a GitHub Actions", "HA", None),
        ("the multi-head attention", "HA", None),
        ("position interpolation, as in interpolation", "PI", None),
        ("attention. Position. Interpolation", "PI", None),
        ("of attention", "OA", None),
        ("A", "A", None),
        ("", "SSA", None),
        ("x " * 500 + "shifted sparse attention", "SSA", "shifted sparse attention"),
    ],
)
def test_every_letter_begins_a_word_of_the_long_form(
    before: str, short: str, expected: str | None
) -> None:
    assert long_form(before, short) == expected


def test_an_abbreviation_is_answered_with_its_full_form() -> None:
    view = view_of(paper())
    found = {q.about: q.answer for q in abbreviation(view, random.Random(0))}
    assert found["PI"] == "Position interpolation."
    assert found["SSA"] == "Shifted sparse attention."


def test_the_evidence_is_the_full_form_with_its_bracket() -> None:
    view = view_of(paper())
    spans = {q.about: view.quote(q.evidence[0]) for q in abbreviation(view, random.Random(0))}
    assert spans["PI"] == "Position interpolation (PI)"


def test_an_abbreviation_of_two_things_is_not_asked() -> None:
    view = view_of(
        document(
            "They used position interpolation (PI) here.",
            "The principal investigator (PI) agreed.",
        )
    )
    assert abbreviations_in(view) == []


def test_singular_and_plural_are_one_abbreviation() -> None:
    view = view_of(
        document(
            "Partial differential equations (PDEs) are hard.",
            "A partial differential equation (PDE) is solved here.",
        )
    )
    assert [a.short for a in abbreviations_in(view)] == ["PDEs"]


def test_all_abbreviations_are_listed_only_when_none_may_be_missed() -> None:
    clear = "We use position interpolation (PI) and low rank adaptation (LRA) here."
    assert len(all_abbreviations_in(view_of(document(clear)))) == 2
    for doubtful in (
        "The formats coordinate (COO) and others are fast.",
        "The hypertext language (HTML) is old.",
        "The principal investigator (PI) agreed.",
    ):
        view = view_of(document(clear, doubtful))
        assert all_abbreviations_in(view) == []
        assert abbreviations_in(view) != []


def test_a_caption_that_introduces_one_more_is_seen() -> None:
    blocks = [
        Block("We use position interpolation (PI) here."),
        Block("Figure 1: The diagonal (DIA) form.", role="caption", label="Figure 1"),
    ]
    view = view_of(assemble(blocks, title="T", kind="paper", source="t", sha256="0"))
    assert all_abbreviations_in(view) == []


def defined(*paragraphs: str) -> dict[str, str]:
    return {q.about: q.answer for q in definition(view_of(document(*paragraphs)), random.Random(0))}


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        (
            "Grouped attention is defined as attention within fixed blocks of tokens.",
            "Grouped attention",
        ),
        (
            "We define the context window as the number of tokens that a model reads.",
            "context window",
        ),
        ("An error vector is defined as the difference of the two measurements.", "error vector"),
        ("Perplexity refers to the exponential of the mean loss over all tokens.", "Perplexity"),
        ("By packing we mean the filling of rows with several short documents.", "packing"),
        ("The rows that nobody reads any more are called dead rows.", "dead rows"),
        (
            "In-context learning means that a model learns from its prompt alone.",
            "In-context learning",
        ),
    ],
)
def test_a_definition_is_the_sentence_that_defines(sentence: str, term: str) -> None:
    assert defined(sentence) == {term: sentence}


@pytest.mark.parametrize(
    "sentence",
    [
        "This is defined as the number of tokens that a model of the kind can read.",
        "It refers to the exponential of the mean loss over all of the tokens.",
        "The loss for these batches is defined as the sum of the losses in a batch.",
        "The first of them is defined as the sum over all of the losses in a batch.",
        "The authors refer to the exponential of the mean loss over all tokens.",
        "The paper refers to the exponential of the mean loss over all tokens.",
        "The dashed line denotes the exponential of the mean loss over tokens.",
        "Such a function is called whenever a new row arrives from the reader.",
        "After that the function is called by the main loop, once in a second.",
        "In this case it means that a model learns from nothing but its prompt.",
        "Each row corresponds to one document that was read from the folder.",
        "Grouped attention is defined as attention (within blocks of tokens.",
    ],
)
def test_what_names_no_term_defines_none(sentence: str) -> None:
    assert defined(sentence) == {}


def test_a_term_defined_twice_is_not_asked() -> None:
    found = defined(
        "Grouped attention is defined as attention within fixed blocks of tokens.",
        "Grouped attention refers to attention in groups of neighbouring tokens.",
    )
    assert found == {}


HU = "[1] E. Hu and others. LoRA: Low-rank adaptation. 2021."
CHEN = "[2] S. Chen and others. Extending context windows. 2023."
CLAIM = "Low-rank adaptation was proposed for the cheap training of large networks"


def cited(*paragraphs: str, references: tuple[str, ...] = (HU, CHEN)) -> list[Question]:
    return list(citation(view_of(document(*paragraphs, references=references)), random.Random(0)))


def test_a_numbered_citation_is_answered_with_its_entry() -> None:
    (question,) = cited(f"{CLAIM} [1].")
    assert question.about == f"{CLAIM}."
    assert question.answer == HU.removeprefix("[1] ")
    assert "[1]" not in question.text


@pytest.mark.parametrize(
    "entry",
    [
        "Smith, J. A study of readers. 2019. Proc. 12. Page 7.",
        "J. Smith and A. Jones. 2019. A study of readers of documents.",
    ],
)
def test_an_author_and_year_are_answered_with_the_whole_entry(entry: str) -> None:
    (question,) = cited(f"{CLAIM} (Smith, 2019).", references=(entry, "Jones, K. Else. 2019."))
    assert question.about == f"{CLAIM}."
    assert question.answer == entry


def test_statement_and_entry_are_both_shown() -> None:
    view = view_of(document(f"{CLAIM} [2].", references=(HU, CHEN)))
    (question,) = citation(view, random.Random(0))
    assert [view.quote(s) for s in question.evidence] == [f"{CLAIM} [2].", CHEN]


@pytest.mark.parametrize(
    "sentence",
    [
        f"{CLAIM} [1] and again [2].",
        f"{CLAIM} [1, 2].",
        f"{CLAIM} [1]–[2].",
        f"{CLAIM} [1] [sic].",
        f"{CLAIM} [1] (Smith, 2019).",
        f"{CLAIM} [7].",
        f"{CLAIM} (Jones, 2001).",
        f"{CLAIM}, as was shown in [1].",
        f"{CLAIM} (see [1]).",
        "For more information on this training we refer to the original paper [1].",
        f"Smith (2019) said that {CLAIM.lower()} [1].",
        f"and {CLAIM.lower()} [1].",
        f"{CLAIM} [1]",
        "Short [1].",
    ],
)
def test_a_statement_with_several_missing_or_needed_citations_is_not_asked(sentence: str) -> None:
    assert cited(sentence) == []


def test_an_ambiguous_author_is_not_asked() -> None:
    entries = ("Smith, J. A study of readers. 2019.", "Smith, J. More on readers. 2019.")
    assert cited(f"{CLAIM} (Smith, 2019).", references=entries) == []


def test_a_number_borne_by_two_entries_is_not_asked() -> None:
    assert cited(f"{CLAIM} [1].", references=(HU, CHEN.replace("[2]", "[1]"))) == []


def test_an_entry_outside_the_window_is_no_answer() -> None:
    made = document(f"{CLAIM} [1].", references=(HU, CHEN))
    view = view_of(made, end=made.text.index("[1] E. Hu") + 20)
    assert list(citation(view, random.Random(0))) == []
