"""The group size of shifted sparse attention: one number per model, set once.

    default_group_size(32768)       -> 8192     a quarter of the context, as in the paper
    set_group_size(model, 2048)     -> every attention layer of the model uses groups of 2048

It never depends on a batch: groups that follow the padded length would change with it. It lives on
the attention modules and not on the config, where everything is saved with the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from longdata.errors import UserError

if TYPE_CHECKING:
    from torch.nn import Module

NAME = "s2_attn"
SMALLEST_GROUP_SIZE = 2


def default_group_size(max_position_embeddings: int) -> int:
    """A quarter of the context, made even: half a group is a whole number of tokens."""
    return max(max_position_embeddings // 8 * 2, SMALLEST_GROUP_SIZE)


def set_group_size(model: Module, group_size: int) -> None:
    """Use groups of `group_size` tokens in every layer of `model` that runs s2_attn.

    Raises UserError when the size is odd or below 2, and when no layer runs s2_attn.
    """
    if type(group_size) is not int or group_size < SMALLEST_GROUP_SIZE or group_size % 2:
        raise UserError(
            f"got group size {group_size!r}; allowed: an even number of tokens, "
            f"{SMALLEST_GROUP_SIZE} or more; fix: a quarter of the context is usual, 2048 for 8192"
        )
    layers = list(_attention_layers(model))
    if not layers:
        raise UserError(
            f"got a {type(model).__name__} without a layer that runs {NAME}; fix: "
            f"from_pretrained(…, attn_implementation={NAME!r}) before set_group_size"
        )
    for layer in layers:
        layer.s2_group_size = group_size


def group_size_of(layer: Module) -> int:
    """The group size of an attention layer: the one that was set, else the default."""
    group_size: int | None = getattr(layer, "s2_group_size", None)
    if group_size is not None:
        return group_size
    context: int | None = getattr(layer.config, "max_position_embeddings", None)
    if context is None:
        raise UserError(
            f"got a {type(layer.config).__name__} without max_position_embeddings; needed: a group "
            "size; fix: longtune.set_group_size(model, 2048)"
        )
    return default_group_size(context)


def _attention_layers(model: Module) -> Iterator[Module]:
    """transformers gives every attention module its config and its place in the cache."""
    for module in model.modules():
        config = getattr(module, "config", None)
        if hasattr(module, "layer_idx") and getattr(config, "_attn_implementation", None) == NAME:
            yield module
