"""longqa.spreading: an order that visits the whole of a text."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from longqa.spreading import BINS, spread

ITEMS = st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1)), max_size=80, unique=True)


def tenth(item: tuple[int, float]) -> int:
    return min(BINS - 1, int(item[1] * BINS))


@given(items=ITEMS, seed=st.integers(0, 99))
def test_every_item_comes_exactly_once(items: list[tuple[int, float]], seed: int) -> None:
    order = list(spread(items, depth=lambda i: i[1], rng=random.Random(seed)))
    assert Counter(order) == Counter(items)


@given(items=ITEMS, seed=st.integers(0, 99))
def test_no_tenth_is_visited_again_before_all_that_still_hold_items(
    items: list[tuple[int, float]], seed: int
) -> None:
    order = list(spread(items, depth=lambda i: i[1], rng=random.Random(seed)))
    left = Counter(map(tenth, items))
    visits: Counter[int] = Counter()
    for item in order:
        others = [visits[t] for t in left if left[t] and t != tenth(item)]
        assert visits[tenth(item)] <= min(others, default=visits[tenth(item)])
        visits[tenth(item)] += 1
        left[tenth(item)] -= 1


def test_the_order_depends_on_the_seed_and_on_nothing_else() -> None:
    items = [(i, i / 50) for i in range(50)]
    orders = [
        list(spread(items, depth=lambda i: i[1], rng=random.Random(seed))) for seed in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2]


def test_the_first_tenth_of_the_text_does_not_always_come_first() -> None:
    items = [(i, i / 100) for i in range(100)]
    first = {
        tenth(next(spread(items, depth=lambda i: i[1], rng=random.Random(seed))))
        for seed in range(60)
    }
    assert len(first) >= 8


def test_items_at_the_very_borders_are_kept() -> None:
    items = [(0, -0.1), (1, 0.0), (2, 1.0), (3, 1.1)]
    assert sorted(spread(items, depth=lambda i: i[1], rng=random.Random(0))) == items
