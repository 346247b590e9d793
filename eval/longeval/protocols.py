"""Perplexity protocols by name: their windows, how losses become one number, and all in words.

    protocol = protocol_of("longlora")
    windows = protocol.windows(Stream(num_tokens=n, offsets=None), ctx=8192, stride=256, bos=False)
    protocol.mean(sums, counts, batch_size=1)   -> 1.9432…   nats a token; perplexity is its exp
    protocol.words(ctx=8192, stride=256, bos=False)
    -> "windows of 8,192 tokens at starts 0, 256, 512, … of the whole stream, …"

One model on one text has a different perplexity in each of them: with little context a token costs
more, and they differ in how many tokens have little. A number without its protocol says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from longdata.errors import UserError
from longeval import windows as w
from longeval.stats import Mean, in_blocks, mean_of
from longeval.windows import Ints, Windows

Floats = NDArray[np.float64]
Averaged = Literal["tokens", "windows", "batches"]

FEWEST_DOCUMENTS = 20  # of which an interval over documents says something
_SCRIPTS_E = 2.71828  # LongLoRA's eval.py raises this, not e


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What windows are made of: a number of tokens, and where documents begin, if that is known."""

    num_tokens: int
    offsets: Ints | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One way to measure. `each_once`: every token is scored once, so text units have a meaning.

    `has_bos`: whether --bos is for it; None: it always has BOS.
    """

    name: str
    published: str
    what: str
    averaged: Averaged
    cut: Callable[[Stream, int, int, bool], Windows]
    each_once: bool
    in_documents: bool
    has_bos: bool | None

    def windows(self, stream: Stream, *, ctx: int, stride: int, bos: bool) -> Windows:
        """The windows of a stream. UserError: it needs documents, and they are unknown."""
        if self.in_documents and stream.offsets is None:
            raise UserError(
                f"got --protocol {self.name} and tokens whose documents are unknown; allowed: "
                "longlora, strided, disjoint; fix: make the set with longdata prepare, which "
                "writes down where documents begin"
            )
        return self.cut(stream, ctx, stride, bos)

    def bos(self, asked: bool) -> bool:
        """Whether windows begin with BOS."""
        return self.has_bos is None or (asked and self.has_bos)

    def words(self, *, ctx: int, stride: int, bos: bool) -> str:
        """What was scored with which context, and how it was averaged."""
        what = self.what.format(ctx=f"{ctx:,}", s=f"{stride:,}", s2=f"{2 * stride:,}")
        begin = "BOS before each window counts as one of its tokens; " if self.bos(bos) else ""
        return f"{what}; {begin}{_AVERAGES[self.averaged]}"

    def mean(self, sums: Floats, counts: Floats, *, batch_size: int = 1) -> float:
        """The one number: mean loss in nats."""
        if self.averaged == "tokens":
            return math.fsum(sums) / math.fsum(counts)
        if self.averaged == "windows":
            return math.fsum(sums / counts) / len(sums)
        starts = np.arange(0, len(sums), batch_size)
        losses = np.add.reduceat(sums, starts) / np.add.reduceat(counts, starts)
        return math.fsum(losses) / len(losses)

    def clusters(self, sums: Floats, counts: Floats) -> tuple[Floats, Floats]:
        """What the mean is a ratio of: losses and tokens, or means of windows and windows."""
        if self.averaged == "tokens":
            return sums, counts
        return sums / counts, np.ones_like(counts)


_AVERAGES: dict[Averaged, str] = {
    "tokens": "the mean is over all scored tokens",
    "windows": "the mean is over windows, each the mean of its tokens, however many these are",
    "batches": "the mean is over batches of windows, of which the last may be smaller",
}

_ALL = (
    Protocol(
        name="longlora",
        published="LongLoRA (arXiv 2309.12307), eval.py",
        what="windows of {ctx} tokens at starts 0, {s}, {s2}, … of the whole stream, the last start"
        " left out, across the borders of documents; every token but the first of each window is "
        "scored, with 1 to {ctx} - 1 tokens of context, so that most tokens are scored many times",
        averaged="batches",
        cut=lambda stream, ctx, stride, bos: w.longlora(
            num_tokens=stream.num_tokens, ctx=ctx, stride=stride
        ),
        each_once=False,
        in_documents=False,
        has_bos=False,
    ),
    Protocol(
        name="strided",
        published="Press et al. (arXiv 2012.15832), sliding window",
        what="windows of {ctx} tokens that move by {s} over the whole stream, across the borders of"
        " documents; only the {s} new tokens of each are scored, with {ctx} - {s} to {ctx} - 1 "
        "tokens of context, at the beginning of the stream with what there is",
        averaged="tokens",
        cut=lambda stream, ctx, stride, bos: w.strided(
            num_tokens=stream.num_tokens, ctx=ctx, stride=stride, bos=bos
        ),
        each_once=True,
        in_documents=False,
        has_bos=True,
    ),
    Protocol(
        name="disjoint",
        published="windows that do not overlap, as in most training loops",
        what="windows of {ctx} tokens side by side over the whole stream, the last one shorter, "
        "across the borders of documents; every token is scored with 0 to {ctx} - 1 tokens of "
        "context, a first token of a window only where BOS stands before it",
        averaged="tokens",
        cut=lambda stream, ctx, stride, bos: w.disjoint(
            num_tokens=stream.num_tokens, ctx=ctx, bos=bos
        ),
        each_once=True,
        in_documents=False,
        has_bos=True,
    ),
    Protocol(
        name="document",
        published="each document by itself, truncated",
        what="the first {ctx} tokens of each document, of shorter ones all; every token is scored "
        "with what stands before it in its document",
        averaged="tokens",
        cut=lambda stream, ctx, stride, bos: w.document(_known(stream), ctx=ctx, bos=bos),
        each_once=True,
        in_documents=True,
        has_bos=True,
    ),
    Protocol(
        name="yarn",
        published="YaRN (arXiv 2309.00071), perplexity.py",
        what="in each document windows of {ctx} tokens, BOS included, that move by {s}; only what "
        "the window before did not reach is scored: all of the first one, then {s} tokens each",
        averaged="windows",
        cut=lambda stream, ctx, stride, bos: w.yarn(_known(stream), ctx=ctx, stride=stride),
        each_once=False,
        in_documents=True,
        has_bos=None,
    ),
    Protocol(
        name="yarn-truncated",
        published="YaRN (arXiv 2309.00071), perplexity.py --truncate, as for its figures",
        what="the first {ctx} tokens of each document, BOS included; every token is scored with "
        "what stands before it in its document",
        averaged="windows",
        cut=lambda stream, ctx, stride, bos: w.yarn(
            _known(stream), ctx=ctx, stride=stride, truncate=True
        ),
        each_once=False,
        in_documents=True,
        has_bos=None,
    ),
)
PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}


def protocol_of(name: str) -> Protocol:
    """The protocol of this name, or UserError."""
    if name not in PROTOCOLS:
        raise UserError(
            f"got --protocol {name}; allowed: {', '.join(PROTOCOLS)}, several with commas; "
            "fix: choose one"
        )
    return PROTOCOLS[name]


def scripts_perplexity(mean_nll: float) -> float:
    """What LongLoRA's eval.py prints: 2.71828 to the power of the loss."""
    return float(_SCRIPTS_E**mean_nll)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """An interval of a mean loss (None: it cannot be known) and over what it is."""

    interval: tuple[float, float] | None
    over: str


def spread(
    protocol: Protocol,
    sums: Floats,
    counts: Floats,
    *,
    documents: Ints | None,
    starts: Ints,
    ctx: int,
) -> Spread:
    """How far the number would move on other texts of this kind: an interval of 95 %.

    Over documents where there are enough of them, or where windows lie in documents; else over
    blocks of neighbouring windows, each as long as two contexts: windows that overlap, or stand
    side by side, are no independent draws.
    """
    values, sizes = protocol.clusters(sums, counts)
    of_documents = len(np.unique(documents)) if documents is not None else 0
    if documents is not None and (protocol.in_documents or of_documents >= FEWEST_DOCUMENTS):
        _, index = np.unique(documents, return_inverse=True)
        found = mean_of(np.bincount(index, values), np.bincount(index, sizes))
        return Spread(interval=found.interval, over=f"{of_documents:,} documents")
    step = int(np.median(np.diff(starts))) if len(starts) > 1 else ctx
    block = max(1, -(-2 * ctx // max(1, step)))
    found = mean_of(*in_blocks(values, block, sizes))
    plural = "" if found.n == 1 else "s"
    return Spread(
        interval=found.interval, over=f"{found.n:,} block{plural} of {2 * ctx:,} tokens and more"
    )


def sampled(protocol: Protocol, sums: Floats, counts: Floats, *, draws: Ints, of: int) -> Mean:
    """The estimate of the full number from some of `of` draws without repeats.

    `draws` says for each window of which draw it is: the windows of one are one cluster.
    """
    values, sizes = protocol.clusters(sums, counts)
    _, index = np.unique(draws, return_inverse=True)
    return mean_of(np.bincount(index, values), np.bincount(index, sizes), of=of)


def _known(stream: Stream) -> Ints:
    assert stream.offsets is not None, "asked before"
    return stream.offsets
