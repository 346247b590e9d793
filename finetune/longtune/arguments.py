"""A recipe in the words of transformers' Trainer.

    args = arguments_of(recipe, folder)
    args.per_device_train_batch_size, args.adam_beta2      -> 1, 0.95
    args.world_size                                        -> 8 under torchrun with eight GPUs

Every setting that could change a loss is said here, none is left to a default that may move.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from longdata.errors import UserError
from longtune.config import Recipe
from longtune.precision import compute_dtype
from longtune.resume import RunFolder


def arguments_of(recipe: Recipe, folder: RunFolder) -> Any:
    """The TrainingArguments of a run; joins the other processes where there are any.

    Raises UserError for a dtype, optimizer or tracker that is not there.
    """
    import torch
    from transformers import TrainingArguments

    _require_installed(recipe)
    on_gpu = torch.cuda.is_available()
    sharding: dict[str, Any] = {}
    if recipe.sharding != "none" or recipe.sequence_parallel > 1:
        from longtune.sharding import trainer_arguments

        sharding = trainer_arguments(recipe)
    return TrainingArguments(
        output_dir=str(folder.checkpoints),
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.accumulation,
        max_steps=recipe.steps,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        optim=recipe.optimizer,
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.beta1,
        adam_beta2=recipe.beta2,
        adam_epsilon=1e-8,
        max_grad_norm=recipe.max_grad_norm,
        average_tokens_across_devices=True,  # every token weighs the same on any number of them
        train_sampling_strategy="sequential",  # data_order.py has the order
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=not on_gpu,
        bf16=compute_dtype(recipe) == "bfloat16",
        fp16=False,
        tf32=True if on_gpu and torch.cuda.get_device_capability() >= (8, 0) else None,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        logging_strategy="steps",
        logging_steps=recipe.log_steps,
        logging_nan_inf_filter=False,  # a loss that is no number is an error
        report_to=["wandb"] if "wandb" in recipe.report_to else "none",
        disable_tqdm=True,
        **sharding,
    )


def trackers_of(recipe: Recipe, folder: RunFolder, *, is_main: bool) -> list[Any]:
    """What listens besides metrics.jsonl. W&B is transformers' own; TensorBoard gets a folder."""
    if "tensorboard" not in recipe.report_to or not is_main:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(log_dir=str(folder.out / "tensorboard")))]


def _require_installed(recipe: Recipe) -> None:
    """Before weights are read, which may take minutes."""
    import torch

    wanted = [
        (recipe.method == "qlora", "method=qlora", "bitsandbytes", "method=lora"),
        ("8bit" in recipe.optimizer, recipe.optimizer, "bitsandbytes", "optimizer=adamw_torch"),
        (recipe.loss == "liger", "loss=liger", "liger_kernel", "loss=chunked"),
    ]
    for is_wanted, what, module, instead in wanted:
        if is_wanted and find_spec(module) is None:
            raise UserError(
                f"got {what} and no module named {module}; needed: {_PACKAGES[module]}, on a GPU; "
                f"fix: pip install {_PACKAGES[module]}, or {instead}"
            )
        if is_wanted and not torch.cuda.is_available():
            raise UserError(f"got {what} and no GPU; needed: one; fix: {instead}")
    for name in recipe.report_to:
        if find_spec(name) is None:
            raise UserError(
                f"got report_to {name} and no module of that name; allowed: what is installed; "
                f"fix: pip install {name}, or leave it out"
            )


_PACKAGES = {"bitsandbytes": "bitsandbytes", "liger_kernel": "liger-kernel"}
