"""The weights of a checkpoint come back exactly, or the run does not go on with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_made import made

from longdata.errors import UserError
from longtune import checkpoint
from longtune.adapters import prepare
from longtune.building import build_model
from longtune.config import Recipe
from longtune.weights import load_weights

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")


def model_of(recipe: Recipe, seed: int) -> Any:
    """What is trained has random numbers."""
    model = prepare(build_model(recipe)[0], recipe)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter.data)
    return model


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_weight_comes_back(tmp_path: Path, method: str, tied: bool) -> None:
    recipe = made(tmp_path, tied=tied, method=method)
    saved, other = model_of(recipe, 1), model_of(recipe, 2)
    checkpoint.save(saved, tmp_path / "saved", recipe=recipe)
    load_weights(other, tmp_path / "saved")
    mine, theirs = dict(saved.named_parameters()), dict(other.named_parameters())
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    head = (other.get_base_model() if method == "lora" else other).get_output_embeddings()
    assert (head.weight is other.get_input_embeddings().weight) == tied


@pytest.mark.parametrize("method", ["lora", "full"])
def test_weights_that_are_not_all_there_are_refused(tmp_path: Path, method: str) -> None:
    from safetensors.torch import load_file, save_file

    recipe = made(tmp_path, method=method)
    model = model_of(recipe, 1)
    checkpoint.save(model, tmp_path / "saved", recipe=recipe)
    (file,) = (tmp_path / "saved").glob("*.safetensors")
    weights = load_file(file)
    del weights[sorted(weights)[0]]
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(UserError, match="missing or too many"):
        load_weights(model, tmp_path / "saved")
    file.write_bytes(b"no weights")
    with pytest.raises(UserError, match="do not fit"):
        load_weights(model, tmp_path / "saved")
