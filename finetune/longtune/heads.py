"""Which heads are shifted, and the dtype they are computed in.

    8 query heads, 2 key-value heads   ->  4 + 4 queries, 1 + 1 keys
    9 query heads, 3 key-value heads   ->  6 + 3 queries, 2 + 1 keys: the smaller part is shifted
    8 query heads, 1 key-value head    ->  4 + 4 queries, which share the key

A cut between key-value heads leaves every query with its own key, as views: repeating keys first,
as the published code does, gives the same halves and copies them.

Where sequence parallelism (DeepSpeed Ulysses) leaves each device with some of the heads, it is the
number of a head among all that counts, not its place here: of two devices one has plain heads only
and the other one shifted heads only. `set_share` tells a model which of them it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longdata.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.nn import Module

    Halves = tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def halves(
    query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor, num_plain: int | None = None
) -> Halves:
    """Query, key and value of the plain heads, and of the shifted ones.

    `num_plain` of the query heads are plain, some but not all; None: half of all that are here.
    """
    num_heads, num_kv_heads = query_THD.shape[1], key_TKD.shape[1]
    if num_plain is None:
        num_plain = num_plain_heads(num_heads, num_kv_heads)
    sizes = [num_plain, num_heads - num_plain]
    if num_kv_heads == 1:
        plain, shifted = query_THD.split(sizes, dim=1)
        return (plain, key_TKD, value_TKD), (shifted, key_TKD, value_TKD)
    kv_sizes = [size * num_kv_heads // num_heads for size in sizes]
    # split, not slices: its backward joins the gradients once instead of adding padded ones
    plain, shifted = zip(
        query_THD.split(sizes, dim=1),
        key_TKD.split(kv_sizes, dim=1),
        value_TKD.split(kv_sizes, dim=1),
        strict=True,
    )
    return plain, shifted


def num_plain_heads(num_heads: int, num_kv_heads: int) -> int:
    """How many of all query heads are plain: those of the larger half of the key-value heads."""
    if num_heads == 1:
        raise UserError(
            "got one attention head; allowed with s2_attn: two or more, one half of them is "
            "shifted; fix: attn_implementation='sdpa'"
        )
    if num_kv_heads == 1:
        return num_heads - num_heads // 2
    return (num_kv_heads - num_kv_heads // 2) * (num_heads // num_kv_heads)


def set_share(model: Module, rank: int, parts: int) -> None:
    """Of `parts` devices that share the heads of each layer, in their order, this is `rank`."""
    for module in model.modules():
        if hasattr(module, "layer_idx") and hasattr(module, "config"):
            module.s2_share = (rank, parts)


def num_plain_here(module: Module, query: Tensor) -> int | None:
    """How many of the query heads that are here are plain, by their numbers among all of a layer.

    None where all are here. Raises UserError where a layer is spread over devices and nobody said
    which part is here.
    """
    here: int = query.shape[1]
    all_heads: int | None = getattr(module.config, "num_attention_heads", None)
    share: tuple[int, int] = getattr(module, "s2_share", (0, 1))
    rank, parts = share
    if all_heads is not None and (here < all_heads or parts > 1) and here * parts != all_heads:
        raise UserError(
            f"got {here} of the {all_heads} heads of a layer; allowed with s2_attn: all of them on "
            "one device, or the parts of sequence_parallel; fix: shard parameters (FSDP, ZeRO) "
            "instead of heads"
        )
    if parts == 1:
        return None
    num_kv_heads = getattr(module.config, "num_key_value_heads", None) or here * parts
    num_plain = num_plain_heads(here * parts, num_kv_heads)
    return min(max(num_plain - rank * here, 0), here)


def of_one_dtype(
    module: Module, query: Tensor, key: Tensor, value: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What a kernel takes: norms kept in float32 (peft, QLoRA) make float32 queries and keys."""
    wanted = _dtype(module, value)
    return query.to(wanted), key.to(wanted), value.to(wanted)


def _dtype(module: Module, value: Tensor) -> dtype:
    """The values come from a projection, past no norm: theirs is the dtype of the model."""
    import torch

    kind = value.device.type
    if torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    wanted: dtype = value.dtype
    if getattr(module.config, "quantization_config", None) is not None:
        # 4-bit layers answer in the dtype they were asked in
        wanted = getattr(module.config, "dtype", None) or wanted
    return wanted
