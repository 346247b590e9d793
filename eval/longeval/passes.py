"""What several protocols and contexts ask for → the fewest passes of the model that answer it.

    wanted = [longlora(num_tokens=n, ctx=2048, stride=256), strided(num_tokens=n, ctx=4096, …)]
    plan = merge(wanted, prefixes=True)
    plan.passes[0]        -> Pass(start=0, end=4096, bos=False, ranges=((1, 4096),))
    plan.places[1][0]     -> Place(window=0, …): where that window's losses lie among the pass's

A causal model reads from left to right: what it says inside the first 2,048 tokens of a window is
what it says in a window of 2,048 tokens that begins at the same place, to the last rounding. So
windows with one start are one pass, as long as the longest of them, and each token in it is scored
once. That does not hold for ropes that change with the length (dynamic, longrope): `prefixes=False`
merges only windows that are equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from longeval.windows import Windows

BLOCK_TOKENS = 1 << 17  # of a block, which is computed and stored as one
FEWEST_BLOCKS = 64  # so that there is something to share between processes, and to lose little

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Pass:
    """tokens[start:end] are read, with BOS before them or not; the tokens of `ranges` are scored.

    Ranges are sorted and do not touch; losses are kept in their order, one after the other.
    """

    start: int
    end: int
    bos: bool
    ranges: tuple[Range, ...]

    @property
    def length(self) -> int:
        """Tokens that the model reads, BOS included."""
        return self.end - self.start + self.bos

    @property
    def num_scored(self) -> int:
        return sum(end - first for first, end in self.ranges)

    def offset(self, token: int) -> int:
        """Where the loss of a scored token lies among the pass's."""
        before = 0
        for first, end in self.ranges:
            if first <= token < end:
                return before + token - first
            before += end - first
        raise KeyError(token)


@dataclass(frozen=True, slots=True)
class Place:
    """The losses of one window: losses[offset : offset + scored] of the pass it was merged into."""

    window: int
    offset: int
    scored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`places[r][p]` are the windows of request r that pass p answers."""

    passes: tuple[Pass, ...]
    places: tuple[dict[int, tuple[Place, ...]], ...]

    @property
    def num_read(self) -> int:
        return sum(one.length for one in self.passes)

    @property
    def num_scored(self) -> int:
        return sum(one.num_scored for one in self.passes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Passes that are computed and stored together, in batches of one length each."""

    batches: tuple[tuple[Pass, ...], ...]

    @property
    def passes(self) -> tuple[Pass, ...]:
        return tuple(one for batch in self.batches for one in batch)


def merge(requests: Sequence[Windows], *, prefixes: bool) -> Plan:
    """The passes for all windows of all requests, the longest first and then by their start."""
    wanted: dict[tuple[int, int, bool], list[tuple[int, int, int, int]]] = defaultdict(list)
    for number, windows in enumerate(requests):
        for index, (start, end, first) in enumerate(windows.rows()):
            same = (start, 0 if prefixes else end, windows.bos)
            wanted[same].append((number, index, first, end))
    passes: list[tuple[Pass, list[tuple[int, int, int, int]]]] = []
    for (start, _, bos), asked in wanted.items():
        ranges = _union(sorted((first, end) for _, _, first, end in asked))
        passes.append((Pass(start, max(e for *_, e in asked), bos, ranges), asked))
    passes.sort(key=lambda item: (-item[0].length, item[0].bos, item[0].start))
    places: list[dict[int, list[Place]]] = [defaultdict(list) for _ in requests]
    for place, (one, asked) in enumerate(passes):
        for number, index, first, end in asked:
            places[number][place].append(Place(index, one.offset(first), end - first))
    return Plan(
        passes=tuple(one for one, _ in passes),
        places=tuple({p: tuple(found) for p, found in of.items()} for of in places),
    )


def blocks(passes: Sequence[Pass], *, batch_size: int | None) -> list[Block]:
    """Passes of one length side by side in batches, batches in blocks of some BLOCK_TOKENS.

    Without a batch size, `default_batch_size` decides. Depends on the passes alone, so
    that every process, and every run that goes on, makes the same.
    """
    total = sum(one.length for one in passes)
    room = min(BLOCK_TOKENS, total // FEWEST_BLOCKS)
    made: list[Block] = []
    held: list[tuple[Pass, ...]] = []
    size = 0
    for batch in _batches(passes, batch_size):
        tokens = sum(one.length for one in batch)
        if held and size + tokens > room:
            made.append(Block(batches=tuple(held)))
            held, size = [], 0
        held.append(batch)
        size += tokens
    if held:
        made.append(Block(batches=tuple(held)))
    return made


def default_batch_size(length: int) -> int:
    """Windows at a time: 4,096 tokens keep a CPU or a GPU busy, and more takes only memory."""
    return max(1, 4096 // length)


def _batches(passes: Sequence[Pass], batch_size: int | None) -> list[tuple[Pass, ...]]:
    made: list[tuple[Pass, ...]] = []
    held: list[Pass] = []
    for one in passes:
        if held and (
            held[0].length != one.length
            or len(held) == (batch_size or default_batch_size(one.length))
        ):
            made.append(tuple(held))
            held = []
        held.append(one)
    return [*made, tuple(held)] if held else made


def _union(ranges: Sequence[Range]) -> tuple[Range, ...]:
    joined: list[Range] = []
    for first, end in ranges:
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((first, end))
    return tuple(joined)
