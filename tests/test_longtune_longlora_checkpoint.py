"""LongLoRA's published layout, made with a small model, becomes an adapter of today."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from small_models import LONG, VOCAB, logits, recipe_for, trained, write_model

from longdata.errors import UserError

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

from longtune.checkpoint import load  # noqa: E402
from longtune.longlora_checkpoint import (  # noqa: E402
    LORA,
    PUBLISHED,
    TRAINED,
    convert,
    is_longlora,
    published,
    read_longlora,
    tensors_of,
)
from longtune.merging import merge  # noqa: E402

torch.set_num_threads(1)
PREFIX = "base_model.model."


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "model", tied=False)


def trained_model(base: Path) -> Any:
    """A model trained as LongLoRA's was: a [PAD] more in the vocabulary, embeddings and norms."""
    return trained(recipe_for(base), rows=VOCAB + 1)


def write_longlora(folder: Path, model: Any, *, base: str) -> Path:
    """The three files of LongLoRA's get_trainable_weights.py and of peft 0.4."""
    folder.mkdir()
    state = model.state_dict()
    lora = {
        name.replace("default.", ""): tensor.clone()
        for name, tensor in state.items()
        if "lora" in name
    }
    others = {
        name[len(PREFIX) :].replace("modules_to_save.default.", ""): tensor.clone()
        for name, tensor in state.items()
        if "lora" not in name
        and "original_module" not in name
        and any(part in name for part in ("embed", "norm"))
    }
    torch.save(lora, folder / LORA)
    torch.save(others, folder / TRAINED)
    config = {
        "auto_mapping": None,
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layers_pattern": None,
        "layers_to_transform": None,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": 8,
        "revision": None,
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture
def published_folder(base: Path, tmp_path: Path) -> Path:
    return write_longlora(tmp_path / "run", trained_model(base), base=str(base))


def test_the_layout_is_that_of_the_published_files(published_folder: Path) -> None:
    lora = torch.load(published_folder / LORA, weights_only=True)
    others = torch.load(published_folder / TRAINED, weights_only=True)
    assert "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight" in lora
    assert len(lora) == 2 * 4 * 2
    assert sorted(others) == [
        "model.embed_tokens.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.layers.1.input_layernorm.weight",
        "model.layers.1.post_attention_layernorm.weight",
        "model.norm.weight",
    ]


def test_it_is_loaded_as_it_was_trained(published_folder: Path, base: Path) -> None:
    loaded = load(published_folder, ctx=LONG)
    assert loaded.rope is not None
    assert (loaded.rope.kind, loaded.rope.factor, loaded.ctx) == ("linear", 4.0, LONG)
    # The head's row for [PAD] was not saved: LongLoRA makes it the mean of the others, as here.
    wanted = logits(trained_model(base))[..., :VOCAB]
    assert torch.equal(logits(loaded.model)[..., :VOCAB], wanted)
    head = loaded.model.get_output_embeddings().weight
    assert torch.allclose(head[VOCAB], head[:VOCAB].mean(0), atol=1e-6)


def test_import_writes_an_adapter_that_is_loaded_and_merged(
    published_folder: Path, base: Path, tmp_path: Path
) -> None:
    convert(published_folder, tmp_path / "adapter", ctx=LONG)
    assert {path.suffix for path in (tmp_path / "adapter").iterdir()} <= {".json", ".safetensors"}
    before = logits(load(published_folder, ctx=LONG).model)
    loaded = load(tmp_path / "adapter")
    assert torch.equal(logits(loaded.model), before)
    assert loaded.facts is not None and "LongLoRA's run" in loaded.facts.origin
    for source, ctx in ((tmp_path / "adapter", None), (published_folder, LONG)):
        merge(source, tmp_path / f"merged-{ctx}", ctx=ctx)
        merged = load(tmp_path / f"merged-{ctx}")
        assert (logits(merged.model) - before).abs().max() < 1e-5 * before.abs().max()
        assert merged.ctx == LONG and merged.description["vocab_size"] == VOCAB + 1


@pytest.mark.parametrize(
    ("name", "factor", "ctx"),
    [
        ("Llama-2-7b-longlora-8k", 2, 8192),
        ("Llama-2-7b-longlora-16k", 4, 16384),
        ("Llama-2-7b-longlora-32k", 8, 32768),
        ("Llama-2-13b-longlora-64k", 16, 65536),
        ("Llama-2-7b-longlora-100k-ft", 25, 100_000),
        ("Llama-2-70b-chat-longlora-32k", 8, 32768),
        ("LongAlpaca-70B-lora", 8, 32768),
    ],
)
def test_known_names_have_known_factors(
    base: Path, tmp_path: Path, name: str, factor: int, ctx: int
) -> None:
    original = write_model(tmp_path / "llama", tied=False, max_position_embeddings=4096)
    folder = write_longlora(tmp_path / name, trained_model(base), base="/data/Llama-2-7b-hf")
    facts = read_longlora(folder, base=str(original)).facts
    assert facts is not None
    assert facts.rope["rope_parameters"]["factor"] == factor
    assert (facts.ctx, facts.original_ctx) == (ctx, 4096)
    assert facts.origin == f"imported from LongLoRA's {name}"
    assert published(name) is not None and facts.base.name == str(original)


def test_names_are_found_in_paths_of_the_hub() -> None:
    cached = "/cache/hub/models--Yukang--Llama-2-13b-longlora-64k/snapshots/0a1b2c"
    for name in ("Yukang/Llama-2-13b-longlora-64k", "llama-2-13b-LongLoRA-64k/", cached):
        entry = published(name)
        assert entry is not None and entry.ctx == 65536
    for name in ("Llama-2-7b-hf", "/x/Llama-2-7b-longlora-8k/checkpoint-1000"):
        assert published(name) is None
    assert {entry.ctx for entry in PUBLISHED.values()} == {8192, 16384, 32768, 65536, 100_000}


def test_a_context_is_needed_and_must_be_the_published_one(
    published_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="--ctx 32768, for example"):
        read_longlora(published_folder)
    known = published_folder.rename(tmp_path / "Llama-2-7b-longlora-8k")
    with pytest.raises(UserError, match=r"16,384 .* was published with 8,192"):
        read_longlora(known, ctx=16384)


def test_without_embeddings_and_norms_it_is_refused(published_folder: Path) -> None:
    (published_folder / TRAINED).unlink()
    with pytest.raises(UserError, match=rf"without {TRAINED}.*get_trainable_weights\.py"):
        load(published_folder, ctx=LONG)


def test_a_base_that_is_not_here_is_asked_for(base: Path, tmp_path: Path) -> None:
    folder = write_longlora(tmp_path / "run", trained_model(base), base="/data/Llama-2-7b-hf")
    with pytest.raises(UserError, match="an adapter for /data/Llama-2-7b-hf, which is not here"):
        load(folder, ctx=LONG)
    assert load(base, adapter=folder, ctx=LONG).ctx == LONG


class Harm:
    """What a hostile pickle would do when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, ("harm",))


@pytest.mark.parametrize("name", [LORA, TRAINED])
@pytest.mark.parametrize("way", ["torch", "legacy", "pickle"])
def test_a_hostile_pickle_is_refused(
    published_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    monkeypatch.chdir(tmp_path)
    held = {"model.norm.weight": Harm()}
    if way == "pickle":
        (published_folder / name).write_bytes(pickle.dumps(held))
    else:
        torch.save(held, published_folder / name, _use_new_zipfile_serialization=way == "torch")
    with pytest.raises(UserError, match="more than tensors, or is damaged") as error:
        load(published_folder, ctx=LONG)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "held",
    [
        {},
        [torch.zeros(2)],
        {"model.norm.weight": "text"},
        {"model.norm.weight": torch.zeros(2, dtype=torch.long)},
        {"model.norm.weight": torch.eye(2).to_sparse()},
        {"__class__": torch.zeros(2)},
        {7: torch.zeros(2)},
    ],
    ids=["nothing", "list", "text", "integers", "sparse", "name", "number"],
)
def test_what_is_no_dict_of_weights_is_refused(published_folder: Path, held: Any) -> None:
    torch.save(held, published_folder / TRAINED)
    with pytest.raises(UserError, match="no dict of named weights"):
        tensors_of(published_folder / TRAINED)


def test_weights_that_the_model_has_not_are_refused(published_folder: Path) -> None:
    held = torch.load(published_folder / TRAINED, weights_only=True)
    held["model.layers.7.input_layernorm.weight"] = torch.zeros(32)
    torch.save(held, published_folder / TRAINED)
    with pytest.raises(UserError, match=r"with model\.layers\.7\.input_layernorm\.weight"):
        load(published_folder, ctx=LONG)


def test_other_adapters_need_no_import(base: Path, tmp_path: Path) -> None:
    assert not is_longlora(base)
    with pytest.raises(UserError, match="no checkpoint of LongLoRA"):
        convert(base, tmp_path / "adapter")
