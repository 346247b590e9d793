"""Splits share no document, stay where they are."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longqa.splits import SHARES, _number, assign_splits

ids = st.text("0123456789abcdef", min_size=1, max_size=16)
groupings = st.dictionaries(ids, ids, max_size=60)


def natural(seed: int, group: str) -> str:
    """The split by share alone, as the module's docstring defines it."""
    number = _number(seed, group)
    return "test" if number < 0.05 else "validation" if number < 0.10 else "train"


@given(groupings, st.integers(0, 5))
def test_documents_of_one_group_share_a_split_and_none_is_left_out(
    groups: dict[str, str], seed: int
) -> None:
    splits = assign_splits(groups, seed=seed)
    assert splits.keys() == groups.keys()
    for one, its_group in groups.items():
        for other, other_group in groups.items():
            if its_group == other_group:
                assert splits[one] == splits[other]


@given(groupings, st.integers(0, 5))
def test_from_three_groups_on_no_split_is_empty_and_below_all_is_train(
    groups: dict[str, str], seed: int
) -> None:
    found = set(assign_splits(groups, seed=seed).values())
    if len(set(groups.values())) >= 3:
        assert found == {"train", "validation", "test"}
    else:
        assert found <= {"train"}


@given(groupings, ids, ids, st.integers(0, 5))
def test_only_a_document_that_filled_an_empty_split_moves_when_another_is_added(
    groups: dict[str, str], new: str, its_group: str, seed: int
) -> None:
    before = assign_splits(groups, seed=seed)
    after = assign_splits({**groups, new: its_group} if new not in groups else groups, seed=seed)
    if len(set(groups.values())) < 3:
        return  # the third group ends the time when all was train
    moved = {groups[name] for name in before if before[name] != after[name]}
    assert len(moved) <= 2
    assert all(natural(seed, groups[n]) != before[n] for n in before if before[n] != after[n])


@given(groupings, st.integers(0, 5))
def test_the_order_of_the_documents_does_not_matter(groups: dict[str, str], seed: int) -> None:
    backwards = dict(reversed(groups.items()))
    assert assign_splits(groups, seed=seed) == assign_splits(backwards, seed=seed)


def test_splits_are_those_of_every_other_machine() -> None:
    groups = {name: name for name in "abcdefghij"}
    found = assign_splits(groups, seed=0)
    assert {name: split for name, split in found.items() if split != "train"} == {
        "c": "test",
        "i": "validation",
    }


def test_shares_are_met_over_many_documents() -> None:
    groups = {str(index): str(index) for index in range(4000)}
    counts = Counter(assign_splits(groups, seed=1).values())
    assert counts["test"] == pytest.approx(200, abs=45)
    assert counts["validation"] == pytest.approx(200, abs=45)


def test_another_seed_gives_another_division() -> None:
    groups = {str(index): str(index) for index in range(100)}
    assert assign_splits(groups, seed=0) != assign_splits(groups, seed=1)


def test_a_share_of_zero_leaves_its_split_empty() -> None:
    groups = {str(index): str(index) for index in range(50)}
    shares = {"train": 0.5, "validation": 0.5, "test": 0.0}
    assert set(assign_splits(groups, seed=0, shares=shares).values()) == {"train", "validation"}
    shares = {"train": 0.1, "validation": 0.0, "test": 0.9}
    three = {name: name for name in "abc"}
    assert set(assign_splits(three, seed=0, shares=shares).values()) == {"train", "test"}


@pytest.mark.parametrize(
    "shares",
    [
        {"train": 0.9, "validation": 0.2, "test": 0.1},
        {"train": 1.2, "validation": -0.1, "test": -0.1},
        {"train": 0.0, "validation": 0.5, "test": 0.5},
        {"train": 1.0},
    ],
)
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UserError, match="sum to 1"):
        assign_splits({"a": "a"}, seed=0, shares=shares)  # type: ignore[arg-type]


def test_no_documents_are_no_mistake() -> None:
    assert assign_splits({}, seed=0, shares=SHARES) == {}
