"""A dataset in numbers: gathered in one pass over its rows, shown by `longqa inspect`.

    statistics = gather(read_rows(folder, COLUMNS))
    statistics.by_kind["order"]      -> 212
    statistics.depth.bins            -> [301.5, 288.0, …]   # rows by where their evidence lies

A row counts once in `depth` whatever the number of its evidence passages: each of n passages adds
1/n. `spread` is the distance from the first to the last passage, of rows that have two or more.
Short rows, which have no text, are counted apart: lengths, depths and shares are of the long ones.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longdata.errors import UserError
from longdata.prompt_template import SHORT
from longqa.dataset import SCHEMA, read_rows
from longqa.facts import SPLITS, BuildFacts, read_facts
from longqa.llm.taxonomy import ALL_KINDS, MODEL_KINDS

NUM_BINS = 10
COLUMNS = [name for name in SCHEMA.names if name != "context"]  # all that `gather` reads
NO_LICENSE = "not stated"
_LENGTH_EDGES = (1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)
_BARS = " ▁▂▃▄▅▆▇█"


@dataclass(slots=True)
class Histogram:
    """How much lies in each tenth of 0 to 1."""

    bins: list[float] = field(default_factory=lambda: [0.0] * NUM_BINS)

    def add(self, value: float, weight: float = 1.0) -> None:
        """Count a value between 0 and 1; 1 itself lies in the last bin."""
        self.bins[min(NUM_BINS - 1, max(0, int(value * NUM_BINS)))] += weight


@dataclass(slots=True)
class Lengths:
    """Exact counts of whole numbers: their mean, and the value below which a share of them lies."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, value: int) -> None:
        """Count one value."""
        self.counts[value] += 1

    @property
    def mean(self) -> float:
        """The arithmetic mean; 0 when nothing was counted."""
        return sum(value * count for value, count in self.counts.items()) / (
            self.counts.total() or 1
        )

    @property
    def largest(self) -> int:
        """The largest value; 0 when nothing was counted."""
        return max(self.counts, default=0)

    def quantile(self, share: float) -> int:
        """The smallest value that at least `share` of the values do not exceed."""
        seen = 0
        for value in sorted(self.counts):
            seen += self.counts[value]
            if seen >= share * self.counts.total():
                return value
        return 0

    def buckets(self) -> list[tuple[str, int]]:
        """Label and count by powers of two from 1,024 to 131,072, without empty ends."""
        totals: Counter[int | None] = Counter()
        for value, count in self.counts.items():
            totals[next((edge for edge in _LENGTH_EDGES if value <= edge), None)] += count
        edges = (*_LENGTH_EDGES, None)
        used = [index for index, edge in enumerate(edges) if totals[edge]]
        span = edges[used[0] : used[-1] + 1] if used else ()
        return [(f"≤ {edge:,}" if edge else "longer", totals[edge]) for edge in span]


@dataclass(slots=True)
class Statistics:
    """The numbers of a dataset. Documents are told apart by title and hash of their source; two
    papers that are compared are two documents, and theirs are counted in `by_pair` too.
    """

    num_rows: int = 0  # long and short
    by_kind: Counter[str] = field(default_factory=Counter)
    by_material: Counter[str] = field(default_factory=Counter)
    by_ctx: Counter[int] = field(default_factory=Counter)  # long rows
    by_split: Counter[str] = field(default_factory=Counter)
    by_license: Counter[str] = field(default_factory=Counter)  # of any of a row's sources
    by_kind_and_split: Counter[tuple[str, str]] = field(default_factory=Counter)
    documents: dict[int, str] = field(default_factory=dict)  # `document_key` → split
    by_pair: Counter[int] = field(default_factory=Counter)  # rows on a paper and another
    passed: Counter[str] = field(default_factory=Counter)  # checks
    row_tokens: Lengths = field(default_factory=Lengths)
    context_tokens: Lengths = field(default_factory=Lengths)
    answer_words: Lengths = field(default_factory=Lengths)
    depth: Histogram = field(default_factory=Histogram)
    depth_by_kind: dict[str, Histogram] = field(default_factory=dict)
    spread: Histogram = field(default_factory=Histogram)
    num_without_evidence: int = 0
    num_whole: int = 0
    short_tokens: Lengths = field(default_factory=Lengths)
    short_sources: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    @property
    def num_short(self) -> int:
        """Rows without a text to read."""
        return self.by_material[SHORT]

    @property
    def num_long(self) -> int:
        """Rows with a text to read."""
        return self.num_rows - self.num_short

    @property
    def unanswerable_share(self) -> float:
        """The share of long rows whose answer says that the text does not tell."""
        return self.by_kind["unanswerable"] / (self.num_long or 1)

    @property
    def short_share(self) -> float:
        """The share of the training split that is short."""
        return self.num_short / (self.by_split["train"] or 1)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row, with its "split"; `context` is not needed."""
        kind, split = row["question_kind"], row["split"]
        self.num_rows += 1
        self.by_kind[kind] += 1
        self.by_material[row["material_kind"]] += 1
        self.by_split[split] += 1
        self.by_kind_and_split[kind, split] += 1
        self.by_license.update({source["license"] or NO_LICENSE for source in row["sources"]})
        if row["material_kind"] == SHORT:
            self.short_tokens.add(row["row_tokens"])
            for source in row["sources"]:
                self.short_sources[source["title"], source["sha256"]] = source
        else:
            self._add_long(row)

    def _add_long(self, row: Mapping[str, Any]) -> None:
        kind = row["question_kind"]
        self.by_ctx[row["ctx"]] += 1
        self.num_whole += row["is_whole"]
        keys = [document_key(source["title"], source["sha256"]) for source in row["sources"]]
        self.documents.update(dict.fromkeys(keys, row["split"]))
        if len(keys) > 1:
            self.by_pair.update(keys)
        self.passed.update(name for name, passed in row["checks"].items() if passed)
        self.row_tokens.add(row["row_tokens"])
        self.context_tokens.add(row["context_tokens"])
        self.answer_words.add(len(row["answer"].split()))
        depths = [passage["depth"] for passage in row["evidence"]]
        self.num_without_evidence += not depths
        of_kind = self.depth_by_kind.setdefault(kind, Histogram())
        for depth in depths:
            self.depth.add(depth, 1 / len(depths))
            of_kind.add(depth, 1 / len(depths))
        if len(depths) > 1:
            self.spread.add(max(depths) - min(depths))

    def documents_of(self, split: str) -> int:
        """How many documents have rows in a split."""
        return sum(found == split for found in self.documents.values())


def document_key(title: str, sha256: str) -> int:
    """64 bits for a document: of many, their names would be most of what is held."""
    said = f"{title}\x1f{sha256}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "little")


def gather(rows: Iterable[Mapping[str, Any]]) -> Statistics:
    """The statistics of all rows, each with its "split"."""
    statistics = Statistics()
    for row in rows:
        statistics.add(row)
    return statistics


def in_order(kinds: Iterable[str]) -> list[str]:
    """Kinds of questions as the taxonomy has them; then those it does not know, short rows last."""
    place = {kind: number for number, kind in enumerate(ALL_KINDS)}
    return sorted(kinds, key=lambda kind: (kind == SHORT, place.get(kind, len(place)), kind))


def about(kind: str, *, has_model: bool) -> tuple[str, str]:
    """What a kind of question asks for, and why its answer is right; "" for one not known."""
    if kind == SHORT:
        return "a short instruction, with no text to read", "mixed in"
    kinds = {**ALL_KINDS, **MODEL_KINDS} if has_model else ALL_KINDS
    return (kinds[kind].asks, kinds[kind].basis) if kind in kinds else ("", "")


def inspect_dataset(folder: Path, console: Console) -> Statistics:
    """Print the statistics of a folder that `longqa build` wrote.

    Raises `UserError` when it is no such folder, is damaged, or `build.json` counts other rows
    than there are.
    """
    facts = read_facts(folder)
    statistics = gather(read_rows(folder, COLUMNS))
    promised = sum(facts["kept"].values())
    if promised != statistics.num_rows:
        raise UserError(
            f"got {folder}, where build.json counts {promised} rows and data/ holds "
            f"{statistics.num_rows}; allowed: a complete dataset; fix: run the build again"
        )
    render_statistics(statistics, console, facts)
    return statistics


def render_statistics(
    statistics: Statistics, console: Console, facts: BuildFacts | None = None
) -> None:
    """Print the tables; with `facts`, also what was asked for and what became of it."""
    console.print(
        Text.assemble(
            (_count(statistics.num_long, "example"), "bold"),
            f" from {_count(len(statistics.documents), 'document')}; "
            f"{statistics.row_tokens.mean:,.0f} tokens a row "
            f"on average, {statistics.row_tokens.largest:,} at most",
        )
    )
    if statistics.num_short:
        console.print(
            f"{_count(statistics.num_short, 'short instruction')} mixed in, "
            f"{100 * statistics.short_share:.1f} % of train; "
            f"{statistics.short_tokens.mean:,.0f} tokens a row on average"
        )
    if not statistics.num_rows:
        return
    console.print(_splits(statistics))
    console.print(_kinds(statistics, facts))
    console.print(_lengths(statistics))
    console.print(_licences(statistics))
    if facts and facts["missing"]:
        console.print(_reasons("Asked for and not kept", facts))
    if facts and facts["skipped"]:
        skipped = Counter(entry["reason"] for entry in facts["skipped"])
        said = ", ".join(f"{count} {reason}" for reason, count in sorted(skipped.items()))
        console.print(Text(f"Sources skipped: {said}"))


def spark(values: Iterable[float]) -> str:
    """Numbers as bars of text: [1, 2, 4] → "▂▄█"; a value above 0 is never blank."""
    found = list(values)
    top = max(found, default=0) or 1
    return "".join(_BARS[max(round(8 * v / top), v > 0)] for v in found)


def _splits(statistics: Statistics) -> Table:
    table = _table("Split", "Documents", "Examples", "Share")
    for split in SPLITS:
        count = statistics.by_split[split]
        table.add_row(
            split,
            f"{statistics.documents_of(split):,}",
            f"{count:,}",
            _share(count, statistics.num_rows),
        )
    return table


def _kinds(statistics: Statistics, facts: BuildFacts | None) -> Table:
    columns = ["Kind", "Basis", "Examples", "Share", "Depth 0 → 1"]
    table = _table(*columns[:2], *(["Asked"] if facts else []), *columns[2:])
    has_model = facts is not None and facts["model"] is not None
    requested = facts["requested"] if facts else {}
    for kind in in_order({*statistics.by_kind, *requested} - {SHORT}):
        asked = [f"{requested.get(kind, 0):,}"] if facts else []
        depth = statistics.depth_by_kind.get(kind, Histogram())
        table.add_row(
            Text(kind),
            about(kind, has_model=has_model)[1],
            *asked,
            f"{statistics.by_kind[kind]:,}",
            _share(statistics.by_kind[kind], statistics.num_long),
            Text(spark(depth.bins)),
        )
    table.add_section()
    short = requested.get(SHORT, 0)
    total = [f"{sum(requested.values()) - short:,}"] if facts else []
    table.add_row(
        "all", "", *total, f"{statistics.num_long:,}", "100 %", Text(spark(statistics.depth.bins))
    )
    if statistics.num_short or short:
        asked = [f"{short:,}"] if facts else []
        basis = about(SHORT, has_model=has_model)[1]
        table.add_row(SHORT, basis, *asked, f"{statistics.num_short:,}", "", "")
    return table


def _lengths(statistics: Statistics) -> Table:
    table = _table("Length", "Examples", "Share")
    for ctx, count in sorted(statistics.by_ctx.items()):
        table.add_row(f"ctx {ctx:,}", f"{count:,}", _share(count, statistics.num_long))
    table.add_section()
    for name, lengths in (
        ("tokens of a row", statistics.row_tokens),
        ("tokens of a context", statistics.context_tokens),
        ("words of an answer", statistics.answer_words),
    ):
        median, high = lengths.quantile(0.5), lengths.quantile(0.9)
        table.add_row(name, f"half ≤ {median:,}", f"90 % ≤ {high:,}")
    table.add_row("whole documents", f"{statistics.num_whole:,}", "")
    return table


def _licences(statistics: Statistics) -> Table:
    table = _table("Licence", "Examples", "Share")
    for name, count in sorted(statistics.by_license.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(Text(name), f"{count:,}", _share(count, statistics.num_rows))
    return table


def _reasons(title: str, facts: BuildFacts) -> Table:
    table = _table("Kind", title, "Questions", right=(2,))
    for entry in sorted(facts["missing"], key=lambda e: (e["kind"], -e["count"], e["reason"])):
        table.add_row(Text(entry["kind"]), Text(entry["reason"]), f"{entry['count']:,}")
    return table


def _table(*columns: str, right: tuple[int, ...] | None = None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        is_number = index in right if right else name in ("Documents", "Examples", "Share", "Asked")
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number)
    return table


def _share(count: float, total: float) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
