"""What stretches of a document share with sets, against counting it in plain Python."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.gram_table import GramTable
from longdata.ngrams import WIDTH, hashes_of, words_of
from longqa.overlap import DocumentOverlap, Index

COPIED = " ".join(f"copied{n}" for n in range(40))


def prose(name: str, count: int) -> str:
    return " ".join(f"{name}{n}" for n in range(count))


def index(folder: Path, **sets: str) -> Index:
    return Index({name: GramTable.build([text], folder / name) for name, text in sets.items()})


def plain(text: str, shared: set[tuple[str, ...]]) -> tuple[int, int, int]:
    """(sequences, shared ones, words of the longest run)."""
    words = re.findall(r"[^\W_]+", text.casefold())
    grams = [tuple(words[i : i + WIDTH]) for i in range(len(words) - WIDTH + 1)]
    run = longest = 0
    for gram in grams:
        run = run + 1 if gram in shared else 0
        longest = max(longest, run)
    return len(grams), sum(g in shared for g in grams), longest + WIDTH - 1 if longest else 0


def test_a_copied_stretch_is_counted_measured_and_found(tmp_path: Path) -> None:
    text = f"{prose('a', 100)} “{COPIED.upper()}!” {prose('b', 200)}"
    document = index(tmp_path, one=f"before it {COPIED} after it", two=prose("c", 99)).document(
        text
    )
    overlap = document.of()
    assert overlap.num_grams == 340 - 12
    assert overlap.num_shared == 40 - 12
    assert overlap.share == 28 / 328
    assert {n: (s.grams, s.longest) for n, s in overlap.by_set.items()} == {"one": (28, 40)}
    (span,) = document.spans()
    assert text[span.start : span.end] == COPIED.upper()


@given(st.lists(st.sampled_from("abc"), max_size=60), st.data())
def test_every_stretch_shares_what_counting_it_gives(
    letters: list[str], data: st.DataObject
) -> None:
    text = "".join(f"{letter}, " for letter in letters)
    hashes = hashes_of(words_of(text).hashes)
    words = re.findall(r"\w", text)
    grams = [tuple(words[i : i + WIDTH]) for i in range(len(words) - WIDTH + 1)]
    chosen = set(data.draw(st.lists(st.sampled_from(grams or [()]), max_size=20)))
    marks = np.array([gram in chosen for gram in grams], np.bool_)
    assert len(marks) == len(hashes)
    document = DocumentOverlap(words_of(text), {"set": marks})
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    overlap = document.of(start, end)
    expected = plain(text[start:end], chosen)
    shared = overlap.by_set.get("set")
    found = (overlap.num_grams, overlap.num_shared, shared.longest if shared else 0)
    assert found == expected
    covered = sum(len(re.findall(r"\w", text[s.start : s.end])) for s in document.spans(start, end))
    assert (covered >= expected[2]) and (covered == 0) == (expected[1] == 0)


def test_stretches_that_touch_are_one_span(tmp_path: Path) -> None:
    first, second = prose("a", 20), prose("b", 20)
    found = index(tmp_path, one=f"{first}.", two=f"a19 {second}")
    text = f"{prose('x', 30)} {first} {second} {prose('y', 30)} {second}"
    document = found.document(text)
    assert [text[s.start : s.end] for s in document.spans()] == [f"{first} {second}", second]
    assert document.of().by_set["one"].longest == 20
    assert document.of().by_set["two"].longest == 21


def test_half_a_sequence_at_the_border_of_a_stretch_is_none(tmp_path: Path) -> None:
    document = index(tmp_path, one=COPIED).document(COPIED)
    twelve = len(" ".join(f"copied{n}" for n in range(12)))
    thirteen = len(" ".join(f"copied{n}" for n in range(13)))
    assert document.of(0, twelve).num_grams == document.of(0, thirteen - 1).num_grams == 0
    assert document.of(0, thirteen).num_shared == 1
    assert document.of(1).num_shared == 27


@pytest.mark.parametrize("text", ["", "too short to have a sequence of thirteen words"])
def test_a_text_without_sequences_shares_nothing(text: str, tmp_path: Path) -> None:
    document = index(tmp_path, one=COPIED).document(text)
    assert document.of().num_grams == 0 and document.of().share == 0.0
    assert not document.of().by_set and not document.spans()
