"""The order of examples: every one once an epoch, the same for any number of processes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtune.data_order import DataOrder, InOrder, steps_of


@given(num=st.integers(1, 40), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_every_example_comes_once_an_epoch(num: int, seed: int, epoch: int) -> None:
    order = DataOrder(num_examples=num, seed=seed)
    read = [order[place] for place in range(epoch * num, (epoch + 1) * num)]
    assert sorted(read) == list(range(num))


def test_epochs_and_seeds_differ_and_are_the_same_again() -> None:
    def first(seed: int, epoch: int) -> list[int]:
        order = DataOrder(num_examples=50, seed=seed)
        return [order[epoch * 50 + place] for place in range(50)]

    assert first(0, 0) == first(0, 0)
    assert len({tuple(first(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_the_numbers_are_those_of_every_machine() -> None:
    order = DataOrder(num_examples=8, seed=0)
    assert [order[place] for place in range(8)] == FIRST_EPOCH


FIRST_EPOCH = [0, 6, 4, 3, 1, 7, 2, 5]


def test_examples_are_read_in_that_order() -> None:
    class Letters:
        @property
        def facts(self) -> Any:
            raise NotImplementedError

        def __len__(self) -> int:
            return 8

        def __getitem__(self, number: int) -> str:
            return "abcdefgh"[number]

        def collate(self, examples: Any) -> Any:
            raise NotImplementedError

    read = InOrder(Letters(), seed=0, num_examples=9)
    assert len(read) == 9
    assert [read[place] for place in range(8)] == ["abcdefgh"[n] for n in FIRST_EPOCH]


@pytest.mark.parametrize(
    ("epochs", "steps"), [(None, 1000), (1.0, 13), (2.0, 25), (0.5, 7), (0.001, 1)]
)
def test_epochs_are_counted_in_steps(epochs: float | None, steps: int) -> None:
    assert steps_of(steps=1000, epochs=epochs, num_examples=100, rows_per_step=8) == steps
