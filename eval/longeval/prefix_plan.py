"""Which prompts go through a model together, so that what they have in common goes through once.

    batches = plan([book + q1, book + q2, other], batch_tokens=32_768, batch_size=16)
    batches     -> [Batch(rows=(0, 1), shared=30_012), Batch(rows=(2,), shared=0)]

Prompts that begin alike form a chain, sorted by their tokens. Where nearly all of a prompt is
shared (several questions to one text), the shared part is read once and the rests in one batch.
Where less is (a needle at one depth and then another), but still much, the chain is walked one
prompt at a time, each going on from where it leaves the one before. All others are put together by
length. A batch never holds more than `batch_tokens`, padding included, unless it is one prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint32]

LEAST_SHARED = 64  # tokens; fewer are read again sooner than they are looked after
LEAST_SHARE = 0.25  # of a prompt, below which it is no link of a chain
LEAST_WALKED = 2_048  # tokens that are not read again make up for decoding one prompt at a time
MOST_PADDING = 0.2  # of a row


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that go together, and how many of their first tokens are the same."""

    rows: tuple[int, ...]
    shared: int


def plan(
    prompts: Sequence[Ids], *, batch_tokens: int, batch_size: int, share: bool = True
) -> list[Batch]:
    """Every prompt in one batch; chains first, in the order in which they share most."""
    assert all(len(prompt) for prompt in prompts) and batch_size >= 1
    chains, single = _chains(prompts) if share else ([], list(range(len(prompts))))
    chained: list[Batch] = []
    for chain in chains:
        before: int | None = None
        for batch in _of_chain(prompts, chain, batch_tokens, batch_size):
            row = batch.rows[0]
            walked = 0 if before is None else common(prompts[before], prompts[row])
            if len(batch.rows) > 1 or walked >= LEAST_WALKED or _next_shares(prompts, chain, row):
                chained.append(batch)
                before = batch.rows[-1]
            else:
                single.append(row)
    return chained + _by_length(prompts, single, batch_tokens, batch_size)


def _next_shares(prompts: Sequence[Ids], chain: Sequence[int], row: int) -> bool:
    """Whether the prompt behind this one goes on from it."""
    at = chain.index(row) + 1
    return at < len(chain) and common(prompts[row], prompts[chain[at]]) >= LEAST_WALKED


def common(first: Ids, second: Ids) -> int:
    """How many of the first tokens are the same."""
    length = min(len(first), len(second))
    differ = np.flatnonzero(first[:length] != second[:length])
    return int(differ[0]) if len(differ) else length


def _chains(prompts: Sequence[Ids]) -> tuple[list[list[int]], list[int]]:
    """Chains of prompts that begin alike, and the rest."""
    order = sorted(range(len(prompts)), key=lambda row: prompts[row].astype(">u4").tobytes())
    chains: list[list[int]] = []
    for before, row in zip([None, *order], order, strict=False):
        needed = max(LEAST_SHARED, LEAST_SHARE * len(prompts[row]))
        if before is not None and common(prompts[before], prompts[row]) >= needed:
            chains[-1].append(row)
        else:
            chains.append([row])
    single = [row for chain in chains if len(chain) == 1 for row in chain]
    return [chain for chain in chains if len(chain) > 1], single


def _of_chain(
    prompts: Sequence[Ids], chain: Sequence[int], batch_tokens: int, batch_size: int
) -> list[Batch]:
    batches: list[Batch] = []
    for row in chain:
        length = len(prompts[row])
        if batches:
            last = batches[-1]
            rows = (*last.rows, row)
            longest = max(len(prompts[one]) for one in rows)
            shared = min(last.shared, common(prompts[last.rows[-1]], prompts[row]), length - 1)
            rest = longest - shared
            if (
                len(rows) <= batch_size
                and len(rows) * longest <= batch_tokens
                and rest <= max(LEAST_SHARED, LEAST_SHARE * shared)
            ):
                batches[-1] = Batch(rows, shared)
                continue
        batches.append(Batch((row,), length - 1))
    return [batch if len(batch.rows) > 1 else Batch(batch.rows, 0) for batch in batches]


def _by_length(
    prompts: Sequence[Ids], rows: Sequence[int], batch_tokens: int, batch_size: int
) -> list[Batch]:
    """The longest first: what does not fit into memory is known at once."""
    batches: list[list[int]] = []
    for row in sorted(rows, key=lambda row: (-len(prompts[row]), row)):
        if batches:
            longest = len(prompts[batches[-1][0]])
            if (
                len(batches[-1]) < batch_size
                and (len(batches[-1]) + 1) * longest <= batch_tokens
                and len(prompts[row]) >= (1 - MOST_PADDING) * longest
            ):
                batches[-1].append(row)
                continue
        batches.append([row])
    return [Batch(tuple(batch), 0) for batch in batches]
