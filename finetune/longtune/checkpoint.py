"""Save what was trained so that it comes back as it was: weights, rope, context and vocabulary.

    save(model, Path("llama2-7b-32k"), recipe=recipe)   # adapter or whole model, and longtune.json
    loaded = load("llama2-7b-32k")                      # its base is named in it
    loaded.model, loaded.tokenizer                      # ready to be evaluated: model.eval()
    str(loaded.rope)   -> "linear, factor 8, theta 10,000, 32,768 tokens (originally 4,096)"

    load("meta-llama/Llama-2-7b-hf")                         a base, or a merged folder
    load("Llama-2-7b-hf", adapter="llama2-7b-32k")           an adapter, on the base as it lies here
    load("Llama-2-7b-hf", adapter="Llama-2-7b-longlora-32k") as LongLoRA published them

Rope and maximum length go into the config before the model is built from it: a model computes its
frequencies once. An adapter is put on the base it was made for or refused, in one line. Weights
are read from safetensors; no pickle is loaded but LongLoRA's two files, with weights_only=True.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longdata.extras import require
from longtune.adapter_weights import Adapter, attach, read_adapter, weights_of, write_adapter
from longtune.adapters import is_tied
from longtune.base_weights import differing, sample_of
from longtune.checkpoint_facts import Base, Facts, read, sizes_of, versions, whole_folder, write
from longtune.config import Recipe, to_dict
from longtune.longlora_checkpoint import is_longlora, published, read_longlora
from longtune.model_files import (
    SHARD,
    Quantization,
    adapter_folder,
    build,
    config_of,
    of_run,
    save_tokenizer,
    tokenizer_of,
)
from longtune.rope import Rope, extend_context, fields_of, rope_of, set_fields
from longtune.rope_built import check_built

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

_AFTER_SCALING = ("gemma3", "gemma3_text")  # their max_position_embeddings
_LLAMA_CTX = (2048, 4096)  # what Llama 1 and 2 were trained with, before any scaling


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that is ready to be read with, and what it is.

    `rope` is None for a model without rotary positions, `tokenizer` None where none was saved,
    `facts` (longtune.json) None where longtune did not make it. `description` can be put into JSON:
    kind, model, adapter, dtype, rope, ctx, tied, vocab_size, ….
    """

    model: Any
    tokenizer: Any
    rope: Rope | None
    ctx: int
    facts: Facts | None
    description: Mapping[str, Any]


def save(
    model: Any,
    folder: Path,
    *,
    recipe: Recipe,
    tokenizer: Any = None,
    state_dict: Mapping[str, Tensor] | None = None,
) -> None:
    """Write an adapter, or a whole model, with its tokenizer and longtune.json.

    The folder is there whole or not at all; an earlier checkpoint of that name is replaced. The
    tokenizer is that of the recipe's model unless another is given; `state_dict` is for sharded
    models, gathered on the process that calls this.
    """
    check_built(model)
    trust = recipe.trust_remote_code
    facts = replace(
        facts_of(model, base=recipe.model, revision=recipe.revision, trust=trust),
        origin="trained",
        recipe=to_dict(recipe),
    )
    if tokenizer is None:
        tokenizer = tokenizer_of(recipe.model, revision=recipe.revision, trust=trust)
    with whole_folder(folder, replace=True) as part:
        if facts.kind == "adapter":
            config = model.peft_config[model.active_adapter]
            write_adapter(part, config, weights_of(model, state_dict), base=recipe.model)
        else:
            model.save_pretrained(part, state_dict=state_dict, max_shard_size=SHARD)
        save_tokenizer(tokenizer, part, ctx=facts.ctx)
        write(part, facts)


def facts_of(model: Any, *, base: str, revision: str | None = None, trust: bool = False) -> Facts:
    """What longtune.json says of a model, or of an adapter on it, that was made from `base`."""
    config = config_of(base, revision=revision, trust=trust)
    rope = rope_of(model.config)
    return Facts(
        kind="adapter" if hasattr(model, "peft_config") else "model",
        base=Base(
            name=base,
            revision=revision or getattr(config, "_commit_hash", None),
            sizes=sizes_of(config),
            weights=sample_of(base, revision),
        ),
        rope=fields_of(model.config),
        ctx=rope.ctx,
        original_ctx=rope.original_ctx,
        vocab_size=_rows(model),
        tied=is_tied(model),
        origin="unknown",
        recipe=None,
        versions=versions(),
    )


def load(
    model: str | Path | None,
    *,
    adapter: str | Path | None = None,
    dtype: str = "auto",
    attn_implementation: str | None = None,
    trust_remote_code: bool = False,
    quantization: Quantization | None = None,
    trainable: bool = False,
    ctx: int | None = None,
    original_ctx: int | None = None,
    revision: str | None = None,
) -> Loaded:
    """A base model, a merged folder, or an adapter on its base: see the top of this file.

    `model` may be left out (None), or be the adapter itself: then the base is the one that the
    adapter names. The folder of a finished run stands for what came of it. `dtype` is a name of
    torch ("bfloat16"), or auto: as the model was saved. `ctx` is the context of a LongLoRA
    checkpoint whose name does not tell it, `original_ctx` that of a model before its linear rope,
    where its config does not tell. `revision` is the model's. An adapter is frozen unless it is to
    be `trainable`, for training it further.
    Raises UserError, in one line, for everything that cannot be loaded as it was trained.
    """
    require("transformers", "finetune")
    name, put = _found(model, adapter, ctx=ctx)
    config = _config_of(name, put, revision=revision, trust=trust_remote_code)
    facts = put.facts if put is not None else read(Path(name))
    rope = rope_or_none(config, original_ctx or (facts.original_ctx if facts else None))
    built = build(
        name,
        config,
        dtype=dtype,
        attn_implementation=attn_implementation,
        trust=trust_remote_code,
        quantization=quantization,
        revision=revision,
    )
    check_built(built)
    tokenizer = None
    if put is not None:
        built = attach(built, put, trainable=trainable)
        tokenizer = tokenizer_of(str(put.folder), trust=trust_remote_code)
    built.eval()
    limit = rope.ctx if rope else _limit(config)
    return Loaded(
        model=built,
        tokenizer=tokenizer or tokenizer_of(name, revision=revision, trust=trust_remote_code),
        rope=rope,
        ctx=limit,
        facts=facts,
        description={
            "kind": "adapter" if put else "extended model" if facts else "model",
            "model": name,
            "revision": getattr(config, "_commit_hash", None),
            "adapter": None if put is None else str(model if adapter is None else adapter),
            "origin": facts.origin if facts else None,
            "ctx": limit,
            "rope": fields_of(config) if rope else None,
            "rope_in_words": str(rope) if rope else "none",
            "dtype": str(built.dtype).removeprefix("torch."),
            "quantization": quantization,
            "attention": built.config._attn_implementation,
            "tied": is_tied(built),
            "vocab_size": _rows(built),
        },
    )


def _found(
    model: str | Path | None, adapter: str | Path | None, *, ctx: int | None
) -> tuple[str, Adapter | None]:
    """The name of the model that is built, and the adapter that is put on it."""
    model = None if model is None else of_run(str(model))
    adapter = None if adapter is None else of_run(str(adapter))
    folder = None if model is None else adapter_folder(model)
    if adapter is None and folder is None:
        if model is None:
            raise UserError("got neither a model nor an adapter; needed: one; fix: name a model")
        return model, None
    if adapter is not None:
        if folder is not None:
            raise UserError(
                f"got {model}, an adapter, as the base of {adapter}; allowed: a model; fix: merge "
                "it first: longtune merge"
            )
        folder = adapter_folder(adapter)
    if folder is None:
        raise UserError(
            f"got {adapter}, which is no adapter; allowed: a folder, or a model of the Hub, with "
            "adapter_config.json; fix: correct the path"
        )
    named = None if adapter is None else model
    put = _adapter_of(folder, base=named, ctx=ctx)
    return named or _own_base(put), put


def _rows(model: Any) -> int:
    """Of the embeddings, where ZeRO-3 may hold only a part of them as well."""
    weight = model.get_input_embeddings().weight
    return int(getattr(weight, "ds_shape", weight.shape)[0])


def rope_or_none(config: PretrainedConfig, original_ctx: int | None = None) -> Rope | None:
    """The rope of a config, or None for a model that has none."""
    text = config.get_text_config(decoder=True)
    parameters = getattr(text, "rope_parameters", None)
    if not parameters:
        return None
    return rope_of(config, original_ctx=original_ctx or _original_ctx(text, parameters))


def _original_ctx(text: PretrainedConfig, parameters: Mapping[str, Any]) -> int | None:
    """Of a linear rope that does not say what was before it: what its family does, if known."""
    own = parameters.get("full_attention", parameters)
    limit, factor = text.max_position_embeddings, float(own.get("factor") or 1)
    kind = own.get("rope_type") or own.get("type")
    said = getattr(text, "original_max_position_embeddings", None)
    if kind != "linear" or factor <= 1 or said is not None:
        return None
    if text.model_type in _AFTER_SCALING:
        return int(limit / factor)
    if text.model_type == "llama" and limit in _LLAMA_CTX:
        return int(limit)
    if text.model_type == "llama" and limit / factor in _LLAMA_CTX:
        return int(limit / factor)
    return None


def _adapter_of(folder: Path, *, base: str | None, ctx: int | None) -> Adapter:
    if is_longlora(folder):
        return read_longlora(folder, base=base, ctx=ctx)
    if ctx is not None:
        raise UserError(
            f"got a context for {folder}; allowed: for a LongLoRA checkpoint, whose files do not "
            "say it; fix: leave it out"
        )
    return read_adapter(folder)


def _own_base(put: Adapter) -> str:
    """The model that an adapter names."""
    own = put.facts.base.name if put.facts else put.config.base_model_name_or_path
    if not own:
        raise UserError(
            f"got {put.folder}, an adapter that names no base; needed: the model it was made for; "
            "fix: name it with --model"
        )
    return str(own)


def _config_of(
    name: str, put: Adapter | None, *, revision: str | None, trust: bool
) -> PretrainedConfig:
    """The config from which the model is built, with the rope that it was trained with."""
    if put is not None:
        config = config_of(name, revision=revision, trust=trust, wanted_by=str(put.folder))
        _refuse_other_base(put, name, config, revision)
        if put.facts is not None:
            set_fields(config, put.facts.rope)
        return config
    config = config_of(name, revision=revision, trust=trust)
    facts, entry = read(Path(name)), published(name)
    if facts is not None and fields_of(config) != facts.rope:
        raise UserError(
            f"got {name}, whose config.json and longtune.json tell of different ropes; allowed: "
            "the one it was trained with in both; fix: merge it again, or remove the file that is "
            "wrong"
        )
    if facts is None and entry is not None:  # LongLoRA saved some of its models without their rope
        rope = rope_or_none(config)
        if rope is not None and rope.kind == "default" and rope.ctx < entry.ctx:
            extend_context(config, ctx=entry.ctx, method="linear")
    return config


def _refuse_other_base(
    put: Adapter, name: str, config: PretrainedConfig, revision: str | None
) -> None:
    if put.facts is None:
        return
    made_for = put.facts.base
    for size, value in sizes_of(config).items():
        wanted = made_for.sizes.get(size, value)
        if wanted != value:
            raise UserError(
                f"got {name}, whose {size} is {value}, for {put.folder}, which was trained on "
                f"{made_for.name} with {wanted}; allowed: that base; fix: name it with --model"
            )
    other = differing(made_for.weights, sample_of(name, revision))
    if other is not None:
        raise UserError(
            f"got {name}, whose {other} is not that of {made_for.name}, on which {put.folder} was "
            "trained; allowed: that base; fix: name it with --model"
        )


def _limit(config: PretrainedConfig) -> int:
    limit = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    if not isinstance(limit, int):
        raise UserError(
            f"got a {config.model_type} model whose config has no max_position_embeddings; "
            "needed: its context; fix: set it in config.json"
        )
    return limit
