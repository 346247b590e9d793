"""The weights of a checkpoint → the model that is being trained, exactly, or not at all.

    load_weights(model, Path("run/checkpoints/checkpoint-100"))

A weight that a checkpoint lacks, or has too many, is an error here and not a warning: a run that
goes on with some weights of its start gives other losses.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

_ADAPTER = "adapter_model.safetensors"


def load_weights(model: Any, checkpoint: Path) -> None:
    """Put the adapter, or all weights, of a checkpoint into a model of the same kind.

    Raises UserError when the weights are not those of this model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if hasattr(model, "peft_config"):
            _load_adapter(model, load_file(checkpoint / _ADAPTER))
        else:
            files = sorted(checkpoint.glob("*.safetensors"))
            _load_all(model, (load_file(file) for file in files))
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())[:200]
        raise UserError(
            f"got {checkpoint}, whose weights do not fit the model ({said}); allowed: those of the "
            "same run; fix: remove it, so that the run goes on from the one before"
        ) from error


def _load_adapter(model: Any, weights: dict[str, Tensor]) -> None:
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    wanted = get_peft_model_state_dict(model, save_embedding_layers=False).keys()
    _require_same(wanted, weights)
    found = set_peft_model_state_dict(model, weights)
    if found is not None and found.unexpected_keys:
        raise ValueError(f"{found.unexpected_keys[0]} is too many")


def _load_all(model: Any, files: Iterable[dict[str, Tensor]]) -> None:
    state = model.state_dict()
    seen: set[str] = set()
    for weights in files:
        model.load_state_dict(weights, strict=False)
        seen |= weights.keys()
    places = {state[name].data_ptr() for name in seen & state.keys()}
    tied = {name for name, tensor in state.items() if tensor.data_ptr() in places}
    _require_same(state.keys() - (tied - seen), seen)


def _require_same(wanted: Iterable[str], found: Iterable[str]) -> None:
    odd = sorted(set(wanted) ^ set(found))
    if odd:
        raise ValueError(f"{odd[0]} is missing or too many")
