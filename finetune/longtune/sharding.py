"""How a run is divided among GPUs, in the words of transformers' Trainer and accelerate.

    trainer_arguments(recipe)            fields of TrainingArguments: FSDP2, ZeRO-3, Ulysses
    share_heads(model, recipe, rank=5)   which of a layer's heads this process attends with
    launch(["extend", …], processes=8)   "torchrun --nproc-per-node 8 -m longtune extend …"

| a recipe says | each process holds | made by |
|---|---|---|
| sharding none | the whole model, other rows | torch's DDP |
| sharding fsdp2 | a part of every parameter, other rows | torch's fully_shard, layer by layer |
| sharding zero3 | the same | DeepSpeed's ZeRO stage 3 |
| sequence_parallel N | a part of each row, in groups of N processes | DeepSpeed's Ulysses |

Layers are wrapped by the names that a model's own class gives (`_no_split_modules`), so an adapter
and the copies that peft trains are sharded with the layer they are in; parameters that are trained
and those that are frozen may share one. Activations are checkpointed by the layers themselves
(`building.checkpoint_layers`), never a second time by FSDP.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from longdata.errors import UserError
from longdata.extras import require
from longtune.config import Recipe, Sharding
from longtune.groups import NAME
from longtune.precision import compute_dtype

_FIX_PROCESSES = "fix: torchrun --nproc-per-node {} -m longtune …"


def num_processes() -> int:
    """As the launcher says."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def default_sharding(method: str) -> Sharding:
    """FSDP2 for several GPUs; a model in 4 bits, and processes on a CPU, hold the whole model."""
    if num_processes() == 1 or method == "qlora":
        return "none"
    return "fsdp2" if _has_gpus() else "none"


def trainer_arguments(recipe: Recipe) -> dict[str, Any]:
    """The fields of TrainingArguments that divide a run.

    Raises UserError for what cannot be divided as the recipe says, on the machine as it is.
    """
    _check(recipe, num_processes())
    if recipe.sequence_parallel > 1:
        return {
            "deepspeed": deepspeed_config(recipe),
            "parallelism_config": parallelism(recipe.sequence_parallel),
        }
    if recipe.sharding == "zero3":
        return {"deepspeed": deepspeed_config(recipe)}
    if recipe.sharding == "fsdp2" and num_processes() > 1:
        return {"fsdp": True, "fsdp_config": dict(FSDP2)}
    return {}  # one process has nothing to share


# As accelerate's FSDP plugin names them. The state is gathered on the first process, whole, so that
# a checkpoint is the adapter or model that `longtune.checkpoint` loads, on any number of processes.
FSDP2: Mapping[str, Any] = {
    "version": 2,
    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "reshard_after_forward": True,
    "state_dict_type": "FULL_STATE_DICT",
    "cpu_ram_efficient_loading": False,  # an adapter's start is drawn in every process alike
    "activation_checkpointing": False,
}


def deepspeed_config(recipe: Recipe) -> dict[str, Any]:
    """What DeepSpeed is told; "auto" is filled in by transformers from its own arguments."""
    zero: dict[str, Any] = {"stage": 0}
    if recipe.sharding == "zero3":
        zero = {
            "stage": 3,
            "overlap_comm": True,
            "contiguous_gradients": True,
            "reduce_bucket_size": "auto",
            "stage3_prefetch_bucket_size": "auto",
            "stage3_param_persistence_threshold": "auto",
            "stage3_gather_16bit_weights_on_model_save": True,
        }
    return {
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": compute_dtype(recipe) == "bfloat16"},
        "gradient_clipping": "auto",
        "gradient_accumulation_steps": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "steps_per_print": 10**9,  # metrics.jsonl has the numbers
    }


def parallelism(size: int) -> Any:
    """accelerate's words for Ulysses: `size` processes share a row, and its heads in attention."""
    accelerate = require("accelerate", "finetune")
    words = require("accelerate.utils", "finetune")
    handler = words.DeepSpeedSequenceParallelConfig(sp_seq_length_is_variable=True)
    # Its constructor knows three names; DeepSpeed takes every one that transformers knows.
    handler.sp_attn_implementation = NAME
    return accelerate.ParallelismConfig(sp_backend="deepspeed", sp_size=size, sp_handler=handler)


def share_heads(model: Any, recipe: Recipe, *, rank: int) -> None:
    """Tell a model's layers which heads are theirs: Ulysses groups processes by their order."""
    if recipe.sequence_parallel > 1:
        from longtune.heads import set_share

        _require_divisible(model.config.get_text_config(decoder=True), recipe.sequence_parallel)
        set_share(model, rank % recipe.sequence_parallel, recipe.sequence_parallel)


def without_copies(model: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """A gathered state without the second name of weights that are tied: there it is a copy."""
    tied = {} if hasattr(model, "peft_config") else model.all_tied_weights_keys or {}
    return {name: tensor for name, tensor in state.items() if name not in tied}


def launch(arguments: Sequence[str], *, processes: int, accelerate: bool = False) -> str:
    """The command that runs `longtune …` in so many processes on this machine."""
    starter = (
        f"accelerate launch --num_processes {processes} -m longtune"
        if accelerate
        else f"torchrun --nproc-per-node {processes} -m longtune"
    )
    return f"{starter} {shlex.join(arguments)}"


def idle_gpus(arguments: Sequence[str]) -> str:
    """One line for a run of one process on a machine of several GPUs; "" where all are used."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if num_processes() > 1 or gpus < 2:
        return ""
    return f"1 of {gpus} GPUs is used; all of them: {launch(arguments, processes=gpus)}"


def _check(recipe: Recipe, processes: int) -> None:
    if recipe.method == "qlora" and recipe.sharding != "none":
        raise UserError(
            f"got sharding {recipe.sharding} with method qlora, whose 4-bit weights stay whole; "
            "allowed: sharding none, a whole model on each GPU; fix: sharding=none, or method=lora"
        )
    _check_parallel(recipe, processes)
    if recipe.sharding == "fsdp2" and processes > 1 and not _has_gpus():
        raise UserError(
            f"got sharding fsdp2 for {processes} processes without a GPU, where accelerate leaves "
            "it out; allowed on a CPU: none; fix: sharding=none"
        )
    if recipe.sharding == "fsdp2" and processes > 1 and recipe.optimizer.endswith("8bit"):
        raise UserError(
            f"got optimizer {recipe.optimizer} with sharding fsdp2, whose parameters it cannot "
            "read; allowed: adamw_torch, adamw_torch_fused; fix: optimizer=adamw_torch"
        )
    if (recipe.sharding == "zero3" or recipe.sequence_parallel > 1) and not _has_deepspeed():
        wanted = "sharding zero3" if recipe.sharding == "zero3" else "sequence_parallel"
        raise UserError(
            f"got {wanted} and no module named deepspeed; allowed without it: sharding fsdp2; fix: "
            "pip install deepspeed, or sharding=fsdp2 and sequence_parallel=1"
        )


def _check_parallel(recipe: Recipe, processes: int) -> None:
    size = recipe.sequence_parallel
    if size == 1:
        return
    if recipe.sharding == "fsdp2":
        raise UserError(
            f"got sequence_parallel {size} with sharding fsdp2; allowed: zero3 or none, DeepSpeed "
            "does both; fix: sharding=zero3"
        )
    if processes % size:
        raise UserError(
            f"got sequence_parallel {size} in {processes} process{'es' if processes > 1 else ''}; "
            f"allowed: a multiple of {size}; {_FIX_PROCESSES.format(size)}"
        )
    if recipe.ctx % size:
        raise UserError(
            f"got sequence_parallel {size} for a context of {recipe.ctx:,}; allowed: a divisor of "
            f"it; fix: ctx={recipe.ctx // size * size}"
        )


def _require_divisible(config: Any, size: int) -> None:
    """Ulysses gives each process as many query heads; keys are divided, or repeated, evenly."""
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    if heads % size or min(kv_heads % size, size % kv_heads):
        fits = [
            n for n in range(2, heads + 1) if not heads % n and not (kv_heads % n and n % kv_heads)
        ]
        raise UserError(
            f"got sequence_parallel {size} for {heads} heads with {kv_heads} of keys and values; "
            f"allowed: {', '.join(map(str, fits)) or 'none'}; fix: choose one, or 1"
        )


def _has_gpus() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _has_deepspeed() -> bool:
    return find_spec("deepspeed") is not None
