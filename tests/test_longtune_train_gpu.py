"""On a CUDA device: the same losses in bfloat16 as in float32, and memory as it was asked for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from training_made import data_of, made, write_model, write_rows

from longtune import metrics
from longtune.config import Recipe, to_dict

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

pytestmark = pytest.mark.gpu

CTX = 8192


def losses(recipe: Recipe) -> list[float]:
    from longtune.train import run

    run(recipe, data_of(recipe))
    return [line["loss"] for line in metrics.read(Path(recipe.out) / metrics.NAME)]


def long(folder: Path, **settings: Any) -> Recipe:
    """Rows of 8,192 tokens in three documents, for a model of 64 numbers in each of four heads."""
    if not (folder / "model").exists():
        write_model(folder / "model", hidden_size=256, intermediate_size=512, num_hidden_layers=4)
        write_rows(folder / "packed", [(5000, 3000, 150)] * 4, ctx=CTX)
    return made(folder, ctx=CTX, batch_size=1, accumulation=1, **settings)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_losses_are_those_of_float32(tmp_path: Path, method: str) -> None:
    """bfloat16 keeps eight bits; the steps are those of float32."""
    half = losses(made(tmp_path, out=str(tmp_path / "half"), method=method, dtype="bfloat16"))
    exact = losses(made(tmp_path, out=str(tmp_path / "exact"), method=method, dtype="float32"))
    assert half == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("settings", [{"documents": "ignore"}, {"positions": "continue"}, {}])
def test_packed_rows_are_trained_by_the_kernels_of_a_gpu(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    half = losses(long(tmp_path, out=str(tmp_path / "half"), dtype="bfloat16", **settings))
    exact = losses(long(tmp_path, out=str(tmp_path / "exact"), dtype="float32", **settings))
    assert half == pytest.approx(exact, abs=0.02)


def test_checkpointing_and_offload_take_less_memory_and_give_the_same_losses(
    tmp_path: Path,
) -> None:
    settings: dict[str, dict[str, Any]] = {
        "nothing": {},
        "kept": {"checkpointing": True},
        "offloaded": {"checkpointing": True, "offload": True},
    }
    found, peaks = {}, {}
    for name, changes in settings.items():
        recipe = long(tmp_path, out=str(tmp_path / name), dtype="bfloat16", **changes)
        found[name] = losses(recipe)
        line = metrics.read(Path(recipe.out) / metrics.NAME)[-1]
        peaks[name] = line["memory_bytes"]
    assert found["kept"] == pytest.approx(found["nothing"], abs=0.005)
    assert found["offloaded"] == pytest.approx(found["kept"], abs=0.005)
    assert peaks["offloaded"] < peaks["kept"] < peaks["nothing"]


@pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)
def test_qlora_trains_what_lora_trains(tmp_path: Path) -> None:
    found = losses(long(tmp_path, method="qlora", dtype="bfloat16"))
    assert found[-1] < found[0]


@pytest.mark.skipif(
    importlib.util.find_spec("liger_kernel") is None, reason="liger-kernel is not installed"
)
def test_ligers_loss_is_the_chunked_one(tmp_path: Path) -> None:
    chunked = losses(long(tmp_path, out=str(tmp_path / "chunked"), dtype="bfloat16"))
    liger = losses(long(tmp_path, out=str(tmp_path / "liger"), dtype="bfloat16", loss="liger"))
    assert liger == pytest.approx(chunked, abs=0.02)


def test_a_full_gpu_is_one_line(tmp_path: Path) -> None:
    from longdata.errors import UserError

    recipe = long(tmp_path, checkpointing=False, loss="plain")
    torch.cuda.set_per_process_memory_fraction(0.0005)
    try:
        with pytest.raises(UserError, match=r"GPU of \d+ GiB that is full"):
            losses(recipe)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert to_dict(recipe)["ctx"] == CTX
