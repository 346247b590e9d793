"""Causal attention inside the segments of a stream of tokens: the same result by three kernels.

    attend(query_THD, key_TKD, value_TKD, bounds=(0, 2, 6, 10))  ->  out_THD

| where | kernel |
|---|---|
| few runs of equal segments, CPU, float32, dropout | torch's SDPA, one call per run, on views |
| many segments on a GPU | `flash_attn` where installed, else torch's `varlen_attn`: one call |

T tokens of all rows, H query heads, K key-value heads (K divides H), D numbers per head. A run is a
batch of equal segments, seen through the strides of the stream: with tokens in front of heads, as a
projection leaves them, nothing is copied going in.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from longtune.segments import Bounds, longest, runs

if TYPE_CHECKING:
    from torch import Tensor, device

_FEW_RUNS = 3  # one long row: half a group, the groups, a rest


def attend(
    query_THD: Tensor,
    key_TKD: Tensor,
    value_TKD: Tensor,
    bounds: Bounds,
    *,
    scale: float | None = None,
    window: int | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """What each token reads from the tokens of its segment up to itself, at most `window` of them.

    `scale` multiplies the scores; None = 1/√D. `dropout` is of the attention weights.
    """
    if window is not None and window >= longest(bounds):
        window = None
    many = window is not None or len(runs(bounds)) > _FEW_RUNS
    if many and dropout == 0.0 and _varlen_can(query_THD, value_TKD):
        return _varlen(query_THD, key_TKD, value_TKD, bounds, scale, window)
    return _sdpa(query_THD, key_TKD, value_TKD, bounds, scale, window, dropout)


def _sdpa(
    query_THD: Tensor,
    key_TKD: Tensor,
    value_TKD: Tensor,
    bounds: Bounds,
    scale: float | None,
    window: int | None,
    dropout: float,
) -> Tensor:
    """One call of torch's scaled_dot_product_attention per run of equally long segments."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    if not _shares_keys(query_THD):
        heads = query_THD.shape[1] // key_TKD.shape[1]
        key_TKD, value_TKD = _repeat(key_TKD, heads), _repeat(value_TKD, heads)
    sizes = [count * length for count, length in runs(bounds)]
    outs = []
    # split, not slices: its backward joins the gradients once instead of adding padded ones
    for (count, length), q, k, v in zip(
        runs(bounds),
        query_THD.split(sizes),
        key_TKD.split(sizes),
        value_TKD.split(sizes),
        strict=True,
    ):
        banded = window is not None and window < length
        q, k, v = (x.unflatten(0, (count, length)).transpose(1, 2) for x in (q, k, v))
        out = scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=_band(length, window or length, q.device) if banded else None,
            is_causal=not banded,
            dropout_p=dropout,
            scale=scale,
            enable_gqa=q.shape[1] != k.shape[1],
        )
        outs.append(out.transpose(1, 2).flatten(0, 1))
    return outs[0] if len(outs) == 1 else torch.cat(outs)


def _shares_keys(query_THD: Tensor) -> bool:
    """Whether heads that read one key are best left to share it.

    In float32 a GPU's only fused kernel wants a key per query head, and a CPU works on as many
    threads as there are keys.
    """
    import torch

    return bool(query_THD.is_cuda and query_THD.dtype != torch.float32)


def _repeat(heads_TKD: Tensor, times: int) -> Tensor:
    return heads_TKD if times == 1 else heads_TKD.repeat_interleave(times, dim=1)


def _band(length: int, window: int, where: device) -> Tensor:
    """True where a token sees another: not later than itself, not `window` or more before."""
    import torch

    place = torch.arange(length, device=where)
    back = place[:, None] - place
    return (back >= 0) & (back < window)


def _varlen_can(query_THD: Tensor, value_TKD: Tensor) -> bool:
    import torch

    dim = query_THD.shape[-1]
    return (
        query_THD.is_cuda
        and query_THD.dtype in (torch.float16, torch.bfloat16)
        and dim == value_TKD.shape[-1]
        and dim <= 256
        and dim % 8 == 0
    )


def _varlen(
    query_THD: Tensor,
    key_TKD: Tensor,
    value_TKD: Tensor,
    bounds: Bounds,
    scale: float | None,
    window: int | None,
) -> Tensor:
    """All segments in one call."""
    offsets = _offsets(bounds, query_THD.device)
    most = longest(bounds)
    back = -1 if window is None else window - 1
    out: Tensor
    if _has_flash_attn():
        from flash_attn import flash_attn_varlen_func

        out = flash_attn_varlen_func(
            query_THD,
            key_TKD,
            value_TKD,
            cu_seqlens_q=offsets,
            cu_seqlens_k=offsets,
            max_seqlen_q=most,
            max_seqlen_k=most,
            softmax_scale=scale,
            causal=True,
            window_size=(back, 0),
        )
        return out
    from torch.nn.attention.varlen import varlen_attn

    gqa = {"enable_gqa": query_THD.shape[1] != key_TKD.shape[1]} if _varlen_names_gqa() else {}
    out = varlen_attn(
        query_THD,
        key_TKD,
        value_TKD,
        offsets,
        offsets,
        most,
        most,
        scale=scale,
        window_size=(back, 0),
        **gqa,
    )
    return out


@lru_cache(maxsize=64)
def _offsets(bounds: Bounds, where: device) -> Tensor:
    """The bounds as the kernels want them, sent to the device once per batch."""
    import torch

    with torch.inference_mode(False):  # what evaluation made here, training may save for backward
        return torch.tensor(bounds, dtype=torch.int32, device=where)


@cache
def _has_flash_attn() -> bool:
    return find_spec("flash_attn") is not None


@cache
def _varlen_names_gqa() -> bool:
    """torch 2.11 takes grouped heads without being told, 2.13 wants to be told."""
    from inspect import signature

    from torch.nn.attention.varlen import varlen_attn

    return "enable_gqa" in signature(varlen_attn).parameters
