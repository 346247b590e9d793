"""Packed rows as batches: what is predicted, what is seen, how far apart things are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from training_made import CTX, DOCUMENTS, write_rows

from longdata.errors import UserError
from longtune.packed_batches import PackedBatches, Piece, folder_of
from longtune.training_data import UNSCORED

torch = pytest.importorskip("torch", reason="torch is not installed")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("rows") / "packed")


def opened(packed: Path, **options: Any) -> PackedBatches:
    return PackedBatches.open(packed, **{"ctx": CTX, **options})


def test_the_example_of_the_module(tmp_path: Path) -> None:
    data = opened(write_rows(tmp_path / "one", [(5, 2)], ctx=8), ctx=8)
    batch = data.collate([data[0]])
    ids = batch["input_ids"][0].tolist()
    none = UNSCORED
    assert batch["labels"][0].tolist() == [none, *ids[1:5], none, ids[6], none]
    assert batch["position_ids"][0].tolist() == [0, 1, 2, 3, 4, 0, 1, 0]
    loose = opened(tmp_path / "one", ctx=8, documents="ignore", positions="continue")
    batch = loose.collate([loose[0]])
    assert batch["labels"][0].tolist() == [none, *ids[1:7], none]
    assert batch["position_ids"][0].tolist() == list(range(8))


@pytest.mark.parametrize("documents", ["mask", "ignore"])
@pytest.mark.parametrize("positions", ["restart", "continue"])
def test_the_two_switches_are_apart(packed: Path, documents: Any, positions: Any) -> None:
    data = opened(packed, documents=documents, positions=positions)
    batch = data.collate([data[0], data[2]])
    restarting = [[*range(20), *range(12)], [*range(5), *range(9), *range(11), *range(7)]]
    along = [list(range(CTX))] * 2
    seen = batch["position_ids"].tolist()
    rotated = batch.get("rotary_position_ids", batch["position_ids"]).tolist()
    assert seen == (restarting if documents == "mask" else along)
    assert rotated == (restarting if positions == "restart" else along)
    assert ("rotary_position_ids" in batch) == (seen != rotated)


def test_without_a_mask_the_first_token_of_a_document_is_predicted(packed: Path) -> None:
    masked = opened(packed).collate([opened(packed)[0]])["labels"][0]
    loose = opened(packed, documents="ignore").collate([opened(packed)[0]])["labels"][0]
    different = (masked != loose).nonzero().flatten().tolist()
    assert different == [20]
    assert masked[20] == UNSCORED


def test_every_token_is_read_and_padding_is_not_predicted(packed: Path) -> None:
    data = opened(packed, documents="ignore")
    assert len(data) == len(DOCUMENTS)
    for number, lengths in enumerate(DOCUMENTS):
        piece = data[number]
        assert np.array_equal(piece.input_ids, data.rows.input_ids(number))
        labels = data.collate([piece])["labels"][0]
        assert (labels[sum(lengths) :] == UNSCORED).all()
        assert (labels != UNSCORED).sum() == sum(lengths) - 1


@given(ctx=st.integers(8, CTX), row=st.integers(0, len(DOCUMENTS) - 1))
def test_longer_rows_are_read_in_pieces(packed: Path, ctx: int, row: int) -> None:
    data = opened(packed, ctx=ctx)
    assert len(data) == len(DOCUMENTS) * (CTX // ctx)
    borders = np.cumsum([0, *DOCUMENTS[row], CTX - sum(DOCUMENTS[row])])
    for at in range(CTX // ctx):
        piece: Piece = data[row * (CTX // ctx) + at]
        start = at * ctx
        assert np.array_equal(piece.input_ids, data.rows.input_ids(row)[start : start + ctx])
        inside = {int(b) - start for b in borders if start < b < start + ctx}
        assert set(piece.begins.tolist()) == {0, *inside, ctx}
        assert piece.num_tokens == min(max(sum(DOCUMENTS[row]) - start, 0), ctx)


def test_a_piece_of_padding_has_no_label(tmp_path: Path) -> None:
    data = opened(write_rows(tmp_path / "short", [(6,)]), ctx=8)
    batch = data.collate([data[1], data[3]])
    assert (batch["labels"] == UNSCORED).all()
    assert batch["position_ids"][0].tolist() == list(range(8))


def test_the_folder_of_a_context_is_found(tmp_path: Path) -> None:
    write_rows(tmp_path / "ctx-32")
    write_rows(tmp_path / "ctx-64", [(64,)], ctx=64)
    assert folder_of(tmp_path, 64).name == "ctx-64"
    assert folder_of(tmp_path / "ctx-32", 16).name == "ctx-32"
    with pytest.raises(UserError, match="allowed: 32, 64, which it holds"):
        folder_of(tmp_path, 16)
    with pytest.raises(UserError, match="holds no packed rows"):
        folder_of(tmp_path / "nothing", 16)


def test_rows_that_are_too_short_are_refused(packed: Path) -> None:
    with pytest.raises(UserError, match=r"rows of 32 tokens .* context of 64"):
        opened(packed, ctx=64)


def test_the_fingerprint_is_of_rows_and_of_how_they_are_read(packed: Path) -> None:
    prints = [
        opened(packed, **options).facts["fingerprint"]
        for options in ({}, {"ctx": 16}, {"documents": "ignore"}, {"positions": "continue"})
    ]
    assert len(set(prints)) == 4
    assert prints[0] == opened(packed).facts["fingerprint"]
