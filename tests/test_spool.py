"""A spool is the list that was put into it, on the disk."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longqa.spool import Spool, dumps

VALUES = st.lists(
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(), max_size=3)
)


def spool_of(folder: Path, items: list[object]) -> Spool[object]:
    return Spool(folder, to_bytes=dumps, from_bytes=json.loads, items=items)


@given(VALUES, st.slices(6))
def test_it_is_the_list_that_was_put_in(
    tmp_path_factory: pytest.TempPathFactory, items: list[object], part: slice
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = spool_of(folder, items)
    assert len(spool) == len(items)
    assert list(spool) == items and spool == items and spool[part] == items[part]
    assert [spool[-number] for number in range(1, len(items) + 1)] == items[::-1]
    assert spool != [*items, 1]
    assert not list(folder.iterdir())


def test_it_grows_while_it_is_read(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, [1])
    assert spool[0] == 1
    spool.append({"a": "\ud800"})  # a lone surrogate, as a title of a damaged file may have
    assert spool[1] == {"a": "\ud800"} and len(spool) == 2
    with pytest.raises(IndexError):
        spool[2]


def test_an_item_costs_eight_bytes_of_memory(tmp_path: Path) -> None:
    spool = spool_of(tmp_path, ["x" * 1000] * 5000)
    assert sys.getsizeof(spool._ends) < 8 * 5000 * 1.2


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"got an output folder that cannot be written"):
        spool_of(tmp_path / "gone", [])
