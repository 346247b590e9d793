"""A full GPU is one line, with the context that `longtune plan` finds to fit."""

from __future__ import annotations

from typing import Any

import pytest

from longdata.errors import UserError
from longtune import memory
from longtune.config import Recipe
from longtune.memory import GIB, METHODS, Training
from longtune.out_of_memory import explained, line_for, training_of
from longtune.shapes import shape_of


def recipe(**settings: Any) -> Recipe:
    given = {"task": "extend", "model": "llama2-7b", "data": "d", "ctx": 131072, "out": "o"}
    return Recipe(**{**given, **settings})


def test_the_line_names_the_context_that_is_planned_to_fit() -> None:
    fits = memory.largest_ctx(
        shape_of("llama2-7b"), Training(num_gpus=1, sharding="none"), memory=40 * GIB
    )
    line = line_for(recipe(), num_processes=1, gpu_bytes=40 * GIB)
    assert f"planned: {fits:,} tokens fit; fix: ctx={fits}" in line
    assert "offload=true" in line
    assert 0 < fits < 131072


def test_advice_is_what_is_not_done_already() -> None:
    done = recipe(offload=True, sharding="fsdp2")
    line = line_for(done, num_processes=2, gpu_bytes=20 * GIB)
    assert "offload=true" not in line
    assert "more GPUs" in line
    roomy = line_for(recipe(ctx=4096), num_processes=1, gpu_bytes=80 * GIB)
    assert "were planned to fit" in roomy


def test_a_model_whose_shape_is_not_known_gets_advice_all_the_same() -> None:
    line = line_for(recipe(model="nowhere/model"), num_processes=1, gpu_bytes=80 * GIB)
    assert "allowed: what fits" in line


def test_a_recipe_is_planned_as_it_is_trained() -> None:
    assert training_of(recipe(), num_processes=1).method == METHODS["lora-embed-norm"].__class__(
        title="lora", train_embeddings=True, train_norms=True
    )
    assert training_of(recipe(method="full"), num_processes=8).method == METHODS["full"]
    plain = training_of(recipe(loss="plain", checkpointing=False), num_processes=1)
    assert (plain.chunked_loss, plain.checkpointing) == (False, "none")


def test_torchs_error_becomes_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")

    class Properties:
        total_memory = 80 * GIB

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda *_: Properties)
    with (
        pytest.raises(UserError, match=r"got ctx 131,072 and a GPU of 80 GiB"),
        explained(recipe(), num_processes=1),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(ValueError, match="else"), explained(recipe(), num_processes=1):
        raise ValueError("something else")
