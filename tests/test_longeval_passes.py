from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from longeval.passes import Pass, blocks, default_batch_size, merge
from longeval.windows import Windows, disjoint, longlora, strided, yarn


def asked(num_tokens: int, contexts: list[int], stride: int) -> list[Windows]:
    found = []
    for ctx in contexts:
        found.append(longlora(num_tokens=num_tokens, ctx=ctx, stride=stride))
        found.append(strided(num_tokens=num_tokens, ctx=ctx, stride=min(stride, ctx)))
        found.append(disjoint(num_tokens=num_tokens, ctx=ctx))
        found.append(yarn([0, num_tokens // 3, num_tokens], ctx=ctx, stride=min(stride, ctx - 1)))
    return found


@given(
    st.integers(3, 150),
    st.lists(st.integers(2, 40), min_size=1, max_size=3, unique=True),
    st.integers(1, 40),
    st.booleans(),
)
def test_every_window_finds_each_of_its_tokens_with_its_own_context(
    num_tokens: int, contexts: list[int], stride: int, prefixes: bool
) -> None:
    requests = asked(num_tokens, contexts, stride)
    plan = merge(requests, prefixes=prefixes)
    for windows, places in zip(requests, plan.places, strict=True):
        rows = list(windows.rows())
        seen = []
        for number, found in places.items():
            one = plan.passes[number]
            tokens = [t for first, end in one.ranges for t in range(first, end)]
            assert one.num_scored == len(tokens) == len(set(tokens))
            for place in found:
                start, end, first = rows[place.window]
                assert (one.start, one.bos) == (start, windows.bos)
                assert end <= one.end if prefixes else end == one.end
                assert tokens[place.offset : place.offset + place.scored] == list(range(first, end))
                seen.append(place.window)
        assert sorted(seen) == list(range(len(rows)))


@given(
    st.integers(3, 150), st.lists(st.integers(2, 40), min_size=1, max_size=3), st.integers(1, 40)
)
def test_nothing_is_scored_that_nobody_asked_for(
    num_tokens: int, contexts: list[int], stride: int
) -> None:
    requests = asked(num_tokens, contexts, stride)
    wanted = {
        (start, windows.bos, token)
        for windows in requests
        for start, end, first in windows.rows()
        for token in range(first, end)
    }
    plan = merge(requests, prefixes=True)
    assert plan.num_scored == len(wanted)
    assert len({(one.start, one.bos) for one in plan.passes}) == len(plan.passes)


def test_five_contexts_cost_little_more_than_the_longest() -> None:
    contexts = [2048 << k for k in range(5)]
    requests = [longlora(num_tokens=400_000, ctx=ctx, stride=256) for ctx in contexts]
    together = merge(requests, prefixes=True).num_read
    assert together < 1.1 * requests[-1].num_read
    assert sum(windows.num_read for windows in requests) > 1.9 * together


def test_the_growing_windows_at_the_beginning_are_one_pass() -> None:
    plan = merge([strided(num_tokens=4096, ctx=1024, stride=256)], prefixes=True)
    assert [one for one in plan.passes if one.start == 0] == [Pass(0, 1024, False, ((1, 1024),))]


@given(st.integers(3, 300), st.integers(2, 40), st.integers(1, 40), st.sampled_from([None, 1, 3]))
def test_batches_are_of_one_length_and_hold_every_pass_once(
    num_tokens: int, ctx: int, stride: int, batch_size: int | None
) -> None:
    passes = merge(asked(num_tokens, [ctx], stride), prefixes=True).passes
    made = blocks(passes, batch_size=batch_size)
    assert [one for block in made for one in block.passes] == list(passes)
    for block in made:
        for batch in block.batches:
            assert len({one.length for one in batch}) == 1
            assert len(batch) <= (batch_size or default_batch_size(batch[0].length))


def test_blocks_are_many_enough_to_share() -> None:
    passes = merge([longlora(num_tokens=300_000, ctx=2048, stride=256)], prefixes=True).passes
    made = blocks(passes, batch_size=None)
    assert 64 <= len(made) <= 200
    assert blocks([], batch_size=None) == []
