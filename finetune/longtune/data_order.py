"""Which example is read when: a number for every place of a run, from the seed alone.

    order = DataOrder(num_examples=3, seed=0)
    [order[place] for place in range(7)]    -> [0, 2, 1,   1, 2, 0,   2]    epoch by epoch

Every step takes the next examples, however many processes share them and whatever was accumulated:
the same seed gives the same steps on one GPU and on eight, and a run that is continued reads on
where it was. Epochs follow on one another without a rest that is left out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtune.training_data import TrainingData


class DataOrder:
    """Each example once an epoch, in another order every time."""

    def __init__(self, *, num_examples: int, seed: int) -> None:
        self.num_examples, self.seed = num_examples, seed

    def __getitem__(self, place: int) -> int:
        epoch, at = divmod(place, self.num_examples)
        return int(_epoch(self.num_examples, self.seed, epoch)[at])


class InOrder:
    """The examples of a run, as many as its steps read: what a data loader takes one by one."""

    def __init__(self, data: TrainingData, *, seed: int, num_examples: int) -> None:
        self._data, self._num_examples = data, num_examples
        self._order = DataOrder(num_examples=len(data), seed=seed)

    def __len__(self) -> int:
        return self._num_examples

    def __getitem__(self, place: int) -> Any:
        return self._data[self._order[place]]

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self)))


def steps_of(*, steps: int, epochs: float | None, num_examples: int, rows_per_step: int) -> int:
    """The steps of a run: those that were asked for, or those that read so many epochs."""
    if epochs is None:
        return steps
    return max(1, math.ceil(epochs * num_examples / rows_per_step))


@lru_cache(maxsize=2)
def _epoch(num_examples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Python's shuffle gives the same numbers on every machine, in every version."""
    numbers = list(range(num_examples))
    random.Random(f"{seed} {epoch}").shuffle(numbers)
    return np.array(numbers, np.int64)
