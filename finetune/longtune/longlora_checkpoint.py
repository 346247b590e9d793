"""LongLoRA's published checkpoints, read without trusting them and made into adapters of today.

    is_longlora(Path("Llama-2-7b-longlora-32k"))    -> True
    adapter = read_longlora(Path("Llama-2-7b-longlora-32k"))
    adapter.facts.ctx, adapter.facts.rope["rope_parameters"]["factor"]     -> 32768, 8.0
    convert(Path("Llama-2-7b-longlora-32k"), Path("llama2-7b-32k"))

The layout, as its get_trainable_weights.py writes it:

    adapter_config.json      peft's, of 2023
    adapter_model.bin        base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight, …
    trainable_params.bin     model.embed_tokens.weight, model.layers.0.input_layernorm.weight, …

What it says nowhere is the rope: position interpolation with factor = ceil(context / 4096), without
which the model writes blanks. The contexts are those of its list of models. Its training added a
[PAD] to the vocabulary, so the embeddings have 32,001 rows.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longtune.adapter_weights import CONFIG, PREFIX, WEIGHTS, Adapter, write_adapter
from longtune.checkpoint_facts import Base, Facts, sizes_of, versions, whole_folder, write
from longtune.model_files import save_tokenizer, tokenizer_of
from longtune.rope import extend_context, fields_of

if TYPE_CHECKING:
    from torch import Tensor

LORA, TRAINED = "adapter_model.bin", "trainable_params.bin"
_META = "meta-llama/Llama-2-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A model of LongLoRA's list: the context it was trained for and what it was trained from."""

    ctx: int
    base: str


def _extended(size: str, ctx: int) -> Published:
    return Published(ctx=ctx, base=f"{_META}{size}-hf")


# As in the README of LongLoRA; those that end in -ft, and LongAlpaca-7B and -13B, are whole models.
PUBLISHED: dict[str, Published] = {
    "Llama-2-7b-longlora-8k": _extended("7b", 8192),
    "Llama-2-7b-longlora-16k": _extended("7b", 16384),
    "Llama-2-7b-longlora-32k": _extended("7b", 32768),
    "Llama-2-13b-longlora-8k": _extended("13b", 8192),
    "Llama-2-13b-longlora-16k": _extended("13b", 16384),
    "Llama-2-13b-longlora-32k": _extended("13b", 32768),
    "Llama-2-13b-longlora-64k": _extended("13b", 65536),
    "Llama-2-70b-longlora-32k": _extended("70b", 32768),
    "Llama-2-70b-chat-longlora-32k": _extended("70b-chat", 32768),
    "LongAlpaca-70B-lora": _extended("70b-chat", 32768),
    "Llama-2-7b-longlora-8k-ft": _extended("7b", 8192),
    "Llama-2-7b-longlora-16k-ft": _extended("7b", 16384),
    "Llama-2-7b-longlora-32k-ft": _extended("7b", 32768),
    "Llama-2-7b-longlora-100k-ft": _extended("7b", 100_000),
    "Llama-2-13b-longlora-8k-ft": _extended("13b", 8192),
    "Llama-2-13b-longlora-16k-ft": _extended("13b", 16384),
    "Llama-2-13b-longlora-32k-ft": _extended("13b", 32768),
    "LongAlpaca-7B": _extended("7b-chat", 32768),
    "LongAlpaca-13B": _extended("13b-chat", 32768),
    "LongAlpaca-70B": _extended("70b-chat", 32768),
    "LongAlpaca-7B-16k": _extended("7b-chat", 16384),
    "LongAlpaca-13B-16k": _extended("13b-chat", 16384),
    "LongAlpaca-70B-16k": _extended("70b-chat", 16384),
}


def published(name: str | Path) -> Published | None:
    """The entry of the list that a folder or a name of the Hub stands for."""
    title = published_name(name)
    return None if title is None else PUBLISHED[title]


def published_name(name: str | Path) -> str | None:
    """The name in the list, which may be a part of a path.

    The cache of the Hub calls a folder models--Yukang--NAME/snapshots/COMMIT.
    """
    known = {title.lower(): title for title in PUBLISHED}
    last = str(name).rstrip("/").split("/")[-3:]
    parts = [last[-1], *(part.split("--")[-1] for part in last if part.startswith("models--"))]
    return next((known[part.lower()] for part in parts if part.lower() in known), None)


def is_longlora(folder: Path) -> bool:
    """Whether a folder holds an adapter in LongLoRA's two files, or the first of them alone."""
    return (folder / LORA).is_file() and not (folder / WEIGHTS).is_file()


def read_longlora(folder: Path, *, base: str | None = None, ctx: int | None = None) -> Adapter:
    """The checkpoint as an adapter of ours; of the base only its config is read.

    `ctx` is needed when the folder's name is not one of LongLoRA's list, `base` when neither that
    name nor adapter_config.json leads to the model. Raises UserError for anything amiss.
    """
    from peft import PeftConfig
    from transformers import AutoConfig

    if not (folder / TRAINED).is_file():
        raise UserError(
            f"got {folder} without {TRAINED}, which holds the trained embeddings and norms; "
            "needed: both of LongLoRA's files; fix: get it too, or make it with LongLoRA's "
            "get_trainable_weights.py"
        )
    entry = published(folder)
    ctx = _agreed_ctx(folder, ctx, entry)
    config = PeftConfig.from_pretrained(str(folder))
    name = base or (entry.base if entry else config.base_model_name_or_path)
    if not name:
        raise UserError(
            f"got {folder}, whose {CONFIG} names no base model; needed: the model it was trained "
            "from; fix: name it with --model"
        )
    try:
        model = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UserError(
            f"got {folder}, an adapter for {name}, which is not here; needed: its config and "
            "weights; fix: name the folder or the Hub's model with --model"
        ) from error
    sizes, tied = sizes_of(model), bool(model.tie_word_embeddings)
    rope = extend_context(model, ctx=ctx, method="linear")
    lora, trained = tensors_of(folder / LORA), tensors_of(folder / TRAINED)
    embeddings = [tensor for key, tensor in trained.items() if "embed" in key]
    facts = Facts(
        kind="adapter",
        base=Base(name=name, revision=None, sizes=sizes, weights={}),
        rope=fields_of(model),
        ctx=rope.ctx,
        original_ctx=rope.original_ctx,
        vocab_size=embeddings[0].shape[0] if embeddings else sizes["vocab_size"],
        tied=tied,
        origin=f"imported from LongLoRA's {published_name(folder) or folder.resolve().name}",
        recipe=None,
        versions=versions(),
    )
    config.modules_to_save = sorted({key.split(".")[-2] for key in trained})
    config.ensure_weight_tying = tied and bool(embeddings)
    config.task_type = "CAUSAL_LM"
    weights = {**lora, **{PREFIX + key: tensor for key, tensor in trained.items()}}
    return Adapter(folder=folder, config=config, weights=weights, facts=facts)


def convert(folder: Path, out: Path, *, base: str | None = None, ctx: int | None = None) -> Adapter:
    """Write LongLoRA's checkpoint as an adapter that `checkpoint.load` and peft read."""
    if not is_longlora(folder):
        raise UserError(
            f"got {folder}, which is no checkpoint of LongLoRA; allowed: a folder with {CONFIG}, "
            f"{LORA} and {TRAINED}; fix: other adapters need no import"
        )
    adapter = read_longlora(folder, base=base, ctx=ctx)
    assert adapter.facts is not None
    with whole_folder(out, replace=False) as part:
        write_adapter(part, adapter.config, adapter.weights, base=adapter.facts.base.name)
        save_tokenizer(tokenizer_of(str(folder)), part, ctx=adapter.facts.ctx)
        write(part, adapter.facts)
    return adapter


def tensors_of(path: Path) -> dict[str, Tensor]:
    """The tensors of one of LongLoRA's two files. Nothing else is let in: UserError.

    torch builds nothing but tensors and plain containers with weights_only; what it built must be
    a dict of them, by name.
    """
    import torch

    assert path.name in (LORA, TRAINED), path
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        first = str(error).strip().splitlines()
        raise UserError(
            f"got {path}, which holds more than tensors, or is damaged ("
            f"{first[0][:120] if first else type(error).__name__}); allowed: LongLoRA's weights; "
            "fix: download it again from where its authors published it"
        ) from error
    if not isinstance(held, Mapping) or not held or not all(map(_is_weight, held.items())):
        raise UserError(
            f"got {path}, which is no dict of named weights; allowed: LongLoRA's weights; "
            "fix: download it again from where its authors published it"
        )
    return dict(held)


def _is_weight(item: tuple[Any, Any]) -> bool:
    import torch

    key, tensor = item
    return (
        isinstance(key, str)
        and key.endswith((".weight", ".bias"))
        and type(tensor) in (torch.Tensor, torch.nn.Parameter)
        and tensor.layout == torch.strided
        and tensor.is_floating_point()
    )


def _agreed_ctx(folder: Path, ctx: int | None, entry: Published | None) -> int:
    if entry is None and ctx is None:
        raise UserError(
            f"got {folder}, whose name is none of LongLoRA's, and which does not say its context; "
            "needed: the number of tokens it was trained with; fix: --ctx 32768, for example"
        )
    if entry is not None and ctx is not None and ctx != entry.ctx:
        raise UserError(
            f"got a context of {ctx:,} for {folder}, which was published with {entry.ctx:,}; "
            "fix: leave --ctx out"
        )
    return ctx if ctx is not None else entry.ctx if entry is not None else 0
