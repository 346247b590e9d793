"""Shifted sparse attention is its definition, in a stream of documents and in a layer."""

from __future__ import annotations

import pytest
from attention_inputs import (
    HEADS,
    assert_same,
    bounds_of,
    layer_of,
    qkv,
    reference,
    rows_of,
    streamed,
)
from attention_oracle import published_roll, published_segments
from hypothesis import given, settings
from hypothesis import strategies as st

from longdata.errors import UserError
from longtune.attention import s2_attention, shifted_sparse
from longtune.heads import halves

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

torch.set_num_threads(1)  # what is computed here is small

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=4)
GROUPS = st.sampled_from([2, 4, 6, 8, 16])
EXACT = {"rtol": 0, "atol": 1e-12}


@settings(max_examples=60)
@given(LENGTHS, GROUPS, st.sampled_from(HEADS), st.sampled_from([None, 0.3]))
def test_shifted_sparse_attention_is_its_definition(
    lengths: list[int], group_size: int, heads: tuple[int, int], scale: float | None
) -> None:
    inputs = qkv(sum(lengths), heads)
    ours = shifted_sparse(*inputs, bounds_of(lengths), group_size, scale=scale)
    assert_same(ours, reference(inputs, lengths, group_size, scale=scale), inputs)


@settings(max_examples=30)
@given(LENGTHS, GROUPS, st.sampled_from(HEADS), st.data())
def test_nothing_before_a_token_moves_when_it_changes(
    lengths: list[int], group_size: int, heads: tuple[int, int], data: st.DataObject
) -> None:
    tokens = sum(lengths)
    at = data.draw(st.integers(0, tokens - 1))
    before = [x.detach() for x in qkv(tokens, heads)]
    after = [x.clone() for x in before]
    for x in after:
        x[at] += 1
    outs = [shifted_sparse(*x, bounds_of(lengths), group_size) for x in (before, after)]
    assert torch.equal(outs[0][:at], outs[1][:at])
    assert not torch.equal(outs[0][at], outs[1][at])


@pytest.mark.parametrize("heads", [(4, 4), (8, 2)])
def test_at_batch_one_it_is_the_function_of_the_published_flash_path(
    heads: tuple[int, int],
) -> None:
    inputs = qkv(64, heads)
    repeated = [x.repeat_interleave(heads[0] // x.shape[1], dim=1) for x in inputs]
    assert_same(shifted_sparse(*inputs, (0, 64), 16), published_segments(*repeated, 16), inputs)


@pytest.mark.parametrize("heads", [(4, 4), (8, 2)])
def test_it_is_the_published_roll_except_for_the_tokens_that_see_the_future_there(
    heads: tuple[int, int],
) -> None:
    inputs = [x.detach() for x in qkv(64, heads)]
    repeated = [x.repeat_interleave(heads[0] // x.shape[1], dim=1) for x in inputs]
    ours, rolled = shifted_sparse(*inputs, (0, 64), 16), published_roll(*repeated, 16)
    differs = ~torch.isclose(ours, rolled, **EXACT).all(dim=-1)
    leaking = torch.zeros_like(differs)
    leaking[: 16 // 2, heads[0] // 2 :] = True
    assert torch.equal(differs, leaking)


def test_the_oracle_sees_the_leak_of_the_roll() -> None:
    inputs = [x.detach() for x in qkv(64, (4, 4))]
    changed = [torch.cat([x[:-1], x[-1:] + 1]) for x in inputs]
    moved = (published_roll(*inputs, 16) != published_roll(*changed, 16)).any(-1).any(-1)
    assert moved.nonzero().flatten().tolist() == [*range(8), 63]


@settings(max_examples=40)
@given(
    st.integers(1, 3),
    st.integers(1, 40),
    GROUPS,
    st.sampled_from(HEADS),
    st.sampled_from(["tokens first", "heads first"]),
)
def test_rows_of_any_length_and_layout(
    batch: int, length: int, group_size: int, heads: tuple[int, int], layout: str
) -> None:
    inputs = rows_of(batch, length, heads, layout)
    ours, weights = s2_attention(layer_of(heads[0], group_size), *inputs, None)
    assert weights is None
    expected = reference(streamed(inputs), [length] * batch, group_size)
    assert_same(ours, expected.unflatten(0, (batch, length)), inputs)


def test_attention_dropout_drops_and_keeps_the_mean() -> None:
    inputs = [x.detach() for x in rows_of(1, 32, (2, 2), "tokens first")]
    torch.manual_seed(0)
    plain, _ = s2_attention(layer_of(2), *inputs, None)
    runs = [s2_attention(layer_of(2), *inputs, None, dropout=0.2)[0] for _ in range(400)]
    assert not torch.equal(runs[0], plain)
    torch.testing.assert_close(torch.stack(runs).mean(0), plain, rtol=0, atol=0.15)


def test_float32_queries_of_a_bfloat16_model_are_computed_in_bfloat16() -> None:
    inputs = [x.detach().float() for x in rows_of(1, 32, (4, 2), "tokens first")]
    mixed = [inputs[0], inputs[1], inputs[2].bfloat16()]
    ours, _ = s2_attention(layer_of(4), *mixed, None)
    assert ours.dtype == torch.bfloat16
    exact, _ = s2_attention(layer_of(4), *inputs, None)
    torch.testing.assert_close(ours.float(), exact, rtol=0.05, atol=0.05)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert s2_attention(layer_of(4), *inputs, None)[0].dtype == torch.bfloat16
    quantized = layer_of(4, quantization_config={"load_in_4bit": True}, dtype=torch.bfloat16)
    assert s2_attention(quantized, *inputs, None)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["softcap", "s_aux", "position_bias"])
def test_changed_scores_are_refused(name: str) -> None:
    inputs = rows_of(1, 4, (2, 2), "tokens first")
    with pytest.raises(UserError, match=f"whose attention has {name}"):
        s2_attention(layer_of(2), *inputs, None, **{name: 30.0})


def test_one_head_or_a_part_of_the_heads_is_refused() -> None:
    with pytest.raises(UserError, match="got one attention head"):
        s2_attention(layer_of(1), *rows_of(1, 32, (1, 1), "tokens first"), None)
    with pytest.raises(UserError, match="got 2 of the 4 heads"):
        s2_attention(layer_of(4), *rows_of(1, 32, (2, 2), "tokens first"), None)


def test_a_layer_without_a_context_length_asks_for_a_group_size() -> None:
    layer = layer_of(2)
    del layer.s2_group_size
    with pytest.raises(UserError, match=r"without max_position_embeddings.*set_group_size"):
        s2_attention(layer, *rows_of(1, 32, (2, 2), "tokens first"), None)


def test_halves_are_views_of_whole_key_value_groups() -> None:
    query, key, value = (x.detach() for x in qkv(3, (9, 3)))
    (q0, k0, v0), (q1, k1, v1) = halves(query, key, value)
    assert (q0.shape[1], k0.shape[1], v0.shape[1]) == (6, 2, 2)
    assert (q1.shape[1], k1.shape[1], v1.shape[1]) == (3, 1, 1)
    assert q0.data_ptr() == query.data_ptr() and q1._base is query
