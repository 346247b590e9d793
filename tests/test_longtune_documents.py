"""Padding, packing, windows and other masks become the documents they are, or are left alone."""

from __future__ import annotations

import pytest
from attention_inputs import (
    assert_same,
    layer_of,
    reference,
    rows_of,
    streamed,
)
from attention_oracle import dense

from longdata.errors import UserError
from longtune import documents
from longtune.attention import s2_attention
from longtune.segments import Documents

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

torch.set_num_threads(1)  # what is computed here is small


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_is_never_read_and_moves_no_group(side: str, training: bool) -> None:
    real = [(0, 24), (9, 24), (4, 5)] if side != "right" else [(0, 24), (0, 9), (0, 1)]
    if side == "both":
        real = [(2, 20), (0, 24), (23, 24)]
    padding = torch.zeros(3, 24, dtype=torch.bool)
    for row, (start, end) in enumerate(real):
        padding[row, start:end] = True
    mask = documents.s2_mask(3, 24, 24, attention_mask=padding)
    inputs = rows_of(3, 24, (4, 2), "tokens first")
    ours, _ = s2_attention(layer_of(4, training=training), *inputs, mask)
    assert ours.isfinite().all()
    for row, (start, end) in enumerate(real):
        alone = [x[row, :, start:end].transpose(0, 1) for x in inputs]
        expected = reference(alone, [end - start], 8 if training else 100)
        assert_same(ours[row, start:end], expected, inputs)


@pytest.mark.parametrize("training", [True, False])
def test_positions_that_restart_are_documents_with_any_mask_and_cache(training: bool) -> None:
    lengths = [17, 1, 14]
    ids = torch.cat([torch.arange(length) for length in lengths])[None]
    inputs = rows_of(1, 32, (4, 2), "tokens first")
    expected = reference(streamed(inputs), lengths, 8 if training else 100)[None]
    layer = layer_of(4, training=training)
    everyone = documents.s2_mask(1, 32, 32, attention_mask=torch.ones(1, 32, dtype=torch.bool))
    assert everyone is None
    for told in (
        {"position_ids": ids},
        {"cu_seq_lens_q": torch.tensor([0, 17, 18, 32], dtype=torch.int32)},
        {"position_ids": ids, "use_cache": True},
    ):
        assert_same(s2_attention(layer, *inputs, None, **told)[0], expected, inputs)


def test_positions_are_read_once_per_batch_and_again_when_they_change() -> None:
    ids = torch.tensor([[0, 1, 2, 0, 1]])
    first = documents.bounds_of_batch(None, 2, 5, position_ids=ids)
    assert first == (0, 3, 5, 8, 10)
    known = ids._s2_bounds[1]  # type: ignore[attr-defined]
    documents.bounds_of_batch(None, 2, 5, position_ids=ids)
    assert ids._s2_bounds[1] is known  # type: ignore[attr-defined]
    ids[0, 2] = 0
    assert documents.bounds_of_batch(None, 2, 5, position_ids=ids) == (0, 2, 3, 5, 7, 8, 10)
    with torch.inference_mode():
        assert documents.bounds_of_batch(None, 1, 5, position_ids=ids + 0) == (0, 2, 3, 5)


def test_a_mask_that_no_documents_express_is_left_to_transformers_and_refused_in_training() -> None:
    hole = torch.tensor([[True, True, False, True]])
    mask = documents.s2_mask(1, 4, 4, attention_mask=hole)
    inputs = rows_of(1, 4, (2, 2), "tokens first")
    ours, _ = s2_attention(layer_of(2, training=False), *inputs, mask)
    seen = torch.ones(4, 4).tril().bool() & hole
    assert_same(ours[:, [0, 1, 3]], dense(*streamed(inputs), seen)[None, [0, 1, 3]], inputs)
    with pytest.raises(UserError, match="got a 1×1×4×4 attention mask in training"):
        s2_attention(layer_of(2), *inputs, mask)


@pytest.mark.parametrize("blocks", [[0, 0, -1, -1], [-1, 1, 1, 1]])
def test_images_that_see_themselves_whole_are_no_documents(blocks: list[int]) -> None:
    from transformers import masking_utils

    if not hasattr(masking_utils, "blockwise_overlay"):
        pytest.skip("this transformers has no blockwise masks")
    seen = masking_utils.or_masks(
        masking_utils.causal_mask_function, masking_utils.blockwise_overlay(torch.tensor([blocks]))
    )
    mask = documents.s2_mask(1, 4, 4, mask_function=seen, allow_is_causal_skip=False)
    assert mask.shape == (1, 1, 4, 4)  # type: ignore[union-attr]


def test_a_chunked_layer_is_its_chunks() -> None:
    from transformers.masking_utils import chunked_causal_mask_function

    seen = chunked_causal_mask_function(4, torch.zeros(1, dtype=torch.long))
    mask = documents.s2_mask(1, 10, 10, mask_function=seen, local_size=4)
    assert mask == Documents(bounds=(0, 4, 8, 10), window=4)


def test_attention_that_is_not_causal_stays_whole_in_training() -> None:
    from transformers.masking_utils import bidirectional_mask_function

    inputs = rows_of(1, 32, (2, 2), "tokens first")
    mask = documents.s2_mask(
        1,
        32,
        32,
        mask_function=bidirectional_mask_function,
        allow_is_causal_skip=False,
        allow_is_bidirectional_skip=True,
    )
    ours, _ = s2_attention(layer_of(2), *inputs, mask, is_causal=False)
    everyone = torch.ones(32, 32, dtype=torch.bool)
    assert_same(ours, dense(*streamed(inputs), everyone)[None], inputs)


@pytest.mark.parametrize("layer_says", [True, False])
@pytest.mark.parametrize("window", [5, 32, 50])
def test_a_layer_with_a_sliding_window_keeps_it_in_training(window: int, layer_says: bool) -> None:
    from transformers.masking_utils import sliding_window_causal_mask_function

    seen = sliding_window_causal_mask_function(window)
    mask = documents.s2_mask(1, 32, 32, mask_function=seen, local_size=window)
    assert mask == Documents(bounds=(0, 32), window=window)
    inputs = rows_of(1, 32, (2, 2), "tokens first")
    told = {"sliding_window": window} if layer_says else {}
    ours, _ = s2_attention(layer_of(2), *inputs, mask, **told)
    place = torch.arange(32)
    back = place[:, None] - place
    expected = dense(*streamed(inputs), (back >= 0) & (back < window))
    assert_same(ours, expected[None], inputs)


def test_a_layer_that_speaks_of_a_window_is_left_alone_without_a_mask_too() -> None:
    inputs = rows_of(1, 32, (2, 2), "tokens first")
    ours, _ = s2_attention(layer_of(2), *inputs, None, sliding_window=5)
    assert_same(ours, reference(streamed(inputs), [32], 100)[None], inputs)


def test_a_band_without_a_window_size_is_no_documents() -> None:
    from transformers.masking_utils import sliding_window_causal_mask_function

    seen = sliding_window_causal_mask_function(4)
    mask = documents.s2_mask(1, 10, 10, mask_function=seen, allow_is_causal_skip=False)
    assert mask.shape == (1, 1, 10, 10)  # type: ignore[union-attr]


def test_functions_that_are_only_made_for_single_indices_are_not_asked() -> None:
    def seen(row: object, head: object, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        assert query.ndim == key.ndim == 0
        return query >= key

    mask = documents.s2_mask(
        1, 10, 10, mask_function=seen, use_vmap=True, allow_is_causal_skip=False
    )
    assert torch.equal(mask[0, 0], torch.ones(10, 10).tril().bool())  # type: ignore[index]


def test_a_paged_cache_is_left_to_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.integrations import sdpa_attention

    answer = (torch.zeros(1), None)
    monkeypatch.setattr(sdpa_attention, "sdpa_attention_forward", lambda *_, cache, **__: answer)
    inputs = rows_of(1, 4, (2, 2), "tokens first")
    layer = layer_of(2, training=False)
    assert s2_attention(layer, *inputs, None, cache=object())[0] is answer[0]
