"""A rope in a config is the formula it is named after, in the model and after loading it again."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError
from longtune.rope import (
    EXTENSIONS,
    METHODS,
    Rope,
    extend_context,
    extended,
    fields_of,
    rope_of,
    set_fields,
)

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from longtune.rope_built import check_built  # noqa: E402

D, CTX = 32, 64  # of a tiny model: rotary dimensions, context
SIZES: dict[str, Any] = {
    "vocab_size": 17,
    "hidden_size": 2 * D,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": D,
    "max_position_embeddings": CTX,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": CTX,
}


def llama(**changes: Any) -> Any:
    return transformers.LlamaConfig(**{**SIZES, **copy.deepcopy(changes)})


def llama3() -> Any:
    return llama(rope_parameters=LLAMA3, max_position_embeddings=131072)


def frequencies(config: Any) -> Any:
    """What a model built from the config really turns its positions by."""
    return transformers.LlamaForCausalLM(config).model.rotary_emb.inv_freq.double()


def base(theta: float, dim: int = D) -> Any:
    return theta ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)


def yarn_frequencies(theta: float, factor: float, original: int) -> Any:
    """Formula 23 of arXiv 2309.00071 in the form of its code: a ramp between two whole pairs."""
    turns = [D * math.log(original / (n * 2 * math.pi)) / (2 * math.log(theta)) for n in (32, 1)]
    low, high = max(math.floor(turns[0]), 0), min(math.ceil(turns[1]), D - 1)
    slowed = ((torch.arange(D // 2, dtype=torch.float64) - low) / (high - low)).clamp(0, 1)
    return base(theta) * (slowed / factor + 1 - slowed)


def llama3_frequencies(theta: float, factor: float) -> Any:
    """Slow waves (longer than the original context) / factor, fast ones as they are, a ramp."""
    f = base(theta)
    turns = 8192 * f / (2 * math.pi)
    ramp = ((turns - 1) / 3).clamp(0, 1)
    return f * ((1 - ramp) / factor + ramp)


def same(got: Any, expected: Any) -> None:
    torch.testing.assert_close(got, expected, rtol=2e-6, atol=0)


@pytest.mark.parametrize(
    ("ctx", "factor"), [(8192, 2), (16384, 4), (32768, 8), (65536, 16), (100000, 25)]
)
def test_the_factors_of_linear_are_those_of_the_published_checkpoints(
    ctx: int, factor: int
) -> None:
    config = llama(max_position_embeddings=4096)
    extend_context(config, ctx=ctx)
    assert config.rope_parameters["factor"] == factor
    assert config.max_position_embeddings == ctx
    same(frequencies(config), base(10000.0) / factor)


def test_ntk_slows_the_slowest_pair_by_the_factor_and_the_fastest_not_at_all() -> None:
    config = llama()
    extend_context(config, ctx=5 * CTX, method="ntk")
    got = frequencies(config)
    same(got, base(10000.0 * 5 ** (D / (D - 2))))
    same(got[-1], base(10000.0)[-1] / 5)
    assert got[0] == 1


def test_yarn_is_the_ramp_of_its_paper_with_its_temperature() -> None:
    config = llama(max_position_embeddings=4096)
    extend_context(config, ctx=32768, method="yarn")
    same(frequencies(config), yarn_frequencies(10000.0, 8.0, 4096))
    rotary = transformers.LlamaForCausalLM(config).model.rotary_emb
    assert rotary.attention_scaling == pytest.approx(0.1 * math.log(8) + 1)


def test_theta_is_what_was_asked_for() -> None:
    config = llama()
    extend_context(config, ctx=8 * CTX, method="theta", theta=500000)
    same(frequencies(config), base(500000.0))


def test_only_the_rotary_part_of_a_head_counts_for_ntk() -> None:
    sizes = {name: value for name, value in SIZES.items() if name != "num_key_value_heads"}
    config = transformers.GPTNeoXConfig(**sizes)  # a quarter of each head is rotary
    rope = extend_context(config, ctx=2 * CTX, method="ntk")
    assert rope.rotary_dim == D // 4
    model = transformers.GPTNeoXForCausalLM(config)
    same(
        model.gpt_neox.rotary_emb.inv_freq.double(),
        base(10000.0 * 2 ** ((D / 4) / (D / 4 - 2)), D // 4),
    )


def test_llama3_goes_on_interpolating_its_slow_pairs_alone() -> None:
    config = llama3()
    same(frequencies(config), llama3_frequencies(5e5, 8))
    rope = extend_context(config, ctx=2 * 131072)
    same(frequencies(config), llama3_frequencies(5e5, 16))
    assert (rope.original_ctx, rope.ctx) == (8192, 262144)


def test_llama3_keeps_its_shape_under_another_theta() -> None:
    config = llama3()
    extend_context(config, ctx=4 * 131072, method="theta", theta=8e6)
    same(frequencies(config), llama3_frequencies(8e6, 8))


@pytest.mark.parametrize("method", ["linear", "yarn"])
def test_yarn_goes_on_from_its_original_context(method: str) -> None:
    config = llama(rope_parameters={**YARN, "beta_fast": 16.0})  # ctx 64 * 4, as Qwen's are written
    assert rope_of(config).ctx == 4 * CTX
    extend_context(config, ctx=8 * CTX, method=method)
    assert config.rope_parameters == {**YARN, "beta_fast": 16.0, "factor": 8.0}


@pytest.mark.parametrize(("written", "kept"), [(0.1 * math.log(4) + 1, False), (1.0, True)])
def test_a_temperature_that_is_a_choice_of_the_model_is_kept(written: float, kept: bool) -> None:
    config = llama(rope_parameters={**YARN, "attention_factor": written})
    extend_context(config, ctx=8 * CTX, method="yarn")
    assert ("attention_factor" in config.rope_parameters) is kept


def test_linear_is_extended_from_the_first_context_however_often() -> None:
    config = llama(max_position_embeddings=4096)
    for ctx, factor in [(8192, 2), (100000, 25), (131072, 32)]:
        rope = extend_context(config, ctx=ctx)
        assert (rope.factor, rope.original_ctx) == (factor, 4096)
    same(frequencies(config), base(10000.0) / 32)


def test_steps_by_different_methods_add_up() -> None:
    config = llama()
    extend_context(config, ctx=2 * CTX, method="ntk")
    rope = extend_context(config, ctx=4 * CTX)
    assert (rope.factor, rope.original_ctx) == (2, CTX)
    assert extend_context(config, ctx=8 * CTX).factor == 4
    same(frequencies(config), base(10000.0 * 2 ** (D / (D - 2))) / 4)


def test_yarn_after_ntk_ramps_over_the_context_that_ntk_reached() -> None:
    config = llama(max_position_embeddings=1024)
    extend_context(config, ctx=2048, method="ntk")
    theta = config.rope_parameters["rope_theta"]
    rope = extend_context(config, ctx=8192, method="yarn")
    same(frequencies(config), yarn_frequencies(theta, 4.0, 2048))
    assert rope_of(config) == rope


def test_layers_with_a_window_keep_their_rope() -> None:
    sizes = {**SIZES, "num_hidden_layers": 2, "sliding_window": 8}
    config = transformers.Gemma3TextConfig(
        **sizes, layer_types=["sliding_attention", "full_attention"]
    )
    sliding = dict(config.rope_parameters["sliding_attention"])
    extend_context(config, ctx=4 * CTX)
    assert config.rope_parameters["sliding_attention"] == sliding
    rotary = transformers.Gemma3ForCausalLM(config).model.rotary_emb
    same(rotary.full_attention_inv_freq.double(), base(1e6) / 4)
    same(rotary.sliding_attention_inv_freq.double(), base(1e4))


EVERY = [
    (kind, method, ctx)
    for (kind, method), ctx in zip(EXTENSIONS, [400, 600] * len(EXTENSIONS), strict=False)
]
KINDS = {
    "default": {},
    "linear": {
        "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
        "original_max_position_embeddings": CTX // 2,
    },
    "llama3": {"rope_parameters": {**LLAMA3, "original_max_position_embeddings": 32}},
    "yarn": {"rope_parameters": YARN},
}


@pytest.mark.parametrize(("kind", "method", "ctx"), EVERY)
def test_a_saved_model_has_the_same_rope_when_loaded(
    kind: str, method: str, ctx: int, tmp_path: Path
) -> None:
    config = llama(**KINDS[kind])
    before = rope_of(config)
    rope = extend_context(config, ctx=ctx, method=method, theta=1e6 if method == "theta" else None)
    assert rope_of(config) == rope and (rope.ctx, rope.original_ctx) == (ctx, before.original_ctx)
    model = transformers.LlamaForCausalLM(config).eval()
    model.save_pretrained(tmp_path)
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    assert torch.equal(again.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq)
    assert again.model.rotary_emb.attention_scaling == model.model.rotary_emb.attention_scaling
    assert again.config.max_position_embeddings == ctx
    assert rope_of(again.config) == rope
    tokens = torch.arange(16)[None] % 17
    with torch.no_grad():
        assert torch.equal(again(tokens).logits, model(tokens).logits)


def test_the_fields_beside_an_adapter_make_the_base_config_long() -> None:
    config, other = llama(), llama()
    rope = extend_context(config, ctx=8 * CTX)
    set_fields(other, fields_of(config))
    assert rope_of(other) == rope
    assert other.rope_parameters is not config.rope_parameters
    with pytest.raises(UserError, match="got rope fields hidden_size; allowed: rope_parameters"):
        set_fields(other, {"hidden_size": 3})


@given(
    original=st.integers(16, 10_000),
    steps=st.lists(
        st.tuples(st.sampled_from(["linear", "ntk"]), st.floats(1.01, 3)), min_size=1, max_size=5
    ),
)
def test_the_slowest_pair_never_turns_further_than_in_training(
    original: int, steps: list[tuple[str, float]]
) -> None:
    """What interpolation is for: position ctx of the new model is one that the old one knew."""
    d = 64
    rope = Rope(
        parameters={"rope_type": "default", "rope_theta": 10000.0},
        ctx=original,
        original_ctx=original,
        rotary_dim=d,
    )
    for method, growth in steps:
        rope = extended(rope, ctx=math.ceil(rope.ctx * growth), method=method)
        slowest = rope.theta ** (-(d - 2) / d) / rope.factor
        assert rope.ctx * slowest <= original * 10000.0 ** (-(d - 2) / d) * (1 + 1e-9)


def test_what_cannot_be_is_one_line_and_changes_nothing() -> None:
    def refused(config: Any, match: str, **arguments: Any) -> None:
        before = copy.deepcopy(config.to_dict())
        with pytest.raises(UserError, match=match) as caught:
            extend_context(config, **{"ctx": 4 * CTX, **arguments})
        assert "\n" not in str(caught.value)
        assert config.to_dict() == before

    refused(transformers.GPT2Config(), "a gpt2 model, which has no rotary positions", ctx=9999)
    refused(llama(), "allowed: more than it has already", ctx=CTX)
    refused(llama(), "got factor 0.5; allowed: 4 or more", factor=0.5)
    refused(llama(), "256 tokens stay on the 64 positions the model knows", factor=2)
    refused(llama(), "allowed: linear, ntk, yarn, theta; fix: linear", method="pi")
    refused(llama(), "got theta None; allowed: a number above the model's 10,000", method="theta")
    refused(llama(), "got theta 9000", method="theta", theta=9000)
    refused(llama(), "got a theta for method ntk", method="ntk", theta=1e6)
    refused(llama(), "got a factor for method yarn", method="yarn", factor=4)
    refused(llama3(), "got a factor for method linear on a llama3 rope", ctx=10**6, factor=4)
    refused(llama3(), "rope is 'llama3'; allowed: linear, ntk, theta", ctx=10**6, method="yarn")
    refused(llama(**KINDS["linear"]), "allowed: linear, ntk, theta", method="yarn")
    refused(llama(**KINDS["yarn"]), "allowed: linear, yarn", ctx=9999, method="ntk")
    refused(
        llama(rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
        "rope is 'dynamic'; allowed: none",
        ctx=9999,
    )
    refused(
        llama(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}),
        "original_ctx=64 .* or original_ctx=32",
    )
    refused(
        llama(**KINDS["linear"]), "got original_ctx 64, and a config that says 32", original_ctx=64
    )


def test_an_old_linear_rope_is_read_as_told() -> None:
    old = {"rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e4}}
    longlora = rope_of(llama(**old), original_ctx=CTX)
    assert (longlora.ctx, longlora.original_ctx) == (8 * CTX, CTX)
    gemma = rope_of(llama(**old), original_ctx=CTX // 8)
    assert (gemma.ctx, gemma.original_ctx) == (CTX, CTX // 8)


def test_a_config_in_the_old_spelling_is_read() -> None:
    config = transformers.LlamaConfig.from_dict(
        {**SIZES, "rope_theta": 5e4, "rope_scaling": {"type": "linear", "factor": 2.0}}
    )
    rope = extend_context(config, ctx=4 * CTX, original_ctx=CTX)
    assert (rope.kind, rope.theta, rope.factor) == ("linear", 5e4, 4)
    assert "type" not in config.rope_parameters
    same(frequencies(config), base(5e4) / 4)


def test_a_rope_set_after_the_model_was_built_is_found() -> None:
    model = transformers.LlamaForCausalLM(llama())
    check_built(model)
    with pytest.raises(UserError, match="LlamaForCausalLM that is built; its rope was fixed then"):
        extend_context(model, ctx=4 * CTX)
    extend_context(model.config, ctx=4 * CTX)
    with pytest.raises(UserError, match=r"before its rope was set: model\.rotary_emb\.inv"):
        check_built(model)
    check_built(transformers.LlamaForCausalLM(model.config))


@pytest.mark.parametrize(("kind", "method"), EXTENSIONS)
def test_a_model_built_from_an_extended_config_passes(kind: str, method: str) -> None:
    config = llama(**KINDS[kind])
    extend_context(config, ctx=999, method=method, theta=1e6 if method == "theta" else None)
    check_built(transformers.LlamaForCausalLM(config))
    check_built(transformers.LlamaForCausalLM(config).double())


def test_frequencies_in_half_precision_are_found() -> None:
    model = transformers.LlamaForCausalLM(llama()).to(torch.bfloat16)
    with pytest.raises(UserError, match=r"inv_freq is torch.bfloat16; allowed: torch.float32"):
        check_built(model)


def test_every_method_works_on_a_model_without_scaling() -> None:
    assert {method for kind, method in EXTENSIONS if kind == "default"} == set(METHODS)
