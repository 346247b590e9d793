"""Token lengths of documents → rows of `ctx` tokens, each of which knows its pieces.

    packing = pack([9, 3, 2], keys_of(["a", "b", "c"]), ctx=4, strategy="best-fit", seed=0)
    packing.row(0)  -> [Piece(document=0, start=0, end=4, place=0)]
    packing.row(2)  -> [Piece(document=1, start=0, end=3, place=0),
                        Piece(document=0, start=8, end=9, place=3)]

Two strategies, in both of which every token of every document is in exactly one row:

- concat (LongLoRA's): the documents one behind the other, cut after every `ctx` tokens. Only the
  last row is padded; at 8,192 tokens every tenth document that would fit into a row is cut.
- best-fit: a document of up to `ctx` tokens is never cut. A longer one gives full rows and a rest,
  and the rests and the short documents are packed, longest first, each into the row with the least
  room that holds it (best-fit decreasing; Ding et al. 2024, https://arxiv.org/abs/2404.10830). Of
  a row too many, long documents are cut once more to fill what is free in others.

Best-fit goes through distinct lengths, not documents: all documents of one length that a row can
take go into it at once, and the row with the least room is found among sets of bits.

Nothing depends on the order in which documents are given: their keys and the seed decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longdata.document_keys import Keys, seeded_order, shuffled
from longdata.errors import UserError

Strategy = Literal["best-fit", "concat"]
Numbers = NDArray[np.int64]

_WORD = 1024  # rooms in one set of bits
_GAPS = 8  # rows that take a part of the emptiest one


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """document[start:end] stands in its row from `place` on, all in tokens."""

    document: int
    start: int
    end: int
    place: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Packing:
    """Rows of `ctx` tokens; what pieces leave free at a row's end is padding.

    `document`, `start` and `end` have an entry for each piece; row r has the pieces from `first[r]`
    up to `first[r + 1]`, in their order in the row.
    """

    ctx: int
    document: Numbers
    start: Numbers
    end: Numbers
    first: Numbers

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return len(self.first) - 1

    @property
    def tokens(self) -> int:
        """Tokens of documents, without padding."""
        return int((self.end - self.start).sum())

    @property
    def padding(self) -> int:
        """Tokens that are padding."""
        return self.num_rows * self.ctx - self.tokens

    @property
    def pieces_of(self) -> Numbers:
        """How many pieces the documents have, up to the last document that has one."""
        return np.bincount(self.document)

    def used(self) -> Numbers:
        """Tokens of documents in each row."""
        if not self.num_rows:
            return np.empty(0, np.int64)
        return np.add.reduceat(self.end - self.start, self.first[:-1])

    def row(self, number: int) -> list[Piece]:
        """The pieces of one row."""
        found: list[Piece] = []
        place = 0
        for at in range(int(self.first[number]), int(self.first[number + 1])):
            start, end = int(self.start[at]), int(self.end[at])
            found.append(Piece(document=int(self.document[at]), start=start, end=end, place=place))
            place += end - start
        return found


def pack(
    lengths: ArrayLike, keys: Keys, *, ctx: int, strategy: Strategy = "best-fit", seed: int = 0
) -> Packing:
    """Rows of `ctx` tokens, in seeded order; a document without tokens has no piece.

    Raises UserError for a `ctx` below 1 and for a strategy of another name, ValueError for keys
    that are not those of the lengths.
    """
    if ctx < 1:
        raise UserError(f"got --ctx {ctx}; allowed: 1 or more; fix: for example --ctx 8192")
    if strategy not in get_args(Strategy):
        raise UserError(
            f"got --strategy {strategy}; allowed: {', '.join(get_args(Strategy))}; "
            "fix: leave it out for best-fit"
        )
    sizes = np.asarray(lengths, np.int64).reshape(-1)
    if len(sizes) != len(keys) or (sizes < 0).any():
        raise ValueError(f"{len(sizes)} lengths of 0 or more need as many keys, not {len(keys)}")
    order = seeded_order(keys, seed=seed, purpose="documents")
    _refuse_twins(keys[order])
    placed = (_concat if strategy == "concat" else _best_fit)(sizes, order, ctx)
    return _in_rows(placed, ctx, seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """One entry for each piece, in any order of rows, and inside a row in the row's order."""

    document: Numbers
    start: Numbers
    end: Numbers
    row: Numbers


def _concat(sizes: Numbers, order: Numbers, ctx: int) -> _Placed:
    ends = np.cumsum(sizes[order])
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.concatenate([[0], ends, np.arange(0, total, ctx)]))
    starts, stops = cuts[:-1], cuts[1:]
    at = np.searchsorted(ends, starts, side="right")
    before = (ends - sizes[order])[at]
    return _Placed(document=order[at], start=starts - before, end=stops - before, row=starts // ctx)


def _best_fit(sizes: Numbers, order: Numbers, ctx: int) -> _Placed:
    whole, rest = np.divmod(sizes[order], ctx)
    longest_first = np.argsort(-rest, kind="stable")
    longest_first = longest_first[rest[longest_first] > 0]
    row_of, num_rows = _rows_for(rest[longest_first], ctx)
    parts = np.stack([longest_first, 0 * row_of, rest[longest_first], row_of])
    if num_rows > 1:
        parts, num_rows = _without_emptiest_row(parts, whole[longest_first] > 0, ctx, num_rows)
    parts = parts[:, np.argsort(parts[0], kind="stable")]  # else the longest would begin each row
    at, start, end, row_of = parts

    full = np.repeat(np.arange(len(order)), whole)
    number = np.arange(len(full)) - np.repeat(np.cumsum(whole) - whole, whole)
    return _Placed(
        document=order[np.concatenate([full, at])],
        start=np.concatenate([number * ctx, whole[at] * ctx + start]),
        end=np.concatenate([(number + 1) * ctx, whole[at] * ctx + end]),
        row=np.concatenate([num_rows + np.arange(len(full)), row_of]),
    )


def _without_emptiest_row(
    parts: Numbers, is_cut: NDArray[np.bool_], ctx: int, num_rows: int
) -> tuple[Numbers, int]:
    """One row less, where a few gaps of the others hold what is in the emptiest one.

    `parts` are columns of document, start, end (in its rest) and row; a rest of a document that is
    cut anyway (`is_cut`) may be cut again. Documents that fit go into one row whose rest makes room
    for them. This matters for some hundred rows: one row too many would be half a per cent.
    """
    used = np.bincount(parts[3], parts[2], minlength=num_rows).astype(np.int64)
    gaps = ctx - used
    emptiest = int(np.argmin(used))
    inside = parts[3] == emptiest
    gaps[emptiest] = 0
    to_cut = [(int(at), int(parts[2, at])) for at in np.flatnonzero(inside & is_cut)]
    fixed = int(parts[2, inside & ~is_cut].sum())
    host = -1
    if fixed:
        hosts = is_cut & ~inside & (parts[2] > fixed - gaps[parts[3]])
        if not hosts.any():
            return parts, num_rows
        makes_room = int(np.argmax(np.where(hosts, gaps[parts[3]], -1)))
        host = int(parts[3, makes_room])
        to_cut.append((makes_room, max(0, fixed - int(gaps[host]))))
        gaps[host] = 0
    largest = np.argsort(-gaps, kind="stable")[:_GAPS].tolist()
    if sum(tokens for _, tokens in to_cut) > int(gaps[largest].sum()):
        return parts, num_rows

    moved = parts.copy()
    moved[3, inside] = host
    added: list[list[int]] = []
    for at, tokens in to_cut:
        while tokens:  # the end of the rest goes into the largest gap
            taken = min(tokens, int(gaps[largest[0]]))
            end = int(moved[2, at])
            added.append([int(moved[0, at]), end - taken, end, largest[0]])
            moved[2, at] = end - taken
            gaps[largest[0]] -= taken
            tokens -= taken
            if not gaps[largest[0]]:
                largest.pop(0)
    moved = np.concatenate([moved, np.array(added, np.int64).reshape(-1, 4).T], axis=1)
    moved = moved[:, moved[2] > moved[1]]
    moved[3, moved[3] == num_rows - 1] = emptiest
    return moved, num_rows - 1


def _rows_for(falling: Numbers, ctx: int) -> tuple[Numbers, int]:
    """A row for each length, which fall and are at most `ctx`; and how many rows that takes.

    Of the rows with the least room that holds a length it is the one changed last.
    """
    lengths, counts = np.unique(-falling, return_counts=True)
    rows: list[int] = []
    takes: list[int] = []
    with_room: defaultdict[int, list[int]] = defaultdict(list)
    rooms = _Rooms(ctx)
    num_rows = 0
    for length, count in zip((-lengths).tolist(), counts.tolist(), strict=True):
        left = count
        while left:
            room = rooms.at_least(length)
            if room is None:
                room, row = ctx, num_rows
                num_rows += 1
            else:
                row = with_room[room].pop()
                if not with_room[room]:
                    rooms.remove(room)
            # What is left of the least room is again the least, so the row is filled at once.
            taken = min(left, room // length)
            rows.append(row)
            takes.append(taken)
            left -= taken
            room -= taken * length
            if room:
                with_room[room].append(row)
                rooms.add(room)
    return np.repeat(np.array(rows, np.int64), np.array(takes, np.int64)), num_rows


class _Rooms:
    """A set of numbers up to `largest` that finds its least number at or above another."""

    def __init__(self, largest: int) -> None:
        self._words = [0] * (largest // _WORD + 1)
        self._used = 0  # the words that are not 0

    def add(self, number: int) -> None:
        word, bit = divmod(number, _WORD)
        self._words[word] |= 1 << bit
        self._used |= 1 << word

    def remove(self, number: int) -> None:
        word, bit = divmod(number, _WORD)
        self._words[word] ^= 1 << bit
        if not self._words[word]:
            self._used ^= 1 << word

    def at_least(self, number: int) -> int | None:
        word, bit = divmod(number, _WORD)
        here = self._words[word] >> bit
        if here:
            return number + _lowest(here)
        above = self._used >> (word + 1)
        if not above:
            return None
        word += 1 + _lowest(above)
        return word * _WORD + _lowest(self._words[word])


def _lowest(bits: int) -> int:
    """The place of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1


def _in_rows(placed: _Placed, ctx: int, seed: int) -> Packing:
    """The pieces row by row, the rows in seeded order."""
    num_rows = int(placed.row.max()) + 1 if len(placed.row) else 0
    position = np.empty(num_rows, np.int64)
    position[shuffled(num_rows, seed=seed, purpose="rows")] = np.arange(num_rows)
    row = position[placed.row]
    order = np.argsort(row, kind="stable")
    return Packing(
        ctx=ctx,
        document=placed.document[order],
        start=placed.start[order],
        end=placed.end[order],
        first=np.searchsorted(row[order], np.arange(num_rows + 1)),
    )


def _refuse_twins(sorted_keys: Keys) -> None:
    same: Sequence[int] = np.flatnonzero((sorted_keys[1:] == sorted_keys[:-1]).all(axis=1)).tolist()
    if same:
        raise ValueError(f"{len(same)} documents have the key of another: their order is not known")
