"""Intervals and tests against published values and against what they are by definition."""

from __future__ import annotations

import math
import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longeval.stats import (
    bootstrap,
    compare,
    difference,
    holm,
    in_blocks,
    mcnemar,
    mean_of,
    student_cdf,
    student_quantile,
    wilson,
)

sums = st.lists(st.floats(-100, 100), min_size=2, max_size=30)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0000),
    ],
)
def test_wilsons_interval_is_that_of_the_published_tables(
    right: int, n: int, low: float, high: float
) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(0, 200), st.integers(0, 200))
def test_wilsons_interval_holds_the_share_and_stays_a_share(right: int, wrong: int) -> None:
    n = right + wrong
    low, high = wilson(right, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low <= right / n <= high
        other_low, other_high = wilson(wrong, n)
        assert (1 - other_high, 1 - other_low) == pytest.approx((low, high))
    else:
        assert (low, high) == (0, 1)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemars_p_is_that_of_all_throws_of_a_coin(first: int, second: int) -> None:
    n = first + second
    apart = abs(first - second)
    as_far = sum(
        1
        for heads in range(n + 1)
        for _ in range(math.comb(n, heads))
        if abs(2 * heads - n) >= apart
    )
    assert mcnemar(only_first=first, only_second=second) == pytest.approx(as_far / 2**n)


def test_mcnemars_p_of_many_cases_is_a_number() -> None:
    assert mcnemar(only_first=5000, only_second=5100) == pytest.approx(0.32, abs=0.01)
    assert mcnemar(only_first=0, only_second=3000) == 0  # smaller than any float


def test_two_models_are_compared_on_what_both_answered() -> None:
    first = {1: True, 2: True, 3: False, 4: False, 5: True}
    second = {1: True, 2: False, 3: True, 4: False, 6: True}
    paired = compare(first, second)
    assert (paired.both, paired.only_first, paired.only_second, paired.neither) == (1, 1, 1, 1)
    assert (paired.n, paired.p) == (4, 1)


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(1, 12.7062), (2, 4.30265), (10, 2.22814), (30, 2.04227)]
)
def test_students_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert student_quantile(0.975, degrees) == pytest.approx(quantile, abs=1e-5)
    assert student_quantile(0.025, degrees) == pytest.approx(-quantile, abs=1e-5)


@given(st.floats(-20, 20), st.integers(1, 5000))
def test_students_quantile_undoes_his_distribution(t: float, degrees: int) -> None:
    p = student_cdf(t, degrees)
    assert student_cdf(-t, degrees) == pytest.approx(1 - p)
    if 1e-6 < p < 1 - 1e-6:
        assert student_quantile(p, degrees) == pytest.approx(t, abs=1e-6)


def test_a_mean_of_cases_is_students() -> None:
    values = [2.0, 4.0, 4.0, 6.0]
    half = 3.182446 * np.std(values, ddof=1) / 2
    found = mean_of(values)
    assert found.value == 4
    assert found.interval == pytest.approx((4 - half, 4 + half), abs=1e-5)


@given(sums, st.integers(1, 9))
def test_counts_that_are_the_same_change_nothing_but_the_scale(values: list[float], c: int) -> None:
    plain, scaled = mean_of(values), mean_of(values, [c] * len(values))
    assert scaled.value == pytest.approx(plain.value / c, abs=1e-9)
    assert plain.interval is not None and scaled.interval is not None
    assert scaled.interval == pytest.approx(tuple(x / c for x in plain.interval), abs=1e-9)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(0)
    held = drawn = 0
    for _ in range(400):
        counts = [rng.randrange(10, 60) for _ in range(12)]
        totals = [c * 3 + c * rng.gauss(0, 1) for c in counts]  # long documents vary as short ones
        interval = mean_of(totals, counts).interval
        assert interval is not None
        held += interval[0] <= 3 <= interval[1]
        drawn += 1
    assert 0.91 <= held / drawn <= 0.98


def test_one_cluster_has_no_interval() -> None:
    assert mean_of([3.0]).interval is None
    assert bootstrap([3.0], seed=0).interval is None
    assert difference([3.0], [4.0]).p == 1


def test_a_sample_that_is_everything_leaves_no_doubt() -> None:
    values = [1.0, 2.0, 6.0]
    assert mean_of(values, of=3).interval == pytest.approx((3, 3))
    some, most = mean_of(values, of=300).interval, mean_of(values, of=4).interval
    assert some is not None and most is not None
    assert some[0] < most[0] < 3 < most[1] < some[1]


@given(sums)
def test_a_difference_is_the_mean_of_differences(first: list[float]) -> None:
    second = [x * 0.5 + 1 for x in first]
    found = difference(first, second)
    by_hand = mean_of([b - a for a, b in zip(first, second, strict=True)])
    assert found.value == pytest.approx(by_hand.value, abs=1e-9)
    assert found.interval == pytest.approx(by_hand.interval, abs=1e-9)
    back = difference(second, first)
    assert (back.value, back.p) == pytest.approx((-found.value, found.p))


def test_a_paired_test_finds_what_two_intervals_do_not() -> None:
    first = [1.0, 5.0, 9.0, 13.0, 17.0]
    second = [1.3, 5.2, 9.4, 13.3, 17.3]
    one, two = mean_of(first).interval, mean_of(second).interval
    assert one is not None and two is not None and one[1] > two[0]
    assert difference(first, second).p < 0.01
    assert difference(first, first).p == 1
    assert difference([1.0, 2.0], [2.0, 3.0]).p == 0  # every case by exactly as much


def test_the_bootstrap_agrees_with_the_formula_and_with_itself() -> None:
    rng = random.Random(1)
    counts = [rng.randrange(10, 60) for _ in range(80)]
    totals = [c * 3 + c * rng.gauss(0, 1) for c in counts]
    formula, drawn = mean_of(totals, counts), bootstrap(totals, counts, seed=5)
    assert drawn.value == formula.value
    assert formula.interval is not None and drawn.interval is not None
    assert drawn.interval == pytest.approx(formula.interval, abs=0.05)
    assert bootstrap(totals, counts, seed=5) == drawn
    assert bootstrap(totals, counts, seed=6) != drawn


@given(sums, st.integers(1, 40))
def test_blocks_lose_nothing(values: list[float], block: int) -> None:
    totals, counts = in_blocks(values, block)
    assert totals.sum() == pytest.approx(sum(values), abs=1e-6)
    assert counts.sum() == len(values)
    assert all(block <= count < 2 * block for count in counts) or len(counts) == 1


def test_holms_p_values_are_those_worked_out_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    for p in product([0.2, 0.9], repeat=3):
        assert all(a >= b for a, b in zip(holm(p), p, strict=True)) and max(holm(p)) <= 1
