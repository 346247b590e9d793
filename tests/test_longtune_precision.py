"""What is trained is held in float32, and what flows between the layers is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_made import CTX, data_of, made

from longtune.adapters import prepare
from longtune.building import build_model
from longtune.config import Recipe
from longtune.precision import compute_dtype, hold_trained_in_float32
from longtune.training_forward import install

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")


def model_of(recipe: Recipe) -> Any:
    model, _ = build_model(recipe)
    install(model, loss="chunked")
    model = prepare(model, recipe)
    hold_trained_in_float32(model, compute_dtype(recipe))
    return model.train()


def loss_of(model: Any, recipe: Recipe, dtype: str) -> Any:
    data = data_of(recipe)
    with torch.autocast("cpu", getattr(torch, dtype), enabled=dtype != "float32"):
        return model(**data.collate([data[0], data[1]])).loss


@pytest.mark.parametrize("method", ["lora", "full"])
def test_trained_in_float32_frozen_in_bfloat16(tmp_path: Path, method: str) -> None:
    model = model_of(made(tmp_path, method=method, dtype="bfloat16"))
    dtypes = {(p.requires_grad, p.dtype) for p in model.parameters()}
    trained, frozen = (True, torch.float32), (False, torch.bfloat16)
    assert dtypes == ({trained, frozen} if method == "lora" else {trained})


@pytest.mark.parametrize("method", ["lora", "full"])
def test_between_the_layers_everything_is_bfloat16(tmp_path: Path, method: str) -> None:
    recipe = made(tmp_path, method=method, dtype="bfloat16")
    model = model_of(recipe)
    seen = []
    for name, module in model.named_modules():
        if name.endswith(("layers.0", "layers.1", "self_attn", "mlp", "norm", "layernorm")):
            module.register_forward_hook(
                lambda m, a, out: seen.append(out[0].dtype if isinstance(out, tuple) else out.dtype)
            )
    loss_of(model, recipe, "bfloat16")
    assert len(seen) >= 8
    assert set(seen) == {torch.bfloat16}


def test_the_loss_is_that_of_float32_within_bfloat16(tmp_path: Path) -> None:
    half = made(tmp_path, dtype="bfloat16")
    exact = made(tmp_path, dtype="float32")
    one = loss_of(model_of(half), half, "bfloat16")
    other = loss_of(model_of(exact), exact, "float32")
    assert one.dtype == torch.float32
    assert one.item() == pytest.approx(other.item(), abs=0.01)


def test_small_steps_are_not_rounded_away(tmp_path: Path) -> None:
    recipe = made(tmp_path, dtype="bfloat16", learning_rate=1e-5)
    model = model_of(recipe)
    embedding = model.get_base_model().get_input_embeddings().weight
    before = embedding.detach().clone()
    optimizer = torch.optim.AdamW([embedding], lr=recipe.learning_rate, weight_decay=0)
    loss_of(model, recipe, "bfloat16").backward()
    optimizer.step()
    moved = (embedding - before).abs()
    assert moved.max().item() == pytest.approx(1e-5, rel=0.1)
    assert data_of(recipe).ctx == CTX


def test_auto_is_float32_on_a_cpu(tmp_path: Path) -> None:
    wanted = "bfloat16" if torch.cuda.is_available() else "float32"
    assert compute_dtype(made(tmp_path)) == wanted
    assert compute_dtype(made(tmp_path, dtype="bfloat16")) == "bfloat16"
