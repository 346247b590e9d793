"""Every way of computing shifted sparse attention equals its definition."""

from __future__ import annotations

import sys
from itertools import accumulate, pairwise
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from attention_oracle import (
    dense,
    published_roll,
    published_segments,
    s2_mask_HTT,
    shifted_heads,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from longdata.errors import UserError
from longtune import documents, kernels
from longtune.attention import s2_attention, shifted_sparse
from longtune.heads import halves
from longtune.segments import Documents, longest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

torch.set_num_threads(1)  # what is computed here is small
HEADS = [(2, 2), (4, 4), (4, 2), (8, 2), (3, 3), (9, 3), (5, 5), (4, 1), (3, 1)]
LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=4)
GROUPS = st.sampled_from([2, 4, 6, 8, 16])
DIM = 4
EXACT = {"rtol": 0, "atol": 1e-12}


def qkv(tokens: int, heads: tuple[int, int], *, seed: int = 0, dtype: Any = None) -> list[Any]:
    """Random queries, keys and values, (T, heads, D), with gradients."""
    draw = torch.Generator().manual_seed(seed)
    dtype = dtype or torch.float64
    return [
        torch.randn(tokens, count, DIM, generator=draw, dtype=dtype).requires_grad_()
        for count in (heads[0], heads[1], heads[1])
    ]


def bounds_of(lengths: list[int]) -> tuple[int, ...]:
    return tuple(accumulate(lengths, initial=0))


def assert_same(ours: Any, theirs: Any, inputs: list[Any]) -> None:
    """Equal outputs, and equal gradients of a random projection of them."""
    torch.testing.assert_close(ours, theirs, **EXACT)
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=ours.dtype)
    gradients = [
        torch.autograd.grad((out * weights).sum(), inputs, retain_graph=True)
        for out in (ours, theirs)
    ]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, **EXACT)


def reference(inputs: list[Any], lengths: list[int], group_size: int, **settings: Any) -> Any:
    heads = shifted_heads(inputs[0].shape[1], inputs[1].shape[1])
    return dense(*inputs, s2_mask_HTT(lengths, group_size, heads), **settings)


@pytest.fixture(params=["varlen_attn", "varlen_attn of torch 2.11", "flash_attn"])
def one_call_kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for a GPU's kernel, as strict as it is; counts its calls."""
    calls: list[int] = []

    def attend(
        q: Any, k: Any, v: Any, cu_q: Any, cu_k: Any, max_q: int, max_k: int, **o: Any
    ) -> Any:
        assert cu_q.dtype == cu_k.dtype == torch.int32
        cuts = cu_q.tolist()
        assert cuts == cu_k.tolist() and cuts[0] == 0 and cuts[-1] == len(q) == len(k) == len(v)
        lengths = [b - a for a, b in pairwise(cuts)]
        assert min(lengths) > 0 and max_q == max_k == max(lengths)
        assert q.stride(-1) == k.stride(-1) == v.stride(-1) == 1
        back, ahead = o["window_size"]
        assert ahead == 0
        mask = s2_mask_HTT(lengths, len(q) + 1, [False])
        place = torch.arange(len(q))
        if back >= 0:
            mask = mask & (place[:, None] - place <= back)
        calls.append(len(lengths))
        return dense(q, k, v, mask, o["scale"])

    def varlen_attn(q: Any, k: Any, v: Any, *a: Any, enable_gqa: bool = False, **o: Any) -> Any:
        assert enable_gqa == (q.shape[1] != k.shape[1])
        return attend(q, k, v, *a, **o)

    def varlen_attn_2_11(
        q: Any, k: Any, v: Any, *a: Any, scale: Any = None, window_size: Any = (-1, -1)
    ) -> Any:
        return attend(q, k, v, *a, scale=scale, window_size=window_size)

    def flash_attn_varlen_func(q: Any, k: Any, v: Any, **o: Any) -> Any:
        assert o["causal"] is True
        order = ("cu_seqlens_q", "cu_seqlens_k", "max_seqlen_q", "max_seqlen_k")
        rest = {"scale": o["softmax_scale"], "window_size": o["window_size"]}
        return attend(q, k, v, *(o[name] for name in order), **rest)

    flash = ModuleType("flash_attn")
    flash.flash_attn_varlen_func = flash_attn_varlen_func  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flash_attn", flash)
    import torch.nn.attention.varlen as varlen

    fake = varlen_attn if request.param == "varlen_attn" else varlen_attn_2_11
    monkeypatch.setattr(varlen, "varlen_attn", fake)
    monkeypatch.setattr(kernels, "_has_flash_attn", lambda: request.param == "flash_attn")
    monkeypatch.setattr(kernels, "_varlen_can", lambda *_: True)
    monkeypatch.setattr(kernels, "_FEW_RUNS", 0)
    kernels._varlen_names_gqa.cache_clear()
    request.addfinalizer(kernels._varlen_names_gqa.cache_clear)
    return calls


@settings(max_examples=60)
@given(LENGTHS, GROUPS, st.sampled_from(HEADS), st.sampled_from([None, 0.3]))
def test_shifted_sparse_attention_is_its_definition(
    lengths: list[int], group_size: int, heads: tuple[int, int], scale: float | None
) -> None:
    inputs = qkv(sum(lengths), heads)
    ours = shifted_sparse(*inputs, bounds_of(lengths), group_size, scale=scale)
    assert_same(ours, reference(inputs, lengths, group_size, scale=scale), inputs)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("lengths", [[32], [33], [31, 5, 8, 40], [3]])
def test_one_call_of_a_varlen_kernel_is_its_definition(
    one_call_kernel: list[int], lengths: list[int], heads: tuple[int, int]
) -> None:
    inputs = qkv(sum(lengths), heads)
    ours = shifted_sparse(*inputs, bounds_of(lengths), 8)
    assert_same(ours, reference(inputs, lengths, 8), inputs)
    assert len(one_call_kernel) == (2 if max(lengths) > 8 else 1)


@pytest.mark.parametrize("window", [1, 4, 39, 40, None])
def test_a_window_is_a_band_by_both_kinds_of_kernel(
    one_call_kernel: list[int], window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = [40, 3, 17]
    inputs = qkv(sum(lengths), (4, 2))
    place = torch.arange(sum(lengths))
    band = place[:, None] - place < (window or len(place))
    expected = dense(*inputs, s2_mask_HTT(lengths, 100, [False]) & band)
    assert_same(kernels.attend(*inputs, bounds_of(lengths), window=window), expected, inputs)
    assert len(one_call_kernel) == 1
    monkeypatch.setattr(kernels, "_varlen_can", lambda *_: False)
    assert_same(kernels.attend(*inputs, bounds_of(lengths), window=window), expected, inputs)
    assert len(one_call_kernel) == 1


@settings(max_examples=30)
@given(LENGTHS, GROUPS, st.sampled_from(HEADS), st.data())
def test_nothing_before_a_token_moves_when_it_changes(
    lengths: list[int], group_size: int, heads: tuple[int, int], data: st.DataObject
) -> None:
    tokens = sum(lengths)
    at = data.draw(st.integers(0, tokens - 1))
    before = [x.detach() for x in qkv(tokens, heads)]
    after = [x.clone() for x in before]
    for x in after:
        x[at] += 1
    outs = [shifted_sparse(*x, bounds_of(lengths), group_size) for x in (before, after)]
    assert torch.equal(outs[0][:at], outs[1][:at])
    assert not torch.equal(outs[0][at], outs[1][at])


@pytest.mark.parametrize("heads", [(4, 4), (8, 2)])
def test_at_batch_one_it_is_the_function_of_the_published_flash_path(
    heads: tuple[int, int],
) -> None:
    inputs = qkv(64, heads)
    repeated = [x.repeat_interleave(heads[0] // x.shape[1], dim=1) for x in inputs]
    assert_same(shifted_sparse(*inputs, (0, 64), 16), published_segments(*repeated, 16), inputs)


@pytest.mark.parametrize("heads", [(4, 4), (8, 2)])
def test_it_is_the_published_roll_except_for_the_tokens_that_see_the_future_there(
    heads: tuple[int, int],
) -> None:
    inputs = [x.detach() for x in qkv(64, heads)]
    repeated = [x.repeat_interleave(heads[0] // x.shape[1], dim=1) for x in inputs]
    ours, rolled = shifted_sparse(*inputs, (0, 64), 16), published_roll(*repeated, 16)
    differs = ~torch.isclose(ours, rolled, **EXACT).all(dim=-1)
    leaking = torch.zeros_like(differs)
    leaking[: 16 // 2, heads[0] // 2 :] = True
    assert torch.equal(differs, leaking)


def test_the_oracle_sees_the_leak_of_the_roll() -> None:
    inputs = [x.detach() for x in qkv(64, (4, 4))]
    changed = [torch.cat([x[:-1], x[-1:] + 1]) for x in inputs]
    moved = (published_roll(*inputs, 16) != published_roll(*changed, 16)).any(-1).any(-1)
    assert moved.nonzero().flatten().tolist() == [*range(8), 63]


class Layer(torch.nn.Module):
    """As much of an attention layer as the function looks at."""

    def __init__(self, num_heads: int, group_size: int = 8, **config: Any) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_attention_heads=num_heads, **config)
        self.is_causal, self.s2_group_size = True, group_size


def rows_of(batch: int, length: int, heads: tuple[int, int], layout: str) -> list[Any]:
    """(B, heads, N, D), stored tokens first, as projections leave them, or heads first."""
    draws = qkv(batch * length, heads)
    views = [x.unflatten(0, (batch, length)).transpose(1, 2) for x in draws]
    if layout == "heads first":
        views = [x.contiguous() for x in views]
    return [x.detach().requires_grad_() for x in views]


def streamed(inputs: list[Any]) -> list[Any]:
    return [x.transpose(1, 2).flatten(0, 1) for x in inputs]


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 40),
    GROUPS,
    st.sampled_from(HEADS),
    st.sampled_from(["tokens first", "heads first"]),
)
def test_rows_of_any_length_and_layout(
    batch: int, length: int, group_size: int, heads: tuple[int, int], layout: str
) -> None:
    inputs = rows_of(batch, length, heads, layout)
    ours, weights = s2_attention(Layer(heads[0], group_size), *inputs, None)
    assert weights is None
    expected = reference(streamed(inputs), [length] * batch, group_size)
    assert_same(ours, expected.unflatten(0, (batch, length)), inputs)


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
    ours, _ = s2_attention(Layer(4).train(training), *inputs, mask)
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
    layer = Layer(4).train(training)
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
    ours, _ = s2_attention(Layer(2).eval(), *inputs, mask)
    seen = torch.ones(4, 4).tril().bool() & hole
    assert_same(ours[:, [0, 1, 3]], dense(*streamed(inputs), seen)[None, [0, 1, 3]], inputs)
    with pytest.raises(UserError, match="got a 1×1×4×4 attention mask in training"):
        s2_attention(Layer(2), *inputs, mask)


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
    ours, _ = s2_attention(Layer(2), *inputs, mask, is_causal=False)
    everyone = torch.ones(32, 32, dtype=torch.bool)
    assert_same(ours, dense(*streamed(inputs), everyone)[None], inputs)


def test_a_layer_with_a_sliding_window_keeps_it_in_training() -> None:
    from transformers.masking_utils import sliding_window_causal_mask_function

    for window in (5, 32, 50):
        seen = sliding_window_causal_mask_function(window)
        mask = documents.s2_mask(1, 32, 32, mask_function=seen, local_size=window)
        assert mask == Documents(bounds=(0, 32), window=window)
        inputs = rows_of(1, 32, (2, 2), "tokens first")
        ours, _ = s2_attention(Layer(2), *inputs, mask, sliding_window=window)
        place = torch.arange(32)
        back = place[:, None] - place
        expected = dense(*streamed(inputs), (back >= 0) & (back < window))
        assert_same(ours, expected[None], inputs)


def test_attention_dropout_drops_and_keeps_the_mean() -> None:
    inputs = [x.detach() for x in rows_of(1, 32, (2, 2), "tokens first")]
    torch.manual_seed(0)
    plain, _ = s2_attention(Layer(2), *inputs, None)
    runs = [s2_attention(Layer(2), *inputs, None, dropout=0.2)[0] for _ in range(400)]
    assert not torch.equal(runs[0], plain)
    torch.testing.assert_close(torch.stack(runs).mean(0), plain, rtol=0, atol=0.15)


def test_float32_queries_of_a_bfloat16_model_are_computed_in_bfloat16() -> None:
    inputs = [x.detach().float() for x in rows_of(1, 32, (4, 2), "tokens first")]
    mixed = [inputs[0], inputs[1], inputs[2].bfloat16()]
    ours, _ = s2_attention(Layer(4), *mixed, None)
    assert ours.dtype == torch.bfloat16
    exact, _ = s2_attention(Layer(4), *inputs, None)
    torch.testing.assert_close(ours.float(), exact, rtol=0.05, atol=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert s2_attention(Layer(4), *inputs, None)[0].dtype == torch.bfloat16
    quantized = Layer(4, quantization_config={"load_in_4bit": True}, dtype=torch.bfloat16)
    assert s2_attention(quantized, *inputs, None)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("heads", [*HEADS[:4], (4, 1)])
def test_nothing_is_copied_on_the_way_to_the_kernel(
    heads: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = rows_of(2, 32, heads, "tokens first")
    storages = {x.untyped_storage().data_ptr() for x in inputs}
    calls = []

    def spy(q: Any, k: Any, v: Any, **rest: Any) -> Any:
        calls.append(rest["is_causal"])
        assert {x.untyped_storage().data_ptr() for x in (q, k, v)} == storages
        return real(q, k, v, **rest)

    real = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(kernels, "_shares_keys", lambda _: True)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", spy)
    s2_attention(Layer(heads[0]), *inputs, None)
    assert calls == [True] * 6  # plain: 8 groups; shifted: ½, 3, ½+½, 3, ½


@pytest.mark.parametrize("name", ["softcap", "s_aux", "position_bias"])
def test_changed_scores_are_refused(name: str) -> None:
    inputs = rows_of(1, 4, (2, 2), "tokens first")
    with pytest.raises(UserError, match=f"whose attention has {name}"):
        s2_attention(Layer(2), *inputs, None, **{name: 30.0})


def test_one_head_or_a_part_of_the_heads_is_refused() -> None:
    with pytest.raises(UserError, match="got one attention head"):
        s2_attention(Layer(1), *rows_of(1, 32, (1, 1), "tokens first"), None)
    with pytest.raises(UserError, match="got 2 of the 4 heads"):
        s2_attention(Layer(4), *rows_of(1, 32, (2, 2), "tokens first"), None)


def test_a_layer_without_a_context_length_asks_for_a_group_size() -> None:
    layer = Layer(2)
    del layer.s2_group_size
    with pytest.raises(UserError, match=r"without max_position_embeddings.*set_group_size"):
        s2_attention(layer, *rows_of(1, 32, (2, 2), "tokens first"), None)


def test_halves_are_views_of_whole_key_value_groups() -> None:
    query, key, value = (x.detach() for x in qkv(3, (9, 3)))
    (q0, k0, v0), (q1, k1, v1) = halves(query, key, value)
    assert (q0.shape[1], k0.shape[1], v0.shape[1]) == (6, 2, 2)
    assert (q1.shape[1], k1.shape[1], v1.shape[1]) == (3, 1, 1)
    assert q0.data_ptr() == query.data_ptr() and q1._base is query


def test_the_offsets_of_an_evaluation_can_be_saved_for_training() -> None:
    kernels._offsets.cache_clear()
    with torch.inference_mode():
        kernels._offsets((0, 3), torch.device("cpu"))
    assert not kernels._offsets((0, 3), torch.device("cpu")).is_inference()
    assert longest((0, 3)) == 3
