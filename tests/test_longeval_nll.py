from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from longeval_small import VOCAB, random_tokens, small_llama

from longdata.errors import UserError
from longeval.nll import Scorer, losses_in_full
from longeval.passes import Block, Pass, blocks, merge
from longeval.windows import disjoint, longlora, strided, yarn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model() -> Any:
    return small_llama()


def in_full(model: Any, tokens: Any, one: Pass) -> Any:
    ids = tokens[one.start : one.end].astype(np.int64)
    ids = np.concatenate([[1], ids]) if one.bos else ids
    losses = losses_in_full(model, ids)
    begin = one.start - one.bos + 1  # the token of losses[0]
    return np.concatenate([losses[first - begin : end - begin] for first, end in one.ranges])


def test_losses_are_those_of_each_window_in_full(model: Any) -> None:
    tokens = random_tokens(400)
    requests = [
        longlora(num_tokens=400, ctx=48, stride=16),
        strided(num_tokens=400, ctx=96, stride=16),
        disjoint(num_tokens=400, ctx=96, bos=True),
        yarn([0, 150, 400], ctx=64, stride=16),
    ]
    plan = merge(requests, prefixes=True)
    scorer = Scorer(model, bos_id=1)
    assert scorer.head == "in parts"
    for block in blocks(plan.passes, batch_size=3):
        for one, found in zip(block.passes, scorer.losses(tokens, block), strict=True):
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, in_full(model, tokens, one), atol=2e-5)


def test_a_prefix_of_a_longer_window_has_the_losses_of_the_short_one(model: Any) -> None:
    tokens = random_tokens(200)
    scorer = Scorer(model, bos_id=None)
    (long,) = scorer.batch(tokens, [Pass(20, 180, False, ((21, 52), (100, 110)))])
    (short,) = scorer.batch(tokens, [Pass(20, 52, False, ((21, 52),))])
    np.testing.assert_allclose(long[:31], short, atol=6e-6)


def test_a_head_with_a_scale_is_found_out_and_left_to_the_model() -> None:
    from transformers import CohereConfig, CohereForCausalLM

    torch.manual_seed(0)
    config = CohereConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=4,
        logit_scale=0.1,
        initializer_range=0.3,
        pad_token_id=0,
    )
    scaled = CohereForCausalLM(config).eval()
    tokens = random_tokens(40)
    scorer = Scorer(scaled, bos_id=None)
    assert scorer.head == "by the model"
    one = Pass(0, 40, False, ((1, 40),))
    (found,) = scorer.batch(tokens, [one])
    np.testing.assert_allclose(found, in_full(scaled, tokens, one), atol=2e-5)


def test_the_softmax_is_in_float32_whatever_the_model_is_in() -> None:
    half = small_llama().to(torch.bfloat16)
    tokens = random_tokens(300)
    one = Pass(0, 300, False, ((1, 300),))
    (found,) = Scorer(half, bos_id=None).batch(tokens, [one])
    with torch.inference_mode():
        logits = half(torch.from_numpy(tokens.astype(np.int64))[None]).logits[0, :-1]
    exact = torch.nn.functional.cross_entropy(
        logits.double(), torch.from_numpy(tokens[1:].astype(np.int64)), reduction="none"
    )
    np.testing.assert_allclose(found, exact.numpy(), atol=1e-5)


def test_logits_of_what_is_not_scored_are_never_made(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(model, bos_id=None)
    rows: list[int] = []
    head = scorer._head.forward

    def counting(hidden: Any) -> Any:
        rows.append(hidden.shape[0])
        return head(hidden)

    monkeypatch.setattr(scorer._head, "forward", counting)
    scorer.batch(random_tokens(300), [Pass(0, 300, False, ((5, 9), (290, 300)))] * 2)
    assert sum(rows) == 2 * 14


def test_overflow_in_half_precision_is_refused_with_the_fix() -> None:
    wide = small_llama()
    with torch.no_grad():
        wide.lm_head.weight.fill_(3e4)
    with pytest.raises(UserError, match="--dtype bfloat16"):
        Scorer(wide.to(torch.float16), bos_id=None).losses(
            random_tokens(64), Block(batches=((Pass(0, 64, False, ((1, 64),)),),))
        )


def test_a_model_that_trains_is_our_own_mistake(model: Any) -> None:
    training = small_llama().train()
    with pytest.raises(AssertionError):
        Scorer(training, bos_id=None)


def test_a_batch_that_does_not_fit_the_device_is_one_line(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = Scorer(model, bos_id=None)

    def full(ids: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(scorer, "_parts", full)
    with pytest.raises(UserError, match=r"2 windows of 30 tokens.*--batch-size 1"):
        scorer.batch(random_tokens(30), [Pass(0, 30, False, ((1, 30),))] * 2)
