"""Whether a built model turns positions as its config says.

    model.config.rope_parameters = {"rope_type": "linear", "factor": 8.0, "rope_theta": 10000.0}
    check_built(model)
    -> UserError: got a model built before its rope was set: …

A model computes its frequencies when it is built. A config changed later is saved with the model
all the same: it would be trained with one rope and loaded again with another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from longdata.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PretrainedConfig

_CHANGE_WHILE_RUNNING = {"dynamic", "longrope"}  # their frequencies follow the texts that are read


def check_built(model: Module) -> None:
    """Raise UserError when a model's frequencies are not those its config describes.

    They differ when the config was changed after the model was built, and are coarse when the model
    was cast as a whole: bfloat16 moves position 100,000 by up to 195.
    """
    for name, module in model.named_modules():
        config = getattr(module, "config", None)
        frequencies = _frequencies(module)
        if config is None or not frequencies or _kinds(config) & _CHANGE_WHILE_RUNNING:
            continue
        fresh = _frequencies(type(module)(config))
        for buffer, built in frequencies.items():
            if built.device.type == "meta":  # nothing is computed there yet
                continue
            if built.dtype.itemsize < 4:
                raise UserError(
                    f"got a model whose {name}.{buffer} is {built.dtype}; allowed: torch.float32; "
                    "fix: from_pretrained(…, dtype=torch.bfloat16) instead of model.to"
                )
            wanted = fresh[buffer].to(built.device, built.dtype)
            if built.shape != wanted.shape or not built.allclose(wanted, rtol=1e-5, atol=0):
                raise UserError(
                    f"got a model built before its rope was set: {name}.{buffer} is not what its "
                    "config says; fix: set the rope in the config, then build the model from it"
                )


def _frequencies(module: Module) -> dict[str, Tensor]:
    own = dict(module.named_buffers(recurse=False))
    return {name: buffer for name, buffer in own.items() if name.endswith("inv_freq")}


def _kinds(config: PretrainedConfig) -> set[str]:
    parameters = getattr(config, "rope_parameters", None) or {}
    entries = [entry for entry in parameters.values() if isinstance(entry, Mapping)] or [parameters]
    return {entry.get("rope_type", "default") for entry in entries}
