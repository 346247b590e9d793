"""s2_attn in the models that people train: eight architectures, tiny and random."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attention_oracle import shifted_heads

import longtune
from longdata.errors import UserError

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from transformers import (  # noqa: E402
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
)
from transformers.masking_utils import sdpa_mask  # noqa: E402

CTX, VOCAB, GROUP = 32, 61, 8
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CTX,
    "bos_token_id": 1,
    "eos_token_id": None,
    "pad_token_id": 0,
}
GQA = {**SIZES, "num_key_value_heads": 2}
MODELS: dict[str, dict[str, Any]] = {
    "Llama": GQA,
    "Mistral": {**GQA, "sliding_window": None},
    "Qwen2": GQA,
    "Qwen3": {**GQA, "head_dim": 8},
    "Gemma3Text": {
        **GQA,
        "head_dim": 8,
        "sliding_window": 6,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "Phi3": GQA,
    "GPTNeoX": SIZES,
    "SmolLM3": GQA,
}
torch.set_num_threads(1)  # what is computed here is small


def make(name: str, attention: str = "s2_attn", **changes: Any) -> Any:
    """A model of an architecture in float64, the same weights each time."""
    config = getattr(transformers, f"{name}Config")(**MODELS[name], **changes)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return model.double().train()


def tokens(batch: int, length: int) -> Any:
    return torch.randint(2, VOCAB, (batch, length), generator=torch.Generator().manual_seed(3))


def left_padded(batch: int = 2, length: int = 30, padding: int = 7) -> dict[str, Any]:
    ids, mask = tokens(batch, length), torch.ones(batch, length, dtype=torch.long)
    ids[0, :padding], mask[0, :padding] = 0, 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}


def right_padded() -> dict[str, Any]:
    ids, mask = tokens(2, 30), torch.ones(2, 30, dtype=torch.long)
    ids[1, 19:], mask[1, 19:] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}


def packed() -> dict[str, Any]:
    positions = torch.cat([torch.arange(19), torch.arange(5), torch.arange(8)])
    return {"input_ids": tokens(2, 32), "position_ids": positions.expand(2, -1)}


BATCHES: dict[str, Callable[[], dict[str, Any]]] = {
    "whole rows": lambda: {"input_ids": tokens(2, 32)},
    "an odd length": lambda: {"input_ids": tokens(1, 29)},
    "left padding": left_padded,
    "right padding": right_padded,
    "packed": packed,
}


def by_definition(
    module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: float, **_: Any
) -> tuple[Any, None]:
    """Groups from who sees whom: a token's index is how many it sees, a document's length is how
    many see its first token. Layers with a window are left as they are."""
    seen = mask
    if getattr(module, "sliding_window", None) is None:
        index = seen.sum(-1) - 1
        length = (seen * seen.sum(-2, keepdim=True)).amax(-1)
        shifted = torch.tensor(shifted_heads(query.shape[1], key.shape[1]))[None, :, None]
        group = (index + shifted * (GROUP // 2)) // GROUP * (length > GROUP)
        seen = seen & (group[..., :, None] == group[..., None, :])
    key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
    scores = (query @ key.transpose(-1, -2) * scaling).masked_fill(~seen, float("-inf"))
    weights = scores.softmax(-1).nan_to_num(0)  # padding sees nothing
    return (weights @ value).transpose(1, 2), None


@pytest.fixture
def definition() -> Iterator[str]:
    """The name of attention by its definition, for as long as a test lasts."""
    name = "definition"
    AttentionInterface.register(name, by_definition)

    def whole_mask(*args: Any, **kwargs: Any) -> Any:
        return sdpa_mask(*args, **{**kwargs, "allow_is_causal_skip": False})

    AttentionMaskInterface.register(name, whole_mask)
    yield name
    AttentionInterface._global_mapping.pop(name)
    AttentionMaskInterface._global_mapping.pop(name)


def loss_and_gradients(model: Any, batch: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Over real tokens that follow real tokens."""
    real = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()
    labels = batch["input_ids"].masked_fill(~real, -100)
    labels[:, 1:][~real[:, :-1]] = -100
    loss = model(**batch, labels=labels, use_cache=False).loss
    return loss, list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", MODELS)
def test_training_is_the_definition(name: str, batch: str, definition: str) -> None:
    inputs = BATCHES[batch]()
    loss, gradients = loss_and_gradients(make(name), inputs)
    expected_loss, expected = loss_and_gradients(make(name, definition), inputs)
    torch.testing.assert_close(loss, expected_loss, rtol=0, atol=1e-9)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)  # RoPE is float32
    exact_loss, _ = loss_and_gradients(make(name, "sdpa"), inputs)
    assert abs(exact_loss - loss) > 1e-7


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", MODELS)
def test_evaluation_is_full_attention(name: str, batch: str) -> None:
    inputs = BATCHES[batch]()
    real = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).bool()
    with torch.no_grad():
        ours, exact = (
            make(name, attention).eval()(**inputs, use_cache=False).logits[real]
            for attention in ("s2_attn", "sdpa")
        )
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("cache", "new"), [(None, 10), ("static", 10), ("static", 1)])
@pytest.mark.parametrize("name", MODELS)
def test_generation_is_that_of_full_attention(name: str, cache: str | None, new: int) -> None:
    inputs = left_padded(length=12, padding=5)
    del inputs["position_ids"]
    texts = [
        make(name, attention)
        .eval()
        .generate(
            **inputs,
            max_new_tokens=new,
            do_sample=False,
            cache_implementation=cache,
            disable_compile=True,
        )
        for attention in ("s2_attn", "sdpa")
    ]
    assert torch.equal(*texts)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "Gemma3Text"])
def test_a_model_left_in_training_mode_generates_exactly_and_scores_as_it_trains(
    name: str,
) -> None:
    model, ids = make(name), tokens(1, 32)
    trained = model(input_ids=ids).logits
    with torch.no_grad():
        exact = make(name, "sdpa")(input_ids=ids).logits
        filling_a_cache = model(input_ids=ids, use_cache=True).logits
        scored = model(input_ids=ids, use_cache=False).logits
    torch.testing.assert_close(filling_a_cache, exact, rtol=0, atol=1e-9)
    assert torch.equal(scored, trained) and not torch.equal(trained, exact)


@pytest.mark.parametrize("name", MODELS)
def test_nothing_before_a_token_moves_when_it_changes(name: str) -> None:
    model, ids = make(name), tokens(1, 32)
    before = model(input_ids=ids).logits
    for at in (31, 20, 16, 1):
        changed = ids.clone()
        changed[0, at] = (changed[0, at] + 1) % VOCAB
        after = model(input_ids=changed).logits
        assert torch.equal(after[:, :at], before[:, :at])
        assert not torch.equal(after[:, at], before[:, at])


@pytest.mark.parametrize("name", MODELS)
def test_packed_documents_never_see_each_other_with_a_cache_or_without(name: str) -> None:
    model, inputs = make(name), packed()
    one_by_one = [
        model(input_ids=inputs["input_ids"][:1, start:end]).logits
        for start, end in ((0, 19), (19, 24), (24, 32))
    ]
    for use_cache in (False, True):
        together = model(**inputs, use_cache=use_cache).logits[:1]
        torch.testing.assert_close(together, torch.cat(one_by_one, 1), rtol=0, atol=1e-9)


def test_a_model_whose_layers_all_slide_trains_as_it_always_did() -> None:
    inputs = {"input_ids": tokens(2, 32)}
    results = []
    for attention in ("s2_attn", "sdpa"):
        MODELS["Sliding"] = {**GQA, "sliding_window": 6}
        config = transformers.MistralConfig(**MODELS.pop("Sliding"))
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
        results.append(loss_and_gradients(model.double().train(), inputs))
    torch.testing.assert_close(*results, rtol=0, atol=1e-9)


@pytest.mark.parametrize("batch", ["whole rows", "packed", "left padding"])
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_gradient_checkpointing_changes_nothing(batch: str, use_reentrant: bool) -> None:
    inputs = BATCHES[batch]()
    results = []
    for checkpointing in (False, True):
        model = make("Qwen3")
        if checkpointing:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
        model(**inputs, labels=inputs["input_ids"], use_cache=False).loss.backward()
        results.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(*results, rtol=0, atol=1e-12)


def test_whole_rows_compile_to_one_graph() -> None:
    model, ids = make("Llama"), tokens(2, 32)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    loss = compiled(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(loss, model(input_ids=ids, labels=ids).loss, rtol=0, atol=1e-12)
    loss.backward()
    with pytest.raises(RuntimeError, match="packed documents"):
        compiled(**packed(), labels=ids)


def test_packed_and_padded_batches_compile_without_recompiling_for_each() -> None:
    from torch._dynamo.utils import counters

    model = make("Llama")
    compiled = torch.compile(model, backend="eager")
    for seed, batch in enumerate([packed(), left_padded(2, 32), {"input_ids": tokens(2, 32)}] * 2):
        if seed == 3:
            graphs = counters["stats"]["unique_graphs"]
        inputs = {**batch, "use_cache": False}
        if "attention_mask" not in batch:
            cut = 10 + seed
            inputs["position_ids"] = torch.cat([torch.arange(cut), torch.arange(32 - cut)])[None]
        torch.testing.assert_close(compiled(**inputs).logits, model(**inputs).logits)
    assert counters["stats"]["unique_graphs"] == graphs


def test_bfloat16_is_close_to_float32() -> None:
    ids = tokens(2, 32)
    exact = make("Qwen3").float()(input_ids=ids).logits
    half = make("Qwen3").to(torch.bfloat16)(input_ids=ids).logits
    torch.testing.assert_close(half.float(), exact, rtol=0, atol=0.02)


def test_the_group_size_is_set_once_and_saved_nowhere(tmp_path: Path) -> None:
    model, ids = make("Llama"), tokens(1, 32)
    default = model(input_ids=ids).logits
    longtune.set_group_size(model, GROUP)
    assert torch.equal(model(input_ids=ids).logits, default)  # a quarter of 32
    longtune.set_group_size(model, 16)
    assert not torch.equal(model(input_ids=ids).logits, default)
    longtune.set_group_size(model, 32)
    exact = make("Llama", "sdpa")(input_ids=ids).logits
    torch.testing.assert_close(model(input_ids=ids).logits, exact, rtol=0, atol=1e-9)
    model.save_pretrained(tmp_path)
    assert "s2_" not in (tmp_path / "config.json").read_text()
    again = AutoModelForCausalLM.from_pretrained(tmp_path, attn_implementation="s2_attn").train()
    torch.testing.assert_close(again(input_ids=ids).logits, default)


def test_attention_can_be_switched_to_exact_and_back() -> None:
    model, ids = make("Llama"), tokens(1, 32)
    sparse = model(input_ids=ids).logits
    model.set_attn_implementation("sdpa")
    exact = model(input_ids=ids).logits
    model.set_attn_implementation("s2_attn")
    assert torch.equal(model(input_ids=ids).logits, sparse) and not torch.equal(exact, sparse)


def test_a_group_size_without_s2_attn_is_refused() -> None:
    with pytest.raises(UserError, match="got a LlamaForCausalLM without a layer that runs s2_attn"):
        longtune.set_group_size(make("Llama", "sdpa"), 8)


@pytest.mark.parametrize("first", ["longtune", "transformers.modeling_utils"])
def test_importing_registers_the_name_whichever_comes_first(first: str) -> None:
    script = f"""
import sys, {first}
assert ("torch" in sys.modules) == ({first!r} != "longtune")
import longtune, transformers
config = transformers.LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1,
    num_attention_heads=2, vocab_size=9)
model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="s2_attn")
assert model.config._attn_implementation == "s2_attn"
longtune.set_group_size(model, 512)
assert not any("longtune" in type(finder).__module__ for finder in sys.meta_path[1:])
"""
    subprocess.run([sys.executable, "-c", script], check=True)
