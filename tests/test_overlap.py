"""What stretches of a document share with sets, against counting it in plain Python."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longdata.gram_table import GramTable
from longdata.ngrams import WIDTH, words_of
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


@given(st.lists(st.booleans(), min_size=8, max_size=40), st.data())
def test_every_stretch_shares_what_counting_it_gives(
    marked: list[bool], data: st.DataObject
) -> None:
    text = ", ".join(f"w{n}" for n in range(len(marked) + WIDTH - 1)) + "."
    words = re.findall(r"\w+", text)
    shared = {tuple(words[i : i + WIDTH]) for i, is_marked in enumerate(marked) if is_marked}
    document = DocumentOverlap(words_of(text), {"set": np.array(marked, np.bool_)})
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.one_of(st.integers(start, len(text)), st.just(len(text))))
    overlap = document.of(start, end)
    longest = overlap.by_set["set"].longest if overlap.by_set else 0
    # half a word at the border is a word of the piece, but none of the document
    while start and start < len(text) and text[start - 1].isalnum() and text[start].isalnum():
        start += 1
    while end > start and end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        end -= 1
    assert (overlap.num_grams, overlap.num_shared, longest) == plain(text[start:end], shared)
    covered = {
        word
        for gram in shared
        for word in gram
        if set(gram) <= set(re.findall(r"\w+", text[start:end]))
    }
    found = [text[span.start : span.end] for span in document.spans(start, end)]
    assert {word for span in found for word in re.findall(r"\w+", span)} == covered


def test_stretches_that_touch_are_one_span(tmp_path: Path) -> None:
    first, second = prose("a", 20), prose("b", 20)
    found = index(tmp_path, one=f"{first}.", two=second)
    text = f"{prose('x', 30)} {first} {second} {prose('y', 30)} {second}"
    document = found.document(text)
    assert [text[s.start : s.end] for s in document.spans()] == [f"{first} {second}", second]
    assert document.of().by_set["one"].longest == 20
    assert document.of().by_set["two"].longest == 20


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
