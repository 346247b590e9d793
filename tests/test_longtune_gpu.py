"""On a CUDA device: the kernels of a GPU give what the definition says, without waits or copies."""

from __future__ import annotations

from itertools import accumulate
from types import SimpleNamespace
from typing import Any

import pytest
from attention_oracle import dense, s2_mask_HTT, shifted_heads

from longtune import kernels
from longtune.attention import s2_attention, shifted_sparse
from longtune.documents import s2_mask

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

pytestmark = pytest.mark.gpu

HEADS = [(4, 4), (8, 2), (9, 3), (4, 1)]
DIM = 64


def qkv(tokens: int, heads: tuple[int, int], dtype: Any) -> list[Any]:
    draw = torch.Generator("cuda").manual_seed(0)
    return [
        torch.randn(tokens, count, DIM, generator=draw, device="cuda", dtype=dtype).requires_grad_()
        for count in (heads[0], heads[1], heads[1])
    ]


def assert_is_definition(ours: Any, inputs: list[Any], lengths: list[int], group_size: int) -> None:
    """Forward and gradients, against float64, as close as the dtype allows."""
    heads = shifted_heads(inputs[0].shape[1], inputs[1].shape[1])
    exact = [x.detach().double().requires_grad_() for x in inputs]
    expected = dense(*exact, s2_mask_HTT(lengths, group_size, heads).cuda())
    weights = torch.randn_like(ours)
    gradients = torch.autograd.grad(ours, inputs, weights)
    expected_gradients = torch.autograd.grad(expected, exact, weights.double())
    bound = 1e-4 if ours.dtype == torch.float32 else 5e-2
    for mine, theirs in zip(
        (ours, *gradients), (expected, *expected_gradients), strict=True
    ):  # relative to the largest: bfloat16 keeps eight bits
        assert ((mine.double() - theirs).abs().max() / theirs.abs().max()).item() < bound


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("lengths", [[1024], [1000], [700, 30, 1, 293, 512]])
def test_every_kernel_is_the_definition(
    lengths: list[int], heads: tuple[int, int], dtype: str
) -> None:
    inputs = qkv(sum(lengths), heads, getattr(torch, dtype))
    bounds = tuple(accumulate(lengths, initial=0))
    assert_is_definition(shifted_sparse(*inputs, bounds, 256), inputs, lengths, 256)


def test_packed_documents_take_one_call_per_half(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = kernels._varlen

    def spy(*args: Any) -> Any:
        calls.append(args[3])
        return real(*args)

    monkeypatch.setattr(kernels, "_varlen", spy)
    inputs = qkv(1536, (8, 2), torch.bfloat16)
    shifted_sparse(*inputs, (0, 700, 731, 1024, 1536), 256)
    assert len(calls) == 2


@pytest.mark.parametrize("window", [1, 100, 699])
def test_a_window_is_a_band(window: int) -> None:
    bounds = (0, 700, 731, 1024)
    inputs = qkv(1024, (8, 2), torch.bfloat16)
    exact = [x.detach().double() for x in inputs]
    place = torch.arange(1024, device="cuda")
    seen = s2_mask_HTT([700, 31, 293], 2048, [False]).cuda() & (place[:, None] - place < window)
    ours = kernels.attend(*inputs, bounds, window=window)
    torch.testing.assert_close(ours.double(), dense(*exact, seen), rtol=0, atol=2e-2)


class Layer(torch.nn.Module):
    """As much of an attention layer as the function looks at."""

    def __init__(self, num_heads: int, group_size: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(num_attention_heads=num_heads)
        self.is_causal, self.s2_group_size = True, group_size


def test_only_the_first_layer_of_a_packed_batch_waits_for_the_device() -> None:
    layer = Layer(8, 256)
    positions = torch.cat([torch.arange(700), torch.arange(836)])[None].cuda()
    inputs = [x[None].transpose(1, 2) for x in qkv(1536, (8, 2), torch.bfloat16)]
    s2_attention(layer, *inputs, None, position_ids=positions)
    torch.cuda.set_sync_debug_mode("error")
    try:
        s2_attention(layer, *inputs, None, position_ids=positions)[0].sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_padding_and_whole_rows_agree() -> None:
    layer = Layer(8, 256)
    inputs = [x.unflatten(0, (2, 768)).transpose(1, 2) for x in qkv(1536, (8, 2), torch.bfloat16)]
    real = torch.ones(2, 768, dtype=torch.bool, device="cuda")
    real[0, :68] = False
    mask = s2_mask(2, 768, 768, attention_mask=real, device="cuda")
    ours = s2_attention(layer, *inputs, mask)[0][0, 68:]
    alone = s2_attention(layer, *(x[:1, :, 68:] for x in inputs), None)[0][0]
    torch.testing.assert_close(ours, alone, rtol=0, atol=2e-2)


def test_memory_is_that_of_full_attention_and_one_and_a_half_outputs() -> None:
    """The parts that backward needs, the shifted half joined, and the whole."""
    inputs = qkv(32_768, (32, 8), torch.bfloat16)
    one_output = inputs[0].numel() * inputs[0].element_size()

    def peak(bounds: tuple[int, ...], group_size: int) -> int:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        shifted_sparse(*inputs, bounds, group_size)
        return torch.cuda.max_memory_allocated() - before

    full = peak((0, 32_768), 32_768)
    assert peak((0, 32_768), 8192) <= full + 1.55 * one_output


def test_the_layer_compiles_with_inductor() -> None:
    layer = Layer(8, 256)
    inputs = [x[None].transpose(1, 2) for x in qkv(1024, (8, 2), torch.bfloat16)]
    compiled = torch.compile(s2_attention, fullgraph=True)
    ours, exact = compiled(layer, *inputs, None)[0], s2_attention(layer, *inputs, None)[0]
    torch.testing.assert_close(ours, exact, rtol=0, atol=2e-2)
