"""longqa.extractive: the plan is dealt out, every row keeps its promises."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from longqa_documents import made_document, paper, story

from longdata.documents import Block, Document, assemble
from longdata.prompt_template import CHAT_MARKUP_TOKENS, prompt
from longdata.readers import read_source
from longdata.sources import Source
from longdata.tokenizers import Tokenizer
from longqa.extractive import NO_CANDIDATE, REFUSED, TOO_SHORT, ask
from longqa.recipe import Outcome, Recipe
from longqa.records import Example

TOKENIZER = Tokenizer.load(None)
EXAMPLES = Path(__file__).parents[1] / "examples"


def novel() -> Document:
    path = EXAMPLES / "the-lamps-of-saltreve.txt"
    return next(read_source(Source(path=path, name=path.name, sha256="0" * 64)))


def row_of(example: Example) -> str:
    source = example.sources[0]
    text = prompt(
        context=example.context,
        question=example.question,
        title=source.title,
        author=source.author,
        kind=example.material_kind,  # type: ignore[arg-type]
        is_whole=example.is_whole,
    )
    return f"{text} {example.answer}"


def balanced(outcome: Outcome) -> None:
    """requested = kept + missing, for every kind."""
    kept = Counter(e.question_kind for e in outcome.examples)
    missing: Counter[str] = Counter()
    for (kind, _), count in outcome.missing.items():
        missing[kind] += count
    for kind in set(outcome.requested) | set(kept):
        assert outcome.requested.get(kind, 0) == kept[kind] + missing[kind], kind


@pytest.mark.parametrize("ctx", [(512,), (1024, 2048), (4096, 8192, 16384)])
def test_no_row_exceeds_its_budget_and_no_answer_is_cut(ctx: tuple[int, ...]) -> None:
    for document in (novel(), story(), paper()):
        outcome = ask(document, TOKENIZER, Recipe(ctx=ctx))
        assert outcome.examples
        balanced(outcome)
        for example in outcome.examples:
            row = row_of(example)
            assert row.endswith(f"Answer: {example.answer}")
            # the oracle: encode the whole row at once, plus BOS and EOS
            assert TOKENIZER.count(row) + 2 == example.row_tokens
            assert example.row_tokens + CHAT_MARKUP_TOKENS <= example.ctx
            assert TOKENIZER.count(example.context) == example.context_tokens
            for evidence in example.evidence:
                assert example.context[evidence.start : evidence.end] == evidence.text
                assert evidence.text == evidence.text.strip() != ""
                assert 0 <= evidence.depth <= 1


@settings(max_examples=20)
@given(
    seed=st.integers(0, 10**6),
    paragraphs=st.integers(1, 30),
    longest=st.integers(1, 10),
    ctx=st.lists(st.integers(256, 4000), min_size=1, max_size=3, unique=True).map(sorted),
)
def test_no_row_of_any_document_exceeds_its_budget(
    seed: int, paragraphs: int, longest: int, ctx: list[int]
) -> None:
    document = made_document(seed, paragraphs, longest)
    outcome = ask(document, TOKENIZER, Recipe(ctx=tuple(ctx), per_document=30, seed=seed))
    balanced(outcome)
    for example in outcome.examples:
        row = row_of(example)
        assert row.endswith(f"Answer: {example.answer}")
        assert TOKENIZER.count(row) + 2 == example.row_tokens
        assert example.row_tokens + CHAT_MARKUP_TOKENS <= example.ctx
        assert all(example.context[e.start : e.end] == e.text for e in example.evidence)


def test_the_plan_is_met_exactly_when_the_text_offers_enough() -> None:
    outcome = ask(novel(), TOKENIZER, Recipe(ctx=(1024, 2048), per_document=40))
    assert len(outcome.examples) == 40
    assert not outcome.missing
    assert sum(outcome.requested.values()) == 40
    assert outcome.requested["unanswerable"] == 2


def test_exact_counts_are_met_or_explained() -> None:
    recipe = Recipe(ctx=(2048,), kinds={"speaker": 3, "order": 2, "summary": 1})
    outcome = ask(novel(), TOKENIZER, recipe)
    assert Counter(e.question_kind for e in outcome.examples) == {"speaker": 3, "order": 2}
    assert outcome.requested == {"speaker": 3, "order": 2}  # a book is not asked for an abstract
    recipe = Recipe(ctx=(2048,), kinds={"chapter_titles": 500})
    outcome = ask(novel(), TOKENIZER, recipe)
    balanced(outcome)
    assert {reason for _, reason in outcome.missing} <= {NO_CANDIDATE, REFUSED}
    assert outcome.missing


def test_chosen_kinds_are_the_only_ones_asked() -> None:
    outcome = ask(novel(), TOKENIZER, Recipe(ctx=(2048,), kinds={"speaker": None, "order": None}))
    assert {e.question_kind for e in outcome.examples} == {"speaker", "order"}


def test_a_document_without_room_for_a_sentence_explains_all_that_is_missing() -> None:
    document = assemble([Block("word " * 3000)], title="T", kind="other", source="t", sha256="0")
    outcome = ask(document, TOKENIZER, Recipe(ctx=(256,), per_document=10))
    assert outcome.examples == ()
    balanced(outcome)
    assert {reason for _, reason in outcome.missing} == {TOO_SHORT}
    assert sum(outcome.missing.values()) == 10


def test_the_same_recipe_gives_the_same_examples_and_another_seed_others() -> None:
    document, recipe = novel(), Recipe(ctx=(1024,), per_document=20)
    first = ask(document, TOKENIZER, recipe)
    assert first == ask(document, TOKENIZER, recipe)
    assert first.examples != ask(document, TOKENIZER, replace(recipe, seed=1)).examples


def test_no_two_questions_of_a_document_are_the_same() -> None:
    outcome = ask(novel(), TOKENIZER, Recipe(ctx=(1024, 2048, 4096), per_document=100))
    asked = Counter((e.question, e.answer) for e in outcome.examples)
    assert max(asked.values()) == 1
    assert len({e.id for e in outcome.examples}) == len(outcome.examples)


def test_evidence_is_spread_over_the_whole_context() -> None:
    outcome = ask(novel(), TOKENIZER, Recipe(ctx=(2048, 4096), per_document=100))
    depths = [evidence.depth for e in outcome.examples for evidence in e.evidence]
    thirds = Counter(min(2, int(depth * 3)) for depth in depths)
    assert min(thirds.values()) > 0.15 * len(depths)


def test_rows_that_share_a_context_are_neighbours() -> None:
    outcome = ask(novel(), TOKENIZER, Recipe(ctx=(1024, 2048)))
    contexts = [e.context for e in outcome.examples]
    changes = sum(a != b for a, b in pairwise(contexts))
    assert changes == len(set(contexts)) - 1


def test_removed_answers_are_not_in_the_context() -> None:
    kinds = dict.fromkeys(("summary", "conclusion", "caption", "outline"))
    outcome = ask(paper(), TOKENIZER, Recipe(ctx=(2048,), kinds=kinds))
    assert {e.question_kind for e in outcome.examples} == set(kinds)
    for example in outcome.examples:
        assert example.answer.splitlines()[-1] not in example.context
