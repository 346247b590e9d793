"""A model that is ready to be trained at a longer context: rope first, then weights, then groups.

    model, rope = build_model(recipe)
    str(rope)          -> "linear, factor 8, theta 10,000, 32,768 tokens (originally 4,096)"

The order matters: a model computes its rotary frequencies when it is built, so the config is
changed before (rope.py), and that it was changed in time is tested (rope_built.py). Attention is
s2_attn in both modes: with groups as long as the context it cuts nothing, which is full attention
by the same kernels, and documents of a packed row are kept apart without a mask of N × N.

What is frozen is held in the dtype of the recipe. A model that is trained whole is held in float32:
steps of 2e-5 are lost in the eight bits of bfloat16 (see precision.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longdata.extras import require
from longtune.base_weights import differing, sample_of
from longtune.checkpoint_facts import Facts, read, sizes_of
from longtune.config import Recipe
from longtune.groups import NAME, set_group_size
from longtune.precision import compute_dtype
from longtune.rope import Rope, extend_context, rope_of, set_fields
from longtune.rope_built import check_built

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def build_model(recipe: Recipe, *, device: str | None = None) -> tuple[Any, Rope]:
    """The model of a recipe, with its rope and attention. `device` is where weights are read to.

    Raises UserError for a model that is not there, has no rope to extend or another architecture.
    """
    config, rope = config_of(recipe)
    transformers = require("transformers", "finetune")
    given: dict[str, Any] = {
        "revision": recipe.revision,
        "trust_remote_code": recipe.trust_remote_code,
    }
    if recipe.method == "qlora":
        given["quantization_config"] = _quantization(recipe)
    if device is not None:
        given["device_map"] = {"": device}
    dtype = "float32" if recipe.method == "full" else compute_dtype(recipe)
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            recipe.model, config=config, dtype=dtype, attn_implementation=NAME, **given
        )
    except (OSError, ValueError) as error:
        raise _unreadable(recipe, error) from error
    check_built(model)
    attend_in_groups(model, recipe.group if recipe.attention == "s2" else whole(recipe.ctx))
    return model, rope


def config_of(recipe: Recipe) -> tuple[PretrainedConfig, Rope]:
    """The config of a recipe's model, changed to its context; no weights are read."""
    _refuse_adapter(recipe.model)
    transformers = require("transformers", "finetune")
    try:
        config = transformers.AutoConfig.from_pretrained(
            recipe.model, revision=recipe.revision, trust_remote_code=recipe.trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise _unreadable(recipe, error) from error
    if getattr(config, "is_encoder_decoder", False):
        raise UserError(
            f"got {recipe.model}, a {config.model_type} with an encoder; allowed: a causal LM; "
            "fix: choose another model"
        )
    if recipe.adapter is not None:
        set_fields(config, _facts_of(recipe, config).rope)
    if recipe.rope != "keep":
        return config, extend_context(
            config,
            ctx=recipe.ctx,
            method=recipe.rope,
            factor=recipe.rope_factor,
            theta=recipe.rope_theta,
            original_ctx=recipe.original_ctx,
        )
    rope = rope_of(config, original_ctx=recipe.original_ctx)
    if rope.ctx < recipe.ctx:
        raise UserError(
            f"got rope=keep and ctx {recipe.ctx:,} for a model of {rope.ctx:,} tokens; allowed: "
            f"{rope.ctx} or less; fix: rope=linear, or ctx={rope.ctx}"
        )
    return config, rope


def whole(ctx: int) -> int:
    """A group size that cuts no row of `ctx` tokens: full attention."""
    return ctx + ctx % 2


def attend_in_groups(model: Any, group_size: int) -> None:
    """Set the group size; a model whose layers do not take s2_attn is refused."""
    set_group_size(model, group_size)


def checkpoint_layers(model: Any, *, offload: bool) -> None:
    """Keep the input of each layer only, and compute the rest again in the backward pass.

    With `offload` the inputs wait in the host's memory; on a CPU they are there already.
    """
    import torch

    enable = getattr(model, "activation_checkpointing_enable", None)  # its name since 5.20
    enable = enable or model.gradient_checkpointing_enable
    try:
        enable({"use_reentrant": False}, offload=offload and torch.cuda.is_available())
    except ValueError as error:
        raise UserError(
            f"got a {type(model).__name__}, which knows no checkpointing; allowed: "
            "checkpointing=false; fix: checkpointing=false"
        ) from error


def _quantization(recipe: Recipe) -> Any:
    """NF4 with two levels of quantised constants, as QLoRA (arXiv 2305.14314)."""
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, compute_dtype(recipe)),
    )


def _facts_of(recipe: Recipe, config: PretrainedConfig) -> Facts:
    """What is known of the adapter that is trained further: the rope it was trained with."""
    facts = read(Path(str(recipe.adapter)))
    if facts is None or facts.kind != "adapter":
        raise UserError(
            f"got adapter {recipe.adapter}, a folder without longtune.json of an adapter; allowed: "
            "one that longtune made; fix: longtune import, for one of LongLoRA's"
        )
    if recipe.rope != "keep":
        raise UserError(
            f"got rope={recipe.rope} with an adapter, which has a rope; allowed: keep; fix: "
            "rope=keep, or longtune merge it first and extend what comes out"
        )
    sample = sample_of(recipe.model, recipe.revision)
    if dict(facts.base.sizes) != sizes_of(config) or differing(dict(facts.base.weights), sample):
        raise UserError(
            f"got adapter {recipe.adapter}, made for {facts.base.name}, with model {recipe.model}; "
            f"allowed: its own base; fix: model={facts.base.name}"
        )
    return facts


def _refuse_adapter(model: str) -> None:
    if (Path(model) / "adapter_config.json").is_file():
        raise UserError(
            f"got {model}, which is an adapter; allowed: a model; fix: longtune merge it first"
        )


def _unreadable(recipe: Recipe, error: Exception) -> UserError:
    said = " ".join(str(error).split()).partition(". ")[0][:200]
    return UserError(
        f"got model {recipe.model!r}, which cannot be loaded ({said}); allowed: a folder with a "
        "causal LM, or its name on the Hub; fix: check the name, or hf download it first"
    )
