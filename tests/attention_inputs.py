"""Random inputs of attention, as streams and as layers get them, and what they are compared by.

Shapes: T tokens, H query heads, K key-value heads, D dimensions; B rows of N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from attention_oracle import dense, s2_mask_HTT, shifted_heads

if TYPE_CHECKING:
    from torch import Tensor

HEADS = [(2, 2), (4, 4), (4, 2), (8, 2), (3, 3), (9, 3), (5, 5), (4, 1), (3, 1)]
DIM = 4


def qkv(tokens: int, heads: tuple[int, int]) -> list[Tensor]:
    """Queries, keys and values in float64, (T, heads, D), with gradients."""
    import torch

    draw = torch.Generator().manual_seed(0)
    return [
        torch.randn(tokens, count, DIM, generator=draw, dtype=torch.float64).requires_grad_()
        for count in (heads[0], heads[1], heads[1])
    ]


def rows_of(batch: int, length: int, heads: tuple[int, int], layout: str) -> list[Tensor]:
    """(B, heads, N, D), stored tokens first, as projections leave them, or heads first."""
    draws = qkv(batch * length, heads)
    views = [x.unflatten(0, (batch, length)).transpose(1, 2) for x in draws]
    if layout == "heads first":
        views = [x.contiguous() for x in views]
    return [x.detach().requires_grad_() for x in views]


def streamed(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Rows laid end to end: (T, heads, D)."""
    return [x.transpose(1, 2).flatten(0, 1) for x in inputs]


def bounds_of(lengths: Sequence[int]) -> tuple[int, ...]:
    """Where documents of these lengths begin, and the end."""
    return tuple(accumulate(lengths, initial=0))


def layer_of(num_heads: int, group_size: int = 8, *, training: bool = True, **config: Any) -> Any:
    """As much of an attention layer as the function looks at."""
    return SimpleNamespace(
        config=SimpleNamespace(num_attention_heads=num_heads, **config),
        training=training,
        is_causal=True,
        s2_group_size=group_size,
    )


def reference(
    inputs: Sequence[Tensor], lengths: Sequence[int], group_size: int, **settings: Any
) -> Tensor:
    """Shifted sparse attention over documents, by its definition."""
    query, key, value = inputs
    heads = shifted_heads(query.shape[1], key.shape[1])
    return dense(query, key, value, s2_mask_HTT(lengths, group_size, heads), **settings)


def assert_same(ours: Tensor, theirs: Tensor, inputs: Sequence[Tensor]) -> None:
    """Equal outputs, and equal gradients of a random projection of them."""
    import torch

    exact = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(ours, theirs, **exact)
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=ours.dtype)
    gradients = [
        torch.autograd.grad((out * weights).sum(), inputs, retain_graph=True)
        for out in (ours, theirs)
    ]
    for mine, other in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, other, **exact)
