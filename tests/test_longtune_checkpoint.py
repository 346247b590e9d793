"""What was trained comes back as it was, on the base it was trained on, or not at all."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_models import CTX, LONG, VOCAB, logits, recipe_for, trained, write_model

from longdata.errors import UserError

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("peft", reason="peft is not installed")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from longtune.adapters import is_tied  # noqa: E402
from longtune.base_weights import differing, sample_of  # noqa: E402
from longtune.checkpoint import load, rope_or_none, save  # noqa: E402
from longtune.rope import fields_of  # noqa: E402

torch.set_num_threads(1)
WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "model", tied=request.param)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("plain") / "model")


@pytest.fixture
def adapter(plain: Path, tmp_path: Path) -> Path:
    save(trained(recipe_for(plain)), tmp_path / "adapter", recipe=recipe_for(plain))
    return tmp_path / "adapter"


def told(folder: Path) -> Any:
    return json.loads((folder / "longtune.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("changes", [{}, {"train_embeddings": False}, {"train_norms": False}])
def test_an_adapter_comes_back_with_the_same_logits(
    base: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    recipe = recipe_for(base, **changes)
    model = trained(recipe)
    save(model, tmp_path / "adapter", recipe=recipe)
    loaded = load(tmp_path / "adapter")
    assert torch.equal(logits(loaded.model), logits(model))
    assert not loaded.model.training
    assert not any(p.requires_grad for p in loaded.model.parameters())
    assert is_tied(loaded.model) == is_tied(model) == loaded.description["tied"]


def test_rope_and_length_come_back_before_the_model_is_built(adapter: Path, plain: Path) -> None:
    loaded = load(adapter)
    assert loaded.rope is not None
    assert (loaded.rope.kind, loaded.rope.factor, loaded.ctx) == ("linear", LONG / CTX, LONG)
    built = loaded.model.get_base_model().model.rotary_emb.inv_freq
    assert torch.allclose(
        built * LONG / CTX, load(plain).model.model.rotary_emb.inv_freq, rtol=1e-6
    )
    assert loaded.tokenizer.model_max_length == LONG
    assert loaded.model.config.max_position_embeddings == LONG


def test_the_base_may_lie_elsewhere(adapter: Path, plain: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(plain, tmp_path / "moved")
    assert torch.equal(logits(load(moved, adapter=adapter).model), logits(load(adapter).model))


def test_an_adapter_can_be_trained_further(adapter: Path, plain: Path) -> None:
    once = {n for n, p in trained(recipe_for(plain)).named_parameters() if p.requires_grad}
    again = load(adapter, trainable=True).model
    assert {n for n, p in again.named_parameters() if p.requires_grad} == once


def test_peft_alone_reads_the_adapter_too(adapter: Path, plain: Path) -> None:
    from peft import PeftModel

    config = AutoConfig.from_pretrained(plain)
    for name, value in told(adapter)["rope"].items():
        setattr(config, name, value)
    model = AutoModelForCausalLM.from_pretrained(plain, config=config)
    assert torch.equal(
        logits(PeftModel.from_pretrained(model, adapter).eval()), logits(load(adapter).model)
    )


def test_a_model_that_was_trained_whole_is_loaded_by_transformers(
    base: Path, tmp_path: Path
) -> None:
    recipe = recipe_for(base, method="full")
    model = trained(recipe)
    save(model, tmp_path / "full", recipe=recipe)
    there = AutoModelForCausalLM.from_pretrained(tmp_path / "full").eval()
    assert torch.equal(logits(there), logits(model))
    assert there.config.rope_parameters["factor"] == LONG / CTX
    loaded = load(tmp_path / "full")
    assert (loaded.ctx, loaded.description["kind"]) == (LONG, "extended model")
    assert AutoTokenizer.from_pretrained(tmp_path / "full").model_max_length == LONG


def test_longtune_json_says_what_the_weights_do_not(adapter: Path, plain: Path) -> None:
    facts = told(adapter)
    assert facts["kind"] == "adapter" and facts["base"]["name"] == str(plain)
    assert (facts["ctx"], facts["original_ctx"], facts["vocab_size"]) == (LONG, CTX, VOCAB)
    assert facts["recipe"]["lora_r"] == 8 and facts["tied"] is True
    assert {"torch", "transformers", "peft"} <= set(facts["versions"])


def test_nothing_of_the_attention_is_saved(plain: Path, tmp_path: Path) -> None:
    import longtune

    recipe = recipe_for(plain, method="full")
    model = trained(recipe)
    model.set_attn_implementation("s2_attn")
    longtune.set_group_size(model, 16)
    save(model, tmp_path / "full", recipe=recipe)
    text = (tmp_path / "full" / "config.json").read_text(encoding="utf-8")
    assert "s2" not in text and "group" not in text


def test_an_earlier_checkpoint_is_replaced_and_nothing_else_is(
    adapter: Path, plain: Path, tmp_path: Path
) -> None:
    other = trained(recipe_for(plain), seed=9)
    save(other, adapter, recipe=recipe_for(plain))
    assert torch.equal(logits(load(adapter).model), logits(other))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="taken"):
        save(other, tmp_path / "mine", recipe=recipe_for(plain))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("full", [True, False])
def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoint(
    adapter: Path, plain: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    from safetensors import SafetensorError

    before = logits(load(adapter).model)

    def fails(*_: object, **__: object) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", fails)
    with pytest.raises(UserError, match=r"cannot be written.*make room"):
        save(trained(recipe_for(plain), seed=9), adapter, recipe=recipe_for(plain))
    monkeypatch.undo()
    assert torch.equal(logits(load(adapter).model), before)
    assert [path.name for path in adapter.parent.iterdir()] == ["adapter"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": VOCAB + 1}, f"vocab_size is {VOCAB + 1}.*with {VOCAB}"),
        ({"hidden_size": 64}, "hidden_size is 64.*with 32"),
        ({"num_hidden_layers": 3}, "num_hidden_layers is 3.*with 2"),
        ({"seed": 4}, "is not that of"),
    ],
)
def test_another_base_is_refused_in_one_line(
    adapter: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    other = write_model(tmp_path / "other", **changes)
    with pytest.raises(UserError, match=said) as error:
        load(other, adapter=adapter)
    assert "\n" not in str(error.value) and "fix:" in str(error.value)


def test_a_base_that_is_not_here_is_one_line(adapter: Path) -> None:
    facts = told(adapter)
    facts["base"]["name"] = "nobody/nothing"
    (adapter / "longtune.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(
        UserError, match=r"an adapter for nobody/nothing, which is not here.*--model"
    ):
        load(adapter)


def test_an_adapter_that_lost_its_norms_is_refused(adapter: Path) -> None:
    kept = {n: t for n, t in load_file(adapter / WEIGHTS).items() if "norm" not in n}
    save_file(kept, adapter / WEIGHTS)
    with pytest.raises(UserError, match=r"without .*norm.* and 2 more"):
        load(adapter)


def test_an_adapter_that_brings_more_than_the_model_has_is_refused(adapter: Path) -> None:
    more = {**load_file(adapter / WEIGHTS), "base_model.model.extra.weight": torch.zeros(2)}
    save_file(more, adapter / WEIGHTS)
    with pytest.raises(UserError, match=r"with extra\.weight, which this model has not"):
        load(adapter)


def test_an_adapter_of_another_shape_is_refused(adapter: Path) -> None:
    name = "base_model.model.model.norm.weight"
    save_file({**load_file(adapter / WEIGHTS), name: torch.zeros(16)}, adapter / WEIGHTS)
    with pytest.raises(UserError, match=r"norm\.weight is 16 where the model has 32"):
        load(adapter)


def test_a_damaged_longtune_json_is_one_line(adapter: Path) -> None:
    (adapter / "longtune.json").write_text('{"format": "longtune checkpoint 1"', encoding="utf-8")
    with pytest.raises(UserError, match=r"longtune\.json, which cannot be read"):
        load(adapter)


def test_an_adapter_in_a_pickle_is_refused(adapter: Path) -> None:
    (adapter / WEIGHTS).rename(adapter / "elsewhere")
    with pytest.raises(UserError, match=f"without {WEIGHTS}"):
        load(adapter)


def test_what_is_no_adapter_is_refused_as_one(plain: Path) -> None:
    with pytest.raises(UserError, match="which is no adapter"):
        load(plain, adapter=plain)


def test_the_folder_of_a_finished_run_stands_for_its_model(adapter: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UserError, match="a run that is not finished"):
        load(run)
    wanted = logits(load(adapter).model)
    adapter.rename(run / "model")
    assert torch.equal(logits(load(run).model), wanted)


def test_an_adapter_is_no_base(adapter: Path) -> None:
    with pytest.raises(UserError, match=r"an adapter, as the base of .* merge it first"):
        load(adapter, adapter=adapter)


def test_a_vocabulary_that_grew_comes_back(plain: Path, tmp_path: Path) -> None:
    recipe = recipe_for(plain)
    model = trained(recipe, rows=VOCAB + 1)
    save(model, tmp_path / "grown", recipe=recipe)
    loaded = load(tmp_path / "grown")
    assert loaded.description["vocab_size"] == VOCAB + 1
    assert torch.equal(logits(loaded.model), logits(model))


def test_a_merged_folder_whose_config_lost_the_rope_is_refused(plain: Path, tmp_path: Path) -> None:
    recipe = recipe_for(plain, method="full")
    save(trained(recipe), tmp_path / "full", recipe=recipe)
    path = tmp_path / "full" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["rope_parameters"] = {"rope_type": "default", "rope_theta": 10000.0}
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError, match="different ropes"):
        load(tmp_path / "full")


def test_weights_that_are_missing_are_not_made_up(plain: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(plain, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, damaged / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"without model\.layers\.1\.mlp\.up_proj\.weight"):
        load(damaged)


def test_a_model_that_is_not_here_is_one_line() -> None:
    with pytest.raises(UserError, match="the model nobody/nothing, which cannot be read"):
        load("nobody/nothing")
    with pytest.raises(UserError, match="neither a model nor an adapter"):
        load(None)


def test_a_model_in_a_pickle_is_refused(plain: Path, tmp_path: Path) -> None:
    pickled = shutil.copytree(plain, tmp_path / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"weights cannot be read.*safetensors"):
        load(pickled)


def test_quantization_asks_for_its_library(plain: Path) -> None:
    with pytest.raises(UserError, match=r"bitsandbytes.*longqa\[qlora\]"):
        load(plain, quantization="nf4")


def test_a_dtype_is_a_name_that_is_known(plain: Path) -> None:
    assert load(plain, dtype="bfloat16").description["dtype"] == "bfloat16"
    with pytest.raises(UserError, match="got dtype fp8"):
        load(plain, dtype="fp8")


def test_a_base_is_known_again_in_another_dtype_and_other_shards(
    plain: Path, tmp_path: Path
) -> None:
    known = sample_of(str(plain))
    assert len(known) == 15 and all(len(values) == 4 for values in known.values())
    for dtype in (torch.bfloat16, torch.float16):
        model = AutoModelForCausalLM.from_pretrained(plain, dtype=dtype)
        model.save_pretrained(tmp_path / str(dtype), max_shard_size="8KB")
        assert len(list((tmp_path / str(dtype)).glob("*.safetensors"))) > 1
        assert differing(known, sample_of(str(tmp_path / str(dtype)))) is None
    assert differing(known, sample_of(str(write_model(tmp_path / "other", seed=3)))) is not None


def test_numbers_of_weights_are_those_of_the_weights(plain: Path) -> None:
    (name, values) = next(iter(sample_of(str(plain)).items()))
    flat = load_file(plain / "model.safetensors")[name].flatten().tolist()
    assert values == [
        pytest.approx(flat[(2 * at + 1) * len(flat) // 8], rel=1e-5) for at in range(4)
    ]


def test_a_file_that_is_no_safetensors_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(UserError, match="no safetensors file"):
        sample_of(str(tmp_path))


@pytest.mark.parametrize(
    ("limit", "factor", "original"),
    [(4096, 8.0, 4096), (16384, 4.0, 4096), (2048, 4.0, 2048)],
)
def test_linear_ropes_of_llama_are_understood(limit: int, factor: float, original: int) -> None:
    from transformers import LlamaConfig

    rope = {"rope_type": "linear", "factor": factor, "rope_theta": 10000.0}
    found = rope_or_none(LlamaConfig(max_position_embeddings=limit, rope_parameters=rope))
    assert found is not None
    assert (found.original_ctx, found.ctx) == (original, original * factor)


def test_what_nobody_can_know_is_asked_for() -> None:
    from transformers import LlamaConfig

    rope = {"rope_type": "linear", "factor": 3.0, "rope_theta": 10000.0}
    config = LlamaConfig(max_position_embeddings=9000, rope_parameters=rope)
    with pytest.raises(UserError, match="original_ctx"):
        rope_or_none(config)
    known = rope_or_none(config, original_ctx=9000)
    assert known is not None and known.ctx == 27000


def test_a_published_model_that_was_saved_without_its_rope_gets_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "Llama-2-7b-longlora-32k-ft", max_position_embeddings=4096)
    loaded = load(folder)
    assert loaded.rope is not None
    assert (loaded.rope.kind, loaded.rope.factor, loaded.ctx) == ("linear", 8.0, 32768)


def test_a_base_without_facts_is_loaded_as_transformers_does(plain: Path) -> None:
    loaded = load(plain)
    assert loaded.facts is None and loaded.ctx == CTX
    assert torch.equal(logits(loaded.model), logits(AutoModelForCausalLM.from_pretrained(plain)))
    json.dumps(loaded.description)
    assert loaded.description["rope"] == fields_of(AutoConfig.from_pretrained(plain))
