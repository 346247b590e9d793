"""Intervals and tests: shares of right answers, means over documents, two models on the same cases.

    wilson(45, 50)                          -> (0.786, 0.957)   a share of right answers
    mcnemar(only_first=1, only_second=8)    -> 0.039            two models, the same cases
    mean_of([50.2, 71.9], [20, 30])         -> Mean(value=2.442, interval=(1.75, 3.13), n=2)
    mean_of(*in_blocks(losses, 128))        windows that overlap are no independent draws
    bootstrap([50.2, 71.9], [20, 30], seed=0)   the same interval without Student's formula

Everything is a pure function of its arguments. A mean is that of *clusters* (documents, blocks of
neighbouring windows, cases): each gives a sum and a count, and the mean is sum of sums over sum of
counts. Its interval is Student's with the variance of a ratio (linearised: Cochran, Sampling
Techniques, 1977, 6.3), which is right for clusters of different sizes and honest for few.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interval = tuple[float, float]

CONFIDENCE = 0.95
_Floats = NDArray[np.float64]
_Case = TypeVar("_Case", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over `n` clusters. `interval` is None where one cluster says nothing of others."""

    value: float
    interval: Interval | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Second minus first, of the same clusters. `p`: of no difference, two-sided."""

    value: float
    interval: Interval | None
    p: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two models' right and wrong answers to the same cases. `p`: McNemar's exact test."""

    both: int
    only_first: int
    only_second: int
    neither: int
    p: float

    @property
    def n(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither


def wilson(right: int, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a share, never outside 0 to 1 (E. B. Wilson, JASA 22, 1927)."""
    assert 0 <= right <= n, f"{right} right of {n}"
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = right / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    low = 0.0 if right == 0 else max(0.0, middle - half)
    return low, 1.0 if right == n else min(1.0, middle + half)


def mcnemar(*, only_first: int, only_second: int) -> float:
    """The exact two-sided p of McNemar's test: a fair coin thrown for each case they differ on."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    assert fewer >= 0, "counts of cases"
    tail, term = 0, 1
    for k in range(fewer + 1):
        tail += term
        term = term * (n - k) // (k + 1)
    return min(1.0, 2 * tail / 2**n) if 2 * fewer != n else 1.0


def compare(first: Mapping[_Case, bool], second: Mapping[_Case, bool]) -> Paired:
    """Two models on the cases that both answered; others are left out, the caller counts them."""
    cases = first.keys() & second.keys()
    both = sum(first[case] and second[case] for case in cases)
    only_first = sum(first[case] and not second[case] for case in cases)
    only_second = sum(second[case] and not first[case] for case in cases)
    return Paired(
        both=both,
        only_first=only_first,
        only_second=only_second,
        neither=len(cases) - both - only_first - only_second,
        p=mcnemar(only_first=only_first, only_second=only_second),
    )


def mean_of(
    sums: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    of: int | None = None,
    confidence: float = CONFIDENCE,
) -> Mean:
    """The mean of clusters and its interval; without counts each cluster counts once.

    `of`: the clusters are a random sample (without repeats) of so many, and the interval is for the
    mean of all of those: it shrinks to nothing when all are there.
    """
    totals, sizes = _clusters(sums, counts)
    n = len(totals)
    value = float(totals.sum() / sizes.sum())
    error = _standard_error(totals - value * sizes, sizes, of=of)
    return Mean(value=value, interval=_around(value, error, n, confidence), n=n)


def difference(
    first: ArrayLike,
    second: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Second minus first on the same clusters: a paired test, which two intervals cannot give."""
    one, sizes = _clusters(first, counts)
    two, _ = _clusters(second, counts)
    assert len(one) == len(two), "the same clusters"
    apart = two - one
    n = len(apart)
    value = float(apart.sum() / sizes.sum())
    error = _standard_error(apart - value * sizes, sizes, of=None)
    if n < 2:
        p = 1.0
    elif error == 0:
        p = 1.0 if value == 0 else 0.0
    else:
        p = 2 * student_cdf(-abs(value) / error, n - 1)
    return Difference(value=value, interval=_around(value, error, n, confidence), p=p, n=n)


def bootstrap(
    sums: ArrayLike,
    counts: ArrayLike | None = None,
    *,
    seed: int,
    draws: int = 2000,
    confidence: float = CONFIDENCE,
) -> Mean:
    """The same mean; its interval from `draws` new samples of as many clusters (percentiles)."""
    totals, sizes = _clusters(sums, counts)
    n = len(totals)
    value = float(totals.sum() / sizes.sum())
    if n < 2:
        return Mean(value=value, interval=None, n=n)
    rng = np.random.Generator(np.random.PCG64(seed))
    means = np.empty(draws)
    for draw in range(draws):  # one at a time: all at once would be draws x clusters
        chosen = rng.integers(0, n, n)
        means[draw] = totals[chosen].sum() / sizes[chosen].sum()
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Mean(value=value, interval=(float(low), float(high)), n=n)


def in_blocks(
    sums: ArrayLike, block: int, counts: ArrayLike | None = None
) -> tuple[_Floats, _Floats]:
    """Sums and counts of blocks of `block` neighbours; the rest joins the last block.

    Values in an order, each much like the next (windows that overlap), become clusters that are
    nearly independent when a block is a few times longer than the likeness reaches.
    """
    assert block >= 1, "a block of at least one"
    totals, sizes = _clusters(sums, counts)
    starts = np.arange(max(1, len(totals) // block)) * block
    return np.add.reduceat(totals, starts), np.add.reduceat(sizes, starts)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values of several tests, made larger so that one false alarm among all is as rare as in
    one test (S. Holm, Scand. J. Stat. 6, 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def student_cdf(t: float, degrees: int) -> float:
    """P(T <= t) of Student's distribution: 1 - I_x(d/2, 1/2) / 2 with x = d / (d + t²)."""
    tail = _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5) / 2
    return 1 - tail if t >= 0 else tail


@lru_cache
def student_quantile(p: float, degrees: int) -> float:
    """The t with P(T <= t) = p, by halving."""
    assert 0 < p < 1 and degrees >= 1
    if p < 0.5:
        return -student_quantile(1 - p, degrees)
    low, high = 0.0, 1.0
    while student_cdf(high, degrees) < p:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, degrees) < p else (low, middle)
    return (low + high) / 2


def _clusters(sums: ArrayLike, counts: ArrayLike | None) -> tuple[_Floats, _Floats]:
    totals = np.asarray(sums, np.float64)
    sizes = np.ones_like(totals) if counts is None else np.asarray(counts, np.float64)
    assert totals.ndim == 1 and totals.shape == sizes.shape, "one sum and one count a cluster"
    assert len(totals) > 0 and (sizes > 0).all(), "clusters that hold something"
    return totals, sizes


def _standard_error(residuals: _Floats, sizes: _Floats, *, of: int | None) -> float:
    n = len(residuals)
    if n < 2:
        return math.nan
    assert of is None or of >= n, f"a sample of {n} from {of}"
    left = 1.0 if of is None else 1 - n / of
    variance = left * float((residuals**2).sum()) * n / (n - 1)
    return math.sqrt(variance) / float(sizes.sum())


def _around(value: float, error: float, n: int, confidence: float) -> Interval | None:
    if n < 2:
        return None
    half = student_quantile((1 + confidence) / 2, n - 1) * error
    return value - half, value + half


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) by its continued fraction (Abramowitz & Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # converges quickly on the other side
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    fraction = 1.0
    terms = 30 + int(3 * math.sqrt(max(a, b)))  # it takes some multiple of the root
    for m in range(terms, 0, -1):  # from the inside out
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1))
        fraction = 1 + odd / (1 + even / fraction)
    return front / (a * fraction)
