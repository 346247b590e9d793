"""What a pack holds, in lines for a terminal.

    print(*lines_of(done), sep="\\n")
    ->  ctx      rows      tokens  padding  documents  cut          cut though they fit
        8192    1,221  10,001,408   0.02 %      4,310  96 (2.2 %)                     0

`lost_lines` are for standard error: what could not be used, and why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from longdata.pack import SHOWN_LOST, Packed
from longdata.pack_stages import LOST
from longdata.packed_words import making_lines, percent

Facts = dict[str, Any]


def lines_of(done: Packed) -> Iterator[str]:
    """The account: where it is, rows of each ctx, tokens of each source, what was left out."""
    facts = next(iter(done.facts.values()))
    yield str(done.out)
    yield from _aligned(_CTX_HEAD, [_of_ctx(one) for one in done.facts.values()])
    yield ""
    yield from _aligned(_SOURCE_HEAD, list(_of_sources(facts)))
    yield ""
    for line in making_lines(facts):
        yield clean(line)
    if facts["decontamination"]:
        names = ", ".join(one["name"] for one in facts["decontamination"]["sets"])
        yield f"held against {clean(names)}"
    skipped = facts["skipped"]
    listed = ", ".join(f"{count:,} {clean(reason)}" for reason, count in skipped.items())
    yield f"left out before packing: {listed} ({LOST})" if skipped else "nothing was left out"


def lost_lines(done: Packed) -> Iterator[str]:
    """One line for each of the first that could not be used, and where the rest is."""
    for skip in done.lost:
        detail = f", {skip['detail']}" if skip["detail"] else ""
        yield clean(f"left out {skip['name']}: {skip['reason']}{detail}")
    total = num_lost(done)
    if total > len(done.lost):
        yield f"and {total - len(done.lost):,} more, in {done.out / LOST}"
    for note in done.notes[:SHOWN_LOST]:
        yield clean(f"a part was encoded again by the tokenizer itself: {note}")


def num_lost(done: Packed) -> int:
    """How many rows, documents and files could not be used, for whatever reason."""
    return sum(next(iter(done.facts.values()))["skipped"].values())


def num_damaged(done: Packed) -> int:
    """`num_lost` without what was to be left out: documents of evaluation sets."""
    facts = next(iter(done.facts.values()))
    asked = facts.get("decontamination") or {"sets": []}
    wanted = {f"overlaps {one['name']}" for one in asked["sets"]}
    return sum(count for reason, count in facts["skipped"].items() if reason not in wanted)


def clean(text: str) -> str:
    """A line without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


_CTX_HEAD = ("ctx", "rows", "tokens", "padding", "documents", "cut", "cut though they fit")
_SOURCE_HEAD = ("source", "found", "their tokens", "used", "repeats", "tokens", "share", "not used")


def _of_ctx(facts: Facts) -> tuple[str, ...]:
    cut = facts["cut"]
    return (
        f"{facts['ctx']}",
        f"{facts['rows']:,}",
        f"{facts['tokens']:,}",
        percent(facts["padding_share"]),
        f"{facts['documents']:,}",
        f"{cut['documents']:,} ({percent(cut['share'])})",
        f"{cut['that_fit']:,}",
    )


def _of_sources(facts: Facts) -> Iterator[tuple[str, ...]]:
    total = facts["tokens"] or 1
    for name, count in facts["sources"].items():
        left = "; ".join(
            f"{one['documents']:,} {reason}" for reason, one in count["left_out"].items()
        )
        yield (
            clean(name),
            f"{count['given']['documents']:,}",
            f"{count['given']['tokens']:,}",
            f"{count['documents']:,}",
            f"{count['repeats']:,}",
            f"{count['tokens']:,}",
            percent(count["tokens"] / total),
            left or "-",
        )


def _aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table: the first and the last column begin where they begin, numbers end together."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    for row in (head, *rows):
        cells = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        if head is _SOURCE_HEAD:
            cells[-1] = row[-1]
        yield "  ".join(cells).rstrip()
