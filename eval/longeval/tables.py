"""The numbers of runs as tables like those of the paper, with its rows beneath ours.

    (table,) = tables_of(load("runs/a", "runs/b"))
    table.title, table.heads, table.columns
    -> "Perplexity: pg19", ("model", "protocol"), ("2,048", "4,096")
    table.rows[0]    -> Row(heads=("my-model", "longlora"), cells={"2,048": Cell(value=8.31, …)})
    table.rows[-1]   -> Row(heads=("Llama2 70B, 32k, …", ""), source="Table 15", …)

A cell is a number with its interval and no text: table_text.py and the report make of it what they
need. A table has the runs of one kind on one set of data; different texts are never in one table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from longeval.paper import NONE, Curve, Published, behind, caution, drawn, is_same, published
from longeval.table_cells import Cell, Row, Table

if TYPE_CHECKING:
    from longeval.results import Frames

Record = Mapping[str, Any]
_WHOLE = ("ctx", "n", "num_topics", "num_lines", "context_from", "context_to", "of", "documents")


def records(frames: Frames, kind: str) -> list[dict[str, Any]]:
    """The numbers of all runs of a kind, without what a frame puts in where a number has nothing.

    `label` is the run's model, told apart where two runs share its name; `by_ctx`: cases were made
    to fill a context, and are not of a number of topics or lines.
    """
    if frames.numbers.empty:
        return []
    labels = labels_of(frames)
    facts = dict(zip(frames.runs["run"], frames.runs["facts"], strict=True))
    found = []
    for row in frames.numbers[frames.numbers["kind"] == kind].to_dict("records"):
        kept = {key: value for key, value in row.items() if not _is_missing(value)}
        whole = {key: int(kept[key]) for key in _WHOLE if key in kept}
        data = facts[row["run"]]["data"]
        found.append(
            {
                **kept,
                **whole,
                "label": labels[row["run"]],
                "data": str(data.get("name")),
                "by_ctx": bool(data.get("contexts")),
            }
        )
    return found


def labels_of(frames: Frames) -> dict[str, str]:
    """Run → what it is called: its model, with the run's name where that alone would be unclear."""
    groups: dict[str, list[Record]] = {}
    for row in frames.runs.to_dict("records"):
        groups.setdefault(str(row["model"]), []).append(row)
    labels = {}
    for model, rows in groups.items():
        weights = {str(row["facts"]["model"].get("fingerprint")) for row in rows}
        measured = [(row["kind"], str(row["data"])) for row in rows]
        is_clear = len(weights) == 1 and len(set(measured)) == len(measured)
        for row in rows:
            labels[row["run"]] = model if is_clear else f"{model} ({row['run']})"
    return labels


def tables_of(frames: Frames, *, beside: str | None = None) -> list[Table]:
    """All tables of these runs. `beside` names published curves to put below those of perplexity,
    or "none"; without it those of the paper that fit the data."""
    found: list[Table] = []
    for kind, make in _MAKERS.items():
        rows = records(frames, kind)
        for data in dict.fromkeys(row["data"] for row in rows):
            of_data = [row for row in rows if row["data"] == data]
            found += make(data, of_data, paper_of(kind, data, beside))
    return found


def paper_of(kind: str, data: str, beside: str | None) -> Published | None:
    """The published curves for runs of this kind and data."""
    if beside == NONE:
        return None
    if kind == "perplexity" and beside is not None:
        return published(beside)
    return behind(kind, data)


def _perplexity(data: str, rows: Sequence[Record], paper: Published | None) -> list[Table]:
    ours = _grid(
        [row for row in rows if row["name"] in ("perplexity", "estimated_perplexity")],
        lambda row: (row["label"], str(row.get("protocol", ""))),
        _ctx,
    )
    theirs = _published_rows(paper, 2, is_short=paper is not None and not is_same(paper, data))
    notes = _notes(paper, data) if ours else []
    if any(cell.estimated for row in ours for cell in row.cells.values()):
        notes.append("≈: estimated from a part of the windows; not the number of the whole text.")
    table = _table(f"Perplexity: {data}", "perplexity", ("model", "protocol"), ours, theirs, notes)
    rest = [
        row
        for row in rows
        if row["name"].removeprefix("estimated_")
        in ("word_perplexity", "byte_perplexity", "bits_per_byte", "mean_nll")
    ]
    more = _grid(
        rest,
        lambda row: (
            row["label"],
            str(row.get("protocol", "")),
            row["name"].removeprefix("estimated_").replace("_", " "),
        ),
        _ctx,
        digits=4,
    )
    heads = ("model", "protocol", "number")
    return [*table, *_table(f"Loss, words and bytes: {data}", "perplexity", heads, more, [], [])]


def _topics(data: str, rows: Sequence[Record], paper: Published | None) -> list[Table]:
    topics = {} if paper is None else dict(paper.topics)
    by_ctx = any(row["by_ctx"] for row in rows)
    ours = _grid(
        [row for row in rows if row["name"] == "accuracy"],
        lambda row: (row["label"], str(row.get("asked", "")), str(row.get("rule", ""))),
        lambda row: _size(row, "topics"),
    )
    theirs = _published_rows(
        paper, 3, column="{:,}".format if by_ctx else lambda ctx: f"{topics[ctx]} topics"
    )
    notes = ["The rule “nearest” is the number to report. Intervals are Wilson's, of 95 %."]
    heads = ("model", "asked", "rule")
    notes += _notes(paper, data)
    return _table(f"Topic accuracy: {data}", "topics", heads, ours, theirs, notes)


def _lines(data: str, rows: Sequence[Record], paper: Published | None) -> list[Table]:
    ours = _grid(
        [row for row in rows if "depth" not in row],
        lambda row: (row["label"],),
        lambda row: _size(row, "lines"),
    )
    notes = ["Intervals are Wilson's, of 95 %."]
    return _table(f"Line accuracy: {data}", "lines", ("model",), ours, [], notes)


def _passkey(data: str, rows: Sequence[Record], paper: Published | None) -> list[Table]:
    ours = _grid(
        [r for r in rows if r["name"] == "accuracy" and "depth" not in r],
        lambda row: (row["label"],),
        _ctx,
    )
    theirs = _only(_published_rows(paper, 1), ours)
    return _table(
        f"Passkeys found: {data}",
        "passkey",
        ("model",),
        ours,
        theirs,
        ["Intervals are Wilson's, of 95 %.", *(_notes(paper, data) if theirs else [])],
    )


def _qa(data: str, rows: Sequence[Record], paper: Published | None) -> list[Table]:
    ours = _grid(
        [row for row in rows if not row.get("is_detail")],
        lambda row: (row["label"], str(row.get("part", ""))),
        lambda row: str(row["name"]).replace("_", " "),
        digits=3,
    )
    kinds = _grid(
        [row for row in rows if "question_kind" in row],
        lambda row: (row["label"], str(row["question_kind"])),
        lambda row: str(row["name"]).replace("_", " "),
        digits=3,
    )
    notes = ["The gap is with the text minus without. Intervals are of 95 %, over documents."]
    return [
        *_table(f"Answers: {data}", "qa", ("model", "part"), ours, [], notes),
        *_table(f"Answers by kind: {data}", "qa", ("model", "question"), kinds, [], notes[1:]),
    ]


def _harness(data: str, rows: Sequence[Record], paper: Published | None) -> list[Table]:
    ours = _grid(
        rows,
        lambda row: (str(row.get("task", "")), row["label"]),
        lambda row: str(row["name"]).replace("_", " "),
        digits=4,
    )
    return _table(f"lm-eval: {data}", "harness", ("task", "model"), ours, [], [])


_Maker = Callable[[str, Sequence[Record], Published | None], list[Table]]
_MAKERS: dict[str, _Maker] = {
    "perplexity": _perplexity,
    "topics": _topics,
    "lines": _lines,
    "passkey": _passkey,
    "qa": _qa,
    "harness": _harness,
}


def _grid(
    rows: Iterable[Record],
    heads: Callable[[Record], tuple[str, ...]],
    column: Callable[[Record], str],
    *,
    digits: int = 2,
) -> list[Row]:
    found: dict[tuple[str, ...], dict[str, Cell]] = {}
    for row in rows:
        if "value" not in row:
            continue
        found.setdefault(heads(row), {})[column(row)] = Cell(
            value=row["value"],
            low=row.get("low"),
            high=row.get("high"),
            n=row.get("n"),
            digits=digits,
            estimated=str(row["name"]).startswith("estimated_"),
        )
    return [Row(heads=key, cells=cells) for key, cells in found.items()]


def _table(
    title: str,
    kind: str,
    heads: tuple[str, ...],
    ours: Sequence[Row],
    theirs: Sequence[Row],
    notes: Sequence[str],
) -> list[Table]:
    """The table, or none where there is nothing of ours. Columns that are numbers are in order."""
    if not ours:
        return []
    rows = (*ours, *theirs)
    columns = list(dict.fromkeys(column for row in rows for column in row.cells))
    if all(re.fullmatch(r"[\d,]+( topics| lines)?", column) for column in columns):
        columns.sort(key=lambda column: int(re.sub(r"\D", "", column)))
    used = [
        index == 0 or any(row.heads[index] for row in ours) for index in range(len(heads))
    ]  # a head that no run of ours fills says nothing
    cut = [
        Row(
            heads=tuple(head for head, is_used in zip(row.heads, used, strict=True) if is_used),
            cells=row.cells,
            source=row.source,
        )
        for row in rows
    ]
    return [
        Table(
            title=title,
            kind=kind,
            heads=tuple(head for head, is_used in zip(heads, used, strict=True) if is_used),
            columns=tuple(columns),
            rows=tuple(cut),
            notes=tuple(notes),
        )
    ]


def _published_rows(
    paper: Published | None,
    num_heads: int,
    *,
    column: Callable[[int], str] = "{:,}".format,
    is_short: bool = False,
) -> list[Row]:
    """All curves of the paper as rows; `is_short`: only those that are drawn."""
    if paper is None:
        return []

    def row(curve: Curve) -> Row:
        cells = {column(ctx): Cell(value=value) for ctx, value in curve.points}
        heads = (curve.label, *[""] * (num_heads - 1))
        return Row(heads=heads, cells=cells, source=curve.table)

    return [row(curve) for curve in (drawn(paper) if is_short else paper.curves)]


def _only(rows: Sequence[Row], ours: Sequence[Row]) -> list[Row]:
    """Published rows in the columns that ours have."""
    columns = {column for row in ours for column in row.cells}
    found = []
    for row in rows:
        cells = {column: cell for column, cell in row.cells.items() if column in columns}
        if cells:
            found.append(Row(heads=row.heads, cells=cells, source=row.source))
    return found


def _notes(paper: Published | None, data: str) -> list[str]:
    return [] if paper is None else [caution(paper, data)]


def _size(row: Record, what: str) -> str:
    """What a column of cases stands for: the length they fill, or how many topics they have."""
    count = None if row["by_ctx"] else row.get(f"num_{what}")
    return _ctx(row) if count is None else f"{count:,} {what}"


def _ctx(row: Record) -> str:
    return f"{row['ctx']:,}" if "ctx" in row else "all"


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
