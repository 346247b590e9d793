"""A part of the windows, drawn at random: what a budget can pay for.

    kept = draw(windows, 200, seed=0)             # indices of windows, the same on every machine
    measured = windows.part(kept)
    affordable(most=38_936, seconds_of=…, budget=600)   -> how many to draw

Windows with one start are one draw, because they are read in one pass. Each start has a random
number, made of the seed and of nothing else, and those with the lowest are drawn: every set of
`count` starts is as likely as any other, and windows of several contexts and protocols that begin
at the same places are drawn together, so that a pass serves all of them here too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from longeval.windows import Ints, Windows


def draw(windows: Windows, count: int, *, seed: int) -> Ints:
    """The windows of `count` starts, in order; all where there are no more."""
    starts = np.unique(windows.start)
    chosen = starts[np.argsort(_numbers(starts, seed), kind="stable")[:count]]
    kept: Ints = np.flatnonzero(np.isin(windows.start, chosen))
    return kept


def num_draws(windows: Windows) -> int:
    """How many starts there are to draw from."""
    return len(np.unique(windows.start))


def affordable(*, most: int, seconds_of: Callable[[int], float], budget: float) -> int:
    """The largest number of draws, up to `most`, whose passes take no longer than the budget."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if seconds_of(middle) <= budget else (low, middle - 1)
    return low


def _numbers(places: Ints, seed: int) -> NDArray[np.uint64]:
    """One of 2^64 numbers for each place: splitmix64 (Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        golden = np.uint64(0x9E3779B97F4A7C15)
        x = places.astype(np.uint64) * golden + np.uint64(seed % 2**64) * np.uint64(
            0xD1342543DE82EF95
        )
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        found: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return found
