"""`longqa export`: the command's arguments and what it says; the work is in export.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from longqa.export import Exported

SHORT_HELP = "Write a dataset in the form that other training code reads."
EXAMPLES = (
    "longqa export my-dataset --format messages",
    "longqa export my-dataset --format longalpaca --out LongAlpaca.json",
    "longqa export my-dataset --format trl --split test --out test.parquet",
)


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder that longqa build wrote.")
    ],
    format: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="longalpaca (instruction, output), messages (roles and contents), sharegpt "
            "(conversations) or trl (prompt, completion).",
        ),
    ],
    split: Annotated[
        str, typer.Option(metavar="NAME", help="train, validation or test.")
    ] = "train",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file to write: .jsonl or .parquet, for longalpaca also .json. "
            "Default: DIR/export/NAME-SPLIT.jsonl (longalpaca: .json).",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write one split of a dataset in the form that other training code reads."""
    from longqa.export import export as export_dataset

    for line in lines_of(export_dataset(folder, format=format, split=split, out=out, force=force)):
        typer.echo(line)


def lines_of(exported: Exported) -> Iterator[str]:
    """What was written, and whether a trainer that cuts rows on the right would cut answers."""
    yield f"{exported.path}: {_rows(exported.num_rows)}, {_size(exported.num_bytes)}"
    kinds = sorted(exported.by_kind.items(), key=lambda item: (-item[1], item[0]))
    yield "kinds: " + ", ".join(f"{kind} {count:,}" for kind, count in kinds)
    longest, largest = max(exported.row_tokens), max(exported.ctx)
    if exported.num_over:
        yield f"rows do not fit: {_rows(exported.num_over)} of more tokens than their ctx"
    else:
        yield f"rows fit: every row has at most row_tokens {longest:,} <= ctx {largest:,}"
    for window in sorted(exported.ctx):
        cut = exported.num_cut(window)
        lost = f"cuts the answer of {_rows(cut)}" if cut else "cuts no answer"
        yield f"a window of {window:,} tokens {lost}"
    if exported.num_unclear:
        yield (
            f"{_rows(exported.num_unclear)} cannot be taken apart again: the question or title "
            "holds strings of the format; what a model reads is whole"
        )


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes >= 1e6 else f"{num_bytes / 1e3:,.0f} kB"
