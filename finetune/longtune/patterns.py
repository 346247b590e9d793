"""The attention patterns that the paper compares (Tables 1, 6 and 8), as masks.

    mask("s2", num_heads=2, length=4, group_size=2)[1].int()   # the shifted head
    -> [[1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 1]]

| name | paper | who sees whom, of earlier tokens and itself |
|---|---|---|
| `full` | full attention | all |
| `short` | P1 | the same group |
| `shifted` | P2 | the same group, cut half a group later |
| `s2` | S²-Attn, Table 8 "separate group" | `short` in half of the heads, `shifted` in half |
| `wrapped` | S²-Attn as listed | `s2`, but the first and the last half group are one |
| `layers` | across layers | `short` in even layers, `shifted` in odd ones |
| `dilated` | dilated | `group_size` tokens, from every one (first head) to every second (last) |
| `blocks` | block sparse | in quarter s of the heads, the group s places back, or the first one |
| `stride` | stride sparse | half the heads `group_size` tokens back, half every √length-th token |

The last three are read from a sentence of the paper's appendix; there is no published code of
them. `wrapped` is not causal: the first half group sees the last one. A pattern is a function of
indices, so the same one makes a dense mask here and the `mask_mod` of torch's FlexAttention.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING

from longdata.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    Seen = Callable[["Shape", Tensor, Tensor, Tensor], Tensor]
    MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

BLOCK_PATTERNS = 4  # n of the paper's block-sparse heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a pattern depends on besides a head, a query and a key."""

    num_heads: int
    length: int
    group_size: int
    layer: int = 0


def mask(name: str, *, num_heads: int, length: int, group_size: int, layer: int = 0) -> Tensor:
    """True where a query (second dimension) sees a key (third), per head (first)."""
    import torch

    seen = mask_mod(name, num_heads=num_heads, length=length, group_size=group_size, layer=layer)
    head, token = torch.arange(num_heads), torch.arange(length)
    return seen(head[:1], head[:, None, None], token[:, None], token).expand(num_heads, -1, -1)


def mask_mod(name: str, *, num_heads: int, length: int, group_size: int, layer: int = 0) -> MaskMod:
    """The same as a function (row, head, query, key) → seen?, as FlexAttention takes it."""
    if name not in PATTERNS:
        raise UserError(f"got pattern {name!r}; allowed: {', '.join(PATTERNS)}; fix: one of those")
    if group_size < 2 or group_size % 2 or length % group_size:
        raise UserError(
            f"got a group size of {group_size} for {length} tokens; allowed: an even number that "
            "divides them; fix: a quarter of the length"
        )
    shape = Shape(num_heads=num_heads, length=length, group_size=group_size, layer=layer)
    seen = PATTERNS[name]
    return lambda row, head, query, key: seen(shape, head, query, key)


def _full(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return (head >= 0) & (query >= key)


def _short(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return _grouped(shape, head * 0, query, key)


def _shifted(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return _grouped(shape, head * 0 + shape.group_size // 2, query, key)


def _s2(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return _grouped(shape, _second_half(shape, head) * (shape.group_size // 2), query, key)


def _layers(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return (_shifted if shape.layer % 2 else _short)(shape, head, query, key)


def _grouped(shape: Shape, shift: Tensor, query: Tensor, key: Tensor) -> Tensor:
    group_size = shape.group_size
    return ((query + shift) // group_size == (key + shift) // group_size) & (query >= key)


def _wrapped(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    shift = _second_half(shape, head) * (shape.group_size // 2)
    rolled_query, rolled_key = ((x - shift) % shape.length for x in (query, key))
    return _grouped(shape, head * 0, rolled_query, rolled_key)


def _dilated(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    heads = max(shape.num_heads - 1, 1)
    back = (query - key).clamp(min=0)
    step = back * heads // (heads + head)  # the i for which ⌊i · rate⌋ may be `back`, or one less
    step = step + (step * (heads + head) // heads < back)
    exact = step * (heads + head) // heads == back
    return (query >= key) & exact & (step < shape.group_size)


def _blocks(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    back = head * BLOCK_PATTERNS // shape.num_heads
    block = (query // shape.group_size - back).clamp(min=0)
    return (key // shape.group_size == block) & (query >= key)


def _stride(shape: Shape, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
    back = query - key
    far = _second_half(shape, head) == 1
    local = ~far & (back < shape.group_size)
    return (back >= 0) & (local | far & (back % isqrt(shape.length) == 0))


def _second_half(shape: Shape, head: Tensor) -> Tensor:
    """1 for the shifted heads, 0 for the others."""
    return (head >= shape.num_heads - shape.num_heads // 2) * 1


PATTERNS: dict[str, Seen] = {
    "full": _full,
    "short": _short,
    "shifted": _shifted,
    "s2": _s2,
    "wrapped": _wrapped,
    "layers": _layers,
    "dilated": _dilated,
    "blocks": _blocks,
    "stride": _stride,
}
