"""Which numbers are held and computed in which precision.

| | held in | computed in |
|---|---|---|
| what is frozen | the recipe's dtype | the same |
| what is trained | float32 | the recipe's dtype, by autocast |

A step of AdamW at a rate of 2e-5 moves a weight of 0.02 by a thousandth. bfloat16 keeps eight bits:
the step would be rounded away. So what is trained is kept in float32, and what comes out of it goes
on in the dtype of the model: otherwise a trained embedding would make the inputs of all layers,
which checkpointing keeps, twice as large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longtune.config import Recipe

if TYPE_CHECKING:
    from torch.nn import Module


def compute_dtype(recipe: Recipe) -> str:
    """ "bfloat16" or "float32"."""
    import torch

    if recipe.dtype != "auto":
        return recipe.dtype
    has_it = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return "bfloat16" if has_it else "float32"


def hold_trained_in_float32(model: Module, dtype: str) -> None:
    """Of a model that is computed in `dtype`; the frozen parameters stay as they are."""
    import torch

    for parameter in model.parameters():
        if parameter.requires_grad and parameter.is_floating_point():
            parameter.data = parameter.data.float()
    if dtype == "float32":
        return
    for module in model.modules():
        if any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            module.register_forward_hook(_in(getattr(torch, dtype)))


def _in(dtype: Any) -> Any:
    import torch

    def cast(module: Module, args: Any, output: Any) -> Any:
        is_number = isinstance(output, torch.Tensor) and output.is_floating_point()
        return output.to(dtype) if is_number else output

    return cast
