"""Shifted sparse attention from its definition, with dense masks; and the published code's forms.

Nothing here uses what it checks. Shapes: T tokens, H query heads, K key-value heads, D dimensions.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def s2_mask_HTT(lengths: Sequence[int], group_size: int, shifted_H: Sequence[bool]) -> Tensor:
    """The definition: who sees whom, per head, in documents of the given lengths."""
    import torch

    lengths_D = torch.tensor(lengths)
    document_T = torch.arange(len(lengths)).repeat_interleave(lengths_D)
    index_T = torch.cat([torch.arange(length) for length in lengths])
    shift_H11 = torch.tensor([group_size // 2 * is_shifted for is_shifted in shifted_H])
    group_HT = (index_T + shift_H11[:, None]) // group_size * (lengths_D[document_T] > group_size)
    same = (document_T[:, None] == document_T) & (group_HT[:, :, None] == group_HT[:, None])
    return same & (index_T[:, None] >= index_T)


def shifted_heads(num_heads: int, num_kv_heads: int) -> list[bool]:
    """Which query heads are shifted: those of the last half of the key-value heads."""
    if num_kv_heads == 1:
        return [head >= num_heads - num_heads // 2 for head in range(num_heads)]
    per_kv_head = num_heads // num_kv_heads
    first = (num_kv_heads - num_kv_heads // 2) * per_kv_head
    return [head >= first for head in range(num_heads)]


def dense(
    query_THD: Tensor,
    key_TKD: Tensor,
    value_TKD: Tensor,
    mask_HTT: Tensor,
    scale: float | None = None,
) -> Tensor:
    """softmax(q·k, where the mask allows) · v."""
    heads = query_THD.shape[1] // key_TKD.shape[1]
    key_THD, value_THD = (x.repeat_interleave(heads, dim=1) for x in (key_TKD, value_TKD))
    scale = query_THD.shape[-1] ** -0.5 if scale is None else scale
    scores_HTT = query_THD.transpose(0, 1) @ key_THD.permute(1, 2, 0) * scale
    weights_HTT = scores_HTT.masked_fill(~mask_HTT, float("-inf")).softmax(dim=-1)
    return (weights_HTT @ value_THD.transpose(0, 1)).transpose(0, 1)


def published_segments(query: Tensor, key: Tensor, value: Tensor, group_size: int) -> Tensor:
    """The form with a flash kernel, one row: (T, H, D), heads repeated, T a multiple of the group.

    Second half of the heads: half a group, groups, half a group.
    """
    import torch

    length, num_heads, _ = query.shape
    ends = list(range(0, length + 1, group_size))
    shifted_ends = [0, *range(group_size // 2, length, group_size), length]
    halves = []
    for heads, cuts in (
        (slice(0, num_heads // 2), ends),
        (slice(num_heads // 2, None), shifted_ends),
    ):
        outs = []
        for start, end in pairwise(cuts):
            causal = torch.ones(end - start, end - start, dtype=torch.bool).tril()
            outs.append(dense(*(x[start:end, heads] for x in (query, key, value)), causal))
        halves.append(torch.cat(outs))
    return torch.cat(halves, dim=1)


def published_roll(query: Tensor, key: Tensor, value: Tensor, group_size: int) -> Tensor:
    """The form of the paper's listing: the second half of the heads rolled by half a group.

    The last group of the rolled heads wraps around: the row's first tokens see its last ones.
    """
    import torch

    def grouped(x: Tensor, shift: int) -> Tensor:
        plain, rolled = x.chunk(2, dim=1)
        return torch.cat([plain, rolled.roll(shift, dims=0)], dim=1)

    rolled = [grouped(x, -(group_size // 2)) for x in (query, key, value)]
    causal = torch.ones(group_size, group_size, dtype=torch.bool).tril()
    outs = [
        dense(*(x[start : start + group_size] for x in rolled), causal)
        for start in range(0, len(query), group_size)
    ]
    return grouped(torch.cat(outs), group_size // 2)
