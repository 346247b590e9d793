"""`longeval compare`: its arguments and its table. The tests are in comparing.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SHORT_HELP = "Two models on the same cases: better, or chance?"
EXAMPLES = ("longeval compare runs/longlora runs/longchat",)


def compare(
    first: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that longeval wrote.")],
    second: Annotated[Path, typer.Argument(metavar="RUN", help="Another, of the same cases.")],
) -> None:
    """Compare two runs case by case: McNemar's exact test, and paired differences of means."""
    from rich.console import Console
    from rich.table import Table

    from longeval.comparing import compare_runs

    found = compare_runs(first, second)
    one, two = found.names
    table = Table(box=None, pad_edge=False)
    heads = ("", "score", "first", "second", "only 1st", "only 2nd", "cases", "p", "p (Holm)")
    for head in heads:
        table.add_column(head, justify="left" if head in ("", "score") else "right")
    for row in found.rows:
        table.add_row(
            row.group,
            row.metric,
            f"{row.first:.3f}",
            f"{row.second:.3f}",
            "–" if row.only_first is None else str(row.only_first),
            "–" if row.only_second is None else str(row.only_second),
            f"{row.n:,}",
            f"{row.p:.3g}",
            f"{row.adjusted:.3g}",
        )
    console = Console()
    console.print(f"first: {one}; second: {two}", highlight=False)
    console.print(table)
    if found.unmatched:
        console.print(f"{found.unmatched:,} cases that only one of them answered are left out")
