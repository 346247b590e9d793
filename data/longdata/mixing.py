"""Which documents are used, and how often: shares of sources, longer documents more often.

    mixture = Mixture(shares=parse_shares("arxiv=0.3,book=0.3"), tokens=10**9)
    chosen = select(lengths, keys, source, ["arxiv", "book", "web"], mixture, seed=0)
    chosen.document, chosen.copy   -> [0, 0, 4, …], [0, 1, 0, …]   document 0 is used twice
    chosen.sources["arxiv"]        -> SourceCount(asked=300000000, tokens=299999988, …)

The sources not named share what is left as they are. Without `tokens` there are as many as the
shares allow without using a document twice; with more, documents are used again, all of a source
once before any twice, at most `max_copies` times. Documents are used whole: a source falls short of
what was asked by less than the shortest document that was left.

Length upsampling inside each source (Fu et al. 2024, https://arxiv.org/abs/2402.10171): documents
below `short_below` tokens are kept with the chance `keep_short` (0.1 in their recipe, below 4,096),
and the source's share of all tokens stays what it was. So the long ones are used more.

The keys of documents and the seed decide; the order of files and workers does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from longdata.document_keys import Keys, draws, seeded_order
from longdata.errors import UserError

Numbers = NDArray[np.int64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """What is asked for. `shares` are of all tokens, by source; {} leaves them as they are."""

    shares: Mapping[str, Fraction] = field(default_factory=dict)
    tokens: int | None = None
    min_tokens: int = 1
    max_tokens: int | None = None
    short_below: int = 4096
    keep_short: Fraction = Fraction(1)
    max_copies: int = 4

    def __post_init__(self) -> None:
        total = sum(self.shares.values(), Fraction(0))
        if total > 1 or any(share <= 0 for share in self.shares.values()):
            raise UserError(
                f"got shares that are {float(total):g} together ({_shown(self.shares)}); allowed: "
                "shares above 0 that are 1 or less together; fix: for example arxiv=0.3,book=0.3"
            )
        if self.min_tokens < 1 or (self.max_tokens or self.min_tokens) < self.min_tokens:
            raise UserError(
                f"got documents of {self.min_tokens} to {self.max_tokens} tokens; allowed: 1 or "
                "more, and no less at most than at least; fix: change one of the two"
            )
        if not 0 <= self.keep_short <= 1:
            raise UserError(
                f"got a chance of {float(self.keep_short):g} to keep short documents; allowed: 0 "
                "to 1; fix: 1 keeps all, 0.1 is the published recipe"
            )
        if self.max_copies < 1 or (self.tokens is not None and self.tokens < 1):
            raise UserError(
                f"got {self.tokens} tokens and {self.max_copies} copies; allowed: 1 or more of "
                "both; fix: leave them out for all there are"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Documents and their tokens together."""

    documents: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCount:
    """What became of one source: given.documents == documents + those of all in `left_out`.

    `documents` counts each document used once, `repeats` the further uses, `tokens` all uses;
    `asked` is how many tokens were to be used.
    """

    given: Count
    asked: int
    documents: int
    repeats: int
    tokens: int
    left_out: Mapping[str, Count]


@dataclass(frozen=True, kw_only=True, eq=False)
class Selection:
    """Uses of documents: `copy` is 0 for the first use of a document, 1 for the second, …"""

    document: Numbers
    copy: Numbers
    sources: Mapping[str, SourceCount]


def parse_shares(text: str) -> dict[str, Fraction]:
    """ "arxiv=0.3,book=0.3" as exact numbers. Raises UserError for anything else."""
    shares: dict[str, Fraction] = {}
    for part in text.split(","):
        name, _, number = part.rpartition("=")
        if not name.strip() or not re.fullmatch(r"\d{0,9}(\d|\.\d{1,9})", number.strip()):
            raise UserError(
                f"got --mix {text[:200]}; allowed: sources and shares, with commas between them; "
                "fix: for example --mix arxiv=0.3,book=0.3"
            )
        if name.strip() in shares:
            raise UserError(
                f"got --mix {text[:200]}; allowed: each source once; fix: name {name.strip()} once"
            )
        shares[name.strip()] = Fraction(number.strip())
    return shares


def select(
    lengths: ArrayLike,
    keys: Keys,
    source: ArrayLike,
    names: Sequence[str],
    mixture: Mixture,
    *,
    seed: int = 0,
) -> Selection:
    """The uses of documents; `source` gives each document's place in `names`.

    Raises UserError when a source that is named is not there or has no document to use, and when
    documents would be used more than `max_copies` times.
    """
    sizes = np.asarray(lengths, np.int64).reshape(-1)
    of_source = np.asarray(source, np.int64).reshape(-1)
    too_short = sizes < mixture.min_tokens
    limit = mixture.max_tokens
    too_long = ~too_short & (sizes > limit) if limit is not None else np.zeros(len(sizes), np.bool_)
    fitting = ~too_short & ~too_long
    drawn_away = fitting & _drawn_away(sizes, keys, mixture, seed)
    kept = fitting & ~drawn_away

    present = {name: int(sizes[fitting & (of_source == at)].sum()) for at, name in enumerate(names)}
    usable = {name: int(sizes[kept & (of_source == at)].sum()) for at, name in enumerate(names)}
    shares = _shares(mixture, present)
    budgets = _budgets(mixture, shares, usable)

    documents: list[Numbers] = []
    copies: list[Numbers] = []
    counts: dict[str, SourceCount] = {}
    for at, name in enumerate(names):
        own = of_source == at
        candidates = np.flatnonzero(own & kept)
        uses = np.zeros(len(sizes), np.int64)
        uses[candidates] = _uses(sizes[candidates], keys[candidates], budgets[name], seed)
        if name in mixture.shares and not uses.any():
            raise UserError(
                f"got {name}={float(mixture.shares[name]):g} of the mix, {budgets[name]:,} tokens; "
                f"allowed: room for its shortest document, {int(sizes[candidates].min()):,} tokens;"
                " fix: ask for more tokens or leave the source out"
            )
        documents.append(np.repeat(np.flatnonzero(uses), uses[uses > 0]))
        copies.append(_numbered(uses[uses > 0]))
        reasons = {
            "too short": too_short,
            "too long": too_long,
            "short, not drawn": drawn_away,
            "more than asked for": kept & (uses == 0),
        }
        left_out = {reason: _count(sizes, own & mask) for reason, mask in reasons.items()}
        counts[name] = SourceCount(
            given=_count(sizes, own),
            asked=budgets[name],
            documents=int((uses > 0).sum()),
            repeats=int((uses[uses > 0] - 1).sum()),
            tokens=int((sizes * uses).sum()),
            left_out={reason: count for reason, count in left_out.items() if count.documents},
        )
    return Selection(
        document=np.concatenate([np.empty(0, np.int64), *documents]),
        copy=np.concatenate([np.empty(0, np.int64), *copies]),
        sources=counts,
    )


def _drawn_away(sizes: Numbers, keys: Keys, mixture: Mixture, seed: int) -> _Mask:
    """Short documents that chance leaves out."""
    if mixture.keep_short == 1:
        return np.zeros(len(sizes), np.bool_)
    below = np.uint64(int(mixture.keep_short * 2**64))
    chance = draws(keys, seed=seed, purpose="short documents")
    return (sizes < mixture.short_below) & (chance >= below)


def _shares(mixture: Mixture, present: Mapping[str, int]) -> dict[str, Fraction]:
    """The share of each source, together 1; what is not named shares the rest as it is."""
    missing = [name for name in mixture.shares if not present.get(name)]
    if missing:
        raise UserError(
            f"got --mix with {', '.join(missing)}, of which there is no document; allowed: "
            f"{', '.join(sorted(name for name in present if present[name])) or 'none'}; "
            "fix: check the names and the lengths asked for"
        )
    rest = 1 - sum(mixture.shares.values(), Fraction(0))
    others = sum(tokens for name, tokens in present.items() if name not in mixture.shares)
    if rest and not others and mixture.shares:
        raise UserError(
            f"got --mix {_shown(mixture.shares)}, which leaves {float(rest):g} for other sources, "
            "and there are none; allowed: shares that are 1 together; fix: raise one of them"
        )
    return {
        name: mixture.shares.get(name, rest * Fraction(tokens, others) if others else Fraction(0))
        for name, tokens in present.items()
    }


def _budgets(
    mixture: Mixture, shares: Mapping[str, Fraction], usable: Mapping[str, int]
) -> dict[str, int]:
    """How many tokens of each source are to be used."""
    wanted = {name: share for name, share in shares.items() if share}
    empty = [name for name in wanted if not usable[name]]
    if empty:
        raise UserError(
            f"got {', '.join(empty)}, of which no document is left; allowed: sources with documents"
            f" of {mixture.short_below} tokens or more; fix: keep more of the short ones"
        )
    most = min((int(usable[name] / share) for name, share in wanted.items()), default=0)
    total = mixture.tokens if mixture.tokens is not None else most
    budgets = {name: int(total * shares[name]) for name in shares}
    for name, budget in budgets.items():
        if budget > mixture.max_copies * usable[name]:
            raise UserError(
                f"got {total:,} tokens, of which {name} is to be {budget:,} and has "
                f"{usable[name]:,}; allowed: each document {mixture.max_copies} times at most; "
                "fix: ask for fewer tokens, a smaller share of it or more copies"
            )
    return budgets


def _uses(sizes: Numbers, keys: Keys, budget: int, seed: int) -> Numbers:
    """How often each document of a source is used: all as often as they can be, then some more."""
    total = int(sizes.sum())
    if not budget or not total:
        return np.zeros(len(sizes), np.int64)
    passes, rest = divmod(budget, total)
    order = seeded_order(keys, seed=seed, purpose=f"pass {passes}")
    uses = np.full(len(sizes), passes, np.int64)
    uses[order[_fill(sizes[order], rest)]] += 1
    return uses


def _fill(sizes: Numbers, room: int) -> Numbers:
    """Places of the sizes, in their order, that still fit when their turn comes."""
    taken: list[Numbers] = [np.empty(0, np.int64)]
    left = np.arange(len(sizes))
    while True:
        left = left[sizes[left] <= room]
        sums = np.cumsum(sizes[left])
        until = int(np.searchsorted(sums, room, side="right"))
        if not until:
            return np.concatenate(taken)
        taken.append(left[:until])
        room -= int(sums[until - 1])
        left = left[until:]


def _numbered(uses: Numbers) -> Numbers:
    """0 … n-1 for each n: the copies' numbers."""
    before = np.cumsum(uses) - uses
    return np.arange(int(uses.sum())) - np.repeat(before, uses)


def _count(sizes: Numbers, mask: _Mask) -> Count:
    return Count(documents=int(mask.sum()), tokens=int(sizes[mask].sum()))


def _shown(shares: Mapping[str, Fraction]) -> str:
    return ",".join(f"{name}={float(share):g}" for name, share in shares.items())
