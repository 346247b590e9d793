"""What a token set holds, in numbers and for a person to read.

lengths_of([900, 1_500, 70_000])["median"]   -> 1500
print(*lines_of(prepared.path, prepared.facts), sep="\\n")
-> 46,000 found = 128 kept + 45,872 dropped: 872 not drawn, 45,000 too few tokens
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FIRST_BUCKET = 1_024  # tokens; the buckets of the histogram double from here
_WIDTH = 30


def lengths_of(tokens: Sequence[int]) -> dict[str, Any]:
    """Shortest, median, mean, longest, and how many documents and tokens each bucket holds.

    Buckets go from the first to the last that has a document; `below` is not in it.
    """
    ordered = np.sort(np.asarray(tokens, np.int64))
    buckets: list[dict[str, int]] = []
    low, high = 0, FIRST_BUCKET
    while low <= ordered[-1]:
        inside = ordered[np.searchsorted(ordered, low) : np.searchsorted(ordered, high)]
        if len(inside) or buckets:
            total = int(inside.sum())
            buckets.append({"from": low, "below": high, "documents": len(inside), "tokens": total})
        low, high = high, 2 * high
    return {
        "shortest": int(ordered[0]),
        "median": int(ordered[(len(ordered) - 1) // 2]),
        "mean": round(float(ordered.mean()), 1),
        "longest": int(ordered[-1]),
        "histogram": buckets,
    }


def is_short(facts: Mapping[str, Any]) -> bool:
    """Whether fewer documents were long enough than were asked for."""
    asked = facts["selection"]["documents_asked"]
    return asked is not None and facts["num_documents"] < asked


def lines_of(path: Path, facts: Mapping[str, Any]) -> Iterator[str]:
    """The account, one fact to a line; `facts` is what the sidecar says."""
    account, lengths, selection = facts["account"], facts["lengths"], facts["selection"]
    yield str(path)
    yield (
        f"{_count(facts['num_documents'], 'document')}, {_count(facts['num_tokens'], 'token')} "
        f"({facts['dtype']}), tokenizer {facts['tokenizer']['name']}, {_around(facts)}"
    )
    lost = account["found"] - account["kept"]
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in account["dropped"].items())
    dropped = f"{lost:,} dropped" + (f": {reasons}" if reasons else "")
    yield f"{account['found']:,} found = {account['kept']:,} kept + {dropped}"
    if is_short(facts):
        yield (
            f"FEWER THAN ASKED: {selection['documents_asked']:,} documents of "
            f"{selection['min_tokens']:,} tokens or more were asked for, "
            f"{selection['long_enough']:,} are there"
        )
    yield (
        f"tokens of a document: {lengths['shortest']:,} to {lengths['longest']:,}, "
        f"median {lengths['median']:,}, mean {lengths['mean']:,.0f}"
    )
    yield from _bars(lengths["histogram"])


def _bars(buckets: Iterable[Mapping[str, int]]) -> Iterator[str]:
    listed = list(buckets)
    most = max(bucket["documents"] for bucket in listed)
    for bucket in listed:
        count = bucket["documents"]
        bar = "█" * round(_WIDTH * count / most) or ("▏" if count else "")
        yield f"  below {bucket['below']:>11,}  {count:>9,}  {bar}".rstrip()


def _around(facts: Mapping[str, Any]) -> str:
    ends = ["BOS before"] if facts["bos"]["before_each"] else []
    ends += ["EOS after"] if facts["eos"]["after_each"] else []
    return f"{' and '.join(ends)} each document" if ends else "neither BOS nor EOS"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
