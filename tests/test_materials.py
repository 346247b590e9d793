"""longqa.materials: stretches that fit a token budget."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longqa_documents import made_document, ruler_of, story

from longdata.documents import Block, assemble
from longdata.prompt_template import tail
from longdata.tokenizers import Ruler, Tokenizer
from longqa.materials import FRAME_TOKENS, answer_room, cut_materials, opening
from longqa.reading import Reading

TOKENIZER = Tokenizer.load(None)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    paragraphs=st.integers(1, 40),
    longest=st.integers(1, 12),
    ctx=st.lists(st.integers(256, 3000), min_size=1, max_size=3, unique=True).map(sorted),
    questions=st.integers(1, 60),
)
def test_every_material_fits_and_the_questions_are_all_dealt(
    seed: int, paragraphs: int, longest: int, ctx: list[int], questions: int
) -> None:
    document = made_document(seed, paragraphs, longest)
    reading, ruler = Reading(document), Ruler(TOKENIZER, document.text)
    shares = [float(i + 1) for i in range(len(ctx))]
    materials = cut_materials(reading, ruler, ctx=ctx, shares=shares, questions=questions)
    if materials:
        assert sum(places for _, places in materials) == questions
    for material, _ in materials:
        row = f"{opening(material)}{material.context}{tail('')}"
        assert TOKENIZER.count(row) + FRAME_TOKENS + answer_room(material.ctx) <= material.ctx
        assert material.context == document.text[material.start : material.end]
        # at a section, a paragraph or a sentence, never inside a word
        assert material.context == material.context.strip()
        ends = {s.end for s in reading.sentences} | {s.end for s in document.sections}
        ends |= {p.end for p in reading.paragraphs} | {s.body - 2 for s in document.sections}
        assert material.end in ends


def test_a_document_that_fits_is_kept_whole_and_once() -> None:
    document = story()
    materials = cut_materials(
        Reading(document), ruler_of(document), ctx=(2048, 4096), shares=(0.5, 0.5), questions=10
    )
    assert [(m.is_whole, m.ctx, places) for m, places in materials] == [(True, 2048, 10)]


def test_a_material_ends_at_a_section_when_one_is_near() -> None:
    paragraphs = 60
    document = made_document(3, paragraphs, 6)
    materials = cut_materials(
        Reading(document),
        Ruler(TOKENIZER, document.text),
        ctx=(2048,),
        shares=(1.0,),
        questions=100,
    )
    ends = {section.end for section in document.sections}
    assert len(materials) >= 3
    assert sum(m.end in ends for m, _ in materials) >= len(materials) // 2


def test_the_last_material_reaches_back_instead_of_being_short() -> None:
    document = made_document(5, 60, 6)
    ruler = Ruler(TOKENIZER, document.text)
    materials = [
        m
        for m, _ in cut_materials(
            Reading(document), ruler, ctx=(1024,), shares=(1.0,), questions=500
        )
    ]
    tokens = [ruler.count(m.parts) for m in materials]
    assert materials[-1].end == len(document.text)
    assert min(tokens) > 0.5 * max(tokens)


def test_the_materials_cover_the_whole_document_when_enough_are_wanted() -> None:
    document = made_document(7, 40, 6)
    materials = [
        m
        for m, _ in cut_materials(
            Reading(document),
            Ruler(TOKENIZER, document.text),
            ctx=(1024,),
            shares=(1.0,),
            questions=1000,
        )
    ]
    covered = 0
    for material in sorted(materials, key=lambda m: m.start):
        assert document.text[covered : material.start].strip() == ""
        covered = max(covered, material.end)
    assert covered == len(document.text)


@pytest.mark.parametrize("ctx", [256, 300])
def test_a_sentence_longer_than_any_row_is_stepped_over(ctx: int) -> None:
    endless = "word " * 2000
    document = assemble(
        [Block("A short first paragraph."), Block(endless), Block("A short last paragraph.")],
        title="T",
        kind="other",
        source="t",
        sha256="0",
    )
    materials = cut_materials(
        Reading(document),
        Ruler(TOKENIZER, document.text),
        ctx=(ctx,),
        shares=(1.0,),
        questions=50,
    )
    assert [m.context for m, _ in materials] == [
        "A short first paragraph.",
        "A short last paragraph.",
    ]
