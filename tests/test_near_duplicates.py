"""Documents that say the same are found, others not; the estimates are close to the truth."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longqa import near_duplicates
from longqa.near_duplicates import COVERED, SKETCH, Duplicate, covered, find, sketch


def prose(seed: int, words: int) -> list[str]:
    """Words of a made-up text; two seeds share words, but no eight in a row."""
    rng = random.Random(seed)
    return [f"w{rng.randrange(3000)}" for _ in range(words)]


def exact(a: list[str], b: list[str]) -> tuple[float, float]:
    """|a ∩ b| / |a| and |a ∩ b| / |b| of the sets of 8-word shingles, by definition."""
    first, second = ({tuple(words[i : i + 8]) for i in range(len(words) - 7)} for words in (a, b))
    return len(first & second) / len(first), len(first & second) / len(second)


@pytest.mark.parametrize("shared", [0, 2_000, 5_000, 9_000])
def test_the_estimate_is_close_to_the_definition(shared: int) -> None:
    common = prose(1, shared)
    a, b = common + prose(2, 10_000 - shared), common + prose(3, 20_000 - shared)
    estimated = covered(sketch(" ".join(a)), sketch(" ".join(b)))
    for found, true in zip(estimated, exact(a, b), strict=True):
        assert abs(found - true) < 0.12  # four standard errors of a share of about 170 hashes


def test_case_punctuation_and_line_breaks_do_not_matter() -> None:
    words = prose(4, 500)
    plain, other = " ".join(words), ",\n".join(words).upper() + "."
    assert np.array_equal(sketch(plain), sketch(other))


def test_every_twentieth_word_changed_is_still_the_same_document() -> None:
    a = prose(5, 20_000)
    b = [f"x{i}" if i % 20 == 7 else word for i, word in enumerate(a)]
    assert find([sketch(" ".join(a)), sketch(" ".join(b))]) == {1: Duplicate(0, "near-duplicate")}


def test_of_two_editions_the_later_is_dropped_whichever_is_longer() -> None:
    a = prose(6, 8_000)
    longer = sketch(" ".join(prose(7, 800) + a))
    shorter = sketch(" ".join(a))
    assert find([shorter, longer]) == {1: Duplicate(0, "near-duplicate")}
    assert find([longer, shorter]) == {1: Duplicate(0, "near-duplicate")}


def test_a_part_is_dropped_whichever_comes_first_and_the_whole_stays() -> None:
    whole = prose(8, 40_000)
    part = sketch(" ".join(whole[9_000:13_000]))
    for order, dropped in (([0, 1], 1), ([1, 0], 0)):
        sketches = [[sketch(" ".join(whole)), part][i] for i in order]
        assert find(sketches) == {dropped: Duplicate(1 - dropped, "part of another document")}


def test_what_a_copy_names_stays_itself() -> None:
    whole = prose(9, 40_000)
    part = whole[:10_000]
    copy_of_part = [*part[:-50], *prose(10, 50)]
    texts = [part, copy_of_part, whole]
    found = find([sketch(" ".join(words)) for words in texts])
    assert found == {
        0: Duplicate(2, "part of another document"),
        1: Duplicate(2, "near-duplicate"),
    }


def test_a_shared_licence_is_no_likeness() -> None:
    licence = prose(11, 1_500)
    sketches = [sketch(" ".join(prose(100 + i, 6_000) + licence)) for i in range(80)]
    assert find(sketches) == {}


def test_a_quotation_from_a_long_book_does_not_make_a_short_text_its_part() -> None:
    book = prose(12, 200_000)
    note = [*book[500:512], *prose(13, 600)]
    assert find([sketch(" ".join(book)), sketch(" ".join(note))]) == {}


def test_short_texts_are_the_same_only_when_they_are_equal() -> None:
    a, same, other = "Call me Ishmael.", "call me  Ishmael", "Call me Ahab."
    assert find([sketch(a), sketch(other), sketch(same)]) == {2: Duplicate(0, "near-duplicate")}
    assert find([sketch(""), sketch("…"), sketch("")]) == {}


def test_texts_without_spaces_are_compared_by_characters() -> None:
    rng = random.Random(14)
    text = "".join(chr(0x4E00 + rng.randrange(800)) for _ in range(6_000))
    edited = text[:3_000] + "新" * 40 + text[3_000:]
    assert find([sketch(text), sketch(edited)]) == {1: Duplicate(0, "near-duplicate")}


def test_the_sketch_does_not_change_between_versions_and_machines() -> None:
    found = sketch("It was the best of times, it was the worst of times, it was the age of wisdom")
    assert len(found) == 11
    assert [f"{value:016x}" for value in found[:2].tolist()] == [
        "195bed8553c0533e",
        "53e93d43824bae49",
    ]


@pytest.mark.parametrize("words", [3, 8, 500])
def test_where_a_long_text_is_cut_to_be_read_does_not_matter(
    words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(prose(16, words))
    whole = sketch(text)
    for size in (1, 7, 50):
        monkeypatch.setattr(near_duplicates, "_CHUNK", size)
        assert np.array_equal(sketch(text), whole)


def test_many_copies_cost_no_more_than_many_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(15)
    compared = 0
    plain = near_duplicates.covered

    def counting(a: near_duplicates.Hashes, b: near_duplicates.Hashes) -> tuple[float, float]:
        nonlocal compared
        compared += 1
        return plain(a, b)

    monkeypatch.setattr(near_duplicates, "covered", counting)
    base = [rng.randrange(2**64) for _ in range(SKETCH)]
    copies, common = [], []
    for _ in range(600):
        own = [rng.randrange(2**64) for _ in range(20)]
        copies.append(np.unique(np.array(base[20:] + own, np.uint64)))
        rest = [rng.randrange(2**64) for _ in range(SKETCH - 20)]
        common.append(np.unique(np.array(base[:20] + rest, np.uint64)))
    assert len(find(copies)) == 599
    assert compared <= 4 * 600  # all pairs would be 180,000
    counts = []
    for number in (200, 600):
        compared = 0
        assert find(common[:number]) == {}
        counts.append(compared)
    assert counts[1] <= 3.5 * counts[0]  # three times the texts; quadratic cost would be nine


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_a_sketch_is_sorted_distinct_and_bounded(words: list[str]) -> None:
    found = sketch(" ".join(words))
    assert found.tolist() == sorted(set(found.tolist()))
    assert len(found) == min(
        SKETCH,
        len({tuple(words[i : i + 8]) for i in range(max(1, len(words) - 7))}) if words else 0,
    )


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(0, 5))
def test_whatever_is_dropped_repeats_something_that_stays(seeds: list[int], turn: int) -> None:
    texts = [" ".join(prose(seed % 7, 60 + 40 * (seed // 7))) for seed in seeds]
    sketches = [sketch(text) for text in texts]
    for index, duplicate in (dropped := find(sketches)).items():
        assert duplicate.of not in dropped
        assert duplicate.of != index
    staying = [i for i in range(len(sketches)) if i not in dropped]
    for i in staying:
        for j in staying:
            assert i == j or min(covered(sketches[i], sketches[j])) < COVERED


def simply(sketches: Sequence[near_duplicates.Hashes]) -> dict[int, Duplicate]:
    """`find` with the candidates in a dictionary: every kept document under each of its hashes."""

    def first_that(covers: Callable[[int, int], bool], index: int, kept: list[int]) -> int | None:
        sharing = Counter({other: shared(index, other) for other in kept if shared(index, other)})
        ranked = sorted(sharing, key=lambda other: (-sharing[other], other))
        return next((other for other in ranked if covers(index, other)), None)

    def shared(a: int, b: int) -> int:
        return len(np.intersect1d(sketches[a], sketches[b]))

    def covered(a: int, b: int) -> tuple[float, float]:
        return near_duplicates.covered(sketches[a], sketches[b])

    dropped: dict[int, Duplicate] = {}
    kept: list[int] = []
    for index in range(len(sketches)):
        match = first_that(lambda a, b: min(covered(a, b)) >= COVERED, index, kept)
        if match is None:
            kept.append(index)
        else:
            dropped[index] = Duplicate(match, "near-duplicate")
    whole: list[int] = []
    for index in sorted(kept, key=lambda i: (near_duplicates._density(sketches[i]), i)):
        match = first_that(lambda a, b: covered(a, b)[0] >= COVERED, index, whole)
        if match is None:
            whole.append(index)
        else:
            dropped[index] = Duplicate(match, "part of another document")
    return {index: near_duplicates._survivor(dropped, index) for index in sorted(dropped)}


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 300), st.integers(9, 300)), max_size=14)
)
def test_the_same_is_found_as_by_the_simple_way(parts: list[tuple[int, int, int]]) -> None:
    streams = [np.random.default_rng(seed).integers(0, 2**64, 600, np.uint64) for seed in range(7)]
    sketches = [
        near_duplicates._smallest(streams[seed][start : start + length])
        for seed, start, length in parts
    ]
    assert find(sketches) == simply(sketches)


def test_one_book_as_text_and_as_epub_is_one_book(shared_data: Path) -> None:
    from longdata.readers import read_source
    from longdata.sources import Source, sha256_of

    names = ("raw/36_the-war-of-the-worlds.txt", "epub/pg36_the-war-of-the-worlds.epub")
    others = ("raw/5230_the-invisible-man.txt", "epub/se_h-g-wells_the-invisible-man.epub")
    sketches = []
    for name in (*names, *others):
        path = shared_data / "books" / name
        source = Source(path=path, name=name, sha256=sha256_of(path))
        sketches.append(sketch(next(iter(read_source(source))).text))
    assert find(sketches) == {
        1: Duplicate(0, "near-duplicate"),
        3: Duplicate(2, "near-duplicate"),
    }
