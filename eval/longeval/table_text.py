"""Tables as text: Markdown, LaTeX (with booktabs) and CSV.

    as_text(tables_of(load("runs/a")), "md")
    ### Perplexity: pg19
    | model | protocol | 2,048 | 4,096 |
    |---|---|---:|---:|
    | my-model | longlora | 8.31 [8.02, 8.61] | 7.85 [7.58, 8.12] |
    | *Llama2 7B, 32k, S²-Attn, LoRA+ (Table 14)* | | 8.29 | 7.83 |

CSV has one line for each cell of all tables, at full precision, so that it opens as one frame. What
models and data are called comes from files: it is escaped in each format.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from longeval.table_cells import Row, Table

FORMATS = ("md", "csv", "latex")
_LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "²": r"\textsuperscript{2}",
    "≈": r"$\approx$",
    "–": "--",
    "−": "$-$",
    "“": "``",
    "”": "''",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def as_text(tables: Sequence[Table], format: str) -> str:
    """All tables in one of FORMATS."""
    if format == "csv":
        return as_csv(tables)
    make = {"md": _markdown, "latex": _latex}[format]
    return "\n".join(make(table) for table in tables)


def as_csv(tables: Sequence[Table]) -> str:
    """All tables, one line for each cell; `source` is empty where the number is ours."""
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\n")
    lines.writerow(("table", "row", "column", "value", "low", "high", "n", "estimated", "source"))
    for table in tables:
        for row in table.rows:
            heads = " / ".join(head for head in row.heads if head)
            for column in table.columns:
                if (cell := row.cells.get(column)) is not None:
                    numbers = (cell.value, cell.low, cell.high, cell.n, int(cell.estimated))
                    lines.writerow(
                        (
                            _harmless(table.title),
                            _harmless(heads),
                            _harmless(column.replace(",", "")),
                            *("" if number is None else number for number in numbers),
                            row.source,
                        )
                    )
    return stream.getvalue()


def _markdown(table: Table) -> str:
    def plain(text: str) -> str:
        return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    heads = [plain(head) for head in (*table.heads, *table.columns)]
    rules = ["---"] * len(table.heads) + ["---:"] * len(table.columns)
    lines = [f"### {plain(table.title)}", "", line(heads), f"|{'|'.join(rules)}|"]
    for row in table.rows:
        named = [plain(head) for head in row.heads]
        if row.source:
            named[0] = f"*{named[0]} ({row.source})*"
        lines.append(line([*named, *(_plain_cell(row, column) for column in table.columns)]))
    return "\n".join([*lines, *(f"\n{plain(note)}" for note in table.notes)]) + "\n"


def _plain_cell(row: Row, column: str) -> str:
    cell = row.cells.get(column)
    return "" if cell is None else f"{cell.said} {cell.interval}".strip()


def _latex(table: Table) -> str:
    def plain(text: str) -> str:
        return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))

    def cell(row: Row, column: str) -> str:
        found = row.cells.get(column)
        if found is None:
            return "--"
        interval = f" {{\\scriptsize {found.interval}}}" if found.interval else ""
        return plain(found.said) + interval

    def line(cells: Iterable[str]) -> str:
        return f"{' & '.join(cells)} \\\\"

    lines = [
        r"\begin{table}",
        r"\centering",
        f"\\caption{{{plain(' '.join([table.title + '.', *table.notes]))}}}",
        f"\\begin{{tabular}}{{{'l' * len(table.heads)}{'r' * len(table.columns)}}}",
        r"\toprule",
        line(plain(head) for head in (*table.heads, *table.columns)),
        r"\midrule",
    ]
    was_ours = True
    for row in table.rows:
        if was_ours and row.source:
            lines.append(r"\midrule")
        was_ours = not row.source
        named = [plain(head) for head in row.heads]
        if row.source:
            named[0] = f"\\textit{{{named[0]} ({row.source})}}"
        lines.append(line([*named, *(cell(row, column) for column in table.columns)]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins with these signs for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
