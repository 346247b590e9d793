"""Sums of losses → the numbers of a result, each with its interval, and what they are in words.

    summary(asked, gathered, data=…)["numbers"]
    -> [{"name": "mean_nll", "protocol": "strided", "ctx": 8192, "value": 1.9433, "interval": …},
        {"name": "perplexity", …}, {"name": "bits_per_byte", …}, {"name": "mean_nll_at", …}, …]

A number of a sample is called `estimated_…`, everywhere: nobody takes it for the number itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from longeval.loss_sums import LossSums
from longeval.protocols import Protocol, sampled, scripts_perplexity, spread
from longeval.token_data import Decoder, TextUnits, TokenData
from longeval.windows import Ints, Windows

if TYPE_CHECKING:
    import pyarrow as pa

Interval = tuple[float, float]
Number = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One protocol at one context: the windows that are measured, and their indices among all.

    `of` counts all its windows, `draws` the starts they were drawn from.
    """

    protocol: Protocol
    ctx: int
    windows: Windows
    indices: Ints
    of: int
    draws: int

    @property
    def is_whole(self) -> bool:
        return len(self.windows) == self.of

    def part(self, kept: Ints) -> Asked:
        """Some of the windows alone."""
        return replace(self, windows=self.windows.part(kept), indices=kept)


def summary(
    asked: Sequence[Asked],
    gathered: Sequence[LossSums],
    *,
    data: TokenData,
    decoder: Decoder | None,
    stride: int,
    bos: bool,
    longlora_batch: int,
    seed: int,
) -> dict[str, Any]:
    """The parts of a result that say how it was measured and what came out."""
    numbers: list[Number] = []
    for one, found in zip(asked, gathered, strict=True):
        numbers += _numbers(one, found, data, decoder, longlora_batch)
    protocols = {one.protocol.name: one.protocol for one in asked}
    return {
        "protocol": {
            "name": ", ".join(protocols),
            "contexts": sorted({one.ctx for one in asked}),
            "stride": stride,
            "bos_asked": bos,
            "longlora_batch": longlora_batch,
            "words": {
                f"{one.protocol.name} at {one.ctx}": one.protocol.words(
                    ctx=one.ctx, stride=stride, bos=bos
                )
                for one in asked
            },
            "published": {name: protocol.published for name, protocol in protocols.items()},
            "sample": None if all(one.is_whole for one in asked) else {"seed": seed},
        },
        "numbers": numbers,
        "skipped": _skipped(asked, data),
    }


def samples_of(asked: Sequence[Asked], gathered: Sequence[LossSums], data: TokenData) -> pa.Table:
    """One row for each window that was read."""
    import pyarrow as pa

    tables = []
    for one, found in zip(asked, gathered, strict=True):
        windows = one.windows
        documents = data.document_at(windows.first)
        count = len(windows)
        tables.append(
            pa.table(
                {
                    "protocol": pa.array([one.protocol.name] * count, pa.string()),
                    "ctx": np.full(count, one.ctx, np.int64),
                    "window": one.indices,
                    "start": windows.start,
                    "first": windows.first,
                    "end": windows.end,
                    "document": pa.nulls(count, pa.int64()) if documents is None else documents,
                    "nll": found.sums,
                    "scored": found.counts.astype(np.int64),
                }
            )
        )
    return pa.concat_tables(tables)


def _numbers(
    one: Asked,
    found: LossSums,
    data: TokenData,
    decoder: Decoder | None,
    longlora_batch: int,
) -> Iterator[Number]:
    sums, counts, starts = found.sums, found.counts, one.windows.first
    interval: Interval | None
    if one.is_whole:
        value = one.protocol.mean(sums, counts, batch_size=longlora_batch)
        about = spread(
            one.protocol,
            sums,
            counts,
            documents=data.document_at(starts),
            starts=starts,
            ctx=one.ctx,
        )
        interval, over, prefix = about.interval, about.over, ""
    else:
        estimate = sampled(one.protocol, sums, counts, draws=one.windows.start, of=one.draws)
        value, interval = estimate.value, estimate.interval
        over, prefix = f"{estimate.n:,} of {one.draws:,} drawn starts of windows", "estimated_"
    common = {
        "protocol": one.protocol.name,
        "ctx": one.ctx,
        "n": len(one.windows),
        "of": one.of,
        "scored": int(counts.sum()),
        "interval_over": over,
    }

    def number(name: str, of_mean: Any) -> Number:
        ends = None if interval is None else [of_mean(end) for end in interval]
        return {"name": prefix + name, "value": of_mean(value), "interval": ends, **common}

    yield number("mean_nll", float)
    yield number("perplexity", _exp)
    if one.protocol.averaged == "batches":
        yield number("perplexity_as_printed", scripts_perplexity)
    units = _units(one, data, decoder) if one.protocol.each_once else None
    if units is not None and units.bytes and units.words:
        of_word, of_byte = units.tokens / units.words, units.tokens / units.bytes
        yield number("word_perplexity", lambda mean: _exp(mean * of_word))
        yield number("byte_perplexity", lambda mean: _exp(mean * of_byte))
        yield number("bits_per_byte", lambda mean: mean * of_byte / math.log(2))
    for low, high, mean, count in found.curve.rows():
        yield {
            "name": f"{prefix}mean_nll_at",
            "value": mean,
            "interval": None,
            "protocol": one.protocol.name,
            "ctx": one.ctx,
            "n": count,
            "context_from": low,
            "context_to": high,
        }


def _units(one: Asked, data: TokenData, decoder: Decoder | None) -> TextUnits | None:
    """The text that a protocol reads: the stream, or the beginnings of documents."""
    if decoder is None:
        return None
    if one.protocol.in_documents:
        return decoder.units(
            data.tokens, zip(one.windows.start.tolist(), one.windows.end.tolist(), strict=True)
        )
    borders = [0, data.num_tokens] if data.offsets is None else data.offsets.tolist()
    return decoder.units(data.tokens, pairwise(borders))


def _skipped(asked: Sequence[Asked], data: TokenData) -> dict[str, int]:
    """Documents that are not what was asked for, by reason."""
    if data.offsets is None:
        return {}
    lengths = np.diff(data.offsets)
    longest = max(one.ctx for one in asked)
    in_documents = any(one.protocol.in_documents for one in asked)
    found = {
        f"documents shorter than {longest:,} tokens, measured as they are": int(
            (lengths < longest).sum()
        ),
        "documents without a token to score": int((lengths < 2).sum()) if in_documents else 0,
    }
    return {reason: count for reason, count in found.items() if count}


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
