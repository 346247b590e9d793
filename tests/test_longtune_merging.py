"""A merged model is the adapter on its base: the same logits, read by transformers alone."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from small_models import CTX, LONG, VOCAB, logits, recipe_for, trained, write_model

from longdata.errors import UserError

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from longtune.checkpoint import load, save  # noqa: E402
from longtune.merging import merge  # noqa: E402

torch.set_num_threads(1)
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "model", tied=request.param)


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "adapter"
    save(trained(recipe_for(base)), folder, recipe=recipe_for(base))
    return folder


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-6)])
def test_the_logits_are_those_of_the_adapter(
    adapter: Path, tmp_path: Path, dtype: str, bound: float
) -> None:
    merge(adapter, tmp_path / "merged", dtype=dtype)
    before = logits(load(adapter, dtype=dtype).model)
    after = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    assert after.dtype == getattr(torch, dtype)
    assert (after - before).abs().max() < bound * before.abs().max()
    assert (before - logits(load(load(adapter).description["model"]).model)).abs().max() > 0.1


def test_weights_are_rounded_once(adapter: Path, tmp_path: Path) -> None:
    merge(adapter, tmp_path / "exact", dtype="float32")
    merge(adapter, tmp_path / "rounded", dtype="bfloat16")
    # The base itself is rounded when it is loaded in bfloat16: so it is for the exact one here.
    base = load(load(adapter).description["model"], dtype="bfloat16").model.state_dict()
    lora = load(adapter).model.state_dict()
    name = "model.layers.0.self_attn.q_proj"
    up = lora[f"base_model.model.{name}.lora_B.default.weight"]
    down = lora[f"base_model.model.{name}.lora_A.default.weight"]
    wanted = (base[f"{name}.weight"].float() + 2 * (up @ down)).bfloat16()
    assert torch.equal(
        load_file(tmp_path / "rounded" / "model.safetensors")[f"{name}.weight"], wanted
    )


def test_rope_length_and_tokenizer_are_in_the_folder(adapter: Path, tmp_path: Path) -> None:
    said = merge(adapter, tmp_path / "merged")
    config = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").config
    assert config.rope_parameters["rope_type"] == "linear"
    assert config.rope_parameters["factor"] == LONG / CTX
    assert config.max_position_embeddings == LONG == said.ctx
    assert config.original_max_position_embeddings == CTX
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").model_max_length == LONG
    assert "base_model" not in config.to_dict()


def test_tied_embeddings_stay_tied(adapter: Path, base: Path, tmp_path: Path) -> None:
    tied = load(base).description["tied"]
    said = merge(adapter, tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert model.config.tie_word_embeddings == tied == said.tied
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    stored = load_file(tmp_path / "merged" / "model.safetensors")
    assert ("lm_head.weight" in stored) != tied


def test_embeddings_that_were_untied_come_out_untied(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base")
    recipe = recipe_for(base, untie_embeddings=True)
    model = trained(recipe)
    save(model, tmp_path / "adapter", recipe=recipe)
    merge(tmp_path / "adapter", tmp_path / "merged")
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert not after.config.tie_word_embeddings
    assert torch.allclose(logits(after), logits(model), atol=1e-4)


def test_weights_are_in_shards_of_the_size_asked_for(adapter: Path, tmp_path: Path) -> None:
    said = merge(adapter, tmp_path / "merged", shard="20KB")
    files = sorted((tmp_path / "merged").glob("*.safetensors"))
    assert len(files) == said.files > 2
    assert (tmp_path / "merged" / "model.safetensors.index.json").is_file()
    assert sum(file.stat().st_size for file in files) == said.size
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert torch.allclose(logits(after), logits(load(adapter).model), atol=1e-4)


def test_longtune_json_tells_where_it_came_from(adapter: Path, base: Path, tmp_path: Path) -> None:
    merge(adapter, tmp_path / "merged")
    facts = json.loads((tmp_path / "merged" / "longtune.json").read_text(encoding="utf-8"))
    assert facts["kind"] == "model"
    assert facts["origin"] == f"adapter merged into {base}"
    assert facts["recipe"]["ctx"] == facts["ctx"] == LONG
    loaded = load(tmp_path / "merged")
    assert (loaded.ctx, loaded.description["kind"]) == (LONG, "extended model")


def test_a_vocabulary_that_grew_is_merged(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", tied=False)
    recipe = recipe_for(base)
    model = trained(recipe, rows=VOCAB + 1)
    save(model, tmp_path / "adapter", recipe=recipe)
    merge(tmp_path / "adapter", tmp_path / "merged")
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert after.config.vocab_size == VOCAB + 1
    # The new row of the head was nobody's: it is the mean of the others, the rest is as trained.
    assert torch.allclose(logits(after)[..., :VOCAB], logits(model)[..., :VOCAB], atol=1e-4)
    head = after.lm_head.weight
    assert torch.allclose(head[-1], head[:-1].mean(0), atol=1e-6)


def test_an_adapter_of_peft_is_merged_for_the_rope_of_its_base(base: Path, tmp_path: Path) -> None:
    recipe = recipe_for(base)
    save(trained(recipe), tmp_path / "adapter", recipe=recipe)
    (tmp_path / "adapter" / "longtune.json").unlink()
    said = merge(tmp_path / "adapter", tmp_path / "merged")
    assert said.ctx == CTX
    assert load(tmp_path / "merged").ctx == CTX


def test_a_folder_that_holds_something_is_not_overwritten(adapter: Path, tmp_path: Path) -> None:
    merge(adapter, tmp_path / "merged")
    with pytest.raises(UserError, match="taken"):
        merge(adapter, tmp_path / "merged")
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="taken"):
        merge(adapter, tmp_path / "file")


def test_a_full_disk_leaves_nothing(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", full)
    with pytest.raises(UserError, match="make room"):
        merge(adapter, tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_no_numbers_are_not_written(base: Path, tmp_path: Path) -> None:
    save(trained(recipe_for(base)), tmp_path / "adapter", recipe=recipe_for(base))
    weights = load_file(tmp_path / "adapter" / WEIGHTS)
    name = next(name for name in weights if "lora_B" in name)
    weights[name][0, 0] = float("nan")
    save_file(weights, tmp_path / "adapter" / WEIGHTS)
    with pytest.raises(UserError, match=r"_proj\.weight NaN or infinite"):
        merge(tmp_path / "adapter", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_what_is_no_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="which is no adapter"):
        merge(base, tmp_path / "merged")


@pytest.mark.parametrize("arguments", [{"dtype": "int4"}, {"ctx": 64}])
def test_a_mistake_leaves_nothing(adapter: Path, tmp_path: Path, arguments: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="fix: leave it out"):
        merge(adapter, tmp_path / "merged", **arguments)
    assert not (tmp_path / "merged").exists()
