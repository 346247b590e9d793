"""Sketches on the disk are the sketches that were given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longqa.near_duplicates import SKETCH, Hashes, find
from longqa.sketches import Sketches

SOME = st.lists(
    st.lists(st.integers(0, 2**64 - 1), max_size=SKETCH, unique=True).map(sorted), max_size=5
)


@given(SOME)
def test_what_was_given_comes_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, given_hashes: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("sketches")
    with Sketches(folder) as sketches:
        for hashes in given_hashes:
            sketches.append(np.array(hashes, np.uint64))
        assert len(sketches) == len(given_hashes)
        assert [found.tolist() for found in sketches] == given_hashes
        assert [found.tolist() for found in sketches[1:]] == given_hashes[1:]
    assert not list(folder.iterdir())


def test_there_is_none_beyond_the_last(tmp_path: Path) -> None:
    with Sketches(tmp_path) as sketches:
        sketches.append(np.arange(3, dtype=np.uint64))
        with pytest.raises(IndexError):
            sketches[1]


def test_duplicates_are_found_among_them_as_among_those_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    held: list[Hashes] = [np.unique(rng.integers(0, 2**63, 200, np.uint64)) for _ in range(20)]
    held[7] = np.union1d(held[3][:150], held[7][:40])
    with Sketches(tmp_path) as sketches:
        for sketch in held:
            sketches.append(sketch)
        assert find(sketches) == find(held)
        assert list(find(sketches)) == [7]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got an output folder that cannot be written"):
        Sketches(tmp_path / "gone")
