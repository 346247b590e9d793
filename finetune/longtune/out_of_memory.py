"""A GPU that is full: one line that says how long a context it would have taken.

    with explained(recipe, num_processes=8):
        trainer.train()
    -> UserError: got ctx 131,072 and a GPU of 79 GiB that is full; planned: 94,208 fit; fix: …

The number is that of `longtune plan` for the same model, method and sharding; it is planned, not
measured.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from longdata.errors import UserError
from longtune import memory
from longtune.config import Recipe
from longtune.memory import GIB, METHODS, Checkpointing, Sharding, Training
from longtune.shapes import shape_of

_SHARDING: dict[str, Sharding] = {"none": "none", "fsdp2": "fsdp", "zero3": "fsdp"}


@contextlib.contextmanager
def explained(recipe: Recipe, *, num_processes: int) -> Iterator[None]:
    """Turn torch's out-of-memory error into the line for the user."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        size = float(torch.cuda.get_device_properties().total_memory)
        raise UserError(line_for(recipe, num_processes=num_processes, gpu_bytes=size)) from error


def line_for(recipe: Recipe, *, num_processes: int, gpu_bytes: float) -> str:
    """What to do about a GPU of so many bytes that is full."""
    got = f"got ctx {recipe.ctx:,} and a GPU of {gpu_bytes / GIB:.0f} GiB that is full"
    try:
        shape = shape_of(recipe.model)
    except UserError:
        return (
            f"{got}; allowed: what fits; fix: a smaller ctx, checkpointing=true, offload=true or "
            "sharding=fsdp2 on more GPUs"
        )
    training = training_of(recipe, num_processes=num_processes)
    fits = memory.largest_ctx(shape, training, memory=gpu_bytes)
    if fits >= recipe.ctx:
        return (
            f"{got}, though {fits:,} tokens were planned to fit; fix: see what else is on it, or a "
            "smaller ctx"
        )
    advice = [] if recipe.checkpointing else ["checkpointing=true"]
    advice += [] if recipe.offload else ["offload=true"]
    advice += ["sharding=fsdp2 on more GPUs"] if recipe.sharding == "none" else ["more GPUs"]
    return f"{got}; planned: {fits:,} tokens fit; fix: ctx={fits}, {' or '.join(advice)}"


def training_of(recipe: Recipe, *, num_processes: int) -> Training:
    """A recipe as far as memory.py knows."""
    kept: Checkpointing = "layer" if recipe.checkpointing else "none"
    if recipe.method == "full":
        method = METHODS["full"]
    else:
        method = memory.Method(
            title=recipe.method,
            train_embeddings=recipe.train_embeddings,
            train_norms=recipe.train_norms,
            quantised=recipe.method == "qlora",
        )
    return Training(
        method=method,
        num_gpus=num_processes,
        sharding=_SHARDING[recipe.sharding],
        checkpointing="offload" if recipe.offload else kept,
        rows_per_gpu=recipe.batch_size,
        lora_rank=recipe.lora_r,
        chunked_loss=recipe.loss != "plain",
    )
