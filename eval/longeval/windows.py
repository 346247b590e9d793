"""Which tokens are scored with which context: each published way to cut a stream into windows.

    windows = strided(num_tokens=10, ctx=4, stride=2)
    list(windows.rows())   -> [(0, 2, 1), (0, 4, 2), (2, 6, 4), (4, 8, 6), (6, 10, 8)]
                               start, end, first: tokens[start:end] are read, tokens[first:end] are
                               scored, token t with the t - start tokens before it as its context

With BOS a window is one token shorter, begins with BOS, and its first token can be scored too.
Everything here is a pure function of lengths, and a window is three integers of an array.

    longlora    every token of every window at starts 0, stride, 2·stride, …   (LongLoRA, eval.py)
    strided     only the `stride` new tokens of each window                    (Press et al., 2021)
    disjoint    windows side by side, every token
    document    the first ctx tokens of each document
    yarn        in each document, BOS before each window, new tokens only      (YaRN, perplexity.py)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Windows:
    """tokens[start:end] are read, with BOS before them or not; tokens[first:end] are scored.

    `document` is the index of the document that a window lies in; None: windows of a stream, which
    cross the borders of documents.
    """

    start: Ints = field(repr=False)
    end: Ints = field(repr=False)
    first: Ints = field(repr=False)
    bos: bool = False
    document: Ints | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        assert len(self.start) == len(self.end) == len(self.first)
        assert np.all(self.first >= self.start + (not self.bos)), "nothing predicts a first token"
        assert np.all(self.first < self.end), "a window that scores nothing"

    def __len__(self) -> int:
        return len(self.start)

    @property
    def scored(self) -> Ints:
        """How many tokens each window scores."""
        return self.end - self.first

    @property
    def num_read(self) -> int:
        """Tokens that a model reads for them, BOS included, when nothing is shared."""
        return int((self.end - self.start).sum()) + len(self) * self.bos

    def part(self, indices: Ints) -> Windows:
        """These windows alone."""
        documents = None if self.document is None else self.document[indices]
        return Windows(
            start=self.start[indices],
            end=self.end[indices],
            first=self.first[indices],
            bos=self.bos,
            document=documents,
        )

    def rows(self) -> Iterator[tuple[int, int, int]]:
        """(start, end, first) of each window."""
        return zip(self.start.tolist(), self.end.tolist(), self.first.tolist(), strict=True)


def longlora(*, num_tokens: int, ctx: int, stride: int) -> Windows:
    """The windows of LongLoRA's eval.py: starts below num_tokens - ctx, of which the last one is
    dropped, as there; every token but a window's first is scored, whatever its context."""
    start = np.arange(0, num_tokens - ctx, stride, dtype=np.int64)[:-1]
    return Windows(start=start, end=start + ctx, first=start + 1)


def strided(*, num_tokens: int, ctx: int, stride: int, bos: bool = False) -> Windows:
    """Press et al. (arXiv 2012.15832): `stride` new tokens in each window, scored with ctx - stride
    to ctx - 1 tokens of context; the first ones have only what there is."""
    new = np.arange(0, num_tokens, stride, dtype=np.int64)
    room = ctx - bos
    start = np.maximum(0, new - (room - stride))
    return _windows(start, np.minimum(new + stride, num_tokens), new, bos=bos)


def disjoint(*, num_tokens: int, ctx: int, bos: bool = False) -> Windows:
    """Windows side by side; the last one may be shorter."""
    start = np.arange(0, num_tokens, ctx - bos, dtype=np.int64)
    return _windows(start, np.minimum(start + ctx - bos, num_tokens), start, bos=bos)


def document(offsets: Sequence[int] | Ints, *, ctx: int, bos: bool = False) -> Windows:
    """The first ctx tokens of each document; shorter ones as they are."""
    borders = np.asarray(offsets, np.int64)
    start, length = borders[:-1], np.minimum(np.diff(borders), ctx - bos)
    index = np.arange(len(start), dtype=np.int64)
    return _windows(start, start + length, start, bos=bos, document=index)


def yarn(
    offsets: Sequence[int] | Ints, *, ctx: int, stride: int, truncate: bool = False
) -> Windows:
    """YaRN's perplexity.py (arXiv 2309.00071): in each document windows of ctx - 1 tokens at starts
    0, stride, …, until one reaches the end; BOS before each; what the one before did not reach is
    scored. With `truncate`, as for its published curves, the first window of each document only."""
    if truncate:
        return document(offsets, ctx=ctx, bos=True)
    borders, room = np.asarray(offsets, np.int64), ctx - 1
    starts, ends, firsts, documents = [], [], [], []
    for index, (begin, stop) in enumerate(pairwise(borders.tolist())):
        behind = -(-max(0, stop - begin - room) // stride)  # windows behind the first one
        start = begin + stride * np.arange(behind + 1, dtype=np.int64)
        end = np.minimum(start + room, stop)
        starts.append(start)
        ends.append(end)
        firsts.append(np.concatenate([start[:1], end[:-1]]))
        documents.append(np.full(len(start), index, np.int64))
    return _windows(*map(_joined, (starts, ends, firsts)), bos=True, document=_joined(documents))


def _windows(
    start: Ints, end: Ints, new: Ints, *, bos: bool, document: Ints | None = None
) -> Windows:
    """Without those that score nothing: a first token that nothing predicts, an empty document."""
    first = np.maximum(new, start + (not bos))
    kept = first < end
    return Windows(
        start=start[kept],
        end=end[kept],
        first=first[kept],
        bos=bos,
        document=None if document is None else document[kept],
    )


def _joined(parts: Sequence[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
