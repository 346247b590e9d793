"""An adapter merged into its base: one folder that plain transformers loads, for the long context.

    merged = merge(Path("llama2-7b-32k"), Path("llama2-7b-32k-merged"))
    merged.ctx, merged.dtype                      -> 32768, "bfloat16"
    AutoModelForCausalLM.from_pretrained("llama2-7b-32k-merged")     # rope and length are in it

    W' = W + (alpha / r) · B A        added in the adapter's float32 and rounded once to W's dtype
    embeddings and norms              those that were trained, in place of the base's

The logits stay what they were: exactly in exact arithmetic, and to the rounding of the dtype here.
Tied embeddings stay tied. Memory is that of the model once in its dtype, and of its embeddings.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longtune.adapters import is_tied
from longtune.checkpoint import Loaded, facts_of, load
from longtune.checkpoint_facts import Facts, read, refuse_taken, versions, whole_folder, write
from longtune.model_files import SHARD, adapter_folder, config_of, of_run, save_tokenizer
from longtune.rope import fields_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What was written, for the person who asked for it."""

    base: str
    rope: str
    ctx: int
    dtype: str
    vocab_size: int
    tied: bool
    files: int
    size: int  # bytes of weights


def merge(
    adapter: str | Path,
    out: Path,
    *,
    model: str | None = None,
    dtype: str = "auto",
    ctx: int | None = None,
    shard: str = SHARD,
) -> Merged:
    """Write the merged model to `out`, which must be new or empty; it is there whole or not at all.

    `model` is the base where it lies elsewhere than the adapter says, `ctx` the context of a
    LongLoRA checkpoint whose name does not tell it. Raises UserError for all that does not fit.
    """
    refuse_taken(out, replace=False)
    adapter = of_run(str(adapter))
    if adapter_folder(adapter) is None:
        raise UserError(
            f"got --adapter {adapter}, which is no adapter; allowed: a folder, or a model of the "
            "Hub, with adapter_config.json; fix: correct the path"
        )
    loaded = load(model, adapter=adapter, dtype=dtype, ctx=ctx)
    merged = _merged(loaded)
    facts = _facts(loaded, merged, adapter)
    with whole_folder(out, replace=False) as part:
        merged.save_pretrained(part, max_shard_size=shard)
        save_tokenizer(loaded.tokenizer, part, ctx=loaded.ctx)
        write(part, facts)
        _require_rope(part, facts)
    weights = list(out.glob("*.safetensors"))
    return Merged(
        base=str(loaded.description["model"]),
        rope=str(loaded.rope),
        ctx=loaded.ctx,
        dtype=str(merged.dtype).removeprefix("torch."),
        vocab_size=facts.vocab_size,
        tied=facts.tied,
        files=len(weights),
        size=sum(path.stat().st_size for path in weights),
    )


def _merged(loaded: Loaded) -> Any:
    """The base with the adapter in it. Weights that are no numbers are refused, not written."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="peft")
        merged = loaded.model.merge_and_unload()
    for name, weight in merged.named_parameters():
        if not torch.isfinite(weight).all():
            raise UserError(
                f"got {loaded.description['adapter']}, which makes {name} NaN or infinite; "
                "allowed: weights that are numbers; fix: take a checkpoint from before the "
                "training broke"
            )
    return merged


def _facts(loaded: Loaded, merged: Any, adapter: str) -> Facts:
    """The adapter's own facts go on; one that brought none gets those of what was merged."""
    base = str(loaded.description["model"])
    known = loaded.facts or facts_of(merged, base=base, revision=loaded.description["revision"])
    name = Path(adapter).resolve().name if Path(adapter).exists() else adapter
    made = f"{known.origin}, " if known.origin.startswith("imported") else f"{name} "
    return replace(
        known,
        kind="model",
        rope=fields_of(merged.config),
        vocab_size=int(merged.get_input_embeddings().weight.shape[0]),
        tied=is_tied(merged),
        origin=f"{made}merged into {base}",
        versions=versions(),
    )


def _require_rope(folder: Path, facts: Facts) -> None:
    """What transformers will read is what was meant: the mistake that made models write blanks."""
    config = config_of(str(folder))
    assert read(folder) is not None
    assert fields_of(config) == facts.rope, (fields_of(config), facts.rope)
    assert config.get_text_config(decoder=True).vocab_size == facts.vocab_size
