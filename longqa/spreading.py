"""An order that visits the whole of a text: so that evidence is not only at its beginning.

spread(items, depth=…, rng=…)  # one from each tenth of the text in turn, tenths in random order
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
BINS = 10


def spread(items: Iterable[T], *, depth: Callable[[T], float], rng: random.Random) -> Iterator[T]:
    """All items, each once; `depth` is 0 to 1. Deterministic for a given `rng` state."""
    bins: list[list[T]] = [[] for _ in range(BINS)]
    for item in items:
        bins[min(BINS - 1, max(0, int(depth(item) * BINS)))].append(item)
    for members in bins:
        rng.shuffle(members)
    rng.shuffle(bins)
    while any(bins):
        for members in bins:
            if members:
                yield members.pop()
