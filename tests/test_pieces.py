"""Contexts come back from their pieces as they were, and what they share is held once."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from longqa.pieces import LONGEST, Pieces, restore, split

texts = st.text("ab .!?\n😀", max_size=200)


@given(st.lists(st.tuples(texts, st.integers(1, 400)), max_size=5))
def test_every_context_is_restored_as_it_was(parts: list[tuple[str, int]]) -> None:
    pieces = Pieces()
    contexts = [text * times for text, times in parts]
    runs = [pieces.add(context) for context in contexts]
    assert [restore(pieces.texts, run) for run in runs] == contexts
    assert all(0 < len(piece) <= LONGEST for piece in pieces.texts)


def sentences(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [f"Sentence {index} says {rng.random()}." for index in range(count)]


def test_windows_over_one_text_cost_little_more_than_the_text() -> None:
    blocks = [" ".join(sentences(5, seed)) for seed in range(200)]
    whole = "\n\n".join(blocks)
    pieces = Pieces()
    for start in range(0, 150, 5):
        run = pieces.add("\n\n".join(blocks[start : start + 50]))
        assert len(run) < 50  # not one for each paragraph
    assert sum(map(len, pieces.texts)) < 1.3 * len(whole)


def test_windows_over_a_text_without_paragraphs_share_their_sentences() -> None:
    found = sentences(2000)
    pieces = Pieces()
    for start in range(0, 1000, 100):
        pieces.add(" ".join(found[start : start + 1000]))
    assert sum(map(len, pieces.texts)) < 1.05 * len(" ".join(found))


def test_a_text_without_any_break_is_cut_in_linear_time() -> None:
    assert [len(piece) for piece in split("x" * 1_000_000)] == [LONGEST] * 500
    assert "".join(split("\n" * 1_000_000)) == "\n" * 1_000_000
