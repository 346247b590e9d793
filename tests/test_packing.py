"""Rows of exactly ctx tokens: nothing lost, nothing cut that fits, the same in any order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longdata.document_keys import Keys, draws, keys_of, mixed, of_copies, seeded_order, shuffled
from longdata.errors import UserError
from longdata.packing import _GAPS, Packing, Strategy, pack

LENGTHS = st.lists(st.integers(0, 70), max_size=40)
CTX = st.integers(1, 40)
KNOWN_KEYS = [
    [1827532406084875718, 5966897989954555287],
    [14740271996962336898, 18305380542970750171],
]
KNOWN_DRAWS = [6382710290162003347, 2823660007041524930]
KNOWN_SHUFFLE = [5, 7, 4, 2, 6, 3, 0, 1]
STRATEGY: st.SearchStrategy[Strategy] = st.sampled_from(["best-fit", "concat"])


def keys(count: int) -> Keys:
    return keys_of(f"file.jsonl:{number}" for number in range(count))


def rows_of(packing: Packing, names: list[int]) -> list[list[tuple[int, int, int, int]]]:
    """The rows, each document under its own name."""
    return [
        [(names[p.document], p.start, p.end, p.place) for p in packing.row(number)]
        for number in range(packing.num_rows)
    ]


def plain_best_fit(lengths: list[int], ctx: int) -> list[list[int]]:
    """Best-fit decreasing as defined: row by row is looked at for each document."""
    rows: list[list[int]] = []
    changed: list[int] = []
    rests = sorted((length % ctx for length in lengths if length % ctx), reverse=True)
    for step, length in enumerate(rests):
        fitting = [r for r, row in enumerate(rows) if sum(row) + length <= ctx]
        if fitting:
            best = min(fitting, key=lambda r: (ctx - sum(rows[r]), -changed[r]))
            rows[best].append(length)
            changed[best] = step
        else:
            rows.append([length])
            changed.append(step)
    return [sorted(row) for row in rows] + [[ctx] for n in lengths for _ in range(n // ctx)]


@given(LENGTHS, CTX, STRATEGY, st.integers(0, 3))
def test_every_token_is_in_exactly_one_row(
    lengths: list[int], ctx: int, strategy: Strategy, seed: int
) -> None:
    packing = pack(lengths, keys(len(lengths)), ctx=ctx, strategy=strategy, seed=seed)
    seen = [[0] * length for length in lengths]
    for number in range(packing.num_rows):
        place = 0
        for piece in packing.row(number):
            assert piece.place == place and piece.end > piece.start
            place += piece.end - piece.start
            for token in range(piece.start, piece.end):
                seen[piece.document][token] += 1
        assert 0 < place <= ctx
        assert place == packing.used()[number]
    assert all(times == 1 for document in seen for times in document)
    assert packing.tokens == sum(lengths)
    assert packing.padding == packing.num_rows * ctx - sum(lengths)


@given(LENGTHS, CTX)
def test_best_fit_cuts_no_document_that_fits_and_the_others_little(
    lengths: list[int], ctx: int
) -> None:
    packing = pack(lengths, keys(len(lengths)), ctx=ctx)
    pieces = packing.pieces_of.tolist() + [0] * len(lengths)
    for length, count in zip(lengths, pieces, strict=False):
        needed = -(-length // ctx)
        assert count == needed if length <= ctx else needed <= count <= needed + _GAPS


@given(LENGTHS, CTX, st.integers(0, 3))
def test_best_fit_is_the_plain_one(lengths: list[int], ctx: int, seed: int) -> None:
    fitting = [min(length, ctx) for length in lengths]
    packing = pack(fitting, keys(len(lengths)), ctx=ctx, seed=seed)
    ours = [sorted(p.end - p.start for p in packing.row(n)) for n in range(packing.num_rows)]
    assert sorted(ours) == sorted(plain_best_fit(fitting, ctx))
    with_long = pack(lengths, keys(len(lengths)), ctx=ctx, seed=seed)
    assert 0 <= len(plain_best_fit(lengths, ctx)) - with_long.num_rows <= 1


@settings(max_examples=20)
@given(st.lists(st.integers(1, 9000), min_size=50, max_size=300), st.integers(1025, 5000))
def test_best_fit_is_the_plain_one_where_rooms_fill_many_words(
    lengths: list[int], ctx: int
) -> None:
    fitting = [length % ctx for length in lengths]
    packing = pack(fitting, keys(len(lengths)), ctx=ctx)
    ours = [sorted(p.end - p.start for p in packing.row(n)) for n in range(packing.num_rows)]
    assert sorted(ours) == sorted(plain_best_fit(fitting, ctx))


def test_a_row_too_many_goes_into_the_gaps_of_the_others() -> None:
    lengths = [190, 96, 96, 96, 12]  # the 12 fit nowhere, unless the rest of 90 makes room for it
    packing = pack(lengths, keys(5), ctx=100)
    assert len(plain_best_fit(lengths, 100)) == 6
    assert (packing.num_rows, packing.padding) == (5, 10)
    assert packing.pieces_of.tolist() == [3, 1, 1, 1, 1]
    lengths = [109, 96, 96, 96]  # the rest of 9 itself is cut
    packing = pack(lengths, keys(4), ctx=100)
    assert (packing.num_rows, packing.pieces_of.tolist()) == (4, [4, 1, 1, 1])


@given(LENGTHS, CTX)
def test_concat_fills_every_row_but_one(lengths: list[int], ctx: int) -> None:
    packing = pack(lengths, keys(len(lengths)), ctx=ctx, strategy="concat")
    assert packing.num_rows == -(-sum(lengths) // ctx)
    assert (packing.used() < ctx).sum() <= 1


def test_concat_joins_documents_in_one_order_and_cuts_them() -> None:
    lengths = [3, 5, 4, 6]
    packing = pack(lengths, keys(4), ctx=4, strategy="concat", seed=5)
    order = seeded_order(keys(4), seed=5, purpose="documents").tolist()
    tokens = [(document, token) for document in order for token in range(lengths[document])]
    expected = [tokens[at : at + 4] for at in range(0, 18, 4)]
    got = [
        [(p.document, token) for p in packing.row(number) for token in range(p.start, p.end)]
        for number in range(packing.num_rows)
    ]
    assert sorted(got) == sorted(expected)


@given(LENGTHS, CTX, STRATEGY, st.randoms(use_true_random=False))
def test_the_order_of_the_documents_changes_nothing(
    lengths: list[int], ctx: int, strategy: Strategy, draw: random.Random
) -> None:
    names = list(range(len(lengths)))
    packing = pack(lengths, keys(len(lengths)), ctx=ctx, strategy=strategy, seed=1)
    draw.shuffle(names)
    again = pack(
        [lengths[n] for n in names], keys(len(lengths))[names], ctx=ctx, strategy=strategy, seed=1
    )
    assert rows_of(packing, list(range(len(lengths)))) == rows_of(again, names)


def test_another_seed_is_another_order() -> None:
    lengths = [7] * 40
    rows = [rows_of(pack(lengths, keys(40), ctx=14, seed=s), list(range(40))) for s in (0, 1)]
    assert rows[0] != rows[1]
    assert rows[0] == rows_of(pack(lengths, keys(40), ctx=14, seed=0), list(range(40)))


def test_rows_do_not_all_begin_with_their_longest_document() -> None:
    packing = pack([60, 40] * 200, keys(400), ctx=100)
    begins = [packing.row(number)[0].end for number in range(packing.num_rows)]
    assert packing.num_rows == 200
    assert 60 < begins.count(60) < 140


def test_rows_of_long_documents_are_spread_over_the_whole() -> None:
    packing = pack([10_000] + [100] * 100, keys(101), ctx=100)
    rows = [n for n in range(packing.num_rows) if packing.row(n)[0].document == 0]
    assert len(rows) == 100
    assert 70 < np.mean(rows) < 130


def test_realistic_lengths_leave_little_padding() -> None:
    draw = random.Random(3)
    lengths = [max(20, round(draw.lognormvariate(6.8, 1.2))) for _ in range(30_000)]
    for ctx, rows in ((8192, 6000), (32768, 1500)):
        packing = pack(lengths, keys(len(lengths)), ctx=ctx)
        assert packing.num_rows > rows
        assert packing.padding / (packing.num_rows * ctx) < 0.002


def test_no_documents_are_no_rows() -> None:
    for strategy in ("best-fit", "concat"):
        for lengths in ([], [0, 0]):
            packing = pack(lengths, keys(len(lengths)), ctx=8, strategy=strategy)
            assert (packing.num_rows, packing.tokens, packing.padding) == (0, 0, 0)
            assert packing.used().tolist() == []


def test_what_cannot_be_packed_is_refused() -> None:
    with pytest.raises(UserError, match="got --ctx 0; allowed: 1 or more"):
        pack([3], keys(1), ctx=0)
    with pytest.raises(UserError, match="got --strategy first-fit; allowed: best-fit, concat"):
        pack([3], keys(1), ctx=8, strategy="first-fit")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 lengths of 0 or more need as many keys, not 1"):
        pack([3, 4], keys(1), ctx=8)
    with pytest.raises(ValueError, match="1 documents have the key of another"):
        pack([3, 4, 5], keys(3)[[0, 1, 0]], ctx=8)


def test_keys_are_the_same_on_every_machine_and_for_ever() -> None:
    known = keys_of(["arxiv/3.jsonl:0", "é\ud800"])
    assert known.tolist() == KNOWN_KEYS
    assert draws(known, seed=1, purpose="rows").tolist() == KNOWN_DRAWS
    assert shuffled(8, seed=0, purpose="rows").tolist() == KNOWN_SHUFFLE


def test_copies_have_keys_of_their_own() -> None:
    known = keys(50)
    copies = np.vstack([of_copies(known, np.full(50, copy)) for copy in range(4)])
    assert np.array_equal(copies[:50], known)
    assert len(np.unique(copies, axis=0)) == 200


def test_mixing_is_one_to_one_and_even() -> None:
    numbers = mixed(np.arange(1 << 16, dtype=np.uint64))
    assert numbers[0] == 0
    assert len(np.unique(numbers)) == 1 << 16
    counts = np.bincount((numbers >> np.uint64(60)).astype(np.int64), minlength=16)
    assert counts.min() > 3800 and counts.max() < 4400
