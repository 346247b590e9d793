"""Where shifted sparse attention (S²-Attn, arXiv 2309.12307) cuts a stream of tokens.

A batch is one stream of tokens, its rows laid end to end, and a stream is a row of documents: whole
rows, packed texts, or runs of padding. Causal attention happens inside a segment and never across
its bounds, so a way of attending is a tuple of bounds. For a document of 10 tokens, one of 3, and
groups of 4:

    bounds                        (0, 10, 13)              full attention: the documents themselves
    cut(bounds, 4)                (0, 4, 8, 10, 13)        half of the heads: groups of 4
    cut(bounds, 4, shifted=True)  (0, 2, 6, 10, 13)        the other half: half a group, then groups
    runs((0, 2, 6, 10, 13))       ((1, 2), (2, 4), (1, 3)) one segment of 2, two of 4, one of 3

The shifted half begins with half a group instead of wrapping around, so that no token sees a later
one (the "separate group" of the paper's Table 8). Cuts are counted from each document's first
token, and a document no longer than a group is not cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from typing import ClassVar

Bounds = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The documents of a batch: what the layers of a model get in place of an attention mask.

    `window` is how many tokens back a layer sees, itself included; None = to the document's start.
    """

    bounds: Bounds
    window: int | None = None

    ndim: ClassVar[int] = 4  # this and the next: how `generate` handles masks made ahead of time

    def contiguous(self) -> Documents:
        """Itself."""
        return self


def rows(batch_size: int, length: int) -> Bounds:
    """Every row of a batch is one document."""
    return tuple(range(0, batch_size * length + 1, length))


def cut(bounds: Bounds, group_size: int, *, shifted: bool = False) -> Bounds:
    """The same documents, those longer than a group cut into groups; shifted ones by half."""
    cuts = [bounds[0]]
    for start, end in pairwise(bounds):
        if end - start > group_size:
            first = start + (group_size // 2 if shifted else group_size)
            cuts.extend(range(first, end, group_size))
        cuts.append(end)
    return tuple(cuts)


cut_once = lru_cache(maxsize=64)(cut)  # every layer asks for the same cuts of the same batch


def runs(bounds: Bounds) -> tuple[tuple[int, int], ...]:
    """(how many, how long) of segments in a row that are equally long."""
    lengths = (end - start for start, end in pairwise(bounds))
    return tuple((len(list(equal)), length) for length, equal in groupby(lengths))


def longest(bounds: Bounds) -> int:
    """The length of the longest segment."""
    return max(end - start for start, end in pairwise(bounds))
