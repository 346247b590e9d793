"""Which document goes to train, validation or test; no document is in two.

    assign_splits({"id-a": "work 1", "id-b": "work 1", "id-c": "work 2", "id-d": "work 3"}, seed=0)
    -> {"id-a": "test", "id-b": "test", "id-c": "train", "id-d": "validation"}

Documents of one group stay together: two editions of a work, or the same text from two files.
The rule: every group gets a number in [0, 1) from (seed, name of the group) alone. Below the test
share it goes to test, below test + validation share to validation, else to train. Two
exceptions, and only the documents they touch can move when another one is added:

- from three groups on, no split is empty: test takes the lowest number when none is below its
  share, validation the next lowest, and train keeps the highest;
- with one or two groups, everything is train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from longdata.errors import UserError
from longqa.facts import SPLITS, SplitName

SHARES: dict[SplitName, float] = {"train": 0.90, "validation": 0.05, "test": 0.05}


def assign_splits(
    groups: Mapping[str, str], *, seed: int, shares: Mapping[SplitName, float] = SHARES
) -> dict[str, SplitName]:
    """Document id → split, for a mapping document id → name of its group.

    Raises `UserError` unless `shares` has train, validation and test, none negative, train
    positive, and sums to 1.
    """
    _check(shares)
    numbers = {group: _number(seed, group) for group in groups.values()}
    ordered = sorted(numbers, key=lambda group: (numbers[group], group))
    split_of: dict[str, SplitName] = dict.fromkeys(ordered, "train")
    if len(ordered) >= 3:
        below_test = shares["test"]
        below_validation = below_test + shares["validation"]
        num_test = sum(number < below_test for number in numbers.values())
        if shares["test"] > 0:
            num_test = min(max(num_test, 1), len(ordered) - 1 - (shares["validation"] > 0))
        rest = ordered[num_test:]
        num_validation = 0
        if shares["validation"] > 0:
            num_validation = sum(numbers[group] < below_validation for group in rest)
            num_validation = min(max(num_validation, 1), len(rest) - 1)
        split_of |= dict.fromkeys(ordered[:num_test], "test")
        split_of |= dict.fromkeys(rest[:num_validation], "validation")
    return {document: split_of[group] for document, group in groups.items()}


def _number(seed: int, group: str) -> float:
    digest = hashlib.sha256(f"{seed}\x1f{group}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _check(shares: Mapping[SplitName, float]) -> None:
    is_right = (
        set(shares) == set(SPLITS)
        and all(share >= 0 for share in shares.values())
        and shares["train"] > 0
        and abs(sum(shares.values()) - 1) < 1e-9
    )
    if not is_right:
        raise UserError(
            f"got split shares {dict(shares)}; allowed: train, validation and test that sum to 1, "
            "train above 0; fix: --splits 0.9,0.05,0.05"
        )
