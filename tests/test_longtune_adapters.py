"""What is trained: the groups that a recipe names, counted, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_longtune_models import MODELS
from training_made import made

from longdata.errors import UserError
from longtune.adapters import is_tied, prepare, targets_in, trained_groups
from longtune.config import Recipe

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("peft", reason="peft is not installed")


def recipe(**settings: Any) -> Recipe:
    return Recipe(task="extend", model="m", data="d", ctx=32, out="o", **settings)


def model_of(name: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**MODELS[name], **changes})
    return transformers.AutoModelForCausalLM.from_config(config).double()


def parameters(model: Any, settings: Recipe) -> dict[str, int]:
    return {group.name: group.parameters for group in trained_groups(prepare(model, settings))}


def test_of_llama_2_7b_the_shares_are_those_of_the_paper() -> None:
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=32000))
    groups = {group.name: group for group in trained_groups(prepare(model, recipe()))}
    assert groups["LoRA"].parameters == 8_388_608
    assert groups["LoRA"].modules == ("k_proj", "o_proj", "q_proj", "v_proj")
    assert groups["embeddings"].parameters == 131_072_000
    assert 0.0194 < groups["embeddings"].share < 0.02
    assert groups["norms"].parameters == 266_240
    assert round(groups["norms"].share, 5) == 0.00004
    assert list(groups) == ["LoRA", "embeddings", "norms"]


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_trains_lora_embeddings_and_all_norms(name: str) -> None:
    model = model_of(name)
    norms = sum(p.numel() for n, p in model.named_parameters() if "norm" in n.lower())
    embedding = model.get_input_embeddings().weight.numel()
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    adapted = prepare(model, recipe())
    found = {group.name: group.parameters for group in trained_groups(adapted)}
    assert found.pop("LoRA") > 0
    assert found == {"embeddings": embedding, "norms": norms}
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter.data)
    frozen = {n: p for n, p in adapted.get_base_model().named_parameters() if not p.requires_grad}
    for n, p in frozen.items():
        original = n.replace("base_layer.", "").replace("original_module.", "")
        if original in before:
            assert torch.equal(p, before[original]), n


@pytest.mark.parametrize("name", ["Llama", "Gemma3Text", "Qwen2"])
@pytest.mark.parametrize("untie", [False, True])
def test_a_head_that_is_the_embedding_stays_it_unless_asked(name: str, untie: bool) -> None:
    model = model_of(name, tie_word_embeddings=True)
    adapted = prepare(model, recipe(untie_embeddings=untie)).get_base_model()
    head, embedding = adapted.get_output_embeddings(), adapted.get_input_embeddings()
    assert (head.weight is embedding.weight) == (not untie)
    assert head.weight.requires_grad == (not untie)
    assert embedding.weight.requires_grad


def test_a_tie_that_would_come_undone_is_refused() -> None:
    model = model_of("GPTNeoX", tie_word_embeddings=True)
    with pytest.raises(UserError, match="untied"):
        prepare(model, recipe())


def test_groups_that_are_not_asked_for_are_frozen() -> None:
    settings = recipe(train_embeddings=False, train_norms=False, lora_targets=("v_proj",))
    (group,) = trained_groups(prepare(model_of("Llama"), settings))
    assert (group.name, group.modules) == ("LoRA", ("v_proj",))


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("Llama", ("q_proj", "k_proj", "v_proj", "o_proj")),
        ("Phi3", ("qkv_proj", "o_proj")),
        ("GPTNeoX", ("query_key_value", "dense")),
    ],
)
def test_projections_are_found_under_their_architectures_names(
    name: str, targets: tuple[str, ...]
) -> None:
    assert targets_in(model_of(name), recipe().lora_targets) == targets


def test_a_layer_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"without w_proj; allowed: q_proj, .*down_proj"):
        targets_in(model_of("Llama"), ("w_proj",))


def test_full_fine_tuning_trains_everything_once() -> None:
    model = model_of("Llama", tie_word_embeddings=True)
    total = model.num_parameters()
    assert sum(parameters(model, recipe(method="full")).values()) == total
    assert is_tied(model)
    untied = prepare(model, recipe(method="full", untie_embeddings=True))
    assert not is_tied(untied)
    assert not untied.config.tie_word_embeddings
    assert sum(group.parameters for group in trained_groups(untied)) == total + 61 * 32


def test_lora_starts_as_the_model_it_is_put_on() -> None:
    model = model_of("Qwen3").eval()
    ids = torch.arange(3, 20)[None]
    before = model(input_ids=ids).logits
    adapted = prepare(model, recipe()).eval()
    torch.testing.assert_close(adapted(input_ids=ids).logits, before, rtol=0, atol=0)


def test_a_trained_adapter_is_trained_further(tmp_path: Path) -> None:
    """The loss begins where it ended, at the same rope, and the same groups are trained."""
    from training_made import data_of

    from longtune import metrics
    from longtune.train import run

    first = made(tmp_path, tied=True)
    trained = run(first, data_of(first))
    second = made(
        tmp_path, out=str(tmp_path / "second"), adapter=str(trained.model), rope="keep", steps=2
    )
    run(second, data_of(second))
    lines = metrics.read(tmp_path / "second" / metrics.NAME)
    beginning = metrics.read(tmp_path / "out" / metrics.NAME)[0]["loss"]
    assert lines[0]["loss"] < beginning - 0.1
    with pytest.raises(UserError, match="rope=keep"):
        again = made(tmp_path, out=str(tmp_path / "x"), adapter=str(trained.model))
        run(again, data_of(again))
