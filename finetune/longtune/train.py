"""Training, from a recipe and data to a model that reads a longer context. Read this first.

    recipe = from_dict({"task": "extend", "model": "meta-llama/Llama-2-7b-hf", "ctx": 32768,
                        "data": "packed", "out": "llama2-7b-32k"})
    data = PackedBatches.open(Path(recipe.data), ctx=recipe.ctx)
    run(recipe, data).model          -> llama2-7b-32k/model, an adapter that `longtune merge` merges

`run` is the whole method (LongLoRA, arXiv 2309.12307, section 3): positions are extended before the
weights are read, attention works in shifted groups while training, LoRA is trained with embeddings
and norms, and the last steps may see full attention. The loop itself is that of transformers'
Trainer; what is added to it is in trainer.py.

The same recipe and data give the same losses, on any number of processes and however often the run
was killed: examples are numbered by step, the loss is summed over tokens and divided once, and a
checkpoint holds everything that decides the next step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longdata.errors import UserError
from longdata.extras import require
from longtune import metrics
from longtune.adapters import prepare, trained_groups
from longtune.anneal import Anneal
from longtune.arguments import arguments_of, trackers_of
from longtune.building import build_model, checkpoint_layers
from longtune.checkpoint_facts import versions
from longtune.config import Recipe, to_dict
from longtune.data_order import InOrder, steps_of
from longtune.out_of_memory import explained
from longtune.precision import compute_dtype, hold_trained_in_float32
from longtune.progress import Progress, without_other_bars
from longtune.resume import RunFolder
from longtune.sharding import share_heads
from longtune.training_data import TrainingData
from longtune.training_forward import install


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A finished run: where its model is, after how many steps, and its last logged loss."""

    model: Path
    steps: int
    loss: float
    went_on_after: int  # the step of the checkpoint that it went on from; 0 = from the start


def run(
    recipe: Recipe, data: TrainingData, *, resume: bool = True, progress: Progress | None = None
) -> Trained:
    """Train as the recipe says, or go on where the same run was killed; all of it is in `out`.

    Called by every process of a distributed run. Without `resume` a folder that holds the same run
    is refused as well. Raises UserError for what cannot be trained as the recipe says.
    """
    require("accelerate", "finetune")
    progress = progress or Progress()
    folder = RunFolder(out=Path(recipe.out))
    args = arguments_of(recipe, folder)
    rows_per_step = recipe.rows_per_step(args.world_size)
    steps = steps_of(
        steps=recipe.steps,
        epochs=recipe.epochs,
        num_examples=len(data),
        rows_per_step=rows_per_step,
    )
    args.max_steps = steps
    said = _said(recipe, data.facts, steps=steps, rows_per_step=rows_per_step)
    folder.refuse_other_run(said)
    if not resume and folder.is_taken:
        raise UserError(f"got --out {folder.out}, which holds this run; fix: choose another name")
    last = None if folder.is_finished else folder.last_checkpoint()
    if folder.is_finished:
        return _trained(folder, steps, went_on_after=steps)
    args.distributed_state.wait_for_everyone()  # all have looked before the first one writes
    with args.main_process_first(desc="the folder of the run"):
        if args.process_index == 0:
            folder.begin(said, recipe)
            progress.recipe(recipe, data.facts, args.world_size)

    _set_seed(recipe.seed)
    with without_other_bars(), explained(recipe, num_processes=args.world_size):
        model, rope = build_model(recipe, device=_device(args))
        install(model, loss=recipe.loss)
        if recipe.checkpointing:
            checkpoint_layers(model, offload=recipe.offload)
        model = prepare(model, recipe)
        hold_trained_in_float32(model, compute_dtype(recipe))
        share_heads(model, recipe, rank=args.process_index)
        if args.process_index == 0:
            progress.model(rope, trained_groups(model))

        from longtune.trainer import LongTrainer, draw_losses

        trainer = LongTrainer(
            recipe=recipe,
            anneal=Anneal.of(recipe, steps),
            folder=folder,
            progress=progress,
            num_examples=len(data),
            model=model,
            args=args,
            train_dataset=InOrder(data, seed=recipe.seed, num_examples=steps * rows_per_step),
            data_collator=data.collate,
            callbacks=trackers_of(recipe, folder, is_main=args.process_index == 0),
        )
        done = 0 if last is None else int(last.name.rpartition("-")[2])
        progress.begin(steps, done)
        try:
            trainer.start_clock()
            trainer.train(resume_from_checkpoint=None if last is None else str(last))
        finally:
            progress.end()
            if args.process_index == 0:
                draw_losses(folder, recipe)
        trainer.save_model()  # last: the run is finished when it is there
        progress.saved(folder.model)
    return _trained(folder, steps, went_on_after=done)


def is_main() -> bool:
    """Whether this process is the only one, or the first of a distributed run."""
    return os.environ.get("RANK", "0") == "0"


def _said(
    recipe: Recipe, data: Mapping[str, Any], *, steps: int, rows_per_step: int
) -> dict[str, Any]:
    """run.json: what a run is."""
    return {
        "recipe": to_dict(recipe),
        "data": dict(data),
        "steps": steps,
        "rows_per_step": rows_per_step,
        "versions": versions(),
    }


def _trained(folder: RunFolder, steps: int, *, went_on_after: int) -> Trained:
    lines = metrics.read(folder.metrics.path)
    loss = lines[-1]["loss"] if lines else float("nan")
    return Trained(model=folder.model, steps=steps, loss=loss, went_on_after=went_on_after)


def _set_seed(seed: int) -> None:
    from transformers import set_seed

    set_seed(seed)


def _device(args: Any) -> str | None:
    """Weights are read straight to the GPU, where no sharding takes them apart first."""
    return str(args.device) if args.device.type == "cuda" and not _is_sharded(args) else None


def _is_sharded(args: Any) -> bool:
    return bool(args.fsdp or args.deepspeed)
