"""The chunked loss is plain cross-entropy, gradients included, and never has all logits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtune.loss import summed_nll, targets_of
from longtune.training_data import UNSCORED

torch = pytest.importorskip("torch", reason="torch is not installed")
torch.set_num_threads(1)

ROWS, TOKENS, CHANNELS, VOCAB = 2, 37, 6, 11


def inputs(seed: int, share_scored: float) -> tuple[Any, Any, Any]:
    draw = torch.Generator().manual_seed(seed)
    hidden = torch.randn(ROWS, TOKENS, CHANNELS, generator=draw, dtype=torch.float64)
    head = torch.nn.Linear(CHANNELS, VOCAB, dtype=torch.float64)
    with torch.no_grad():
        head.weight.copy_(torch.randn(VOCAB, CHANNELS, generator=draw, dtype=torch.float64))
    labels = torch.randint(VOCAB, (ROWS, TOKENS), generator=draw)
    labels[torch.rand(ROWS, TOKENS, generator=draw) > share_scored] = UNSCORED
    return hidden.requires_grad_(), head, labels


def plain(hidden: Any, labels: Any, head: Any) -> Any:
    """The definition: every logit at once, each token predicted from the one before."""
    logits = head(hidden)[:, :-1].flatten(0, 1)
    return torch.nn.functional.cross_entropy(
        logits, labels[:, 1:].flatten(), ignore_index=UNSCORED, reduction="sum"
    )


@given(
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    chunk=st.sampled_from([1, 5, 16, 74, 1000]),
)
def test_it_is_plain_cross_entropy_and_its_gradients(seed: int, share: float, chunk: int) -> None:
    hidden, head, labels = inputs(seed, share)
    ours = summed_nll(hidden, labels, head, chunk_tokens=chunk)
    theirs = plain(hidden, labels, head)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    weights = [hidden, head.weight, head.bias]
    mine = torch.autograd.grad(ours, weights, allow_unused=True, materialize_grads=True)
    for one, other in zip(mine, torch.autograd.grad(theirs, weights), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_no_more_logits_than_a_chunk_are_made_and_none_are_kept() -> None:
    hidden, head, labels = inputs(0, 1.0)
    made: list[int] = []
    kept: list[int] = []

    def counting(part: Any) -> Any:
        made.append(part.shape[0])
        return head(part)

    def keep(tensor: Any) -> Any:
        kept.append(tensor.shape[-1] if tensor.ndim == 2 else 0)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        total = summed_nll(hidden, labels, counting, chunk_tokens=8)
    assert max(made) == 8
    assert VOCAB not in kept
    total.backward()
    assert len(made) == 2 * 10  # 74 tokens in 10 chunks, and again in the backward pass


def test_a_chunk_without_a_scored_token_is_not_computed() -> None:
    hidden, head, labels = inputs(0, 1.0)
    labels[:, :30] = UNSCORED  # of each row, as in questions with short answers
    made = []
    summed_nll(hidden, labels, lambda part: made.append(1) or head(part), chunk_tokens=4)
    assert len(made) == 5  # 29–36 of the first row, and of the second


def test_half_precision_is_summed_in_float32() -> None:
    hidden, head, labels = inputs(0, 1.0)
    half = summed_nll(hidden.bfloat16(), labels, head.bfloat16())
    assert half.dtype == torch.float32


def test_a_token_is_predicted_from_the_one_before() -> None:
    labels = torch.tensor([[UNSCORED, 5, 7], [UNSCORED, 2, UNSCORED]])
    assert targets_of(labels).tolist() == [[5, 7, UNSCORED], [2, UNSCORED, UNSCORED]]
