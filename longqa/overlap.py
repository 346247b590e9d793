"""What a text shares with evaluation sets, and where: counted once, asked about any stretch.

    document = Index({"pg19": table}).document(text)
    overlap = document.of(0, 31_000)         # a stretch of it, in characters
    overlap.share                            -> 0.012
    overlap.by_set["pg19"]                   -> Shared(grams=61, longest=73)
    document.spans(0, 31_000)                -> [Span(start=1204, end=1618)]

A document is hashed and looked up once. What its stretches share comes from running sums and from
the list of its runs, whatever their length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longdata.documents import Span
from longdata.gram_table import GramTable
from longdata.ngrams import WIDTH, Words, hashes_of, words_of


@dataclass(frozen=True, slots=True)
class Shared:
    """What a text shares with one set: sequences, and the most words in a row."""

    grams: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """What a text shares with evaluation sets; `by_set` has the sets that share anything."""

    num_grams: int
    num_shared: int  # in one set or several
    by_set: Mapping[str, Shared]

    @property
    def share(self) -> float:
        """Of the text's sequences, those that stand in a set."""
        return self.num_shared / self.num_grams if self.num_grams else 0.0


class DocumentOverlap:
    """A document looked up in every set; its stretches are judged without looking again."""

    def __init__(self, words: Words, found: Mapping[str, NDArray[np.bool_]]) -> None:
        self._starts, self._ends = words.starts, words.ends
        count = max(0, len(words.hashes) - WIDTH + 1)
        anywhere = np.zeros(count, np.bool_)
        for marks in found.values():
            anywhere |= marks
        self._anywhere = _Marks(anywhere)
        self._by_set = {name: _Marks(marks) for name, marks in found.items() if marks.any()}

    def of(self, start: int = 0, end: int | None = None) -> Overlap:
        """Of the sequences that lie within text[start:end] as a whole."""
        first, last = self._sequences(start, end)
        shared = {
            name: Shared(grams, marks.longest(first, last))
            for name, marks in self._by_set.items()
            if (grams := marks.count(first, last))
        }
        return Overlap(
            num_grams=last - first,
            num_shared=self._anywhere.count(first, last),
            by_set=shared,
        )

    def spans(self, start: int = 0, end: int | None = None) -> list[Span]:
        """The stretches of text[start:end] that stand in a set, merged where they touch."""
        begins, stops = self._anywhere.runs(*self._sequences(start, end))
        spans: list[Span] = []
        reached = -1  # the word behind the last stretch
        for begin, stop in zip(begins.tolist(), stops.tolist(), strict=True):
            behind = stop + WIDTH - 1
            place = Span(start=int(self._starts[begin]), end=int(self._ends[behind - 1]))
            if begin <= reached:
                place = Span(start=spans.pop().start, end=place.end)
            spans.append(place)
            reached = behind
        return spans

    def _sequences(self, start: int, end: int | None) -> tuple[int, int]:
        words = len(self._ends)
        if end is not None:
            words = int(np.searchsorted(self._ends, end, side="right"))
        last = max(0, words - WIDTH + 1)
        return min(last, int(np.searchsorted(self._starts, start, side="left"))), last


class _Marks:
    """Which sequences of a document stand in a set."""

    def __init__(self, marks: NDArray[np.bool_]) -> None:
        self._sums = np.zeros(len(marks) + 1, np.int32)
        np.cumsum(marks, out=self._sums[1:])
        edges = np.flatnonzero(np.diff(marks, prepend=False, append=False))
        self._begins, self._stops = edges[::2], edges[1::2]

    def count(self, first: int, last: int) -> int:
        return int(self._sums[last] - self._sums[first])

    def runs(self, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(begin, stop) of the sequences in a row, cut off at the ends."""
        low = int(np.searchsorted(self._stops, first, side="right"))
        high = int(np.searchsorted(self._begins, last, side="left")) if first < last else low
        begins = np.maximum(self._begins[low:high], first)
        return begins, np.minimum(self._stops[low:high], last)

    def longest(self, first: int, last: int) -> int:
        """Words of the longest run."""
        begins, stops = self.runs(first, last)
        return int((stops - begins).max()) + WIDTH - 1 if len(begins) else 0


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """The tables of several evaluation sets, by name."""

    tables: Mapping[str, GramTable]

    def document(self, text: str) -> DocumentOverlap:
        """A text looked up in every set, to be asked about its stretches."""
        words = words_of(text)
        hashes = hashes_of(words.hashes)
        return DocumentOverlap(words, {n: table.holds(hashes) for n, table in self.tables.items()})

    def overlap(self, text: str) -> Overlap:
        """What a whole text shares with the sets."""
        return self.document(text).of()
