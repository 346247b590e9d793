from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from longeval_small import model_folder, random_tokens, small_llama

from longdata.errors import UserError
from longeval.models import device_of, fingerprint, load_model
from longeval.nll import Scorer, losses_in_full
from longeval.passes import Pass

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "small")


def test_a_folder_is_loaded_with_what_a_result_says_about_it(folder: Path) -> None:
    found = load_model(str(folder), device="cpu")
    assert not found.model.training
    assert (found.name, found.ctx, found.max_ctx, found.bos_id) == ("small", 512, None, 1)
    assert found.tokenizer_name == str(folder)
    facts = found.facts()
    assert facts["dtype"] == "float32" and facts["fingerprint"] == found.fingerprint
    assert str(folder.parent) not in str(facts)


def test_a_fingerprint_is_of_the_numbers_and_not_of_the_files(folder: Path) -> None:
    model = small_llama()
    same = fingerprint(model)
    assert load_model(str(folder), device="cpu").fingerprint == same
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 5] += 1e-7
    assert fingerprint(model) != same


def test_swapped_numbers_other_ropes_and_dtypes_have_other_fingerprints() -> None:
    found = {fingerprint(small_llama())}
    swapped = small_llama()
    with torch.no_grad():
        weight = swapped.lm_head.weight
        weight[[0, 1]] = weight[[1, 0]]
    found.add(fingerprint(swapped))
    found.add(fingerprint(small_llama().to(torch.bfloat16)))
    linear = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    found.add(fingerprint(small_llama(rope_parameters=linear)))
    assert len(found) == 4


def test_a_model_for_shifted_sparse_attention_is_measured_with_full_attention(
    folder: Path,
) -> None:
    tokens = random_tokens(256)
    one = Pass(0, 256, False, ((1, 256),))
    losses = [
        Scorer(load_model(str(folder), attention=name, device="cpu").model, bos_id=None).batch(
            tokens, [one]
        )[0]
        for name in ("s2_attn", "sdpa", "eager")
    ]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)
    np.testing.assert_allclose(losses[0], losses[2], atol=1e-5)


def test_a_rope_can_be_extended_for_one_measurement(folder: Path) -> None:
    found = load_model(str(folder), rope="linear", rope_ctx=2048, device="cpu")
    assert found.ctx == 2048
    assert found.description["rope"]["rope_parameters"]["factor"] == 4.0
    assert "not trained for it" in found.description["rope_in_words"]
    ids = random_tokens(600).astype(np.int64)
    plain = load_model(str(folder), device="cpu")
    assert found.fingerprint != plain.fingerprint
    assert np.abs(losses_in_full(found.model, ids) - losses_in_full(plain.model, ids)).max() > 1e-3


def test_a_rope_that_changes_with_the_length_shares_no_prefixes() -> None:
    from longeval.models import LoadedModel

    def has_prefixes(model: Any) -> bool:
        return LoadedModel(
            model=model,
            name="",
            ctx=512,
            max_ctx=None,
            bos_id=None,
            tokenizer_name=None,
            description={},
            fingerprint="",
        ).has_prefixes

    dynamic = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    assert has_prefixes(small_llama())
    assert not has_prefixes(small_llama(rope_parameters=dynamic))


def test_an_adapter_is_measured_on_its_base(tmp_path: Path, folder: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", folder)
    found = load_model(str(folder), adapter=str(adapter), device="cpu")
    assert found.name == "adapter"
    assert found.tokenizer_name == str(folder)
    ids = random_tokens(64)
    one = Pass(0, 64, False, ((1, 64),))
    (with_adapter,) = Scorer(found.model, bos_id=None).batch(ids, [one])
    merged = found.model.merge_and_unload()
    np.testing.assert_allclose(
        with_adapter, losses_in_full(merged, ids.astype(np.int64)), atol=1e-5
    )
    base = load_model(str(folder), device="cpu")
    assert base.fingerprint != found.fingerprint


def test_an_adapter_for_another_base_is_refused(tmp_path: Path, folder: Path) -> None:
    adapter = make_adapter(tmp_path / "adapter", folder)
    other = model_folder(tmp_path / "other", hidden_size=64)
    with pytest.raises(UserError) as caught:
        load_model(str(other), adapter=str(adapter), device="cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere/at-all", "./nowhere", "no such model"])
def test_a_model_that_is_not_there_is_one_line(name: str) -> None:
    with pytest.raises(UserError) as caught:
        load_model(name, device="cpu")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError) as caught:
        load_model(name, rope="linear", rope_ctx=1024, device="cpu")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_is_refused(folder: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"dtype": "float8"},
        {"quantization": "int2"},
        {"rope": "theta", "rope_ctx": 1024},
        {"rope": "linear", "rope_ctx": 1024, "adapter": "somewhere"},
        {"device": "cuda:77"},
        {"attention": "nonsense"},
        {"attention": "nonsense", "rope": "linear", "rope_ctx": 1024},
    ]
    for settings in wrong:
        with pytest.raises(UserError, match="allowed:"):
            load_model(str(folder), **settings)
    assert device_of("cpu") == "cpu"


def make_adapter(path: Path, base: Path) -> Path:
    """LoRA on a small Llama, with numbers that change its losses."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    config = peft.LoraConfig(
        r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type="CAUSAL_LM"
    )
    from transformers import AutoModelForCausalLM

    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(path)
    return path
