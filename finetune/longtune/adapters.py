"""What is trained: LoRA on the attention, embeddings and norms beside it, or the whole model.

    model = prepare(model, recipe)             # a peft model, or the same one to be trained whole
    for group in trained_groups(model):
        print(group.name, group.modules, group.parameters, f"{group.share:.3%}")
    -> LoRA        q_proj, k_proj, v_proj, o_proj                     8388608  0.124%
       embeddings  embed_tokens                                     131072000  1.945%
       norms       input_layernorm, norm, post_attention_layernorm     266240  0.004%

LoRA alone does not take a model far beyond its context; with embeddings and norms, 2 % of a 7B
model, it comes close to training all of it (LongLoRA, arXiv 2309.12307, Table 2). They are trained
as copies of their own (peft's `modules_to_save`), so the adapter holds them and the base is as it
was. Where the head is the embedding, it stays the embedding: both are the one trained matrix.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longdata.extras import require
from longtune.config import Recipe

if TYPE_CHECKING:
    from torch.nn import Module, Parameter

# Where an architecture keeps several projections in one matrix, that one is adapted.
_ALSO_CALLED = {
    "q_proj": ("qkv_proj", "query_key_value", "Wqkv"),
    "k_proj": ("qkv_proj", "query_key_value", "Wqkv"),
    "v_proj": ("qkv_proj", "query_key_value", "Wqkv"),
    "o_proj": ("dense", "out_proj", "Wo"),
}
_COPY, _LORA = "modules_to_save.", "lora_"
GROUPS = ("LoRA", "embeddings", "norms", "layers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Parameters that are trained. `share` is of all parameters of the base model, 0 to 1."""

    name: str
    modules: tuple[str, ...]
    tensors: int
    parameters: int
    share: float


def prepare(model: Any, recipe: Recipe) -> Any:
    """The model of which what the recipe names is trained, and nothing else.

    Raises UserError for a model without the named layers, and where embeddings would come untied.
    """
    if recipe.method == "full":
        model.requires_grad_(True)
        if recipe.untie_embeddings:
            _untie(model)
        return model
    peft = require("peft", "finetune")
    if recipe.adapter is not None:
        from longtune.adapter_weights import attach, read_adapter

        return _autocast(attach(model, read_adapter(Path(recipe.adapter)), trainable=True))
    copied = _copied(model, recipe)
    keeps_tie = recipe.train_embeddings and not recipe.untie_embeddings and is_tied(model)
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.lora_r,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        bias="none",
        target_modules=list(targets_in(model, recipe.lora_targets)),
        modules_to_save=sorted({name.rpartition(".")[2] for name in copied}) or None,
        ensure_weight_tying=keeps_tie,
        revision=recipe.revision,
    )
    with _ties_are_known():
        adapted = peft.get_peft_model(model, config)
    _require_copies(adapted, copied, also_head=keeps_tie)
    return _autocast(adapted)


def targets_in(model: Module, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The names by which a model has the wanted layers: qkv_proj for q_proj, where they are one."""
    import torch

    names = (
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
    )
    present = Counter(names)
    found: dict[str, None] = {}
    for name in wanted:
        called = next((n for n in (name, *_ALSO_CALLED.get(name, ())) if n in present), None)
        if called is None:
            raise UserError(
                f"got lora_targets {', '.join(wanted)} for a {type(model).__name__} without "
                f"{name}; allowed: {', '.join(present)}; fix: lora_targets={','.join(present)}"
            )
        found[called] = None
    return tuple(found)


def is_tied(model: Any) -> bool:
    """Whether the head is the embedding."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    return head is not None and head.weight is embedding.weight


def trained_groups(model: Any) -> list[Group]:
    """Every group of trained parameters, with its size; each parameter counts once."""
    owners = dict(model.named_modules())
    total = sum(_size(p) for name, p in model.named_parameters() if not _is_added(name))
    modules: dict[str, set[str]] = {group: set() for group in GROUPS}
    sizes: dict[str, list[int]] = {group: [] for group in GROUPS}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = _group(name, owners[name.rpartition(".")[0]])
            modules[group].add(_module_name(name))
            sizes[group].append(_size(parameter))
    return [
        Group(
            name=group,
            modules=tuple(sorted(modules[group])),
            tensors=len(sizes[group]),
            parameters=sum(sizes[group]),
            share=sum(sizes[group]) / total,
        )
        for group in GROUPS
        if sizes[group]
    ]


def _copied(model: Any, recipe: Recipe) -> set[str]:
    """The full names of the modules that are trained as copies."""
    names: set[str] = set()
    if recipe.train_embeddings:
        embedding = model.get_input_embeddings()
        names |= {name for name, module in model.named_modules() if module is embedding}
    if recipe.train_norms:
        names |= set(_norms(model))
    return names


def _norms(model: Module) -> Iterator[str]:
    """A norm is known by its class (LlamaRMSNorm, LayerNorm, …), as long as it has a weight."""
    for name, module in model.named_modules():
        own = next(module.parameters(recurse=False), None)
        if "Norm" in type(module).__name__ and own is not None:
            yield name


def _require_copies(adapted: Any, copied: set[str], *, also_head: bool) -> None:
    """peft takes names by their ends, and ties what it knows the name of: hold it to its word."""
    model = adapted.get_base_model()
    head = model.get_output_embeddings()
    made = {
        name for name, module in model.named_modules() if hasattr(module, "modules_to_save")
    } - {name for name, module in model.named_modules() if also_head and module is head}
    if made != copied:
        odd = ", ".join(sorted(made ^ copied)[:3])
        raise UserError(
            f"got a {type(model).__name__} whose modules cannot be told apart by the ends of their "
            f"names ({odd}); allowed: method full; fix: method=full, or train_norms=false"
        )
    if also_head and head.weight is not model.get_input_embeddings().weight:
        raise UserError(
            f"got a {type(model).__name__}, whose head would come untied from its trained "
            "embedding; allowed: untie_embeddings=true, train_embeddings=false or method=full; "
            "fix: choose one of them"
        )


def _autocast(adapted: Any) -> Any:
    """peft casts the inputs of adapters to float32, in a copy; autocast casts the adapters."""
    for module in adapted.modules():
        if hasattr(module, "cast_input_dtype_enabled"):
            module.cast_input_dtype_enabled = False
    return adapted


def _untie(model: Any) -> None:
    """Give the head a matrix of its own, for a start the same."""
    import torch

    if is_tied(model):
        head = model.get_output_embeddings()
        head.weight = torch.nn.Parameter(head.weight.detach().clone())
        for config in {id(c): c for c in (model.config, model.config.get_text_config())}.values():
            config.tie_word_embeddings = False


def _group(name: str, owner: Module) -> str:
    import torch

    if f".{_LORA}" in name:
        return "LoRA"
    if isinstance(owner, torch.nn.Embedding):
        return "embeddings"
    return "norms" if "Norm" in type(owner).__name__ else "layers"


def _module_name(parameter: str) -> str:
    """…layers.0.self_attn.q_proj.lora_A.default.weight → q_proj"""
    whole = parameter.partition(f".{_LORA}")[0].partition(f".{_COPY}")[0]
    return (whole if whole != parameter else parameter.rpartition(".")[0]).rpartition(".")[2]


def _is_added(parameter: str) -> bool:
    return f".{_LORA}" in parameter or f".{_COPY}" in parameter


def _size(parameter: Parameter) -> int:
    """Two 4-bit numbers of bitsandbytes are stored as one byte; ZeRO-3 keeps the size elsewhere."""
    size: int = getattr(parameter, "ds_numel", None) or parameter.numel()
    packed = type(parameter).__name__ == "Params4bit"
    return 2 * size * int(parameter.element_size()) if packed else size


@contextlib.contextmanager
def _ties_are_known() -> Iterator[None]:
    """peft warns of ties that come apart: here that was asked for, or is refused afterwards."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")
        warnings.filterwarnings("ignore", message="You have requested `ensure_weight_tying`")
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        yield
