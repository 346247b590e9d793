"""Which documents are used: exact counts, all accounted for, the same in any order."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.document_keys import Keys, keys_of
from longdata.errors import UserError
from longdata.mixing import Mixture, Numbers, Selection, _fill, parse_shares, select

NAMES = ["arxiv", "book", "web"]


def keys(count: int) -> Keys:
    return keys_of(f"file.jsonl:{number}" for number in range(count))


def corpus(count: int = 3000, seed: int = 0) -> tuple[Numbers, Numbers]:
    """Lengths and sources: few long books, many short pages."""
    draw = random.Random(seed)
    medians = (9.2, 11.5, 6.3)
    source = [draw.choices(range(3), (4, 1, 30))[0] for _ in range(count)]
    lengths = [max(1, round(draw.lognormvariate(medians[at], 1.0))) for at in source]
    return np.array(lengths), np.array(source)


def tokens_of(chosen: Selection, lengths: Numbers) -> int:
    return int(lengths[chosen.document].sum())


def uses(chosen: Selection, names: list[int]) -> set[tuple[int, int]]:
    pairs = zip(chosen.document.tolist(), chosen.copy.tolist(), strict=True)
    return {(names[document], copy) for document, copy in pairs}


def test_nothing_asked_uses_every_document_once() -> None:
    lengths, source = corpus()
    chosen = select(lengths, keys(3000), source, NAMES, Mixture())
    assert sorted(chosen.document.tolist()) == list(range(3000))
    assert not chosen.copy.any()
    assert sum(found.tokens for found in chosen.sources.values()) == lengths.sum()
    assert all(found.asked == found.tokens for found in chosen.sources.values())


@given(
    st.integers(0, 5),
    st.sampled_from([{}, {"book": "0.5"}, {"arxiv": "0.3", "web": "0.3"}]),
    st.sampled_from([None, 5_000_000, 30_000_000]),
    st.sampled_from(["1", "0.5", "0.1"]),
    st.integers(1, 400),
    st.sampled_from([None, 50_000]),
)
def test_every_document_is_accounted_for(
    seed: int,
    shares: dict[str, str],
    tokens: int | None,
    keep_short: str,
    min_tokens: int,
    max_tokens: int | None,
) -> None:
    lengths, source = corpus(800)
    mixture = Mixture(
        shares={name: Fraction(share) for name, share in shares.items()},
        tokens=tokens,
        keep_short=Fraction(keep_short),
        min_tokens=min_tokens,
        max_tokens=max_tokens,
        max_copies=10**6,
    )
    chosen = select(lengths, keys(800), source, NAMES, mixture, seed=seed)
    assert len(uses(chosen, list(range(800)))) == len(chosen.document)
    assert ((lengths >= min_tokens) & (lengths <= (max_tokens or 10**9)))[chosen.document].all()
    for at, name in enumerate(NAMES):
        found = chosen.sources[name]
        own = source[chosen.document] == at
        left = found.left_out.values()
        assert found.given.documents == (source == at).sum()
        assert found.given.documents == found.documents + sum(one.documents for one in left)
        assert found.documents == (own & (chosen.copy == 0)).sum()
        assert found.repeats == (own & (chosen.copy > 0)).sum()
        assert found.tokens == lengths[chosen.document][own].sum() <= found.asked
        copies = np.bincount(chosen.document[own], minlength=800)[chosen.document[own]]
        assert copies.max() - copies.min() <= 1 or found.documents < found.given.documents


def test_shares_are_met_to_less_than_a_document() -> None:
    lengths, source = corpus()
    mixture = Mixture(shares=parse_shares("arxiv=0.3,book=0.3"), tokens=5_000_000)
    chosen = select(lengths, keys(3000), source, NAMES, mixture)
    for at, name in enumerate(NAMES):
        found = chosen.sources[name]
        assert found.asked == {"arxiv": 1_500_000, "book": 1_500_000, "web": 2_000_000}[name]
        assert found.asked - found.tokens < max(lengths[source == at].min(), 200)


def test_without_a_number_of_tokens_no_document_is_used_twice() -> None:
    lengths, source = corpus()
    of_source = [int(lengths[source == at].sum()) for at in range(3)]
    shares = parse_shares("arxiv=0.25,book=0.25,web=0.5")
    chosen = select(lengths, keys(3000), source, NAMES, Mixture(shares=shares))
    assert not chosen.copy.any()
    asked = sum(found.asked for found in chosen.sources.values())
    assert asked == pytest.approx(min(of_source[0] * 4, of_source[1] * 4, of_source[2] * 2), abs=4)
    assert "more than asked for" not in chosen.sources["web"].left_out  # it is what there is least


def test_all_documents_are_used_before_one_is_used_again() -> None:
    lengths = np.full(10, 100)
    chosen = select(lengths, keys(10), np.zeros(10), ["web"], Mixture(tokens=2350))
    times = np.bincount(chosen.document)
    assert sorted(times.tolist()) == [2] * 7 + [3] * 3
    assert chosen.sources["web"].tokens == 2300
    assert sorted(chosen.copy.tolist()) == [0] * 10 + [1] * 10 + [2] * 3


def test_length_upsampling_keeps_the_shares_and_moves_the_lengths() -> None:
    lengths, source = corpus()
    mixture = Mixture(keep_short=Fraction("0.1"), tokens=int(lengths.sum()), max_copies=50)
    chosen = select(lengths, keys(3000), source, NAMES, mixture)
    short = lengths < 4096
    for at, name in enumerate(NAMES):
        own = source == at
        assert chosen.sources[name].tokens == pytest.approx(lengths[own].sum(), rel=0.01)
    used = lengths[chosen.document]
    before = lengths[short].sum() / lengths.sum()
    assert used[used < 4096].sum() / used.sum() < before
    drawn = len(np.unique(chosen.document[short[chosen.document]]))
    assert 0.07 < drawn / short.sum() < 0.13
    left_out = [found.left_out.get("short, not drawn") for found in chosen.sources.values()]
    assert sum(one.documents for one in left_out if one) == short.sum() - drawn


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_order_of_the_documents_changes_nothing(draw: random.Random, seed: int) -> None:
    lengths, source = corpus(300)
    mixture = Mixture(
        shares=parse_shares("arxiv=0.2"), tokens=1_500_000, keep_short=Fraction(1, 2), max_copies=9
    )
    names = list(range(300))
    chosen = select(lengths, keys(300), source, NAMES, mixture, seed=seed)
    draw.shuffle(names)
    again = select(lengths[names], keys(300)[names], source[names], NAMES, mixture, seed=seed)
    assert uses(chosen, list(range(300))) == uses(again, names)
    assert chosen.sources == again.sources


def test_another_seed_uses_other_documents() -> None:
    lengths, source = corpus(300)
    mixture = Mixture(tokens=int(lengths.sum()) // 3)
    first, second, again = (
        uses(select(lengths, keys(300), source, NAMES, mixture, seed=s), list(range(300)))
        for s in (0, 1, 0)
    )
    assert first == again != second


@given(st.lists(st.integers(0, 50), max_size=60), st.integers(0, 600))
def test_filling_takes_each_document_that_still_fits(sizes: list[int], room: int) -> None:
    expected, left = [], room
    for at, size in enumerate(sizes):
        if size <= left:
            expected.append(at)
            left -= size
    assert _fill(np.array(sizes, np.int64), room).tolist() == expected


def test_shares_are_read_exactly() -> None:
    assert parse_shares("arxiv=0.3, book=.1,a=b=1") == {
        "arxiv": Fraction(3, 10),
        "book": Fraction(1, 10),
        "a=b": Fraction(1),
    }


@pytest.mark.parametrize(
    "text", ["", "arxiv", "arxiv=", "=0.3", "arxiv=x", "a=-1", "a=1e3", "a=1,"]
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="allowed: sources and shares, with commas"):
        parse_shares(text)


@pytest.mark.parametrize(
    ("mixture", "line"),
    [
        ({"shares": {"a": Fraction(2, 3), "b": Fraction(1, 2)}}, "got shares that are 1.16667"),
        ({"shares": {"a": Fraction(0)}}, "shares above 0"),
        ({"min_tokens": 0}, "got documents of 0 to None tokens"),
        ({"min_tokens": 9, "max_tokens": 8}, "got documents of 9 to 8 tokens"),
        ({"keep_short": Fraction(11, 10)}, "got a chance of 1.1"),
        ({"max_copies": 0}, "got None tokens and 0 copies"),
        ({"tokens": 0}, "got 0 tokens and 4 copies"),
    ],
)
def test_what_cannot_be_mixed_is_refused(mixture: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line) as error:
        Mixture(**mixture)  # type: ignore[arg-type]
    assert "\n" not in str(error.value) and "; fix: " in str(error.value)


@pytest.mark.parametrize(
    ("mixture", "line"),
    [
        (
            Mixture(shares=parse_shares("books=0.5")),
            "with books, of which .* allowed: arxiv, book,",
        ),
        (Mixture(shares=parse_shares("arxiv=0.5,book=0.2,web=0.2")), "leaves 0.1 for other"),
        (Mixture(tokens=10**9), "arxiv is to be .* allowed: each document 4 times at most"),
        (Mixture(shares=parse_shares("book=0.001"), tokens=10_000), "room for its shortest"),
        (Mixture(keep_short=Fraction(0), short_below=10**9), "of which no document is left"),
    ],
)
def test_what_a_corpus_cannot_give_is_refused(mixture: Mixture, line: str) -> None:
    lengths, source = corpus()
    with pytest.raises(UserError, match=line) as error:
        select(lengths, keys(3000), source, NAMES, mixture)
    assert "\n" not in str(error.value) and "; fix: " in str(error.value)


def test_no_documents_are_no_selection() -> None:
    chosen = select([], keys(0), [], NAMES, Mixture())
    assert len(chosen.document) == len(chosen.copy) == 0
    assert chosen.sources["web"].given.documents == 0


def test_the_limits_of_length_are_allowed_themselves() -> None:
    mixture = Mixture(min_tokens=10, max_tokens=20)
    chosen = select([9, 10, 20, 21], keys(4), [0] * 4, ["web"], mixture)
    assert chosen.document.tolist() == [1, 2]
    left_out = chosen.sources["web"].left_out
    assert {reason: count.tokens for reason, count in left_out.items()} == {
        "too short": 9,
        "too long": 21,
    }
