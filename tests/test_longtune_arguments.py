"""Every setting of a recipe that the Trainer knows reaches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longdata.errors import UserError
from longtune.config import Recipe
from longtune.resume import RunFolder

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")

from longtune.arguments import arguments_of, trackers_of  # noqa: E402


def recipe(**settings: Any) -> Recipe:
    return Recipe(**{"task": "extend", "model": "m", "data": "d", "ctx": 32, "out": "o"} | settings)


@pytest.mark.parametrize(
    ("setting", "value", "argument"),
    [
        ("learning_rate", 0.5, "learning_rate"),
        ("weight_decay", 0.5, "weight_decay"),
        ("beta1", 0.5, "adam_beta1"),
        ("beta2", 0.5, "adam_beta2"),
        ("warmup_steps", 7, "warmup_steps"),
        ("schedule", "cosine", "lr_scheduler_type"),
        ("max_grad_norm", 0.5, "max_grad_norm"),
        ("optimizer", "adamw_torch_fused", "optim"),
        ("steps", 7, "max_steps"),
        ("batch_size", 7, "per_device_train_batch_size"),
        ("accumulation", 7, "gradient_accumulation_steps"),
        ("seed", 7, "seed"),
        ("save_steps", 7, "save_steps"),
        ("log_steps", 7, "logging_steps"),
    ],
)
def test_a_setting_is_an_argument(tmp_path: Path, setting: str, value: Any, argument: str) -> None:
    args = arguments_of(recipe(**{setting: value}), RunFolder(out=tmp_path))
    assert getattr(args, argument) == value


def test_bfloat16_is_computed_by_autocast(tmp_path: Path) -> None:
    folder = RunFolder(out=tmp_path)
    assert arguments_of(recipe(dtype="bfloat16"), folder).bf16
    assert not arguments_of(recipe(dtype="float32"), folder).bf16


def test_nothing_is_reported_that_was_not_asked_for(tmp_path: Path) -> None:
    folder = RunFolder(out=tmp_path)
    assert arguments_of(recipe(), folder).report_to == []
    assert trackers_of(recipe(), folder, is_main=True) == []
    assert trackers_of(recipe(report_to=("tensorboard",)), folder, is_main=False) == []


def test_a_tracker_that_is_not_installed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longtune.arguments.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        arguments_of(recipe(report_to=("tensorboard",)), RunFolder(out=tmp_path))


@pytest.mark.parametrize(
    ("settings", "package", "instead"),
    [
        ({"optimizer": "adamw_8bit"}, "bitsandbytes", "optimizer=adamw_torch"),
        ({"method": "qlora"}, "bitsandbytes", "method=lora"),
        ({"loss": "liger"}, "liger-kernel", "loss=chunked"),
    ],
)
def test_what_needs_a_gpu_and_a_package_is_refused_before_weights_are_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    package: str,
    instead: str,
) -> None:
    monkeypatch.setattr("longtune.arguments.find_spec", lambda name: None)
    with pytest.raises(UserError, match=f"fix: pip install {package}, or {instead}"):
        arguments_of(recipe(**settings), RunFolder(out=tmp_path))
    monkeypatch.setattr("longtune.arguments.find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"no GPU; needed: one; fix: {instead}"):
        arguments_of(recipe(**settings), RunFolder(out=tmp_path))
