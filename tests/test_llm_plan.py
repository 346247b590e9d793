"""longqa.llm.plan: every question has a place before a word is sent."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longqa_documents import made_document, paper, story

from longdata.documents import Document
from longdata.tokenizers import Ruler, Tokenizer
from longqa.llm.plan import (
    MOST_ANSWER_TOKENS,
    NOT_WHOLE,
    ROOM_TAKEN,
    THINKING_TOKENS,
    TOO_SHORT,
    Map,
    Plan,
    absent_for,
    answer_tokens,
    make_plan,
    most_at_once,
    share_of,
)
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.materials import cut_materials
from longqa.questions import UNANSWERABLE_SHARE
from longqa.reading import Reading
from longqa.recipe import ModelRecipe, Recipe
from longqa.records import Material

MODEL = ModelRecipe(model="m")
TOKENIZER = Tokenizer.load(None)


def planned(document: Document, recipe: Recipe) -> tuple[Plan, list[tuple[Material, int]]]:
    total = sum(n or 0 for n in recipe.kinds.values()) if recipe.exact else recipe.per_document
    materials = cut_materials(
        Reading(document),
        Ruler(TOKENIZER, document.text),
        ctx=recipe.ctx,
        shares=tuple(1.0 for _ in recipe.ctx),
        questions=total,
        per_material=10,
    )
    used = [(material, places) for material, places in materials if places]
    return make_plan(document, used, recipe), used


@settings(max_examples=12)
@given(st.integers(1, 60), st.integers(0, 1000), st.integers(1, 40))
def test_what_is_requested_is_dealt_or_missing(total: int, seed: int, paragraphs: int) -> None:
    recipe = Recipe(ctx=(512, 1024), per_document=total, seed=seed, model=MODEL)
    plan, materials = planned(made_document(seed, paragraphs, 8), recipe)
    dealt: Counter[str] = Counter()
    for task in plan.tasks:
        dealt[task.kind] += len(task.places)
        assert 0 <= task.material < len(materials)
    missing: Counter[str] = Counter()
    for (kind, _), count in plan.missing.items():
        missing[kind] += count
    absent = plan.requested.get("unanswerable", 0)
    assert sum(plan.requested.values()) == total
    for kind, count in plan.requested.items():
        if kind != "unanswerable":
            assert count == dealt[kind] + missing[kind]
    assert absent in (int(total * UNANSWERABLE_SHARE), int(total * UNANSWERABLE_SHARE) + 1)


def test_exact_counts_are_dealt_exactly() -> None:
    recipe = Recipe(
        ctx=(2048,), kinds={"detail": 9, "motive": 3, "unanswerable": 2, "method": 5}, model=MODEL
    )
    plan, _ = planned(story(), recipe)
    assert plan.requested == {"detail": 9, "motive": 3, "unanswerable": 2}  # a story has no method
    dealt = Counter(kind for task in plan.tasks for kind in [task.kind] * len(task.places))
    assert dealt == {"detail": 9, "motive": 3}
    assert not plan.missing


def test_the_same_document_gets_the_same_plan_and_another_seed_another() -> None:
    document = made_document(5, 40, 8)
    recipe = Recipe(ctx=(512,), per_document=30, model=MODEL)
    assert planned(document, recipe)[0] == planned(document, recipe)[0]
    other = Recipe(ctx=(512,), per_document=30, model=MODEL, seed=1)
    assert planned(document, recipe)[0] != planned(document, other)[0]


def test_kinds_take_their_shares_by_weight() -> None:
    plan, _ = planned(made_document(5, 400, 8), Recipe(ctx=(1024,), per_document=200, model=MODEL))
    counts = plan.requested
    weights = {k: v.weight for k, v in MODEL_KINDS.items() if "book" in v.of and k in counts}
    answerable = sum(counts.values()) - counts["unanswerable"]
    total = sum(weights.values())
    for kind, weight in weights.items():
        if kind not in ("unanswerable", "whole_summary"):
            assert counts[kind] == pytest.approx(answerable * weight / total, abs=4)


def test_of_few_questions_a_document_every_kind_gets_its_share_over_many() -> None:
    counts: Counter[str] = Counter()
    recipe = Recipe(ctx=(512,), per_document=3, model=MODEL)
    for seed in range(300):
        document = made_document(seed, 3, 4)
        part = Material(document=document, ctx=512, start=0, end=len(document.text) - 1)
        counts.update(make_plan(document, [(part, 3)], recipe).requested)
    kinds = {k: v for k, v in MODEL_KINDS.items() if "other" in v.of and v.weight}
    kinds = {k: v for k, v in kinds.items() if not v.needs_whole}
    answerable = sum(counts[kind] for kind in kinds)
    total = sum(kind.weight for kind in kinds.values())
    for name, kind in kinds.items():
        assert counts[name] / answerable == pytest.approx(kind.weight / total, rel=0.25), name


def test_a_summary_of_the_whole_needs_the_whole() -> None:
    recipe = Recipe(ctx=(512,), kinds={"whole_summary": 1}, model=MODEL)
    plan, _ = planned(made_document(1, 60, 8), recipe)
    assert plan.missing == {("whole_summary", NOT_WHOLE): 1}
    recipe = Recipe(ctx=(4096,), kinds={"whole_summary": 2}, model=MODEL)
    plan, _ = planned(story(), recipe)
    assert [task.kind for task in plan.tasks] == ["whole_summary"]
    assert plan.missing == {("whole_summary", ROOM_TAKEN): 1}  # a text has one


def test_a_document_without_a_stretch_says_so() -> None:
    document = story()
    recipe = Recipe(ctx=(256,), per_document=7, model=MODEL)
    plan = make_plan(document, [], recipe)
    assert not plan.tasks
    assert {reason for _, reason in plan.missing} == {TOO_SHORT}
    assert sum(plan.missing.values()) + plan.requested.get("unanswerable", 0) == 7


def test_questions_go_to_every_tenth_of_the_text() -> None:
    recipe = Recipe(ctx=(2048,), kinds={"detail": 10}, model=MODEL)
    document = made_document(3, 300, 8)
    plan, materials = planned(document, recipe)
    places = [place for task in plan.tasks for place in task.places]
    length = len(materials[0][0].context)
    assert sorted(round(place.start * 10 / length) for place in places) == list(range(10))
    assert len({place.words for place in places}) == 10


@pytest.mark.parametrize("name", MODEL_KINDS)
def test_no_call_asks_for_more_than_its_answer_has_room_for(name: str) -> None:
    kind = MODEL_KINDS[name]
    assert most_at_once(kind) >= 1
    assert THINKING_TOKENS + most_at_once(kind) * answer_tokens(kind) <= MOST_ANSWER_TOKENS
    recipe = Recipe(ctx=(2048,), kinds={"detail": 40}, model=MODEL)
    plan, _ = planned(made_document(3, 300, 8), recipe)
    assert max(len(task.places) for task in plan.tasks) <= most_at_once(MODEL_KINDS["detail"])


def test_two_stretches_lie_half_a_text_apart() -> None:
    document = made_document(3, 300, 8)
    recipe = Recipe(ctx=(2048,), kinds={"multi_hop": 5}, model=MODEL)
    plan, materials = planned(document, recipe)
    length = len(materials[0][0].context)
    for place in plan.tasks[0].places:
        assert place.end - place.start >= 0.5 * length
        assert place.words.count("stretch from") == 2


def test_a_part_summary_names_a_section_that_lies_in_the_context() -> None:
    document = paper()
    material = Material(document=document, ctx=4096, start=0, end=len(document.text))
    import random

    place = Map(material, random.Random(0)).place_for(MODEL_KINDS["part_summary"])
    headings = {document.heading(section) for section in document.sections}
    long_enough = any(s.end - s.body >= 600 for s in document.sections)
    assert (place.words.strip("“”") in headings) == long_enough


def test_many_small_documents_together_have_the_share_of_unanswerable_questions() -> None:
    recipe = Recipe(ctx=(512,), per_document=8, model=MODEL)
    documents = [made_document(seed, 3, 4) for seed in range(400)]
    due = sum(share_of(8, document, recipe) for document in documents)
    assert due / (8 * 400) == pytest.approx(UNANSWERABLE_SHARE, abs=0.012)
    found = sum(absent_for(19, document, recipe) for document in documents)
    assert found / (20 * 400) == pytest.approx(UNANSWERABLE_SHARE, abs=0.005)
