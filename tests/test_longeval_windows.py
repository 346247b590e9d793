"""Each protocol's windows against its definition, written down as a loop."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from longeval.windows import Windows, disjoint, document, longlora, strided, yarn

Rows = list[tuple[int, int, int]]
sizes = st.integers(1, 60)


def rows(windows: Windows) -> Rows:
    return list(windows.rows())


@given(st.integers(0, 200), st.integers(2, 40), sizes)
def test_longlora_is_what_the_published_script_does(num_tokens: int, ctx: int, stride: int) -> None:
    starts = list(range(0, num_tokens - ctx, stride))
    if starts:
        starts.pop()
    expected = [(start, start + ctx, start + 1) for start in starts]
    assert rows(longlora(num_tokens=num_tokens, ctx=ctx, stride=stride)) == expected


@given(st.integers(0, 200), st.integers(2, 40), st.integers(1, 40), st.booleans())
def test_strided_scores_each_token_once_with_the_context_press_et_al_give_it(
    num_tokens: int, ctx: int, stride: int, bos: bool
) -> None:
    room = ctx - bos
    stride = min(stride, room)
    expected: Rows = []
    for new in range(0, num_tokens, stride):
        start = max(0, new - (room - stride))
        end = min(new + stride, num_tokens)
        first = new if bos or new > start else new + 1
        if first < end:
            expected.append((start, end, first))
    windows = strided(num_tokens=num_tokens, ctx=ctx, stride=stride, bos=bos)
    assert rows(windows) == expected
    scored = [t for _, end, first in expected for t in range(first, end)]
    if stride < room or bos:
        assert scored == list(range(not bos, num_tokens))
    for start, end, first in expected:
        assert end - start + bos <= ctx
        if start:
            assert first - start >= max(1 - bos, room - stride)


@given(st.integers(0, 200), st.integers(2, 40), st.booleans())
def test_disjoint_reads_each_token_once(num_tokens: int, ctx: int, bos: bool) -> None:
    expected = []
    for start in range(0, num_tokens, ctx - bos):
        end = min(start + ctx - bos, num_tokens)
        if end - start + bos >= 2:
            expected.append((start, end, start + (not bos)))
    assert rows(disjoint(num_tokens=num_tokens, ctx=ctx, bos=bos)) == expected


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(2, 30), st.booleans())
def test_document_takes_the_beginning_of_each(lengths: list[int], ctx: int, bos: bool) -> None:
    offsets = np.cumsum([0, *lengths]).tolist()
    expected, indices = [], []
    for index, (begin, stop) in enumerate(pairwise(offsets)):
        end = min(stop, begin + ctx - bos)
        if end - begin + bos >= 2:
            expected.append((begin, end, begin + (not bos)))
            indices.append(index)
    windows = document(offsets, ctx=ctx, bos=bos)
    assert rows(windows) == expected
    assert windows.document is not None and windows.document.tolist() == indices


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(2, 30), sizes)
def test_yarn_scores_what_the_window_before_did_not_reach(
    lengths: list[int], ctx: int, stride: int
) -> None:
    offsets = np.cumsum([0, *lengths]).tolist()
    room = ctx - 1
    stride = min(stride, room)
    expected: Rows = []
    for begin, stop in pairwise(offsets):
        reached = begin
        for start in range(begin, stop, stride):
            end = min(start + room, stop)
            expected.append((start, end, reached))
            reached = end
            if end == stop:
                break
    windows = yarn(offsets, ctx=ctx, stride=stride)
    assert windows.bos
    assert rows(windows) == expected
    assert sum(end - first for _, end, first in expected) == sum(lengths)


def test_yarn_truncated_never_slides() -> None:
    windows = yarn([0, 100, 103], ctx=9, stride=2, truncate=True)
    assert rows(windows) == [(0, 8, 0), (100, 103, 100)]


def test_what_is_read_is_counted_with_bos() -> None:
    assert disjoint(num_tokens=10, ctx=4).num_read == 10
    assert disjoint(num_tokens=9, ctx=4, bos=True).num_read == 12
