"""Which heads are shifted, and the dtype they are computed in.

    8 query heads, 2 key-value heads   ->  4 + 4 queries, 1 + 1 keys
    9 query heads, 3 key-value heads   ->  6 + 3 queries, 2 + 1 keys: the smaller part is shifted
    8 query heads, 1 key-value head    ->  4 + 4 queries, which share the key

A cut between key-value heads leaves every query with its own key, as views: repeating keys first,
as the published code does, gives the same halves and copies them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longdata.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.nn import Module

    Halves = tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def halves(query_THD: Tensor, key_TKD: Tensor, value_TKD: Tensor) -> Halves:
    """Query, key and value of the plain heads, and of the shifted ones."""
    num_heads, num_kv_heads = query_THD.shape[1], key_TKD.shape[1]
    if num_heads == 1:
        raise UserError(
            "got one attention head; allowed with s2_attn: two or more, one half of them is "
            "shifted; fix: attn_implementation='sdpa'"
        )
    if num_kv_heads == 1:
        plain, shifted = query_THD.split([num_heads - num_heads // 2, num_heads // 2], dim=1)
        return (plain, key_TKD, value_TKD), (shifted, key_TKD, value_TKD)
    kv_sizes = [num_kv_heads - num_kv_heads // 2, num_kv_heads // 2]
    sizes = [kv_size * (num_heads // num_kv_heads) for kv_size in kv_sizes]
    # split, not slices: its backward joins the gradients once instead of adding padded ones
    plain, shifted = zip(
        query_THD.split(sizes, dim=1),
        key_TKD.split(kv_sizes, dim=1),
        value_TKD.split(kv_sizes, dim=1),
        strict=True,
    )
    return plain, shifted


def require_all_heads(module: Module, query: Tensor) -> None:
    """Half of the heads is shifted, so they all have to be here.

    Raises UserError where a layer is spread over devices, by tensor or sequence parallelism.
    """
    here, all_heads = query.shape[1], getattr(module.config, "num_attention_heads", None)
    if all_heads is not None and here < all_heads:
        raise UserError(
            f"got {here} of the {all_heads} heads of a layer; allowed with s2_attn: all of them on "
            "one device; fix: shard parameters (FSDP, ZeRO) instead of heads"
        )


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
