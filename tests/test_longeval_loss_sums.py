from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longeval.loss_sums import Curve, curve_edges, gather
from longeval.nll import Losses
from longeval.passes import Block, blocks, merge
from longeval.windows import disjoint, longlora, strided, yarn


def loss(start: int, token: int) -> float:
    """Of a token in windows that begin at start."""
    return float(np.float32((token * 7919 + start * 104729) % 1000 / 100))


def read(block: Block) -> Sequence[Losses]:
    return [
        np.array([loss(p.start, t) for a, b in p.ranges for t in range(a, b)], np.float32)
        for p in block.passes
    ]


@given(st.integers(40, 150), st.integers(2, 30), st.integers(1, 30))
def test_sums_and_curve_are_those_of_each_window_by_itself(
    num_tokens: int, ctx: int, stride: int
) -> None:
    requests = [
        longlora(num_tokens=num_tokens, ctx=ctx, stride=stride),
        strided(num_tokens=num_tokens, ctx=2 * ctx, stride=min(stride, ctx)),
        disjoint(num_tokens=num_tokens, ctx=ctx, bos=True),
        yarn([0, num_tokens // 2, num_tokens], ctx=ctx + 1, stride=min(stride, ctx)),
    ]
    plan = merge(requests, prefixes=True)
    found = gather(requests, plan, blocks(plan.passes, batch_size=None), read)
    for windows, sums in zip(requests, found, strict=True):
        curve: dict[int, list[float]] = {}
        for k, (start, end, first) in enumerate(windows.rows()):
            losses = [loss(start, token) for token in range(first, end)]
            assert sums.counts[k] == len(losses)
            np.testing.assert_allclose(sums.sums[k], sum(losses), rtol=1e-12)
            for token, one in zip(range(first, end), losses, strict=True):
                context = token - start + windows.bos
                bucket = int(np.searchsorted(sums.curve.edges, context, side="right")) - 1
                curve.setdefault(int(sums.curve.edges[bucket]), []).append(one)
        rows = {low: (mean, count) for low, _, mean, count in sums.curve.rows()}
        assert rows.keys() == curve.keys()
        for low, (mean, count) in rows.items():
            assert count == len(curve[low])
            np.testing.assert_allclose(mean, np.mean(curve[low]), rtol=1e-9)


def test_buckets_double_in_two_steps() -> None:
    assert curve_edges(20).tolist() == [1, 2, 3, 4, 6, 8, 12, 16, 24]
    assert curve_edges(2).tolist() == [1, 2]


def test_a_stretch_within_one_bucket_stays_there() -> None:
    edges = curve_edges(64)
    curve = Curve(edges=edges, sums=np.zeros(len(edges) - 1), counts=np.zeros(len(edges) - 1, int))
    curve.add(33, np.ones(5, np.float32))
    assert list(curve.rows()) == [(32, 48, 1.0, 5)]
