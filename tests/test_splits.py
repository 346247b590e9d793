"""Splits share no document, stay where they are, and keep editions of one work together."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longqa.splits import SHARES, _number, assign_splits, near_duplicates, sketch

BOOKS = Path(__file__).parents[2] / "shared" / "data" / "books"
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
def test_a_document_moves_only_from_or_to_a_split_that_would_be_empty(
    groups: dict[str, str], new: str, its_group: str, seed: int
) -> None:
    before = assign_splits(groups, seed=seed)
    after = assign_splits({**groups, new: its_group} if new not in groups else groups, seed=seed)
    if len(set(groups.values())) < 3:
        return
    moved = {groups[name] for name in before if before[name] != after[name]}
    for group in moved:
        name = next(name for name in groups if groups[name] == group)
        assert natural(seed, group) in (before[name], after[name]) or len(moved) <= 2
        assert before[name] != natural(seed, group) or after[name] != natural(seed, group)
    assert len(moved) <= 2


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


def prose(seed: int, words: int = 3000) -> list[str]:
    """Words in an order no other seed gives."""
    rng = random.Random(seed)
    vocabulary = [f"longword{index}" for index in range(2000)]
    return rng.choices(vocabulary, k=words)


def test_another_edition_is_the_same_work_and_another_work_is_not() -> None:
    words = prose(1)
    modern = "\n\n".join(" ".join(words[at : at + 50]) for at in range(0, len(words), 50))
    old = " ".join(word.upper() if at % 7 else word + "," for at, word in enumerate(words))
    other = " ".join(prose(2))
    part = " ".join(words[1000:2000])
    texts = {"modern": modern, "old": old, "other": other, "part": part, "empty": ""}
    groups = near_duplicates({name: sketch(text) for name, text in texts.items()})
    assert groups == {
        "modern": "modern",
        "old": "modern",
        "part": "modern",
        "other": "other",
        "empty": "empty",
    }


def test_a_shared_licence_text_does_not_make_two_works_one() -> None:
    notice = " ".join(prose(99, words=400))
    texts = {str(seed): " ".join(prose(seed)) + " " + notice for seed in range(40)}
    groups = near_duplicates({name: sketch(text) for name, text in texts.items()})
    assert len(set(groups.values())) == 40


def test_many_copies_are_found_without_comparing_each_with_each() -> None:
    text = sketch(" ".join(prose(1)))
    start = time.perf_counter()
    groups = near_duplicates({f"{index:05d}": text for index in range(3000)})
    assert time.perf_counter() - start < 5
    assert set(groups.values()) == {"00000"}


def test_no_documents_make_no_groups() -> None:
    assert near_duplicates({}) == {}
    assert near_duplicates({"a": b""}) == {"a": "a"}
    assert assign_splits({}, seed=0, shares=SHARES) == {}


@pytest.mark.skipif(not BOOKS.is_dir(), reason="the shared books are not here")
def test_different_real_books_stay_different_and_a_rewrapped_one_does_not() -> None:
    paths = sorted(BOOKS.rglob("*.txt"))[:4]
    assert len(paths) == 4
    texts = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in paths}
    first = paths[0].name
    texts["zz rewrapped"] = " ".join(texts[first].upper().split())
    groups = near_duplicates({name: sketch(text) for name, text in texts.items()})
    assert groups.pop("zz rewrapped") == first
    assert all(name == group for name, group in groups.items())
