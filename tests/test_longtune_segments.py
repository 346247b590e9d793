"""Cuts of documents into groups: pure arithmetic, no torch."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longtune.groups import default_group_size, set_group_size
from longtune.segments import cut, longest, rows, runs

LENGTHS = st.lists(st.integers(1, 70), min_size=1, max_size=6)
GROUPS = st.integers(1, 20).map(lambda half: 2 * half)


def bounds_of(lengths: list[int]) -> tuple[int, ...]:
    return tuple(accumulate(lengths, initial=0))


def test_the_published_segments_of_one_row() -> None:
    assert cut((0, 8192), 2048) == (0, 2048, 4096, 6144, 8192)
    assert cut((0, 8192), 2048, shifted=True) == (0, 1024, 3072, 5120, 7168, 8192)


@given(LENGTHS, GROUPS, st.booleans())
def test_cuts_keep_documents_apart_and_groups_within_size(
    lengths: list[int], group_size: int, shifted: bool
) -> None:
    bounds = bounds_of(lengths)
    cuts = cut(bounds, group_size, shifted=shifted)
    assert set(bounds) <= set(cuts)
    assert all(a < b for a, b in pairwise(cuts))
    assert longest(cuts) <= group_size
    for start, end in pairwise(bounds):
        inside = [at - start for at in cuts if start < at < end]
        first = group_size // 2 if shifted else group_size
        assert inside == (
            list(range(first, end - start, group_size)) if end - start > group_size else []
        )


@given(LENGTHS, GROUPS)
def test_what_one_half_cuts_the_other_half_joins(lengths: list[int], group_size: int) -> None:
    bounds = bounds_of(lengths)
    plain, shifted = cut(bounds, group_size), cut(bounds, group_size, shifted=True)
    assert set(plain) & set(shifted) == set(bounds)


@given(LENGTHS, GROUPS)
def test_a_document_is_cut_the_same_wherever_it_stands(lengths: list[int], group_size: int) -> None:
    last = lengths[-1]
    start = sum(lengths) - last
    alone = cut((0, last), group_size, shifted=True)
    assert cut(bounds_of(lengths), group_size, shifted=True)[-len(alone) :] == tuple(
        start + at for at in alone
    )


@given(LENGTHS)
def test_runs_are_the_segments_in_order(lengths: list[int]) -> None:
    again = [length for count, length in runs(bounds_of(lengths)) for _ in range(count)]
    assert again == lengths


def test_rows_are_documents() -> None:
    assert rows(3, 5) == (0, 5, 10, 15)


def test_at_a_quarter_of_the_context_the_pairs_seen_are_fifteen_of_sixty_four() -> None:
    length = 1 << 16

    def squares(*, shifted: bool) -> int:
        return sum(
            (b - a) ** 2 for a, b in pairwise(cut((0, length), length // 4, shifted=shifted))
        )

    seen = (squares(shifted=False) + squares(shifted=True)) / 2
    assert seen / length**2 == 15 / 64


@pytest.mark.parametrize(
    ("context", "group_size"),
    [(8192, 2048), (65536, 16384), (100_000, 25_000), (4098, 1024), (3, 2)],
)
def test_the_default_group_is_a_quarter_of_the_context_and_even(
    context: int, group_size: int
) -> None:
    assert default_group_size(context) == group_size


@pytest.mark.parametrize("group_size", [0, -2, 3, 2.0, "2048", True])
def test_a_group_that_has_no_half_is_refused(group_size: int) -> None:
    with pytest.raises(UserError, match="allowed: an even number"):
        set_group_size(object(), group_size)  # type: ignore[arg-type]
