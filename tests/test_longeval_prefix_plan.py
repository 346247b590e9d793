"""Batches hold every prompt once, keep their bounds, and read common beginnings once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longeval.prefix_plan import LEAST_WALKED, Batch, common, plan


def ids(*parts: list[int]) -> np.ndarray:
    return np.array([one for part in parts for one in part], np.uint32)


tokens = st.lists(st.integers(0, 2), min_size=1, max_size=8)
prompts_of_blocks = st.lists(st.lists(tokens, min_size=1, max_size=4), min_size=1, max_size=12)


@given(prompts_of_blocks, st.integers(1, 5), st.integers(1, 600), st.booleans())
def test_every_prompt_is_in_one_batch_within_the_bounds(
    blocks: list[list[list[int]]], size: int, budget: int, share: bool
) -> None:
    prompts = [ids(*(part * 40 for part in of)) for of in blocks]
    batches = plan(prompts, batch_tokens=budget, batch_size=size, share=share)
    assert sorted(row for batch in batches for row in batch.rows) == list(range(len(prompts)))
    for batch in batches:
        longest = max(len(prompts[row]) for row in batch.rows)
        assert len(batch.rows) == 1 or len(batch.rows) * longest <= budget
        assert len(batch.rows) <= size
        first = prompts[batch.rows[0]]
        for row in batch.rows:
            assert batch.shared < len(prompts[row])
            assert batch.shared <= common(first, prompts[row]) or len(batch.rows) == 1
        assert share or batch.shared == 0


def test_questions_to_one_text_go_together() -> None:
    book, other = list(range(1000)), list(range(5000, 6000))
    prompts = [
        ids(book, [1, 2]),
        ids(other, [7]),
        ids(book, [3]),
        ids(other, [8, 9]),
        ids([4] * 30),
    ]
    batches = plan(prompts, batch_tokens=10_000, batch_size=16)
    assert {(batch.rows, batch.shared) for batch in batches} == {
        ((0, 2), 1000),
        ((1, 3), 1000),
        ((4,), 0),
    }


def test_long_prompts_that_share_less_are_walked_in_order() -> None:
    filler = [9] * 9000
    needles = [0, 4000, 8000]
    prompts = [ids(filler[:at], [1, 2, 3], filler[at:]) for at in reversed(needles)]
    batches = plan(prompts, batch_tokens=100_000, batch_size=16)
    walked = [batch.rows[0] for batch in batches if len(batch.rows) == 1]
    assert common(prompts[0], prompts[1]) == 4000 >= LEAST_WALKED
    assert [row for row in walked if row != 2] in ([0, 1], [1, 0])


def test_short_prompts_go_by_length_though_they_begin_alike() -> None:
    prompts = [ids([5] * 80, [n] * (70 + n)) for n in range(6)]
    batches = plan(prompts, batch_tokens=10_000, batch_size=16)
    assert batches == [Batch((5, 4, 3, 2, 1, 0), 0)]


def test_rows_of_a_batch_are_of_like_length() -> None:
    prompts = [ids(list(range(n))) + n for n in (1000, 900, 500, 490)]
    batches = plan([p.astype(np.uint32) for p in prompts], batch_tokens=10_000, batch_size=16)
    assert [batch.rows for batch in batches] == [(0, 1), (2, 3)]


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_what_is_common_is_the_longest_beginning(first: list[int], second: list[int]) -> None:
    found = common(ids(first), ids(second))
    assert first[:found] == second[:found]
    assert found == min(len(first), len(second)) or first[found] != second[found]
