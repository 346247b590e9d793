"""Every two runs of one evaluation on the same cases, compared: tables for the report.

    found = comparisons([Path("runs/a"), Path("runs/b")], load("runs/a", "runs/b"))
    found.tables[0].title    -> "longlora-7b and longchat-7b: topics"
    found.left_out           -> ("a and c: got a and c, which have no case in common; …",)

Right and wrong answers are compared by comparing.py (McNemar's exact test). Losses are compared
here, window by window: what makes a text hard is the same for both, and goes away in the
difference. Windows that overlap are no independent draws, so the test is over documents, or blocks
of neighbouring windows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longdata.errors import UserError
from longeval.comparing import Comparison, compare_runs
from longeval.stats import Difference, difference, holm, in_blocks
from longeval.table_cells import Cell, Row, Table
from longeval.tables import labels_of

if TYPE_CHECKING:
    import pandas as pd

    from longeval.results import Frames

_ANSWERS = ("topics", "lines", "passkey", "qa")
_FEWEST_DOCUMENTS = 20
MOST = 60  # pairs of runs
_COLUMNS = ("first", "second", "second − first", "only first", "only second", "n", "p", "p (Holm)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparisons:
    """`left_out`: pairs that cannot be compared, each with its reason."""

    tables: tuple[Table, ...]
    left_out: tuple[str, ...]


def comparisons(paths: Sequence[Path], frames: Frames) -> Comparisons:
    """All pairs of runs of the same kind, on the same data by its name."""
    labels = labels_of(frames)
    runs = list(zip(paths, frames.runs.to_dict("records"), strict=True))
    tables: list[Table] = []
    left_out: list[str] = []
    pairs = [
        (first, second)
        for first, second in combinations(runs, 2)
        if _subject(first[1]) == _subject(second[1]) and first[1]["kind"] != "harness"
    ]
    for (path, run), (other_path, other) in pairs[:MOST]:
        names = (labels[run["run"]], labels[other["run"]])
        try:
            if run["kind"] in _ANSWERS:
                tables.append(_of_answers(compare_runs(path, other_path), names))
            else:
                tables.append(_of_losses(run, other, frames.samples, names))
        except UserError as error:
            left_out.append(f"{names[0]} and {names[1]}, {run['kind']}: {error}")
    if len(pairs) > MOST:
        left_out.append(
            f"{len(pairs) - MOST:,} more pairs of runs: name fewer runs to have them compared"
        )
    return Comparisons(tables=tuple(tables), left_out=tuple(left_out))


def _subject(run: dict[str, Any]) -> tuple[str, str]:
    return run["kind"], str(run["data"])


def _of_answers(found: Comparison, names: tuple[str, str]) -> Table:
    rows = [
        Row(
            heads=(_cases(row.group), row.metric, row.test),
            cells=_cells(
                row.first,
                row.second,
                Cell(
                    value=row.apart,
                    low=row.interval[0] if row.interval else None,
                    high=row.interval[1] if row.interval else None,
                    digits=3,
                ),
                n=row.n,
                p=row.p,
                adjusted=row.adjusted,
                only=None
                if row.only_first is None or row.only_second is None
                else (row.only_first, row.only_second),
            ),
        )
        for row in found.rows
    ]
    notes = [f"First: {names[0]}. Second: {names[1]}."]
    if found.unmatched:
        notes.append(f"{found.unmatched:,} cases that only one of them answered are left out.")
    return _table(found.kind, names, ("cases", "score", "test"), rows, notes)


def _cases(group: str) -> str:
    """The cases of a test, in words: "num_topics_asked 5 asked first" -> "topics 5 asked first"."""
    return re.sub(r"\b(?:num_)?(\w+?)(?:_asked)?(?= )", r"\1", group) or "all"


def _of_losses(
    first: dict[str, Any], second: dict[str, Any], samples: pd.DataFrame, names: tuple[str, str]
) -> Table:
    """The paired difference of mean losses, for each protocol and context that both have."""
    data = [run["facts"]["data"].get("sha256") for run in (first, second)]
    needed = {"protocol", "ctx", "window", "start", "document", "nll", "scored"}
    if data[0] != data[1] or data[0] is None or not needed <= set(samples.columns):
        raise UserError(
            "the two read other tokens, or kept no windows; allowed: runs of the same tokens; fix: "
            "hold bits per byte against each other, which do not depend on the tokenizer"
        )
    keys = ["protocol", "ctx", "window"]
    tables = [samples[samples["run"] == run["run"]] for run in (first, second)]
    both = tables[0].merge(tables[1], on=keys, suffixes=("", "_other"))
    both = both[both["scored"] == both["scored_other"]]
    if both.empty:
        raise UserError(
            "the two have no window in common; allowed: runs with a protocol and a context in "
            "common; fix: run both with the same options"
        )
    groups = [
        (protocol, ctx, of.sort_values("window"), _difference(of.sort_values("window"), ctx))
        for (protocol, ctx), of in both.groupby(["protocol", "ctx"], sort=False)
    ]
    adjusted = holm([found.p for *_, found in groups])
    rows = []
    for (protocol, ctx, of, found), p in zip(groups, adjusted, strict=True):
        scored = of["scored"].sum()
        low, high = found.interval or (None, None)
        cells = _cells(
            of["nll"].sum() / scored,
            of["nll_other"].sum() / scored,
            Cell(value=found.value, low=low, high=high, digits=4),
            n=found.n,
            p=found.p,
            adjusted=p,
            digits=4,
        )
        rows.append(Row(heads=(str(protocol), f"{int(ctx):,}"), cells=cells))
    notes = [
        f"First: {names[0]}. Second: {names[1]}. Mean losses in nats of the windows both have "
        "read; a negative difference: the second is better. n: documents, or blocks of windows, "
        "that the test is over."
    ]
    return _table("perplexity", names, ("protocol", "ctx"), rows, notes)


def _difference(of: pd.DataFrame, ctx: int) -> Difference:
    import numpy as np

    first, second = of["nll"].to_numpy(np.float64), of["nll_other"].to_numpy(np.float64)
    counts = of["scored"].to_numpy(np.float64)
    kept = counts > 0
    first, second, counts = first[kept], second[kept], counts[kept]
    documents = of["document"].to_numpy()[kept]
    starts = of["start"].to_numpy(np.int64)[kept]
    is_known = not of["document"].isna().any()
    if is_known and len(np.unique(documents)) >= _FEWEST_DOCUMENTS:
        _, index = np.unique(documents, return_inverse=True)
        sums = [np.bincount(index, values) for values in (first, second, counts)]
        return difference(*sums)
    step = int(np.median(np.diff(starts))) if len(starts) > 1 else ctx
    block = max(1, -(-2 * int(ctx) // max(1, step)))
    one, sizes = in_blocks(first, block, counts)
    two, _ = in_blocks(second, block, counts)
    return difference(one, two, sizes)


def _cells(
    first: float,
    second: float,
    apart: Cell,
    *,
    n: int,
    p: float,
    adjusted: float,
    only: tuple[int, int] | None = None,
    digits: int = 3,
) -> dict[str, Cell]:
    cells = {
        "first": Cell(value=first, digits=digits),
        "second": Cell(value=second, digits=digits),
        "second − first": apart,
    }
    if only is not None:
        cells["only first"] = Cell(value=only[0], digits=0)
        cells["only second"] = Cell(value=only[1], digits=0)
    cells["n"] = Cell(value=n, digits=0)
    cells["p"] = Cell(value=p, digits=3, is_p=True)
    cells["p (Holm)"] = Cell(value=adjusted, digits=3, is_p=True)
    return cells


def _table(
    kind: str,
    names: tuple[str, str],
    heads: tuple[str, ...],
    rows: Sequence[Row],
    notes: Sequence[str],
) -> Table:
    used = [column for column in _COLUMNS if any(column in row.cells for row in rows)]
    return Table(
        title=f"{names[0]} and {names[1]}: {kind}",
        kind="comparison",
        heads=heads,
        columns=tuple(used),
        rows=tuple(rows),
        notes=tuple(notes),
    )
