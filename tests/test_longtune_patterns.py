"""The paper's patterns see what their names say."""

from __future__ import annotations

from math import isqrt
from typing import Any

import pytest
from attention_oracle import dense, published_roll, s2_mask_HTT, shifted_heads

from longdata.errors import UserError
from longtune.patterns import PATTERNS, mask, mask_mod

torch = pytest.importorskip("torch", reason="torch is not installed")

SHAPE = {"num_heads": 8, "length": 64, "group_size": 16}


def test_the_worked_example() -> None:
    shifted_head = mask("s2", num_heads=2, length=4, group_size=2)[1]
    expected = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    assert shifted_head.int().tolist() == expected


@pytest.mark.parametrize("name", PATTERNS)
def test_every_token_sees_itself_and_only_the_wrapped_pattern_sees_ahead(name: str) -> None:
    seen = mask(name, **SHAPE)
    assert seen.shape == (8, 64, 64) and seen.dtype == torch.bool
    ahead = torch.ones(64, 64, dtype=torch.bool).triu(1)
    assert bool((seen & ahead).any()) == (name == "wrapped")
    sees_itself = seen.diagonal(dim1=1, dim2=2)
    if name == "blocks":  # a group back, most heads do not
        assert sees_itself[:2].all() and not sees_itself[2:, 16:].any()
    else:
        assert sees_itself.all()


def test_s2_is_the_definition_and_what_short_and_shifted_are_halves_of() -> None:
    seen = mask("s2", **SHAPE)
    assert torch.equal(seen, s2_mask_HTT([64], 16, shifted_heads(8, 8)))
    assert torch.equal(seen[:4], mask("short", **SHAPE)[:4])
    assert torch.equal(seen[4:], mask("shifted", **SHAPE)[4:])


def test_layers_alternate() -> None:
    for layer, name in enumerate(["short", "shifted", "short"]):
        assert torch.equal(mask("layers", layer=layer, **SHAPE), mask(name, **SHAPE))


def test_wrapped_is_the_published_roll() -> None:
    inputs = [torch.randn(64, 8, 4, dtype=torch.float64) for _ in range(3)]
    ours = dense(*inputs, mask("wrapped", **SHAPE))
    torch.testing.assert_close(ours, published_roll(*inputs, 16), rtol=0, atol=1e-12)


@pytest.mark.parametrize("num_heads", [1, 2, 5, 8])
def test_dilated_heads_go_from_every_token_to_every_second(num_heads: int) -> None:
    seen = mask("dilated", **{**SHAPE, "num_heads": num_heads})
    for head in range(num_heads):
        steps = max(num_heads - 1, 1)
        back = {step * (steps + head) // steps for step in range(16)}
        for query in (0, 3, 40, 63):
            expected = sorted(query - b for b in back if b <= query)
            assert seen[head, query].nonzero().flatten().tolist() == expected


def test_blocks_are_one_group_per_query_further_back_with_the_heads() -> None:
    seen = mask("blocks", **SHAPE)
    for head in range(8):
        for query in (0, 15, 16, 40, 63):
            block = max(query // 16 - head // 2, 0)
            expected = [key for key in range(16 * block, 16 * block + 16) if key <= query]
            assert seen[head, query].nonzero().flatten().tolist() == expected


def test_stride_is_a_window_and_every_eighth_token() -> None:
    seen = mask("stride", **SHAPE)
    assert seen[0, 40].nonzero().flatten().tolist() == list(range(25, 41))
    assert seen[7, 40].nonzero().flatten().tolist() == list(range(0, 41, isqrt(64)))


@pytest.mark.parametrize("name", PATTERNS)
def test_flex_attention_takes_the_same_pattern(name: str) -> None:
    from torch.nn.attention.flex_attention import create_mask

    made = create_mask(mask_mod(name, **SHAPE), 1, 8, 64, 64, device="cpu")
    assert torch.equal(made[0], mask(name, **SHAPE))


@pytest.mark.parametrize("changes", [{"group_size": 15}, {"group_size": 24}, {"group_size": 0}])
def test_groups_that_do_not_divide_the_length_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="an even number that divides them"):
        mask("s2", **{**SHAPE, **changes})


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(UserError, match="got pattern 'S2'; allowed: full, short"):
        mask_mod("S2", **SHAPE)
