"""transformers' Trainer with what a run of longtune needs besides: see train.py for the whole.

    trainer = LongTrainer(recipe=…, anneal=…, folder=…, progress=…, model=…, args=…, …)
    trainer.train(resume_from_checkpoint=folder.last_checkpoint())

Four things are added: the group size of each step, a line of metrics with tokens and memory, a
checkpoint that is whole or not there, and its weights in the form that `longtune.checkpoint` loads.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import PrinterCallback, Trainer

from longdata.errors import UserError
from longtune import checkpoint, loss_plot, metrics
from longtune.anneal import Anneal
from longtune.building import attend_in_groups
from longtune.config import Recipe
from longtune.progress import Progress
from longtune.resume import RunFolder
from longtune.sharding import without_copies
from longtune.weights import load_weights

if TYPE_CHECKING:
    from torch import Tensor


def draw_losses(folder: RunFolder, recipe: Recipe) -> None:
    """loss.png of what metrics.jsonl holds by now."""
    title = f"{Path(recipe.model).name} at {recipe.ctx:,} tokens"
    loss_plot.draw(metrics.read(folder.metrics.path), folder.out / loss_plot.NAME, title=title)


class LongTrainer(Trainer):  # type: ignore[misc,unused-ignore]
    """A Trainer for one recipe."""

    def __init__(
        self,
        *,
        recipe: Recipe,
        anneal: Anneal,
        folder: RunFolder,
        progress: Progress,
        num_examples: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.remove_callback(PrinterCallback)
        self.recipe, self.anneal, self.folder, self.progress = recipe, anneal, folder, progress
        self._num_examples = num_examples
        self._group_size: int | None = None
        self._making: Path | None = None
        self._num_tokens, self._since = 0, time.monotonic()

    @property
    def is_sharded(self) -> bool:
        """Whether no process has the whole model."""
        return bool(self.is_fsdp_enabled or self.is_deepspeed_enabled)

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """One batch, with the group size of its step."""
        group_size = self.anneal.group_size_at(self.state.global_step)
        if group_size != self._group_size:
            attend_in_groups(self.accelerator.unwrap_model(self.model), group_size)
            self._group_size = group_size
        self._num_tokens += inputs["input_ids"].numel()
        return super().training_step(model, inputs, *args, **kwargs)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """A step's numbers, to every tracker, to metrics.jsonl and to the terminal."""
        if "loss" in logs:
            step = self.state.global_step
            if not math.isfinite(logs["loss"]):
                raise UserError(
                    f"got a loss of {logs['loss']} at step {step}; allowed: a number; fix: a lower "
                    "learning_rate, or dtype=float32"
                )
            now = time.monotonic()
            seconds, self._since = now - self._since, now
            tokens, self._num_tokens = self._gathered(self._num_tokens), 0
            rows = self.recipe.rows_per_step(self.args.world_size)
            logs |= {
                "tokens": tokens,
                "tokens_per_second": tokens / seconds,
                "seconds": seconds,
                "memory_bytes": metrics.memory_bytes(),
            }
            if self.is_world_process_zero():
                line = {
                    "step": step,
                    **logs,
                    "attention": "full" if self.anneal.is_exact(step - 1) else "s2",
                    "epoch": step * rows / self._num_examples,
                }
                self.folder.metrics.add(line)
                self.progress.step(line)
        super().log(logs, *args, **kwargs)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted here: `longtune plan` does, for the attention that is really computed."""
        return 0

    def start_clock(self) -> None:
        """Seconds and tokens count from now on."""
        self._num_tokens, self._since = 0, time.monotonic()

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The adapter or model with tokenizer, rope and recipe: see checkpoint.py."""
        folder = Path(output_dir or self.folder.model)
        gathered = self.accelerator.get_state_dict(self.model_wrapped) if self.is_sharded else None
        if self.args.should_save:
            model = self.accelerator.unwrap_model(self.model)
            if gathered is not None:
                gathered = without_copies(model, gathered)
            checkpoint.save(model, folder, recipe=self.recipe, state_dict=gathered)
        self.accelerator.wait_for_everyone()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        step = self.state.global_step
        self._making = self.folder.making(step)
        if self.args.should_save:
            shutil.rmtree(self._making, ignore_errors=True)
            self._making.mkdir()
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)  # asks `_get_output_dir` where to
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            self.progress.saved(self.folder.publish(step, keep=self.recipe.keep_checkpoints))
            draw_losses(self.folder, self.recipe)
        self._making = None
        self.accelerator.wait_for_everyone()

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._making or self.args.output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        if self.is_sharded:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_weights(model or self.model, Path(resume_from_checkpoint))

    def _gathered(self, number: int) -> int:
        """The sum over all processes."""
        import torch

        if self.args.world_size == 1:
            return number
        here = torch.tensor(number, device=self.args.device)
        return int(self.accelerator.gather(here).sum())
