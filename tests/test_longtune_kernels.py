"""SDPA by runs and one call of a varlen kernel give the same, without copies."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest
from attention_inputs import (
    HEADS,
    assert_same,
    bounds_of,
    layer_of,
    qkv,
    reference,
    rows_of,
)
from attention_oracle import dense, s2_mask_HTT

from longtune import kernels
from longtune.attention import s2_attention, shifted_sparse
from longtune.segments import longest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

torch.set_num_threads(1)  # what is computed here is small


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
    s2_attention(layer_of(heads[0]), *inputs, None)
    assert calls == [True] * 6  # plain: 8 groups; shifted: ½, 3, ½+½, 3, ½


def test_the_offsets_of_an_evaluation_can_be_saved_for_training() -> None:
    kernels._offsets.cache_clear()
    with torch.inference_mode():
        kernels._offsets((0, 3), torch.device("cpu"))
    assert not kernels._offsets((0, 3), torch.device("cpu")).is_inference()
    assert longest((0, 3)) == 3
