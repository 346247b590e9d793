"""An adapter on disk and on a model: nothing missing, nothing left over, every shape as it was.

    adapter = read_adapter(Path("llama2-7b-32k"))
    adapter.facts.base.name                 -> "meta-llama/Llama-2-7b-hf"
    model = attach(base, adapter)           # a PeftModel, frozen
    write_adapter(folder, adapter.config, adapter.weights, base="meta-llama/Llama-2-7b-hf")

peft alone loads what fits and is silent about the rest: an adapter without its embeddings and norms
then reads far worse than it was trained to. Here the keys that the adapter's own configuration asks
for and those of its file are the same, or it is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longtune.checkpoint_facts import Facts, read

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."
_SHOWN = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Adapter:
    """What an adapter's folder holds; `config` is peft's. `facts` is None where longtune.json is
    missing: another program made it, for the rope of its base."""

    folder: Path
    config: Any
    weights: Mapping[str, Tensor]
    facts: Facts | None


def read_adapter(folder: Path) -> Adapter:
    """Raises UserError when the folder holds no LoRA adapter in safetensors."""
    from peft import PeftConfig
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not (folder / WEIGHTS).is_file():
        raise UserError(
            f"got {folder}, an adapter without {WEIGHTS}; allowed: safetensors, or LongLoRA's "
            "adapter_model.bin and trainable_params.bin together; fix: save it again as safetensors"
        )
    try:
        config = PeftConfig.from_pretrained(str(folder))
        weights = load_file(folder / WEIGHTS)
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UserError(
            f"got {folder}, whose adapter cannot be read ({error}); allowed: {CONFIG} and "
            f"{WEIGHTS} as peft writes them; fix: copy the whole folder again"
        ) from error
    if str(getattr(config.peft_type, "value", config.peft_type)) != "LORA":
        raise UserError(
            f"got {folder}, an adapter of type {config.peft_type}; allowed: LORA; "
            "fix: load it with peft itself"
        )
    return Adapter(folder=folder, config=config, weights=weights, facts=read(folder))


def write_adapter(folder: Path, config: Any, weights: Mapping[str, Tensor], *, base: str) -> None:
    """The two files that peft reads."""
    from safetensors.torch import save_file

    before = config.inference_mode, config.base_model_name_or_path
    config.inference_mode, config.base_model_name_or_path = True, base
    try:
        config.save_pretrained(str(folder))
    finally:
        config.inference_mode, config.base_model_name_or_path = before
    # One storage may not be saved twice: of tied weights the second is a copy.
    seen: set[int] = set()
    whole: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        shared = tensor.untyped_storage().data_ptr() in seen
        seen.add(tensor.untyped_storage().data_ptr())
        whole[name] = (tensor.clone() if shared else tensor).contiguous()
    save_file(whole, folder / WEIGHTS, metadata={"format": "pt"})


def weights_of(model: Any, state_dict: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors of a PeftModel that an adapter's file holds, under their names there."""
    from peft import get_peft_model_state_dict

    plain = get_peft_model_state_dict(model, state_dict=state_dict, save_embedding_layers=False)
    return dict(plain)


def attach(model: Any, adapter: Adapter, *, trainable: bool = False) -> Any:
    """The adapter on its base, frozen unless it is to be trained further. `model` is changed.

    The vocabulary is resized first where the adapter's embeddings have more rows than the model's.
    Raises UserError when the two do not belong together.
    """
    from peft import get_peft_model, set_peft_model_state_dict

    weights = dict(adapter.weights)
    _resize(model, weights, adapter)
    adapter.config.inference_mode = not trainable
    with warnings.catch_warnings():
        # peft warns of embeddings that come untied: what the adapter's configuration says is meant.
        warnings.filterwarnings("ignore", category=UserWarning, module="peft")
        warnings.simplefilter("ignore", FutureWarning)  # what peft asks of transformers
        put = get_peft_model(model, adapter.config)
        wanted = weights_of(put)
        _add_tied(put, weights, wanted)
        _check(adapter, weights, wanted, dict(put.named_parameters()))
        set_peft_model_state_dict(put, weights)
    return put if trainable else put.requires_grad_(False)


def input_key(model: Any) -> str:
    """The name of the input embeddings in an adapter's file."""
    embeddings = model.get_input_embeddings()
    (name,) = (name for name, module in model.named_modules() if module is embeddings)
    return f"{PREFIX}{name}.weight"


def output_key(model: Any) -> str | None:
    """The name of the output embeddings in an adapter's file."""
    head = model.get_output_embeddings()
    names = [name for name, module in model.named_modules() if head is not None and module is head]
    return f"{PREFIX}{names[0]}.weight" if names else None


def _resize(model: Any, weights: Mapping[str, Tensor], adapter: Adapter) -> None:
    """As many rows as the adapter's vocabulary has; those of an untied output that the adapter does
    not bring are the mean of the others, as LongLoRA makes them for its [PAD]."""
    rows = model.get_input_embeddings().weight.shape[0]
    trained = weights.get(input_key(model))
    wanted = adapter.facts.vocab_size if adapter.facts else rows
    if trained is not None and adapter.facts is None:
        wanted = trained.shape[0]
    if wanted == rows:
        return
    if wanted < rows or trained is None or trained.shape[0] != wanted:
        held = "none" if trained is None else f"{trained.shape[0]:,}"
        raise UserError(
            f"got {adapter.folder}, an adapter for a vocabulary of {wanted:,} with embeddings of "
            f"{held}, and a model of {rows:,}; allowed: the base that it was trained on; "
            "fix: name that base"
        )
    head = model.get_output_embeddings()
    tied = head is not None and head.weight is model.get_input_embeddings().weight
    model.resize_token_embeddings(wanted, mean_resizing=False)
    head = model.get_output_embeddings()
    if head is not None and not tied:
        head.weight.data[rows:] = head.weight.data[:rows].float().mean(0).to(head.weight.dtype)


def _add_tied(put: Any, weights: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Tied output embeddings are the input's: a file may hold them once."""
    base = put.get_base_model()
    one, other = input_key(base), output_key(base)
    if other is None or other in weights or other not in wanted or one not in weights:
        return
    if wanted[one].data_ptr() == wanted[other].data_ptr():
        weights[other] = weights[one]


def _check(
    adapter: Adapter,
    weights: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    parameters: Mapping[str, Any],
) -> None:
    missing = sorted(wanted.keys() - weights.keys())
    if missing:
        raise UserError(
            f"got {adapter.folder}, an adapter without {_named(missing)}, which it was trained "
            "with or which the model has more of; allowed: all that its configuration names, on "
            "the base it was made for; fix: copy the whole adapter, or name its own base"
        )
    strange = sorted(weights.keys() - wanted.keys() - parameters.keys())
    if strange:
        raise UserError(
            f"got {adapter.folder}, an adapter with {_named(strange)}, which this model has not; "
            "allowed: the base that it was made for; fix: name that base"
        )
    for name, tensor in weights.items():
        shape = (wanted[name] if name in wanted else parameters[name]).shape
        if tensor.shape != shape:
            raise UserError(
                f"got {adapter.folder}, an adapter whose {_short(name)} is {_size(tensor.shape)} "
                f"where the model has {_size(shape)}; allowed: the base that it was made for; "
                "fix: name that base"
            )


def _named(names: Iterable[str]) -> str:
    shown = [_short(name) for name in names]
    rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + rest


def _short(name: str) -> str:
    return name.removeprefix(PREFIX)


def _size(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))
