"""Scores of answers: known values, bounds, and agreement with another implementation."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longeval.qa_scoring import normalised, rouge_l, scores

texts = st.text(alphabet="the a cat. Dog, 12 o'x-ä", max_size=40)


@pytest.mark.parametrize(
    ("reply", "answer", "exact", "f1"),
    [
        ("The Nautilus.", "nautilus", True, 1),
        ("It was the Nautilus", "the Nautilus", False, 2 * 1 / (3 + 1)),
        ("a cat and a dog", "a dog and a cat", False, 1),
        ("nothing", "the Nautilus", False, 0),
        ("Straße – 12", "straße 12", True, 1),
        ("", "", True, 1),
        ("", "tea", False, 0),
    ],
)
def test_exact_match_and_f1_are_squads(reply: str, answer: str, exact: bool, f1: float) -> None:
    found = scores(reply, answer)
    assert (found.exact, found.f1) == (exact, pytest.approx(f1))


def test_contains_wants_whole_words_in_their_order() -> None:
    assert scores("I think it is the old Nautilus, sir.", "Old Nautilus").contains
    assert not scores("the older Nautilus", "old Nautilus").contains
    assert not scores("Nautilus, old", "old Nautilus").contains
    assert not scores("anything", "the").contains


@given(texts, texts)
def test_scores_have_their_bounds(reply: str, answer: str) -> None:
    found = scores(reply, answer)
    assert 0 <= found.f1 <= 1 and 0 <= found.rouge_l <= 1
    assert not found.exact or (found.f1 == 1 and (found.contains or not normalised(answer)))
    assert scores(answer, answer).exact and rouge_l(answer, answer) == 1
    assert scores(answer, reply).f1 == found.f1


def test_rouge_l_is_that_of_googles_library() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
    words = "the a cat. Dog, 12 o'clock sea-blue x".split()
    rng = random.Random(0)
    for _ in range(200):
        reply, answer = (" ".join(rng.choices(words, k=rng.randrange(9))) for _ in range(2))
        if reply or answer:  # of nothing and nothing it says 0
            theirs = scorer.score(answer, reply)["rougeL"].fmeasure
            assert rouge_l(reply, answer) == pytest.approx(theirs)


def test_rouge_l_counts_a_subsequence_of_words_of_any_script() -> None:
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)
    assert rouge_l("река молчала", "река не молчала") == pytest.approx(4 / 5)
