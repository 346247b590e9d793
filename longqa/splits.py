"""Which document goes to train, validation or test; no document is in two, nor are two editions.

    groups = near_duplicates({"a": sketch(text_a), "b": sketch(text_b), "c": sketch(text_c)})
    groups                        -> {"a": "a", "b": "a", "c": "c"}     # b is another edition of a
    assign_splits(groups, seed=0) -> {"a": "train", "b": "train", "c": "test"}

The rule: every group gets a number in [0, 1) from (seed, name of the group) alone. Below the test
share it goes to test, below test + validation share to validation, else to train. So a document
never moves because another one was added, with two exceptions:

- from three groups on, no split is empty: test takes the lowest number when none is below its
  share, validation the next lowest, and train keeps the highest;
- with one or two groups, everything is train.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from longdata.errors import UserError
from longqa.facts import SPLITS, SplitName

SHARES: dict[SplitName, float] = {"train": 0.90, "validation": 0.05, "test": 0.05}

_RUN_WORDS = 8
_LONG = 9  # letters of a word at which a run may begin: one word in 15 of English prose
_SAME_SHARE = 0.5  # of the shorter document's sketch
_FEWEST_SHARED = 4  # below this, two short texts share a phrase
_MOST_COMPARED = 32  # documents compared pair by pair because of one run of words
_CHUNK = 1 << 20  # characters
_WORD = re.compile(r"\w+")


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
        num_validation = sum(numbers[group] < below_validation for group in rest)
        if shares["validation"] > 0:
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


def sketch(text: str) -> bytes:
    """What a text says, for `near_duplicates`: some of its runs of eight words, hashed.

    The runs are those that begin with a long word, every second of such words. Case, punctuation
    and line breaks do not matter, so two editions of a book share most of it.
    About 20 kB for a book of 80,000 words: sorted unsigned 64-bit numbers, big-endian.
    """
    kept = set()
    for start in range(0, len(text), _CHUNK):  # a list of all words would be ten times the text
        words = _WORD.findall(text[start : start + _CHUNK].casefold())
        for at, word in enumerate(words):
            if len(word) >= _LONG and at + _RUN_WORDS <= len(words) and crc32(word.encode()) % 2:
                run = " ".join(words[at : at + _RUN_WORDS])
                kept.add(hashlib.blake2b(run.encode(), digest_size=8).digest())
    return b"".join(sorted(kept))


def near_duplicates(sketches: Mapping[str, bytes]) -> dict[str, str]:
    """Document id → name of its group, the smallest id among the documents that say the same.

    Two documents say the same when they share half of the shorter one's sketch, so that a chapter
    published alone belongs to its book; sameness is passed on.
    """
    ids = sorted(sketches)
    numbers = [np.frombuffer(sketches[name], dtype=">u8").astype(np.uint64) for name in ids]
    sizes = [len(found) for found in numbers]
    shared: Counter[tuple[int, int]] = Counter()
    for owners in _owners_of_shared(numbers):
        if len(owners) <= _MOST_COMPARED:
            shared.update(combinations(owners, 2))
        else:  # boilerplate, or very many copies, which stand side by side here every time
            shared.update(pairwise(owners))
    group_of = list(range(len(ids)))

    def root(index: int) -> int:
        while group_of[index] != index:
            group_of[index] = index = group_of[group_of[index]]
        return index

    for (one, other), count in shared.items():
        if count >= max(_FEWEST_SHARED, _SAME_SHARE * min(sizes[one], sizes[other])):
            low, high = sorted((root(one), root(other)))
            group_of[high] = low
    return {name: ids[root(index)] for index, name in enumerate(ids)}


def _owners_of_shared(numbers: Sequence[NDArray[np.uint64]]) -> Iterator[list[int]]:
    """For each number in several sketches, the indices of those sketches, ascending."""
    if not numbers:
        return
    values = np.concatenate(numbers)
    owners = np.repeat(np.arange(len(numbers)), [len(found) for found in numbers])
    order = np.argsort(values, kind="stable")
    values, owners = values[order], owners[order]
    starts = np.flatnonzero(np.r_[True, values[1:] != values[:-1]]) if len(values) else values
    ends = np.r_[starts[1:], len(values)]
    is_shared = ends - starts > 1
    for start, end in zip(starts[is_shared].tolist(), ends[is_shared].tolist(), strict=True):
        yield owners[start:end].tolist()
