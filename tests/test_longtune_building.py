"""A model for a recipe: positions first, groups set, and what cannot be in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_made import CTX, made, write_model

from longdata.errors import UserError
from longtune.building import attend_in_groups, build_model, checkpoint_layers, config_of, whole
from longtune.groups import group_size_of
from longtune.segments import rows

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")


def layer(model: Any) -> Any:
    return model.model.layers[0].self_attn


def test_the_rope_is_that_of_the_longer_context_and_groups_are_a_quarter(tmp_path: Path) -> None:
    recipe = made(tmp_path)
    model, rope = build_model(recipe)
    assert (rope.kind, rope.factor, rope.ctx, rope.original_ctx) == ("linear", 4.0, CTX, 8)
    assert model.config.max_position_embeddings == CTX
    assert group_size_of(layer(model)) == CTX // 4
    frequencies = model.model.rotary_emb.inv_freq
    plain = transformers.LlamaForCausalLM.from_pretrained(recipe.model).model.rotary_emb.inv_freq
    torch.testing.assert_close(frequencies, plain / 4)


def test_full_attention_is_groups_that_cut_nothing(tmp_path: Path) -> None:
    model, _ = build_model(made(tmp_path, attention="full"))
    assert group_size_of(layer(model)) == CTX
    assert whole(31) == 32
    from longtune.segments import cut

    assert cut(rows(2, 31), whole(31), shifted=True) == rows(2, 31)


def test_a_rope_is_kept_where_it_reaches_far_enough(tmp_path: Path) -> None:
    recipe = made(tmp_path, rope="keep", ctx=8)
    assert config_of(recipe)[0].rope_parameters["rope_type"] == "default"
    with pytest.raises(UserError, match=r"rope=linear, or ctx=8"):
        config_of(made(tmp_path, rope="keep"))


def test_everything_is_float32_where_everything_is_trained(tmp_path: Path) -> None:
    whole_model, _ = build_model(made(tmp_path, method="full", dtype="bfloat16"))
    frozen, _ = build_model(made(tmp_path, dtype="bfloat16"))
    assert {p.dtype for p in whole_model.parameters()} == {torch.float32}
    assert {p.dtype for p in frozen.parameters()} == {torch.bfloat16}
    assert frozen.model.rotary_emb.inv_freq.dtype == torch.float32


def test_checkpointing_keeps_one_tensor_per_layer(tmp_path: Path) -> None:
    model, _ = build_model(made(tmp_path))
    model.train()
    ids = torch.arange(3, 3 + CTX)[None]

    def kept() -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: sizes.append(t.numel()) or t, lambda t: t
        ):
            model.model(input_ids=ids, use_cache=False).last_hidden_state.sum()
        return sum(sizes)

    before = kept()
    checkpoint_layers(model, offload=True)  # which is nothing on a CPU
    assert kept() < before / 3


def test_models_that_cannot_be_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        config_of(made(tmp_path, model=str(tmp_path / "nothing")))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="merge it first"):
        config_of(made(tmp_path, model=str(adapter)))
    transformers.T5Config(d_model=8, num_layers=1).save_pretrained(tmp_path / "t5")
    with pytest.raises(UserError, match="with an encoder"):
        config_of(made(tmp_path, model=str(tmp_path / "t5")))
    transformers.GPT2Config(n_embd=8, n_layer=1, n_head=2).save_pretrained(tmp_path / "gpt2")
    with pytest.raises(UserError, match="rotary"):
        config_of(made(tmp_path, model=str(tmp_path / "gpt2")))
    damaged = write_model(tmp_path / "damaged")
    (damaged / "model.safetensors").unlink()
    with pytest.raises(UserError, match="cannot be loaded"):
        build_model(made(tmp_path, model=str(damaged)))


def test_another_group_size_is_for_every_layer(tmp_path: Path) -> None:
    model, _ = build_model(made(tmp_path))
    attend_in_groups(model, 12)
    assert {group_size_of(one.self_attn) for one in model.model.layers} == {12}
