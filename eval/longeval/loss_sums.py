"""Stored losses → what each window lost, and what a token costs by how much context it has.

    gathered = gather(requests, plan, read, blocks)
    gathered[0].sums[k], gathered[0].counts[k]     of window k of the first request, in float64
    gathered[0].curve.rows()                       -> (context from, context to, mean loss, tokens)

Blocks are read one after the other and each loss is added in float64: nothing of a large store is
held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from longeval.nll import Losses
from longeval.passes import Block, Pass, Plan
from longeval.protocols import Floats
from longeval.windows import Ints, Windows


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Losses by the number of tokens before the scored one: bucket i is edges[i] to edges[i+1]."""

    edges: Ints
    sums: Floats
    counts: Ints

    def add(self, context: int, losses: Losses) -> None:
        """Losses of neighbouring tokens, of which the first has so much context."""
        inside = np.clip(self.edges[:-1] - context, 0, len(losses))
        first = int(np.searchsorted(self.edges, context, side="right")) - 1
        last = int(np.searchsorted(self.edges, context + len(losses) - 1, side="right")) - 1
        borders = [0, *inside[first + 1 : last + 1].tolist(), len(losses)]
        totals = np.add.reduceat(losses, borders[:-1], dtype=np.float64)
        self.sums[first : last + 1] += totals
        self.counts[first : last + 1] += np.diff(borders)

    def rows(self) -> Iterator[tuple[int, int, float, int]]:
        """Context from, context to (not included), mean loss, tokens; no empty buckets."""
        for low, high, total, count in zip(
            self.edges[:-1].tolist(),
            self.edges[1:].tolist(),
            self.sums.tolist(),
            self.counts.tolist(),
            strict=True,
        ):
            if count:
                yield low, high, total / count, count


@dataclass(frozen=True, kw_only=True, eq=False)
class LossSums:
    """Of one request: the loss and the tokens of each of its windows, and the curve of all."""

    sums: Floats = field(repr=False)
    counts: Floats = field(repr=False)
    curve: Curve


def gather(
    requests: Sequence[Windows],
    plan: Plan,
    blocks: Sequence[Block],
    read: Callable[[Block], Sequence[Losses]],
) -> list[LossSums]:
    """The sums of each request; each block is read once."""
    number: Mapping[Pass, int] = {one: index for index, one in enumerate(plan.passes)}
    found = [_empty(windows) for windows in requests]
    for block in blocks:
        for one, losses in zip(block.passes, read(block), strict=True):
            index = number[one]
            for windows, places, into in zip(requests, plan.places, found, strict=True):
                for place in places.get(index, ()):
                    part = losses[place.offset : place.offset + place.scored]
                    into.sums[place.window] = part.sum(dtype=np.float64)
                    into.counts[place.window] = place.scored
                    before = int(windows.first[place.window]) - one.start + one.bos
                    into.curve.add(before, part)
    return found


def curve_edges(longest: int) -> Ints:
    """1, 2, 3, 4, 6, 8, 12, 16, …: two buckets to each doubling, up to the longest context."""
    edges = [1, 2]
    while edges[-1] < longest:
        edges.append(edges[-2] * 2 if len(edges) > 2 else 3)
    return np.array(edges, np.int64)


def _empty(windows: Windows) -> LossSums:
    longest = int((windows.end - windows.start).max()) + windows.bos if len(windows) else 1
    edges = curve_edges(longest)
    curve = Curve(
        edges=edges, sums=np.zeros(len(edges) - 1), counts=np.zeros(len(edges) - 1, np.int64)
    )
    return LossSums(
        sums=np.zeros(len(windows)),
        counts=np.zeros(len(windows)),
        curve=curve,
    )
