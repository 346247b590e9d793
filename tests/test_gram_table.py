"""Tables of hashes on disk: they hold exactly what was put in, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata import gram_table
from longdata.gram_table import GramTable
from longdata.ngrams import hashes_of, words_of

TEXTS = [" ".join(f"w{n * k % 701}" for n in range(400)) for k in range(1, 30)]


def hashes(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return hashes_of(words_of(text).hashes)


def test_a_table_holds_the_sequences_of_its_texts_and_no_other(tmp_path: Path) -> None:
    table = GramTable.build(iter(TEXTS), tmp_path / "new" / "t")
    expected = np.unique(np.concatenate([hashes(text) for text in TEXTS]))
    assert np.array_equal(table.hashes, expected)
    assert (table.texts, table.grams, table.skipped) == (len(TEXTS), len(expected), ())
    assert table.holds(hashes(TEXTS[3])).all()
    strangers = expected[1:-1] + np.uint64(1)
    assert np.array_equal(table.holds(strangers), np.isin(strangers, expected))


def test_many_runs_merge_to_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = GramTable.build(TEXTS, tmp_path / "whole")
    monkeypatch.setattr(gram_table, "_RUN", 500)
    parts = GramTable.build(TEXTS, tmp_path / "parts")
    assert np.array_equal(whole.hashes, parts.hashes)
    assert (tmp_path / "whole/hashes.npy").read_bytes() == (
        tmp_path / "parts/hashes.npy"
    ).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "whole"]


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_looking_up_is_membership(inside: list[int], asked: list[int]) -> None:
    table = GramTable(np.unique(np.array(inside, np.uint64)), 1, ())
    wanted = np.array(asked + inside, np.uint64)
    assert table.holds(wanted).tolist() == [n in set(inside) for n in wanted.tolist()]


def test_many_are_looked_up_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = GramTable.build(TEXTS[:5], tmp_path / "t")
    wanted = np.concatenate([hashes(text) for text in TEXTS[:9]])
    expected = np.isin(wanted, table.hashes)
    assert 0 < expected.sum() < len(wanted)
    monkeypatch.setattr(gram_table, "_AT_ONCE", 7)
    assert np.array_equal(table.holds(wanted), expected)


def test_the_table_is_mapped_not_read(tmp_path: Path) -> None:
    GramTable.build(TEXTS, tmp_path / "t")
    table = GramTable.load(tmp_path / "t")
    assert table is not None and isinstance(table.hashes, np.memmap)


def test_texts_without_thirteen_words_make_an_empty_table(tmp_path: Path) -> None:
    table = GramTable.build(["too short"], tmp_path / "t", skipped=["a.txt: empty"])
    assert (table.texts, table.grams, table.skipped) == (1, 0, ("a.txt: empty",))
    assert not table.holds(hashes(TEXTS[0])).any()


def test_what_fails_leaves_nothing_and_what_is_damaged_is_made_again(tmp_path: Path) -> None:
    def broken() -> object:
        yield TEXTS[0]
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        GramTable.build(broken(), tmp_path / "t")  # type: ignore[arg-type]
    assert GramTable.load(tmp_path / "t") is None and not list(tmp_path.iterdir())
    GramTable.build(TEXTS, tmp_path / "t")
    (tmp_path / "t/table.json").write_text("{}")
    assert GramTable.load(tmp_path / "t") is None
    assert GramTable.build(TEXTS, tmp_path / "t").texts == len(TEXTS)


def test_a_table_of_another_way_of_hashing_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    GramTable.build(TEXTS, tmp_path / "t")
    monkeypatch.setattr(gram_table, "SCHEME", gram_table.SCHEME + 1)
    assert GramTable.load(tmp_path / "t") is None
