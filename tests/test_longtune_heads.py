"""heads: which are shifted is decided by a head's number among all, however they are divided."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.errors import UserError

torch = pytest.importorskip("torch", reason="torch is not installed")

from longtune.attention import shifted_sparse  # noqa: E402
from longtune.heads import num_plain_heads, num_plain_here, set_share  # noqa: E402

LENGTH, GROUP, HEAD_DIM = 24, 8, 4


def layer(num_heads: int, num_kv_heads: int) -> Any:
    module = torch.nn.Module()
    module.layer_idx = 0
    module.config = SimpleNamespace(num_attention_heads=num_heads, num_key_value_heads=num_kv_heads)
    return module


# (query heads, key-value heads, devices that DeepSpeed can share them among)
SHARES = [(h, k, n) for h, k in ((8, 8), (8, 4), (8, 2), (8, 1), (6, 3), (12, 4), (6, 1), (4, 2))
          for n in (2, 3, 4, 6, 8) if h % n == 0 and (k % n == 0 or n % k == 0)]  # fmt: skip


@given(shape=st.sampled_from(SHARES), seed=st.integers(0, 99))
def test_parts_on_devices_are_the_parts_of_the_whole(
    shape: tuple[int, int, int], seed: int
) -> None:
    """As Ulysses divides them: queries evenly; keys evenly, or each repeated for some devices."""
    num_heads, num_kv_heads, parts = shape
    made = torch.Generator().manual_seed(seed)
    query = torch.randn(LENGTH, num_heads, HEAD_DIM, generator=made, dtype=torch.float64)
    key, value = (
        torch.randn(LENGTH, num_kv_heads, HEAD_DIM, generator=made, dtype=torch.float64)
        for _ in range(2)
    )
    bounds = (0, 5, LENGTH)
    whole = shifted_sparse(query, key, value, bounds, GROUP)
    copies = max(parts // num_kv_heads, 1)
    keys, values = (x.repeat_interleave(copies, dim=1).chunk(parts, dim=1) for x in (key, value))
    found = []
    for rank, q in enumerate(query.chunk(parts, dim=1)):
        module = layer(num_heads, num_kv_heads)
        set_share(module, rank, parts)
        num_plain = num_plain_here(module, q[None].transpose(1, 2))
        found.append(shifted_sparse(q, keys[rank], values[rank], bounds, GROUP, num_plain))
    assert torch.allclose(torch.cat(found, dim=1), whole, rtol=0, atol=1e-12)


def test_of_two_devices_one_has_plain_heads_and_one_shifted_ones() -> None:
    here = torch.empty(1, 16, 1, 1)
    for rank, expected in enumerate((16, 0)):
        module = layer(32, 8)
        set_share(module, rank, 2)
        assert num_plain_here(module, here) == expected


def test_all_heads_on_one_device_need_no_telling() -> None:
    assert num_plain_here(layer(32, 8), torch.empty(1, 32, 1, 1)) is None
    assert num_plain_heads(9, 3) == 6 and num_plain_heads(8, 1) == 4 and num_plain_heads(7, 1) == 4


def test_a_part_that_nobody_told_of_is_refused() -> None:
    with pytest.raises(UserError, match="got 16 of the 32 heads of a layer"):
        num_plain_here(layer(32, 8), torch.empty(1, 16, 1, 1))
    module = layer(32, 8)
    set_share(module, 0, 4)
    with pytest.raises(UserError, match="got 16 of the 32 heads"):
        num_plain_here(module, torch.empty(1, 16, 1, 1))
